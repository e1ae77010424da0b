#include "graph/train_form.h"

static bool is_used(const hone_graph *g, const hone_node *n) {
    for (int o = 0; o < n->output_count; o++)
        if (n->outputs[o] && (n->outputs[o]->use_count || hone_graph_is_output(g, n->outputs[o])))
            return true;
    return false;
}

/* It has weights, none of which is trained; `strictly`: or none at all. */
static bool is_frozen(const hone_node *n, bool strictly) {
    bool weights = strictly;
    for (int i = 0; i < n->input_count; i++) {
        const hone_slot *slot = n->inputs[i] ? hone_op_input(n->op, i) : NULL;
        if (!slot || !(slot->flags & HONE_SLOT_WEIGHT)) continue;
        if (n->inputs[i]->storage != HONE_STORAGE_CONSTANT) return false;
        weights = true;
    }
    return weights;
}

hone_status hone_graph_train_form(hone_graph *g, bool only_trained, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!n->op->train_form || is_frozen(n, only_trained)) continue;
        g->insert_before = n;
        n->op->train_form(&(hone_train_form){g, n});
        g->insert_before = NULL;
        HONE_TRY(hone_graph_check(g, err));
        if (!is_used(g, n)) hone_graph_remove_node(g, n);
    }
    return HONE_OK;
}

hone_value *hone_train_statistic(hone_train_form *ctx, int index) {
    hone_value *v = index < ctx->node->input_count ? ctx->node->inputs[index] : NULL;
    if (!v || !v->data) return NULL;
    v->storage = HONE_STORAGE_VARIABLE;
    return v;
}
