/* Ensembles of decision trees: each tree leads a row of features to a leaf, whose votes are added up.
 *
 * All nodes are of one form: a feature above `value` leads to the second child, any other to the first. The children of a
 * node lie side by side, a tree breadth first. A leaf leads to itself: its feature is the one behind the last, which is 0 in
 * every row, so that a walk takes as many steps as the tree is deep and never asks where it is. Several walks go on in turn,
 * which hides that each step waits for the one before.
 *
 * Features and values are keys: unsigned integers in the order of the floating-point numbers that they stand for, with one
 * zero. The largest stands for NaN, so that NaNs lead to the second child; to the first where `nan_first` says so. */
#ifndef HONE_KERNELS_TREES_H
#define HONE_KERNELS_TREES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* So many walks at a time. Features of so many rows lie side by side: [rows / 8, features + 1, 8], the last rows may be of
 * any content, and the last feature is 0. */
#define HONE_TREE_LANES 8

static inline uint32_t hone_tree_key32(float x) {
    uint32_t bits;
    if (x != x) return UINT32_MAX;
    x += 0; /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits ^ (bits >> 31 ? UINT32_MAX : 0x80000000u);
}
static inline uint64_t hone_tree_key64(double x) {
    uint64_t bits;
    if (x != x) return UINT64_MAX;
    x += 0;
    memcpy(&bits, &x, sizeof bits);
    return bits ^ (bits >> 63 ? UINT64_MAX : (uint64_t)1 << 63);
}

/* Of float32 features and votes, where it suffices. */
typedef struct hone_tree_node32 {
    uint32_t value;
    uint16_t feature; /* times HONE_TREE_LANES */
    uint16_t first;   /* counted from the tree's root */
} hone_tree_node32;

typedef struct hone_tree_node64 {
    uint64_t value;
    uint32_t feature;
    uint32_t first; /* counted from the first node of all */
} hone_tree_node64;

typedef struct hone_tree {
    int32_t root, depth; /* depth: steps to the farthest leaf */
    int32_t target;      /* of the votes of all leaves */
} hone_tree;

typedef struct hone_tree_vote {
    double weight;
    int64_t target;
} hone_tree_vote;

typedef enum hone_tree_sum { HONE_TREE_AVERAGE, HONE_TREE_SUM, HONE_TREE_MIN, HONE_TREE_MAX } hone_tree_sum;

/* All indices are in range. Where `starts` is NULL, the value of a leaf is the bits of its one vote, a float or a double; else
 * it is a number k, and the leaf's votes are [starts[k], starts[k + 1]). */
typedef struct hone_trees {
    const void *nodes; /* of the function's size */
    const hone_tree *trees;
    const bool *nan_first; /* of nodes; NULL: none */
    const hone_tree_vote *votes;
    const int32_t *starts;
    int64_t count, targets, features; /* trees, scores */
    hone_tree_sum sum;
} hone_trees;

/* Scores [rows, targets]: sums, in float64, in the order of the trees; targets without any vote get 0. `nan_first` is looked
 * at if `nan`: there are NaNs in x. `voted` has room for as many truth values as there are scores; NULL: the sum is neither MIN
 * nor MAX. */
void hone_trees_run_32(const hone_trees *t, const uint32_t *x, int64_t rows, bool nan, double *scores,
                       bool *voted);
void hone_trees_run_64(const hone_trees *t, const uint64_t *x, int64_t rows, bool nan, double *scores,
                       bool *voted);

#endif
