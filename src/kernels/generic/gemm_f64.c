#include "kernels/levels.h"

/* Two lanes: every machine's vector. gcc splits it where there is none. */
typedef double pair __attribute__((vector_size(16)));
typedef double pair_memory __attribute__((vector_size(16), aligned(8), may_alias));

#define ROWS 4
#define PAIRS 2
#define COLUMNS (2 * PAIRS)

static void finish(const hone_gemm *g, double sum, int64_t row, int64_t column) {
    const hone_epilogue *e = &g->epilogue;
    sum *= e->alpha;
    if (e->bias) sum += ((const double *)e->bias)[column];
    if (e->row_bias) sum += ((const double *)e->row_bias)[row];
    if (e->residual) sum += ((const double *)e->residual)[row * e->residual_row + column];
    sum = sum < e->lo ? e->lo : sum;
    ((double *)g->c)[row * g->c_row + column] = sum > e->hi ? e->hi : sum;
}

/* A full tile with contiguous rows of B. */
static void tile(const hone_gemm *g, int64_t row, int64_t column) {
    const double *a = (const double *)g->a + row * g->a_row, *b = (const double *)g->b + column;
    pair sum[ROWS][PAIRS] = {{{0}}};
    for (int64_t l = 0; l < g->k; l++, a += g->a_col, b += g->b_row) {
        pair x0 = *(const pair_memory *)b, x1 = *(const pair_memory *)(b + 2);
#pragma GCC unroll 4
        for (int i = 0; i < ROWS; i++) {
            double s = a[i * g->a_row];
            sum[i][0] += s * x0;
            sum[i][1] += s * x1;
        }
    }
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) finish(g, sum[i][j / 2][j % 2], row + i, column + j);
}

static void element(const hone_gemm *g, int64_t row, int64_t column) {
    const double *a = (const double *)g->a + row * g->a_row, *b = (const double *)g->b + column * g->b_col;
    double sum = 0;
    for (int64_t l = 0; l < g->k; l++) sum += a[l * g->a_col] * b[l * g->b_row];
    finish(g, sum, row, column);
}

static void run(const hone_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    for (int64_t row = m0; row < m1;) {
        const int64_t rows = m1 - row >= ROWS ? ROWS : m1 - row;
        int64_t column = n0;
        if (rows == ROWS && g->b_col == 1)
            for (; column + COLUMNS <= n1; column += COLUMNS) tile(g, row, column);
        for (int64_t i = row; i < row + rows; i++)
            for (int64_t j = column; j < n1; j++) element(g, i, j);
        row += rows;
    }
}

const hone_gemm_family hone_gemm_f64 = {.name = "gemm_f64",
                                        .panel = 4 * COLUMNS,
                                        .rows = ROWS,
                                        .columns = COLUMNS,
                                        .group = 1,
                                        .direct = true,
                                        .nanoseconds = 0.12f,
                                        .run = run};
