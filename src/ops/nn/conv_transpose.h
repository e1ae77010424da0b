/* What ConvTranspose shares with its gradients. */
#ifndef HONE_OPS_NN_CONV_TRANSPOSE_H
#define HONE_OPS_NN_CONV_TRANSPOSE_H

#include "ops/engine/conv.h"

/* The window of the convolution of which the node, with inputs of types x and w, is the transpose, its pads all given.
 * `dims` (may be NULL) gets its output's spatial dimensions. */
hone_status hone_conv_transpose_window(const hone_node *n, const hone_type *x, const hone_type *w,
                                       hone_window *window, int64_t *dims, hone_error *err);
/* Emits the gradients of a convolution, or of its transpose, by the private operators of that name. */
void hone_conv_gradient(hone_gradient *ctx, const char *grad_x, const char *grad_w, bool transposed);

#define HONE_CONV_TRANSPOSE_ATTRS                                                                            \
    HONE_CONV_ATTRS, {"output_padding", HONE_ATTR_INTS}, {                                                   \
        "output_shape", HONE_ATTR_INTS                                                                       \
    }

#endif
