#include "kernels/levels.h"
#include "kernels/vec.h"

/* Elements summed in float before the sum goes to a double: keeps the error small in long arrays. */
#define SUM_BLOCK (256 * VEC_F32)

static float sum_block(const float *x, int64_t n) {
    vec_f32 sum[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    int64_t i = 0;
    for (; i + 4 * VEC_F32 <= n; i += 4 * VEC_F32)
        for (int v = 0; v < 4; v++) sum[v] = sum[v] + vec_load(x + i + v * VEC_F32);
    for (; i + VEC_F32 <= n; i += VEC_F32) sum[0] = sum[0] + vec_load(x + i);
    if (i < n) sum[1] = sum[1] + vec_load_n(x + i, (int)(n - i));
    return vec_reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

float HONE_ISA_NAME(sum_f32)(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i += SUM_BLOCK) sum += sum_block(x + i, n - i < SUM_BLOCK ? n - i : SUM_BLOCK);
    return (float)sum;
}

void HONE_ISA_NAME(min_max_f32)(const float *x, int64_t n, float *min, float *max) {
    vec_f32 low = vec_set1(x[0]), high = low;
    vec_mask nan = vec_is_nan(low);
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) {
        vec_f32 v = vec_load(x + i);
        nan = vec_mask_or(nan, vec_is_nan(v));
        low = vec_min(v, low);
        high = vec_max(v, high);
    }
    if (i < n) {
        int rest = (int)(n - i);
        vec_f32 v = vec_select(vec_mask_first(rest), vec_load_n(x + i, rest), low);
        nan = vec_mask_or(nan, vec_is_nan(v));
        low = vec_min(v, low);
        v = vec_select(vec_mask_first(rest), v, high);
        high = vec_max(v, high);
    }
    bool any = vec_mask_any(nan);
    *min = any ? __builtin_nanf("") : vec_reduce_min(low);
    *max = any ? __builtin_nanf("") : vec_reduce_max(high);
}

int64_t HONE_ISA_NAME(argmax_f32)(const float *x, int64_t n) {
    float min, max;
    HONE_ISA_NAME(min_max_f32)(x, n, &min, &max);
    int64_t i = 0;
    if (max != max) {
        while (x[i] == x[i]) i++;
        return i;
    }
    const vec_f32 wanted = vec_set1(max);
    while (i + VEC_F32 <= n && !vec_mask_any(vec_eq(vec_load(x + i), wanted))) i += VEC_F32;
    while (x[i] != max) i++;
    return i;
}

/* Sums over the rows of `vectors` vectors of columns. */
VEC_FN void sum_columns(const int vectors, const float *x, int64_t rows, int64_t row, float *y,
                        bool accumulate) {
    vec_f32 sum[4];
    for (int v = 0; v < vectors; v++) sum[v] = accumulate ? vec_load(y + v * VEC_F32) : vec_zero();
    for (int64_t i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) sum[v] = sum[v] + vec_load(x + i * row + v * VEC_F32);
    for (int v = 0; v < vectors; v++) vec_store(y + v * VEC_F32, sum[v]);
}

void HONE_ISA_NAME(sum_rows_f32)(const float *x, int64_t rows, int64_t columns, int64_t row, float *y,
                                 bool accumulate) {
    int64_t j = 0;
    for (; j + 4 * VEC_F32 <= columns; j += 4 * VEC_F32) sum_columns(4, x + j, rows, row, y + j, accumulate);
    for (; j + VEC_F32 <= columns; j += VEC_F32) sum_columns(1, x + j, rows, row, y + j, accumulate);
    if (j < columns) {
        int rest = (int)(columns - j);
        vec_f32 sum = accumulate ? vec_load_n(y + j, rest) : vec_zero();
        for (int64_t i = 0; i < rows; i++) sum = sum + vec_load_n(x + i * row + j, rest);
        vec_store_n(y + j, sum, rest);
    }
}
