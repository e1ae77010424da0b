/* The product of two matrices as a step, for MatMul and Gemm: chooses how B is read, cuts the work, runs
 * epilogues. */
#ifndef HONE_OPS_ENGINE_MATMUL_H
#define HONE_OPS_ENGINE_MATMUL_H

#include "graph/run.h"

/* Y[b] = alpha A[b] B[b] + bias, b in [0, batch). Strides in elements. */
typedef struct hone_matmul {
    int64_t m, n, k;
    int64_t batch;
    const int64_t *a_offset, *b_offset; /* [batch], in elements; NULL: all 0 */
    int64_t a_row, a_col, b_row, b_col;
    bool b_columns; /* B is stored [n, k] */
    float alpha;
    int bias_input;   /* input index of a row [n] that is added; -1: none */
    int addend_input; /* input index of what is added, times beta, broadcast to Y; -1: none */
    float beta;
} hone_matmul;

/* Packs input 1 of the node, [..., k, n] or (`b_columns`) [n, k], if it is a float32 constant. */
hone_status hone_matmul_pack(hone_packer *p, const hone_node *node, bool b_columns, hone_error *err);
/* Sets p up to run `shape` on inputs 0 and 1, with the node's epilogue. */
hone_status hone_matmul_prepare(hone_prepare *p, const hone_matmul *shape, hone_error *err);

#endif
