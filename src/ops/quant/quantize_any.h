/* Quantization of all dtypes, precisions and shapes of scales, tile by tile through float32. */
#ifndef HONE_OPS_QUANT_QUANTIZE_ANY_H
#define HONE_OPS_QUANT_QUANTIZE_ANY_H

#include "ops/quant/quantize.h"
#include "ops/quant/scales.h"

typedef enum hone_scales_use {
    HONE_SCALES_QUANTIZE,   /* (x, scale, zero) */
    HONE_SCALES_DEQUANTIZE, /* likewise */
    HONE_SCALES_GRADIENT    /* (dy, x, scale, zero) of the first */
} hone_scales_use;

hone_status hone_prepare_any(hone_prepare *p, hone_scales_use use, hone_error *err);

#endif
