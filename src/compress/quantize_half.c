/* Weights kept in half precision: a Cast stands between them and those who read them. */
#include "compress/quantize.h"

#include "base/half.h"

#include <math.h>

#define LEAST 64 /* elements of what is worth a node */

/* What is too large for the dtype stays as it is. */
static bool fits(const hone_tensor *t, hone_dtype dtype) {
    const float most = dtype == HONE_FLOAT16 ? 65504.0f : 3.3895e38f;
    for (int64_t i = 0; i < t->count; i++)
        if (!(fabsf(((const float *)t->data)[i]) <= most)) return false;
    return true;
}

static hone_status narrow(const hone_tensor *t, hone_dtype dtype, hone_tensor **out, hone_error *err) {
    HONE_TRY(hone_tensor_new(dtype, t->rank, t->dims, out, err));
    const float *x = t->data;
    uint16_t *y = (*out)->data;
    for (int64_t i = 0; i < t->count; i++)
        y[i] = dtype == HONE_FLOAT16 ? hone_half_of_float(x[i]) : hone_bfloat_of_float(x[i]);
    return HONE_OK;
}

static hone_status go_over(hone_quantize_job *j, hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_tensor *t = NULL;
    if (!fits(v->data, dtype)) {
        hone_quantize_note(j, v->uses[0].node, "has weights beyond its range");
        return HONE_OK;
    }
    HONE_TRY(narrow(v->data, dtype, &t, j->err));
    g->insert_before = g->first;
    hone_value *c = hone_graph_add_constant(g, hone_arena_printf(g->arena, "%s.half", v->name), t);
    hone_value *y = HONE_EMIT(g, "", "Cast", c);
    g->insert_before = NULL;
    hone_tensor_free(t);
    if (y) hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
    if (y) hone_graph_replace(g, v, y);
    j->report->quantized_nodes++;
    return hone_graph_check(g, j->err);
}

/* Constants of the graph and of what is nested in it. */
static hone_status go_over_all(hone_quantize_job *j, hone_graph *g, hone_dtype dtype) {
    for (size_t i = 0, count = g->value_count; i < count; i++) {
        hone_value *v = g->values[i];
        if (v && v->storage == HONE_STORAGE_CONSTANT && v->data && v->data->dtype == HONE_FLOAT32 &&
            v->data->count >= LEAST && v->use_count > 0 && !hone_graph_is_output(g, v))
            HONE_TRY(go_over(j, g, v, dtype));
    }
    hone_graph *sub;
    for (hone_node *n = g->first; n; n = n->next)
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) HONE_TRY(go_over_all(j, sub, dtype));
    hone_graph_prune(g);
    return HONE_OK;
}

hone_status hone_quantize_half(hone_quantize_job *j, hone_dtype dtype) {
    return go_over_all(j, j->g, dtype);
}
