#include "onnx/scope.h"

#include "graph/op.h"

/* Inputs that the operator must have. Before lifting, an older form may have fewer than the newest; only the
 * first is then asked for. */
static hone_status check_inputs(const hone_node *n, bool lifted, hone_error *err) {
    for (int i = 0;; i++) {
        const hone_slot *slot = hone_op_input(n->op, i);
        if (!slot || (!lifted && i > 0)) break;
        if (i < n->capture_first && n->inputs[i]) continue;
        bool repeated = i > 0 && slot == hone_op_input(n->op, i - 1);
        if (repeated && i >= n->capture_first) break;
        if (slot->flags & HONE_SLOT_OPTIONAL) continue;
        return hone_fail_node(err, HONE_CORRUPT, n->name, n->op->name, "input %s is missing", slot->name);
    }
    return HONE_OK;
}

/* What only older forms said by attributes stands elsewhere now; a file of the newest form has no such attribute. */
static void drop_old_attributes(hone_node *n) {
    for (int i = n->attr_count; i-- > 0;)
        if (!hone_attr_find(n->op->attrs, n->attrs[i].name)) hone_node_drop_attr(n, i);
}

static hone_status lift_node(hone_graph *g, const hone_record *r, hone_error *err) {
    bool lifts = r->form && r->form->lift;
    HONE_TRY(check_inputs(r->node, !lifts, err));
    if (!lifts) return HONE_OK;
    g->insert_before = r->node;
    HONE_TRY(r->form->lift(g, r->node, err));
    g->insert_before = NULL;
    drop_old_attributes(r->node);
    return hone_graph_check(g, err);
}

/* In topological order, so that a lift may ask for the types of what comes before. */
static hone_status lift_graph(hone_onnx_scope *s, hone_error *err) {
    hone_graph *g = s->g;
    hone_record *order = hone_arena_array(s->r->arena, s->record_count + 1, sizeof *order);
    size_t count = 0;
    if (!order) return hone_fail_memory(err);
    for (hone_node *n = g->first; n; n = n->next) n->mark = 0;
    for (size_t i = 0; i < s->record_count; i++) s->records[i].node->mark = (int)i + 1;
    for (hone_node *n = g->first; n; n = n->next)
        if (n->mark) order[count++] = s->records[n->mark - 1];
    for (size_t i = 0; i < count; i++) HONE_TRY(lift_node(g, &order[i], err));
    for (const hone_node *n = g->first; n; n = n->next) HONE_TRY(check_inputs(n, true, err));
    return HONE_OK;
}

hone_status hone_onnx_scope_lift(hone_reader *r, hone_error *err) {
    for (hone_onnx_scope *s = r->first; s; s = s->next)
        if (s->home == s) HONE_TRY(lift_graph(s, err));
    return HONE_OK;
}
