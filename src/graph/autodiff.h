/* Reverse-mode differentiation: emits the gradient as nodes of the same graph. */
#ifndef HONE_GRAPH_AUTODIFF_H
#define HONE_GRAPH_AUTODIFF_H

#include "graph/op.h"

/* With f = sum over i of <outputs[i], cotangents[i]>, emits df/dwanted[j] and puts it into gradients[j]; NULL
 * where no path leads from wanted[j] to an output. Walks backwards only along those paths. The graph must be
 * sorted and its types inferred; the new nodes' types are not inferred. Cotangents and gradients of half-precision values
 * are float32. If operators on the way have no
 * gradient, all of them are listed in one HONE_UNSUPPORTED error and the graph is left as it was. */
hone_status hone_graph_differentiate(hone_graph *g, int output_count, hone_value *const *outputs,
                                     hone_value *const *cotangents, int wanted_count,
                                     hone_value *const *wanted, hone_value **gradients, hone_error *err);

/* For gradient rules: output `index` of the forward node, which it gives from now on if nobody has asked for it: a slot
 * that is optional, or saved for gradients. */
hone_value *hone_gradient_saved(hone_gradient *ctx, int index);
/* For gradient rules: `dy` summed over the axes that broadcasting gave it, so that it has the shape of
 * `like`. Returns `dy` itself where the inferred types are the same. `dy_like` is a forward value of dy's
 * shape. */
hone_value *hone_gradient_sum_to(hone_gradient *ctx, hone_value *dy, const hone_value *dy_like,
                                 hone_value *like);

#endif
