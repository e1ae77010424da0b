#include "kernels/levels.h"
#include "kernels/vec.h"

#include <stddef.h>

/* One row of weights of 4 bits against some rows of A. Blocks start at even elements, so that the low halves of bytes meet
 * the first half of A's block as it was laid out, and the high halves the second. */
VEC_FN void row(const hone_nbits *p, const uint8_t *b, const float *scale, const float *a, int64_t a_row,
                float *y, int64_t y_row, const int count) {
    const int half = p->block / 2;
    vec_f32 sum[4];
    VEC_UNROLL
    for (int i = 0; i < count; i++) sum[i] = vec_zero();
    for (int64_t block = 0; block < p->blocks; block++, b += half, a += p->block) {
        vec_f32 part[4];
        VEC_UNROLL
        for (int i = 0; i < count; i++) part[i] = vec_zero();
        for (int l = 0; l < half; l += VEC_F32) {
            const bool whole = l + VEC_F32 <= half;
            vec_i32 bytes = whole ? vec_load_u8(b + l) : vec_load_u8_n(b + l, half - l);
            vec_f32 low = vec_from_i32(bytes & vec_set1_i32(15)), high = vec_from_i32(vec_shr_u32(bytes, 4));
            VEC_UNROLL
            for (int i = 0; i < count; i++) {
                const float *x = a + i * a_row + l;
                vec_f32 first = whole ? vec_load(x) : vec_load_n(x, half - l);
                vec_f32 second = whole ? vec_load(x + half) : vec_load_n(x + half, half - l);
                part[i] = vec_fma(high, second, vec_fma(low, first, part[i]));
            }
        }
        VEC_UNROLL
        for (int i = 0; i < count; i++) sum[i] = vec_fma(part[i], vec_set1(scale[block]), sum[i]);
    }
    VEC_UNROLL
    for (int i = 0; i < count; i++) y[i * y_row] = vec_reduce_add(sum[i]);
}

void HONE_ISA_NAME(bits4_rows_f32)(const hone_nbits *p, const uint8_t *b, const float *scale, const float *a,
                                   int64_t rows, float *y, int64_t y_row) {
    const int64_t a_row = p->blocks * p->block;
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) row(p, b, scale, a + i * a_row, a_row, y + i * y_row, y_row, 4);
    for (; i < rows; i++) row(p, b, scale, a + i * a_row, a_row, y + i * y_row, y_row, 1);
}
