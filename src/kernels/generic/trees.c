#include "kernels/trees.h"

#include "kernels/vec.h"

enum { LANES = HONE_TREE_LANES };

typedef const hone_trees trees;

/* --- nodes of both sizes --- */

VEC_FN uint64_t feature_of_32(const hone_tree_node32 *n) {
    return n->feature;
}
VEC_FN uint64_t feature_of_64(const hone_tree_node64 *n) {
    return (uint64_t)n->feature * LANES;
}
VEC_FN double weight_of_32(const hone_tree_node32 *n) {
    float weight;
    memcpy(&weight, &n->value, sizeof weight);
    return (double)weight;
}
VEC_FN double weight_of_64(const hone_tree_node64 *n) {
    double weight;
    memcpy(&weight, &n->value, sizeof weight);
    return weight;
}
/* Where a walk through a tree counts from, and begins. */
VEC_FN const hone_tree_node32 *base_of_32(trees *t, const hone_tree *tree, uint64_t *at) {
    *at = 0;
    return (const hone_tree_node32 *)t->nodes + tree->root;
}
VEC_FN const hone_tree_node64 *base_of_64(trees *t, const hone_tree *tree, uint64_t *at) {
    *at = (uint64_t)tree->root;
    return t->nodes;
}

/* --- votes --- */

static void vote(trees *t, double weight, int64_t target, double *scores, bool *voted) {
    double *s = &scores[target];
    if (t->sum == HONE_TREE_MIN)
        *s = voted[target] && *s < weight ? *s : weight;
    else if (t->sum == HONE_TREE_MAX)
        *s = voted[target] && *s > weight ? *s : weight;
    else
        *s += weight;
    if (voted) voted[target] = true;
}

static void vote_list(trees *t, uint64_t k, double *scores, bool *voted) {
    for (int32_t i = t->starts[k]; i < t->starts[k + 1]; i++)
        vote(t, t->votes[i].weight, t->votes[i].target, scores, voted);
}

/* --- walks --- */

/* The leaves that LANES walks reach in `depth` steps; each fourth time it is asked whether all are there already. Lane l begins
 * at base[l] + at[l] and takes its features from x[l * lane]. */
#define WALK(size, node, key)                                                                                \
    VEC_FN uint64_t step_##size(trees *t, const node *base, uint64_t at, const key *x, bool nan) {           \
        const node *n = base + at;                                                                           \
        key v = x[feature_of_##size(n)];                                                                     \
        bool second = n->value < v;                                                                          \
        if (nan) second &= !((v == (key)-1) & t->nan_first[n - (const node *)t->nodes]);                     \
        return n->first + (uint64_t)second;                                                                  \
    }                                                                                                        \
    VEC_FN void walk_##size(trees *t, const node *const *base, const key *x, int lane, int32_t depth,        \
                            bool nan, uint64_t *at) {                                                        \
        for (; depth >= 4; depth -= 4) {                                                                     \
            uint64_t moved = 0;                                                                              \
            for (int s = 0; s < 3; s++) VEC_UNROLL                                                           \
            for (int l = 0; l < LANES; l++) at[l] = step_##size(t, base[l], at[l], x + l * lane, nan);       \
            VEC_UNROLL                                                                                       \
            for (int l = 0; l < LANES; l++) {                                                                \
                uint64_t next = step_##size(t, base[l], at[l], x + l * lane, nan);                           \
                moved |= next ^ at[l];                                                                       \
                at[l] = next;                                                                                \
            }                                                                                                \
            if (!moved) return;                                                                              \
        }                                                                                                    \
        for (; depth > 0; depth--) VEC_UNROLL                                                                \
        for (int l = 0; l < LANES; l++) at[l] = step_##size(t, base[l], at[l], x + l * lane, nan);           \
    }

/* LANES rows go through a tree at once. */
#define ROWS(size, node, key)                                                                                \
    VEC_FN void rows_##size(trees *t, const key *x, int64_t rows, bool nan, double *scores, bool *voted) {   \
        const int64_t n = t->targets;                                                                        \
        for (int64_t k = 0; k < t->count; k++) {                                                             \
            const hone_tree tree = t->trees[k];                                                              \
            for (int64_t i = 0; i < rows; i += LANES) {                                                      \
                uint64_t at[LANES];                                                                          \
                const node *base[LANES];                                                                     \
                double *s = scores + i * n;                                                                  \
                VEC_UNROLL                                                                                   \
                for (int l = 0; l < LANES; l++) base[l] = base_of_##size(t, &tree, &at[l]);                  \
                walk_##size(t, base, x + i * (t->features + 1), 1, tree.depth, nan, at);                     \
                VEC_UNROLL                                                                                   \
                for (int l = 0; l < LANES; l++) {                                                            \
                    const node *leaf = base[l] + at[l];                                                      \
                    if (t->starts)                                                                           \
                        vote_list(t, leaf->value, s + l * n, voted ? voted + (i + l) * n : NULL);            \
                    else if (voted)                                                                          \
                        vote(t, weight_of_##size(leaf), tree.target, s + l * n, voted + (i + l) * n);        \
                    else                                                                                     \
                        s[l * n + tree.target] += weight_of_##size(leaf);                                    \
                }                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }

/* A row goes through LANES trees at once. */
#define ROW(size, node, key)                                                                                 \
    VEC_FN void row_##size(trees *t, const key *x, bool nan, double *scores, bool *voted) {                  \
        for (int64_t k = 0; k < t->count; k += LANES) {                                                      \
            const int count = t->count - k < LANES ? (int)(t->count - k) : LANES;                            \
            const hone_tree *tree = &t->trees[k];                                                            \
            const node *base[LANES];                                                                         \
            uint64_t at[LANES];                                                                              \
            int32_t depth = 0;                                                                               \
            VEC_UNROLL                                                                                       \
            for (int l = 0; l < LANES; l++) {                                                                \
                const hone_tree *own = &tree[l < count ? l : 0];                                             \
                base[l] = base_of_##size(t, own, &at[l]);                                                    \
                depth = own->depth > depth ? own->depth : depth;                                             \
            }                                                                                                \
            walk_##size(t, base, x, 0, depth, nan, at);                                                      \
            for (int l = 0; l < count; l++) {                                                                \
                const node *leaf = base[l] + at[l];                                                          \
                if (t->starts)                                                                               \
                    vote_list(t, leaf->value, scores, voted);                                                \
                else                                                                                         \
                    vote(t, weight_of_##size(leaf), tree[l].target, scores, voted);                          \
            }                                                                                                \
        }                                                                                                    \
    }

static void begin(trees *t, int64_t rows, double *scores, bool *voted) {
    for (int64_t i = 0; i < rows * t->targets; i++) scores[i] = 0;
    if (voted) memset(voted, 0, (size_t)(rows * t->targets) * sizeof *voted);
}

static void end(trees *t, int64_t rows, double *scores) {
    for (int64_t i = 0; t->sum == HONE_TREE_AVERAGE && i < rows * t->targets; i++)
        scores[i] /= (double)t->count;
}

#define RUN(size, node, key)                                                                                 \
    WALK(size, node, key)                                                                                    \
    ROWS(size, node, key)                                                                                    \
    ROW(size, node, key)                                                                                     \
    void hone_trees_run_##size(trees *t, const key *x, int64_t rows, bool nan, double *scores,               \
                               bool *voted) {                                                                \
        const int64_t whole = rows - rows % LANES, n = t->targets;                                           \
        begin(t, rows, scores, voted);                                                                       \
        if (whole && nan)                                                                                    \
            rows_##size(t, x, whole, true, scores, voted);                                                   \
        else if (whole)                                                                                      \
            rows_##size(t, x, whole, false, scores, voted);                                                  \
        x += whole * (t->features + 1);                                                                      \
        for (int64_t i = whole; i < rows; i++, x++) {                                                        \
            if (nan)                                                                                         \
                row_##size(t, x, true, scores + i * n, voted ? voted + i * n : NULL);                        \
            else                                                                                             \
                row_##size(t, x, false, scores + i * n, voted ? voted + i * n : NULL);                       \
        }                                                                                                    \
        end(t, rows, scores);                                                                                \
    }
RUN(32, hone_tree_node32, uint32_t)
RUN(64, hone_tree_node64, uint64_t)
