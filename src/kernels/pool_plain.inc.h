/* Pooling in plain C: kernels/pool.inc.h for POOL_TYPE, and maxima with their indices. Before including, define POOL_TYPE and
 * POOL_LEAST, below which nothing is. */
#include "kernels/image.h"

#include <math.h>

#define POOL_NOTHING(kind) ((kind) == HONE_POOL_MAX ? POOL_LEAST : 0)
#define POOL_INLINE static inline __attribute__((always_inline))

POOL_INLINE POOL_TYPE term(const hone_pool_kind kind, double power, POOL_TYPE x) {
    switch (kind) {
    case HONE_POOL_NORM_1: return (POOL_TYPE)fabs((double)x);
    case HONE_POOL_NORM_2: return (POOL_TYPE)(x * x);
    case HONE_POOL_NORM: return (POOL_TYPE)pow(fabs((double)x), power);
    default: return x;
    }
}
POOL_INLINE POOL_TYPE both(const hone_pool_kind kind, POOL_TYPE sum, POOL_TYPE x) {
    return kind == HONE_POOL_MAX ? (x > sum ? x : sum) : (POOL_TYPE)(sum + x);
}
POOL_INLINE void begin_row(const hone_pool_kind kind, double power, const POOL_TYPE *x, POOL_TYPE *t,
                           int64_t n) {
    for (int64_t i = 0; i < n; i++)
        t[i] = kind == HONE_POOL_MAX ? both(kind, POOL_LEAST, x[i]) : term(kind, power, x[i]);
}
POOL_INLINE void combine_row(const hone_pool_kind kind, double power, const POOL_TYPE *x, POOL_TYPE *t,
                             int64_t n) {
    for (int64_t i = 0; i < n; i++) t[i] = both(kind, t[i], term(kind, power, x[i]));
}
POOL_INLINE void windows_of(const hone_pool_kind kind, const POOL_TYPE *t, POOL_TYPE *y, int64_t n,
                            int64_t step, int64_t taps, int64_t dilation) {
    for (int64_t i = 0; i < n; i++) y[i] = t[i * step];
    for (int64_t tap = 1; tap < taps; tap++)
        for (int64_t i = 0; i < n; i++) y[i] = both(kind, y[i], t[i * step + tap * dilation]);
}
POOL_INLINE void finish_row(const hone_pool_kind kind, double power, POOL_TYPE *y, int64_t n, int64_t rows,
                            const POOL_TYPE *columns) {
    for (int64_t i = 0; i < n && kind == HONE_POOL_MEAN; i++)
        y[i] = (POOL_TYPE)(y[i] / (columns[i] * (POOL_TYPE)rows));
    for (int64_t i = 0; i < n && kind == HONE_POOL_NORM_2; i++) y[i] = (POOL_TYPE)sqrt((double)y[i]);
    for (int64_t i = 0; i < n && kind == HONE_POOL_NORM; i++) y[i] = (POOL_TYPE)pow((double)y[i], 1 / power);
}

#include "kernels/pool.inc.h"
