/* Folds over axes: sums, means, products, the largest, the smallest. One plan serves them all:
 *
 *   kept axes | reduced axes | …      neighbours of a kind merged, so kinds alternate
 *   last group reduced                each output folds contiguous runs
 *   last group kept                   strips of columns are folded row by row
 *
 * The order of operations depends on the shape alone. */
#ifndef HONE_OPS_ENGINE_REDUCE_H
#define HONE_OPS_ENGINE_REDUCE_H

#include "graph/op.h"
#include "kernels/kernels.h"

/* Folds input 0, of type `x` (float32, or what hone_folding_of has), over the axes in `mask`, HONE_MAX_RANK
 * truth values, into output 0. `mean`: what a sum makes is divided by how many it is of. */
hone_status hone_reduce_prepare(hone_prepare *p, const hone_type *x, const bool *mask, hone_fold fold,
                                bool mean, hone_error *err);

#endif
