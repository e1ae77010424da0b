/* The float GEMM over tile registers, with tiles in memory: what CPUs with AMX do, for testing on others. */
#define HONE_ISA tiles
#define HONE_ISA_generic 1
#define PARTS 3
#include "kernels/generic/tiles_bf16.h"

static void plain(const hone_gemm *g, int64_t i, int64_t i1, int64_t j0, int64_t j1);
#define PLAIN plain
#include "kernels/gemm_f32_tiles.inc.h"

static int64_t width_at(const hone_gemm *g, int64_t panel) {
    return min_i64(tasks(g->n - panel, COLUMNS) * COLUMNS, PANEL);
}

/* Element [l, j] of B. */
static float b_at(const hone_gemm *g, int64_t l, int64_t j) {
    const float *b = g->b;
    const int64_t panel = j / PANEL * PANEL;
    return g->b_row ? b[l * g->b_row + j] : b[panel * g->k + l * width_at(g, panel) + j % PANEL];
}

static void plain(const hone_gemm *g, int64_t i, int64_t i1, int64_t j0, int64_t j1) {
    (void)i1;
    float sums[PANEL] = {0};
    place at = {g->runs, 0};
    for (int64_t l = 0; l < g->k; l++, at = place_after(g, at, 1)) {
        const float a = row_of(g, i)[g->runs ? at.run->from + at.skip : l * g->a_col];
        for (int64_t j = j0; j < j1; j++) sums[j - j0] += a * b_at(g, l, j);
    }
    finish_rows(g, i, 1, j0, j1 - j0, sums);
}

static size_t packed_size(int64_t k, int64_t n) {
    return (size_t)(k * tasks(n, COLUMNS) * COLUMNS) * sizeof(float);
}

static void pack(const hone_gemm_b *b, int64_t l0, int64_t l1, int64_t n0, int64_t n1) {
    const hone_gemm g = {.k = b->k, .n = b->n};
    float *out = b->packed;
    for (int64_t l = l0; l < l1; l++)
        for (int64_t j = n0; j < tasks(n1, COLUMNS) * COLUMNS; j++) {
            const int64_t panel = j / PANEL * PANEL;
            out[panel * b->k + l * width_at(&g, panel) + j % PANEL] =
                j < b->n ? ((const float *)b->b)[l * b->b_row + j * b->b_col] : 0;
        }
}

const hone_gemm_family HONE_ISA_NAME(gemm_f32) = {TILES_FAMILY,   .name = "gemm_f32 tiles",   .group = 1,
                                                  .direct = true, .packed_size = packed_size, .pack = pack};
