/* Shape and type inference, and the arithmetic of types that descriptors use for it. */
#ifndef HONE_GRAPH_INFER_H
#define HONE_GRAPH_INFER_H

#include "graph/op.h"

/* Infers all values of a sorted graph, symbols included, and checks declared output types against what was
 * found. */
hone_status hone_graph_infer(hone_graph *g, hone_error *err);
/* As hone_graph_infer, but into `types` (one for each value id), whose entries of graph inputs and captured values are
 * set by the caller (concrete shapes); the graph is left alone. `known` (may be NULL) has the content of inputs that are known, by value
 * id, else NULL. */
hone_status hone_graph_infer_types(const hone_graph *g, hone_type *types, const hone_tensor *const *known,
                                   hone_error *err);

/* What inference of one node reads and fills; arrays as long as the node's inputs and outputs. */
typedef struct hone_infer_room {
    const hone_type **in;         /* NULL: left out */
    const hone_tensor **constant; /* content that is known, else NULL */
    const hone_content **content; /* what is known of small integers, else NULL */
    hone_type *out;
    int depth; /* see hone_infer */
    bool record;
} hone_infer_room;
/* Room for the widest node of `g`, in one block: hone_free(room->in). */
hone_status hone_infer_room_make(const hone_graph *g, hone_infer_room *room, hone_error *err);
/* Infers the outputs of one node: checks arity, kinds and dtypes against the operator's slots, presets out[i] from the
 * slots' letters and calls the descriptor. Errors name the node. */
hone_status hone_node_infer(const hone_node *n, const hone_infer_room *room, hone_error *err);
/* Of outputs inferred from concrete inputs: HONE_INVALID_ARGUMENT naming the node where the shape of one that
 * is wanted is not known, nor told by the run. */
hone_status hone_node_check_shapes(const hone_node *n, const hone_type *out, hone_error *err);
/* As hone_graph_infer for one node of a graph whose other values have their types. */
hone_status hone_graph_infer_node(hone_graph *g, hone_node *n, hone_error *err);
/* What `infer` and other hooks get, for that room. */
hone_infer hone_infer_context(const hone_node *n, const hone_infer_room *room);
/* The types that a subgraph of ctx->node gives to its outputs, given those of its inputs; what it captures is taken
 * from ctx. `out` has an entry for each output of the subgraph. */
hone_status hone_infer_subgraph(const hone_infer *ctx, hone_graph *sub, const hone_type *in, hone_type *out,
                                hone_error *err);

/* --- types --- */

/* The type of a tensor, or of what holds tensors. */
hone_type hone_type_of(const hone_tensor *t);
/* May the tensor stand where that type is declared? Unknown dimensions take any. */
bool hone_type_takes(const hone_type *type, const hone_tensor *t);
/* A tensor of unknown shape; static. */
const hone_type *hone_type_any(hone_dtype dtype);
/* A sequence of such; static. */
const hone_type *hone_type_any_sequence(hone_dtype dtype);
bool hone_type_equal(const hone_type *a, const hone_type *b);
/* Makes `a` say only what holds for `b`, too: dimensions that differ become unknown. False if no type says both. */
bool hone_type_join(hone_type *a, const hone_type *b);
hone_type hone_type_make(hone_dtype dtype, int rank, const int64_t *dims);
/* Are rank and every dimension known? What holds items is one element: in a run it is a `hone_tensor *`. */
bool hone_type_is_concrete(const hone_type *t);
int64_t hone_type_count(const hone_type *t); /* elements of a concrete type; INT64_MAX if they are more */
/* Bytes of a concrete tensor type: elements of less than a byte share one. SIZE_MAX if they are more, or the
 * dtype has no size. */
size_t hone_type_bytes(const hone_type *t);
/* "float32[batch, 10]" (symbols named when `g` is given), "seq(float32[…])", "map(int64, float32[])". Returns `text`. */
const char *hone_type_format(const hone_graph *g, const hone_type *t, char *text, size_t size);
/* NumPy broadcasting of two shapes into out's; HONE_INVALID_ARGUMENT if they don't fit. */
hone_status hone_infer_broadcast(const hone_infer *ctx, const hone_type *a, const hone_type *b,
                                 hone_type *out, hone_error *err);
/* HONE_INVALID_ARGUMENT if input `index` is there and known not to have exactly one element. */
hone_status hone_infer_one_element(const hone_infer *ctx, int index, hone_error *err);
/* Two dimensions that must be equal: the one that says more; HONE_INVALID_ARGUMENT if they differ. */
hone_status hone_infer_same_dim(const hone_infer *ctx, int64_t a, int64_t b, int64_t *out, hone_error *err);
/* An axis attribute in [-rank, rank) (or rank itself when `inclusive`) as one in [0, rank]. */
hone_status hone_infer_axis(const hone_infer *ctx, int64_t axis, int rank, bool inclusive, int *out,
                            hone_error *err);
/* What is known of the elements of input i: false if nothing is, or it was left out. */
bool hone_infer_items(const hone_infer *ctx, int i, hone_content *out);
/* out[0] = in[0]'s shape: for operators that keep it. */
hone_status hone_infer_same(hone_infer *ctx, hone_error *err);
/* out[0] = the shape of input i. */
hone_status hone_infer_as_input(hone_infer *ctx, int i);
/* out[0] = the broadcast of all inputs. */
hone_status hone_infer_elementwise(hone_infer *ctx, hone_error *err);
/* HONE_INVALID_ARGUMENT naming the node. */
hone_status hone_infer_fail(const hone_infer *ctx, hone_error *err, const char *format, ...)
    HONE_PRINTF(3, 4);

#endif
