#include "kernels/levels.h"
#include "kernels/vec_math.h"

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

static void run(int op, float *dst, const float *ra, const float *rb, const float *rc, int64_t n) {
    switch ((hone_vop)op) {
    case HONE_VOP_COPY: UNARY(a); break;
    case HONE_VOP_ADD: BINARY(a + b); break;
    case HONE_VOP_SUB: BINARY(a - b); break;
    case HONE_VOP_MUL: BINARY(a * b); break;
    case HONE_VOP_DIV: BINARY(a / b); break;
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
    case HONE_VOP_FLOOR: UNARY(vec_floor(a)); break;
    case HONE_VOP_CEIL: UNARY(vec_ceil(a)); break;
    case HONE_VOP_ROUND: UNARY(vec_round(a)); break;
    case HONE_VOP_GT: BINARY(vec_mask_to_f32(vec_gt(a, b))); break;
    case HONE_VOP_GE: BINARY(vec_mask_to_f32(vec_ge(a, b))); break;
    case HONE_VOP_EQ: BINARY(vec_mask_to_f32(vec_eq(a, b))); break;
    case HONE_VOP_SELECT: TERNARY(vec_select(vec_ne(a, vec_zero()), b, c)); break;
    case HONE_VOP_COUNT: break;
    }
}

void HONE_ISA_NAME(program_f32)(const hone_program *p, float *const *registers, int64_t n) {
    for (const hone_instr *i = p->code, *end = i + p->count; i < end; i++)
        run(i->op, registers[i->dst], registers[i->a], registers[i->b], registers[i->c], n);
}
