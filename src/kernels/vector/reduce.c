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

static float sum_run(const float *x, int64_t n) {
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

/* The other folds: four vectors side by side, then one. */
VEC_FN vec_f32 fold_add(vec_f32 a, vec_f32 b) {
    return a + b;
}
VEC_FN vec_f32 fold_mul(vec_f32 a, vec_f32 b) {
    return a * b;
}
/* vec_max and vec_min give b where either is NaN. */
VEC_FN vec_f32 fold_max(vec_f32 a, vec_f32 b) {
    return vec_select(vec_is_nan(a), a, vec_max(a, b));
}
VEC_FN vec_f32 fold_min(vec_f32 a, vec_f32 b) {
    return vec_select(vec_is_nan(a), a, vec_min(a, b));
}

typedef vec_f32 fold_fn(vec_f32 a, vec_f32 b);

VEC_FN float fold_one(fold_fn *fold, float a, float b) {
    return fold(vec_set1(a), vec_set1(b))[0];
}

VEC_FN float fold_run(fold_fn *fold, float neutral, const float *x, int64_t n) {
    vec_f32 acc[4];
    float lane[VEC_F32];
    int64_t i = 0;
    for (int v = 0; v < 4; v++) acc[v] = vec_set1(neutral);
    for (; i + 4 * VEC_F32 <= n; i += 4 * VEC_F32)
        for (int v = 0; v < 4; v++) acc[v] = fold(vec_load(x + i + v * VEC_F32), acc[v]);
    for (; i + VEC_F32 <= n; i += VEC_F32) acc[0] = fold(vec_load(x + i), acc[0]);
    if (i < n) {
        int rest = (int)(n - i);
        acc[1] = fold(vec_select(vec_mask_first(rest), vec_load_n(x + i, rest), vec_set1(neutral)), acc[1]);
    }
    vec_store(lane, fold(fold(acc[0], acc[1]), fold(acc[2], acc[3])));
    for (int half = VEC_F32 / 2; half > 0; half /= 2)
        for (int k = 0; k < half; k++) lane[k] = fold_one(fold, lane[k], lane[k + half]);
    return lane[0];
}

/* The rows of `vectors` vectors of columns. */
VEC_FN void fold_columns(const int vectors, fold_fn *fold, float neutral, const float *x, int64_t rows,
                         int64_t row, float *y, bool accumulate) {
    vec_f32 acc[4];
    for (int v = 0; v < vectors; v++) acc[v] = accumulate ? vec_load(y + v * VEC_F32) : vec_set1(neutral);
    for (int64_t i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) acc[v] = fold(acc[v], vec_load(x + i * row + v * VEC_F32));
    for (int v = 0; v < vectors; v++) vec_store(y + v * VEC_F32, acc[v]);
}

VEC_FN void fold_rows(fold_fn *fold, float neutral, const float *x, int64_t rows, int64_t columns,
                      int64_t row, float *y, bool accumulate) {
    int64_t j = 0;
    for (; j + 4 * VEC_F32 <= columns; j += 4 * VEC_F32)
        fold_columns(4, fold, neutral, x + j, rows, row, y + j, accumulate);
    for (; j + VEC_F32 <= columns; j += VEC_F32)
        fold_columns(1, fold, neutral, x + j, rows, row, y + j, accumulate);
    if (j < columns) {
        int rest = (int)(columns - j);
        vec_f32 acc = accumulate ? vec_load_n(y + j, rest) : vec_set1(neutral);
        for (int64_t i = 0; i < rows; i++) acc = fold(acc, vec_load_n(x + i * row + j, rest));
        vec_store_n(y + j, acc, rest);
    }
}

#define FOLD(name, fold, neutral, run)                                                                       \
    static void name##_run(const void *x, int64_t n, void *y, bool accumulate) {                             \
        float r = run;                                                                                       \
        *(float *)y = accumulate ? fold_one(fold, *(const float *)y, r) : r;                                 \
    }                                                                                                        \
    static void name##_rows(const void *x, int64_t rows, int64_t columns, int64_t row, void *y,              \
                            bool accumulate) {                                                               \
        fold_rows(fold, neutral, x, rows, columns, row, y, accumulate);                                      \
    }
FOLD(sums, fold_add, 0, sum_run(x, n))
FOLD(products, fold_mul, 1, fold_run(fold_mul, 1, x, n))
FOLD(maxima, fold_max, -__builtin_inff(), fold_run(fold_max, -__builtin_inff(), x, n))
FOLD(minima, fold_min, __builtin_inff(), fold_run(fold_min, __builtin_inff(), x, n))

const hone_folding HONE_ISA_NAME(fold_f32)[HONE_FOLDS] = {[HONE_FOLD_SUM] = {sums_run, sums_rows},
                                                          [HONE_FOLD_PRODUCT] = {products_run, products_rows},
                                                          [HONE_FOLD_MAX] = {maxima_run, maxima_rows},
                                                          [HONE_FOLD_MIN] = {minima_run, minima_rows}};
