/* One node run on the spot, with its own kernel: for constant folding, and for what shapes are computed from. */
#ifndef HONE_GRAPH_EVALUATE_H
#define HONE_GRAPH_EVALUATE_H

#include "graph/op.h"

/* Can hone_node_evaluate run such a node? Control nodes it cannot, nor those that draw random numbers. */
bool hone_node_is_evaluable(const hone_node *n);
/* Runs the node on `in` (one tensor an input, NULL where it was left out), on the caller's thread. results[o] (may be
 * filled in part on failure) belong to the caller: hone_tensor_free. */
hone_status hone_node_evaluate(const hone_node *n, const hone_tensor *const *in, hone_tensor **results,
                               hone_error *err);
/* The same of constants, for a node that goes afterwards: one that is the result, too, under another shape, and that
 * nobody else reads, loses its data to that on success. */
hone_status hone_node_evaluate_last(const hone_graph *g, const hone_node *n, hone_tensor **results,
                                    hone_error *err);
/* For an operator that only moves elements: what is known of output 0, of a type that ctx->out says, by moving tokens
 * in place of the elements. *moved becomes false where too little is known. */
hone_status hone_content_move(const hone_infer *ctx, hone_content *out, bool *moved, hone_error *err);

#endif
