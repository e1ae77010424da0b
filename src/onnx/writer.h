/* One file while its messages are made. Private to this room. They live in the arena and point into the graph: names
 * and weights are not copied. */
#ifndef HONE_ONNX_WRITER_H
#define HONE_ONNX_WRITER_H

#include "onnx/message.h"

typedef struct hone_onnx_writer {
    hone_arena *arena;
    int last_suffix;    /* of names that had to become others */
    hone_opset *opsets; /* that the file imports */
    size_t opset_count, opset_capacity;
} hone_onnx_writer;

/* An empty message of that type; NULL: out of memory. */
void *hone_onnx_make(hone_onnx_writer *w, const ProtobufCMessageDescriptor *type);

/* --- write_opset.c --- */

/* The smallest operator sets that can say all nodes of `g`, whose types are inferred, and of its subgraphs. */
hone_status hone_onnx_choose_opsets(hone_onnx_writer *w, const hone_graph *g, hone_error *err);
int64_t hone_onnx_opset(const hone_onnx_writer *w, const char *domain);

/* --- write_graph.c --- */

hone_status hone_onnx_write_graph(hone_onnx_writer *w, const hone_graph *g, hone_graph_message **out,
                                  hone_error *err);

/* --- write_type.c --- */

/* NULL for a type that nothing is known of. `g` names symbols. */
hone_status hone_onnx_write_type(hone_onnx_writer *w, const hone_graph *g, const hone_type *type,
                                 hone_type_message **out, hone_error *err);

#endif
