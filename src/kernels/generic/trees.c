#include "kernels/trees.h"

#include <math.h>

static bool is_yes(const hone_trees *t, const hone_tree_node *n, double x) {
    bool yes = false;
    switch ((hone_tree_mode)n->mode) {
    case HONE_TREE_LEQ: yes = x <= n->value; break;
    case HONE_TREE_LT: yes = x < n->value; break;
    case HONE_TREE_GTE: yes = x >= n->value; break;
    case HONE_TREE_GT: yes = x > n->value; break;
    case HONE_TREE_EQ: yes = x == n->value; break;
    case HONE_TREE_NEQ: yes = x != n->value && x == x; break;
    case HONE_TREE_MEMBER:
        for (int32_t i = 0; i < n->members && !yes; i++) yes = x == t->members[n->member + i];
        break;
    case HONE_TREE_LEAF: break;
    }
    return yes || (n->missing && x != x);
}

static void vote(const hone_trees *t, const hone_tree_node *leaf, double *scores, bool *voted) {
    for (int32_t i = 0; i < leaf->yes; i++) {
        const hone_tree_vote *v = &t->votes[leaf->feature + i];
        double *s = &scores[v->target];
        if (t->sum == HONE_TREE_MIN)
            *s = voted[v->target] && *s < v->weight ? *s : v->weight;
        else if (t->sum == HONE_TREE_MAX)
            *s = voted[v->target] && *s > v->weight ? *s : v->weight;
        else
            *s += v->weight;
        voted[v->target] = true;
    }
}

#define RUN(name, type)                                                                                      \
    void name(const hone_trees *t, const type *x, double *scores, bool *voted) {                             \
        for (int64_t k = 0; k < t->targets; k++) {                                                           \
            scores[k] = 0;                                                                                   \
            voted[k] = false;                                                                                \
        }                                                                                                    \
        for (int64_t i = 0; i < t->count; i++) {                                                             \
            const hone_tree_node *n = &t->nodes[t->roots[i]];                                                \
            while (n->mode != HONE_TREE_LEAF)                                                                \
                n = &t->nodes[is_yes(t, n, (double)x[n->feature]) ? n->yes : n->no];                         \
            vote(t, n, scores, voted);                                                                       \
        }                                                                                                    \
        for (int64_t k = 0; t->sum == HONE_TREE_AVERAGE && k < t->targets; k++)                              \
            scores[k] /= (double)t->count;                                                                   \
    }
RUN(hone_trees_run_f32, float)
RUN(hone_trees_run_f64, double)
