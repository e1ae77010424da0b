/* The elementwise operations of vector programs: the vocabulary in which graphs describe elementwise work
 * (graph/map.h) and which kernels carry out (kernels/program.h). Numbers only, so both rooms may include it. */
#ifndef HONE_BASE_VOP_H
#define HONE_BASE_VOP_H

/* X(NAME, name, number of operands): what dst becomes, for float32 and float64; those marked i are for int32, int64,
 * uint32 and uint64, too, where arithmetic wraps. Operands and dst are of one type. */
#define HONE_VOPS(X)                                                                                         \
    X(ADD, add, 2)         /* i  a + b */                                                                    \
    X(SUB, sub, 2)         /* i  a - b */                                                                    \
    X(MUL, mul, 2)         /* i  a * b */                                                                    \
    X(DIV, div, 2)         /* i  a / b; integers: toward zero, x/0 = 0 */                                    \
    X(REM, rem, 2)         /* i  a - b * trunc(a / b), exactly: a's sign; integers: x rem 0 = 0 */           \
    X(POW, pow, 2)         /* i  a to the power b; integers to a negative power: toward zero, 0 = 0 */       \
    X(MAX, max, 2)         /* i  NaN if either is NaN */                                                     \
    X(MIN, min, 2)         /* i  NaN if either is NaN */                                                     \
    X(FMA, fma, 3)         /*    a * b + c, rounded once where the ISA has fma */                            \
    X(NEG, neg, 1)         /* i */                                                                           \
    X(ABS, abs, 1)         /* i */                                                                           \
    X(SQRT, sqrt, 1)       /* */                                                                             \
    X(EXP, exp, 1)         /* relative error <= 2e-7; overflow to inf, underflow to 0 */                     \
    X(LOG, log, 1)         /* natural; log(0) = -inf, log(<0) = NaN */                                       \
    X(TANH, tanh, 1)       /* absolute error <= 3e-7 */                                                      \
    X(SIGMOID, sigmoid, 1) /* 1 / (1 + exp(-a)), no overflow */                                              \
    X(ERF, erf, 1)         /* absolute error <= 3e-7 */                                                      \
    X(SIN, sin, 1)         /* absolute error <= 2e-7; NaN of infinity */                                     \
    X(COS, cos, 1)         /* absolute error <= 2e-7; NaN of infinity */                                     \
    X(TAN, tan, 1)         /* relative error <= 4e-7 away from zeros and poles */                            \
    X(ASIN, asin, 1)       /* relative error <= 4e-7; NaN beyond [-1, 1] */                                  \
    X(ACOS, acos, 1)       /* relative error <= 4e-7; NaN beyond [-1, 1] */                                  \
    X(ATAN, atan, 1)       /* relative error <= 3e-7 */                                                      \
    X(SINH, sinh, 1)       /* relative error <= 4e-7 */                                                      \
    X(COSH, cosh, 1)       /* relative error <= 4e-7 */                                                      \
    X(ASINH, asinh, 1)     /* relative error <= 5e-7 */                                                      \
    X(ACOSH, acosh, 1)     /* relative error <= 5e-7; NaN below 1 */                                         \
    X(ATANH, atanh, 1)     /* relative error <= 5e-7; NaN beyond [-1, 1] */                                  \
    X(FLOOR, floor, 1)     /* */                                                                             \
    X(CEIL, ceil, 1)       /* */                                                                             \
    X(ROUND, round, 1)     /* half to even */                                                                \
    X(GT, gt, 2)           /* i  a > b ? 1 : 0 */                                                            \
    X(GE, ge, 2)           /* i  a >= b ? 1 : 0 */                                                           \
    X(EQ, eq, 2)           /* i  a == b ? 1 : 0 */                                                           \
    X(NE, ne, 2)           /* i  a != b ? 1 : 0; 1 if either is NaN */                                       \
    X(SELECT, select, 3)   /* i  a != 0 ? b : c */                                                           \
    X(AND, and, 2)         /* the bits of integers alone */                                                  \
    X(OR, or, 2)           /* */                                                                             \
    X(XOR, xor, 2)         /* */                                                                             \
    X(SHL, shl, 2)         /* a 2^b; 0 where b is the number of bits or more, or negative */                 \
    X(SHR, shr, 2)         /* a / 2^b rounded down; b as above */

typedef enum hone_vop {
    HONE_VOP_COPY,
    HONE_VOP_CAST, /* a as another element type, as ONNX's Cast has it (hone_cast of kernels/portable.h) */
    HONE_VOP_QUANTIZE, /* float32 to uint8 or int8: saturate(round_half_even(a) + b); NaN gives the lowest */
#define X(NAME, name, operands) HONE_VOP_##NAME,
    HONE_VOPS(X)
#undef X
    /* Of programs alone, which are shorter by them, and give the same: */
    HONE_VOP_GATE,    /* float32: a * sigmoid(b) */
    HONE_VOP_GELU,    /* float32: a * fma(erf(a * b), c, c) */
    HONE_VOP_REAL_U8, /* float32: (a - b) * c of codes a; */
    HONE_VOP_REAL_S8,
    HONE_VOP_CODE, /* QUANTIZE of a / c, c being one number in [2^-60, 2^60] for all elements */
    HONE_VOP_COUNT
} hone_vop;

static inline int hone_vop_operands(hone_vop op) {
    static const unsigned char count[] = {1,
                                          1,
                                          2,
#define X(NAME, name, operands) operands,
                                          HONE_VOPS(X)
#undef X
                                              2,
                                          3,
                                          3,
                                          3,
                                          3};
    return count[op];
}

#endif
