#include "graph/map.h"

#include <stdio.h>
#include <string.h>

/* Symbols are matched by name. */
static hone_type import_type(hone_graph *dst, const hone_graph *src, const hone_type *type) {
    hone_type t = *type;
    for (int i = 0; i < t.rank; i++)
        if (t.dims[i] <= -2) t.dims[i] = hone_graph_symbol(dst, hone_graph_dim_name(src, t.dims[i]));
    return t;
}

static const char *prefixed(hone_graph *dst, const char *prefix, const char *name) {
    if (!prefix || !*prefix) return name;
    const char *text = hone_arena_printf(dst->arena, "%s%s", prefix, name);
    if (!text) dst->failed = true;
    return text;
}

static void copy_node(hone_graph *dst, const hone_graph *src, const hone_node *n, const char *prefix,
                      hone_value **map) {
    hone_node *copy =
        hone_graph_add_node(dst, n->op, prefixed(dst, prefix, n->name), 0, NULL, n->output_count);
    if (!copy) return;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i]) hone_node_set_input(dst, copy, i, map[n->inputs[i]->id]);
    copy->frozen = n->frozen;
    copy->map_input = n->map_input;
    if (n->map && !(copy->map = hone_map_copy(dst->arena, n->map))) dst->failed = true;
    hone_node_copy_attrs(dst, copy, n);
    for (int i = 0; i < n->output_count; i++) {
        hone_value *from = n->outputs[i], *to = copy->outputs[i];
        if (!from) continue;
        to->type = import_type(dst, src, &from->type);
        if (map[from->id]) hone_graph_replace(dst, map[from->id], to);
        map[from->id] = to;
        const char *name = prefixed(dst, prefix, from->name);
        if (name && !hone_graph_find(dst, name)) hone_graph_rename(dst, to, name);
    }
}

hone_status hone_graph_append(hone_graph *dst, const hone_graph *src, const char *prefix, hone_value **map,
                              hone_error *err) {
    for (size_t i = 0; i < src->value_count; i++) {
        const hone_value *v = src->values[i];
        if (!v || map[i]) continue;
        const char *name = prefixed(dst, prefix, v->name);
        hone_type type = import_type(dst, src, &v->type);
        switch (v->storage) {
        case HONE_STORAGE_INPUT: map[i] = hone_graph_add_input(dst, name, &type); break;
        case HONE_STORAGE_CONSTANT: map[i] = hone_graph_add_constant(dst, name, v->data); break;
        case HONE_STORAGE_VARIABLE:
            map[i] = hone_graph_add_variable(dst, name, v->data);
            if (map[i]) map[i]->trainable = v->trainable;
            break;
        case HONE_STORAGE_INTERMEDIATE: break;
        }
    }
    for (const hone_node *n = src->first; n; n = n->next) copy_node(dst, src, n, prefix, map);
    return hone_graph_check(dst, err);
}

hone_status hone_graph_copy(const hone_graph *g, hone_graph **out, hone_error *err) {
    hone_graph *copy = hone_graph_new(g->name);
    hone_value **map = hone_calloc(g->value_count + 1, sizeof *map);
    hone_status status = copy && map ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) {
        copy->opset = g->opset;
        for (size_t i = 0; i < g->symbol_count; i++) hone_graph_symbol(copy, g->symbols[i]);
        for (size_t i = 0; i < g->input_count; i++) { /* keep the order of inputs */
            hone_type type = import_type(copy, g, &g->inputs[i]->type);
            map[g->inputs[i]->id] = hone_graph_add_input(copy, g->inputs[i]->name, &type);
        }
        status = hone_graph_append(copy, g, NULL, map, err);
    }
    if (status == HONE_OK) {
        for (size_t i = 0; i < g->output_count; i++) hone_graph_add_output(copy, map[g->outputs[i]->id]);
        for (size_t i = 0; i < g->binding_count; i++)
            hone_graph_bind(copy, map[g->bindings[i].source->id], map[g->bindings[i].variable->id]);
        for (size_t i = 0; i < g->metadata_count && status == HONE_OK; i++)
            status = hone_graph_set_metadata(copy, g->metadata[i].key, g->metadata[i].value, err);
        if (status == HONE_OK) status = hone_graph_check(copy, err);
    }
    hone_free(map);
    if (status != HONE_OK) {
        hone_graph_free(copy);
        return status;
    }
    *out = copy;
    return HONE_OK;
}
