/* Products of weights of 4 bits with rows of bytes, for one ISA level. Before including, define
 *
 *   BITS_DOT(sum, codes, a)   sum + codes (u8 below 16) times a (s8), in the form that sums of 32 elements fit
 *   BITS_SUM(sum)             such a sum as int32 lanes
 *   BITS_ROWS                 rows of A at a time
 *
 *         16 columns                a group of 8 of K: codes of 16 columns in one vector of v4, two of v3, four of v2;
 *   K  ┌──────────────┐            words of 4 bytes of A are spread over the lanes.
 *   8  │ low  │ high  │            After a block: y += float(sum - zero * sum of A) * (scale of A * scale of the column) */
#include "kernels/levels.h"
#include "kernels/vec.h"

#define BITS_VECTORS (HONE_BITS_PANEL / VEC_F32)
#define BITS_GROUP 8
#define BITS_GROUPS 4 /* whose sums are taken together */

VEC_FN vec_i32 spread(const int8_t *p) {
    int32_t word;
    memcpy(&word, p, sizeof word);
    return vec_set1_i32(word);
}

VEC_FN const int32_t *codes_at(const uint8_t *codes, int group, int vector) {
    return (const int32_t *)(const void *)codes + group * HONE_BITS_PANEL + vector * VEC_F32;
}

/* Sums over `groups` groups. */
VEC_FN void sum_groups(const uint8_t *codes, const int8_t *a, int64_t a_row, const int rows, const int groups,
                       vec_i32 sum[BITS_ROWS][BITS_VECTORS]) {
    vec_i32 part[BITS_ROWS][BITS_VECTORS] = {0};
    VEC_UNROLL
    for (int g = 0; g < groups; g++) VEC_UNROLL
    for (int v = 0; v < BITS_VECTORS; v++) {
        const vec_i32 both = vec_load_i32(codes_at(codes, g, v));
        const vec_i32 low = both & vec_set1_i32(0x0f0f0f0f),
                      high = vec_shr_u32(both, 4) & vec_set1_i32(0x0f0f0f0f);
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            const int8_t *x = a + i * a_row + g * BITS_GROUP;
            part[i][v] = BITS_DOT(BITS_DOT(part[i][v], low, spread(x)), high, spread(x + 4));
        }
    }
    VEC_UNROLL
    for (int i = 0; i < rows; i++) VEC_UNROLL
    for (int v = 0; v < BITS_VECTORS; v++) sum[i][v] = vec_add_i32(sum[i][v], BITS_SUM(part[i][v]));
}

VEC_FN void multiply(const hone_bits_panel *b, const hone_bits_rows *a, int64_t first, const int rows,
                     const float *bias, int64_t columns, float *y, int64_t y_row) {
    const int64_t a_row = b->blocks * b->block;
    const int groups = b->block / BITS_GROUP;
    const int8_t *x = a->values + first * a_row;
    const float *a_scale = a->scales + first * b->blocks, *a_sum = a->sums + first * b->blocks;
    const uint8_t *codes = b->codes;
    vec_f32 total[BITS_ROWS][BITS_VECTORS] = {0};
    for (int64_t block = 0; block < b->blocks; block++) {
        vec_i32 sum[BITS_ROWS][BITS_VECTORS] = {0};
        int g = 0;
        for (; g + BITS_GROUPS <= groups; g += BITS_GROUPS) {
            sum_groups(codes, x, a_row, rows, BITS_GROUPS, sum);
            codes += BITS_GROUPS * HONE_BITS_PANEL * 4;
            x += BITS_GROUPS * BITS_GROUP;
        }
        for (; g < groups; g += 2) {
            sum_groups(codes, x, a_row, rows, 2, sum);
            codes += 2 * HONE_BITS_PANEL * 4;
            x += 2 * BITS_GROUP;
        }
        VEC_UNROLL
        for (int v = 0; v < BITS_VECTORS; v++) {
            const int64_t at = block * HONE_BITS_PANEL + v * VEC_F32;
            const vec_f32 scale = vec_load(b->scales + at),
                          zero = b->zeros ? vec_load(b->zeros + at) : vec_set1(8);
            VEC_UNROLL
            for (int i = 0; i < rows; i++) {
                const vec_f32 s = scale * vec_set1(a_scale[i * b->blocks + block]);
                const vec_f32 dot = vec_from_i32(sum[i][v]) - zero * vec_set1(a_sum[i * b->blocks + block]);
                total[i][v] = vec_fma(dot, s, total[i][v]);
            }
        }
    }
    VEC_UNROLL
    for (int v = 0; v < BITS_VECTORS; v++) {
        const int64_t left = columns - v * VEC_F32;
        const int n = left >= VEC_F32 ? VEC_F32 : left > 0 ? (int)left : 0;
        const vec_f32 more = bias ? vec_load_n(bias + v * VEC_F32, n) : vec_zero();
        VEC_UNROLL
        for (int i = 0; i < rows; i++) vec_store_n(y + i * y_row + v * VEC_F32, total[i][v] + more, n);
    }
}

void HONE_ISA_NAME(bits4_s8)(const hone_bits_panel *b, const hone_bits_rows *a, int64_t rows,
                             const float *bias, int64_t columns, float *y, int64_t y_row) {
    int64_t i = 0;
    for (; i + BITS_ROWS <= rows; i += BITS_ROWS)
        multiply(b, a, i, BITS_ROWS, bias, columns, y + i * y_row, y_row);
    for (; i < rows; i++) multiply(b, a, i, 1, bias, columns, y + i * y_row, y_row);
}
