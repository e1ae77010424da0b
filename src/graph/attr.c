#include "graph/op.h"

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

/* A cleared attribute of that name, made if need be; NULL when out of memory (remembered). */
static hone_attr *make(hone_graph *g, hone_node *n, const char *name, hone_attr_type type) {
    hone_attr *a = (hone_attr *)own(n, name);
    if (!a) {
        hone_attr *attrs = hone_arena_array(g->arena, (size_t)n->attr_count + 1, sizeof *attrs);
        char *copy = hone_arena_strdup(g->arena, name);
        if (!attrs || !copy) {
            g->failed = true;
            return NULL;
        }
        if (n->attr_count) memcpy(attrs, n->attrs, (size_t)n->attr_count * sizeof *attrs);
        n->attrs = attrs;
        a = &attrs[n->attr_count++];
        a->name = copy;
    } else {
        hone_tensor_free(a->t);
        hone_graph_free(a->g);
        a->t = NULL;
        a->g = NULL;
    }
    a->type = type;
    return a;
}

void hone_node_set_int(hone_graph *g, hone_node *n, const char *name, int64_t x) {
    hone_attr *a = n ? make(g, n, name, HONE_ATTR_INT) : NULL;
    if (a) a->i = x;
}

void hone_node_set_float(hone_graph *g, hone_node *n, const char *name, float x) {
    hone_attr *a = n ? make(g, n, name, HONE_ATTR_FLOAT) : NULL;
    if (a) a->f = x;
}

void hone_node_set_string(hone_graph *g, hone_node *n, const char *name, const char *x) {
    hone_node_set_bytes(g, n, name, x, strlen(x));
}

static hone_string copy_string(hone_graph *g, const void *bytes, size_t size) {
    char *copy = hone_arena_array(g->arena, size + 1, 1); /* zero-filled */
    if (!copy)
        g->failed = true;
    else if (size)
        memcpy(copy, bytes, size);
    return (hone_string){copy, copy ? size : 0};
}

void hone_node_set_bytes(hone_graph *g, hone_node *n, const char *name, const void *x, size_t size) {
    hone_attr *a = n ? make(g, n, name, HONE_ATTR_STRING) : NULL;
    if (a) a->s = copy_string(g, x, size);
}

void hone_node_set_tensor(hone_graph *g, hone_node *n, const char *name, hone_tensor *t) {
    hone_tensor *kept = hone_tensor_retain(t); /* it may be the one that the attribute has */
    hone_attr *a = n ? make(g, n, name, HONE_ATTR_TENSOR) : NULL;
    if (a)
        a->t = kept;
    else
        hone_tensor_free(kept);
}

static void *copy_items(hone_graph *g, const void *items, size_t count, size_t size) {
    void *copy = hone_arena_array(g->arena, count ? count : 1, size);
    if (!copy)
        g->failed = true;
    else if (count)
        memcpy(copy, items, count * size);
    return copy;
}

void hone_node_set_ints(hone_graph *g, hone_node *n, const char *name, const int64_t *x, size_t count) {
    hone_attr *a = n ? make(g, n, name, HONE_ATTR_INTS) : NULL;
    if (!a) return;
    a->ints = copy_items(g, x, count, sizeof *x);
    a->count = a->ints ? count : 0;
}

void hone_node_set_floats(hone_graph *g, hone_node *n, const char *name, const float *x, size_t count) {
    hone_attr *a = n ? make(g, n, name, HONE_ATTR_FLOATS) : NULL;
    if (!a) return;
    a->floats = copy_items(g, x, count, sizeof *x);
    a->count = a->floats ? count : 0;
}

void hone_node_set_strings(hone_graph *g, hone_node *n, const char *name, const hone_string *x,
                           size_t count) {
    hone_attr *a = n ? make(g, n, name, HONE_ATTR_STRINGS) : NULL;
    if (!a) return;
    hone_string *copy = copy_items(g, x, count, sizeof *x);
    for (size_t i = 0; copy && i < count; i++) copy[i] = copy_string(g, x[i].data, x[i].size);
    a->strings = copy;
    a->count = copy ? count : 0;
}

void hone_node_copy_attrs(hone_graph *g, hone_node *to, const hone_node *from) {
    for (int i = 0; to && i < from->attr_count; i++) {
        const hone_attr *a = &from->attrs[i];
        switch (a->type) {
        case HONE_ATTR_FLOAT: hone_node_set_float(g, to, a->name, a->f); break;
        case HONE_ATTR_INT: hone_node_set_int(g, to, a->name, a->i); break;
        case HONE_ATTR_STRING: hone_node_set_bytes(g, to, a->name, a->s.data, a->s.size); break;
        case HONE_ATTR_TENSOR: hone_node_set_tensor(g, to, a->name, a->t); break;
        case HONE_ATTR_FLOATS: hone_node_set_floats(g, to, a->name, a->floats, a->count); break;
        case HONE_ATTR_INTS: hone_node_set_ints(g, to, a->name, a->ints, a->count); break;
        case HONE_ATTR_STRINGS: hone_node_set_strings(g, to, a->name, a->strings, a->count); break;
        case HONE_ATTR_GRAPH: {
            hone_attr *copy = make(g, to, a->name, HONE_ATTR_GRAPH);
            if (copy && hone_graph_copy(a->g, &copy->g, NULL) != HONE_OK) g->failed = true;
            break;
        }
        case HONE_ATTR_NONE: break;
        }
    }
}
