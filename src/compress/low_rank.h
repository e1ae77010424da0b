/* Layers become two thinner ones. */
#ifndef HONE_COMPRESS_LOW_RANK_H
#define HONE_COMPRESS_LOW_RANK_H

#include "graph/graph.h"

#include <hone/compress.h>

/* Splits layers y = x W [terms, channels] into (x A) B, A [terms, r], B [r, channels], until at least `share` of the model's
 * multiply-adds is gone. B's rows are the r directions in which y varies most on the data (of which the options' task tells
 * the columns; NULL: those of W's largest singular values), so that no other factors of that rank are nearer to y; r is less where that costs least of a
 * layer's y for a multiply-add that is saved. *split: layers. HONE_UNSUPPORTED: there is nothing to split, or not so much. */
hone_status hone_low_rank(hone_graph *g, const hone_dataset *data, const hone_task *task, int threads,
                          double share, int64_t *split, hone_error *err);

#endif
