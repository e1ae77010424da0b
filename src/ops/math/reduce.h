/* What reductions have in common: data, and axes that are an input, once an attribute. */
#ifndef HONE_OPS_MATH_REDUCE_H
#define HONE_OPS_MATH_REDUCE_H

#include "graph/op.h"

hone_status hone_reduce_infer(hone_infer *ctx, hone_error *err);
void hone_reduce_axes(const hone_node *n, hone_axes *out);
extern const hone_op_version hone_reduce_older[];

/* Slots for data of `types`, attributes and hooks; `since` is the operator's own. */
#define HONE_REDUCE(types)                                                                                   \
    .oldest = 1, .older = hone_reduce_older,                                                                 \
    .inputs = HONE_SLOTS({"data", 'T', types, 0},                                                            \
                         {"axes", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}),          \
    .outputs = HONE_SLOTS({"reduced", 'T', types, 0}),                                                       \
    .attrs = HONE_ATTRS({"keepdims", HONE_ATTR_INT, .i = 1}, {"noop_with_empty_axes", HONE_ATTR_INT}),       \
    .infer = hone_reduce_infer, .axes = hone_reduce_axes

#endif
