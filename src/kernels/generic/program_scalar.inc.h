/* A vector program in plain C for one element type. Before including, define
 *   NAME             the function
 *   TYPE             its element type
 *   MATH(fn)         libm's name of a function for TYPE;  or, for integers,
 *   UNSIGNED         the unsigned type of the same width, in which arithmetic wraps */
#define EACH(expression)                                                                                     \
    for (int64_t i = 0; i < n; i++) dst[i] = (TYPE)(expression)

void NAME(const hone_program *p, TYPE *const *registers, int64_t n) {
    for (const hone_instr *instr = p->code, *end = instr + p->count; instr < end; instr++) {
        TYPE *dst = registers[instr->dst];
        const TYPE *a = registers[instr->a], *b = registers[instr->b], *c = registers[instr->c];
        switch ((hone_vop)instr->op) {
        case HONE_VOP_COPY: EACH(a[i]); break;
        case HONE_VOP_GT: EACH(a[i] > b[i]); break;
        case HONE_VOP_GE: EACH(a[i] >= b[i]); break;
        case HONE_VOP_EQ: EACH(a[i] == b[i]); break;
        case HONE_VOP_SELECT: EACH(a[i] != 0 ? b[i] : c[i]); break;
        /* a != a: NaN */
        case HONE_VOP_MAX: EACH(a[i] > b[i] || a[i] != a[i] ? a[i] : b[i]); break;
        case HONE_VOP_MIN: EACH(a[i] < b[i] || a[i] != a[i] ? a[i] : b[i]); break;
#ifdef UNSIGNED
        case HONE_VOP_ADD: EACH((UNSIGNED)a[i] + (UNSIGNED)b[i]); break;
        case HONE_VOP_SUB: EACH((UNSIGNED)a[i] - (UNSIGNED)b[i]); break;
        case HONE_VOP_MUL: EACH((UNSIGNED)a[i] * (UNSIGNED)b[i]); break;
        /* by -1 as a negation, for the least integer's sake */
        case HONE_VOP_DIV: EACH(b[i] == 0 ? 0 : b[i] == -1 ? (TYPE)(0 - (UNSIGNED)a[i]) : a[i] / b[i]); break;
        case HONE_VOP_NEG: EACH(0 - (UNSIGNED)a[i]); break;
        case HONE_VOP_ABS: EACH(a[i] < 0 ? 0 - (UNSIGNED)a[i] : (UNSIGNED)a[i]); break;
        default: assert(!"a float operation in an integer program"); break;
#else
        case HONE_VOP_ADD: EACH(a[i] + b[i]); break;
        case HONE_VOP_SUB: EACH(a[i] - b[i]); break;
        case HONE_VOP_MUL: EACH(a[i] * b[i]); break;
        case HONE_VOP_DIV: EACH(a[i] / b[i]); break;
        case HONE_VOP_FMA: EACH(MATH(fma)(a[i], b[i], c[i])); break;
        case HONE_VOP_NEG: EACH(-a[i]); break;
        case HONE_VOP_ABS: EACH(MATH(fabs)(a[i])); break;
        case HONE_VOP_SQRT: EACH(MATH(sqrt)(a[i])); break;
        case HONE_VOP_EXP: EACH(MATH(exp)(a[i])); break;
        case HONE_VOP_LOG: EACH(MATH(log)(a[i])); break;
        case HONE_VOP_TANH: EACH(MATH(tanh)(a[i])); break;
        case HONE_VOP_SIGMOID: EACH(1 / (1 + MATH(exp)(-a[i]))); break;
        case HONE_VOP_ERF: EACH(MATH(erf)(a[i])); break;
        case HONE_VOP_FLOOR: EACH(MATH(floor)(a[i])); break;
        case HONE_VOP_CEIL: EACH(MATH(ceil)(a[i])); break;
        case HONE_VOP_ROUND: EACH(MATH(nearbyint)(a[i])); break;
        case HONE_VOP_COUNT: break;
#endif
        }
    }
}

#undef EACH
#undef NAME
#undef TYPE
#undef MATH
#undef UNSIGNED
