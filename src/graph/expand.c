#include "graph/expand.h"

#include "graph/infer.h"
#include "graph/map.h"

/* Functions of functions are no deeper. */
enum { MAX_ROUNDS = 8 };

bool hone_op_expands(const hone_op *op, bool training) {
    bool runs = op->prepare || op->view || hone_op_is_control(op);
    bool has_rule = op->gradient || op->gradient_kind == HONE_GRADIENT_ZERO;
    return op->expand && (training ? !has_rule : !runs);
}

/* --- dtypes that are widened --- */

static bool is_widened(const hone_node *n, const hone_value *v) {
    return v && v->type.kind == HONE_KIND_TENSOR && (n->op->widened & HONE_TYPE(v->type.dtype));
}

static bool any_widened(const hone_node *n) {
    for (int i = 0; n->op->widened && i < n->input_count; i++)
        if (is_widened(n, n->inputs[i])) return true;
    return false;
}

static hone_value *cast(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

/* The same node of wider inputs, its outputs made narrow again. */
static void widen(hone_graph *g, hone_node *n) {
    hone_value **inputs = hone_arena_array(g->arena, (size_t)n->input_count + 1, sizeof *inputs);
    if (!inputs) {
        hone_graph_out_of_memory(g);
        return;
    }
    for (int i = 0; i < n->input_count; i++) {
        hone_value *v = n->inputs[i];
        inputs[i] = is_widened(n, v) ? cast(g, v, hone_map_computes(v->type.dtype)) : v;
    }
    hone_node *wide = hone_graph_add_node(g, n->op, n->name, n->input_count, inputs, 0);
    if (!wide) return;
    hone_node_copy_attrs(g, wide, n);
    for (int o = 0; o < n->output_count; o++) {
        hone_value *old = n->outputs[o];
        hone_value *y = old ? hone_node_ask_output(g, wide, o) : NULL;
        if (y) hone_graph_replace(g, old, is_widened(n, old) ? cast(g, y, old->type.dtype) : y);
    }
}

/* --- all nodes --- */

/* Something else stands for the node: it goes. */
static hone_status put_in_place(hone_graph *g, hone_node *n, bool widens, hone_error *err) {
    hone_node *before = g->insert_before;
    hone_status status = HONE_OK;
    g->insert_before = n;
    if (widens)
        widen(g, n);
    else
        status = n->op->expand(g, n, err);
    g->insert_before = before;
    HONE_TRY(status);
    HONE_TRY(hone_graph_check(g, err));
    hone_graph_remove_node(g, n);
    return HONE_OK;
}

static hone_status expand_all(hone_graph *g, bool training, bool *any, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        hone_graph *sub;
        next = n->next;
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) HONE_TRY(expand_all(sub, training, any, err));
        bool widens = !training && any_widened(n);
        bool expands = hone_op_expands(n->op, training) || (n->op->expands && n->op->expands(n));
        if (!widens && !expands) continue;
        *any = true;
        HONE_TRY(put_in_place(g, n, widens, err));
    }
    return HONE_OK;
}

hone_status hone_graph_expand(hone_graph *g, bool training, hone_error *err) {
    for (int round = 0; round < MAX_ROUNDS; round++) {
        bool any = false;
        HONE_TRY(expand_all(g, training, &any, err));
        if (!any) return HONE_OK;
        HONE_TRY(hone_graph_infer(g, err));
    }
    return hone_fail(err, HONE_INTERNAL, "function operators are nested more than %d deep", MAX_ROUNDS);
}
