#include "kernels/levels.h"
#include "kernels/portable.h"
#include "kernels/vec_bytes.h"
#include "kernels/vec_math.h"
#include "kernels/vec_trigonometry.h"

#include <hone/tensor.h>
#include <math.h>

/* dst = expression of a (and b, c), vector by vector. Loads come before the store, so that dst may be an
 * operand. */
#define EACH(load_operands, load_operands_n, expression)                                                     \
    do {                                                                                                     \
        int64_t i = 0;                                                                                       \
        for (; i + VEC_F32 <= n; i += VEC_F32) {                                                             \
            load_operands vec_store(dst + i, expression);                                                    \
        }                                                                                                    \
        if (i < n) {                                                                                         \
            const int rest = (int)(n - i);                                                                   \
            load_operands_n vec_store_n(dst + i, expression, rest);                                          \
        }                                                                                                    \
    } while (0)
#define LOAD(x) vec_f32 x = vec_load(r##x + i);
#define LOAD_N(x) vec_f32 x = vec_load_n(r##x + i, rest);
#define UNARY(expression) EACH(LOAD(a), LOAD_N(a), expression)
#define BINARY(expression) EACH(LOAD(a) LOAD(b), LOAD_N(a) LOAD_N(b), expression)
#define TERNARY(expression) EACH(LOAD(a) LOAD(b) LOAD(c), LOAD_N(a) LOAD_N(b) LOAD_N(c), expression)

#define CODES(type, load) const vec_f32 a = vec_from_i32(load((const type *)codes + i));
#define CODES_N(type, load) const vec_f32 a = vec_from_i32(load##_n((const type *)codes + i, rest));
#define REAL(type, load)                                                                                     \
    do {                                                                                                     \
        const void *codes = ra;                                                                              \
        EACH(CODES(type, load) LOAD(b) LOAD(c), CODES_N(type, load) LOAD_N(b) LOAD_N(c), (a - b) * c);       \
    } while (0)

#define LANES(expression)                                                                                    \
    for (int64_t i = 0; i < n; i++) dst[i] = expression

static void run_f32(int op, float *dst, const float *ra, const float *rb, const float *rc, int64_t n) {
    switch ((hone_vop)op) {
    case HONE_VOP_ADD: BINARY(a + b); break;
    case HONE_VOP_SUB: BINARY(a - b); break;
    case HONE_VOP_MUL: BINARY(a * b); break;
    case HONE_VOP_DIV: BINARY(a / b); break;
    case HONE_VOP_REM: LANES(fmodf(ra[i], rb[i])); break;
    case HONE_VOP_POW: LANES(powf(ra[i], rb[i])); break;
    /* vec_max and vec_min give b where either is NaN. */
    case HONE_VOP_MAX: BINARY(vec_select(vec_is_nan(a), a, vec_max(a, b))); break;
    case HONE_VOP_MIN: BINARY(vec_select(vec_is_nan(a), a, vec_min(a, b))); break;
    case HONE_VOP_FMA: TERNARY(vec_fma(a, b, c)); break;
    case HONE_VOP_NEG: UNARY(vec_neg(a)); break;
    case HONE_VOP_ABS: UNARY(vec_abs(a)); break;
    case HONE_VOP_SQRT: UNARY(vec_sqrt(a)); break;
    case HONE_VOP_EXP: UNARY(vec_exp(a)); break;
    case HONE_VOP_LOG: UNARY(vec_log(a)); break;
    case HONE_VOP_TANH: UNARY(vec_tanh(a)); break;
    case HONE_VOP_SIGMOID: UNARY(vec_sigmoid(a)); break;
    case HONE_VOP_ERF: UNARY(vec_erf(a)); break;
    case HONE_VOP_SIN: UNARY(vec_sin(a)); break;
    case HONE_VOP_COS: UNARY(vec_cos(a)); break;
    case HONE_VOP_TAN: UNARY(vec_tan(a)); break;
    case HONE_VOP_ASIN: UNARY(vec_asin(a)); break;
    case HONE_VOP_ACOS: UNARY(vec_acos(a)); break;
    case HONE_VOP_ATAN: UNARY(vec_atan(a)); break;
    case HONE_VOP_SINH: UNARY(vec_sinh(a)); break;
    case HONE_VOP_COSH: UNARY(vec_cosh(a)); break;
    case HONE_VOP_ASINH: UNARY(vec_asinh(a)); break;
    case HONE_VOP_ACOSH: UNARY(vec_acosh(a)); break;
    case HONE_VOP_ATANH: UNARY(vec_atanh(a)); break;
    case HONE_VOP_FLOOR: UNARY(vec_floor(a)); break;
    case HONE_VOP_CEIL: UNARY(vec_ceil(a)); break;
    case HONE_VOP_ROUND: UNARY(vec_round(a)); break;
    case HONE_VOP_GT: BINARY(vec_mask_to_f32(vec_gt(a, b))); break;
    case HONE_VOP_GE: BINARY(vec_mask_to_f32(vec_ge(a, b))); break;
    case HONE_VOP_EQ: BINARY(vec_mask_to_f32(vec_eq(a, b))); break;
    case HONE_VOP_NE: BINARY(vec_mask_to_f32(vec_ne(a, b))); break;
    case HONE_VOP_GATE: BINARY(a * vec_sigmoid(b)); break;
    case HONE_VOP_GELU: TERNARY(a * vec_fma(vec_erf(a * b), c, c)); break;
    case HONE_VOP_SELECT: TERNARY(vec_select(vec_ne(a, vec_zero()), b, c)); break;
    case HONE_VOP_REAL_U8: REAL(uint8_t, vec_load_u8); break;
    case HONE_VOP_REAL_S8: REAL(int8_t, vec_load_s8); break;
    default: break;
    }
}

/* Clamped before rounding, which is the same since the bounds are whole. vec_max gives its second operand for
 * NaN. */
VEC_FN vec_i32 quantize(vec_f32 a, vec_f32 zero, float low, float high) {
    vec_f32 q = vec_max(a, vec_set1(low) - zero);
    return vec_to_i32(vec_round(vec_min(q, vec_set1(high) - zero)) + zero);
}

#define QUANTIZE(name, type, store, low, high)                                                               \
    static void name(type *dst, const float *a, const float *zero, int64_t n) {                              \
        int64_t i = 0;                                                                                       \
        for (; i + VEC_F32 <= n; i += VEC_F32)                                                               \
            store(dst + i, quantize(vec_load(a + i), vec_load(zero + i), low, high));                        \
        const int rest = (int)(n - i);                                                                       \
        if (rest > 0)                                                                                        \
            store##_n(dst + i, quantize(vec_load_n(a + i, rest), vec_load_n(zero + i, rest), low, high),     \
                      rest);                                                                                 \
    }
QUANTIZE(to_u8, uint8_t, vec_store_u8, 0, 255)
QUANTIZE(to_s8, int8_t, vec_store_s8, -128, 127)

/* The same of a / scale. From above it is held in what division by it keeps finite. */
VEC_FN vec_f32 steps(vec_f32 a, vec_f32 scale, vec_f32 inverse, vec_f32 most) {
    return vec_divide_by(vec_min(most, a), scale, inverse);
}

#define CODE(name, type, store, low, high)                                                                   \
    static void name(type *dst, const float *a, const float *zero, float scale, int64_t n) {                 \
        const vec_f32 s = vec_set1(scale), r = vec_set1(1.0f / scale), most = vec_set1(1024.0f * scale);     \
        int64_t i = 0;                                                                                       \
        for (; i + VEC_F32 <= n; i += VEC_F32)                                                               \
            store(dst + i, quantize(steps(vec_load(a + i), s, r, most), vec_load(zero + i), low, high));     \
        const int rest = (int)(n - i);                                                                       \
        if (rest > 0)                                                                                        \
            store##_n(                                                                                       \
                dst + i,                                                                                     \
                quantize(steps(vec_load_n(a + i, rest), s, r, most), vec_load_n(zero + i, rest), low, high), \
                rest);                                                                                       \
    }
CODE(code_u8, uint8_t, vec_store_u8, 0, 255)
CODE(code_s8, int8_t, vec_store_s8, -128, 127)

/* What does not compute in float32. */
static void run_other(const hone_instr *i, void *const *registers, int64_t n) {
    void *dst = registers[i->dst];
    const void *a = registers[i->a];
    switch ((hone_vop)i->op) {
    case HONE_VOP_COPY:
        if (dst != a) memcpy(dst, a, (size_t)n * hone_dtype_size((hone_dtype)i->dtype));
        return;
    case HONE_VOP_CAST: HONE_ISA_NAME(cast)(i->b, i->dtype, a, dst, n); return;
    case HONE_VOP_QUANTIZE:
        if (i->dtype == HONE_INT8)
            to_s8(dst, a, registers[i->b], n);
        else
            to_u8(dst, a, registers[i->b], n);
        return;
    case HONE_VOP_CODE:
        if (i->dtype == HONE_INT8)
            code_s8(dst, a, registers[i->b], *(const float *)registers[i->c], n);
        else
            code_u8(dst, a, registers[i->b], *(const float *)registers[i->c], n);
        return;
    default: break;
    }
    switch ((hone_dtype)i->dtype) {
    case HONE_FLOAT64: hone_instr_f64(i, registers, n); break;
    case HONE_INT32: hone_instr_i32(i, registers, n); break;
    case HONE_INT64: hone_instr_i64(i, registers, n); break;
    case HONE_UINT32: hone_instr_u32(i, registers, n); break;
    case HONE_UINT64: hone_instr_u64(i, registers, n); break;
    default: break;
    }
}

void HONE_ISA_NAME(program)(const hone_program *p, void *const *registers, int64_t n) {
    for (const hone_instr *i = p->code, *end = i + p->count; i < end; i++) {
        if (i->dtype == HONE_FLOAT32 && i->op > HONE_VOP_QUANTIZE)
            run_f32(i->op, registers[i->dst], registers[i->a], registers[i->b], registers[i->c], n);
        else
            run_other(i, registers, n);
    }
}
