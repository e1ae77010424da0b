/* Loads of a part of a vector's lanes, beyond kernels/vec.h: what windows at the edge of an image need. No byte of the other
 * lanes is touched, and they become zero. */
#ifndef HONE_KERNELS_VEC_RANGE_H
#define HONE_KERNELS_VEC_RANGE_H

#include "kernels/vec.h"

/* Lanes [lo, hi) of p[0], p[1], … */
VEC_FN vec_f32 vec_load_range(const float *p, int lo, int hi) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_maskz_loadu_ps((__mmask16)(vec_mask_first(hi) & ~vec_mask_first(lo)), p);
#elif defined(HONE_ISA_v3)
    const vec_i32 lane = vec_lanes();
    return (vec_f32)_mm256_maskload_ps(p, (__m256i)((lane < vec_set1_i32(hi)) & ~(lane < vec_set1_i32(lo))));
#else
    vec_f32 x = {0};
    for (int i = lo; i < hi; i++) x[i] = p[i];
    return x;
#endif
}
/* Lanes [lo, hi) of p[0], p[step], p[2 step], … */
VEC_FN vec_f32 vec_load_step_range(const float *p, int64_t step, int lo, int hi) {
    float x[VEC_F32] = {0};
    for (int i = lo; i < hi; i++) x[i] = p[i * step];
    return vec_load(x);
}
/* Every second element of a and, from its second one on, of b, which begins where a ends. */
VEC_FN vec_f32 vec_every_second(vec_f32 a, vec_f32 b) {
#if VEC_F32 == 16
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
#elif VEC_F32 == 8
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 9, 11, 13, 15);
#else
    return __builtin_shufflevector(a, b, 0, 2, 5, 7);
#endif
}
/* All lanes of p[0], p[2], p[4], …, and nothing behind the last one. */
VEC_FN vec_f32 vec_load_step_2(const float *p) {
    return vec_every_second(vec_load(p), vec_load(p + VEC_F32 - 1));
}
/* Lanes [lo, hi) of the same. */
VEC_FN vec_f32 vec_load_step_2_range(const float *p, int lo, int hi) {
    const int first = 2 * lo, end = 2 * hi - 1, last = VEC_F32 - 1; /* of the elements, and b's first one */
    const vec_f32 a = vec_load_range(p, first < VEC_F32 ? first : VEC_F32, end < VEC_F32 ? end : VEC_F32);
    const int b_end = end > last ? end - last : 0, b_first = first > last ? first - last : 0;
    return vec_every_second(a, vec_load_range(p + last, b_first, b_end));
}

/* Lanes [lo, hi) of p[0], p[step], …; where `step` is a constant, by the best way there is. */
VEC_FN vec_f32 vec_load_lanes(const float *p, const int64_t step, int lo, int hi) {
    if (hi - lo == VEC_F32 && step == 1) return vec_load(p);
    if (hi - lo == VEC_F32 && step == 2) return vec_load_step_2(p);
    if (hi <= lo) return vec_zero();
    if (step == 1) return vec_load_range(p, lo, hi);
    if (step == 2) return vec_load_step_2_range(p, lo, hi);
    return vec_load_step_range(p, step, lo, hi);
}

#endif
