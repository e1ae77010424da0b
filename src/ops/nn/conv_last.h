/* Convolution of images whose channels are last. */
#ifndef HONE_OPS_NN_CONV_LAST_H
#define HONE_OPS_NN_CONV_LAST_H

#include "graph/infer.h"
#include "ops/engine/product.h"

/* What the forms have in common: input 0 is the image; w and b are the inputs of weights and bias, weights [M, taps * C] or
 * (depthwise) [taps, C]. Output 0 keeps its dtype. */
hone_status hone_conv_last_infer(hone_infer *ctx, int w, int b, bool depthwise, hone_error *err);
/* s->b is set; fills sizes, and s->a_windows with `windows`. */
hone_status hone_conv_last_product(const hone_prepare *p, hone_product *s, bool depthwise,
                                   hone_windows *windows, hone_error *err);
/* Can weights (input w) and bias of convolution n be laid out anew: a constant, of one group or of channels each by itself,
 * over one or two spatial axes? */
bool hone_conv_last_takes(const hone_node *n, int w, int b);
/* The same of weights that need not be constant, and whatever the bias. */
bool hone_conv_last_fits(const hone_node *n, int w);
/* Weights that are no constant, in the order in which the forms read them; those that there are already. */
hone_value *hone_conv_weights_last(hone_graph *g, hone_value *w, bool depthwise);
bool hone_conv_is_depthwise(const hone_node *n, int w);
/* The window's attributes of n, whose weights are input w, for its other form y. */
void hone_conv_last_window(hone_graph *g, const hone_node *n, int w, hone_node *y);

/* Of Conv. */
hone_value *hone_conv_channels_last(hone_channels_last *ctx);
bool hone_conv_prefers_last(const hone_node *n);
/* Of ConvGradX and ConvGradW. */
hone_value *hone_conv_grad_x_channels_last(hone_channels_last *ctx);
hone_value *hone_conv_grad_w_channels_last(hone_channels_last *ctx);
bool hone_conv_grad_x_prefers_last(const hone_node *n);
bool hone_conv_grad_w_prefers_last(const hone_node *n);

/* Of ConvInteger, QLinearConv and IntegerConv. */
hone_value *hone_conv_integer_channels_last(hone_channels_last *ctx);
hone_value *hone_qlinear_conv_channels_last(hone_channels_last *ctx);
hone_value *hone_integer_conv_channels_last(hone_channels_last *ctx);
bool hone_conv_integer_prefers_last(const hone_node *n);
bool hone_qlinear_conv_prefers_last(const hone_node *n);
bool hone_integer_conv_prefers_last(const hone_node *n);

#endif
