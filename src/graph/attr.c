#include "graph/op.h"

#include "graph/inside.h"

#include <string.h>

static const hone_attr *own(const hone_node *n, const char *name) {
    for (int i = 0; i < n->attr_count; i++)
        if (strcmp(n->attrs[i].name, name) == 0) return &n->attrs[i];
    return NULL;
}

static const hone_attr_def *definition(const hone_node *n, const char *name) {
    return hone_attr_find(n->op->attrs, name);
}

const hone_attr *hone_node_attr(const hone_node *n, const char *name) {
    return own(n, name);
}

int64_t hone_node_int(const hone_node *n, const char *name) {
    const hone_attr *a = own(n, name);
    if (a) return a->i;
    const hone_attr_def *d = definition(n, name);
    return d ? d->i : 0;
}

float hone_node_float(const hone_node *n, const char *name) {
    const hone_attr *a = own(n, name);
    if (a) return a->f;
    const hone_attr_def *d = definition(n, name);
    return d ? d->f : 0;
}

const char *hone_node_string(const hone_node *n, const char *name) {
    const hone_attr *a = own(n, name);
    if (a) return a->s.data;
    const hone_attr_def *d = definition(n, name);
    return d ? d->s : NULL;
}

const int64_t *hone_node_ints(const hone_node *n, const char *name, size_t *count) {
    const hone_attr *a = own(n, name);
    *count = a && a->type == HONE_ATTR_INTS ? a->count : 0;
    return *count ? a->ints : NULL;
}

void hone_attr_clear(hone_attr *a) {
    for (size_t i = 0; a->tensors && i < a->count; i++) hone_tensor_free(a->tensors[i]);
    for (size_t i = 0; a->graphs && i < a->count; i++) hone_graph_free(a->graphs[i]);
    *a = (hone_attr){.name = a->name};
}

void hone_node_drop_attr(hone_node *n, int index) {
    hone_attr_clear(&n->attrs[index]);
    memmove(&n->attrs[index], &n->attrs[index + 1], (size_t)(--n->attr_count - index) * sizeof *n->attrs);
}

hone_attr *hone_node_make_attr(hone_graph *g, hone_node *n, const char *name, hone_attr_type type) {
    hone_attr *a = (hone_attr *)own(n, name);
    if (!a) {
        hone_attr *attrs = hone_arena_array(g->arena, (size_t)n->attr_count + 1, sizeof *attrs);
        char *copy = hone_arena_strdup(g->arena, name);
        if (!attrs || !copy) {
            hone_graph_out_of_memory(g);
            return NULL;
        }
        if (n->attr_count) memcpy(attrs, n->attrs, (size_t)n->attr_count * sizeof *attrs);
        n->attrs = attrs;
        a = &attrs[n->attr_count++];
        a->name = copy;
    } else
        hone_attr_clear(a);
    a->type = type;
    return a;
}

void hone_node_set_int(hone_graph *g, hone_node *n, const char *name, int64_t x) {
    hone_attr *a = n ? hone_node_make_attr(g, n, name, HONE_ATTR_INT) : NULL;
    if (a) a->i = x;
}

void hone_node_set_float(hone_graph *g, hone_node *n, const char *name, float x) {
    hone_attr *a = n ? hone_node_make_attr(g, n, name, HONE_ATTR_FLOAT) : NULL;
    if (a) a->f = x;
}

void hone_node_set_string(hone_graph *g, hone_node *n, const char *name, const char *x) {
    hone_node_set_bytes(g, n, name, x, strlen(x));
}

static hone_string copy_string(hone_graph *g, const void *bytes, size_t size) {
    char *copy = hone_arena_array(g->arena, size + 1, 1); /* zero-filled */
    if (!copy)
        hone_graph_out_of_memory(g);
    else if (size)
        memcpy(copy, bytes, size);
    return (hone_string){copy, copy ? size : 0};
}

void hone_node_set_bytes(hone_graph *g, hone_node *n, const char *name, const void *x, size_t size) {
    hone_attr *a = n ? hone_node_make_attr(g, n, name, HONE_ATTR_STRING) : NULL;
    if (a) a->s = copy_string(g, x, size);
}

static void *copy_items(hone_graph *g, const void *items, size_t count, size_t size) {
    void *copy = hone_arena_array(g->arena, count ? count : 1, size);
    if (!copy)
        hone_graph_out_of_memory(g);
    else if (count)
        memcpy(copy, items, count * size);
    return copy;
}

void hone_node_set_ints(hone_graph *g, hone_node *n, const char *name, const int64_t *x, size_t count) {
    hone_attr *a = n ? hone_node_make_attr(g, n, name, HONE_ATTR_INTS) : NULL;
    if (!a) return;
    a->ints = copy_items(g, x, count, sizeof *x);
    a->count = a->ints ? count : 0;
}

void hone_node_set_floats(hone_graph *g, hone_node *n, const char *name, const float *x, size_t count) {
    hone_attr *a = n ? hone_node_make_attr(g, n, name, HONE_ATTR_FLOATS) : NULL;
    if (!a) return;
    a->floats = copy_items(g, x, count, sizeof *x);
    a->count = a->floats ? count : 0;
}

void hone_node_set_strings(hone_graph *g, hone_node *n, const char *name, const hone_string *x,
                           size_t count) {
    hone_attr *a = n ? hone_node_make_attr(g, n, name, HONE_ATTR_STRINGS) : NULL;
    if (!a) return;
    hone_string *copy = copy_items(g, x, count, sizeof *x);
    for (size_t i = 0; copy && i < count; i++) copy[i] = copy_string(g, x[i].data, x[i].size);
    a->strings = copy;
    a->count = copy ? count : 0;
}

hone_tensor *hone_node_tensor(const hone_node *n, const char *name) {
    const hone_attr *a = own(n, name);
    return a && a->type == HONE_ATTR_TENSOR ? a->tensors[0] : NULL;
}

const hone_type *hone_node_type(const hone_node *n, const char *name) {
    const hone_attr *a = own(n, name);
    return a && a->type == HONE_ATTR_TYPE ? a->types : NULL;
}

static void set_tensors(hone_graph *g, hone_node *n, const char *name, hone_attr_type type,
                        hone_tensor *const *t, size_t count) {
    hone_tensor **kept = hone_arena_array(g->arena, count + 1, sizeof(hone_tensor *));
    if (!kept) hone_graph_out_of_memory(g);
    for (size_t i = 0; kept && i < count; i++) /* they may be the ones that the attribute has */
        kept[i] = hone_tensor_retain(t[i]);
    hone_attr *a = kept && n ? hone_node_make_attr(g, n, name, type) : NULL;
    if (a) {
        a->tensors = kept;
        a->count = count;
    } else
        for (size_t i = 0; kept && i < count; i++) hone_tensor_free(kept[i]);
}

void hone_node_set_tensor(hone_graph *g, hone_node *n, const char *name, hone_tensor *t) {
    if (t)
        set_tensors(g, n, name, HONE_ATTR_TENSOR, &t, 1);
    else
        hone_graph_out_of_memory(g);
}

void hone_node_set_tensors(hone_graph *g, hone_node *n, const char *name, hone_tensor *const *t,
                           size_t count) {
    set_tensors(g, n, name, HONE_ATTR_TENSORS, t, count);
}

/* Of an attribute's type: symbols are the graph's, and no attribute has one. */
static void forget_symbols(hone_type *t) {
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0) t->dims[i] = HONE_DIM_ANY;
    if (t->element) forget_symbols((hone_type *)t->element); /* a copy of our own */
}

static void set_types(hone_graph *g, hone_node *n, const char *name, hone_attr_type type,
                      const hone_type *types, size_t count) {
    hone_type *copy = hone_arena_array(g->arena, count + 1, sizeof *copy);
    if (!copy) hone_graph_out_of_memory(g);
    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = hone_type_import(g, g, &types[i]);
        forget_symbols(&copy[i]);
    }
    hone_attr *a = n && copy ? hone_node_make_attr(g, n, name, type) : NULL;
    if (!a) return;
    a->types = copy;
    a->count = count;
}

void hone_node_set_type(hone_graph *g, hone_node *n, const char *name, const hone_type *type) {
    set_types(g, n, name, HONE_ATTR_TYPE, type, 1);
}

void hone_node_set_types(hone_graph *g, hone_node *n, const char *name, const hone_type *types,
                         size_t count) {
    set_types(g, n, name, HONE_ATTR_TYPES, types, count);
}

/* --- subgraphs --- */

static hone_graph *const *make_graphs(hone_graph *g, hone_node *n, const char *name, hone_attr_type type,
                                      size_t count) {
    hone_attr *a = n ? hone_node_make_attr(g, n, name, type) : NULL;
    hone_graph **graphs = a ? hone_arena_array(g->arena, count + 1, sizeof *graphs) : NULL;
    if (a && !graphs) hone_graph_out_of_memory(g);
    if (!graphs) return NULL;
    a->graphs = graphs;
    size_t captures = (size_t)(n->input_count - n->capture_first);
    while (a->count < count) {
        hone_graph *sub = hone_graph_new_inside(name, g, n);
        if (!sub) hone_graph_out_of_memory(g);
        if (!sub) return NULL;
        graphs[a->count++] = sub;
        if (!hone_graph_reserve(sub, &sub->captures, &sub->capture_capacity, captures, sizeof(hone_value *)))
            return NULL;
        for (size_t k = 0; k < captures; k++) sub->captures[k] = NULL;
        sub->capture_count = captures;
    }
    return graphs;
}

hone_graph *hone_node_add_graph(hone_graph *g, hone_node *n, const char *name) {
    hone_graph *const *graphs = make_graphs(g, n, name, HONE_ATTR_GRAPH, 1);
    return graphs ? graphs[0] : NULL;
}

hone_graph *const *hone_node_add_graphs(hone_graph *g, hone_node *n, const char *name, size_t count) {
    return make_graphs(g, n, name, HONE_ATTR_GRAPHS, count);
}

hone_graph *hone_node_graph(const hone_node *n, const char *name) {
    const hone_attr *a = own(n, name);
    return a && a->type == HONE_ATTR_GRAPH && a->count ? a->graphs[0] : NULL;
}

hone_graph *hone_node_subgraph(const hone_node *n, int index) {
    size_t k = (size_t)index;
    for (int i = 0; i < n->attr_count; i++) {
        const hone_attr *a = &n->attrs[i];
        if (!a->graphs) continue;
        if (k < a->count) return a->graphs[k];
        k -= a->count;
    }
    return NULL;
}

void hone_node_move_graph(hone_graph *g, hone_node *to, hone_node *from, const char *name) {
    hone_attr *old = (hone_attr *)own(from, name), *a = hone_node_make_attr(g, to, name, HONE_ATTR_GRAPH);
    if (!a || !old) return;
    a->graphs = old->graphs;
    a->count = old->count;
    old->count = 0;
    old->graphs = NULL;
    for (size_t i = 0; i < a->count; i++) {
        a->graphs[i]->outer = g;
        a->graphs[i]->owner = to;
    }
}

/* --- copies --- */

static void copy_graphs(hone_graph *g, hone_node *to, const hone_attr *a) {
    hone_graph *const *graphs = make_graphs(g, to, a->name, a->type, a->count);
    for (size_t i = 0; graphs && i < a->count; i++)
        if (hone_graph_copy_into(graphs[i], a->graphs[i], NULL) != HONE_OK) hone_graph_out_of_memory(g);
}

void hone_node_copy_attrs(hone_graph *g, hone_node *to, const hone_node *from) {
    for (int i = 0; to && i < from->attr_count; i++) {
        const hone_attr *a = &from->attrs[i];
        switch (a->type) {
        case HONE_ATTR_FLOAT: hone_node_set_float(g, to, a->name, a->f); break;
        case HONE_ATTR_INT: hone_node_set_int(g, to, a->name, a->i); break;
        case HONE_ATTR_STRING: hone_node_set_bytes(g, to, a->name, a->s.data, a->s.size); break;
        case HONE_ATTR_FLOATS: hone_node_set_floats(g, to, a->name, a->floats, a->count); break;
        case HONE_ATTR_INTS: hone_node_set_ints(g, to, a->name, a->ints, a->count); break;
        case HONE_ATTR_STRINGS: hone_node_set_strings(g, to, a->name, a->strings, a->count); break;
        case HONE_ATTR_TENSOR:
        case HONE_ATTR_TENSORS: set_tensors(g, to, a->name, a->type, a->tensors, a->count); break;
        case HONE_ATTR_TYPE:
        case HONE_ATTR_TYPES: set_types(g, to, a->name, a->type, a->types, a->count); break;
        case HONE_ATTR_GRAPH:
        case HONE_ATTR_GRAPHS: copy_graphs(g, to, a); break;
        case HONE_ATTR_NONE: break;
        }
    }
}
