#include "train/exchange.h"

#include "base/memory.h"
#include "base/ranks.h"
#include "graph/op.h"

void hone_exchange_add(hone_graph *g, hone_value **gradients, int count) {
    size_t room = (size_t)count + g->binding_count;
    hone_value **in = hone_arena_array(g->arena, room + 1, sizeof *in);
    if (!in) {
        hone_graph_out_of_memory(g);
        return;
    }
    double share = 1 / (double)hone_ranks_get()->count;
    int n = 0;
    for (int i = 0; i < count; i++)
        if (gradients[i]) in[n++] = gradients[i];
    for (size_t i = 0; i < g->binding_count; i++)
        in[n++] = HONE_EMIT(g, "", "Mul", g->bindings[i].source, hone_graph_scalar(g, HONE_FLOAT32, share));
    hone_node *node = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "SumRanks"), "", n, in, n);
    if (!node) return;
    n = 0;
    for (int i = 0; i < count; i++)
        if (gradients[i]) gradients[i] = node->outputs[n++];
    for (size_t i = 0; i < g->binding_count; i++) g->bindings[i].source = node->outputs[n++];
}

hone_status hone_exchange_start(const hone_variables *v, hone_error *err) {
    hone_tensor *t;
    for (size_t i = 0; i < hone_variables_count(v); i++) {
        hone_variables_at(v, i, &t);
        HONE_TRY(hone_ranks_share(t->data, t->bytes, err));
    }
    return HONE_OK;
}
