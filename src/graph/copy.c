#include "graph/inside.h"
#include "graph/map.h"

#include <stdio.h>
#include <string.h>

static void adopt(hone_graph *g) {
    hone_graph *sub;
    for (hone_node *n = g->first; n; n = n->next)
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) sub->outer = g;
}

void hone_graph_swap(hone_graph *a, hone_graph *b) {
    const hone_graph was = *a;
    *a = *b;
    *b = was;
    adopt(a);
    adopt(b);
}

/* Symbols are matched by name. */
hone_type hone_type_import(hone_graph *dst, const hone_graph *src, const hone_type *type) {
    hone_type t = *type;
    for (int i = 0; i < t.rank; i++)
        if (t.dims[i] <= -2 && src->symbols != dst->symbols)
            t.dims[i] = hone_graph_symbol(dst, hone_graph_dim_name(src, t.dims[i]));
    if (!t.element) return t;
    hone_type *element = hone_arena_alloc(dst->arena, sizeof *element);
    if (element)
        *element = hone_type_import(dst, src, t.element);
    else
        hone_graph_out_of_memory(dst);
    t.element = element;
    return t;
}

static const char *prefixed(hone_graph *dst, const char *prefix, const char *name) {
    if (!prefix || !*prefix) return name;
    const char *text = hone_arena_printf(dst->arena, "%s%s", prefix, name);
    if (!text) hone_graph_out_of_memory(dst);
    return text;
}

/* The node and its outputs; inputs follow when all nodes are there, in whatever order they come. Outputs get
 * their names at once, so that none is taken by a name made up meanwhile. */
static hone_node *copy_node(hone_graph *dst, const hone_graph *src, const hone_node *n, const char *prefix,
                            hone_value **map) {
    hone_node *copy = hone_graph_add_node(dst, n->op, prefixed(dst, prefix, n->name), 0, NULL, 0);
    hone_value **outputs = hone_arena_array(dst->arena, (size_t)n->output_count + 1, sizeof(hone_value *));
    if (!copy || !outputs) {
        hone_graph_out_of_memory(dst);
        return NULL;
    }
    copy->outputs = outputs;
    copy->output_count = n->output_count;
    copy->source = n->source;
    copy->map_input = n->map_input;
    if (n->map && !(copy->map = hone_map_copy(dst->arena, n->map))) hone_graph_out_of_memory(dst);
    hone_node_copy_attrs(dst, copy, n);
    for (int i = 0; i < n->output_count; i++) {
        const hone_value *from = n->outputs[i];
        if (!from || map[from->id]) continue;
        hone_value *to = hone_graph_add_value(dst, prefixed(dst, prefix, from->name));
        if (!to) continue;
        to->producer = copy;
        to->output_index = i;
        to->type = hone_type_import(dst, src, &from->type);
        outputs[i] = map[from->id] = to;
    }
    return copy;
}

static void connect_node(hone_graph *dst, hone_node *copy, const hone_node *n, hone_value *const *map) {
    for (int i = n->input_count - 1; i >= 0; i--) /* the last first: the list then grows once */
        if (n->inputs[i]) hone_node_set_input(dst, copy, i, map[n->inputs[i]->id]);
    if (copy) copy->capture_first = n->capture_first;
}

static hone_status copy_nodes(hone_graph *dst, const hone_graph *src, const char *prefix, hone_value **map,
                              hone_error *err) {
    hone_node **copies = hone_calloc(src->node_count + 1, sizeof(hone_node *));
    if (!copies) return hone_fail_memory(err);
    size_t i = 0;
    for (const hone_node *n = src->first; n; n = n->next) copies[i++] = copy_node(dst, src, n, prefix, map);
    i = 0;
    for (const hone_node *n = src->first; n; n = n->next) connect_node(dst, copies[i++], n, map);
    hone_free(copies);
    return hone_graph_check(dst, err);
}

/* What a value of `src` that no node makes is in `dst`. */
static hone_value *copy_source(hone_graph *dst, const hone_graph *src, const hone_value *v,
                               const char *name) {
    hone_type type = hone_type_import(dst, src, &v->type);
    hone_value *copy = NULL;
    switch (v->storage) {
    case HONE_STORAGE_INPUT: copy = hone_graph_add_input(dst, name, &type); break;
    case HONE_STORAGE_CONSTANT: copy = hone_graph_add_constant(dst, name, v->data); break;
    case HONE_STORAGE_VARIABLE:
        copy = hone_graph_add_variable(dst, name, v->data);
        if (copy) copy->trainable = v->trainable;
        break;
    case HONE_STORAGE_CAPTURED:
    case HONE_STORAGE_INTERMEDIATE: break;
    }
    return copy;
}

hone_status hone_graph_append(hone_graph *dst, const hone_graph *src, const char *prefix, hone_value **map,
                              hone_error *err) {
    for (size_t i = 0; i < src->value_count; i++) {
        const hone_value *v = src->values[i];
        if (!v || map[i]) continue;
        if (v->storage == HONE_STORAGE_CAPTURED)
            return hone_fail(err, HONE_INTERNAL, "nothing stands for %s, which the graph captures", v->name);
        map[i] = copy_source(dst, src, v, prefixed(dst, prefix, v->name));
    }
    return copy_nodes(dst, src, prefix, map, err);
}

static hone_status copy_results(hone_graph *copy, const hone_graph *g, hone_value *const *map,
                                hone_error *err) {
    for (size_t i = 0; i < g->output_count; i++) {
        const hone_value *v = g->outputs[i];
        if (!map[v->id])
            return hone_fail_node(err, HONE_CORRUPT, v->name, NULL, "is an output, but no node gives it");
        hone_graph_add_output(copy, map[v->id]);
    }
    for (size_t i = 0; i < g->binding_count; i++) {
        const hone_binding *b = &g->bindings[i];
        if (!map[b->source->id])
            return hone_fail_node(err, HONE_CORRUPT, b->source->name, NULL, "is bound, but no node gives it");
        hone_graph_bind(copy, map[b->source->id], map[b->variable->id]);
    }
    return hone_graph_check(copy, err);
}

static hone_status copy_texts(hone_graph *copy, const hone_graph *g, hone_error *err) {
    for (size_t i = 0; i < g->opset_count; i++)
        hone_graph_set_opset(copy, g->opsets[i].domain, g->opsets[i].version);
    if (g->doc && !(copy->doc = hone_arena_strdup(copy->arena, g->doc))) return hone_fail_memory(err);
    for (size_t i = 0; i < g->metadata_count; i++)
        HONE_TRY(hone_graph_set_metadata(copy, g->metadata[i].key, g->metadata[i].value, err));
    return HONE_OK;
}

/* Inputs and captured values, in the order that they have in g. */
static hone_status copy_signature(hone_graph *copy, const hone_graph *g, hone_value **map, hone_error *err) {
    if (copy->symbols != g->symbols)
        for (size_t i = 0; i < g->symbols->count; i++) hone_graph_symbol(copy, g->symbols->names[i]);
    for (size_t i = 0; i < g->input_count; i++) {
        hone_type type = hone_type_import(copy, g, &g->inputs[i]->type);
        map[g->inputs[i]->id] = hone_graph_add_input(copy, g->inputs[i]->name, &type);
    }
    if (!hone_graph_reserve(copy, &copy->captures, &copy->capture_capacity, g->capture_count,
                            sizeof(hone_value *)))
        return hone_fail_memory(err);
    copy->capture_count = g->capture_count;
    for (size_t k = 0; k < g->capture_count; k++) {
        const hone_value *from = g->captures[k];
        hone_value *v = from ? hone_graph_make_value(copy, from->name, HONE_STORAGE_CAPTURED) : NULL;
        copy->captures[k] = v;
        if (v) v->type = hone_type_import(copy, g, &from->type);
        if (v) map[from->id] = v;
    }
    return hone_graph_check(copy, err);
}

hone_status hone_graph_copy_into(hone_graph *copy, const hone_graph *g, hone_error *err) {
    hone_value **map = hone_calloc(g->value_count + 1, sizeof(hone_value *));
    hone_status status = map ? copy_signature(copy, g, map, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_graph_append(copy, g, NULL, map, err);
    if (status == HONE_OK) status = copy_results(copy, g, map, err);
    if (status == HONE_OK) status = copy_texts(copy, g, err);
    hone_free(map);
    return status;
}

static hone_status finish(hone_graph *copy, hone_status status, hone_graph **out, hone_error *err) {
    if (status == HONE_OK) status = hone_graph_check(copy, err);
    if (status == HONE_OK)
        *out = copy;
    else
        hone_graph_free(copy);
    return status;
}

hone_status hone_graph_copy(const hone_graph *g, hone_graph **out, hone_error *err) {
    HONE_TRY(hone_graph_check(g, err));
    hone_graph *copy = hone_graph_new(g->name);
    hone_status status = copy ? hone_graph_copy_into(copy, g, err) : hone_fail_memory(err);
    return finish(copy, status, out, err);
}

hone_status hone_graph_copy_signature(const hone_graph *g, hone_graph **out, hone_error *err) {
    hone_graph *copy = hone_graph_new(g->name);
    hone_value **map = hone_calloc(g->value_count + 1, sizeof(hone_value *));
    hone_status status = copy && map ? copy_signature(copy, g, map, err) : hone_fail_memory(err);
    for (size_t i = 0; i < g->output_count && status == HONE_OK; i++) {
        const hone_value *from = g->outputs[i];
        hone_value *to = map[from->id];
        if (!to && (to = hone_graph_add_value(copy, from->name))) {
            to->type = hone_type_import(copy, g, &from->type);
            to->keys = from->keys ? hone_tensor_retain(from->keys) : NULL;
        }
        map[from->id] = to;
        hone_graph_add_output(copy, to);
    }
    if (status == HONE_OK) status = copy_texts(copy, g, err);
    if (status == HONE_OK) copy->link = hone_graph_link(g, NULL);
    hone_free(map);
    return finish(copy, status, out, err);
}

hone_link hone_graph_link(const hone_graph *g, hone_value **logits) {
    const hone_node *n = g->output_count > 0 ? g->outputs[0]->producer : NULL; /* a signature has no nodes */
    hone_link link = n && n->op->link && g->outputs[0]->output_index == 0 ? n->op->link(n) : HONE_LINK_NONE;
    if (link && logits) *logits = n->inputs[0];
    return n ? link : g->link;
}

/* needed[id]: the value leads to an output. */
static void mark_needed(const hone_graph *g, hone_value *const *outputs, size_t count, bool *needed) {
    for (size_t i = 0; i < count; i++) needed[outputs[i]->id] = true;
    for (const hone_node *n = g->last; n; n = n->prev)
        for (int o = 0; o < n->output_count; o++) {
            if (!n->outputs[o] || !needed[n->outputs[o]->id]) continue;
            for (int i = 0; i < n->input_count; i++)
                if (n->inputs[i]) needed[n->inputs[i]->id] = true;
        }
}

static hone_status extract(hone_graph *to, const hone_graph *g, const bool *needed, hone_value **map,
                           hone_error *err) {
    for (size_t i = 0; i < g->value_count; i++)
        if (needed[i]) map[i] = copy_source(to, g, g->values[i], g->values[i]->name);
    for (const hone_node *n = g->first; n; n = n->next) {
        bool wanted = false;
        for (int o = 0; o < n->output_count; o++) wanted |= n->outputs[o] && needed[n->outputs[o]->id];
        if (!wanted) continue;
        hone_node *copy = copy_node(to, g, n, NULL, map);
        if (copy) connect_node(to, copy, n, map);
    }
    return hone_graph_check(to, err);
}

hone_status hone_graph_extract(const hone_graph *g, hone_value *const *outputs, size_t count,
                               hone_graph **out, hone_error *err) {
    hone_graph *to = hone_graph_new(g->name);
    hone_value **map = hone_calloc(g->value_count + 1, sizeof(hone_value *));
    bool *needed = hone_calloc(g->value_count + 1, sizeof *needed);
    hone_status status = to && map && needed ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) mark_needed(g, outputs, count, needed);
    if (status == HONE_OK) status = extract(to, g, needed, map, err);
    for (size_t i = 0; i < count && status == HONE_OK; i++) hone_graph_add_output(to, map[outputs[i]->id]);
    if (status == HONE_OK) status = hone_graph_check(to, err);
    hone_free(needed);
    hone_free(map);
    if (status == HONE_OK)
        *out = to;
    else
        hone_graph_free(to);
    return status;
}
