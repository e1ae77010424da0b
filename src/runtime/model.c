#include "runtime/model.h"

#include "graph/infer.h"
#include "graph/rewrite.h"
#include "runtime/fold.h"

#include <string.h>

hone_status hone_model_compile(const hone_graph *g, const hone_model_options *options, hone_model **out,
                               hone_error *err) {
    return hone_model_compile_shared(g, options, NULL, out, err);
}

/* copy → sort → infer → fold → rewrites → fold */
static hone_status lower(const hone_graph *g, const hone_model_options *options, hone_graph **out,
                         hone_error *err) {
    const char *disabled = options ? options->disable_rewrites : NULL;
    hone_graph *copy = NULL;
    HONE_TRY(hone_graph_copy(g, &copy, err));
    hone_status status = hone_graph_sort(copy, err);
    if (status == HONE_OK) hone_graph_prune(copy);
    if (status == HONE_OK) status = hone_graph_infer(copy, err);
    bool fold = !disabled || strcmp(disabled, "all") != 0;
    if (status == HONE_OK && fold) status = hone_graph_fold(copy, err);
    if (status == HONE_OK) status = hone_graph_rewrite(copy, disabled, err);
    if (status == HONE_OK && fold) status = hone_graph_fold(copy, err);
    if (status == HONE_OK) status = hone_graph_check(copy, err);
    if (status != HONE_OK)
        hone_graph_free(copy);
    else
        *out = copy;
    return status;
}

static hone_status check_bindings(const hone_graph *g, hone_error *err) {
    for (size_t i = 0; i < g->binding_count; i++) {
        const hone_value *v = g->bindings[i].variable;
        if (v->storage != HONE_STORAGE_VARIABLE)
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, v->name, NULL, "is bound, but is no variable");
        for (size_t k = 0; k < i; k++)
            if (g->bindings[k].variable == v)
                return hone_fail_node(err, HONE_INVALID_ARGUMENT, v->name, NULL,
                                      "the variable is bound to two values");
    }
    return HONE_OK;
}

static hone_status bind_variables(hone_model *m, hone_body *b, hone_error *err) {
    for (size_t i = 0; i < b->graph->value_count; i++) {
        hone_value *v = b->graph->values[i];
        if (!v || v->storage != HONE_STORAGE_VARIABLE) continue;
        HONE_TRY(hone_variables_add(m->variables, v->name, v->data, &b->variable[i], err));
        hone_tensor_free(v->data); /* the store's content is the one that counts */
        v->data = hone_tensor_retain(b->variable[i]);
    }
    return HONE_OK;
}

/* The graph belongs to the model, also on failure. */
static hone_status add_body(hone_model *m, hone_graph *g, hone_error *err) {
    hone_body *bodies = hone_calloc(m->body_count + 1, sizeof *bodies);
    if (!bodies) {
        hone_graph_free(g);
        return hone_fail_memory(err);
    }
    if (m->body_count) memcpy(bodies, m->bodies, m->body_count * sizeof *bodies);
    hone_free(m->bodies);
    m->bodies = bodies;
    hone_body *b = &bodies[m->body_count];
    hone_status status = hone_body_init(b, g, err);
    b->graph = g;
    b->index = (int)m->body_count++;
    return status;
}

hone_status hone_model_compile_shared(const hone_graph *g, const hone_model_options *options,
                                      hone_variables *variables, hone_model **out, hone_error *err) {
    if (options) HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    hone_model *m = hone_calloc(1, sizeof *m);
    if (!m) return hone_fail_memory(err);
    atomic_init(&m->references, 1);
    m->variables = variables ? hone_variables_retain(variables) : hone_variables_new();
    hone_status status = m->variables ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_graph_copy_signature(g, &m->signature, err);
    hone_graph *lowered = NULL;
    if (status == HONE_OK) status = lower(g, options, &lowered, err);
    if (status == HONE_OK) status = add_body(m, lowered, err);
    if (status == HONE_OK) status = check_bindings(lowered, err);
    if (status == HONE_OK) status = bind_variables(m, &m->bodies[0], err);
    if (status == HONE_OK) status = hone_packs_make(lowered, options ? options->threads : 0, &m->packs, err);
    if (status != HONE_OK)
        hone_model_free(m);
    else
        *out = m;
    return status;
}

hone_model *hone_model_retain(hone_model *m) {
    if (m) atomic_fetch_add_explicit(&m->references, 1, memory_order_relaxed);
    return m;
}

void hone_model_free(hone_model *m) {
    if (!m || atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < m->body_count; i++) {
        hone_graph *g = m->bodies[i].graph;
        hone_body_clear(&m->bodies[i]);
        hone_graph_free(g);
    }
    hone_free(m->bodies);
    hone_graph_free(m->signature);
    hone_variables_free(m->variables);
    hone_packs_free(m->packs);
    hone_free(m);
}

const hone_graph *hone_model_signature(const hone_model *m) {
    return m->signature;
}

hone_variables *hone_model_variables(const hone_model *m) {
    return m->variables;
}

size_t hone_model_bytes(const hone_model *m) {
    size_t bytes = hone_packs_bytes(m->packs);
    for (size_t k = 0; k < m->body_count; k++) {
        const hone_graph *g = m->bodies[k].graph;
        for (size_t i = 0; i < g->value_count; i++)
            if (g->values[i] && g->values[i]->data) bytes += g->values[i]->data->bytes;
    }
    return bytes;
}
