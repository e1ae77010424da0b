/* What other families use of the shape operators. */
#ifndef HONE_OPS_COMMON_RESHAPE_H
#define HONE_OPS_COMMON_RESHAPE_H

#include "graph/op.h"

/* Emits a Reshape of `v` to the shape `type`, whose dimensions may be symbols; where more than one of them is
 * unknown, a private node that takes its shape from `like`, or, `like` being NULL, nothing: the result is
 * NULL then. */
hone_value *hone_emit_reshape(hone_graph *g, hone_value *v, const hone_type *type, hone_value *like);
/* For `lift`: the type of `v` as far as the graph up to its producer tells (rank HONE_RANK_ANY: nothing).
 * Nodes before are lifted already. False when out of memory. */
bool hone_lift_type(const hone_graph *g, const hone_value *v, hone_type *type);
/* For `lift`: all users of n's output use `v` from now on, and n goes. */
void hone_lift_replace(hone_graph *g, hone_node *n, hone_value *v);
/* `lift` of operators along an axis that until opset 13 took the axes from `axis` on (1 if it is not given) as one:
 * Flatten, the newest form along its default axis -1, Reshape. */
hone_status hone_lift_flat(hone_graph *g, hone_node *n, hone_error *err);

#endif
