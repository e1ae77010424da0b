#include "base/half.h"
#include "kernels/positions.h"

#include <hone/tensor.h>

/* For all i: y[at[i]] = STORE(op(LOAD(y[at[i]]), LOAD(u[i]))); `wide` is what is computed in. */
#define EACH(expression, type, wide, LOAD, STORE)                                                            \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        type *to = (type *)y + (at ? at[i] : i);                                                             \
        const wide a = LOAD(*to), b = LOAD(((const type *)u)[i]);                                            \
        *to = STORE(expression);                                                                             \
    }                                                                                                        \
    break

#define COMBINE(name, type, wide, LOAD, STORE)                                                               \
    static void name(hone_combining op, const void *u, const int64_t *at, int64_t n, void *y) {              \
        switch (op) {                                                                                        \
        case HONE_COMBINE_ADD: EACH(a + b, type, wide, LOAD, STORE);                                         \
        case HONE_COMBINE_MUL: EACH(a *b, type, wide, LOAD, STORE);                                          \
        case HONE_COMBINE_MAX: EACH(b > a || b != b ? b : a, type, wide, LOAD, STORE);                       \
        case HONE_COMBINE_MIN: EACH(b < a || b != b ? b : a, type, wide, LOAD, STORE);                       \
        }                                                                                                    \
    }

/* Signed integers wrap: they are computed with as unsigned ones, but for the comparisons. */
#define COMBINE_SIGNED(name, type, wide)                                                                     \
    static void name(hone_combining op, const void *u, const int64_t *at, int64_t n, void *y) {              \
        switch (op) {                                                                                        \
        case HONE_COMBINE_ADD: EACH(a + b, type, wide, (wide), (type));                                      \
        case HONE_COMBINE_MUL: EACH(a *b, type, wide, (wide), (type));                                       \
        case HONE_COMBINE_MAX: EACH(b > a ? b : a, type, type, (type), (type));                              \
        case HONE_COMBINE_MIN: EACH(b < a ? b : a, type, type, (type), (type));                              \
        }                                                                                                    \
    }

COMBINE(combine_f32, float, float, (float), (float))
COMBINE(combine_f64, double, double, (double), (double))
COMBINE(combine_f16, uint16_t, float, hone_float_of_half, hone_half_of_float)
COMBINE(combine_bf16, uint16_t, float, hone_float_of_bfloat, hone_bfloat_of_float)
COMBINE(combine_u8, uint8_t, uint32_t, (uint32_t), (uint8_t))
COMBINE(combine_u16, uint16_t, uint32_t, (uint32_t), (uint16_t))
COMBINE(combine_u32, uint32_t, uint32_t, (uint32_t), (uint32_t))
COMBINE(combine_u64, uint64_t, uint64_t, (uint64_t), (uint64_t))
COMBINE(combine_bool, uint8_t, uint32_t, (uint32_t), 0 !=)
COMBINE_SIGNED(combine_s8, int8_t, uint32_t)
COMBINE_SIGNED(combine_s16, int16_t, uint32_t)
COMBINE_SIGNED(combine_s32, int32_t, uint32_t)
COMBINE_SIGNED(combine_s64, int64_t, uint64_t)

void hone_combine(int dtype, hone_combining op, const void *u, const int64_t *at, int64_t n, void *y) {
    switch (dtype) {
    case HONE_FLOAT32: combine_f32(op, u, at, n, y); break;
    case HONE_FLOAT64: combine_f64(op, u, at, n, y); break;
    case HONE_FLOAT16: combine_f16(op, u, at, n, y); break;
    case HONE_BFLOAT16: combine_bf16(op, u, at, n, y); break;
    case HONE_UINT8: combine_u8(op, u, at, n, y); break;
    case HONE_UINT16: combine_u16(op, u, at, n, y); break;
    case HONE_UINT32: combine_u32(op, u, at, n, y); break;
    case HONE_UINT64: combine_u64(op, u, at, n, y); break;
    case HONE_BOOL: combine_bool(op, u, at, n, y); break;
    case HONE_INT8: combine_s8(op, u, at, n, y); break;
    case HONE_INT16: combine_s16(op, u, at, n, y); break;
    case HONE_INT32: combine_s32(op, u, at, n, y); break;
    case HONE_INT64: combine_s64(op, u, at, n, y); break;
    default: break;
    }
}
