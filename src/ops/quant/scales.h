/* How the scales and zero points of a quantized tensor are spread over it: one for all, one for each position of an axis,
 * or one for each block of positions of it, in a tensor that is otherwise of the same shape (ONNX QuantizeLinear). */
#ifndef HONE_OPS_QUANT_SCALES_H
#define HONE_OPS_QUANT_SCALES_H

#include "graph/op.h"

/* The tensor as [outer, length, inner], along length. The scale of element [o, l, i] is number
 * o strides[0] + l / block strides[1] + i strides[2]. */
typedef struct hone_scales {
    int64_t outer, length, inner, block, strides[3], count;
    bool blocked; /* scales have the tensor's rank */
} hone_scales;

/* For inference: checks scale and zero point (inputs `x` + 1 and `x` + 2) against tensor `x` of the node, whose attributes
 * are `axis` and perhaps `block_size`. */
hone_status hone_scales_infer(const hone_infer *ctx, int x, hone_error *err);
/* The axis that a vector of scales runs along, in [0, rank), where they are not blocked; -1: one for all, -2: none that
 * fits. */
int hone_scales_axis(const hone_node *n, const hone_type *x, const hone_type *scale);
hone_scales hone_scales_make(const hone_node *n, const hone_type *x, const hone_type *scale);
/* For `axes`: links of tensor `x` of the node, and of its scales and zero points. */
void hone_scales_link(const hone_node *n, int x, hone_axes *out);
/* out[0 … n-1] = the numbers of the table that belong to elements [at, at + n). */
void hone_scales_spread(const hone_scales *s, const float *table, int64_t at, int64_t n, float *out);

#endif
