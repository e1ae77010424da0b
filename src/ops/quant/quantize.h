/* Running QuantizeLinear, DequantizeLinear and their gradient. Inputs x, scale, zero point, from `x` on. */
#ifndef HONE_OPS_QUANT_QUANTIZE_H
#define HONE_OPS_QUANT_QUANTIZE_H

#include "graph/run.h"

/* The dtype that x / scale is computed in: of the attribute `precision`, or the scale's own; float32 where that is none
 * to divide in. */
hone_dtype hone_quantize_precision(const hone_node *n, hone_dtype scale);
/* The least and the largest number of an integer dtype of at most 16 bits. */
void hone_quantize_ends(hone_dtype dtype, int32_t *low, int32_t *high);

hone_status hone_prepare_quantize(hone_prepare *p, hone_error *err);
hone_status hone_prepare_dequantize(hone_prepare *p, hone_error *err);
/* QuantizeGrad(dy, x, scale, zero point), of a QuantizeLinear to dtype `to`. */
hone_status hone_prepare_quantize_grad(hone_prepare *p, hone_error *err);

#endif
