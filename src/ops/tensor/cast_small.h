/* Cast from or to a float8, a float4, or an integer of less than a byte. */
#ifndef HONE_OPS_TENSOR_CAST_SMALL_H
#define HONE_OPS_TENSOR_CAST_SMALL_H

#include "graph/run.h"

/* HONE_INVALID_ARGUMENT if round_mode is none of ONNX's. */
hone_status hone_infer_cast_small(const hone_infer *ctx, hone_error *err);
/* Is it such a cast, with the attributes of ONNX's Cast? */
bool hone_is_cast_small(const hone_prepare *p);
hone_status hone_prepare_cast_small(hone_prepare *p, hone_error *err);

#endif
