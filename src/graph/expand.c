#include "graph/expand.h"

#include "graph/infer.h"

/* Functions of functions are no deeper. */
enum { MAX_ROUNDS = 8 };

bool hone_op_expands(const hone_op *op, bool training) {
    bool runs = op->prepare || op->view || hone_op_is_control(op);
    bool has_rule = op->gradient || op->gradient_kind == HONE_GRADIENT_ZERO;
    return op->expand && (!runs || (training && !has_rule));
}

static hone_status expand_node(hone_graph *g, hone_node *n, hone_error *err) {
    hone_node *before = g->insert_before;
    g->insert_before = n;
    hone_status status = n->op->expand(g, n, err);
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
        if (!hone_op_expands(n->op, training)) continue;
        *any = true;
        HONE_TRY(expand_node(g, n, err));
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
