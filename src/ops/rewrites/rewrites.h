/* The rewrites, each in the file of its family; rewrites.c has the list in the order in which they run. */
#ifndef HONE_OPS_REWRITES_REWRITES_H
#define HONE_OPS_REWRITES_REWRITES_H

#include "graph/rewrite.h"

hone_status hone_rewrite_fuse_elementwise(hone_graph *g, int *changes, hone_error *err);
hone_status hone_rewrite_fuse_epilogue(hone_graph *g, int *changes, hone_error *err);
hone_status hone_rewrite_fold_affine(hone_graph *g, int *changes, hone_error *err);
hone_status hone_rewrite_lower_lookups(hone_graph *g, int *changes, hone_error *err);
hone_status hone_rewrite_lower_quantized(hone_graph *g, int *changes, hone_error *err);

#endif
