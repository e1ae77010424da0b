/* Function operators: a node becomes other operators where nothing runs it as it is, or nothing differentiates it.
 * And dtypes that are stored but not computed in: such nodes run between conversions. */
#ifndef HONE_GRAPH_EXPAND_H
#define HONE_GRAPH_EXPAND_H

#include "graph/op.h"

/* Expands all nodes of a graph and of its subgraphs whose operator has `expand` and no kernel (of a graph that is to be
 * trained: no gradient rule), or that it says do; what they become, too. Nodes of dtypes that their operator has widened get their Cast nodes,
 * unless the graph is to be trained. Types are inferred, before and after. */
hone_status hone_graph_expand(hone_graph *g, bool training, hone_error *err);
/* Is it an operator that expands? */
bool hone_op_expands(const hone_op *op, bool training);

#endif
