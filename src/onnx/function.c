#include "onnx/scope.h"

#include "graph/op.h"

#include <string.h>

/* A few functions that call each other could stand for more nodes than any memory holds. */
#define MAX_INLINED ((size_t)1 << 17)

/* Each call counts as a node, so that functions without any end, too. */
static hone_status check_call(hone_onnx_scope *s, const hone_node_message *m, const hone_function_message *f,
                              hone_error *err) {
    const char *node = hone_message_node_name(m);
    for (const hone_onnx_scope *around = s; around; around = around->outer)
        if (around->function == f)
            return hone_fail_node(err, HONE_CORRUPT, node, m->op_type, "the function calls itself");
    if (m->n_input > f->n_input || m->n_output > f->n_output)
        return hone_fail_node(err, HONE_CORRUPT, node, m->op_type,
                              "has %zu inputs and %zu outputs, the function %zu and %zu", m->n_input,
                              m->n_output, f->n_input, f->n_output);
    s->r->inlined += 1 + f->n_node;
    if (s->r->inlined > MAX_INLINED)
        return hone_fail_node(err, HONE_UNSUPPORTED, node, m->op_type,
                              "functions stand for more than %zu nodes", MAX_INLINED);
    return HONE_OK;
}

static bool has_attr(const hone_function_message *f, const char *name) {
    for (size_t i = 0; i < f->n_attribute; i++)
        if (strcmp(f->attribute[i], name) == 0) return true;
    for (size_t i = 0; i < f->n_attribute_proto; i++)
        if (strcmp(hone_message_text(f->attribute_proto[i]->name), name) == 0) return true;
    return false;
}

static hone_status check_attrs(const hone_node_message *m, const hone_function_message *f, hone_error *err) {
    for (size_t i = 0; i < m->n_attribute; i++)
        if (!has_attr(f, hone_message_text(m->attribute[i]->name)))
            return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), m->op_type,
                                  "attribute %s: is not an attribute of the function",
                                  hone_message_text(m->attribute[i]->name));
    return HONE_OK;
}

static hone_status define_names(hone_onnx_scope *s, hone_error *err) {
    const hone_function_message *f = s->function;
    hone_definition *d = NULL;
    for (size_t i = 0; i < f->n_input; i++) {
        HONE_TRY(hone_onnx_scope_define(s, f->input[i], NULL, &d, err));
        d->parameter = i + 1;
    }
    for (size_t i = 0; i < f->n_node; i++)
        for (size_t k = 0; k < f->node[i]->n_output; k++)
            if (*f->node[i]->output[k])
                HONE_TRY(hone_onnx_scope_define(s, f->node[i]->output[k], f->node[i], NULL, err));
    for (size_t i = f->n_output; i-- > 0;) { /* of an output that is listed twice the first counts */
        d = hone_onnx_scope_find(s, f->output[i]);
        if (!d)
            return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(s->call), s->call->op_type,
                                  "the function has the output %s, which nothing gives", f->output[i]);
        d->result = i + 1;
    }
    return HONE_OK;
}

/* The caller's output must be a value of its own. */
static hone_status add_alias(hone_onnx_scope *s, const char *name, const char *inner, hone_value **out,
                             hone_error *err) {
    const char *node_name = hone_arena_printf(s->r->arena, "%s%s", s->prefix, name);
    if (!node_name) return hone_fail_memory(err);
    hone_node *n = hone_graph_add_node(s->g, hone_op_find("", "Identity"), node_name, 0, NULL, 1);
    HONE_TRY(hone_onnx_scope_made(s, n, err));
    const char *value_name = hone_onnx_scope_name(s->outer, name);
    HONE_TRY(hone_onnx_scope_made(s, value_name, err));
    hone_graph_rename(s->g, n->outputs[0], value_name);
    if (!s->aliases) s->aliases = hone_arena_array(s->r->arena, s->call->n_output, sizeof *s->aliases);
    if (!s->aliases) return hone_fail_memory(err);
    s->aliases[s->alias_count++] = (hone_alias){n, inner};
    *out = n->outputs[0];
    return HONE_OK;
}

static hone_status give_results(hone_onnx_scope *s, hone_error *err) {
    for (size_t i = 0; i < s->call->n_output; i++) {
        const char *name = s->call->output[i], *inner = s->function->output[i];
        if (!*name) continue;
        hone_definition *outer = hone_onnx_scope_find(s->outer, name), *d = hone_onnx_scope_find(s, inner);
        if (d->value && !d->output)
            outer->value = d->value;
        else
            HONE_TRY(add_alias(s, name, inner, &outer->value, err));
        d->output = true;
    }
    return HONE_OK;
}

hone_status hone_onnx_scope_make_call(hone_onnx_scope *s, size_t index, const hone_function_message *function,
                                      hone_error *err) {
    const hone_node_message *m = s->nodes[index];
    hone_onnx_scope *inner = NULL;
    HONE_TRY(check_call(s, m, function, err));
    HONE_TRY(check_attrs(m, function, err));
    HONE_TRY(hone_onnx_scope_of_call(s, m, function, &inner, err));
    s->made[index].call = inner;
    HONE_TRY(define_names(inner, err));
    HONE_TRY(hone_onnx_scope_make_nodes(inner, err));
    return give_results(inner, err);
}
