#include "ops/common/channels_last.h"

#include "graph/infer.h"

#include <string.h>

int hone_last_axis(int axis, int rank) {
    if (axis < 0) axis += rank;
    return axis == 0 ? 0 : axis == 1 ? rank - 1 : axis - 1;
}

void hone_perm_to_last(int rank, int64_t *perm) {
    for (int i = 0; i < rank; i++) perm[hone_last_axis(i, rank)] = i;
}

void hone_perm_to_first(int rank, int64_t *perm) {
    for (int i = 0; i < rank; i++) perm[i] = hone_last_axis(i, rank);
}

static hone_type permuted(const hone_type *t, void (*make)(int, int64_t *)) {
    int64_t perm[HONE_MAX_RANK];
    hone_type out = *t;
    make(t->rank, perm);
    for (int i = 0; i < t->rank; i++) out.dims[i] = t->dims[perm[i]];
    return out;
}

hone_type hone_type_channels_last(const hone_type *t) {
    return permuted(t, hone_perm_to_last);
}

hone_type hone_type_channels_first(const hone_type *t) {
    return permuted(t, hone_perm_to_first);
}

/* Is v a Transpose by that permutation? Its input, else NULL. */
static hone_value *source(const hone_value *v, void (*make)(int, int64_t *)) {
    const hone_node *n = v->producer;
    int64_t perm[HONE_MAX_RANK];
    size_t count;
    if (!n || n->op != hone_op_find("", "Transpose") || v->type.rank < 3) return NULL;
    const int64_t *given = hone_node_ints(n, "perm", &count);
    make(v->type.rank, perm);
    if (count != (size_t)v->type.rank) return NULL;
    for (size_t i = 0; i < count; i++)
        if (given[i] != perm[i]) return NULL;
    return n->inputs[0];
}

hone_value *hone_value_last_source(const hone_value *v) {
    return source(v, hone_perm_to_first);
}

/* The result of a Transpose of v by that permutation, if there is one. */
static hone_value *transposed(const hone_value *v, const int64_t *perm) {
    for (size_t u = 0; u < v->use_count; u++) {
        const hone_node *n = v->uses[u].node;
        size_t count;
        if (n->op != hone_op_find("", "Transpose") || !n->outputs[0]) continue;
        const int64_t *given = hone_node_ints(n, "perm", &count);
        if (given && count == (size_t)v->type.rank && memcmp(given, perm, count * sizeof *perm) == 0)
            return n->outputs[0];
    }
    return NULL;
}

static hone_value *transpose(hone_graph *g, hone_value *v, void (*make)(int, int64_t *)) {
    int64_t perm[HONE_MAX_RANK];
    make(v->type.rank, perm);
    hone_value *y = transposed(v, perm);
    if (y) return y;
    y = HONE_EMIT(g, "", "Transpose", v);
    if (!y) return NULL;
    hone_node_set_ints(g, y->producer, "perm", perm, (size_t)v->type.rank);
    y->type = permuted(&v->type, make);
    return y;
}

hone_value *hone_value_channels_last(hone_graph *g, hone_value *v) {
    hone_value *there = source(v, hone_perm_to_first);
    return there ? there : transpose(g, v, hone_perm_to_last);
}

hone_value *hone_value_channels_first(hone_graph *g, hone_value *v) {
    hone_value *there = source(v, hone_perm_to_last);
    return there ? there : transpose(g, v, hone_perm_to_first);
}

hone_value *hone_last_copy(hone_channels_last *ctx, int count, hone_value *const *inputs) {
    const hone_node *n = ctx->node;
    hone_node *copy = hone_graph_add_node(ctx->graph, n->op, n->name, count, inputs, n->output_count);
    if (!copy) return NULL;
    hone_node_copy_attrs(ctx->graph, copy, n);
    return copy->outputs[0];
}

/* --- forms --- */

#define MOST_INPUTS 64

hone_value *hone_last_by_axis(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    const int rank = n->inputs[0]->type.rank;
    hone_value *in[MOST_INPUTS];
    if (rank < 3 || n->input_count > MOST_INPUTS) return NULL;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i]->type.rank != rank) return NULL;
    for (int i = 0; i < n->input_count; i++) in[i] = hone_value_channels_last(ctx->graph, n->inputs[i]);
    hone_value *y = hone_last_copy(ctx, n->input_count, in);
    if (y)
        hone_node_set_int(ctx->graph, y->producer, "axis",
                          hone_last_axis((int)hone_node_int(n, "axis"), rank));
    return y;
}

hone_value *hone_last_by_axes(hone_channels_last *ctx, int axes, int64_t left_out) {
    const hone_node *n = ctx->node;
    const int rank = n->inputs[0]->type.rank;
    hone_value *in[MOST_INPUTS] = {NULL};
    int64_t list[HONE_MAX_RANK];
    int count = (int)left_out;
    if (rank < 3 || left_out < 0 || left_out > rank || n->input_count > MOST_INPUTS) return NULL;
    const hone_value *given = axes < n->input_count ? n->inputs[axes] : NULL;
    const hone_tensor *t = hone_value_constant(given);
    if (given && (!t || t->count > rank)) return NULL;
    if (t) count = (int)t->count;
    for (int i = 0; i < count; i++) {
        int64_t axis = t ? hone_tensor_int(t, i) : i;
        if (axis < -rank || axis >= rank) return NULL;
        list[i] = hone_last_axis((int)axis, rank);
    }
    for (int i = 1; i < n->input_count; i++) in[i] = n->inputs[i];
    in[0] = hone_value_channels_last(ctx->graph, n->inputs[0]);
    in[axes] = hone_graph_ints(ctx->graph, list, count);
    return hone_last_copy(ctx, n->input_count > axes ? n->input_count : axes + 1, in);
}
