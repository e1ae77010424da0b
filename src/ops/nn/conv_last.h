/* Convolution of images whose channels are last. */
#ifndef HONE_OPS_NN_CONV_LAST_H
#define HONE_OPS_NN_CONV_LAST_H

#include "graph/op.h"

/* Of Conv. */
hone_value *hone_conv_channels_last(hone_channels_last *ctx);
bool hone_conv_prefers_last(const hone_node *n);

#endif
