#include "kernels/levels.h"
#include "kernels/vec_range.h"

#include <math.h>

#define POOL_TYPE float
#define POOL_NOTHING(kind) ((kind) == HONE_POOL_MAX ? -INFINITY : 0)

VEC_FN vec_f32 term(const hone_pool_kind kind, double power, vec_f32 x) {
    switch (kind) {
    case HONE_POOL_NORM_1: return vec_abs(x);
    case HONE_POOL_NORM_2: return x * x;
    case HONE_POOL_NORM:
        for (int i = 0; i < VEC_F32; i++) x[i] = (float)pow(fabs((double)x[i]), power);
        return x;
    default: return x;
    }
}
VEC_FN vec_f32 both(const hone_pool_kind kind, vec_f32 sum, vec_f32 x) {
    return kind == HONE_POOL_MAX ? vec_max(x, sum) : sum + x;
}

/* begin_row and combine_row: the lanes behind n stay as they are. */
VEC_FN void add_row(const hone_pool_kind kind, double power, const float *x, float *t, int64_t n,
                    bool begin) {
    for (int64_t i = 0; i < n; i += VEC_F32) {
        const int lanes = n - i < VEC_F32 ? (int)(n - i) : VEC_F32;
        vec_f32 v = lanes < VEC_F32 ? vec_load_n(x + i, lanes) : vec_load(x + i);
        v = term(kind, power, v);
        if (begin && kind == HONE_POOL_MAX) v = vec_max(v, vec_set1(-INFINITY)); /* NaN goes */
        if (!begin) v = both(kind, vec_load(t + i), v);
        if (lanes < VEC_F32)
            vec_store_n(t + i, v, lanes);
        else
            vec_store(t + i, v);
    }
}
VEC_FN void begin_row(const hone_pool_kind kind, double power, const float *x, float *t, int64_t n) {
    add_row(kind, power, x, t, n, true);
}
VEC_FN void combine_row(const hone_pool_kind kind, double power, const float *x, float *t, int64_t n) {
    add_row(kind, power, x, t, n, false);
}

VEC_FN void windows_by(const hone_pool_kind kind, const float *t, float *y, int64_t n, const int64_t step,
                       int64_t taps, int64_t dilation) {
    for (int64_t i = 0; i < n; i += VEC_F32) {
        const int lanes = n - i < VEC_F32 ? (int)(n - i) : VEC_F32, loaded = step <= 2 ? VEC_F32 : lanes;
        const float *from = t + i * step;
        vec_f32 v = vec_load_lanes(from, step, 0, loaded);
        for (int64_t tap = 1; tap < taps; tap++)
            v = both(kind, v, vec_load_lanes(from + tap * dilation, step, 0, loaded));
        if (lanes < VEC_F32)
            vec_store_n(y + i, v, lanes);
        else
            vec_store(y + i, v);
    }
}
VEC_FN void windows_of(const hone_pool_kind kind, const float *t, float *y, int64_t n, int64_t step,
                       int64_t taps, int64_t dilation) {
    if (step == 1)
        windows_by(kind, t, y, n, 1, taps, dilation);
    else if (step == 2)
        windows_by(kind, t, y, n, 2, taps, dilation);
    else
        windows_by(kind, t, y, n, step, taps, dilation);
}

VEC_FN void finish_row(const hone_pool_kind kind, double power, float *y, int64_t n, int64_t rows,
                       const float *columns) {
    if (kind == HONE_POOL_MEAN)
        for (int64_t i = 0; i < n; i++) y[i] /= columns[i] * (float)rows;
    if (kind == HONE_POOL_NORM_2)
        for (int64_t i = 0; i < n; i++) y[i] = sqrtf(y[i]);
    if (kind == HONE_POOL_NORM)
        for (int64_t i = 0; i < n; i++) y[i] = (float)pow((double)y[i], 1 / power);
}

#include "kernels/pool.inc.h"

void HONE_ISA_NAME(pool_f32)(const hone_pool *p, const float *x, float *y, int64_t line0, int64_t line1,
                             float *room) {
    switch (p->kind) {
    case HONE_POOL_MAX: pool_lines(p, HONE_POOL_MAX, x, y, line0, line1, room); break;
    case HONE_POOL_MEAN: pool_lines(p, HONE_POOL_MEAN, x, y, line0, line1, room); break;
    case HONE_POOL_NORM_1: pool_lines(p, HONE_POOL_NORM_1, x, y, line0, line1, room); break;
    case HONE_POOL_NORM_2: pool_lines(p, HONE_POOL_NORM_2, x, y, line0, line1, room); break;
    case HONE_POOL_NORM: pool_lines(p, HONE_POOL_NORM, x, y, line0, line1, room);
    }
}

#define CHAINS 4 /* of sums, whose latency they hide */

VEC_FN float combine_all(const hone_pool_kind kind, double power, const float *x, int64_t n) {
    const vec_f32 nothing = vec_set1(POOL_NOTHING(kind));
    vec_f32 sum[CHAINS] = {nothing, nothing, nothing, nothing};
    int64_t i = 0;
    for (; i + CHAINS * VEC_F32 <= n; i += CHAINS * VEC_F32) {
        VEC_UNROLL
        for (int c = 0; c < CHAINS; c++)
            sum[c] = both(kind, sum[c], term(kind, power, vec_load(x + i + c * VEC_F32)));
    }
    for (; i < n; i += VEC_F32) {
        const int lanes = n - i < VEC_F32 ? (int)(n - i) : VEC_F32;
        const vec_f32 v = term(kind, power, vec_load_n(x + i, lanes));
        sum[0] = both(kind, sum[0], vec_select(vec_mask_first(lanes), v, nothing));
    }
    sum[0] = both(kind, both(kind, sum[0], sum[1]), both(kind, sum[2], sum[3]));
    return kind == HONE_POOL_MAX ? vec_reduce_max(sum[0]) : vec_reduce_add(sum[0]);
}

float HONE_ISA_NAME(pool_all_f32)(hone_pool_kind kind, double power, const float *x, int64_t n) {
    switch (kind) {
    case HONE_POOL_MAX: return combine_all(HONE_POOL_MAX, power, x, n);
    case HONE_POOL_MEAN: return combine_all(HONE_POOL_MEAN, power, x, n) / (float)n;
    case HONE_POOL_NORM_1: return combine_all(HONE_POOL_NORM_1, power, x, n);
    case HONE_POOL_NORM_2: return sqrtf(combine_all(HONE_POOL_NORM_2, power, x, n));
    default: return (float)pow((double)combine_all(HONE_POOL_NORM, power, x, n), 1 / power);
    }
}
