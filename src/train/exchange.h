/* What processes that train together tell each other in each step (base/ranks.h): one sum of all gradients.
 *
 * Each computes the gradient of its part of the batch, weighed by how many samples it has; the sum is that of the batch, and
 * all do the same step. Means and variances that the network keeps become the mean of theirs. */
#ifndef HONE_TRAIN_EXCHANGE_H
#define HONE_TRAIN_EXCHANGE_H

#include "runtime/variables.h"

/* Replaces gradients (NULL: there is none) and what is bound to variables so far by what all ranks come to. */
void hone_exchange_add(hone_graph *g, hone_value **gradients, int count);
/* All ranks begin with what rank 0 has. */
hone_status hone_exchange_start(const hone_variables *v, hone_error *err);

#endif
