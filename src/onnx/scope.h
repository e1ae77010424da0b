/* One file while its graphs are built. Private to this room.
 *
 * A scope is where names mean something: a graph, a graph inside of a node, or a call of a function that the model
 * brings along. A call makes no graph of its own: the function's nodes become nodes of the caller's graph, named
 * after the call ("f/inner").
 *
 *      model's graph ◄── call f ◄── subgraph of a node of f        ◄── outer
 *
 * Names are looked up outwards; what a subgraph finds outside is captured, what a function finds outside is what the
 * call gives it. */
#ifndef HONE_ONNX_SCOPE_H
#define HONE_ONNX_SCOPE_H

#include "graph/names.h"
#include "onnx/message.h"

/* A name that a scope defines. */
typedef struct hone_definition {
    hone_value *value;             /* NULL: not there yet, or a function's input */
    const hone_node_message *node; /* which gives it; NULL: an initializer or an input */
    size_t parameter, result;      /* of a function: the number of its input or output, from 1; 0: neither */
    bool input, output;            /* listed as one already; output: of a call */
} hone_definition;

typedef struct hone_onnx_scope hone_onnx_scope;

/* What has become of a node message. Both NULL: a constant. */
typedef struct hone_made {
    hone_node *node;
    hone_onnx_scope *call;
} hone_made;

/* A node as the file has it: the form of its operator. */
typedef struct hone_record {
    hone_node *node;
    const hone_op_version *form;
} hone_record;

/* An output of a function that is one of its inputs, or an output already: an Identity. */
typedef struct hone_alias {
    hone_node *node;
    const char *name; /* in the function, of what goes in */
} hone_alias;

/* An output of the main graph, with the type that the file gives it. */
typedef struct hone_declared {
    hone_value *value;
    hone_type type;
} hone_declared;

typedef struct hone_reader {
    const hone_model_message *model;
    hone_nodes nodes; /* of the main graph, without those that nobody needs and Hone does not know */
    const hone_onnx_source *source;
    hone_arena *arena;
    int last_suffix;               /* of names that had to become others */
    hone_onnx_scope *first, *last; /* all scopes, outer ones before inner ones */
    hone_declared *declared;
    size_t declared_count;
    size_t inlined;    /* nodes that functions have given so far */
    size_t dense_left; /* bytes that sparse tensors may still take */
    bool parameters;   /* what is declared and given by nothing is a parameter (hone_onnx_read_architecture) */
} hone_reader;

struct hone_onnx_scope {
    hone_reader *r;
    hone_onnx_scope *outer; /* NULL: the model's graph */
    hone_onnx_scope *home;  /* the scope whose graph this one's nodes are in: itself, or that of the caller */
    hone_graph *g;
    const hone_graph_message *m;           /* NULL: a call */
    const hone_function_message *function; /* of a call */
    const hone_node_message *call;
    const char *prefix; /* of names: "f/" */
    hone_imports imports;
    hone_node_message **nodes;
    size_t node_count;
    hone_made *made;   /* of each node */
    hone_names *names; /* to definitions */
    hone_alias *aliases;
    size_t alias_count;
    int depth, graphs;    /* scopes and graphs around this one */
    hone_record *records; /* of a graph: its nodes, those of calls among them */
    size_t record_count, record_capacity;
    hone_onnx_scope *next;
};

/* --- scope.c --- */

/* The scope of a graph, or of a call (`function` not NULL). It belongs to the reader. HONE_UNSUPPORTED when nested too
 * deeply. */
hone_status hone_onnx_scope_of_graph(hone_reader *r, hone_onnx_scope *outer, hone_graph *g,
                                     const hone_graph_message *m, hone_onnx_scope **out, hone_error *err);
hone_status hone_onnx_scope_of_call(hone_onnx_scope *outer, const hone_node_message *call,
                                    const hone_function_message *function, hone_onnx_scope **out,
                                    hone_error *err);
void hone_onnx_scope_clear(hone_reader *r); /* all of them */

hone_definition *hone_onnx_scope_find(const hone_onnx_scope *s,
                                      const char *name); /* here; NULL: not defined here */
/* Defines a name, which must be new; HONE_CORRUPT names both sides otherwise. */
hone_status hone_onnx_scope_define(hone_onnx_scope *s, const char *name, const hone_node_message *node,
                                   hone_definition **out, hone_error *err);
/* What a name means that `node` (NULL: an output list) reads. NULL: "", or an input that a call leaves out. */
hone_status hone_onnx_scope_value(hone_onnx_scope *s, const char *name, const hone_node_message *node,
                                  hone_value **out, hone_error *err);
/* What a value or node that the scope calls `name` is called in the graph. NULL: out of memory (remembered). */
const char *hone_onnx_scope_name(const hone_onnx_scope *s, const char *name);
/* The attribute that counts: `m`, or what it refers to, in scope *s, which becomes the one where that is written.
 * NULL: an attribute that the call leaves out. */
const hone_attr_message *hone_onnx_scope_attr(const hone_onnx_scope **s, const hone_attr_message *m);
/* Is there a function around, whose attributes can be referred to? */
bool hone_onnx_scope_is_in_function(const hone_onnx_scope *s);
/* HONE_OK if `thing` is not NULL, else what the graph says. */
hone_status hone_onnx_scope_made(const hone_onnx_scope *s, const void *thing, hone_error *err);

/* --- build.c --- */

/* Everything of a graph, its subgraphs too. */
hone_status hone_onnx_scope_build(hone_onnx_scope *s, hone_error *err);
/* When types are inferred: what the file declares of outputs is taken where it says more; where it contradicts what is
 * computed, a warning is logged. */
void hone_onnx_scope_refine(hone_reader *r, const hone_graph *g);
/* Nodes and constants of a scope whose inputs are defined; they are connected later. */
hone_status hone_onnx_scope_make_nodes(hone_onnx_scope *s, hone_error *err);

/* --- function.c --- */

/* The nodes of the function that node `index` of `s` calls. */
hone_status hone_onnx_scope_make_call(hone_onnx_scope *s, size_t index, const hone_function_message *function,
                                      hone_error *err);

/* --- attr.c --- */

/* Checks a node's attributes against the table of its form and sets them; subgraphs stay empty. */
hone_status hone_onnx_scope_attrs(const hone_onnx_scope *s, hone_node *n, hone_node_message *m,
                                  const hone_attr_def *table, hone_error *err);
/* The value of a Constant node. */
hone_status hone_onnx_scope_constant(hone_onnx_scope *s, const hone_node_message *m, hone_tensor **out,
                                     hone_error *err);

/* --- sparse.c --- */

/* A sparse tensor as a dense one. */
hone_status hone_onnx_scope_sparse(hone_reader *r, const hone_sparse_message *m, hone_tensor **out,
                                   hone_error *err);

/* --- lift.c --- */

/* Older forms become the newest ones, in all graphs of the file, which are sorted. */
hone_status hone_onnx_scope_lift(hone_reader *r, hone_error *err);

#endif
