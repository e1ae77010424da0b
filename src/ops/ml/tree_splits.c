/* Nodes of trees, whatever they ask, as splits of one form: x <= value leads to the first child. */
#include "ops/ml/trees.h"

#include <math.h>
#include <stdlib.h>

typedef struct splitter {
    hone_tree_split *splits;
    int64_t count, capacity;
    bool wide; /* float64 */
} splitter;

/* The largest number of the features' dtype that is at most v; `strict`: below v. */
static double bound(const splitter *s, double v, bool strict) {
    if (s->wide) return strict ? nextafter(v, -INFINITY) : v;
    float f = (float)v;
    if ((double)f > v || (strict && (double)f == v)) f = nextafterf(f, -INFINITY);
    return (double)f;
}

/* x <= v, or `strict`: x < v, leads to `first`, all else to `second`, NaNs to `nan`, which is one of both. */
static void ask(splitter *s, int32_t at, int32_t feature, double v, bool strict, int32_t first,
                int32_t second, int32_t nan) {
    bool never = isnan(v) || (strict && v == -INFINITY);
    s->splits[at] = (hone_tree_split){.value = never ? INFINITY : bound(s, v, strict),
                                      .feature = feature,
                                      .first = never ? second : first,
                                      .second = never ? nan : second,
                                      .nan_second = never || nan == second};
}

/* Two questions: x = v leads to `equal`. */
static void ask_equal(splitter *s, int32_t at, int32_t feature, double v, int32_t equal, int32_t other,
                      int32_t nan) {
    int32_t next = (int32_t)s->count++;
    ask(s, at, feature, v, false, next, other, nan == equal ? next : other);
    ask(s, next, feature, v, true, other, equal, equal);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Is x one of the `count` sorted values? Those halves that remain are halved again. */
static void ask_member(splitter *s, int32_t at, const hone_tree_node *n, const double *values, int32_t count,
                       int32_t nan) {
    if (count == 1) {
        ask_equal(s, at, n->feature, values[0], n->yes, n->no, nan);
        return;
    }
    int32_t half = count / 2, low = (int32_t)s->count++, high = (int32_t)s->count++;
    ask(s, at, n->feature, values[half - 1], false, low, high, high);
    ask_member(s, low, n, values, half, n->no);
    ask_member(s, high, n, values + half, count - half, nan);
}

static void add(splitter *s, const hone_tree_builder *b, int32_t i) {
    const hone_tree_node *n = &b->nodes[i];
    int32_t nan = n->missing ? n->yes : n->no;
    switch ((hone_tree_mode)n->mode) {
    case HONE_TREE_LEQ: ask(s, i, n->feature, n->value, false, n->yes, n->no, nan); break;
    case HONE_TREE_LT: ask(s, i, n->feature, n->value, true, n->yes, n->no, nan); break;
    case HONE_TREE_GT: /* NaN is above nothing */
        ask(s, i, n->feature, isnan(n->value) ? INFINITY : n->value, false, n->no, n->yes, nan);
        break;
    case HONE_TREE_GTE:
        ask(s, i, n->feature, n->value, true, n->no, isnan(n->value) ? n->no : n->yes, nan);
        break;
    case HONE_TREE_EQ: ask_equal(s, i, n->feature, n->value, n->yes, n->no, nan); break;
    case HONE_TREE_NEQ: ask_equal(s, i, n->feature, n->value, n->no, n->yes, nan); break;
    case HONE_TREE_MEMBER:
        if (n->members == 0)
            ask(s, i, n->feature, NAN, false, n->no, n->no, nan);
        else
            ask_member(s, i, n, b->members + n->member, n->members, nan);
        break;
    case HONE_TREE_LEAF:
        s->splits[i] = (hone_tree_split){.feature = -1, .first = n->feature, .second = n->yes};
        break;
    }
}

hone_status hone_tree_splits(const hone_tree_builder *b, hone_arena *arena, hone_tree_split **out,
                             int64_t *count, hone_error *err) {
    int64_t more = 0;
    for (int64_t i = 0; i < b->node_count; i++) {
        const hone_tree_node *n = &b->nodes[i];
        if (n->mode == HONE_TREE_EQ || n->mode == HONE_TREE_NEQ) more++;
        if (n->mode != HONE_TREE_MEMBER) continue;
        more += 3 * (int64_t)n->members;
        qsort(b->members + n->member, (size_t)n->members, sizeof *b->members, ascending);
    }
    if (b->node_count + more > INT32_MAX / 4)
        return hone_fail_node(err, HONE_INVALID_ARGUMENT, b->node->name, b->node->op->name,
                              "has too many nodes");
    splitter s = {.count = b->node_count, .wide = b->dtype == HONE_FLOAT64};
    s.splits = hone_arena_array(arena, (size_t)(b->node_count + more) + 1, sizeof *s.splits);
    if (!s.splits) return hone_fail_memory(err);
    for (int64_t i = 0; i < b->node_count; i++) add(&s, b, (int32_t)i);
    *out = s.splits;
    *count = s.count;
    return HONE_OK;
}
