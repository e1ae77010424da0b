/* Real numbers as codes of few bits: weights, biases, and the grids of activations. */
#ifndef HONE_COMPRESS_CODES_H
#define HONE_COMPRESS_CODES_H

#include "compress/calibrate.h"
#include "compress/moments.h"

/* How weights become codes. Those of `block` weights of a channel (0: all of them) share a scale. */
typedef struct hone_code_format {
    int bits; /* 2 … 8 */
    int64_t block;
    bool asymmetric; /* and a zero point */
    hone_rounding rounding;
    bool on_grid; /* the weights that share a scale are codes times it already: it is found again */
    bool shared;  /* all channels share one scale; not of blocks */
} hone_code_format;
int hone_code_lowest(const hone_code_format *f);
int hone_code_highest(const hone_code_format *f);

/* A weight as codes: x = scale (q - zero). */
typedef struct hone_codes {
    int bits;
    hone_tensor *q;     /* int8, as the float tensor, whatever the bits */
    hone_tensor *scale; /* float32 [channels]; of blocks [channels, blocks], with its axes as the weight's */
    hone_tensor *zero;  /* int8, as scale; NULL: 0 */
    bool shared;        /* the scales of all channels are, and stay, the same */
} hone_codes;
void hone_codes_free(hone_codes *c);

/* w (float32) as codes, with scales for each position of `axis`, its channels; blocks are of matrices only. `moments` of what
 * it multiplies, NULL: not known; then GPTQ is SEARCH. On success the tensors belong to the caller. */
hone_status hone_codes_of_weight(const hone_tensor *w, int axis, const hone_code_format *f,
                                 const hone_moments *moments, hone_codes *out, hone_error *err);
/* What the codes stand for: float32, as the weight. */
hone_status hone_codes_real(const hone_codes *c, int axis, int64_t block, hone_tensor **out, hone_error *err);
/* Bits that a file has for a code: 8, 4 or 2, which is not for weights that are multiplied in integers; and int8 codes (or zero
 * points) as int8, int4 or int2. */
int hone_codes_stored_bits(const hone_codes *c, bool integers);
hone_status hone_codes_pack(const hone_tensor *q, int bits, hone_tensor **out, hone_error *err);

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
