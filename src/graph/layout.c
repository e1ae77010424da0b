#include "graph/layout.h"

#include "graph/evaluate.h"
#include "graph/infer.h"

#include <string.h>

#define REORDER_NANOSECONDS 0.25 /* an element, about */

bool hone_layout_equal(hone_layout a, hone_layout b) {
    return a.kind == b.kind && (a.kind != HONE_LAYOUT_BLOCKED || a.block == b.block);
}

hone_type hone_type_flat(const hone_type *t) {
    hone_type flat = *t;
    flat.rank = 1;
    flat.dims[0] = (int64_t)(hone_type_bytes(t) / hone_dtype_size(t->dtype));
    flat.layout = (hone_layout){0};
    return flat;
}

static bool is_rows(hone_layout l) {
    return l.kind == HONE_LAYOUT_ROWS;
}

/* Elements, where one that is not known counts as 1. */
static double elements_of(const hone_type *t) {
    double n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dims[i] > 1 ? (double)t->dims[i] : 1;
    return n;
}

/* What a Reorder to rows was made of; NULL: v is none. */
static hone_value *source_of(const hone_value *v) {
    const hone_node *n = v->producer;
    return n && n->op->role == HONE_ROLE_REORDER ? n->inputs[0] : NULL;
}

/* v in that layout: as it was before it became rows, or by a Reorder before `n`. */
static hone_value *in_layout(hone_graph *g, hone_node *n, hone_value *v, hone_layout layout) {
    hone_value *source = source_of(v);
    if (hone_layout_equal(v->type.layout, layout)) return v;
    if (source && hone_layout_equal(source->type.layout, layout)) return source;
    g->insert_before = n;
    hone_value *y = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "Reorder", v);
    g->insert_before = NULL;
    if (!y) return NULL;
    y->producer->layout = layout;
    y->type = v->type;
    y->type.layout = layout;
    return y;
}

/* The node's output lies so from now on; its users get rows. */
static void lay_out(hone_graph *g, hone_node *n, hone_layout layout) {
    hone_value *y = n->outputs[0];
    n->layout = layout;
    y->type.layout = layout;
    if (is_rows(layout)) return;
    hone_type rows = y->type;
    rows.layout = (hone_layout){0};
    hone_value *placeholder = hone_graph_add_value(g, n->name);
    if (!placeholder) return;
    hone_graph_replace(g, y, placeholder);
    g->insert_before = n->next;
    hone_value *back = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "Reorder", y);
    g->insert_before = NULL;
    if (!back) return;
    back->type = rows;
    hone_graph_replace(g, placeholder, back);
}

/* --- nodes whose kernels know layouts --- */

static double cost_with_reorder(const hone_value *x, const hone_layout_choice *c) {
    const hone_value *source = source_of(x);
    bool there =
        hone_layout_equal(x->type.layout, c->in) || (source && hone_layout_equal(source->type.layout, c->in));
    return c->cost + (there ? 0 : REORDER_NANOSECONDS * elements_of(&x->type));
}

static void choose(hone_graph *g, hone_node *n, const hone_cpu *cpu, int *changes) {
    hone_layout_choice choices[HONE_LAYOUT_CHOICES];
    int count = n->op->layouts(n, cpu, choices), best = -1;
    double least = 0;
    for (int i = 0; i < count; i++) {
        double cost = cost_with_reorder(n->inputs[0], &choices[i]);
        if (best >= 0 && cost >= least) continue;
        least = cost;
        best = i;
    }
    if (best < 0 || (is_rows(choices[best].in) && is_rows(choices[best].out))) return;
    hone_node_set_input(g, n, 0, in_layout(g, n, n->inputs[0], choices[best].in));
    lay_out(g, n, choices[best].out);
    ++*changes;
}

/* --- nodes that follow --- */

static bool same_shape(const hone_type *a, const hone_type *b) {
    if (a->rank < 0 || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] || a->dims[i] == HONE_DIM_ANY) return false;
    return true;
}

/* Does the node make zeros of zeros? Its operands that are single constants stay. */
static bool keeps_zeros(const hone_node *n) {
    static const char zeros[16];
    bool keeps = false;
    const hone_tensor **in = hone_calloc((size_t)n->input_count + 1, sizeof *in);
    hone_tensor **own = hone_calloc((size_t)n->input_count + 1, sizeof(hone_tensor *)), *y = NULL;
    bool ok = in && own;
    for (int i = 0; i < n->input_count && ok; i++) {
        const hone_tensor *constant = hone_value_constant(n->inputs[i]);
        if (!n->inputs[i]) continue;
        if (same_shape(&n->inputs[i]->type, &n->outputs[0]->type))
            ok = hone_tensor_new(n->inputs[i]->type.dtype, 0, NULL, &own[i], NULL) == HONE_OK;
        else
            ok = constant && constant->count == 1;
        in[i] = own[i] ? own[i] : constant;
    }
    if (ok && hone_node_evaluate(n, in, &y, NULL) == HONE_OK)
        keeps = y->bytes <= sizeof zeros && memcmp(y->data, zeros, y->bytes) == 0;
    hone_tensor_free(y);
    for (int i = 0; own && i < n->input_count; i++) hone_tensor_free(own[i]);
    hone_free(in);
    hone_free(own);
    return keeps;
}

/* The layout that an operand of the result's shape has behind its Reorder to rows; rows: none has one. */
static hone_layout followed(const hone_node *n) {
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *source = n->inputs[i] ? source_of(n->inputs[i]) : NULL;
        if (source && same_shape(&source->type, &n->outputs[0]->type)) return source->type.layout;
    }
    return (hone_layout){0};
}

static void follow(hone_graph *g, hone_node *n, int *changes) {
    hone_layout layout = followed(n);
    if (is_rows(layout) || !keeps_zeros(n)) return;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && same_shape(&n->inputs[i]->type, &n->outputs[0]->type))
            hone_node_set_input(g, n, i, in_layout(g, n, n->inputs[i], layout));
    lay_out(g, n, layout);
    ++*changes;
}

hone_status hone_graph_choose_layouts(hone_graph *g, const hone_cpu *cpu, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op->layouts)
            choose(g, n, cpu, changes);
        else if (hone_node_is_elementwise(n) && n->output_count == 1 && n->outputs[0])
            follow(g, n, changes);
    }
    hone_graph_prune(g);
    return hone_graph_check(g, err);
}
