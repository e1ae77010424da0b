/* The integer GEMM where there is no dot product of bytes: pairs of k as 16 bits, multiplied and added by
 * pmaddwd. pmaddubsw would take bytes but saturates. On NEON a product of u8 and s8 fits into 16 bits. */
#include "kernels/vec.h"

#define GEMM_GROUP 2
#define GEMM_ROWS 6
#if VEC_F32 == 16
#define GEMM_VECTORS 4
#define GEMM_NANOSECONDS 0.008f
#elif VEC_F32 == 8
#define GEMM_VECTORS 2
#define GEMM_NANOSECONDS 0.015f
#elif defined(HONE_ISA_v2) || defined(HONE_ISA_neon)
#define GEMM_VECTORS 2
#define GEMM_NANOSECONDS 0.03f
#else
#define GEMM_VECTORS 2
#define GEMM_NANOSECONDS 0.15f
#endif

VEC_FN vec_i32 load_b(const int8_t *p) {
#if defined(HONE_ISA_v4)
    return (vec_i32)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
#elif defined(HONE_ISA_v3)
    return (vec_i32)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
#elif defined(HONE_ISA_v2)
    return (vec_i32)_mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)p));
#elif defined(HONE_ISA_neon)
    return (vec_i32)vmovl_s8(vld1_s8(p));
#else
    vec_i32 x;
    for (int lane = 0; lane < VEC_F32; lane++)
        x[lane] = (int32_t)((uint16_t)p[2 * lane] | (uint32_t)p[2 * lane + 1] << 16);
    return x;
#endif
}

VEC_FN vec_i32 dot(vec_i32 sum, vec_i32 a, vec_i32 b) {
#if defined(HONE_ISA_v4)
    return vec_add_i32(sum, (vec_i32)_mm512_madd_epi16((__m512i)a, (__m512i)b));
#elif defined(HONE_ISA_v3)
    return vec_add_i32(sum, (vec_i32)_mm256_madd_epi16((__m256i)a, (__m256i)b));
#elif defined(HONE_ISA_v2)
    return vec_add_i32(sum, (vec_i32)_mm_madd_epi16((__m128i)a, (__m128i)b));
#elif defined(HONE_ISA_neon)
    return (vec_i32)vpadalq_s16((int32x4_t)sum, vmulq_s16((int16x8_t)a, (int16x8_t)b));
#else
    vec_i32 low = vec_mul_i32(a & 0xffff, vec_shr_i32(vec_shl_i32(b, 16), 16));
    return vec_add_i32(sum, vec_add_i32(low, vec_mul_i32(vec_shr_i32(a, 16), vec_shr_i32(b, 16))));
#endif
}

#include "kernels/gemm_u8s8.inc.h"
