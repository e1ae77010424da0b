/* What convolutions have in common: X [N, C, …], W [M, C / group, taps …], bias [M], Y [N, M, …]. */
#ifndef HONE_OPS_ENGINE_CONV_H
#define HONE_OPS_ENGINE_CONV_H

#include "graph/infer.h"
#include "ops/engine/product.h"
#include "ops/engine/window.h"

/* y's shape, from types of x, w and the bias (NULL: none). */
hone_status hone_conv_infer(const hone_infer *ctx, const hone_type *x, const hone_type *w,
                            const hone_type *bias, hone_type *y, hone_error *err);
/* Links of the axes of inputs x, w and bias (-1: none). */
void hone_conv_axes(const hone_node *n, hone_axes *out, int x, int w, int bias);
int64_t hone_conv_multiply_adds(const hone_type *w, const hone_type *y);
/* The product of patches that it is: s->a is W's input, s->b X's; fills sizes, strides, and s->patches with `windows`. */
hone_status hone_conv_product(const hone_prepare *p, hone_product *s, hone_windows *windows, hone_error *err);

/* The same with those windows over `batch` images. */
void hone_conv_product_of(hone_product *s, const hone_windows *windows, int64_t groups, const hone_type *w,
                          int64_t batch);

#define HONE_CONV_ATTRS                                                                                      \
    HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {                                                      \
        "group", HONE_ATTR_INT, .i = 1                                                                       \
    }

#endif
