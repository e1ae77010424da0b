/* Ensembles of trees on their way into a graph. */
#ifndef HONE_OPS_ML_TREES_H
#define HONE_OPS_ML_TREES_H

#include "graph/op.h"
#include "kernels/trees.h"

/* What is asked of a feature; the order is that of ONNX's nodes_modes. */
typedef enum hone_tree_mode {
    HONE_TREE_LEQ,
    HONE_TREE_LT,
    HONE_TREE_GTE,
    HONE_TREE_GT,
    HONE_TREE_EQ,
    HONE_TREE_NEQ,
    HONE_TREE_MEMBER, /* is it one of members [member, member + members)? */
    HONE_TREE_LEAF
} hone_tree_mode;

typedef struct hone_tree_node {
    double value;            /* what a feature is compared with */
    int32_t feature;         /* of a leaf: the first of its votes */
    int32_t yes, no;         /* nodes; of a leaf, yes: how many votes it has */
    int32_t member, members; /* MEMBER: the first of its values, and how many */
    uint8_t mode;            /* hone_tree_mode */
    bool missing;            /* a NaN is a yes */
} hone_tree_node;

/* Filled by operators from their attributes; what it points to is the graph's arena's. */
typedef struct hone_tree_builder {
    const hone_node *node; /* its first input are the features; for errors */
    hone_dtype dtype;      /* float32 or float64, which features are compared in */
    hone_tree_node *nodes;
    hone_tree_vote *votes;
    int64_t *roots;
    double *members;
    int64_t node_count, vote_count, root_count, member_count, targets;
    hone_tree_sum sum;
} hone_tree_builder;

/* Checks all indices, and that there are no cycles; emits the scores of the rows of features. */
hone_status hone_trees_emit(const hone_tree_builder *b, hone_graph *g, hone_value **out, hone_error *err);

/* --- between these files --- */

/* A node in the form of kernels/trees.h, its children anywhere. */
typedef struct hone_tree_split {
    double value;
    int32_t feature;       /* -1: a leaf, `first` is the first of `second` votes */
    int32_t first, second; /* splits */
    bool nan_second;
} hone_tree_split;

/* All nodes as splits, split i (i < node_count) for node i, then those that nodes with several questions need, in the arena.
 * Indices of nodes have been checked. */
hone_status hone_tree_splits(const hone_tree_builder *b, hone_arena *arena, hone_tree_split **out,
                             int64_t *count, hone_error *err);

#endif
