/* Numbers that quantize badly become such that do so well, with a model that computes the same. */
#ifndef HONE_COMPRESS_EQUALIZE_H
#define HONE_COMPRESS_EQUALIZE_H

#include "graph/graph.h"

#include <hone/compress.h>

/* Cross-layer equalization (Nagel et al. 2019, arXiv 1906.04721): what gives a channel and what reads it get weights of the
 * same range, so that one scale does for all channels of a weight. *groups: sets of channels that changed. The graph's types
 * are inferred. */
hone_status hone_equalize(hone_graph *g, int64_t *groups, hone_error *err);

/* SmoothQuant (Xiao et al. 2022, arXiv 2211.10438): channels of activations become smaller where they are large, and the
 * weights that read them larger, by max|x|^alpha / max|w|^(1 - alpha). Where nothing before can take that over, a product
 * of matrices gets a Mul in front. `samples` of the data (0: all), whose columns feed the inputs as `task` says, tell how
 * large activations are. */
hone_status hone_smooth(hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                        int64_t *groups, hone_error *err);

#endif
