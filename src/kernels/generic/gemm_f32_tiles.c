/* The float GEMM over tile registers, with tiles in memory: what CPUs with AMX do, for testing on others. */
#define HONE_ISA tiles
#define HONE_ISA_generic 1
#define PARTS 3
#include "kernels/levels.h"
#include "kernels/vec.h"

typedef union tiles {
    float sum[8][16][16];
    uint16_t value[8][16][32];
} tiles;

VEC_FN void tile_configure(tiles *t) {
    memset(t, 0, sizeof *t);
}

VEC_FN void tile_zero(tiles *t, const int r) {
    memset(t->sum[r], 0, sizeof t->sum[r]);
}

VEC_FN void tile_load(tiles *t, const int r, const void *p, int64_t step) {
    for (int i = 0; i < 16; i++) memcpy(t->sum[r][i], (const char *)p + i * step, 64);
}

VEC_FN void tile_store(tiles *t, const int r, void *p, int64_t step) {
    for (int i = 0; i < 16; i++) memcpy((char *)p + i * step, t->sum[r][i], 64);
}

static float value_of(uint16_t bits) {
    uint32_t word = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &word, sizeof x);
    return x;
}

/* Of register 6, rows of A, and 7, B: first and second values of pairs are summed apart, as the instruction does. */
VEC_FN void tile_dot_bf16(tiles *t, const int r) {
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            float part[2] = {0, 0};
            for (int l = 0; l < 32; l++)
                part[l % 2] += value_of(t->value[6][i][l]) * value_of(t->value[7][l / 2][2 * j + l % 2]);
            t->sum[r][i][j] += part[0] + part[1];
        }
}

VEC_FN void tile_release(tiles *t) {
    (void)t;
}

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
    finish_row(g, i, j0, j1 - j0, sums);
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

const hone_gemm_family HONE_ISA_NAME(gemm_f32) = {.name = "gemm_f32 tiles",
                                                  .panel = PANEL,
                                                  .rows = 2 * COLUMNS,
                                                  .columns = COLUMNS,
                                                  .group = 1,
                                                  .windows = true,
                                                  .direct = true,
                                                  .packed_size = packed_size,
                                                  .pack = pack,
                                                  .room = room,
                                                  .lay = lay,
                                                  .parts = PARTS,
                                                  .run = run};
