/* Stochastic depth: residual branches that are left out of some samples while training. */
#ifndef HONE_TRAIN_DEPTH_H
#define HONE_TRAIN_DEPTH_H

#include "graph/graph.h"

/* Multiplies the branch of each residual addition by 0 or 1 / (1 - p), drawn for each sample, where p rises from addition
 * to addition up to `most`; 0: nothing is done. A branch is what an Add adds to a value that it is made of by operators with weights.
 * The graph is sorted and of inferred types. HONE_INVALID_ARGUMENT: it has no such branch. */
hone_status hone_drop_branches(hone_graph *g, double most, hone_error *err);

#endif
