/* The product of two integer matrices as a step, for MatMulInteger, QLinearMatMul and IntegerGemm.
 *
 *   A u8 or s8 ─ flipped to u8 if need be ─┐
 *                                          ├─► gemm_u8s8 ─► int32 | float32 | u8 | s8
 *   B s8 or u8 ─ flipped to s8, packed ────┘
 *
 * A constant B is packed once for the model; scales, zero points and bias become three vectors of [n]
 * (multiplier, integer bias, float offset), at preparing where all of them are constant, else at each run. */
#ifndef HONE_OPS_ENGINE_INTEGER_GEMM_H
#define HONE_OPS_ENGINE_INTEGER_GEMM_H

#include "graph/run.h"

/* Y[b] = A[b] B[b]; numbers are input indices, -1: there is none. */
typedef struct hone_integer_gemm {
    int64_t m, n, k;
    int64_t batch;
    const int64_t *a_matrix, *b_matrix; /* [batch]: which matrix of A (of B); NULL: all 0 */
    bool b_columns;                     /* B is stored [n, k] */
    int a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, bias;
    float y_scale_value;  /* where y_scale is none; 0: 1 */
    int32_t y_zero_value; /* where y_zero is none */
    bool relu;
} hone_integer_gemm;

/* Packs B, at that input of the node, if it is a constant. */
hone_status hone_integer_gemm_pack(hone_packer *p, const hone_node *node, int input, bool b_columns,
                                   hone_error *err);
/* Fills m, n, k, batch and the matrices from the shapes of inputs s->a and s->b, as MatMul has them. */
hone_status hone_integer_gemm_shape(hone_prepare *p, hone_integer_gemm *s, hone_error *err);
/* Sets p up to run `s`. The output's dtype says what the sums become. A scale or zero point has one element,
 * or one for each row of A (not with a bias), or for each column of B; for each matrix of them or for all. */
hone_status hone_integer_gemm_prepare(hone_prepare *p, const hone_integer_gemm *s, hone_error *err);
/* Infers MatMul's output shape of types a and b. */
hone_status hone_infer_matmul_shape(const hone_infer *ctx, const hone_type *a, const hone_type *b,
                                    hone_type *y, hone_error *err);

#endif
