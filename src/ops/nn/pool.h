/* What the files of pooling know of each other. */
#ifndef HONE_OPS_NN_POOL_H
#define HONE_OPS_NN_POOL_H

#include "graph/op.h"

/* MaxPool and AveragePool of images whose channels are last. */
hone_value *hone_max_pool_channels_last(hone_channels_last *ctx);
hone_value *hone_average_pool_channels_last(hone_channels_last *ctx);
hone_value *hone_max_pool_grad_channels_last(hone_channels_last *ctx);

/* Gradients of MaxPool, AveragePool, LpPool. */
void hone_max_pool_gradient(hone_gradient *ctx);
void hone_average_pool_gradient(hone_gradient *ctx);
void hone_lp_pool_gradient(hone_gradient *ctx);

/* The p-norm Y of some X has the slope Y^(1 - p) |X|^(p - 1) sign(X). dY times the first factor, 0 where
 * Y is; */
hone_value *hone_norm_share(hone_gradient *ctx);
/* and `share`, of the shape of X (or broadcast to it), times the others. */
hone_value *hone_norm_slope(hone_gradient *ctx, hone_value *share);

#endif
