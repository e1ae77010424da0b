/* The graph: nodes, values and constant tensors, allocated from the graph's arena.
 *
 *      input ──► node ──► value ──► node ──► output          nodes: a list in topological order
 *                 ▲                                           values: know producer and uses
 *      constant ──┘                 binding: this output becomes that variable after the run
 *
 * Functions that add something return NULL when memory is out, and the graph then remembers it: a builder may
 * make many calls and ask once, with hone_graph_check(), so that building reads as what is built. NULL values
 * passed on to further calls are accepted in that state. */
#ifndef HONE_GRAPH_GRAPH_H
#define HONE_GRAPH_GRAPH_H

#include "base/error.h"
#include "base/memory.h"
#include "graph/tensor.h"

#include <hone/graph.h>

typedef struct hone_op hone_op; /* graph/op.h */
typedef struct hone_node hone_node;
typedef struct hone_value hone_value;
typedef struct hone_map hone_map; /* graph/map.h */

/* Where a value's data lives. */
typedef enum hone_storage {
    HONE_STORAGE_INTERMEDIATE, /* made by a node, gone after the run */
    HONE_STORAGE_INPUT,
    HONE_STORAGE_CONSTANT, /* `data`, the same for ever */
    HONE_STORAGE_VARIABLE, /* lives in a hone_variables store under the value's name; `data` is its first
                              content */
    HONE_STORAGE_CAPTURED  /* of a subgraph: stands for a value of the enclosing graph */
} hone_storage;

/* A value's type. dims: >= 0 a number; HONE_DIM_ANY unknown; <= -2 symbol number -2-dim of the graph.
 *
 *   tensor               dtype, rank, dims
 *   sequence, optional   element: what it holds; dtype: the tensors' inside
 *   map                  dtype: the keys'; element: the values' type */
typedef struct hone_type {
    hone_value_kind kind;
    hone_dtype dtype;
    int rank; /* HONE_RANK_ANY */
    int64_t dims[HONE_MAX_RANK];
    const struct hone_type *element; /* NULL: a tensor. In the graph's arena, or static */
} hone_type;

typedef struct hone_use {
    hone_node *node;
    int index; /* which input of it */
} hone_use;

struct hone_value {
    const char *name; /* unique in the graph, never empty */
    int id;           /* index in graph->values */
    hone_storage storage;
    hone_type type;
    hone_tensor *data; /* constants and variables; a reference of the graph's */
    hone_tensor *keys; /* of its columns, where it was maps (hone_graph_open_maps); a reference; NULL: none */
    hone_node *producer; /* NULL for inputs, constants, variables, captured values */
    int output_index;    /* of the producer */
    hone_use *uses;
    size_t use_count, use_capacity;
    bool trainable; /* variables of a training graph: the optimizer may write it */
};

/* Numbered as ONNX's AttributeProto.AttributeType; its sparse tensors become dense ones when they are read. */
typedef enum hone_attr_type {
    HONE_ATTR_NONE = 0,
    HONE_ATTR_FLOAT = 1,
    HONE_ATTR_INT = 2,
    HONE_ATTR_STRING = 3,
    HONE_ATTR_TENSOR = 4,
    HONE_ATTR_GRAPH = 5,
    HONE_ATTR_FLOATS = 6,
    HONE_ATTR_INTS = 7,
    HONE_ATTR_STRINGS = 8,
    HONE_ATTR_TENSORS = 9,
    HONE_ATTR_GRAPHS = 10,
    HONE_ATTR_TYPE = 13,
    HONE_ATTR_TYPES = 14
} hone_attr_type;

typedef struct hone_attr {
    const char *name;
    hone_attr_type type;
    float f;
    int64_t i;
    hone_string s; /* in the graph's arena, as those of the list are */
    size_t count;  /* of the lists below */
    const float *floats;
    const int64_t *ints;
    const hone_string *strings;
    hone_tensor **tensors;  /* TENSOR (one) and TENSORS: references of the graph's */
    hone_graph **graphs;    /* GRAPH (one) and GRAPHS: subgraphs, owned by this graph */
    const hone_type *types; /* TYPE (one) and TYPES */
} hone_attr;

struct hone_node {
    const char *name; /* may be empty */
    const hone_op *op;
    const hone_op *source; /* of what takes the place of a node: the operator that stood there; else NULL */
    hone_node *prev, *next;
    hone_value **inputs; /* NULL: an optional input left out */
    int input_count, input_capacity;
    int capture_first; /* the inputs from here on are captured by the node's subgraphs; input_count: none */
    hone_value **outputs; /* NULL: an output nobody wants */
    int output_count;
    hone_attr *attrs;
    int attr_count;
    hone_map *map;      /* compiled graphs: vector code of a fused node, or an epilogue over output 0 */
    int map_input;      /* the map's operands are the inputs from here on */
    int mark;           /* scratch of graph walks */
};

/* What makes shares of the logits that a network ends in. */
typedef enum hone_link { HONE_LINK_NONE, HONE_LINK_SOFTMAX /* along the last axis */, HONE_LINK_SIGMOID } hone_link;

typedef struct hone_binding {
    hone_value *source, *variable; /* after a run, source becomes variable */
} hone_binding;

/* The names of symbolic dimensions: one table for a graph and all that is nested in it. */
typedef struct hone_symbols {
    const char **names;
    size_t count, capacity;
    int references;
} hone_symbols;

/* The operator set of a domain ("": ONNX's). */
typedef struct hone_opset {
    const char *domain;
    int64_t version;
} hone_opset;

typedef struct hone_metadata {
    const char *key, *value;
} hone_metadata;

struct hone_graph {
    hone_arena *arena;
    bool failed;       /* an allocation failed while building */
    const char *fault; /* what a builder asked for and can't have; NULL: nothing */
    const char *name, *doc;
    hone_node *first, *last;
    size_t node_count;
    hone_node *insert_before; /* new nodes go before this one; NULL: at the end */
    const hone_node *stands_for; /* new nodes take this one's place, and its name; NULL: nobody's */
    hone_value **values;         /* all of them; removed ones are NULL */
    size_t value_count, value_capacity;
    hone_value **inputs, **outputs;
    size_t input_count, output_count, input_capacity, output_capacity;
    hone_binding *bindings;
    size_t binding_count, binding_capacity;
    hone_symbols *symbols;
    hone_graph *outer;     /* a subgraph's: the graph around it … */
    hone_node *owner;      /* … and the node there that has it as an attribute; NULL: no subgraph */
    hone_value **captures; /* a subgraph's: captures[k] stands for owner->inputs[owner->capture_first + k];
                              NULL: not used here */
    size_t capture_count, capture_capacity;
    hone_metadata *metadata;
    size_t metadata_count, metadata_capacity;
    hone_link link; /* of a signature: what its first output's link was */
    void *names;    /* name → value */
    int next_name;
    bool names_dims;    /* inference gives fresh symbols to dimensions that nobody knows */
    hone_opset *opsets; /* of the file it was read from */
    size_t opset_count, opset_capacity;
};

/* The content of a constant; NULL: not a constant, or one that is there packed only. */
static inline const hone_tensor *hone_value_constant(const hone_value *v) {
    return v && v->storage == HONE_STORAGE_CONSTANT && v->data->data ? v->data : NULL;
}

hone_graph *hone_graph_new(const char *name); /* NULL when out of memory */
/* HONE_OK, or HONE_OUT_OF_MEMORY if any building call on the graph or in a subgraph failed; HONE_INTERNAL names an
 * operator that was asked for and does not exist. */
hone_status hone_graph_check(const hone_graph *g, hone_error *err);
/* Makes hone_graph_check() of this graph and of those around it fail: for code that builds. */
void hone_graph_out_of_memory(hone_graph *g);
/* The version of a domain's operator set that the graph's file had; 0: none. */
int64_t hone_graph_opset(const hone_graph *g, const char *domain);
void hone_graph_set_opset(hone_graph *g, const char *domain, int64_t version);

/* --- values --- */

/* A symbolic dimension of that name (the same number for the same name). */
int64_t hone_graph_symbol(hone_graph *g, const char *name);
/* One that no other dimension has, under a name that no file gives, and whether a dimension is of that kind.
 * HONE_DIM_ANY when memory is out. */
int64_t hone_graph_fresh_symbol(hone_graph *g);
bool hone_graph_is_fresh(const hone_graph *g, int64_t dim);
/* Each makes a value of that name; a taken or NULL name gets a fresh one made from it. */
hone_value *hone_graph_add_input(hone_graph *g, const char *name, const hone_type *type);
hone_value *hone_graph_add_constant(hone_graph *g, const char *name,
                                    hone_tensor *data); /* takes a reference of its own */
hone_value *hone_graph_add_variable(hone_graph *g, const char *name, hone_tensor *data);
hone_value *hone_graph_add_value(hone_graph *g, const char *name); /* intermediate, of unknown type */
void hone_graph_add_output(hone_graph *g, hone_value *v);
/* After each run `source` becomes `variable`. Both of the same type. */
void hone_graph_bind(hone_graph *g, hone_value *source, hone_value *variable);
hone_value *hone_graph_find(const hone_graph *g, const char *name);  /* NULL if there is none */
bool hone_graph_is_output(const hone_graph *g, const hone_value *v); /* also: is a binding's source */
/* Gives a value another name; the value that had it gets a fresh one. */
void hone_graph_rename(hone_graph *g, hone_value *v, const char *name);

/* Constants for builders. */
hone_value *hone_graph_scalar(hone_graph *g, hone_dtype dtype, double x); /* of a numeric dtype, or bool */
hone_value *hone_graph_ints(hone_graph *g, const int64_t *x, int64_t n);  /* int64[n] */
hone_value *hone_graph_floats(hone_graph *g, const float *x, int64_t n);  /* float32[n] */

/* --- nodes --- */

/* What errors call the node's operator: where that is one of Hone's own, the one that it stands for. */
const char *hone_node_op_name(const hone_node *n);
/* A node before g->insert_before, with `output_count` fresh outputs named after the node. `op` NULL is
 * remembered as an internal error. Inputs may be NULL (left out); trailing ones are dropped. */
hone_node *hone_graph_add_node(hone_graph *g, const hone_op *op, const char *name, int input_count,
                               hone_value *const *inputs, int output_count);
/* The builder's short form: operator by domain ("" is ONNX's) and name, inputs up to a NULL, one output,
 * which is returned (the node is its producer). */
hone_value *hone_graph_emit(hone_graph *g, const char *domain, const char *op, hone_value *const *inputs,
                            int input_count);
#define HONE_EMIT(g, domain, op, ...)                                                                        \
    hone_graph_emit(g, domain, op, (hone_value *[]){__VA_ARGS__},                                            \
                    (int)(sizeof((hone_value *[]){__VA_ARGS__}) / sizeof(hone_value *)))
/* Output `index` of a node; a fresh one, of unknown type, if it gave none there. */
hone_value *hone_node_ask_output(hone_graph *g, hone_node *n, int index);
/* Replaces input `index` (may be the count: appends), keeping the uses right. */
void hone_node_set_input(hone_graph *g, hone_node *n, int index, hone_value *v);
/* All users of `old`, graph outputs and bindings too, use `v` from now on. A graph output keeps its name; a value whose
 * type nobody knows yet has that of `old`. */
void hone_graph_replace(hone_graph *g, hone_value *old, hone_value *v);
/* The most inputs and the most outputs that a node has: how wide scratch arrays must be. */
void hone_graph_widest(const hone_graph *g, int *inputs, int *outputs);
/* Removes a node whose outputs nobody uses; its outputs go with it. */
void hone_graph_remove_node(hone_graph *g, hone_node *n);
/* Removes a constant that nobody uses; any other value stays. NULL is fine. */
void hone_graph_drop_unused(hone_graph *g, hone_value *v);
/* Takes an input away that nobody uses and that is no output. */
void hone_graph_remove_input(hone_graph *g, hone_value *v);
/* Removes all nodes that lead to no output and no binding, and constants and variables without uses
 * (variables that are a binding's target stay); in subgraphs, too, and what they no longer capture. */
void hone_graph_prune(hone_graph *g);
/* Puts the nodes in topological order, those of subgraphs, too: makers that come too late move before the first node
 * that needs them, all else stays where it is. HONE_CORRUPT names a node on a cycle and leaves the order of its graph
 * as it was. */
hone_status hone_graph_sort(hone_graph *g, hone_error *err);

/* --- subgraphs --- the branches of a condition, the body of a loop: attributes of their node
 *
 *      node       inputs:   cond │ x   w      capture_first = 1
 *      branch A   captures:        x'  w'     captures[k] stands for inputs[capture_first + k] of the node
 *      branch B   captures:        x'  –      NULL: not used here
 *
 * What a subgraph uses of the graph around it is an input of its node, after the node's own inputs. Uses, order,
 * lifetimes, pruning and copying then need no rule for subgraphs. A graph that is nested deeper captures through each
 * level. Subgraphs have no variables and no bindings; they share the symbols of the graph around them. */

/* A new, empty subgraph as attribute `name` of the node, in the place of one that was there. */
hone_graph *hone_node_add_graph(hone_graph *g, hone_node *n, const char *name);
/* As many as `count`, as one attribute of kind GRAPHS. */
hone_graph *const *hone_node_add_graphs(hone_graph *g, hone_node *n, const char *name, size_t count);
hone_graph *hone_node_graph(const hone_node *n, const char *name); /* of kind GRAPH; NULL: none */
/* The node's subgraphs, those of all attributes: index 0, 1, … until NULL. */
hone_graph *hone_node_subgraph(const hone_node *n, int index);
/* What stands in `sub` for `v`, a value of one of the graphs around it (or of itself); captured through each level
 * where it is not yet. It gets v's name if that is free. */
hone_value *hone_graph_capture(hone_graph *sub, hone_value *v);
/* The step of it for one level: which k inputs[capture_first + k] of the node is `v`, a value of its own graph g;
 * appended if need be. -1: out of memory (remembered). */
int hone_node_capture(hone_graph *g, hone_node *n, hone_value *v);
/* Attribute `name` of `from`, a subgraph, becomes one of `to`, a node of g: a graph inside of from's. What it captured of from
 * are to's captured inputs, one for one. */
void hone_node_move_graph(hone_graph *g, hone_node *to, hone_node *from, const char *name);
/* Makes captures[k] of a subgraph, which is NULL until then; its type is taken from the node's input. */
hone_value *hone_graph_add_capture(hone_graph *sub, int k, const char *name);
/* Captured values that no subgraph of the node uses are no inputs of it any more. */
void hone_node_drop_captures(hone_graph *g, hone_node *n);

/* --- attributes --- a node's own, else the default of its operator's table, else 0 / NULL */
const hone_attr *hone_node_attr(const hone_node *n, const char *name); /* its own, else NULL */
int64_t hone_node_int(const hone_node *n, const char *name);
float hone_node_float(const hone_node *n, const char *name);
const char *hone_node_string(const hone_node *n, const char *name);    /* text; any bytes: hone_node_attr */
hone_tensor *hone_node_tensor(const hone_node *n, const char *name);   /* borrowed; NULL if absent */
const hone_type *hone_node_type(const hone_node *n, const char *name); /* likewise */
/* `*count` becomes 0 if absent. */
const int64_t *hone_node_ints(const hone_node *n, const char *name, size_t *count);
void hone_node_set_int(hone_graph *g, hone_node *n, const char *name, int64_t x);
void hone_node_set_float(hone_graph *g, hone_node *n, const char *name, float x);
void hone_node_set_string(hone_graph *g, hone_node *n, const char *name, const char *x);
void hone_node_set_bytes(hone_graph *g, hone_node *n, const char *name, const void *x,
                         size_t size); /* a string */
void hone_node_set_ints(hone_graph *g, hone_node *n, const char *name, const int64_t *x, size_t count);
void hone_node_set_tensor(hone_graph *g, hone_node *n, const char *name, hone_tensor *t); /* own reference */
void hone_node_set_tensors(hone_graph *g, hone_node *n, const char *name, hone_tensor *const *t,
                           size_t count);
void hone_node_set_type(hone_graph *g, hone_node *n, const char *name, const hone_type *type); /* copied */
void hone_node_set_types(hone_graph *g, hone_node *n, const char *name, const hone_type *types, size_t count);
void hone_node_set_floats(hone_graph *g, hone_node *n, const char *name, const float *x, size_t count);
void hone_node_set_strings(hone_graph *g, hone_node *n, const char *name, const hone_string *x, size_t count);
/* Takes attribute `index` of the node's own away. */
void hone_node_drop_attr(hone_node *n, int index);
/* Copies all attributes of `from` (of any graph), sharing tensors. Subgraphs are copied with their captures, so `to`
 * must get the captured inputs, too. */
void hone_node_copy_attrs(hone_graph *g, hone_node *to, const hone_node *from);

/* --- maps --- */

/* Outputs that are maps made of the rows of a matrix (hone_op.row_keys), and that no node reads, become that matrix; their
 * values have the keys. */
hone_status hone_graph_open_maps(hone_graph *g, hone_error *err);

/* --- copies --- */

/* Each becomes what the other one was. Neither is a subgraph. */
void hone_graph_swap(hone_graph *a, hone_graph *b);
/* The graph's inputs, outputs and texts, without nodes, constants and variables. */
/* What the first output is made of logits by, and these (NULL: nobody asks); HONE_LINK_NONE: it is none of it. */
hone_link hone_graph_link(const hone_graph *g, hone_value **logits);
hone_status hone_graph_copy_signature(const hone_graph *g, hone_graph **out, hone_error *err);

/* A graph of what gives `outputs`, and of nothing else: its outputs, in order. `g` is sorted. On success `*out` belongs
 * to the caller. */
hone_status hone_graph_extract(const hone_graph *g, hone_value *const *outputs, size_t count,
                               hone_graph **out, hone_error *err);
/* Copies `src`'s nodes, in any order, constants and variables into `dst`. `map[id]` (of src->value_count) says
 * which value of dst stands for a value of src; entries already set are kept (so inputs can be wired; captured values
 * must be), the others are filled. Names are kept where free; `prefix` (may be NULL) goes before each. */
hone_status hone_graph_append(hone_graph *dst, const hone_graph *src, const char *prefix, hone_value **map,
                              hone_error *err);

#endif
