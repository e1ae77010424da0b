/* Half precision to and from the lanes of kernels/vec.h. */
#ifndef HONE_KERNELS_VEC_HALF_H
#define HONE_KERNELS_VEC_HALF_H

#include "base/half.h"
#include "kernels/vec.h"

#if defined(HONE_ISA_v3) || defined(HONE_ISA_v4) || defined(HONE_ISA_neon)
#define VEC_HAS_F16 1 /* instructions for it */
#else
#define VEC_HAS_F16 0
#endif

VEC_FN vec_f32 vec_load_f16(const uint16_t *p) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
#elif defined(HONE_ISA_neon)
    return (vec_f32)vcvt_f32_f16((float16x4_t)vld1_u16(p));
#else
    vec_f32 x;
    for (int i = 0; i < VEC_F32; i++) x[i] = hone_float_of_half(p[i]);
    return x;
#endif
}

#if VEC_HAS_F16
VEC_FN void vec_store_f16(uint16_t *p, vec_f32 x) {
#if defined(HONE_ISA_v4)
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT));
#elif defined(HONE_ISA_v3)
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT));
#else
    vst1_u16(p, (uint16x4_t)vcvt_f16_f32((float32x4_t)x));
#endif
}
VEC_FN vec_f32 vec_load_f16_n(const uint16_t *p, int n) {
    uint16_t lane[VEC_F32] = {0};
    for (int i = 0; i < n; i++) lane[i] = p[i];
    return vec_load_f16(lane);
}
VEC_FN void vec_store_f16_n(uint16_t *p, vec_f32 x, int n) {
    uint16_t lane[VEC_F32];
    vec_store_f16(lane, x);
    for (int i = 0; i < n; i++) p[i] = lane[i];
}
#endif

#endif
