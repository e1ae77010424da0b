/* Fresh starts: the content of parameters, by the role that the descriptor of what reads them gives them. */
#ifndef HONE_TRAIN_PARAMETERS_H
#define HONE_TRAIN_PARAMETERS_H

#include "graph/graph.h"

/* Gives each constant that is marked `trainable` its first content, from the seed and its name alone:
 *
 *   scale, variance    1
 *   bias, mean         0, and so is what has one axis and no role
 *   table of rows      normal, deviation 0.02, and so is what has more axes and no role (a table of positions)
 *   else               uniform in ±1/sqrt(terms of the sum that an element of the output is)
 *
 * Means and variances are no longer marked afterwards. The graph's types are inferred. HONE_INVALID_ARGUMENT names
 * a parameter that nothing reads. */
hone_status hone_initialize_parameters(hone_graph *g, uint64_t seed, hone_error *err);

#endif
