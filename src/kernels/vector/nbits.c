#include "kernels/levels.h"
#include "kernels/vec.h"

#include <stddef.h>

#define USUAL_BLOCK 32                    /* of which the loops are known while compiling, for a row alone */
#define MOST_ROWS (VEC_F32 == 16 ? 6 : 4) /* that share the unpacked weights */

/* One row of weights of 4 bits against some rows of A. Blocks start at even elements, so that the low halves of bytes meet
 * the first half of A's block as it was laid out, and the high halves the second. */
VEC_FN void row(const hone_nbits *p, const uint8_t *b, const float *scale, const float *offset,
                const float *a, int64_t a_row, float *y, int64_t y_row, const int count, const int size) {
    const int half = size / 2;
    vec_f32 low[6], high[6];
    VEC_UNROLL
    for (int i = 0; i < count; i++) low[i] = high[i] = vec_zero();
    for (int64_t block = 0; block < p->blocks; block++, b += half, a += size) {
        const vec_f32 s = vec_set1(scale[block]), o = vec_set1(offset[block]);
        for (int l = 0; l < half; l += VEC_F32) {
            const bool whole = l + VEC_F32 <= half;
            const vec_i32 bytes = whole ? vec_load_u8(b + l) : vec_load_u8_n(b + l, half - l);
            const vec_f32 first = vec_fma(vec_from_i32(bytes & vec_set1_i32(15)), s, o),
                          second = vec_fma(vec_from_i32(vec_shr_u32(bytes, 4)), s, o);
            VEC_UNROLL
            for (int i = 0; i < count; i++) {
                const float *x = a + i * a_row + l;
                low[i] = vec_fma(first, whole ? vec_load(x) : vec_load_n(x, half - l), low[i]);
                high[i] =
                    vec_fma(second, whole ? vec_load(x + half) : vec_load_n(x + half, half - l), high[i]);
            }
        }
    }
    VEC_UNROLL
    for (int i = 0; i < count; i++) y[i * y_row] = vec_reduce_add(low[i] + high[i]);
}

/* The same for weights of 8 bits. */
VEC_FN vec_f32 numbers(const uint8_t *b, int n, const bool is_signed, vec_f32 s, vec_f32 o) {
    const int8_t *c = (const int8_t *)b;
    const vec_i32 codes = n >= VEC_F32 ? is_signed ? vec_load_s8(c) : vec_load_u8(b)
                          : is_signed ? vec_load_s8_n(c, n)
                                       : vec_load_u8_n(b, n);
    return vec_fma(vec_from_i32(codes), s, o);
}

VEC_FN void row_8(const hone_nbits *p, const uint8_t *b, const float *scale, const float *offset,
                  const float *a, int64_t a_row, float *y, int64_t y_row, const int count,
                  const bool is_signed, const int size) {
    vec_f32 even[4], odd[4];
    VEC_UNROLL
    for (int i = 0; i < count; i++) even[i] = odd[i] = vec_zero();
    for (int64_t block = 0; block < p->blocks; block++, b += size, a += size) {
        const vec_f32 s = vec_set1(scale[block]), o = vec_set1(offset[block]);
        int l = 0;
        for (; l + 2 * VEC_F32 <= size; l += 2 * VEC_F32) {
            const vec_f32 first = numbers(b + l, VEC_F32, is_signed, s, o),
                          second = numbers(b + l + VEC_F32, VEC_F32, is_signed, s, o);
            VEC_UNROLL
            for (int i = 0; i < count; i++) {
                const float *x = a + i * a_row + l;
                even[i] = vec_fma(first, vec_load(x), even[i]);
                odd[i] = vec_fma(second, vec_load(x + VEC_F32), odd[i]);
            }
        }
        for (; l < size; l += VEC_F32) {
            const int n = size - l;
            const vec_f32 w = numbers(b + l, n, is_signed, s, o);
            VEC_UNROLL
            for (int i = 0; i < count; i++) {
                const float *x = a + i * a_row + l;
                even[i] = vec_fma(w, n >= VEC_F32 ? vec_load(x) : vec_load_n(x, n), even[i]);
            }
        }
    }
    VEC_UNROLL
    for (int i = 0; i < count; i++) y[i * y_row] = vec_reduce_add(even[i] + odd[i]);
}

void HONE_ISA_NAME(bits8_rows_f32)(const hone_nbits *p, const uint8_t *b, const float *scale,
                                   const float *offset, const float *a, int64_t rows, float *y,
                                   int64_t y_row) {
    const int64_t a_row = p->blocks * p->block;
    for (int64_t i = 0, count; i < rows; i += count) {
        const float *x = a + i * a_row;
        float *to = y + i * y_row;
        count = rows - i >= 4 ? 4 : 1;
        if (count == 4 && p->is_signed)
            row_8(p, b, scale, offset, x, a_row, to, y_row, 4, true, p->block);
        else if (count == 4)
            row_8(p, b, scale, offset, x, a_row, to, y_row, 4, false, p->block);
        else if (p->is_signed && p->block == USUAL_BLOCK)
            row_8(p, b, scale, offset, x, a_row, to, y_row, 1, true, USUAL_BLOCK);
        else if (p->is_signed)
            row_8(p, b, scale, offset, x, a_row, to, y_row, 1, true, p->block);
        else
            row_8(p, b, scale, offset, x, a_row, to, y_row, 1, false, p->block);
    }
}

void HONE_ISA_NAME(bits4_rows_f32)(const hone_nbits *p, const uint8_t *b, const float *scale,
                                   const float *offset, const float *a, int64_t rows, float *y,
                                   int64_t y_row) {
    const int64_t a_row = p->blocks * p->block, groups = (rows + MOST_ROWS - 1) / MOST_ROWS;
    for (int64_t group = 0, i = 0, count; group < groups; group++, i += count) {
        const float *x = a + i * a_row;
        float *to = y + i * y_row;
        count = rows * (group + 1) / groups - i;
        switch (count) {
        case 1:
            if (p->block == USUAL_BLOCK)
                row(p, b, scale, offset, x, a_row, to, y_row, 1, USUAL_BLOCK);
            else
                row(p, b, scale, offset, x, a_row, to, y_row, 1, p->block);
            break;
        case 2: row(p, b, scale, offset, x, a_row, to, y_row, 2, p->block); break;
        case 3: row(p, b, scale, offset, x, a_row, to, y_row, 3, p->block); break;
        case 4: row(p, b, scale, offset, x, a_row, to, y_row, 4, p->block); break;
#if VEC_F32 == 16
        case 5: row(p, b, scale, offset, x, a_row, to, y_row, 5, p->block); break;
        case 6: row(p, b, scale, offset, x, a_row, to, y_row, 6, p->block); break;
#endif
        }
    }
}
