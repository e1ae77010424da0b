#include "kernels/kernels.h"
#include "kernels/portable.h"

#include <string.h>

struct pair {
    uint64_t first, second;
};

/* Tiles keep both sides in L1. */
#define TILE 16

#define TRANSPOSE(type, name)                                                                                \
    static void name(const void *from, int64_t rows, int64_t columns, int64_t x_row, void *to,               \
                     int64_t y_row) {                                                                        \
        const type *x = from;                                                                                \
        type *y = to;                                                                                        \
        if (rows == 3) { /* planes of a picture */                                                           \
            const type *second = x + x_row, *third = second + x_row;                                         \
            for (int64_t j = 0; j < columns; j++, y += y_row) {                                              \
                y[0] = x[j];                                                                                 \
                y[1] = second[j];                                                                            \
                y[2] = third[j];                                                                             \
            }                                                                                                \
            return;                                                                                          \
        }                                                                                                    \
        for (int64_t i0 = 0; i0 < rows; i0 += TILE)                                                          \
            for (int64_t j0 = 0; j0 < columns; j0 += TILE) {                                                 \
                int64_t i1 = i0 + TILE < rows ? i0 + TILE : rows,                                            \
                        j1 = j0 + TILE < columns ? j0 + TILE : columns;                                      \
                for (int64_t j = j0; j < j1; j++)                                                            \
                    for (int64_t i = i0; i < i1; i++) y[j * y_row + i] = x[i * x_row + j];                   \
            }                                                                                                \
    }
TRANSPOSE(uint8_t, transpose_8)
TRANSPOSE(uint16_t, transpose_16)
TRANSPOSE(uint64_t, transpose_64)
TRANSPOSE(struct pair, transpose_128)
#undef TRANSPOSE

static void transpose_32(const void *x, int64_t rows, int64_t columns, int64_t x_row, void *y,
                         int64_t y_row) {
    hone_kernels_get()->transpose_32(x, rows, columns, x_row, y, y_row);
}

hone_transpose_fn *hone_transpose_for(size_t size) {
    switch (size) {
    case 1: return transpose_8;
    case 2: return transpose_16;
    case 4: return transpose_32;
    case 8: return transpose_64;
    case 16: return transpose_128;
    default: return NULL;
    }
}

#define FILL(type)                                                                                           \
    do {                                                                                                     \
        type value = *(const type *)x, *out = y;                                                             \
        for (int64_t i = 0; i < n; i++) out[i] = value;                                                      \
    } while (0)

void hone_fill(const void *x, size_t size, void *y, int64_t n) {
    switch (size) {
    case 1: memset(y, *(const uint8_t *)x, (size_t)n); break;
    case 2: FILL(uint16_t); break;
    case 4: FILL(uint32_t); break;
    case 8: FILL(uint64_t); break;
    case 16: FILL(struct pair); break;
    default: break;
    }
}

#define LOOKUP(type)                                                                                         \
    for (int64_t i = 0; i < n; i++) ((type *)y)[i] = ((const type *)table)[x[i]]

void hone_lookup(const void *table, size_t size, const uint8_t *x, void *y, int64_t n) {
    switch (size) {
    case 1: LOOKUP(uint8_t); break;
    case 2: LOOKUP(uint16_t); break;
    case 4: LOOKUP(uint32_t); break;
    default: LOOKUP(uint64_t);
    }
}
