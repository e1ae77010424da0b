/* The elementwise operations of vector programs: the vocabulary in which graphs describe elementwise work
 * (graph/map.h) and which kernels carry out (kernels/program.h). Numbers only, so both rooms may include it. */
#ifndef HONE_BASE_VOP_H
#define HONE_BASE_VOP_H

/* name, number of operands, what dst becomes (for float and double; the integer forms exist for those marked i) */
#define HONE_VOPS(X)                                                                                         \
    X(COPY, 1)    /* i  a */                                                                                 \
    X(ADD, 2)     /* i  a + b */                                                                             \
    X(SUB, 2)     /* i  a - b */                                                                             \
    X(MUL, 2)     /* i  a * b */                                                                             \
    X(DIV, 2)     /* i  a / b; integers: toward zero, x/0 = 0 */                                             \
    X(MAX, 2)     /* i  NaN if either is NaN */                                                              \
    X(MIN, 2)     /* i  NaN if either is NaN */                                                              \
    X(FMA, 3)     /*    a * b + c, rounded once where the ISA has fma */                                     \
    X(NEG, 1)     /* i */                                                                                    \
    X(ABS, 1)     /* i */                                                                                    \
    X(SQRT, 1)    /* */                                                                                      \
    X(EXP, 1)     /* relative error <= 2e-7; overflow to inf, underflow to 0 */                              \
    X(LOG, 1)     /* natural; log(0) = -inf, log(<0) = NaN */                                                \
    X(TANH, 1)    /* absolute error <= 3e-7 */                                                               \
    X(SIGMOID, 1) /* 1 / (1 + exp(-a)), no overflow */                                                       \
    X(ERF, 1)     /* absolute error <= 3e-7 */                                                               \
    X(FLOOR, 1)   /* */                                                                                      \
    X(CEIL, 1)    /* */                                                                                      \
    X(ROUND, 1)   /* half to even */                                                                         \
    X(GT, 2)      /* i  a > b ? 1 : 0 */                                                                     \
    X(GE, 2)      /* i  a >= b ? 1 : 0 */                                                                    \
    X(EQ, 2)      /* i  a == b ? 1 : 0 */                                                                    \
    X(SELECT, 3)  /* i  a != 0 ? b : c */

typedef enum hone_vop {
#define X(name, operands) HONE_VOP_##name,
    HONE_VOPS(X)
#undef X
        HONE_VOP_COUNT
} hone_vop;

#endif
