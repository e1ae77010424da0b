/* A Hugging Face directory as a graph. */
#ifndef HONE_IMPORT_CONFIG_MODEL_H
#define HONE_IMPORT_CONFIG_MODEL_H

#include "graph/graph.h"

/* The model of config.json and model.safetensors for up to `context` tokens (0: as many as config.json says, at most
 * 131072). HONE_UNSUPPORTED and HONE_CORRUPT name the key or the tensor. On success `*out` belongs to the caller. */
hone_status hone_config_graph(const char *directory, int64_t context, hone_graph **out, hone_error *err);

#endif
