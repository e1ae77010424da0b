/* Tile registers of bfloat16 in memory: what CPUs with AMX do (kernels/x86/amx_bf16.h), for testing on others. */
#ifndef HONE_KERNELS_GENERIC_TILES_BF16_H
#define HONE_KERNELS_GENERIC_TILES_BF16_H

#include "kernels/levels.h"
#include "kernels/vec.h"

/* Inlined and unrolled wherever that can be, they would take a compiler that adds checks minutes. */
#define NOT_INLINED __attribute__((noinline, unused))
#undef VEC_UNROLL
#define VEC_UNROLL

typedef union tiles {
    float sum[8][16][16];
    uint16_t value[8][16][32];
} tiles;

static NOT_INLINED void tile_configure(tiles *t) {
    memset(t, 0, sizeof *t);
}

static NOT_INLINED void tile_zero(tiles *t, const int r) {
    memset(t->sum[r], 0, sizeof t->sum[r]);
}

static NOT_INLINED void tile_load(tiles *t, const int r, const void *p, int64_t step) {
    for (int i = 0; i < 16; i++) memcpy(t->sum[r][i], (const char *)p + i * step, 64);
}

static NOT_INLINED void tile_store(tiles *t, const int r, void *p, int64_t step) {
    for (int i = 0; i < 16; i++) memcpy((char *)p + i * step, t->sum[r][i], 64);
}

static float value_of(uint16_t bits) {
    uint32_t word = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &word, sizeof x);
    return x;
}

/* Of register 6, rows of A, and 7, B: first and second values of pairs are summed apart, as the instruction does. */
static NOT_INLINED void tile_dot_bf16(tiles *t, const int r) {
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 16; j++) {
            float part[2] = {0, 0};
            for (int l = 0; l < 32; l++)
                part[l % 2] += value_of(t->value[6][i][l]) * value_of(t->value[7][l / 2][2 * j + l % 2]);
            t->sum[r][i][j] += part[0] + part[1];
        }
}

static NOT_INLINED void tile_release(tiles *t) {
    (void)t;
}

#endif
