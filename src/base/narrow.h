/* float8 and float4, as ONNX has them: to float, which is exact, and back, rounded to nearest even. */
#ifndef HONE_BASE_NARROW_H
#define HONE_BASE_NARROW_H

#include <hone/tensor.h>

/* `dtype` is one of HONE_FLOAT8…, HONE_FLOAT4E2M1 */
bool hone_dtype_is_small_float(hone_dtype dtype);
/* The number that an element's bits stand for. */
float hone_float_of_small(hone_dtype dtype, unsigned bits);

/* Which power of two a number becomes in float8e8m0 (round_mode of ONNX's Cast): the next larger or smaller one, or
 * the nearest, ties to the larger. */
typedef enum hone_e8m0_rounding { HONE_E8M0_UP, HONE_E8M0_DOWN, HONE_E8M0_NEAREST } hone_e8m0_rounding;
/* What is out of range becomes the largest number, or, where it does not saturate, infinity or NaN, whichever the format
 * has. float4 has neither; NaN becomes -0 there. */
typedef struct hone_small_rounding {
    bool saturate;
    hone_e8m0_rounding e8m0;
} hone_small_rounding;
#define HONE_SMALL_ROUNDING ((hone_small_rounding){true, HONE_E8M0_UP}) /* ONNX's defaults */
/* The bits of the nearest element. In float8e8m0 zero, what is below its range and what is negative become the
 * smallest power, or NaN where nothing saturates. */
unsigned hone_small_of_float(hone_dtype dtype, float x, hone_small_rounding rounding);

#endif
