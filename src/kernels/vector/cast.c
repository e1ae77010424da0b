#include "kernels/levels.h"
#include "kernels/portable.h"
#include "kernels/vec_bytes.h"
#include "kernels/vec_half.h"

#include <hone/tensor.h>

/* y = expression of v, vector by vector. */
#define EACH(load, store, type, expression)                                                                  \
    do {                                                                                                     \
        int64_t i = 0;                                                                                       \
        for (; i + VEC_F32 <= n; i += VEC_F32) {                                                             \
            type v = load(from + i);                                                                         \
            store(to + i, expression);                                                                       \
        }                                                                                                    \
        if (i < n) {                                                                                         \
            const int rest = (int)(n - i);                                                                   \
            type v = load##_n(from + i, rest);                                                               \
            store##_n(to + i, expression, rest);                                                             \
        }                                                                                                    \
    } while (0)
#define CAST(name, from_type, load, vec_type, to_type, store, expression)                                    \
    static void name(const void *x, void *y, int64_t n) {                                                    \
        const from_type *from = x;                                                                           \
        to_type *to = y;                                                                                     \
        EACH(load, store, vec_type, expression);                                                             \
    }

/* Toward zero, NaN to 0, between whole bounds. */
VEC_FN vec_f32 truncate(vec_f32 v, float low, float high) {
    v = vec_select(vec_is_nan(v), vec_zero(), v);
    v = vec_min(vec_max(v, vec_set1(low)), vec_set1(high));
    return vec_copysign(vec_floor(vec_abs(v)), v);
}

VEC_FN vec_i32 truncate_i32(vec_f32 v) {
    const float beyond = 2147483648.0f;
    vec_i32 t = vec_to_i32(truncate(v, -beyond, 2147483520.0f)); /* the largest float below */
    return vec_select_i32(vec_ge(v, vec_set1(beyond)), vec_set1_i32(INT32_MAX), t);
}

VEC_FN vec_i32 is_not_zero(vec_mask m) {
    return vec_select_i32(m, vec_set1_i32(1), vec_set1_i32(0));
}

CAST(u8_to_f32, uint8_t, vec_load_u8, vec_i32, float, vec_store, vec_from_i32(v))
CAST(s8_to_f32, int8_t, vec_load_s8, vec_i32, float, vec_store, vec_from_i32(v))
CAST(i32_to_f32, int32_t, vec_load_i32, vec_i32, float, vec_store, vec_from_i32(v))
CAST(f32_to_u8, float, vec_load, vec_f32, uint8_t, vec_store_u8, vec_to_i32(truncate(v, 0, 255)))
CAST(f32_to_s8, float, vec_load, vec_f32, int8_t, vec_store_s8, vec_to_i32(truncate(v, -128, 127)))
CAST(f32_to_i32, float, vec_load, vec_f32, int32_t, vec_store_i32, truncate_i32(v))
CAST(f32_to_bool, float, vec_load, vec_f32, uint8_t, vec_store_u8, is_not_zero(vec_ne(v, vec_zero())))
CAST(u8_to_i32, uint8_t, vec_load_u8, vec_i32, int32_t, vec_store_i32, v)
CAST(s8_to_i32, int8_t, vec_load_s8, vec_i32, int32_t, vec_store_i32, v)
CAST(i32_to_bool, int32_t, vec_load_i32, vec_i32, uint8_t, vec_store_u8,
     is_not_zero(vec_mask_not(vec_eq_i32(v, vec_set1_i32(0)))))

/* What the compiler makes vectors of by itself. */
#define LOOP(name, from_type, to_type, expression)                                                           \
    static void name(const void *x, void *y, int64_t n) {                                                    \
        const from_type *restrict from = x;                                                                  \
        to_type *restrict to = y;                                                                            \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            const from_type v = from[i];                                                                     \
            to[i] = (to_type)(expression);                                                                   \
        }                                                                                                    \
    }
LOOP(i64_to_f32, int64_t, float, v)
LOOP(i64_to_i32, int64_t, int32_t, v)
LOOP(i64_to_bool, int64_t, uint8_t, v != 0)
LOOP(i32_to_i64, int32_t, int64_t, v)
LOOP(u8_to_i64, uint8_t, int64_t, v)

/* --- half precisions --- */

#if VEC_HAS_F16
CAST(f16_to_f32, uint16_t, vec_load_f16, vec_f32, float, vec_store, v)
CAST(f32_to_f16, float, vec_load, vec_f32, uint16_t, vec_store_f16, v)
#else
static void f16_to_f32(const void *x, void *y, int64_t n) {
    hone_cast(HONE_FLOAT16, HONE_FLOAT32, x, y, n);
}
static void f32_to_f16(const void *x, void *y, int64_t n) {
    hone_cast(HONE_FLOAT32, HONE_FLOAT16, x, y, n);
}
#endif

typedef uint32_t bits __attribute__((may_alias));

static void bf16_to_f32(const void *x, void *y, int64_t n) {
    const uint16_t *from = x;
    bits *to = y;
    for (int64_t i = 0; i < n; i++) to[i] = (uint32_t)from[i] << 16;
}

static void f32_to_bf16(const void *x, void *y, int64_t n) {
    const bits *from = x;
    uint16_t *to = y;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t b = from[i], rounded = b + 0x7fff + (b >> 16 & 1), quiet = b | 0x400000;
        to[i] = (uint16_t)(((b & 0x7fffffff) > 0x7f800000 ? quiet : rounded) >> 16);
    }
}

/* --- all pairs --- */

typedef void cast_fn(const void *x, void *y, int64_t n);

static cast_fn *from_f32(int to) {
    switch ((hone_dtype)to) {
    case HONE_UINT8: return f32_to_u8;
    case HONE_INT8: return f32_to_s8;
    case HONE_INT32: return f32_to_i32;
    case HONE_BOOL: return f32_to_bool;
    case HONE_FLOAT16: return f32_to_f16;
    case HONE_BFLOAT16: return f32_to_bf16;
    default: return NULL;
    }
}

static cast_fn *to_f32(int from) {
    switch ((hone_dtype)from) {
    case HONE_BOOL:
    case HONE_UINT8: return u8_to_f32;
    case HONE_INT8: return s8_to_f32;
    case HONE_INT32: return i32_to_f32;
    case HONE_INT64: return i64_to_f32;
    case HONE_FLOAT16: return f16_to_f32;
    case HONE_BFLOAT16: return bf16_to_f32;
    default: return NULL;
    }
}

/* Between whole numbers. */
static cast_fn *from_whole(int from, int to) {
    switch ((hone_dtype)from) {
    case HONE_BOOL:
    case HONE_UINT8: return to == HONE_INT32 ? u8_to_i32 : to == HONE_INT64 ? u8_to_i64 : NULL;
    case HONE_INT8: return to == HONE_INT32 ? s8_to_i32 : NULL;
    case HONE_INT32: return to == HONE_BOOL ? i32_to_bool : to == HONE_INT64 ? i32_to_i64 : NULL;
    case HONE_INT64: return to == HONE_BOOL ? i64_to_bool : to == HONE_INT32 ? i64_to_i32 : NULL;
    default: return NULL;
    }
}

void HONE_ISA_NAME(cast)(int from, int to, const void *x, void *y, int64_t n) {
    cast_fn *fn = from == HONE_FLOAT32 ? from_f32(to)
                  : to == HONE_FLOAT32 ? to_f32(from)
                                       : from_whole(from, to);
    if (fn)
        fn(x, y, n);
    else
        hone_cast(from, to, x, y, n);
}
