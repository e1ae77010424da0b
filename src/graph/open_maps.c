#include "graph/graph.h"
#include "graph/infer.h"
#include "graph/op.h"
#include "graph/tensor.h"

static hone_status open_map(hone_graph *g, hone_value *maps, hone_error *err) {
    hone_node *n = maps->producer;
    hone_tensor *keys = NULL;
    if (!n || maps->output_index != 0 || maps->use_count > 0 || !n->op->row_keys || !n->inputs[0])
        return HONE_OK;
    HONE_TRY(n->op->row_keys(n, &keys, err));
    if (!keys) return HONE_OK;
    const hone_type *x = &n->inputs[0]->type;
    hone_value *y = x->rank < 0 || x->rank == 2 ? HONE_EMIT(g, "", "Identity", n->inputs[0]) : NULL;
    if (y) {
        int64_t dims[] = {x->rank == 2 ? x->dims[0] : HONE_DIM_ANY, keys->count};
        y->type = hone_type_make(HONE_FLOAT32, 2, dims);
        y->keys = keys;
        hone_graph_replace(g, maps, y);
        hone_graph_remove_node(g, n);
    } else {
        hone_tensor_free(keys);
    }
    return hone_graph_check(g, err);
}

hone_status hone_graph_open_maps(hone_graph *g, hone_error *err) {
    for (size_t i = 0; i < g->output_count; i++) HONE_TRY(open_map(g, g->outputs[i], err));
    return HONE_OK;
}
