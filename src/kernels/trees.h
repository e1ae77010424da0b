/* Ensembles of decision trees: each tree leads a row of features to a leaf, whose votes are added up. */
#ifndef HONE_KERNELS_TREES_H
#define HONE_KERNELS_TREES_H

#include <stdbool.h>
#include <stdint.h>

/* What is asked of a feature; the order is that of ONNX's nodes_modes. */
typedef enum hone_tree_mode {
    HONE_TREE_LEQ,
    HONE_TREE_LT,
    HONE_TREE_GTE,
    HONE_TREE_GT,
    HONE_TREE_EQ,
    HONE_TREE_NEQ,
    HONE_TREE_MEMBER, /* is it one of members [yes_member, …) ? */
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

typedef struct hone_tree_vote {
    double weight;
    int64_t target;
} hone_tree_vote;

typedef enum hone_tree_sum { HONE_TREE_AVERAGE, HONE_TREE_SUM, HONE_TREE_MIN, HONE_TREE_MAX } hone_tree_sum;

/* Nodes form no cycles, and all indices are in range. */
typedef struct hone_trees {
    const hone_tree_node *nodes;
    const hone_tree_vote *votes;
    const double *members;
    const int64_t *roots;
    int64_t count, targets; /* of trees, of scores */
    hone_tree_sum sum;
} hone_trees;

/* Scores of one row; targets without any vote get 0. `voted` has room for `targets` truth values. */
void hone_trees_run_f32(const hone_trees *t, const float *x, double *scores, bool *voted);
void hone_trees_run_f64(const hone_trees *t, const double *x, double *scores, bool *voted);

#endif
