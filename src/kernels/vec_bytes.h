/* Bytes to and from the lanes of kernels/vec.h: numbers that are stored as bytes, and their dot products. */
#ifndef HONE_KERNELS_VEC_BYTES_H
#define HONE_KERNELS_VEC_BYTES_H

#include "kernels/vec.h"

/* The first n lanes, saturated to [0, 255] or [-128, 127]. */
VEC_FN void vec_store_u8_n(uint8_t *p, vec_i32 x, int n) {
    x = vec_min_i32(vec_max_i32(x, vec_set1_i32(0)), vec_set1_i32(255));
#if defined(HONE_ISA_v4)
    _mm512_mask_cvtepi32_storeu_epi8(p, vec_mask_first(n), (__m512i)x);
#else
    for (int i = 0; i < n; i++) p[i] = (uint8_t)x[i];
#endif
}
VEC_FN void vec_store_s8_n(int8_t *p, vec_i32 x, int n) {
    x = vec_min_i32(vec_max_i32(x, vec_set1_i32(-128)), vec_set1_i32(127));
#if defined(HONE_ISA_v4)
    _mm512_mask_cvtepi32_storeu_epi8(p, vec_mask_first(n), (__m512i)x);
#else
    for (int i = 0; i < n; i++) p[i] = (int8_t)x[i];
#endif
}
/* All lanes, saturated. */
VEC_FN void vec_store_u8(uint8_t *p, vec_i32 x) {
#if defined(HONE_ISA_v4)
    _mm_storeu_si128((__m128i *)p,
                     _mm512_cvtusepi32_epi8(_mm512_max_epi32((__m512i)x, _mm512_setzero_si512())));
#elif defined(HONE_ISA_v3)
    __m128i w = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packus_epi16(w, w));
#elif defined(HONE_ISA_v2)
    __m128i w = _mm_packs_epi32((__m128i)x, (__m128i)x);
    int32_t four = _mm_cvtsi128_si32(_mm_packus_epi16(w, w));
    memcpy(p, &four, 4);
#elif defined(HONE_ISA_neon)
    const int16x4_t w = vqmovn_s32((int32x4_t)x);
    const uint32_t four = vget_lane_u32((uint32x2_t)vqmovun_s16(vcombine_s16(w, w)), 0);
    memcpy(p, &four, 4);
#else
    vec_store_u8_n(p, x, VEC_F32);
#endif
}
VEC_FN void vec_store_s8(int8_t *p, vec_i32 x) {
#if defined(HONE_ISA_v4)
    _mm_storeu_si128((__m128i *)p, _mm512_cvtsepi32_epi8((__m512i)x));
#elif defined(HONE_ISA_v3)
    __m128i w = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(w, w));
#elif defined(HONE_ISA_v2)
    __m128i w = _mm_packs_epi32((__m128i)x, (__m128i)x);
    int32_t four = _mm_cvtsi128_si32(_mm_packs_epi16(w, w));
    memcpy(p, &four, 4);
#elif defined(HONE_ISA_neon)
    const int16x4_t w = vqmovn_s32((int32x4_t)x);
    const uint32_t four = vget_lane_u32((uint32x2_t)vqmovn_s16(vcombine_s16(w, w)), 0);
    memcpy(p, &four, 4);
#else
    vec_store_s8_n(p, x, VEC_F32);
#endif
}

/* The first n bytes of a vector, n <= 4 VEC_F32: in few pieces, since masks of bytes are slow to store through. */
VEC_FN void vec_store_bytes(uint8_t *p, vec_i32 x, int n) {
    uint8_t bytes[4 * VEC_F32];
    if (n == 4 * VEC_F32) {
        memcpy(p, &x, sizeof x);
        return;
    }
    memcpy(bytes, &x, sizeof x);
    int at = 0;
#define VEC_PIECE(size)                                                                                      \
    if ((size) < 4 * VEC_F32 && (n & (size))) {                                                              \
        memcpy(p + at, bytes + at, size);                                                                    \
        at += (size);                                                                                        \
    }
    VEC_PIECE(32)
    VEC_PIECE(16)
    VEC_PIECE(8)
    VEC_PIECE(4)
    VEC_PIECE(2)
    VEC_PIECE(1)
#undef VEC_PIECE
}

/* acc + the dot product of the four bytes in each lane, u8 in `a`, s8 in `b`: exact, wrapping only in the
 * int32 sum. Bytes are widened to 16 bits first, since vpmaddubsw saturates its pair sums. */
VEC_FN vec_i32 vec_dot_u8s8(vec_i32 acc, vec_i32 a, vec_i32 b) {
#if defined(HONE_ISA_v4)
    const __m512i low = _mm512_set1_epi16(255);
    __m512i even = _mm512_madd_epi16(_mm512_and_si512((__m512i)a, low),
                                     _mm512_srai_epi16(_mm512_slli_epi16((__m512i)b, 8), 8));
    __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16((__m512i)a, 8), _mm512_srai_epi16((__m512i)b, 8));
    return (vec_i32)_mm512_add_epi32((__m512i)acc, _mm512_add_epi32(even, odd));
#elif defined(HONE_ISA_v3)
    const __m256i low = _mm256_set1_epi16(255);
    __m256i even = _mm256_madd_epi16(_mm256_and_si256((__m256i)a, low),
                                     _mm256_srai_epi16(_mm256_slli_epi16((__m256i)b, 8), 8));
    __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16((__m256i)a, 8), _mm256_srai_epi16((__m256i)b, 8));
    return (vec_i32)_mm256_add_epi32((__m256i)acc, _mm256_add_epi32(even, odd));
#elif defined(HONE_ISA_v2)
    const __m128i low = _mm_set1_epi16(255);
    __m128i even =
        _mm_madd_epi16(_mm_and_si128((__m128i)a, low), _mm_srai_epi16(_mm_slli_epi16((__m128i)b, 8), 8));
    __m128i odd = _mm_madd_epi16(_mm_srli_epi16((__m128i)a, 8), _mm_srai_epi16((__m128i)b, 8));
    return (vec_i32)_mm_add_epi32((__m128i)acc, _mm_add_epi32(even, odd));
#elif defined(HONE_ISA_neon)
    /* A product of u8 and s8 fits into 16 bits. */
    const int16x8_t u = (int16x8_t)a, s = (int16x8_t)b, low = vdupq_n_s16(255);
    const int16x8_t even = vmulq_s16(vandq_s16(u, low), vshrq_n_s16(vshlq_n_s16(s, 8), 8)),
                    odd = vmulq_s16((int16x8_t)vshrq_n_u16((uint16x8_t)a, 8), vshrq_n_s16(s, 8));
    return (vec_i32)vpadalq_s16(vpadalq_s16((int32x4_t)acc, even), odd);
#else
    for (int byte = 0; byte < 4; byte++) {
        vec_i32 u = vec_shr_u32(a, 8 * byte) & 255, s = vec_shr_i32(vec_shl_i32(b, 24 - 8 * byte), 24);
        acc = vec_add_i32(acc, vec_mul_i32(u, s));
    }
    return acc;
#endif
}

/* Lanes as pairs of int16: the sum of both products. */
VEC_FN vec_i32 vec_dot_pairs(vec_i32 a, vec_i32 b) {
#if defined(HONE_ISA_v4)
    return (vec_i32)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(HONE_ISA_v3)
    return (vec_i32)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(HONE_ISA_v2)
    return (vec_i32)_mm_madd_epi16((__m128i)a, (__m128i)b);
#elif defined(HONE_ISA_neon)
    const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
    return (vec_i32)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
#else
    const vec_i32 low = vec_mul_i32(vec_shr_i32(vec_shl_i32(a, 16), 16), vec_shr_i32(vec_shl_i32(b, 16), 16));
    return vec_add_i32(low, vec_mul_i32(vec_shr_i32(a, 16), vec_shr_i32(b, 16)));
#endif
}

#endif
