/* The body of the integer GEMM over tile registers: eight of them, of up to 16 rows of 64 bytes. Sums are exact, so
 * it gives the same bits as the others. Before including, define HONE_ISA, and as functions that are inlined
 *
 *   tiles                           a struct: the registers, where they lie in memory
 *   tile_configure(t, rows, more)   all are zero; sums and A have `rows` rows, 1 … 16, the second ones `more`, 0 … 16
 *   tile_zero(t, r)
 *   tile_load(t, r, p, step)        the register's rows, `step` bytes apart
 *   tile_dot_u8s8(t, i, j)          SUM(i, j) += A(i) times B(j): words of four bytes, u8 times s8
 *   tile_store(t, r, p, step)
 *   tile_release(t)                 ends what tile_configure began
 *
 * where r is a constant. Two tiles of A, 16 rows of 64 values of k each, meet two of B, 16 groups of four values of k
 * for 16 columns each. */
#define GEMM_GROUP 4
#define GEMM_DEPTH 64
#define GEMM_COLUMNS 16
#define GEMM_PANEL 32
#include "kernels/gemm_u8s8_common.inc.h"

#define TILE_ROWS 16
#define SUM(i, j) (2 * (i) + (j))
#define A(i) (4 + (i))
#define B(j) (6 + (j))

/* GEMM_DEPTH more values of k for the tiles there are. */
VEC_FN void step(tiles *t, const bool two_rows, const bool two_columns, const uint8_t *a, int64_t a_row,
                 const int8_t *b) {
    const int64_t b_row = (two_columns ? 2 : 1) * GEMM_COLUMNS * GEMM_GROUP;
    tile_load(t, A(0), a, a_row);
    tile_load(t, B(0), b, b_row);
    tile_dot_u8s8(t, 0, 0);
    if (two_columns) {
        tile_load(t, B(1), b + GEMM_COLUMNS * GEMM_GROUP, b_row);
        tile_dot_u8s8(t, 0, 1);
    }
    if (!two_rows) return;
    tile_load(t, A(1), a + TILE_ROWS * a_row, a_row);
    tile_dot_u8s8(t, 1, 0);
    if (two_columns) tile_dot_u8s8(t, 1, 1);
}

/* Whole sums of `rows` rows from row i on. A row's end, which must not be read past, is staged. */
VEC_FN void sum_products(tiles *t, const bool two_rows, const bool two_columns, const hone_gemm *g, int64_t i,
                         int rows, const int8_t *b, int32_t *sums) {
    const uint8_t *a = (const uint8_t *)g->a + i * g->a_row;
    const int64_t whole = g->k / GEMM_DEPTH, rest = g->k % GEMM_DEPTH, width = two_columns ? 32 : 16;
    tile_zero(t, SUM(0, 0));
    if (two_columns) tile_zero(t, SUM(0, 1));
    if (two_rows) tile_zero(t, SUM(1, 0));
    if (two_rows && two_columns) tile_zero(t, SUM(1, 1));
    for (int64_t l = 0; l < whole; l++)
        step(t, two_rows, two_columns, a + l * GEMM_DEPTH, g->a_row, b + l * GEMM_DEPTH * width);
    if (rest > 0) {
        uint8_t end[2 * TILE_ROWS][GEMM_DEPTH] = {{0}};
        for (int r = 0; r < rows; r++) memcpy(end[r], a + r * g->a_row + whole * GEMM_DEPTH, (size_t)rest);
        step(t, two_rows, two_columns, end[0], GEMM_DEPTH, b + whole * GEMM_DEPTH * width);
    }
    const int64_t bytes = GEMM_PANEL * sizeof *sums;
    tile_store(t, SUM(0, 0), sums, bytes);
    if (two_columns) tile_store(t, SUM(0, 1), sums + GEMM_COLUMNS, bytes);
    if (two_rows) tile_store(t, SUM(1, 0), sums + TILE_ROWS * GEMM_PANEL, bytes);
    if (two_rows && two_columns)
        tile_store(t, SUM(1, 1), sums + TILE_ROWS * GEMM_PANEL + GEMM_COLUMNS, bytes);
}

typedef void sum_fn(tiles *t, const hone_gemm *g, int64_t i, int rows, const int8_t *b, int32_t *sums);

#define DEFINE(rows, columns)                                                                                \
    static void sum_##rows##x##columns(tiles *t, const hone_gemm *g, int64_t i, int height, const int8_t *b, \
                                       int32_t *sums) {                                                      \
        sum_products(t, (rows) == 2, (columns) == 2, g, i, height, b, sums);                                 \
    }
DEFINE(1, 1)
DEFINE(1, 2)
DEFINE(2, 1)
DEFINE(2, 2)
static sum_fn *const sum[2][2] = {{sum_1x1, sum_1x2}, {sum_2x1, sum_2x2}};

static void run(const hone_gemm *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
    int32_t sums[2 * TILE_ROWS * GEMM_PANEL] __attribute__((aligned(64)));
    const int64_t depth = round_up(g->k, GEMM_DEPTH);
    tiles t;
    for (int64_t i = m0, rows; i < m1; i += rows) {
        rows = m1 - i < 2 * TILE_ROWS ? m1 - i : 2 * TILE_ROWS;
        const int first = (int)(rows < TILE_ROWS ? rows : TILE_ROWS), more = (int)rows - first;
        if (i == m0 || rows < 2 * TILE_ROWS) tile_configure(&t, first, more);
        for (int64_t j = n0; j < n1; j += GEMM_PANEL) {
            sum[more > 0][panel_width(g->n, j) > GEMM_COLUMNS](&t, g, i, (int)rows,
                                                               (const int8_t *)g->b + j * depth, sums);
            store(g, i, (int)rows, j, n1 - j < GEMM_PANEL ? n1 - j : GEMM_PANEL, sums);
        }
    }
    if (m0 < m1) tile_release(&t);
}

const hone_gemm_family HONE_ISA_NAME(gemm_u8s8) = {.name = "gemm_u8s8 tiles",
                                                   .panel = GEMM_PANEL,
                                                   .rows = 2 * TILE_ROWS,
                                                   .columns = GEMM_COLUMNS,
                                                   .group = GEMM_GROUP,
                                                   .nanoseconds = 0.001f,
                                                   .packed_size = packed_size,
                                                   .pack = pack,
                                                   .run = run};
