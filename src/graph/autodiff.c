#include "graph/autodiff.h"

#include <stdio.h>
#include <string.h>

typedef struct walk {
    hone_graph *g;
    size_t values;            /* value ids below this are the forward graph's */
    bool *needed;             /* per value: depends on a wanted one */
    hone_value **adjoint;     /* per value: its cotangent so far */
    hone_node *last;          /* last forward node */
    hone_value **dout, **din; /* of one node: as wide as the widest */
    bool *wanted;
} walk;

static bool is_float(const hone_value *v) {
    return v->type.dtype == HONE_FLOAT32 || v->type.dtype == HONE_FLOAT64;
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

static void step_back(walk *w, hone_node *n) {
    bool reached = false;
    for (int i = 0; i < n->output_count; i++) {
        w->dout[i] = n->outputs[i] ? w->adjoint[n->outputs[i]->id] : NULL;
        reached |= w->dout[i] != NULL;
    }
    if (!reached || !n->mark || !n->op->gradient) return;
    for (int i = 0; i < n->input_count; i++) {
        w->wanted[i] = n->inputs[i] && w->needed[n->inputs[i]->id];
        w->din[i] = NULL;
    }
    n->op->gradient(&(hone_gradient){w->g, n, w->dout, w->wanted, w->din});
    for (int i = 0; i < n->input_count; i++)
        if (w->wanted[i] && w->din[i]) accumulate(w, n->inputs[i], w->din[i]);
}

hone_status hone_graph_differentiate(hone_graph *g, int output_count, hone_value *const *outputs,
                                     hone_value *const *cotangents, int wanted_count,
                                     hone_value *const *wanted, hone_value **gradients, hone_error *err) {
    walk w = {.g = g, .values = g->value_count, .last = g->last};
    w.needed = hone_calloc(w.values + 1, sizeof *w.needed);
    w.adjoint = hone_calloc(w.values + 1, sizeof *w.adjoint);
    int widest_in, widest_out;
    hone_graph_widest(g, &widest_in, &widest_out);
    w.dout = hone_calloc((size_t)widest_out + 1, sizeof *w.dout);
    w.din = hone_calloc((size_t)widest_in + 1, sizeof *w.din);
    w.wanted = hone_calloc((size_t)widest_in + 1, sizeof *w.wanted);
    bool ok = w.needed && w.adjoint && w.dout && w.din && w.wanted;
    hone_status status = ok ? HONE_OK : hone_fail_memory(err);
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
    hone_free(w.din);
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
