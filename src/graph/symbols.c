#include "graph/inside.h"

#include <stdio.h>
#include <string.h>

#define FRESH "\1dim " /* no name that anybody gives */

hone_symbols *hone_symbols_new(void) {
    hone_symbols *s = hone_calloc(1, sizeof *s);
    if (s) s->references = 1;
    return s;
}

hone_symbols *hone_symbols_retain(hone_symbols *s) {
    s->references++;
    return s;
}

void hone_symbols_release(hone_symbols *s) {
    if (!s || --s->references > 0) return;
    for (size_t i = 0; i < s->count; i++) hone_free((char *)s->names[i]);
    hone_free(s->names);
    hone_free(s);
}

static int64_t append(hone_graph *g, const char *name) {
    hone_symbols *s = g->symbols;
    if (!hone_graph_reserve(g, &s->names, &s->capacity, s->count + 1, sizeof *s->names)) return HONE_DIM_ANY;
    s->names[s->count] = hone_strdup(name);
    if (!s->names[s->count]) {
        hone_graph_out_of_memory(g);
        return HONE_DIM_ANY;
    }
    return -2 - (int64_t)s->count++;
}

int64_t hone_graph_symbol(hone_graph *g, const char *name) {
    const hone_symbols *s = g->symbols;
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->names[i], name) == 0) return -2 - (int64_t)i;
    return append(g, name);
}

int64_t hone_graph_fresh_symbol(hone_graph *g) {
    char name[32];
    snprintf(name, sizeof name, FRESH "%zu", g->symbols->count);
    return append(g, name);
}

bool hone_graph_is_fresh(const hone_graph *g, int64_t dim) {
    const char *name = hone_graph_dim_name(g, dim);
    return name && strncmp(name, FRESH, strlen(FRESH)) == 0;
}

const char *hone_graph_dim_name(const hone_graph *g, int64_t dim) {
    if (dim > -2 || (size_t)(-2 - dim) >= g->symbols->count) return NULL;
    return g->symbols->names[-2 - dim];
}
