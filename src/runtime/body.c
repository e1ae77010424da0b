#include "runtime/body.h"

#include "graph/op.h"

static void note_readers(hone_body *b) {
    const hone_graph *g = b->graph;
    for (size_t i = 0; i < g->value_count; i++) b->last_reader[i] = -1;
    for (int k = 0; k < b->node_count; k++) {
        const hone_node *n = b->node[k];
        for (int i = 0; i < n->input_count; i++)
            if (n->inputs[i]) b->last_reader[n->inputs[i]->id] = k;
    }
    for (size_t i = 0; i < g->output_count; i++) b->last_reader[g->outputs[i]->id] = b->node_count;
    for (size_t i = 0; i < g->binding_count; i++) b->last_reader[g->bindings[i].source->id] = b->node_count;
}

/* Views of what is borrowed are borrowed, too. */
static void note_borrowed(hone_body *b) {
    const hone_graph *g = b->graph;
    for (size_t i = 0; i < g->input_count; i++) b->borrowed[g->inputs[i]->id] = true;
    for (size_t k = 0; k < g->capture_count; k++)
        if (g->captures[k]) b->borrowed[g->captures[k]->id] = true;
    for (int k = 0; k < b->node_count; k++) {
        const hone_node *n = b->node[k];
        bool any = false;
        for (int i = 0; i < n->input_count && n->op->view; i++)
            any |= n->inputs[i] && b->borrowed[n->inputs[i]->id];
        for (int o = 0; o < n->output_count; o++)
            if (n->outputs[o]) b->borrowed[n->outputs[o]->id] = any;
    }
}

hone_status hone_body_init(hone_body *b, hone_graph *g, hone_error *err) {
    *b = (hone_body){.graph = g};
    b->node = hone_calloc(g->node_count + 1, sizeof *b->node);
    b->last_reader = hone_calloc(g->value_count + 1, sizeof *b->last_reader);
    b->variable = hone_calloc(g->value_count + 1, sizeof(hone_tensor *));
    b->borrowed = hone_calloc(g->value_count + 1, sizeof *b->borrowed);
    if (!b->node || !b->last_reader || !b->borrowed || !b->variable) {
        hone_body_clear(b);
        return hone_fail_memory(err);
    }
    for (hone_node *n = g->first; n; n = n->next) {
        n->mark = b->node_count;
        b->node[b->node_count++] = n;
    }
    note_readers(b);
    note_borrowed(b);
    return HONE_OK;
}

void hone_body_clear(hone_body *b) {
    hone_free(b->node);
    hone_free(b->last_reader);
    hone_free(b->borrowed);
    hone_free(b->variable);
    hone_packs_free(b->packs);
    *b = (hone_body){NULL};
}
