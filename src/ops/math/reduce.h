/* What reductions have in common: data, and axes that are an input, once an attribute. */
#ifndef HONE_OPS_MATH_REDUCE_H
#define HONE_OPS_MATH_REDUCE_H

#include "graph/op.h"

hone_status hone_reduce_infer(hone_infer *ctx, hone_error *err);
void hone_reduce_axes(const hone_node *n, hone_axes *out);
/* Where axes are not kept, only if those that stay then have their order: without channels, or without
 * positions. */
hone_value *hone_reduce_channels_last(hone_channels_last *ctx);
/* `v`, of the shape of the node's output, as what broadcasts along the axes that were reduced: they are 1. */
hone_value *hone_reduce_spread(hone_gradient *ctx, hone_value *v);

/* Forms that have the axes as an attribute: `lift` makes them an input. */
extern const hone_attr_def hone_reduce_attrs_1[];
hone_status hone_reduce_lift(hone_graph *g, hone_node *n, hone_error *err);
extern const hone_op_version hone_reduce_older[]; /* no others */

#define HONE_REDUCE_NUMBERS                                                                                  \
    (HONE_TYPES_FLOAT | HONE_TYPES_HALF | HONE_TYPES_INT | HONE_TYPE(HONE_UINT32) | HONE_TYPE(HONE_UINT64))
/* Slots for data of `types`, attributes and hooks. */
#define HONE_REDUCE(types)                                                                                   \
    .oldest = 1, .widened = HONE_TYPES_HALF,                                                                 \
    .inputs = HONE_SLOTS({"data", 'T', types, 0},                                                            \
                         {"axes", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}),          \
    .outputs = HONE_SLOTS({"reduced", 'T', types, 0}),                                                       \
    .attrs = HONE_ATTRS({"keepdims", HONE_ATTR_INT, .i = 1}, {"noop_with_empty_axes", HONE_ATTR_INT}),       \
    .infer = hone_reduce_infer, .axes = hone_reduce_axes, .channels_last = hone_reduce_channels_last

#endif
