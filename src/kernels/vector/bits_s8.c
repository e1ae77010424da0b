#include "kernels/vec_bytes.h"

/* Pairs of products of codes below 16 and bytes fit into 16 bits, and so do eight such pairs. */
#if defined(HONE_ISA_v4)
#define BITS_ROWS 4
#define BITS_DOT(sum, codes, a)                                                                              \
    ((vec_i32)_mm512_add_epi16((__m512i)(sum), _mm512_maddubs_epi16((__m512i)(codes), (__m512i)(a))))
#define BITS_SUM(sum) ((vec_i32)_mm512_madd_epi16((__m512i)(sum), _mm512_set1_epi16(1)))
#elif defined(HONE_ISA_v3)
#define BITS_ROWS 2
#define BITS_DOT(sum, codes, a)                                                                              \
    ((vec_i32)_mm256_add_epi16((__m256i)(sum), _mm256_maddubs_epi16((__m256i)(codes), (__m256i)(a))))
#define BITS_SUM(sum) ((vec_i32)_mm256_madd_epi16((__m256i)(sum), _mm256_set1_epi16(1)))
#elif defined(HONE_ISA_v2)
#define BITS_ROWS 2
#define BITS_DOT(sum, codes, a)                                                                              \
    ((vec_i32)_mm_add_epi16((__m128i)(sum), _mm_maddubs_epi16((__m128i)(codes), (__m128i)(a))))
#define BITS_SUM(sum) ((vec_i32)_mm_madd_epi16((__m128i)(sum), _mm_set1_epi16(1)))
#elif defined(HONE_ISA_neon)
#define BITS_ROWS 2
VEC_FN vec_i32 add_pairs(vec_i32 sum, int8x16_t codes, int8x16_t a) {
    const int16x8_t low = vmull_s8(vget_low_s8(codes), vget_low_s8(a)), high = vmull_high_s8(codes, a);
    return (vec_i32)vaddq_s16((int16x8_t)sum, vpaddq_s16(low, high));
}
#define BITS_DOT(sum, codes, a) add_pairs(sum, (int8x16_t)(codes), (int8x16_t)(a))
#define BITS_SUM(sum) ((vec_i32)vpaddlq_s16((int16x8_t)(sum)))
#else
#define BITS_ROWS 2
#define BITS_DOT(sum, codes, a) vec_dot_u8s8(sum, codes, a)
#define BITS_SUM(sum) (sum)
#endif

#include "kernels/bits_s8.inc.h"

#define LEAST 1e-30f /* what has no larger number in its block counts as 0: 127 / x is finite */

VEC_FN vec_f32 load(const float *p, int left) {
    return left >= VEC_F32 ? vec_load(p) : vec_load_n(p, left > 0 ? left : 0);
}

void HONE_ISA_NAME(bits_rows_s8)(const float *x, int64_t n, int64_t blocks, int block,
                                 const hone_bits_rows *y) {
    int8_t *values = y->values;
    for (int64_t b = 0; b < blocks; b++, x += block, values += block) {
        const int64_t left = n - b * block;
        const int count = left < block ? (int)left : block;
        vec_f32 most = vec_zero(), none = vec_zero(); /* NaN where x is NaN or infinite */
        for (int i = 0; i < count; i += VEC_F32) {
            const vec_f32 v = load(x + i, count - i);
            most = vec_max(vec_abs(v), most);
            none = none + v * 0.0f;
        }
        const float top = vec_reduce_max(most), inverse = top > LEAST ? 127 / top : 0;
        vec_i32 sum = vec_set1_i32(0);
        for (int i = 0; i < block; i += VEC_F32) {
            const vec_i32 v = vec_to_i32(load(x + i, count - i) * inverse);
            vec_store_s8(values + i, v);
            sum = vec_add_i32(sum, v);
        }
        y->scales[b] = (top > LEAST ? top / 127 : 0) + vec_reduce_add(none);
        y->sums[b] = (float)vec_reduce_add_i32(sum);
    }
}
