/* One instruction of a vector program in plain C for one element type. Before including, define
 *   NAME             the function
 *   TYPE             its element type
 *   MATH(fn)         libm's name of a function for TYPE;  or, for integers,
 *   UNSIGNED         the unsigned type of the same width, in which arithmetic wraps
 *   SIGNED           if TYPE is */
#define EACH(expression)                                                                                     \
    for (int64_t i = 0; i < n; i++) dst[i] = (TYPE)(expression)

#ifdef SIGNED
#define NEGATIVE(x) ((x) < 0)
#define MINUS_ONE(x) ((x) == -1)
#else
#define NEGATIVE(x) false
#define MINUS_ONE(x) false
#endif

#ifdef UNSIGNED
#define BITS (8 * sizeof(TYPE))
#define POWER HONE_PASTE(NAME, _power)
/* By squaring. A negative power of anything but 1 and -1 is a fraction. */
static TYPE POWER(TYPE x, TYPE power) {
    if (NEGATIVE(power)) return x == 1 ? 1 : MINUS_ONE(x) ? power & 1 ? x : 1 : 0;
    UNSIGNED y = 1, square = (UNSIGNED)x;
    for (UNSIGNED rest = (UNSIGNED)power; rest; rest >>= 1, square *= square)
        if (rest & 1) y *= square;
    return (TYPE)y;
}
#endif

void NAME(const hone_instr *instr, void *const *registers, int64_t n) {
    TYPE *dst = registers[instr->dst];
    const TYPE *a = registers[instr->a], *b = registers[instr->b], *c = registers[instr->c];
    switch ((hone_vop)instr->op) {
    case HONE_VOP_GT: EACH(a[i] > b[i]); break;
    case HONE_VOP_GE: EACH(a[i] >= b[i]); break;
    case HONE_VOP_EQ: EACH(a[i] == b[i]); break;
    case HONE_VOP_NE: EACH(a[i] != b[i]); break;
    case HONE_VOP_SELECT: EACH(a[i] != 0 ? b[i] : c[i]); break;
    /* a != a: NaN */
    case HONE_VOP_MAX: EACH(a[i] > b[i] || a[i] != a[i] ? a[i] : b[i]); break;
    case HONE_VOP_MIN: EACH(a[i] < b[i] || a[i] != a[i] ? a[i] : b[i]); break;
#ifdef UNSIGNED
    case HONE_VOP_ADD: EACH((UNSIGNED)a[i] + (UNSIGNED)b[i]); break;
    case HONE_VOP_SUB: EACH((UNSIGNED)a[i] - (UNSIGNED)b[i]); break;
    case HONE_VOP_MUL: EACH((UNSIGNED)a[i] * (UNSIGNED)b[i]); break;
    /* by -1 as a negation, for the least integer's sake */
    case HONE_VOP_DIV:
        EACH(b[i] == 0 ? 0 : MINUS_ONE(b[i]) ? (TYPE)(0 - (UNSIGNED)a[i]) : a[i] / b[i]);
        break;
    case HONE_VOP_REM: EACH(b[i] == 0 || MINUS_ONE(b[i]) ? 0 : a[i] % b[i]); break;
    case HONE_VOP_POW: EACH(POWER(a[i], b[i])); break;
    case HONE_VOP_NEG: EACH(0 - (UNSIGNED)a[i]); break;
    case HONE_VOP_ABS: EACH(NEGATIVE(a[i]) ? 0 - (UNSIGNED)a[i] : (UNSIGNED)a[i]); break;
    case HONE_VOP_AND: EACH(a[i] & b[i]); break;
    case HONE_VOP_OR: EACH(a[i] | b[i]); break;
    case HONE_VOP_XOR: EACH(a[i] ^ b[i]); break;
    case HONE_VOP_SHL:
        EACH((UNSIGNED)b[i] < BITS ? (UNSIGNED)a[i] << ((UNSIGNED)b[i] & (BITS - 1)) : 0);
        break;
    case HONE_VOP_SHR: EACH((UNSIGNED)b[i] < BITS ? a[i] >> ((UNSIGNED)b[i] & (BITS - 1)) : 0); break;
    default: assert(!"a float operation in an integer program"); break;
#else
    case HONE_VOP_ADD: EACH(a[i] + b[i]); break;
    case HONE_VOP_SUB: EACH(a[i] - b[i]); break;
    case HONE_VOP_MUL: EACH(a[i] * b[i]); break;
    case HONE_VOP_DIV: EACH(a[i] / b[i]); break;
    case HONE_VOP_REM: EACH(MATH(fmod)(a[i], b[i])); break;
    case HONE_VOP_POW: EACH(MATH(pow)(a[i], b[i])); break;
    case HONE_VOP_FMA: EACH(MATH(fma)(a[i], b[i], c[i])); break;
    case HONE_VOP_NEG: EACH(-a[i]); break;
    case HONE_VOP_ABS: EACH(MATH(fabs)(a[i])); break;
    case HONE_VOP_SQRT: EACH(MATH(sqrt)(a[i])); break;
    case HONE_VOP_EXP: EACH(MATH(exp)(a[i])); break;
    case HONE_VOP_LOG: EACH(MATH(log)(a[i])); break;
    case HONE_VOP_TANH: EACH(MATH(tanh)(a[i])); break;
    case HONE_VOP_SIGMOID: EACH(1 / (1 + MATH(exp)(-a[i]))); break;
    case HONE_VOP_ERF: EACH(MATH(erf)(a[i])); break;
    case HONE_VOP_SIN: EACH(MATH(sin)(a[i])); break;
    case HONE_VOP_COS: EACH(MATH(cos)(a[i])); break;
    case HONE_VOP_TAN: EACH(MATH(tan)(a[i])); break;
    case HONE_VOP_ASIN: EACH(MATH(asin)(a[i])); break;
    case HONE_VOP_ACOS: EACH(MATH(acos)(a[i])); break;
    case HONE_VOP_ATAN: EACH(MATH(atan)(a[i])); break;
    case HONE_VOP_SINH: EACH(MATH(sinh)(a[i])); break;
    case HONE_VOP_COSH: EACH(MATH(cosh)(a[i])); break;
    case HONE_VOP_ASINH: EACH(MATH(asinh)(a[i])); break;
    case HONE_VOP_ACOSH: EACH(MATH(acosh)(a[i])); break;
    case HONE_VOP_ATANH: EACH(MATH(atanh)(a[i])); break;
    case HONE_VOP_FLOOR: EACH(MATH(floor)(a[i])); break;
    case HONE_VOP_CEIL: EACH(MATH(ceil)(a[i])); break;
    case HONE_VOP_ROUND: EACH(MATH(nearbyint)(a[i])); break;
    default: assert(!"no operation of floats"); break;
#endif
    }
}

#undef EACH
#undef NEGATIVE
#undef MINUS_ONE
#undef POWER
#undef BITS
#undef NAME
#undef TYPE
#undef MATH
#undef UNSIGNED
#undef SIGNED
