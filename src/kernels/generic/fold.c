/* Folds of the dtypes that no level has vector code for. */
#include "kernels/kernels.h"
#include "kernels/levels.h"
#include "kernels/portable.h"

#include <hone/tensor.h>
#include <math.h>

/* One fold of one type: `one` is what a and b become, both of `type`. */
#define RUN(name, type, neutral, one)                                                                        \
    static void name##_run(const void *data, int64_t n, void *out, bool accumulate) {                        \
        const type *x = data;                                                                                \
        type a = accumulate ? *(const type *)out : (neutral);                                                \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            type b = x[i];                                                                                   \
            a = (type)(one);                                                                                 \
        }                                                                                                    \
        *(type *)out = a;                                                                                    \
    }
#define ROWS(name, type, neutral, one)                                                                       \
    static void name##_rows(const void *data, int64_t rows, int64_t columns, int64_t row, void *out,         \
                            bool accumulate) {                                                               \
        const type *x = data;                                                                                \
        type *y = out;                                                                                       \
        for (int64_t j = 0; j < columns && !accumulate; j++) y[j] = (neutral);                               \
        for (int64_t i = 0; i < rows; i++)                                                                   \
            for (int64_t j = 0; j < columns; j++) {                                                          \
                type a = y[j], b = x[i * row + j];                                                           \
                y[j] = (type)(one);                                                                          \
            }                                                                                                \
    }
#define FOLD(name, type, neutral, one) RUN(name, type, neutral, one) ROWS(name, type, neutral, one)

#define EXTREMES(id, type, least, greatest)                                                                  \
    FOLD(max_##id, type, least, b > a ? b : a)                                                               \
    FOLD(min_##id, type, greatest, b < a ? b : a)
EXTREMES(i8, int8_t, INT8_MIN, INT8_MAX)
EXTREMES(u8, uint8_t, 0, UINT8_MAX)
EXTREMES(bool, uint8_t, 0, 1)

#define INTEGER(id, type, wrapping, least, greatest)                                                         \
    FOLD(sum_##id, type, 0, (wrapping)a + (wrapping)b)                                                       \
    FOLD(product_##id, type, 1, (wrapping)a *(wrapping)b)                                                    \
    EXTREMES(id, type, least, greatest)
INTEGER(i32, int32_t, uint32_t, INT32_MIN, INT32_MAX)
INTEGER(i64, int64_t, uint64_t, INT64_MIN, INT64_MAX)
INTEGER(u32, uint32_t, uint32_t, 0, UINT32_MAX)
INTEGER(u64, uint64_t, uint64_t, 0, UINT64_MAX)

ROWS(sum_f64, double, 0, a + b)
FOLD(product_f64, double, 1, a *b)
FOLD(max_f64, double, -INFINITY, b > a || b != b ? b : a)
FOLD(min_f64, double, INFINITY, b < a || b != b ? b : a)

static void sum_f64_run(const void *x, int64_t n, void *y, bool accumulate) {
    double sum = hone_sum_f64(x, n);
    *(double *)y = accumulate ? *(const double *)y + sum : sum;
}

#define EXTREME_ROWS(id)                                                                                     \
    [HONE_FOLD_MAX] = {max_##id##_run, max_##id##_rows}, [HONE_FOLD_MIN] = {min_##id##_run, min_##id##_rows}
#define TABLE(id)                                                                                            \
    static const hone_folding of_##id[HONE_FOLDS] = {                                                        \
        [HONE_FOLD_SUM] = {sum_##id##_run, sum_##id##_rows},                                                 \
        [HONE_FOLD_PRODUCT] = {product_##id##_run, product_##id##_rows},                                     \
        EXTREME_ROWS(id)}
TABLE(f64);
TABLE(i32);
TABLE(i64);
TABLE(u32);
TABLE(u64);
static const hone_folding of_i8[HONE_FOLDS] = {EXTREME_ROWS(i8)}, of_u8[HONE_FOLDS] = {EXTREME_ROWS(u8)},
                          of_bool[HONE_FOLDS] = {EXTREME_ROWS(bool)};

const hone_folding *hone_folding_of(int dtype, int fold) {
    switch ((hone_dtype)dtype) {
    case HONE_FLOAT64: return &of_f64[fold];
    case HONE_INT32: return &of_i32[fold];
    case HONE_INT64: return &of_i64[fold];
    case HONE_UINT32: return &of_u32[fold];
    case HONE_UINT64: return &of_u64[fold];
    case HONE_INT8: return &of_i8[fold];
    case HONE_UINT8: return &of_u8[fold];
    case HONE_BOOL: return &of_bool[fold];
    default: return NULL;
    }
}
