/* The gradient of a convolution's weights: with the patches B of an image (kernels/image.h) and what comes back for its
 * result,
 *
 *   dW[m, k] = sum over images and positions of dY[m, position] B[k, position]
 *
 * a product with B transposed, whose columns are those of some channels. The order of additions depends on the shape alone. */
#ifndef HONE_OPS_ENGINE_CONV_WEIGHTS_H
#define HONE_OPS_ENGINE_CONV_WEIGHTS_H

#include "graph/run.h"
#include "kernels/kernels.h"

typedef struct hone_conv_weights {
    hone_windows w;                 /* of the convolution; channels: of a group */
    int64_t batch, groups, outputs; /* images; channels of dY in a group */
    int dy, x;                      /* indices of inputs */
} hone_conv_weights;

/* For `prepare`: sets p up to run `c`, of float32 or float64. */
hone_status hone_conv_weights_prepare(hone_prepare *p, const hone_conv_weights *c, hone_error *err);

#endif
