/* Images lie with their channels last from the first node that prefers it on:
 *
 *   x ─► Conv ─► Relu ─► Conv ─► y
 *   x ─► ⇄ ─► ConvLast ─► Relu ─► ConvLast ─► ⇄ ─► y        ⇄ Transpose
 *
 * Each node is asked for its form on such images (hone_op.channels_last), behind which a Transpose leads
 * back. The next node takes what was there before that Transpose, if it has such a form, too, and if that
 * saves transposing more than it costs. Transposes that nobody reads any more go. */
#include "ops/common/channels_last.h"
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

#define MOST_INPUTS 64 /* of an elementwise node */

/* Elements, where a dimension that is not known counts as 1. */
static double elements_of(const hone_type *t) {
    double n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dims[i] > 1 ? (double)t->dims[i] : 1;
    return n;
}

/* Is it an image; one position only, whatever the order of its axes; one element? */
static bool is_image(const hone_value *v) {
    return v && !v->type.element && v->type.rank >= 3;
}
static bool is_point(const hone_type *t) {
    int wide = 0;
    for (int i = 1; i < t->rank; i++) wide += t->dims[i] != 1;
    return wide < 2;
}

static bool is_one(const hone_type *t) {
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] != 1) return false;
    return true;
}

/* Does it save more transposing than it costs? */
static bool pays(const hone_node *n) {
    double saved = 0, cost = 0;
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *v = n->inputs[i];
        if (!is_image(v) || hone_value_constant(v)) continue;
        if (hone_value_last_source(v))
            saved += elements_of(&v->type);
        else if (!is_point(&v->type))
            cost += elements_of(&v->type);
    }
    return saved > 0 && saved >= cost;
}

/* Is axis `axis` the only one that is not 1? */
static bool is_row(const hone_type *t, int axis) {
    for (int i = 0; i < t->rank; i++)
        if (i != axis && t->dims[i] != 1) return false;
    return true;
}

/* An elementwise operator's operand, as it is broadcast to images with their channels last. */
static hone_value *operand(hone_graph *g, hone_value *v, int rank) {
    if (!v || is_one(&v->type)) return v;
    const hone_tensor *constant = hone_value_constant(v);
    int axis = v->type.rank - rank + 1;                                   /* of channels */
    if (constant && axis >= 0 && constant->count == v->type.dims[axis]) { /* a number for each channel */
        hone_tensor *t = NULL;
        if (hone_tensor_copy_of(constant->dtype, 1, &constant->count, constant->data, &t, NULL) != HONE_OK) {
            hone_graph_out_of_memory(g);
            return NULL;
        }
        hone_value *row = hone_graph_add_constant(g, v->name, t);
        hone_tensor_free(t);
        return row;
    }
    if (axis >= 0 && v->type.rank < rank &&
        is_row(&v->type, axis)) { /* likewise; another operand has all axes */
        static const int64_t all = -1;
        hone_value *row = HONE_EMIT(g, "", "Reshape", v, hone_graph_ints(g, &all, 1));
        if (!row) return NULL;
        row->type = v->type;
        row->type.rank = 1;
        row->type.dims[0] = v->type.dims[axis];
        return row;
    }
    int64_t axes[HONE_MAX_RANK];
    const int more = rank - v->type.rank;
    if (more > 0) {
        for (int i = 0; i < more; i++) axes[i] = i;
        hone_value *wide = HONE_EMIT(g, "", "Unsqueeze", v, hone_graph_ints(g, axes, more));
        if (!wide) return NULL;
        wide->type = v->type;
        wide->type.rank = rank;
        for (int i = 0; i < rank; i++) wide->type.dims[i] = i < more ? 1 : v->type.dims[i - more];
        v = wide;
    }
    return hone_value_channels_last(g, v);
}

static hone_value *elementwise(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    const int rank = n->outputs[0]->type.rank;
    hone_value *in[MOST_INPUTS];
    if (n->input_count > MOST_INPUTS) return NULL;
    for (int i = 0; i < n->input_count; i++) {
        if (n->inputs[i] && (n->inputs[i]->type.rank < 0 || n->inputs[i]->type.rank > rank)) return NULL;
        in[i] = operand(ctx->graph, n->inputs[i], rank);
    }
    return hone_last_copy(ctx, n->input_count, in);
}

/* Output i of the node `made` takes the place of that of `n`. */
static void take_over(hone_graph *g, hone_node *n, hone_node *made, int i, bool first) {
    hone_value *old = i < n->output_count ? n->outputs[i] : NULL, *y = made->outputs[i];
    if (!old || !y) return;
    first |= old->type.rank < 3; /* no image: a scale or a zero point */
    y->type = first ? old->type : hone_type_channels_last(&old->type);
    if (!first) y = hone_value_channels_first(g, y);
    if (y) hone_graph_replace(g, old, y);
}

static bool convert(hone_graph *g, hone_node *n) {
    hone_channels_last ctx = {.graph = g, .node = n};
    g->insert_before = n;
    hone_value *y = n->op->channels_last ? n->op->channels_last(&ctx) : elementwise(&ctx);
    for (int i = 0; y && i < y->producer->output_count; i++) take_over(g, n, y->producer, i, ctx.first);
    g->insert_before = NULL;
    if (!y) return false;
    hone_graph_remove_node(g, n);
    return true;
}

/* Nodes that may have another form: images go in, and all outputs are there. */
static bool is_candidate(const hone_node *n) {
    if (n->output_count < 1) return false;
    for (int i = 0; i < n->output_count; i++)
        if (!n->outputs[i]) return false;
    if (n->op->channels_last) return n->input_count > 0 && is_image(n->inputs[0]);
    return hone_node_is_elementwise(n) && n->output_count == 1 && is_image(n->outputs[0]);
}

/* Another form for node n, where that is worth it. */
static bool ask(hone_graph *g, hone_node *n) {
    return ((n->op->prefers_last && n->op->prefers_last(n)) || pays(n)) && convert(g, n);
}

static bool read_perm(const hone_node *n, int rank, int64_t *perm) {
    size_t count;
    const int64_t *given = hone_node_ints(n, "perm", &count);
    if (n->inputs[0]->type.rank != rank || (given && count != (size_t)rank)) return false;
    for (int i = 0; i < rank; i++) perm[i] = given ? given[i] : rank - 1 - i;
    return true;
}

/* One Transpose for two in a row, or none. True: something changed. */
static bool compose(hone_graph *g, hone_node *n) {
    hone_node *before = n->inputs[0]->producer;
    hone_value *y = n->outputs[0];
    int64_t perm[HONE_MAX_RANK], first[HONE_MAX_RANK], both[HONE_MAX_RANK];
    const int rank = y->type.rank;
    if (!before || before->op != n->op || rank < 0) return false;
    if (!read_perm(n, rank, perm) || !read_perm(before, rank, first)) return false;
    hone_value *x = before->inputs[0];
    bool same = true;
    for (int i = 0; i < rank; i++) {
        both[i] = first[perm[i]];
        same &= both[i] == i;
    }
    if (!same) {
        hone_node_set_input(g, n, 0, x);
        hone_node_set_ints(g, n, "perm", both, (size_t)rank);
        return true;
    }
    if (hone_graph_is_output(g, y) && (!x->producer || hone_graph_is_output(g, x))) return false;
    hone_graph_replace(g, y, x);
    hone_graph_remove_node(g, n);
    return true;
}

static void compose_all(hone_graph *g, int *changes) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op == &hone_op_transpose && n->outputs[0]) *changes += compose(g, n);
    }
}

hone_status hone_rewrite_channels_last(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op == &hone_op_identity && n->outputs[0] && !hone_graph_is_output(g, n->outputs[0]))
            hone_graph_replace(g, n->outputs[0], n->inputs[0]); /* nobody looks behind it in vain */
        else if (n->op == &hone_op_transpose && n->outputs[0])
            *changes += compose(g, n);
        else if (is_candidate(n))
            *changes += ask(g, n);
    }
    compose_all(g, changes);
    hone_graph_prune(g);
    return hone_graph_check(g, err);
}
