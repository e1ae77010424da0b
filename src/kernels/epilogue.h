/* What becomes of sums: of the products of matrices, and of windows of weights. */
#ifndef HONE_KERNELS_EPILOGUE_H
#define HONE_KERNELS_EPILOGUE_H

#include <stdbool.h>
#include <stdint.h>

/* What elements of C are. */
typedef enum hone_store {
    HONE_STORE_F32,
    HONE_STORE_F64,
    HONE_STORE_I32,
    HONE_STORE_U8,
    HONE_STORE_S8
} hone_store;

/* What codes become that would be stored: real numbers, to which others are added, rounded again; all by numbers that are
 * finite. Where the quotient by the step is the same as two products, which round once together, `inverse` and `inverse_rest`
 * are what they multiply by; else `inverse` is 0. */
typedef struct hone_byte_sum {
    const void *other; /* codes [m, n], of the kind that is stored; may be C itself; NULL: nothing is added */
    int64_t other_row;
    int32_t other_zero, zero; /* of the other codes, of the result */
    float scale, other_scale; /* of the codes that would be stored, of the others */
    float step;               /* 0: there is none of this */
    float inverse, inverse_rest;
    float lo, hi; /* of the sum */
} hone_byte_sum;

/* What becomes of a finished sum s of row i and column j; nothing is contracted.
 *
 *   float sums        v = alpha s + bias[j] + row_bias[i] + residual[i][j]          in the sums' own type
 *   integer sums      s = s + sum_bias[j] + row_sum_bias[i] - b_zero[j] a_sum[i]    exact in int32, wrapping
 *                     v = (float)s scale[j] + bias[j] + row_bias[i] + residual[i][j] float; or row_scale[i]
 *   F32, F64          c = clamp(v, lo, hi), where NaN stays
 *   F32               with `ramp`, c = c clamp(c slope + offset, 0, 1) behind that: HardSwish and its kind
 *   I32               c = s
 *   U8, S8            c = saturate(round_half_even(clamp(v, lo, hi)) + zero)
 *                     and with `plus`, v = (c - zero) plus.scale [+ (other[i][j] - plus.other_zero) plus.other_scale]
 *                     c = saturate(round_half_even(clamp(v, plus.lo, plus.hi) / plus.step) + plus.zero)
 *
 * Pointers may be NULL, then their term is left out; but one of `scale` and `row_scale` there is, save for I32. */
typedef struct hone_epilogue {
    hone_store store;
    double alpha;         /* 1 costs nothing */
    const void *bias;     /* [n]: float, or double for double sums */
    const void *row_bias; /* [m] of bias's type */
    const void *residual; /* [m, n] of bias's type; may be C itself */
    int64_t residual_row;
    double lo, hi;                            /* -INFINITY, INFINITY: no clamp */
    const int32_t *sum_bias, *b_zero, *a_sum; /* [n], [n], [m]; the last two both or neither */
    const int32_t *row_sum_bias;              /* [m] */
    const float *scale, *row_scale;           /* [n]; [m] */
    int32_t zero;
    hone_byte_sum plus; /* products alone */
    bool ramp;          /* products of float32, and of images whose channels are last */
    float slope, offset;
} hone_epilogue;

#endif
