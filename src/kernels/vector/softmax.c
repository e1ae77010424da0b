#include "kernels/levels.h"
#include "kernels/vec_math.h"

static float max_of(const float *x, int64_t n) {
    vec_f32 max = vec_set1(x[0]);
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) max = vec_max(max, vec_load(x + i));
    if (i < n) {
        int rest = (int)(n - i);
        max = vec_max(max, vec_select(vec_mask_first(rest), vec_load_n(x + i, rest), max));
    }
    return vec_reduce_max(max);
}

/* e^x of x <= 0, but 0 below -80: beside the 1 of the largest nobody sees what is less, and neither it nor its share becomes
 * subnormal, which costs a CPU some hundred times as much. */
VEC_FN vec_f32 exp_of(vec_f32 x) {
    const vec_f32 least = vec_set1(-80.0f);
    return vec_select(vec_gt(least, x), vec_zero(), vec_exp_small_(vec_max(least, x)));
}

/* The sum of e^(x - max), which also goes to y unless that is NULL. */
VEC_FN float sum_of_exp(const float *x, float max, float *y, int64_t n) {
    vec_f32 sum = vec_zero();
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) {
        vec_f32 e = exp_of(vec_load(x + i) - max);
        if (y) vec_store(y + i, e);
        sum = sum + e;
    }
    if (i < n) {
        int rest = (int)(n - i);
        vec_f32 e = exp_of(vec_load_n(x + i, rest) - max);
        if (y) vec_store_n(y + i, e, rest);
        sum = sum + vec_select(vec_mask_first(rest), e, vec_zero());
    }
    return vec_reduce_add(sum);
}

void HONE_ISA_NAME(softmax_f32)(const float *x, float *y, int64_t n) {
    if (n == 0) return;
    const float scale = 1.0f / sum_of_exp(x, max_of(x, n), y, n);
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) vec_store(y + i, vec_load(y + i) * scale);
    if (i < n) vec_store_n(y + i, vec_load_n(y + i, (int)(n - i)) * scale, (int)(n - i));
}

void HONE_ISA_NAME(log_softmax_f32)(const float *x, float *y, int64_t n) {
    if (n == 0) return;
    const float max = max_of(x, n);
    const vec_f32 log_sum = vec_log(vec_set1(sum_of_exp(x, max, NULL, n)));
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) vec_store(y + i, vec_load(x + i) - max - log_sum);
    if (i < n) vec_store_n(y + i, vec_load_n(x + i, (int)(n - i)) - max - log_sum, (int)(n - i));
}
