/* The graph of a scope: names, constants, inputs, nodes, connections, subgraphs, outputs, in this order, as a file may
 * list nodes in any order. */
#include "onnx/scope.h"

#include "base/log.h"
#include "graph/infer.h"

#include <string.h>

/* --- names --- */

static hone_status define_input(hone_onnx_scope *s, const char *name, hone_error *err) {
    hone_definition *d = hone_onnx_scope_find(s, name);
    if (!*name) return hone_fail(err, HONE_CORRUPT, "an input has no name");
    if (d && d->input) return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is an input twice");
    /* else an initializer: files before IR 4 list both */
    if (d && s->outer)
        return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is an initializer and an input of a subgraph");
    if (!d) HONE_TRY(hone_onnx_scope_define(s, name, NULL, &d, err));
    d->input = true;
    return HONE_OK;
}

static hone_status define_initializer(hone_onnx_scope *s, const char *name, hone_error *err) {
    if (!*name) return hone_fail(err, HONE_CORRUPT, "an initializer has no name");
    if (hone_onnx_scope_find(s, name)) {
        hone_log(HONE_LOG_WARNING, "%s is an initializer twice; the last one counts", name);
        return HONE_OK;
    }
    return hone_onnx_scope_define(s, name, NULL, NULL, err);
}

static const char *sparse_name(const hone_sparse_message *m) {
    return m->values ? hone_message_text(m->values->name) : "";
}

static hone_status define_names(hone_onnx_scope *s, hone_error *err) {
    const hone_graph_message *m = s->m;
    for (size_t i = 0; i < m->n_initializer; i++)
        HONE_TRY(define_initializer(s, hone_message_text(m->initializer[i]->name), err));
    for (size_t i = 0; i < m->n_sparse_initializer; i++)
        HONE_TRY(define_initializer(s, sparse_name(m->sparse_initializer[i]), err));
    for (size_t i = 0; i < m->n_input; i++)
        HONE_TRY(define_input(s, hone_message_text(m->input[i]->name), err));
    for (size_t i = 0; i < s->node_count; i++)
        for (size_t k = 0; k < s->nodes[i]->n_output; k++)
            if (*s->nodes[i]->output[k])
                HONE_TRY(hone_onnx_scope_define(s, s->nodes[i]->output[k], s->nodes[i], NULL, err));
    for (size_t i = 0; s->r->parameters && !s->outer && i < m->n_value_info; i++) {
        const char *name = hone_message_text(m->value_info[i]->name);
        if (!hone_onnx_scope_find(s, name)) HONE_TRY(hone_onnx_scope_define(s, name, NULL, NULL, err));
    }
    return HONE_OK;
}

/* --- values --- */

/* Takes the tensor over. */
static hone_status add_constant(hone_onnx_scope *s, const char *name, hone_tensor *t, hone_error *err) {
    hone_definition *d = hone_onnx_scope_find(s, name);
    const char *shown = hone_onnx_scope_name(s, name);
    if (d->value) hone_graph_drop_unused(s->g, d->value); /* an initializer twice */
    d->value = shown ? hone_graph_add_constant(s->g, shown, t) : NULL;
    hone_tensor_free(t);
    HONE_TRY(hone_onnx_scope_made(s, d->value, err));
    hone_graph_rename(s->g, d->value,
                      shown); /* a node's outputs have fresh names until they get the file's */
    return HONE_OK;
}

static hone_status read_initializers(hone_onnx_scope *s, hone_error *err) {
    hone_tensor *t = NULL;
    for (size_t i = 0; i < s->m->n_initializer; i++) {
        HONE_TRY(hone_message_tensor(s->m->initializer[i], s->r->source, &t, err));
        HONE_TRY(add_constant(s, s->m->initializer[i]->name, t, err));
    }
    for (size_t i = 0; i < s->m->n_sparse_initializer; i++) {
        HONE_TRY(hone_onnx_scope_sparse(s->r, s->m->sparse_initializer[i], &t, err));
        HONE_TRY(add_constant(s, sparse_name(s->m->sparse_initializer[i]), t, err));
    }
    return HONE_OK;
}

/* What nothing gives: zeros for now, marked as trainable. */
static hone_status make_parameters(hone_onnx_scope *s, hone_error *err) {
    for (size_t i = 0; s->r->parameters && !s->outer && i < s->m->n_value_info; i++) {
        const hone_value_message *m = s->m->value_info[i];
        hone_definition *d = hone_onnx_scope_find(s, hone_message_text(m->name));
        hone_type type;
        hone_tensor *t = NULL;
        if (d->value || d->node || d->input) continue;
        HONE_TRY(hone_message_type(s->g, m, &type, err));
        if (type.dtype != HONE_FLOAT32 || type.kind != HONE_KIND_TENSOR || !hone_type_is_concrete(&type))
            return hone_fail_node(err, HONE_UNSUPPORTED, m->name, NULL,
                                  "no node makes it, so it is a parameter: those are float of a known shape");
        HONE_TRY(hone_tensor_new(type.dtype, type.rank, type.dims, &t, err));
        HONE_TRY(add_constant(s, m->name, t, err));
        d->value->trainable = true;
    }
    return HONE_OK;
}

static hone_status read_constants(hone_onnx_scope *s, hone_error *err) {
    for (size_t i = 0; i < s->node_count; i++) {
        hone_tensor *t = NULL;
        if (!hone_message_is_constant(s->nodes[i])) continue;
        HONE_TRY(hone_onnx_scope_constant(s, s->nodes[i], &t, err));
        HONE_TRY(add_constant(s, s->nodes[i]->output[0], t, err));
    }
    return HONE_OK;
}

static hone_status check_declared(const char *name, const hone_type *declared, const hone_type *found,
                                  hone_error *err) {
    bool fits = declared->dtype == HONE_UNDEFINED ||
                (declared->kind == found->kind && declared->dtype == found->dtype &&
                 (declared->rank == HONE_RANK_ANY || declared->rank == found->rank));
    for (int i = 0; fits && i < declared->rank; i++)
        fits = declared->dims[i] < 0 || found->dims[i] < 0 || declared->dims[i] == found->dims[i];
    if (fits) return HONE_OK;
    char a[96], b[96];
    return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is declared %s but is %s",
                          hone_type_format(NULL, declared, a, sizeof a),
                          hone_type_format(NULL, found, b, sizeof b));
}

/* What is declared inside of a subgraph holds for one run of it: the next may have other shapes. */
static void forget_dims(hone_type *t) {
    for (int i = 0; i < t->rank; i++) t->dims[i] = HONE_DIM_ANY;
}

static hone_status read_inputs(hone_onnx_scope *s, hone_error *err) {
    for (size_t i = 0; i < s->m->n_input; i++) {
        const hone_value_message *m = s->m->input[i];
        hone_definition *d = hone_onnx_scope_find(s, m->name);
        hone_type type;
        HONE_TRY(hone_message_type(s->g, m, &type, err));
        if (d->value) {
            HONE_TRY(check_declared(m->name, &type, &d->value->type, err));
            continue;
        }
        if (type.dtype == HONE_UNDEFINED && !s->outer)
            return hone_fail_node(err, HONE_CORRUPT, m->name, NULL, "the input has no type");
        if (s->outer) forget_dims(&type);
        d->value = hone_graph_add_input(s->g, m->name, &type);
        HONE_TRY(hone_onnx_scope_made(s, d->value, err));
    }
    return HONE_OK;
}

/* The shape of an output is what is computed; that of the main graph may say more (hone_onnx_scope_refine). */
static hone_status declare(hone_onnx_scope *s, hone_value *v, const hone_type *type, hone_error *err) {
    hone_reader *r = s->r;
    if (!s->outer) {
        if (!r->declared) r->declared = hone_arena_array(r->arena, s->m->n_output + 1, sizeof *r->declared);
        if (!r->declared) return hone_fail_memory(err);
        r->declared[r->declared_count++] = (hone_declared){v, *type};
    }
    v->type = *type;
    v->type.rank = HONE_RANK_ANY;
    return HONE_OK;
}

static bool fits(const hone_type *declared, const hone_type *found) {
    bool same = declared->rank == found->rank;
    for (int i = 0; same && i < found->rank; i++)
        same = declared->dims[i] < 0 || found->dims[i] < 0 || declared->dims[i] == found->dims[i];
    return same;
}

void hone_onnx_scope_refine(hone_reader *r, const hone_graph *g) {
    for (size_t k = 0; k < r->declared_count; k++) {
        const hone_type *declared = &r->declared[k].type;
        hone_type *found = &r->declared[k].value->type;
        if (found->kind != HONE_KIND_TENSOR || declared->kind != found->kind || declared->rank < 0) continue;
        if (found->rank < 0) {
            hone_dtype dtype = found->dtype;
            *found = *declared;
            found->dtype = dtype;
        } else if (fits(declared, found)) {
            for (int i = 0; i < found->rank; i++)
                if (found->dims[i] == HONE_DIM_ANY || (found->dims[i] < 0 && declared->dims[i] >= 0))
                    found->dims[i] = declared->dims[i];
        } else {
            char a[96], b[96];
            hone_log(HONE_LOG_WARNING, "output %s is declared %s but computed as %s, which counts",
                     r->declared[k].value->name, hone_type_format(g, declared, a, sizeof a),
                     hone_type_format(g, found, b, sizeof b));
        }
    }
}

static hone_status read_output(hone_onnx_scope *s, const hone_value_message *m, hone_error *err) {
    const char *name = hone_message_text(m->name);
    hone_value *v = NULL;
    hone_type type;
    HONE_TRY(hone_onnx_scope_value(s, name, NULL, &v, err));
    if (!v) return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is an output, but nothing gives it");
    HONE_TRY(hone_message_type(s->g, m, &type, err));
    if (v->storage == HONE_STORAGE_INTERMEDIATE)
        HONE_TRY(declare(s, v, &type, err));
    else if (!s->outer)
        HONE_TRY(check_declared(name, &type, &v->type, err));
    hone_graph_add_output(s->g, v);
    return HONE_OK;
}

/* --- nodes --- */

static size_t without_trailing(char *const *names, size_t count) {
    while (count > 0 && !*names[count - 1]) count--;
    return count;
}

static hone_status record(hone_onnx_scope *home, hone_node *n, const hone_op_version *form, hone_error *err) {
    if (!hone_reserve(&home->records, &home->record_capacity, home->record_count + 1, sizeof *home->records))
        return hone_fail_memory(err);
    home->records[home->record_count++] = (hone_record){n, form};
    return HONE_OK;
}

/* The node and its outputs; inputs follow when all outputs of all nodes are there. */
static hone_status make_node(hone_onnx_scope *s, size_t index, const hone_meaning *x, hone_error *err) {
    hone_node_message *m = s->nodes[index];
    const char *node_name = hone_message_node_name(m);
    size_t outputs = without_trailing(m->output, m->n_output);
    if (outputs == 0)
        return hone_fail_node(err, HONE_CORRUPT, node_name, m->op_type, "the node has no outputs");
    if (outputs > INT16_MAX || !hone_op_output(x->op, (int)outputs - 1))
        return hone_fail_node(err, HONE_CORRUPT, node_name, m->op_type,
                              "has %zu outputs, more than the operator gives", outputs);
    const char *shown = hone_arena_printf(s->r->arena, "%s%s", s->prefix, node_name);
    if (!shown) return hone_fail_memory(err);
    hone_node *n = hone_graph_add_node(s->g, x->op, shown, 0, NULL, (int)outputs);
    HONE_TRY(hone_onnx_scope_made(s, n, err));
    for (size_t i = 0; i < outputs; i++) {
        if (!*m->output[i]) continue;
        const char *name = hone_onnx_scope_name(s, m->output[i]);
        if (name) hone_graph_rename(s->g, n->outputs[i], name);
        hone_onnx_scope_find(s, m->output[i])->value = n->outputs[i];
    }
    s->made[index].node = n;
    HONE_TRY(record(s->home, n, x->form, err));
    return hone_onnx_scope_attrs(s, n, m, hone_op_form_attrs(x->op, x->form), err);
}

hone_status hone_onnx_scope_make_nodes(hone_onnx_scope *s, hone_error *err) {
    HONE_TRY(read_constants(s, err));
    for (size_t i = 0; i < s->node_count; i++) {
        if (hone_message_is_constant(s->nodes[i])) continue;
        hone_meaning x = hone_message_meaning(s->r->model, s->imports, s->nodes[i]);
        if (x.op)
            HONE_TRY(make_node(s, i, &x, err));
        else
            HONE_TRY(hone_onnx_scope_make_call(s, i, x.function, err));
        HONE_TRY(hone_graph_check(s->g, err));
    }
    return HONE_OK;
}

static hone_status connect_node(hone_onnx_scope *s, size_t index, hone_error *err) {
    const hone_node_message *m = s->nodes[index];
    hone_node *n = s->made[index].node;
    size_t inputs = without_trailing(m->input, m->n_input);
    if (inputs > INT16_MAX || (inputs > 0 && !hone_op_input(n->op, (int)inputs - 1)))
        return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), m->op_type,
                              "has %zu inputs, more than the operator takes", inputs);
    for (size_t i = 0; i < inputs; i++) {
        hone_value *v = NULL;
        HONE_TRY(hone_onnx_scope_value(s, m->input[i], m, &v, err));
        if (v) hone_node_set_input(s->g, n, (int)i, v);
        HONE_TRY(hone_graph_check(s->g, err));
    }
    return HONE_OK;
}

static hone_status connect_aliases(hone_onnx_scope *s, hone_error *err) {
    for (size_t i = 0; i < s->alias_count; i++) {
        hone_value *v = NULL;
        HONE_TRY(hone_onnx_scope_value(s, s->aliases[i].name, s->call, &v, err));
        if (!v)
            return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(s->call), s->call->op_type,
                                  "gives its input %s, which is left out", s->aliases[i].name);
        hone_node_set_input(s->g, s->aliases[i].node, 0, v);
    }
    return HONE_OK;
}

static hone_status connect_nodes(hone_onnx_scope *s, hone_error *err) {
    for (size_t i = 0; i < s->node_count; i++) {
        if (s->made[i].node) HONE_TRY(connect_node(s, i, err));
        if (s->made[i].call) HONE_TRY(connect_nodes(s->made[i].call, err));
    }
    return connect_aliases(s, err);
}

/* --- subgraphs --- */

static hone_status build_subgraph(const hone_onnx_scope *at, hone_graph *g, const hone_graph_message *m,
                                  hone_error *err) {
    hone_onnx_scope *inner = NULL;
    const char *name = hone_message_text(m->name);
    if (*name && !(g->name = hone_arena_strdup(g->arena, name))) return hone_fail_memory(err);
    HONE_TRY(hone_onnx_scope_of_graph(at->r, (hone_onnx_scope *)at, g, m, &inner, err));
    return hone_onnx_scope_build(inner, err);
}

/* Names mean what they mean where the graph is written: for an attribute that a call gives, at the call. */
static hone_status build_subgraphs(hone_onnx_scope *s, size_t index, hone_error *err) {
    const hone_node_message *m = s->nodes[index];
    for (size_t i = 0; i < m->n_attribute; i++) {
        const hone_onnx_scope *at = s;
        const hone_attr_message *a = hone_onnx_scope_attr(&at, m->attribute[i]);
        const hone_attr *made = a ? hone_node_attr(s->made[index].node, m->attribute[i]->name) : NULL;
        if (!made || !made->graphs) continue;
        for (size_t k = 0; k < made->count; k++)
            HONE_TRY(build_subgraph(at, made->graphs[k], made->type == HONE_ATTR_GRAPH ? a->g : a->graphs[k],
                                    err));
    }
    return HONE_OK;
}

static hone_status build_all_subgraphs(hone_onnx_scope *s, hone_error *err) {
    for (size_t i = 0; i < s->node_count; i++) {
        if (s->made[i].node) HONE_TRY(build_subgraphs(s, i, err));
        if (s->made[i].call) HONE_TRY(build_all_subgraphs(s->made[i].call, err));
    }
    return HONE_OK;
}

hone_status hone_onnx_scope_build(hone_onnx_scope *s, hone_error *err) {
    HONE_TRY(define_names(s, err));
    HONE_TRY(read_initializers(s, err));
    HONE_TRY(make_parameters(s, err));
    HONE_TRY(read_inputs(s, err));
    HONE_TRY(hone_onnx_scope_make_nodes(s, err));
    HONE_TRY(connect_nodes(s, err));
    HONE_TRY(build_all_subgraphs(s, err));
    for (size_t i = 0; i < s->m->n_output; i++) HONE_TRY(read_output(s, s->m->output[i], err));
    return hone_graph_check(s->g, err);
}
