#include "kernels/portable.h"

#include <hone/tensor.h>

#define TILE 256 /* columns whose best elements stay in the cache */

/* A NaN is better than any number, the first of them the best. */
#define EACH(better)                                                                                         \
    for (int64_t i = 1; i < n; i++)                                                                          \
        for (int64_t j = 0; j < columns; j++) {                                                              \
            bool take =                                                                                      \
                x[i * row + j] better best[j] || (x[i * row + j] != x[i * row + j] && best[j] == best[j]);   \
            best[j] = take ? x[i * row + j] : best[j];                                                       \
            y[j] = take ? i : y[j];                                                                          \
        }

#define ARG(id, type)                                                                                        \
    static void tile_##id(const type *x, int64_t n, int64_t columns, int64_t row, bool least, bool last,     \
                          int64_t *y) {                                                                      \
        type best[TILE];                                                                                     \
        for (int64_t j = 0; j < columns; j++) {                                                              \
            best[j] = x[j];                                                                                  \
            y[j] = 0;                                                                                        \
        }                                                                                                    \
        if (least && last)                                                                                   \
            EACH(<=)                                                                                         \
        else if (least)                                                                                      \
            EACH(<)                                                                                          \
        else if (last)                                                                                       \
            EACH(>=)                                                                                         \
        else                                                                                                 \
            EACH(>)                                                                                          \
    }
ARG(f32, float)
ARG(f64, double)
ARG(i32, int32_t)
ARG(i64, int64_t)
ARG(u32, uint32_t)
ARG(u64, uint64_t)

void hone_arg_rows(int dtype, const void *x, int64_t n, int64_t columns, int64_t row, bool least, bool last,
                   int64_t *y) {
    for (int64_t j = 0; j < columns; j += TILE) {
        const int64_t width = columns - j < TILE ? columns - j : TILE;
        switch ((hone_dtype)dtype) {
        case HONE_FLOAT32: tile_f32((const float *)x + j, n, width, row, least, last, y + j); break;
        case HONE_FLOAT64: tile_f64((const double *)x + j, n, width, row, least, last, y + j); break;
        case HONE_INT32: tile_i32((const int32_t *)x + j, n, width, row, least, last, y + j); break;
        case HONE_INT64: tile_i64((const int64_t *)x + j, n, width, row, least, last, y + j); break;
        case HONE_UINT32: tile_u32((const uint32_t *)x + j, n, width, row, least, last, y + j); break;
        case HONE_UINT64: tile_u64((const uint64_t *)x + j, n, width, row, least, last, y + j); break;
        default: break;
        }
    }
}
