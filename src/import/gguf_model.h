/* A GGUF file's keys as the description of a decoder. */
#ifndef HONE_IMPORT_GGUF_MODEL_H
#define HONE_IMPORT_GGUF_MODEL_H

#include "graph/graph.h"
#include "import/gguf.h"

/* The model as a graph for up to `context` tokens (0: as many as the file says, at most 131072). On success `*out`
 * belongs to the caller. */
hone_status hone_gguf_graph(const hone_gguf *g, int64_t context, hone_graph **out, hone_error *err);

#endif
