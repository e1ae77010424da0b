#include "graph/autodiff.h"

#include "graph/infer.h"

#include <stdio.h>
#include <string.h>

typedef struct hone_backward {
    hone_graph *g;
    size_t values;        /* value ids below this are the forward graph's */
    bool *needed;         /* per value: depends on a wanted one */
    hone_value **adjoint; /* per value: its cotangent so far */
    hone_value **wide;    /* per value of half precision: as float32; NULL: nobody has asked yet */
    hone_node *last;      /* last forward node */
    /* of one node: as wide as the widest */
    hone_node *node;
    hone_value **dout, **din, **inputs, **outputs;
    bool *wanted;
    int inputs_max, outputs_max;
} walk;

static bool is_float(const hone_value *v) {
    return hone_dtype_is_float(v->type.dtype);
}

static bool is_half(const hone_value *v) {
    return v->type.kind == HONE_KIND_TENSOR && is_float(v) && v->type.dtype != HONE_FLOAT32 &&
           v->type.dtype != HONE_FLOAT64;
}

/* Which values depend on wanted ones so that a cotangent can flow: floats, and the integers that a quantizing
 * operator makes of them, as far as they go. */
static void mark_needed(walk *w, int count, hone_value *const *wanted) {
    for (int i = 0; i < count; i++) w->needed[wanted[i]->id] = is_float(wanted[i]);
    for (hone_node *n = w->g->first; n; n = n->next) {
        bool needed = false, quantized = n->op->role == HONE_ROLE_QUANTIZE;
        for (int i = 0; i < n->input_count; i++) {
            if (!n->inputs[i] || !w->needed[n->inputs[i]->id]) continue;
            needed = true;
            quantized |= !is_float(n->inputs[i]);
        }
        for (int i = 0; needed && i < n->output_count; i++)
            if (n->outputs[i] && n->op->gradient_kind != HONE_GRADIENT_ZERO)
                w->needed[n->outputs[i]->id] = quantized || is_float(n->outputs[i]);
        n->mark = needed;
    }
}

/* All operators without a rule on a path from a wanted value to an output, in one error. */
static hone_status check_rules(walk *w, int output_count, hone_value *const *outputs, hone_error *err) {
    bool *reached = hone_calloc(w->values, sizeof *reached);
    if (!reached) return hone_fail_memory(err);
    for (int i = 0; i < output_count; i++) reached[outputs[i]->id] = true;
    char list[400] = "";
    size_t used = 0;
    int missing = 0;
    for (hone_node *n = w->last; n; n = n->prev) {
        bool on_path = false;
        for (int i = 0; i < n->output_count && !on_path; i++)
            on_path = n->mark && n->outputs[i] && reached[n->outputs[i]->id] && w->needed[n->outputs[i]->id];
        if (!on_path) continue;
        for (int i = 0; i < n->input_count; i++)
            if (n->inputs[i]) reached[n->inputs[i]->id] = true;
        if (n->op->gradient) continue;
        missing++;
        if (used < sizeof list - 1)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s (%s)", missing > 1 ? ", " : "",
                                     n->op->name, n->name);
    }
    hone_free(reached);
    if (missing)
        return hone_fail(err, HONE_UNSUPPORTED, "no gradient for %d operator%s: %s%s", missing,
                         missing > 1 ? "s" : "", list, used >= sizeof list ? " …" : "");
    return HONE_OK;
}

static void accumulate(walk *w, hone_value *v, hone_value *d) {
    hone_value **slot = &w->adjoint[v->id];
    *slot = *slot ? HONE_EMIT(w->g, "", "Add", *slot, d) : d;
}

/* The value as rules see it. */
static hone_value *widened(walk *w, hone_value *v) {
    if (!v || !is_half(v)) return v;
    hone_value *known = (size_t)v->id < w->values ? w->wide[v->id] : NULL;
    if (known) return known;
    hone_value *wide = HONE_EMIT(w->g, "", "Cast", v);
    if (!wide) return NULL;
    hone_node_set_int(w->g, wide->producer, "to", HONE_FLOAT32);
    wide->type = v->type;
    wide->type.dtype = HONE_FLOAT32;
    if ((size_t)v->id < w->values) w->wide[v->id] = wide;
    return wide;
}

/* The node with its values as rules see them: itself where none is of half precision. */
static hone_node seen_by_rule(walk *w, const hone_node *n) {
    hone_node seen = *n;
    bool half = false;
    for (int i = 0; i < n->input_count && !half; i++) half = n->inputs[i] && is_half(n->inputs[i]);
    for (int i = 0; i < n->output_count && !half; i++) half = n->outputs[i] && is_half(n->outputs[i]);
    if (!half) return seen;
    for (int i = 0; i < n->input_count; i++) w->inputs[i] = widened(w, n->inputs[i]);
    for (int i = 0; i < n->output_count; i++) w->outputs[i] = widened(w, n->outputs[i]);
    seen.inputs = w->inputs;
    seen.outputs = w->outputs;
    return seen;
}

static void step_back(walk *w, hone_node *n) {
    bool reached = false;
    for (int i = 0; i < w->outputs_max; i++) {
        const hone_value *y = i < n->output_count ? n->outputs[i] : NULL;
        w->dout[i] = y ? w->adjoint[y->id] : NULL;
        reached |= w->dout[i] != NULL;
    }
    if (!reached || !n->mark || !n->op->gradient) return;
    for (int i = 0; i < n->input_count; i++) {
        w->wanted[i] = n->inputs[i] && w->needed[n->inputs[i]->id];
        w->din[i] = NULL;
    }
    w->node = n;
    hone_node seen = seen_by_rule(w, n);
    if (w->g->failed) return;
    n->op->gradient(&(hone_gradient){w->g, &seen, w->dout, w->wanted, w->din, w});
    for (int i = 0; i < n->input_count; i++)
        if (w->wanted[i] && w->din[i]) accumulate(w, n->inputs[i], w->din[i]);
}

hone_value *hone_gradient_saved(hone_gradient *ctx, int index) {
    walk *w = ctx->backward;
    hone_node *n = w->node;
    hone_value *v = hone_node_ask_output(w->g, n, index);
    if (v && v->type.dtype == HONE_UNDEFINED && hone_graph_infer_node(w->g, n, NULL) != HONE_OK)
        hone_graph_out_of_memory(w->g);
    return widened(w, v);
}

/* The widest node, with all outputs that its operator could give. */
static void find_widest(walk *w) {
    hone_graph_widest(w->g, &w->inputs_max, &w->outputs_max);
    for (const hone_node *n = w->g->first; n; n = n->next)
        for (int o = 0; n->op->outputs && n->op->outputs[o].name; o++)
            if (o >= w->outputs_max) w->outputs_max = o + 1;
}

static bool make_room(walk *w) {
    find_widest(w);
    size_t inputs = (size_t)w->inputs_max + 1, outputs = (size_t)w->outputs_max + 1;
    w->needed = hone_calloc(w->values + 1, sizeof *w->needed);
    w->adjoint = hone_calloc(2 * (w->values + 1), sizeof *w->adjoint);
    w->dout = hone_calloc(2 * (inputs + outputs), sizeof *w->dout);
    w->wanted = hone_calloc(inputs, sizeof *w->wanted);
    if (!w->needed || !w->adjoint || !w->dout || !w->wanted) return false;
    w->wide = w->adjoint + w->values + 1;
    w->outputs = w->dout + outputs;
    w->din = w->outputs + outputs;
    w->inputs = w->din + inputs;
    return true;
}

hone_status hone_graph_differentiate(hone_graph *g, int output_count, hone_value *const *outputs,
                                     hone_value *const *cotangents, int wanted_count,
                                     hone_value *const *wanted, hone_value **gradients, hone_error *err) {
    walk w = {.g = g, .values = g->value_count, .last = g->last};
    hone_status status = make_room(&w) ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) {
        mark_needed(&w, wanted_count, wanted);
        status = check_rules(&w, output_count, outputs, err);
    }
    if (status == HONE_OK) {
        hone_node *insert_before = g->insert_before;
        g->insert_before = NULL;
        for (int i = 0; i < output_count; i++) accumulate(&w, outputs[i], cotangents[i]);
        for (hone_node *n = w.last; n; n = n->prev) step_back(&w, n);
        g->insert_before = insert_before;
        for (int i = 0; i < wanted_count; i++) gradients[i] = w.adjoint[wanted[i]->id];
        status = hone_graph_check(g, err);
    }
    hone_free(w.needed);
    hone_free(w.adjoint);
    hone_free(w.dout);
    hone_free(w.wanted);
    return status;
}

static bool same_shape(const hone_type *a, const hone_type *b) {
    if (a->rank < 0 || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] || a->dims[i] == HONE_DIM_ANY) return false;
    return true;
}

hone_value *hone_gradient_sum_to(hone_gradient *ctx, hone_value *dy, const hone_value *dy_like,
                                 hone_value *like) {
    if (same_shape(&dy_like->type, &like->type)) return dy;
    return HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "SumTo", dy, like);
}
