/* Weights that become zero and stay so while the others are tuned. */
#ifndef HONE_COMPRESS_SPARSIFY_H
#define HONE_COMPRESS_SPARSIFY_H

#include "graph/graph.h"

#include <hone/compress.h>

/* Does pruning look at it? Trainable, of rank 2 and more: no biases. */
bool hone_is_prunable(const hone_graph *g, const hone_value *v);
/* Sets weights of `g` to zero as the options say and fine-tunes it; `original` teaches, where they ask for it. */
hone_status hone_sparsify(hone_graph *g, const hone_graph *original, const hone_dataset *data,
                          const hone_prune_options *o, hone_error *err);
/* The options' training of `g`, with `original` for a teacher where they ask for it and the objective knows one. */
hone_status hone_finetune_options(const hone_graph *g, const hone_graph *original,
                                  const hone_train_options *o, bool distill, hone_train_options *out,
                                  hone_error *err);

#endif
