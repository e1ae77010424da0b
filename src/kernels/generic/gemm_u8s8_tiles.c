/* The integer GEMM over tile registers, with tiles in memory: what CPUs with AMX do, for testing on others. */
#define HONE_ISA tiles
#define HONE_ISA_generic 1
#include "kernels/vec.h"

typedef struct tiles {
    int rows[8];
    union tile {
        uint8_t byte[16][64];
        int32_t sum[16][16];
    } tile[8];
} tiles;

VEC_FN void tile_configure(tiles *t, int rows, int more) {
    memset(t, 0, sizeof *t);
    t->rows[0] = t->rows[1] = t->rows[4] = rows;
    t->rows[2] = t->rows[3] = t->rows[5] = more;
    t->rows[6] = t->rows[7] = 16;
}

VEC_FN void tile_zero(tiles *t, const int r) {
    memset(&t->tile[r], 0, sizeof t->tile[r]);
}

VEC_FN void tile_load(tiles *t, const int r, const void *p, int64_t step) {
    for (int i = 0; i < t->rows[r]; i++) memcpy(t->tile[r].byte[i], (const uint8_t *)p + i * step, 64);
}

VEC_FN void tile_store(tiles *t, const int r, void *p, int64_t step) {
    for (int i = 0; i < t->rows[r]; i++) memcpy((uint8_t *)p + i * step, t->tile[r].byte[i], 64);
}

VEC_FN void tile_dot_u8s8(tiles *t, const int i, const int j) {
    const union tile *a = &t->tile[4 + i], *b = &t->tile[6 + j];
    union tile *sum = &t->tile[2 * i + j];
    for (int row = 0; row < t->rows[4 + i]; row++)
        for (int l = 0; l < 64; l++)
            for (int column = 0; column < 16; column++)
                sum->sum[row][column] += a->byte[row][l] * (int8_t)b->byte[l / 4][column * 4 + l % 4];
}

VEC_FN void tile_release(tiles *t) {
    memset(t->rows, 0, sizeof t->rows);
}

#include "kernels/gemm_u8s8_tiles.inc.h"
