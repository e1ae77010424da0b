/* Real numbers as 8-bit codes: weights, biases, and the grids of activations. */
#ifndef HONE_COMPRESS_CODES_H
#define HONE_COMPRESS_CODES_H

#include "compress/calibrate.h"

typedef struct hone_codes {
    hone_tensor *q, *scale; /* as the float tensor; float32 [channels] */
} hone_codes;
void hone_codes_free(hone_codes *c);

/* w (float32) as int8, symmetric, a scale for each position of `axis`: |w| max maps to 127. On success the tensors belong to
 * the caller. */
hone_status hone_codes_of_weight(const hone_tensor *w, int axis, hone_codes *out, hone_error *err);

/* b (float32 [channels]) as int32 in steps of x_scale times the weight's scale, so that it adds exactly to sums of products.
 * Where a number is too large for that, the scale of its channel grows until it fits, and `weight` is made anew there:
 * beside such a bias nobody sees the difference. *fits is false, and nothing made, where b is no such vector or a scale
 * would be infinite. */
hone_status hone_codes_of_bias(const hone_tensor *b, const hone_tensor *w, int axis, float x_scale,
                               hone_codes *weight, hone_codes *out, bool *fits, hone_error *err);

/* x = scale (code - zero), codes 0 … 255. */
typedef struct hone_grid {
    float scale;
    int zero;
} hone_grid;
/* The range is made to hold 0, so that zero (padding, ReLU) is exact. */
hone_grid hone_grid_of(hone_range r);
/* The code of x. */
int hone_grid_code(hone_grid g, double x);

#endif
