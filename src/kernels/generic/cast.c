#include "base/half.h"
#include "kernels/portable.h"

#include <hone/tensor.h>
#include <string.h>

typedef void cast_fn(const void *x, void *y, int64_t n);

/* Toward zero, held at the ends; a comparison with NaN is false. All bounds are exact as doubles. */
#define TRUNCATE(type, low, high, v)                                                                         \
    ((v) >= (double)(high) + 1.0 ? (type)(high)                                                              \
     : (v) <= (double)(low)-1.0  ? (type)(low)                                                               \
     : (v) == (v)                ? (type)(v)                                                                 \
                                 : 0)

#define CAST(name, from, to, expression)                                                                     \
    static void name(const void *source, void *target, int64_t n) {                                          \
        const from *x = source;                                                                              \
        to *y = target;                                                                                      \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            const from v = x[i];                                                                             \
            y[i] = (to)(expression);                                                                         \
        }                                                                                                    \
    }

/* dtype, C type, and for integers the ends of the range */
#define INTEGERS(X, f, ft)                                                                                   \
    X(f, ft, u8, uint8_t, 0, UINT8_MAX)                                                                      \
    X(f, ft, i8, int8_t, INT8_MIN, INT8_MAX)                                                                 \
    X(f, ft, u16, uint16_t, 0, UINT16_MAX)                                                                   \
    X(f, ft, i16, int16_t, INT16_MIN, INT16_MAX)                                                             \
    X(f, ft, i32, int32_t, INT32_MIN, INT32_MAX)                                                             \
    X(f, ft, i64, int64_t, INT64_MIN, INT64_MAX)                                                             \
    X(f, ft, u32, uint32_t, 0, UINT32_MAX)                                                                   \
    X(f, ft, u64, uint64_t, 0, UINT64_MAX)

#define TO_INTEGER(f, ft, t, tt, low, high) CAST(f##_to_##t, ft, tt, v)
#define TO_INTEGER_FROM_FLOAT(f, ft, t, tt, low, high)                                                       \
    CAST(f##_to_##t, ft, tt, TRUNCATE(tt, low, high, (double)v))
#define TO_FLOATS_AND_BOOL(f, ft)                                                                            \
    CAST(f##_to_f32, ft, float, v)                                                                           \
    CAST(f##_to_f64, ft, double, v)                                                                          \
    CAST(f##_to_bool, ft, uint8_t, v != 0)
#define FROM_INTEGER(f, ft) INTEGERS(TO_INTEGER, f, ft) TO_FLOATS_AND_BOOL(f, ft)
#define FROM_FLOAT(f, ft) INTEGERS(TO_INTEGER_FROM_FLOAT, f, ft) TO_FLOATS_AND_BOOL(f, ft)

FROM_INTEGER(u8, uint8_t)
FROM_INTEGER(i8, int8_t)
FROM_INTEGER(u16, uint16_t)
FROM_INTEGER(i16, int16_t)
FROM_INTEGER(i32, int32_t)
FROM_INTEGER(i64, int64_t)
FROM_INTEGER(u32, uint32_t)
FROM_INTEGER(u64, uint64_t)
FROM_FLOAT(f32, float)
FROM_FLOAT(f64, double)

#define ROW(f)                                                                                               \
    {                                                                                                        \
        [HONE_UINT8] = f##_to_u8, [HONE_INT8] = f##_to_i8, [HONE_UINT16] = f##_to_u16,                       \
        [HONE_INT16] = f##_to_i16, [HONE_INT32] = f##_to_i32, [HONE_INT64] = f##_to_i64,                     \
        [HONE_UINT32] = f##_to_u32, [HONE_UINT64] = f##_to_u64, [HONE_FLOAT32] = f##_to_f32,                 \
        [HONE_FLOAT64] = f##_to_f64, [HONE_BOOL] = f##_to_bool,                                              \
    }
/* A bool is a byte 0 or 1, so it converts as a byte. */
static cast_fn *const casts[HONE_BFLOAT16 + 1][HONE_BFLOAT16 + 1] = {
    [HONE_UINT8] = ROW(u8),    [HONE_INT8] = ROW(i8),     [HONE_UINT16] = ROW(u16), [HONE_INT16] = ROW(i16),
    [HONE_INT32] = ROW(i32),   [HONE_INT64] = ROW(i64),   [HONE_UINT32] = ROW(u32), [HONE_UINT64] = ROW(u64),
    [HONE_FLOAT32] = ROW(f32), [HONE_FLOAT64] = ROW(f64), [HONE_BOOL] = ROW(u8),
};

/* --- the two half precisions --- */

static bool is_short(int dtype) {
    return dtype == HONE_FLOAT16 || dtype == HONE_BFLOAT16;
}

#define CHUNK 256

/* From a half precision: through float, exactly. */
static void cast_from_short(int from, int to, const uint16_t *x, char *y, int64_t n) {
    float wide[CHUNK];
    size_t size = hone_dtype_size((hone_dtype)to);
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t part = n - at < CHUNK ? n - at : CHUNK;
        for (int64_t i = 0; i < part; i++)
            wide[i] = from == HONE_FLOAT16 ? hone_float_of_half(x[at + i]) : hone_float_of_bfloat(x[at + i]);
        hone_cast(HONE_FLOAT32, to, wide, y + (size_t)at * size, part);
    }
}

/* To one: through double, rounded once. */
static void cast_to_short(int from, int to, const char *x, uint16_t *y, int64_t n) {
    double wide[CHUNK];
    size_t size = hone_dtype_size((hone_dtype)from);
    for (int64_t at = 0; at < n; at += CHUNK) {
        int64_t part = n - at < CHUNK ? n - at : CHUNK;
        casts[from][HONE_FLOAT64](x + (size_t)at * size, wide, part);
        for (int64_t i = 0; i < part; i++) {
            float f = hone_odd_float_of_double(wide[i]);
            y[at + i] = to == HONE_FLOAT16 ? hone_half_of_float(f) : hone_bfloat_of_float(f);
        }
    }
}

bool hone_cast(int from, int to, const void *x, void *y, int64_t n) {
    if (hone_cast_is_small(from) || hone_cast_is_small(to))
        return hone_cast_small(from, to, x, y, n, HONE_SMALL_ROUNDING);
    if (from < 0 || from > HONE_BFLOAT16 || to < 0 || to > HONE_BFLOAT16) return false;
    if (!(is_short(from) || casts[from][HONE_FLOAT32]) || !(is_short(to) || casts[HONE_FLOAT32][to]))
        return false;
    if (n == 0) return true; /* whether it can be asked: there may be nothing at x and y */
    if (from == to)
        memcpy(y, x, (size_t)n * hone_dtype_size((hone_dtype)from));
    else if (is_short(from))
        cast_from_short(from, to, x, y, n);
    else if (is_short(to))
        cast_to_short(from, to, x, y, n);
    else
        casts[from][to](x, y, n);
    return true;
}
