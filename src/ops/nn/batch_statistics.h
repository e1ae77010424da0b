/* What BatchNormalization shares with the statistics of a batch. */
#ifndef HONE_OPS_NN_BATCH_STATISTICS_H
#define HONE_OPS_NN_BATCH_STATISTICS_H

#include "graph/graph.h"

/* A number for each channel, [C], as it stands against X of that rank: [C, 1, …]. */
hone_value *hone_batch_spread(hone_graph *g, hone_value *v, int rank);

#endif
