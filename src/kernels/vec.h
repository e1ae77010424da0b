/* The vector vocabulary: kernels in src/kernels/vector/ are written once against it and compiled for each ISA
 * level (HONE_ISA = generic, v2, v3, v4, neon; cmake/isa.cmake).
 *
 *   vec_f32, vec_i32   VEC_F32 lanes of float or int32: 4 (generic, v2, neon), 8 (v3), 16 (v4)
 *   vec_mask           one truth value a lane, made by comparisons and vec_mask_first
 *
 * They are GNU vectors, so + - * / on vec_f32 and & | ^ ~ on vec_i32 are written as operators; a scalar
 * operand is spread over the lanes. What the operators lack is below. Integer arithmetic goes through
 * functions, since it wraps.
 *
 * Memory is unaligned. Functions ending in _n take the first n lanes, 0 <= n <= VEC_F32: loads give zero in
 * the others, and no byte beyond the n-th element is touched. No vector type may cross a file boundary. */
#ifndef HONE_KERNELS_VEC_H
#define HONE_KERNELS_VEC_H

#include <stdint.h>
#include <string.h>

#ifndef HONE_ISA
#define HONE_ISA generic
#define HONE_ISA_generic 1
#endif
#if defined(HONE_ISA_v2) || defined(HONE_ISA_v3) || defined(HONE_ISA_v4)
#include <immintrin.h>
#elif defined(HONE_ISA_neon)
#include <arm_neon.h>
#endif

/* HONE_ISA_NAME(gemm_f32) is hone_gemm_f32_v3 in the file built for v3. */
#define HONE_ISA_JOIN_(fn, isa) hone_##fn##_##isa
#define HONE_ISA_JOIN(fn, isa) HONE_ISA_JOIN_(fn, isa)
#define HONE_ISA_NAME(fn) HONE_ISA_JOIN(fn, HONE_ISA)

#if defined(HONE_ISA_v4)
#define VEC_F32 16
#elif defined(HONE_ISA_v3)
#define VEC_F32 8
#else
#define VEC_F32 4
#endif

#define VEC_FN static inline __attribute__((always_inline, unused))
/* Before a loop with a constant count of at most 32: unrolls it whole, so that arrays of vectors stay in
 * registers. */
#ifdef __clang__
#define VEC_UNROLL _Pragma("unroll")
#else
#define VEC_UNROLL _Pragma("GCC unroll 32")
#endif

typedef float vec_f32 __attribute__((vector_size(4 * VEC_F32)));
typedef int32_t vec_i32 __attribute__((vector_size(4 * VEC_F32)));
typedef uint32_t vec_u32 __attribute__((vector_size(4 * VEC_F32)));
typedef float vec_f32_memory __attribute__((vector_size(4 * VEC_F32), aligned(4), may_alias));
typedef int32_t vec_i32_memory __attribute__((vector_size(4 * VEC_F32), aligned(4), may_alias));

#if defined(HONE_ISA_v4)
typedef __mmask16 vec_mask;
#else
typedef vec_i32 vec_mask; /* 0 or -1 */
#endif

/* --- making and looking at bits --- */

VEC_FN vec_f32 vec_set1(float x) {
    return x - (vec_f32){0};
}
VEC_FN vec_i32 vec_set1_i32(int32_t x) {
    return x - (vec_i32){0};
}
VEC_FN vec_f32 vec_zero(void) {
    return (vec_f32){0};
}
/* The same bits as the other type. */
VEC_FN vec_i32 vec_bits(vec_f32 x) {
    return (vec_i32)x;
}
VEC_FN vec_f32 vec_from_bits(vec_i32 x) {
    return (vec_f32)x;
}
/* 0, 1, 2, … */
VEC_FN vec_i32 vec_lanes(void) {
#if VEC_F32 == 16
    return (vec_i32){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif VEC_F32 == 8
    return (vec_i32){0, 1, 2, 3, 4, 5, 6, 7};
#else
    return (vec_i32){0, 1, 2, 3};
#endif
}

/* --- masks --- */

/* True in the first n lanes. */
VEC_FN vec_mask vec_mask_first(int n) {
#if defined(HONE_ISA_v4)
    return (vec_mask)((1u << n) - 1);
#else
    return vec_lanes() < vec_set1_i32(n);
#endif
}

/* a > b and so on; false where either is NaN, but vec_ne, which is then true. */
#if defined(HONE_ISA_v4)
VEC_FN vec_mask vec_gt(vec_f32 a, vec_f32 b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
}
VEC_FN vec_mask vec_ge(vec_f32 a, vec_f32 b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GE_OQ);
}
VEC_FN vec_mask vec_eq(vec_f32 a, vec_f32 b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ);
}
VEC_FN vec_mask vec_ne(vec_f32 a, vec_f32 b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_NEQ_UQ);
}
VEC_FN vec_mask vec_gt_i32(vec_i32 a, vec_i32 b) {
    return _mm512_cmpgt_epi32_mask((__m512i)a, (__m512i)b);
}
VEC_FN vec_mask vec_eq_i32(vec_i32 a, vec_i32 b) {
    return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
}
VEC_FN vec_mask vec_mask_not(vec_mask m) {
    return (vec_mask)~m;
}
VEC_FN int vec_mask_any(vec_mask m) {
    return m != 0;
}
#else
VEC_FN vec_mask vec_gt(vec_f32 a, vec_f32 b) {
    return a > b;
}
VEC_FN vec_mask vec_ge(vec_f32 a, vec_f32 b) {
    return a >= b;
}
VEC_FN vec_mask vec_eq(vec_f32 a, vec_f32 b) {
    return a == b;
}
VEC_FN vec_mask vec_ne(vec_f32 a, vec_f32 b) {
    return a != b;
}
VEC_FN vec_mask vec_gt_i32(vec_i32 a, vec_i32 b) {
    return a > b;
}
VEC_FN vec_mask vec_eq_i32(vec_i32 a, vec_i32 b) {
    return a == b;
}
VEC_FN vec_mask vec_mask_not(vec_mask m) {
    return ~m;
}
VEC_FN int vec_mask_any(vec_mask m) {
#if defined(HONE_ISA_v3)
    return _mm256_movemask_ps((__m256)m) != 0;
#elif defined(HONE_ISA_v2)
    return _mm_movemask_ps((__m128)m) != 0;
#elif defined(HONE_ISA_neon)
    return vmaxvq_u32((uint32x4_t)m) != 0;
#else
    return (m[0] | m[1] | m[2] | m[3]) != 0;
#endif
}
#endif
VEC_FN vec_mask vec_mask_and(vec_mask a, vec_mask b) {
    return (vec_mask)(a & b);
}
VEC_FN vec_mask vec_mask_or(vec_mask a, vec_mask b) {
    return (vec_mask)(a | b);
}
VEC_FN vec_mask vec_is_nan(vec_f32 x) {
    return vec_ne(x, x);
}

/* m ? a : b in each lane. */
VEC_FN vec_i32 vec_select_i32(vec_mask m, vec_i32 a, vec_i32 b) {
#if defined(HONE_ISA_v4)
    return (vec_i32)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a);
#elif defined(HONE_ISA_v3)
    return (vec_i32)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)m);
#elif defined(HONE_ISA_v2)
    return (vec_i32)_mm_blendv_epi8((__m128i)b, (__m128i)a, (__m128i)m);
#elif defined(HONE_ISA_neon)
    return (vec_i32)vbslq_s32((uint32x4_t)m, (int32x4_t)a, (int32x4_t)b);
#else
    return (a & m) | (b & ~m);
#endif
}
VEC_FN vec_f32 vec_select(vec_mask m, vec_f32 a, vec_f32 b) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a);
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_blendv_ps((__m256)b, (__m256)a, (__m256)m);
#elif defined(HONE_ISA_v2)
    return (vec_f32)_mm_blendv_ps((__m128)b, (__m128)a, (__m128)m);
#else
    return vec_from_bits(vec_select_i32(m, vec_bits(a), vec_bits(b)));
#endif
}
/* m ? 1 : 0 */
VEC_FN vec_f32 vec_mask_to_f32(vec_mask m) {
    return vec_select(m, vec_set1(1.0f), vec_zero());
}

/* --- memory --- */

VEC_FN vec_f32 vec_load(const float *p) {
    return *(const vec_f32_memory *)p;
}
VEC_FN void vec_store(float *p, vec_f32 x) {
    *(vec_f32_memory *)p = x;
}
VEC_FN vec_i32 vec_load_i32(const int32_t *p) {
    return *(const vec_i32_memory *)p;
}
VEC_FN void vec_store_i32(int32_t *p, vec_i32 x) {
    *(vec_i32_memory *)p = x;
}

#if VEC_F32 == 4
/* A switch, since `n` is the same all through a loop and so the branch is free. */
#define VEC_FIRST_OF_4_(x, p, n, load)                                                                       \
    switch (n) {                                                                                             \
    case 4: x = load(p); break;                                                                              \
    case 3: x[2] = (p)[2]; __attribute__((fallthrough));                                                     \
    case 2: x[1] = (p)[1]; __attribute__((fallthrough));                                                     \
    case 1: x[0] = (p)[0];                                                                                   \
    }
#define VEC_STORE_FIRST_OF_4_(p, x, n, store)                                                                \
    switch (n) {                                                                                             \
    case 4: store(p, x); break;                                                                              \
    case 3: (p)[2] = x[2]; __attribute__((fallthrough));                                                     \
    case 2: (p)[1] = x[1]; __attribute__((fallthrough));                                                     \
    case 1: (p)[0] = x[0];                                                                                   \
    }
#endif
VEC_FN vec_i32 vec_load_i32_n(const int32_t *p, int n) {
#if defined(HONE_ISA_v4)
    return (vec_i32)_mm512_maskz_loadu_epi32(vec_mask_first(n), p);
#elif defined(HONE_ISA_v3)
    return (vec_i32)_mm256_maskload_epi32((const int *)p, (__m256i)vec_mask_first(n));
#else
    vec_i32 x = {0};
    VEC_FIRST_OF_4_(x, p, n, vec_load_i32)
    return x;
#endif
}
VEC_FN void vec_store_i32_n(int32_t *p, vec_i32 x, int n) {
#if defined(HONE_ISA_v4)
    _mm512_mask_storeu_epi32(p, vec_mask_first(n), (__m512i)x);
#elif defined(HONE_ISA_v3)
    _mm256_maskstore_epi32((int *)p, (__m256i)vec_mask_first(n), (__m256i)x);
#elif defined(HONE_ISA_neon)
    VEC_STORE_FIRST_OF_4_(p, x, n, vec_store_i32)
#else
    for (int i = 0; i < n; i++) p[i] = x[i];
#endif
}
VEC_FN vec_f32 vec_load_n(const float *p, int n) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_maskz_loadu_ps(vec_mask_first(n), p);
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_maskload_ps(p, (__m256i)vec_mask_first(n));
#else
    vec_f32 x = {0};
    VEC_FIRST_OF_4_(x, p, n, vec_load)
    return x;
#endif
}
VEC_FN void vec_store_n(float *p, vec_f32 x, int n) {
#if defined(HONE_ISA_v4)
    _mm512_mask_storeu_ps(p, vec_mask_first(n), (__m512)x);
#elif defined(HONE_ISA_v3)
    _mm256_maskstore_ps(p, (__m256i)vec_mask_first(n), (__m256)x);
#elif defined(HONE_ISA_neon)
    VEC_STORE_FIRST_OF_4_(p, x, n, vec_store)
#else
    for (int i = 0; i < n; i++) p[i] = x[i];
#endif
}

/* VEC_F32 bytes to int32 lanes. */
VEC_FN vec_i32 vec_load_u8(const uint8_t *p) {
#if defined(HONE_ISA_v4)
    return (vec_i32)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif defined(HONE_ISA_v3)
    return (vec_i32)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
#elif defined(HONE_ISA_v2)
    int32_t four;
    memcpy(&four, p, 4);
    return (vec_i32)_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
#elif defined(HONE_ISA_neon)
    uint32_t four;
    memcpy(&four, p, 4);
    return (vec_i32)vmovl_u16(vget_low_u16(vmovl_u8((uint8x8_t)vdup_n_u32(four))));
#else
    return (vec_i32){p[0], p[1], p[2], p[3]};
#endif
}
VEC_FN vec_i32 vec_load_s8(const int8_t *p) {
#if defined(HONE_ISA_v4)
    return (vec_i32)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
#elif defined(HONE_ISA_v3)
    return (vec_i32)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
#elif defined(HONE_ISA_v2)
    int32_t four;
    memcpy(&four, p, 4);
    return (vec_i32)_mm_cvtepi8_epi32(_mm_cvtsi32_si128(four));
#elif defined(HONE_ISA_neon)
    uint32_t four;
    memcpy(&four, p, 4);
    return (vec_i32)vmovl_s16(vget_low_s16(vmovl_s8((int8x8_t)vdup_n_u32(four))));
#else
    return (vec_i32){p[0], p[1], p[2], p[3]};
#endif
}
VEC_FN vec_i32 vec_load_u8_n(const uint8_t *p, int n) {
#if defined(HONE_ISA_v4)
    return (vec_i32)_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(vec_mask_first(n), p));
#else
    uint8_t bytes[VEC_F32] = {0};
    for (int i = 0; i < n; i++) bytes[i] = p[i];
    return vec_load_u8(bytes);
#endif
}
VEC_FN vec_i32 vec_load_s8_n(const int8_t *p, int n) {
#if defined(HONE_ISA_v4)
    return (vec_i32)_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(vec_mask_first(n), p));
#else
    int8_t bytes[VEC_F32] = {0};
    for (int i = 0; i < n; i++) bytes[i] = p[i];
    return vec_load_s8(bytes);
#endif
}

/* --- arithmetic --- */

/* a * b + c: rounded once on v3, v4 and neon, twice below. */
VEC_FN vec_f32 vec_fma(vec_f32 a, vec_f32 b, vec_f32 c) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(HONE_ISA_neon)
    return (vec_f32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}
/* a < b ? a : b and a > b ? a : b: `b` where either is NaN. */
VEC_FN vec_f32 vec_min(vec_f32 a, vec_f32 b) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(HONE_ISA_v2)
    return (vec_f32)_mm_min_ps((__m128)a, (__m128)b);
#else
    return vec_select(b > a, a, b);
#endif
}
VEC_FN vec_f32 vec_max(vec_f32 a, vec_f32 b) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(HONE_ISA_v2)
    return (vec_f32)_mm_max_ps((__m128)a, (__m128)b);
#else
    return vec_select(a > b, a, b);
#endif
}
/* x clamp(x slope + offset, 0, 1) */
VEC_FN vec_f32 vec_ramp(vec_f32 x, float slope, float offset) {
    const vec_f32 line = vec_fma(x, vec_set1(slope), vec_set1(offset));
    return x * vec_max(vec_min(line, vec_set1(1)), vec_zero());
}
VEC_FN vec_f32 vec_neg(vec_f32 x) {
    return vec_from_bits(vec_bits(x) ^ INT32_MIN);
}
VEC_FN vec_f32 vec_abs(vec_f32 x) {
    return vec_from_bits(vec_bits(x) & INT32_MAX);
}
/* |x| with the sign of s. */
VEC_FN vec_f32 vec_copysign(vec_f32 x, vec_f32 s) {
    return vec_from_bits((vec_bits(x) & INT32_MAX) | (vec_bits(s) & INT32_MIN));
}
VEC_FN vec_f32 vec_sqrt(vec_f32 x) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_sqrt_ps((__m512)x);
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_sqrt_ps((__m256)x);
#elif defined(HONE_ISA_v2)
    return (vec_f32)_mm_sqrt_ps((__m128)x);
#elif defined(HONE_ISA_neon)
    return (vec_f32)vsqrtq_f32((float32x4_t)x);
#else
    for (int i = 0; i < VEC_F32; i++) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}
/* To an integer: half to even, down, up. Signs of zeros and NaN are kept. */
VEC_FN vec_f32 vec_round(vec_f32 x) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(HONE_ISA_v2)
    return (vec_f32)_mm_round_ps((__m128)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif defined(HONE_ISA_neon)
    return (vec_f32)vrndnq_f32((float32x4_t)x);
#else
    const vec_f32 whole = vec_set1(8388608.0f); /* 2^23: from there on floats are integers */
    vec_f32 a = vec_abs(x);
    return vec_select(a < whole, vec_copysign((a + whole) - whole, x), x);
#endif
}
VEC_FN vec_f32 vec_floor(vec_f32 x) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_floor_ps((__m256)x);
#elif defined(HONE_ISA_v2)
    return (vec_f32)_mm_floor_ps((__m128)x);
#elif defined(HONE_ISA_neon)
    return (vec_f32)vrndmq_f32((float32x4_t)x);
#else
    vec_f32 r = vec_round(x);
    return vec_copysign(r - vec_mask_to_f32(r > x), x);
#endif
}
VEC_FN vec_f32 vec_ceil(vec_f32 x) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC);
#elif defined(HONE_ISA_v3)
    return (vec_f32)_mm256_ceil_ps((__m256)x);
#elif defined(HONE_ISA_v2)
    return (vec_f32)_mm_ceil_ps((__m128)x);
#elif defined(HONE_ISA_neon)
    return (vec_f32)vrndpq_f32((float32x4_t)x);
#else
    vec_f32 r = vec_round(x);
    return vec_copysign(r + vec_mask_to_f32(r < x), x);
#endif
}
VEC_FN vec_f32 vec_from_i32(vec_i32 x) {
    return __builtin_convertvector(x, vec_f32);
}
/* To int32, half to even. The caller clamps: what is outside int32 (or NaN) gives an unspecified value. */
VEC_FN vec_i32 vec_to_i32(vec_f32 x) {
#if defined(HONE_ISA_v4)
    return (vec_i32)_mm512_cvtps_epi32((__m512)x);
#elif defined(HONE_ISA_v3)
    return (vec_i32)_mm256_cvtps_epi32((__m256)x);
#elif defined(HONE_ISA_v2)
    return (vec_i32)_mm_cvtps_epi32((__m128)x);
#elif defined(HONE_ISA_neon)
    return (vec_i32)vcvtnq_s32_f32((float32x4_t)x);
#else
    return __builtin_convertvector(vec_round(x), vec_i32);
#endif
}

/* Wrapping integer arithmetic. */
VEC_FN vec_i32 vec_add_i32(vec_i32 a, vec_i32 b) {
    return (vec_i32)((vec_u32)a + (vec_u32)b);
}
VEC_FN vec_i32 vec_sub_i32(vec_i32 a, vec_i32 b) {
    return (vec_i32)((vec_u32)a - (vec_u32)b);
}
VEC_FN vec_i32 vec_mul_i32(vec_i32 a, vec_i32 b) {
    return (vec_i32)((vec_u32)a * (vec_u32)b);
}
VEC_FN vec_i32 vec_shl_i32(vec_i32 x, int bits) {
    return (vec_i32)((vec_u32)x << (uint32_t)bits);
}
VEC_FN vec_i32 vec_shr_i32(vec_i32 x, int bits) {
    return x >> bits;
} /* arithmetic */
VEC_FN vec_i32 vec_shr_u32(vec_i32 x, int bits) {
    return (vec_i32)((vec_u32)x >> (uint32_t)bits);
} /* logical */
VEC_FN vec_i32 vec_min_i32(vec_i32 a, vec_i32 b) {
    return vec_select_i32(vec_gt_i32(a, b), b, a);
}
VEC_FN vec_i32 vec_max_i32(vec_i32 a, vec_i32 b) {
    return vec_select_i32(vec_gt_i32(a, b), a, b);
}

/* 2^n for n in [-126, 127]. */
VEC_FN vec_f32 vec_pow2(vec_i32 n) {
    return vec_from_bits(vec_shl_i32(vec_add_i32(n, vec_set1_i32(127)), 23));
}
/* x * 2^n for integral n in [-252, 254]; denormal results are rounded at most twice. */
VEC_FN vec_f32 vec_ldexp(vec_f32 x, vec_f32 n) {
#if defined(HONE_ISA_v4)
    return (vec_f32)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
    vec_i32 whole = vec_to_i32(n), half = vec_shr_i32(whole, 1);
    return x * vec_pow2(half) * vec_pow2(vec_sub_i32(whole, half));
#endif
}

/* --- across lanes --- */

/* Halves against halves: lane i with lane i + n/2, down to one. The order depends on VEC_F32 alone. */
#define VEC_REDUCE_(name, combine)                                                                           \
    VEC_FN float name(vec_f32 x) {                                                                           \
        float lane[VEC_F32];                                                                                 \
        vec_store(lane, x);                                                                                  \
        VEC_UNROLL                                                                                           \
        for (int half = VEC_F32 / 2; half > 0; half /= 2) {                                                  \
            VEC_UNROLL                                                                                       \
            for (int i = 0; i < half; i++) lane[i] = combine(lane[i], lane[i + half]);                       \
        }                                                                                                    \
        return lane[0];                                                                                      \
    }
#if !defined(HONE_ISA_v3) && !defined(HONE_ISA_v4)
#define VEC_PLUS_(a, b) ((a) + (b))
#define VEC_LESS_(a, b) ((a) < (b) ? (a) : (b))
#define VEC_MORE_(a, b) ((a) > (b) ? (a) : (b))
VEC_REDUCE_(vec_reduce_add, VEC_PLUS_)
VEC_REDUCE_(vec_reduce_min, VEC_LESS_)
VEC_REDUCE_(vec_reduce_max, VEC_MORE_)
#undef VEC_PLUS_
#undef VEC_LESS_
#undef VEC_MORE_
#else
#undef VEC_REDUCE_
VEC_FN __m256 vec_upper_half_(vec_f32 x) {
#if defined(HONE_ISA_v4)
    return _mm512_extractf32x8_ps((__m512)x, 1);
#else
    return (__m256)x;
#endif
}
#define VEC_REDUCE_(name, op)                                                                                \
    VEC_FN float name(vec_f32 x) {                                                                           \
        __m256 w = vec_upper_half_(x);                                                                       \
        VEC_REDUCE_16_(w, x, op)                                                                             \
        __m128 v = _mm_##op##_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));                    \
        v = _mm_##op##_ps(v, _mm_movehl_ps(v, v));                                                           \
        return _mm_cvtss_f32(_mm_##op##_ss(v, _mm_shuffle_ps(v, v, 1)));                                     \
    }
#if defined(HONE_ISA_v4)
#define VEC_REDUCE_16_(w, x, op) w = _mm256_##op##_ps(_mm512_castps512_ps256((__m512)x), w);
#else
#define VEC_REDUCE_16_(w, x, op)
#endif
VEC_REDUCE_(vec_reduce_add, add)
VEC_REDUCE_(vec_reduce_min, min)
VEC_REDUCE_(vec_reduce_max, max)
#undef VEC_REDUCE_16_
#endif
#undef VEC_REDUCE_
/* Wrapping sum of the lanes. */
VEC_FN int32_t vec_reduce_add_i32(vec_i32 x) {
    uint32_t sum = 0;
    for (int i = 0; i < VEC_F32; i++) sum += (uint32_t)x[i];
    return (int32_t)sum;
}

/* --- tables, caches --- */

#if defined(HONE_ISA_v4)
/* table[i] in each lane, i being the lowest 4 bits of the lane's index. */
VEC_FN vec_f32 vec_of_16(vec_f32 table, vec_i32 index) {
    return (vec_f32)_mm512_permutexvar_ps((__m512i)index, (__m512)table);
}
#endif

/* Fetches the cache line at p; p need not be valid. */
VEC_FN void vec_prefetch(const void *p) {
    __builtin_prefetch(p, 0, 3);
}
/* The same into the second-level cache only. */
VEC_FN void vec_prefetch_far(const void *p) {
    __builtin_prefetch(p, 0, 2);
}

#endif
