/* Training of adapters (graph/adapter.h) in place of weights. */
#ifndef HONE_TRAIN_ADAPT_H
#define HONE_TRAIN_ADAPT_H

#include "graph/graph.h"

#include <hone/train.h>

/* A copy of the graph with an adapter of o->lora_rank; `o` is to train that, and what o->train names, alone from then on: its
 * patterns come from the copy's arena. HONE_INVALID_ARGUMENT: there is nothing to adapt. On success `*out` belongs to the
 * caller. */
hone_status hone_adapt(const hone_graph *g, hone_train_options *o, hone_graph **out, hone_error *err);
/* `g` becomes what was trained of it, merged where that can be unless it is to stay apart. On failure it is as it was. */
hone_status hone_adapted(hone_graph *g, hone_graph *trained, const hone_train_options *o, hone_error *err);

#endif
