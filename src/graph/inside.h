/* What the files that make up a graph share with each other alone. */
#ifndef HONE_GRAPH_INSIDE_H
#define HONE_GRAPH_INSIDE_H

#include "graph/content.h"

/* --- symbols.c --- */
hone_symbols *hone_symbols_new(void); /* NULL when out of memory */
hone_symbols *hone_symbols_retain(hone_symbols *s);
void hone_symbols_release(hone_symbols *s); /* NULL is fine */

/* --- graph.c --- */
/* An empty graph; with an owner, a subgraph of it: it shares its symbols, and what fails in it fails the outer graph,
 * too. NULL when out of memory. */
hone_graph *hone_graph_new_inside(const char *name, hone_graph *outer, hone_node *owner);
/* hone_reserve that remembers a failure. */
bool hone_graph_reserve(hone_graph *g, void *items, size_t *capacity, size_t need, size_t size);
/* A value of that name (a fresh one if it is taken or NULL), of unknown type. */
hone_value *hone_graph_make_value(hone_graph *g, const char *name, hone_storage storage);
/* Takes a value out of the graph that nothing uses any more. */
void hone_graph_drop_value(hone_graph *g, hone_value *v);
/* Room for `count` inputs of a node; false when out of memory (remembered). */
bool hone_node_reserve_inputs(hone_graph *g, hone_node *n, int count);
/* Remembers that a builder asked for what can't be. `text` NULL: out of memory. */
void hone_graph_fault(hone_graph *g, const char *text);
/* Notes and forgets that input `index` of a node is `v` (NULL: nothing to note). */
void hone_value_add_use(hone_graph *g, hone_value *v, hone_node *n, int index);
void hone_value_remove_use(hone_value *v, const hone_node *n, int index);

/* --- attr.c --- */
/* The attribute of that name, made or emptied; NULL when out of memory (remembered). */
hone_attr *hone_node_make_attr(hone_graph *g, hone_node *n, const char *name, hone_attr_type type);
/* Gives back the tensors and subgraphs of an attribute. */
void hone_attr_clear(hone_attr *a);

/* --- infer.c --- */
/* One inference. */
typedef struct hone_infer_walk {
    const hone_tensor *const *known;    /* see hone_graph_infer_types */
    const hone_content *const *content; /* what is known of captured values, by value id; NULL: nothing */
    int depth;                          /* how many graphs are around this one */
    hone_graph *naming;                 /* the graph, where unknown dimensions get symbols; else NULL */
    bool record;                        /* what is found in subgraphs is written into their values */
} hone_infer_walk;
/* hone_graph_infer_types for a graph at some depth. */
hone_status hone_graph_infer_inside(const hone_graph *g, hone_type *types, const hone_infer_walk *w,
                                    hone_error *err);
/* HONE_INVALID_ARGUMENT if a value is declared of another kind or element type than was found. */
hone_status hone_value_check_declared(const hone_value *v, const hone_type *found, hone_error *err);

/* --- copy.c --- */
/* The type, with the symbols and in the arena of dst. */
hone_type hone_type_import(hone_graph *dst, const hone_graph *src, const hone_type *type);
/* Fills `copy`, which is empty, with the inputs, captures, values, nodes and results of g. */
hone_status hone_graph_copy_into(hone_graph *copy, const hone_graph *g, hone_error *err);

#endif
