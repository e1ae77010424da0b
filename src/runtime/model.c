#include "runtime/model.h"

#include "base/mapping.h"
#include "graph/expand.h"
#include "graph/infer.h"
#include "graph/rewrite.h"
#include "runtime/fold.h"

#include <string.h>

static hone_status lower(hone_graph *g, const hone_model_options *o, hone_error *err);

/* Constants that a subgraph captures become its own: what it computes with them can then be folded and packed. */
static void sink_constants(hone_node *n) {
    hone_graph *sub;
    for (int k = n->capture_first; k < n->input_count; k++) {
        const hone_value *v = n->inputs[k];
        if (v->storage != HONE_STORAGE_CONSTANT) continue;
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) {
            hone_value *captured = sub->captures[k - n->capture_first];
            if (captured) hone_graph_replace(sub, captured, hone_graph_add_constant(sub, v->name, v->data));
        }
    }
}

/* A branch whose shapes don't fit is for other inputs: it stays as it is, and fails when it is taken. */
static hone_status lower_inside(const hone_node *n, hone_graph *sub, const hone_model_options *o,
                                hone_error *err) {
    hone_error why = {0};
    hone_status status = lower(sub, o, &why);
    if (status == HONE_OK || (status == HONE_INVALID_ARGUMENT && n->op->role == HONE_ROLE_BRANCH))
        return HONE_OK;
    if (err) *err = why;
    return status;
}

static hone_status lower_subgraphs(hone_graph *g, const hone_model_options *o, hone_error *err) {
    bool any = false;
    hone_graph *sub;
    for (hone_node *n = g->first; n; n = n->next)
        if (hone_node_subgraph(n, 0)) {
            sink_constants(n);
            any = true;
        }
    if (!any) return HONE_OK;
    hone_graph_prune(g);
    for (hone_node *n = g->first; n; n = n->next)
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) HONE_TRY(lower_inside(n, sub, o, err));
    hone_graph_prune(g); /* what was folded away is not captured any more */
    return HONE_OK;
}

/* sort → infer → expand → fold → rewrites → fold, then the same in subgraphs */
static hone_status lower(hone_graph *g, const hone_model_options *o, hone_error *err) {
    HONE_TRY(hone_graph_sort(g, err));
    hone_graph_prune(g);
    HONE_TRY(hone_graph_infer(g, err));
    HONE_TRY(hone_graph_expand(g, false, err));
    const char *disabled = o->disable_rewrites;
    const bool fold = !disabled || strcmp(disabled, "all") != 0;
    if (fold) HONE_TRY(hone_graph_fold(g, o->unpack_weights ? HONE_FOLD_ALL : HONE_FOLD_FIRST, err));
    HONE_TRY(hone_graph_rewrite(g, disabled, err));
    if (fold) HONE_TRY(hone_graph_fold(g, HONE_FOLD_LOWERED, err));
    HONE_TRY(lower_subgraphs(g, o, err));
    return hone_graph_check(g, err);
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
        HONE_TRY(hone_variables_take(m->variables, v->name, v->data, &b->variable[i], err));
        hone_tensor_free(v->data); /* the store's content is the one that counts */
        v->data = hone_tensor_retain(b->variable[i]);
    }
    return HONE_OK;
}

/* The main graph belongs to the model, also on failure; a subgraph to the graph around it. */
static hone_status add_body(hone_model *m, hone_graph *g, int depth, hone_error *err) {
    hone_body *bodies = hone_calloc(m->body_count + 1, sizeof *bodies);
    if (!bodies) {
        if (depth == 0) hone_graph_free(g);
        return hone_fail_memory(err);
    }
    if (m->body_count) memcpy(bodies, m->bodies, m->body_count * sizeof *bodies);
    hone_free(m->bodies);
    m->bodies = bodies;
    hone_body *b = &bodies[m->body_count];
    hone_status status = hone_body_init(b, g, err);
    b->graph = g;
    b->depth = depth;
    b->index = (int)m->body_count++;
    return status;
}

static hone_status add_subgraphs(hone_model *m, const hone_graph *g, int depth, hone_error *err) {
    hone_graph *sub;
    for (const hone_node *n = g->first; n; n = n->next)
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) {
            HONE_TRY(add_body(m, sub, depth, err));
            HONE_TRY(add_subgraphs(m, sub, depth + 1, err));
        }
    return HONE_OK;
}

/* Dimensions that a file calls by one name may be fed with different sizes: nothing is to rely on such a name. Each one
 * of an input gets a symbol of its own. What is trained has names that its maker answers for. */
static void forget_names(hone_graph *g) {
    if (g->binding_count > 0) return;
    for (size_t i = 0; i < g->value_count; i++) {
        hone_value *v = g->values[i];
        if (!v || (v->storage != HONE_STORAGE_INPUT && v->storage != HONE_STORAGE_INTERMEDIATE)) continue;
        for (int d = 0; d < v->type.rank; d++)
            if (v->type.dims[d] < HONE_DIM_ANY)
                v->type.dims[d] =
                    v->storage == HONE_STORAGE_INPUT ? hone_graph_fresh_symbol(g) : HONE_DIM_ANY;
    }
}

/* The model as far as it goes without its graph, and a copy of that. */
static hone_status begin(const hone_graph *g, const hone_model_options *options, hone_variables *variables,
                         hone_model **out, hone_graph **copy, hone_error *err) {
    if (options) HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    hone_model *m = hone_calloc(1, sizeof *m);
    if (!m) return hone_fail_memory(err);
    atomic_init(&m->references, 1);
    m->precision = options ? options->precision : HONE_PRECISION_FLOAT32;
    m->variables = variables ? hone_variables_retain(variables) : hone_variables_new();
    hone_status status = m->variables ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_graph_copy_signature(g, &m->signature, err);
    if (status == HONE_OK) status = hone_graph_copy(g, copy, err);
    if (status == HONE_OK) {
        forget_names(*copy);
        *out = m;
    } else {
        hone_model_free(m);
    }
    return status;
}

/* The graph belongs to the model, also on failure. */
static hone_status add_graph(hone_model *m, hone_graph *g, const hone_model_options *options,
                             hone_error *err) {
    const hone_model_options usual = HONE_MODEL_OPTIONS_INIT;
    hone_status status = lower(g, options ? options : &usual, err);
    if (status != HONE_OK) {
        hone_graph_free(g);
        return status;
    }
    HONE_TRY(add_body(m, g, 0, err));
    HONE_TRY(check_bindings(g, err));
    HONE_TRY(bind_variables(m, &m->bodies[0], err));
    HONE_TRY(add_subgraphs(m, g, 1, err));
    for (size_t i = 0; i < m->body_count; i++)
        HONE_TRY(hone_packs_make(m->bodies[i].graph, options ? options->threads : 0, m->precision,
                                 &m->bodies[i].packs, err));
    return HONE_OK;
}

static hone_status finish(hone_model *m, hone_graph *g, const hone_model_options *options, hone_model **out,
                          hone_error *err) {
    hone_status status = add_graph(m, g, options, err);
    if (status == HONE_OK)
        *out = m;
    else
        hone_model_free(m);
    return status;
}

hone_status hone_model_compile_shared(const hone_graph *g, const hone_model_options *options,
                                      hone_variables *variables, hone_model **out, hone_error *err) {
    hone_model *m = NULL;
    hone_graph *copy = NULL;
    HONE_TRY(begin(g, options, variables, &m, &copy, err));
    return finish(m, copy, options, out, err);
}

hone_status hone_model_compile(const hone_graph *g, const hone_model_options *options, hone_model **out,
                               hone_error *err) {
    return hone_model_compile_shared(g, options, NULL, out, err);
}

hone_status hone_model_take(hone_graph *g, const hone_model_options *options, hone_model **out,
                            hone_error *err) {
    hone_model *m = NULL;
    hone_graph *copy = NULL;
    hone_status status = begin(g, options, NULL, &m, &copy, err);
    hone_graph_free(g);
    return status == HONE_OK ? finish(m, copy, options, out, err) : status;
}

hone_model *hone_model_retain(hone_model *m) {
    if (m) atomic_fetch_add_explicit(&m->references, 1, memory_order_relaxed);
    return m;
}

void hone_model_free(hone_model *m) {
    if (!m || atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < m->body_count; i++) {
        hone_graph *g = m->bodies[i].graph;
        bool main = m->bodies[i].depth == 0;
        hone_body_clear(&m->bodies[i]);
        if (main) hone_graph_free(g);
    }
    hone_free(m->bodies);
    hone_graph_free(m->signature);
    hone_variables_free(m->variables);
    hone_free(m);
}

const hone_graph *hone_model_signature(const hone_model *m) {
    return m->signature;
}

hone_variables *hone_model_variables(const hone_model *m) {
    return m->variables;
}

size_t hone_model_bytes(const hone_model *m) {
    size_t bytes = 0;
    for (size_t k = 0; k < m->body_count; k++) {
        const hone_graph *g = m->bodies[k].graph;
        bytes += hone_packs_bytes(m->bodies[k].packs);
        for (size_t i = 0; i < g->value_count; i++)
            if (g->values[i] && g->values[i]->data && !g->values[i]->data->mapped)
                bytes += g->values[i]->data->bytes;
    }
    return bytes;
}

bool hone_model_is_cut(const hone_model *m) {
    for (size_t k = 0; k < m->body_count; k++) {
        const hone_graph *g = m->bodies[k].graph;
        for (size_t i = 0; i < g->value_count; i++) {
            const hone_tensor *t = g->values[i] ? g->values[i]->data : NULL;
            if (t && t->mapped && hone_mapping_is_cut(t->owner)) return true;
        }
    }
    return false;
}
