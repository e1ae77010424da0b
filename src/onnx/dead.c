/* Nodes that no output needs: whoever does not know their operators need not. */
#include "graph/names.h"
#include "onnx/message.h"

#include "base/log.h"

#include <string.h>

typedef struct walk {
    const hone_graph_message *graph;
    hone_names *makers; /* from a name to the number of the node that gives it, from 1 */
    bool *needed;       /* by node */
    size_t *stack, count;
} walk;

static void need(walk *w, const char *name) {
    size_t maker = (size_t)(uintptr_t)hone_names_get(w->makers, name);
    if (!maker || w->needed[maker - 1]) return;
    w->needed[maker - 1] = true;
    w->stack[w->count++] = maker - 1;
}

/* All that a node reads, by name, inside of its subgraphs too. */
static void need_inputs(walk *w, const hone_node_message *m) {
    for (size_t i = 0; i < m->n_input; i++) need(w, m->input[i]);
    for (size_t i = 0; i < m->n_attribute; i++) {
        const hone_attr_message *a = m->attribute[i];
        for (size_t k = 0; k < a->n_graphs + (a->g != NULL); k++) {
            const hone_graph_message *sub = k < a->n_graphs ? a->graphs[k] : a->g;
            for (size_t n = 0; n < sub->n_node; n++) need_inputs(w, sub->node[n]);
            for (size_t o = 0; o < sub->n_output; o++) need(w, hone_message_text(sub->output[o]->name));
        }
    }
}

static bool find_makers(walk *w) {
    bool ok = true;
    for (size_t i = 0; i < w->graph->n_node; i++)
        for (size_t k = 0; k < w->graph->node[i]->n_output && ok; k++) {
            const char *name = w->graph->node[i]->output[k];
            if (*name && !hone_names_get(w->makers, name))
                ok = hone_names_put(w->makers, name, (void *)(uintptr_t)(i + 1));
        }
    return ok;
}

static void find_needed(walk *w) {
    for (size_t o = 0; o < w->graph->n_output; o++) need(w, hone_message_text(w->graph->output[o]->name));
    while (w->count > 0) need_inputs(w, w->graph->node[w->stack[--w->count]]);
}

static bool is_known(const hone_model_message *m, const hone_node_message *n) {
    hone_meaning x = hone_message_meaning(m, hone_message_imports(m), n);
    if (hone_message_is_constant(n) || !*hone_message_text(n->op_type))
        return true; /* or broken, which is told */
    return x.function || (x.op && x.opset >= x.op->oldest);
}

static bool all_known(const hone_model_message *m) {
    for (size_t i = 0; i < m->graph->n_node; i++)
        if (!is_known(m, m->graph->node[i])) return false;
    return true;
}

hone_status hone_message_needed(const hone_model_message *m, hone_arena *arena, hone_nodes *out,
                                hone_error *err) {
    const hone_graph_message *g = m->graph;
    *out = (hone_nodes){g->node, g->n_node};
    if (all_known(m)) return HONE_OK;
    walk w = {.graph = g, .makers = hone_names_new()};
    w.needed = hone_arena_array(arena, g->n_node + 1, sizeof *w.needed);
    w.stack = hone_arena_array(arena, g->n_node + 1, sizeof *w.stack);
    out->list = hone_arena_array(arena, g->n_node + 1, sizeof *out->list);
    out->count = 0;
    bool ok = w.makers && w.needed && w.stack && out->list && find_makers(&w);
    if (ok) find_needed(&w);
    for (size_t i = 0; i < g->n_node && ok; i++) {
        if (w.needed[i] || is_known(m, g->node[i]))
            out->list[out->count++] = g->node[i];
        else
            hone_log(HONE_LOG_WARNING, "operator %s is not known; no output needs node %s",
                     g->node[i]->op_type, hone_message_node_name(g->node[i]));
    }
    hone_names_free(w.makers);
    return ok ? HONE_OK : hone_fail_memory(err);
}
