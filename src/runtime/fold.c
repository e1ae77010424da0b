#include "runtime/fold.h"

#include "graph/infer.h"
#include "runtime/model.h"

#include <string.h>

/* A folded constant may have this many bytes more than its inputs. */
#define MAX_GROWTH 65536

static bool foldable(const hone_graph *g, const hone_node *n) {
    if (n->op->role != HONE_ROLE_PLAIN || n->input_count == 0) return false;
    size_t before = 0, after = 0;
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *v = n->inputs[i];
        if (v && v->storage != HONE_STORAGE_CONSTANT) return false;
        if (v) before += v->data->bytes;
    }
    for (int o = 0; o < n->output_count; o++) {
        const hone_value *v = n->outputs[o];
        size_t bytes;
        if (!v) continue;
        if (hone_graph_is_output(g, v) || !hone_type_is_concrete(&v->type)) return false;
        if (hone_shape_size(v->type.dtype, v->type.rank, v->type.dims, NULL, &bytes, NULL) != HONE_OK ||
            !hone_add_size(after, bytes, &after))
            return false;
    }
    return after <= before + MAX_GROWTH;
}

/* The node alone, in a graph without inputs, its outputs the graph's. */
static hone_graph *alone(const hone_node *n) {
    hone_graph *g = hone_graph_new("fold");
    if (!g) return NULL;
    hone_node *copy = hone_graph_add_node(g, n->op, n->name, 0, NULL, n->output_count);
    for (int i = 0; copy && i < n->input_count; i++)
        if (n->inputs[i])
            hone_node_set_input(g, copy, i,
                                hone_graph_add_constant(g, n->inputs[i]->name, n->inputs[i]->data));
    if (copy) {
        hone_node_copy_attrs(g, copy, n);
        copy->map = n->map; /* in the other graph's arena, which outlives this one */
        copy->map_input = n->map_input;
    }
    for (int o = 0; copy && o < n->output_count; o++) hone_graph_add_output(g, copy->outputs[o]);
    return g;
}

/* Runs the node; results[o] are copies that belong to the caller. */
static hone_status evaluate(const hone_node *n, hone_tensor **results, hone_error *err) {
    hone_graph *g = alone(n);
    hone_model_options options = HONE_MODEL_OPTIONS_INIT;
    options.disable_rewrites = "all"; /* also: no folding within folding */
    hone_model *model = NULL;
    hone_session *session = NULL;
    hone_context *context = NULL;
    const hone_tensor **outputs = hone_calloc((size_t)n->output_count + 1, sizeof *outputs);
    hone_status status = g && outputs ? hone_graph_check(g, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_model_compile(g, &options, &model, err);
    if (status == HONE_OK) status = hone_session_create(model, NULL, &session, err);
    if (status == HONE_OK) status = hone_context_create(session, &context, err);
    if (status == HONE_OK) status = hone_context_run(context, NULL, outputs, err);
    for (int o = 0; o < n->output_count && status == HONE_OK; o++)
        status = hone_tensor_copy_of(outputs[o]->dtype, outputs[o]->rank, outputs[o]->dims, outputs[o]->data,
                                     &results[o], err);
    hone_context_free(context);
    hone_session_free(session);
    hone_model_free(model);
    hone_graph_free(g);
    hone_free(outputs);
    return status;
}

hone_status hone_graph_fold(hone_graph *g, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!foldable(g, n)) continue;
        hone_tensor **results = hone_calloc((size_t)n->output_count + 1, sizeof(hone_tensor *));
        if (!results) return hone_fail_memory(err);
        hone_status status = evaluate(n, results, err);
        for (int o = 0; o < n->output_count; o++) {
            if (status == HONE_OK && n->outputs[o] && n->outputs[o]->use_count)
                hone_graph_replace(g, n->outputs[o],
                                   hone_graph_add_constant(g, n->outputs[o]->name, results[o]));
            hone_tensor_free(results[o]);
        }
        hone_free(results);
        HONE_TRY(status);
        hone_graph_remove_node(g, n);
    }
    hone_graph_prune(g);
    return hone_graph_check(g, err);
}
