#include "onnx/scope.h"

#include <string.h>

/* Graphs in nodes and calls in functions, counted together: each is a few frames on the stack. Graphs alone: as many as
 * a message can have, however they are nested. */
enum { MAX_DEPTH = 64, MAX_GRAPHS = 16 };

static hone_status make_scope(hone_reader *r, hone_onnx_scope *outer, hone_onnx_scope **out,
                              hone_error *err) {
    int depth = outer ? outer->depth + 1 : 0;
    if (depth > MAX_DEPTH)
        return hone_fail(err, HONE_UNSUPPORTED, "subgraphs and functions are nested more than %d deep",
                         MAX_DEPTH);
    hone_onnx_scope *s = hone_arena_alloc(r->arena, sizeof *s);
    if (!s || !(s->names = hone_names_new())) return hone_fail_memory(err);
    s->r = r;
    s->outer = outer;
    s->depth = depth;
    s->graphs = outer ? outer->graphs : 0;
    if (r->last)
        r->last->next = s;
    else
        r->first = s;
    r->last = s;
    *out = s;
    return HONE_OK;
}

static hone_status take_nodes(hone_onnx_scope *s, hone_node_message **nodes, size_t count, hone_error *err) {
    s->nodes = nodes;
    s->node_count = count;
    s->made = hone_arena_array(s->r->arena, count + 1, sizeof *s->made);
    return s->made ? HONE_OK : hone_fail_memory(err);
}

hone_status hone_onnx_scope_of_graph(hone_reader *r, hone_onnx_scope *outer, hone_graph *g,
                                     const hone_graph_message *m, hone_onnx_scope **out, hone_error *err) {
    hone_onnx_scope *s = NULL;
    HONE_TRY(make_scope(r, outer, &s, err));
    if (outer && ++s->graphs > MAX_GRAPHS)
        return hone_fail(err, HONE_UNSUPPORTED, "subgraphs are nested more than %d deep", MAX_GRAPHS);
    s->home = s;
    s->g = g;
    s->m = m;
    s->prefix = "";
    s->imports = outer ? outer->imports : hone_message_imports(r->model);
    *out = s;
    return outer ? take_nodes(s, m->node, m->n_node, err) : take_nodes(s, r->nodes.list, r->nodes.count, err);
}

hone_status hone_onnx_scope_of_call(hone_onnx_scope *outer, const hone_node_message *call,
                                    const hone_function_message *function, hone_onnx_scope **out,
                                    hone_error *err) {
    hone_onnx_scope *s = NULL;
    HONE_TRY(make_scope(outer->r, outer, &s, err));
    s->home = outer->home;
    s->g = outer->g;
    s->function = function;
    s->call = call;
    s->imports = (hone_imports){function->opset_import, function->n_opset_import};
    s->prefix = hone_arena_printf(s->r->arena, "%s%s/", outer->prefix, hone_message_node_name(call));
    if (!s->prefix) return hone_fail_memory(err);
    *out = s;
    return take_nodes(s, function->node, function->n_node, err);
}

void hone_onnx_scope_clear(hone_reader *r) {
    for (hone_onnx_scope *s = r->first; s; s = s->next) {
        hone_names_free(s->names);
        hone_free(s->records);
    }
}

hone_status hone_onnx_scope_made(const hone_onnx_scope *s, const void *thing, hone_error *err) {
    const hone_graph *g = s->g;
    if (thing) return HONE_OK;
    while (g->outer) g = g->outer; /* which knows of all failures */
    HONE_TRY(hone_graph_check(g, err));
    return hone_fail(err, HONE_INTERNAL, "the graph refused a value");
}

/* --- names --- */

hone_definition *hone_onnx_scope_find(const hone_onnx_scope *s, const char *name) {
    return hone_names_get(s->names, name);
}

static hone_status add(hone_onnx_scope *s, const char *name, hone_definition **out, hone_error *err) {
    hone_definition *d = hone_arena_alloc(s->r->arena, sizeof *d);
    if (!d || !hone_names_put(s->names, name, d)) return hone_fail_memory(err);
    *out = d;
    return HONE_OK;
}

hone_status hone_onnx_scope_define(hone_onnx_scope *s, const char *name, const hone_node_message *node,
                                   hone_definition **out, hone_error *err) {
    hone_definition *d = hone_onnx_scope_find(s, name);
    if (d && node)
        return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(node), node->op_type,
                              "gives %s, which %s%s gives already", name,
                              d->node ? "node " : "an input or initializer",
                              d->node ? hone_message_node_name(d->node) : "");
    if (d) return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is defined twice");
    HONE_TRY(add(s, name, &d, err));
    d->node = node;
    if (out) *out = d;
    return HONE_OK;
}

hone_status hone_onnx_scope_value(hone_onnx_scope *s, const char *name, const hone_node_message *node,
                                  hone_value **out, hone_error *err) {
    *out = NULL;
    if (!*name) return HONE_OK;
    hone_definition *d = hone_onnx_scope_find(s, name);
    if (d && d->parameter) {
        bool given = d->parameter <= s->call->n_input;
        return given ? hone_onnx_scope_value(s->outer, s->call->input[d->parameter - 1], node, out, err)
                     : HONE_OK;
    }
    if (d) {
        *out = d->value;
        return HONE_OK;
    }
    if (!s->outer || s->function)
        return node ? hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(node), node->op_type,
                                     "reads %s, which nothing gives", name)
                    : hone_fail_node(err, HONE_CORRUPT, name, NULL, "is an output, but nothing gives it");
    hone_value *outer = NULL;
    HONE_TRY(hone_onnx_scope_value(s->outer, name, node, &outer, err));
    if (!outer) return HONE_OK;
    HONE_TRY(add(s, name, &d, err)); /* from now on a name of this scope */
    *out = d->value = hone_graph_capture(s->g, outer);
    return hone_onnx_scope_made(s, d->value, err);
}

/* `name`, or name_1, name_2, … if the graph's own names have it; no number is tried twice. */
static const char *free_name(const hone_onnx_scope *home, const char *name) {
    const char *text = name;
    while (text && hone_onnx_scope_find(home, text))
        text = hone_arena_printf(home->r->arena, "%s_%d", name, ++home->r->last_suffix);
    return text;
}

const char *hone_onnx_scope_name(const hone_onnx_scope *s, const char *name) {
    if (!s->function) return name;
    const hone_definition *d = hone_onnx_scope_find(s, name);
    if (d && d->result && d->result <= s->call->n_output && *s->call->output[d->result - 1])
        return hone_onnx_scope_name(s->outer, s->call->output[d->result - 1]);
    const char *text = hone_arena_printf(s->r->arena, "%s%s", s->prefix, name);
    if (text) text = free_name(s->home, text);
    if (!text) hone_graph_out_of_memory(s->g);
    return text;
}

/* --- attributes --- */

static const hone_onnx_scope *function_around(const hone_onnx_scope *s) {
    while (s && !s->function) s = s->outer;
    return s;
}

bool hone_onnx_scope_is_in_function(const hone_onnx_scope *s) {
    return function_around(s) != NULL;
}

static const hone_attr_message *named(hone_attr_message *const *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(hone_message_text(list[i]->name), name) == 0) return list[i];
    return NULL;
}

const hone_attr_message *hone_onnx_scope_attr(const hone_onnx_scope **s, const hone_attr_message *m) {
    while (m && *hone_message_text(m->ref_attr_name)) {
        const hone_onnx_scope *f = function_around(*s);
        const char *name = m->ref_attr_name;
        if (!f) return NULL;
        m = named(f->call->attribute, f->call->n_attribute, name);
        *s = m ? f->outer : f;
        if (!m) return named(f->function->attribute_proto, f->function->n_attribute_proto, name);
    }
    return m;
}
