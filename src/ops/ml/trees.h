/* Ensembles of trees on their way into a graph. */
#ifndef HONE_OPS_ML_TREES_H
#define HONE_OPS_ML_TREES_H

#include "graph/op.h"
#include "kernels/trees.h"

/* Filled by operators from their attributes; what it points to is the graph's arena's. */
typedef struct hone_tree_builder {
    const hone_node *node; /* for errors */
    hone_tree_node *nodes;
    hone_tree_vote *votes;
    int64_t *roots;
    double *members;
    int64_t node_count, vote_count, root_count, member_count, targets;
    hone_tree_sum sum;
} hone_tree_builder;

/* Checks all indices, and that there are no cycles; emits the scores of rows X, float32 or float64. */
hone_status hone_trees_emit(const hone_tree_builder *b, hone_graph *g, hone_value *x, hone_value **out,
                            hone_error *err);

#endif
