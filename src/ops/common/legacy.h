/* What many operators had in their first operator sets. */
#ifndef HONE_OPS_COMMON_LEGACY_H
#define HONE_OPS_COMMON_LEGACY_H

#include "graph/op.h"

/* `consumed_inputs` (opset 1), which meant nothing to the result, goes. For unary and variadic operators: forms of
 * opsets 6 (as now) and 1. */
extern const hone_op_version hone_older_consuming[];
/* `broadcast` and `axis` (until opset 7): the second operand's axes were those of the first from `axis` on. Forms of
 * opsets 7 (as now) and 1. */
extern const hone_op_version hone_older_broadcasting[];

/* The node's attributes that its descriptor does not list go. */
void hone_drop_attributes(hone_node *n);
/* `lift` of forms that have nothing but attributes beside today's, which meant nothing to the result. */
hone_status hone_lift_attributes(hone_graph *g, hone_node *n, hone_error *err);

/* For tables of one's own: an attribute of opset 1, and `lift` of forms that have no more than this beside today's. */
#define HONE_CONSUMED_INPUTS                                                                                 \
    { "consumed_inputs", HONE_ATTR_INTS }
/* `lift` of forms that read as today's, but cannot say all that today's can: files are never written as such. */
hone_status hone_lift_nothing(hone_graph *g, hone_node *n, hone_error *err);
hone_status hone_lift_consuming(hone_graph *g, hone_node *n, hone_error *err);

#endif
