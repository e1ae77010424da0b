/* Trees in the order of memory that kernels/trees.h walks through. */
#include "base/memory.h"
#include "graph/graph.h"
#include "ops/ml/ml.h"
#include "ops/ml/trees.h"

#include <string.h>

typedef struct layout {
    const hone_tree_builder *b;
    hone_arena *arena;
    hone_tree_split *splits;
    int64_t split_count, features;
    int32_t *depth;         /* of splits: steps to the farthest leaf */
    int32_t *pair;          /* of splits: where their children have been laid down; -1: nowhere yet */
    int32_t *placed, count; /* which split lies where; -1: none */
    hone_tree *trees;
    bool lists;  /* leaves have lists of votes, not each one for the target of its tree */
    bool shared; /* trees have nodes in common */
    bool nan_first;
    int32_t largest; /* tree */
} layout;

static hone_status refuse(const layout *l, hone_error *err, const char *what) {
    return hone_fail_node(err, HONE_INVALID_ARGUMENT, l->b->node->name, l->b->node->op->name, "%s", what);
}

static hone_status check_indices(layout *l, hone_error *err) {
    const hone_tree_builder *b = l->b;
    for (int64_t i = 0; i < b->node_count; i++) {
        const hone_tree_node *n = &b->nodes[i];
        if (n->mode == HONE_TREE_LEAF) continue;
        if (n->feature < 0 || n->yes < 0 || n->yes >= b->node_count || n->no < 0 || n->no >= b->node_count)
            return refuse(l, err, "a node of a tree has no such child or feature");
        if (n->feature >= l->features) l->features = n->feature + 1;
    }
    for (int64_t i = 0; i < b->vote_count; i++)
        if (b->votes[i].target < 0 || b->votes[i].target >= b->targets)
            return refuse(l, err, "a leaf of a tree votes for no such target");
    for (int64_t i = 0; i < b->root_count; i++)
        if (b->roots[i] < 0 || b->roots[i] >= b->node_count) return refuse(l, err, "a tree has no such root");
    return HONE_OK;
}

enum { NEW = -1, OPEN = -2 };

/* The depth of each split that a root leads to; a child that is still open closes a cycle. The stack has
 * splits, each with how many of its children have been looked at. */
static hone_status measure(layout *l, int32_t root, int64_t *stack, hone_error *err) {
    int64_t top = 0;
    if (l->depth[root] == NEW) stack[top++] = (int64_t)root << 2;
    while (top > 0) {
        int64_t at = stack[top - 1] >> 2, child = stack[top - 1] & 3;
        const hone_tree_split *s = &l->splits[at];
        l->depth[at] = OPEN;
        if (s->feature < 0) {
            l->depth[at] = 0;
            top--;
        } else if (child == 2) {
            int32_t a = l->depth[s->first], b = l->depth[s->second];
            l->depth[at] = 1 + (a > b ? a : b);
            top--;
        } else {
            stack[top - 1]++;
            int32_t next = child ? s->second : s->first;
            if (l->depth[next] == OPEN) return refuse(l, err, "the nodes of a tree form a cycle");
            if (l->depth[next] == NEW) stack[top++] = (int64_t)next << 2;
        }
    }
    return HONE_OK;
}

/* A tree breadth first: pairs of children, each laid down once. The root has a pair's room, so that none
 * lies across two cache lines. */
static void place(layout *l, int32_t root, hone_tree *tree) {
    const int32_t start = l->count;
    const hone_tree_builder *b = l->b;
    l->placed[l->count++] = root;
    l->placed[l->count++] = -1;
    *tree = (hone_tree){.root = start, .depth = l->depth[root], .target = -1};
    for (int32_t head = start; head < l->count; head++) {
        if (l->placed[head] < 0) continue;
        const hone_tree_split *s = &l->splits[l->placed[head]];
        int32_t *pair = &l->pair[l->placed[head]];
        if (s->feature < 0) {
            int64_t target = s->second == 1 ? b->votes[s->first].target : -1;
            if (target < 0 || (tree->target >= 0 && tree->target != target))
                l->lists = true;
            else
                tree->target = (int32_t)target;
            continue;
        }
        if (!s->nan_second) l->nan_first = true;
        if (*pair < 0) {
            *pair = l->count;
            l->placed[l->count++] = s->first;
            l->placed[l->count++] = s->second;
        } else if (*pair < start) {
            l->shared = true;
            if (b->targets > 1) l->lists = true; /* the other tree may have another target */
        }
    }
    if (l->count - start > l->largest) l->largest = l->count - start;
    if (tree->target < 0) tree->target = 0;
}

static hone_status lay_down(layout *l, hone_error *err) {
    const hone_tree_builder *b = l->b;
    int64_t inner = 0;
    for (int64_t i = 0; i < l->split_count; i++) inner += l->splits[i].feature >= 0;
    size_t n = (size_t)l->split_count + 1, room = 2 * ((size_t)inner + (size_t)b->root_count) + 1;
    if (room > INT32_MAX / 2) return refuse(l, err, "has too many nodes");
    l->depth = hone_arena_array(l->arena, n, sizeof *l->depth);
    l->pair = hone_arena_array(l->arena, n, sizeof *l->pair);
    l->placed = hone_arena_array(l->arena, room, sizeof *l->placed);
    l->trees = hone_arena_array(l->arena, (size_t)b->root_count + 1, sizeof *l->trees);
    int64_t *stack = hone_arena_array(l->arena, n, sizeof *stack);
    if (!l->depth || !l->pair || !l->placed || !l->trees || !stack) return hone_fail_memory(err);
    for (size_t i = 0; i < n; i++) l->depth[i] = l->pair[i] = NEW;
    for (int64_t i = 0; i < b->root_count; i++) HONE_TRY(measure(l, (int32_t)b->roots[i], stack, err));
    for (int64_t i = 0; i < b->root_count; i++) place(l, (int32_t)b->roots[i], &l->trees[i]);
    return HONE_OK;
}

/* --- as constants --- */

/* Do nodes fit into 8 bytes each? */
static bool is_narrow(const layout *l) {
    bool fits = l->b->dtype == HONE_FLOAT32 && !l->shared && l->largest <= UINT16_MAX &&
                l->features <= UINT16_MAX / HONE_TREE_LANES;
    for (int64_t i = 0; fits && !l->lists && i < l->b->vote_count; i++)
        fits = (double)(float)l->b->votes[i].weight == l->b->votes[i].weight;
    return fits;
}

static hone_value *bytes(hone_graph *g, const void *data, size_t size) {
    return hone_ml_constant(g, HONE_UINT8, 1, (int64_t[]){(int64_t)size}, data);
}

/* Leaves with lists are numbered in the order of their nodes, which is that of their votes. */
typedef struct lists {
    int32_t *number, *starts; /* of splits; of lists, and where the last one ends */
    int64_t count;
} lists;

static bool number_lists(const layout *l, lists *out) {
    const hone_tree_builder *b = l->b;
    out->number = hone_arena_array(l->arena, (size_t)b->node_count + 1, sizeof *out->number);
    out->starts = hone_arena_array(l->arena, (size_t)b->node_count + 1, sizeof *out->starts);
    if (!out->number || !out->starts) return false;
    for (int64_t i = 0; i < b->node_count; i++) {
        if (l->splits[i].feature >= 0) continue;
        out->starts[out->count] = l->splits[i].first;
        out->number[i] = (int32_t)out->count++;
    }
    out->starts[out->count] = (int32_t)b->vote_count;
    return true;
}

/* What a leaf has for a value: a number of a list, or the bits of a vote. */
static uint64_t leaf_value(const layout *l, const lists *known, int32_t split, bool narrow) {
    if (split < 0) return 0;
    if (l->lists) return (uint64_t)known->number[split];
    const double weight = l->b->votes[l->splits[split].first].weight;
    const float single = (float)weight;
    uint64_t bits = 0;
    uint32_t few;
    memcpy(&few, &single, sizeof few);
    memcpy(&bits, &weight, sizeof bits);
    return narrow ? few : bits;
}

static void write_nodes(const layout *l, const lists *known, bool narrow, hone_tree_node32 *small,
                        hone_tree_node64 *large, bool *nan_first) {
    int32_t tree = 0;
    for (int32_t at = 0; at < l->count; at++) {
        if (tree + 1 < l->b->root_count && at == l->trees[tree + 1].root) tree++;
        const int32_t split = l->placed[at], root = l->trees[tree].root;
        const hone_tree_split *s = split < 0 ? NULL : &l->splits[split];
        const bool leaf = !s || s->feature < 0;
        const int64_t feature = leaf ? l->features : s->feature, first = leaf ? at : l->pair[split];
        const uint64_t value = leaf     ? leaf_value(l, known, split, narrow)
                               : narrow ? hone_tree_key32((float)s->value)
                                        : hone_tree_key64(s->value);
        nan_first[at] = !leaf && !s->nan_second;
        if (narrow)
            small[at] = (hone_tree_node32){(uint32_t)value, (uint16_t)(feature * HONE_TREE_LANES),
                                           (uint16_t)(first - root)};
        else
            large[at] = (hone_tree_node64){value, (uint32_t)feature, (uint32_t)first};
    }
}

static hone_status write(const layout *l, hone_graph *g, hone_value **out, hone_error *err) {
    const hone_tree_builder *b = l->b;
    const bool narrow = is_narrow(l);
    const size_t size = narrow ? sizeof(hone_tree_node32) : sizeof(hone_tree_node64);
    void *nodes = hone_arena_array(l->arena, (size_t)l->count + 1, size);
    bool *nan_first = hone_arena_array(l->arena, (size_t)l->count + 1, sizeof *nan_first);
    lists known = {NULL};
    if (!nodes || !nan_first || !number_lists(l, &known)) return hone_fail_memory(err);
    write_nodes(l, &known, narrow, nodes, nodes, nan_first);
    hone_value *in[] = {hone_ml_rows(g, b->node->inputs[0], b->dtype),
                        bytes(g, nodes, (size_t)l->count * size),
                        bytes(g, l->trees, (size_t)b->root_count * sizeof *l->trees),
                        NULL,
                        NULL,
                        NULL};
    if (l->nan_first) in[3] = hone_ml_constant(g, HONE_BOOL, 1, (int64_t[]){l->count}, nan_first);
    if (l->lists) {
        in[4] = bytes(g, b->votes, (size_t)b->vote_count * sizeof *b->votes);
        in[5] = hone_ml_constant(g, HONE_INT32, 1, (int64_t[]){known.count + 1}, known.starts);
    }
    hone_value *y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "TreeScores", in, 6);
    *out = y;
    if (!y) return hone_graph_check(g, err);
    hone_node_set_int(g, y->producer, "features", l->features);
    hone_node_set_int(g, y->producer, "narrow", narrow);
    hone_node_set_int(g, y->producer, "sum", b->sum);
    hone_node_set_int(g, y->producer, "targets", b->targets);
    return HONE_OK;
}

hone_status hone_trees_emit(const hone_tree_builder *b, hone_graph *g, hone_value **out, hone_error *err) {
    layout l = {.b = b, .arena = hone_arena_new()};
    if (!l.arena) return hone_fail_memory(err);
    hone_status status = check_indices(&l, err);
    if (status == HONE_OK) status = hone_tree_splits(b, l.arena, &l.splits, &l.split_count, err);
    if (status == HONE_OK) status = lay_down(&l, err);
    if (status == HONE_OK) status = write(&l, g, out, err);
    hone_arena_free(l.arena);
    return status;
}
