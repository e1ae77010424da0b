/* Function operators: a node becomes other operators where nothing runs it as it is, or nothing differentiates it. */
#ifndef HONE_GRAPH_EXPAND_H
#define HONE_GRAPH_EXPAND_H

#include "graph/op.h"

/* Expands all nodes of a graph and of its subgraphs whose operator has `expand` and no kernel, and, when it is to be
 * trained, those without a gradient rule; what they become, too. Types are inferred, before and after. */
hone_status hone_graph_expand(hone_graph *g, bool training, hone_error *err);
/* Is it such an operator? */
bool hone_op_expands(const hone_op *op, bool training);

#endif
