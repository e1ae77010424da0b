/* The shapes of NumPy's matmul, which MatMul and the integer products have in common: matrices are the last two axes,
 * vectors are rows on the left and columns on the right, what is before broadcasts. */
#ifndef HONE_OPS_LINEAR_MATMUL_SHAPE_H
#define HONE_OPS_LINEAR_MATMUL_SHAPE_H

#include "graph/infer.h"
#include "ops/engine/product.h"

/* The shape of y, of types a and b; y's dtype stays. */
hone_status hone_matmul_infer(const hone_infer *ctx, const hone_type *a, const hone_type *b, hone_type *y,
                              hone_error *err);
/* Fills m, n, k, batch, the matrices and A's strides from inputs s->a and s->b. */
hone_status hone_matmul_shape(hone_prepare *p, hone_product *s, hone_error *err);

/* For `prepare` of a MatMul of integers. */
hone_status hone_matmul_whole_prepare(hone_prepare *p, hone_error *err);

#endif
