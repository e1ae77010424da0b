/* The axes that Resize changes: how long they become, and what each position of them is made of. */
#ifndef HONE_OPS_TENSOR_RESIZE_H
#define HONE_OPS_TENSOR_RESIZE_H

#include "ops/engine/resample.h"

enum { HONE_RESIZE_X, HONE_RESIZE_ROI, HONE_RESIZE_SCALES, HONE_RESIZE_SIZES, HONE_RESIZE_GRADIENT_X };
enum { HONE_RESIZE_NEAREST, HONE_RESIZE_LINEAR, HONE_RESIZE_CUBIC };

/* A node's attributes. */
typedef struct hone_resize_settings {
    int coordinates, mode, rounding, policy;
    bool antialias, exclude_outside;
    double cubic_a;
} hone_resize_settings;

typedef struct hone_resize_axis {
    bool listed; /* it may change */
    int64_t in, out;
    double scale;      /* 0: out / in, exactly */
    double start, end; /* of the region of interest */
} hone_resize_axis;

/* What is known of the axes of a tensor of x's shape: a[0 … x->rank-1]. */
hone_status hone_resize_find_axes(const hone_infer *ctx, const hone_type *x, hone_resize_settings *s,
                                  hone_resize_axis *a, hone_error *err);
/* Lengths of the axes by the content of input HONE_RESIZE_SCALES, if it is known. */
hone_status hone_resize_use_scales(const hone_infer *ctx, int count, const int *axes, hone_resize_axis *a,
                                   hone_error *err);
/* Is each position of the axis the same one of x? */
bool hone_resize_stays(const hone_resize_settings *s, const hone_resize_axis *a);
/* The nearest of each position (hone_pick_make), or -1 beyond the ends; and its weighed sum. NULL: out of memory. */
int64_t *hone_resize_nearest(hone_prepare *p, const hone_resize_settings *s, const hone_resize_axis *a);
const hone_taps *hone_resize_taps(hone_prepare *p, const hone_resize_settings *s, const hone_resize_axis *a);

#endif
