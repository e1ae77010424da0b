/* Images with their channels as the last axis, [N, spatial axes ..., C] in place of [N, C, spatial axes ...]:
 * a position's channels are neighbours then, so convolutions are products whose rows are positions. Nothing
 * but the order of axes tells that a tensor lies so. Axis numbers and lists of a node go from one order to
 * the other by these functions. */
#ifndef HONE_OPS_COMMON_CHANNELS_LAST_H
#define HONE_OPS_COMMON_CHANNELS_LAST_H

#include "graph/op.h"

/* Axis `axis` (from the end where negative) of a tensor of that rank, when its channels are last. */
int hone_last_axis(int axis, int rank);
/* The same tensor in either order; rank 3 at least. */
hone_type hone_type_channels_last(const hone_type *t);
hone_type hone_type_channels_first(const hone_type *t);

/* Permutations for Transpose: to channels last, and back. */
void hone_perm_to_last(int rank, int64_t *perm);
void hone_perm_to_first(int rank, int64_t *perm);
/* v in the other order: what it is the Transpose of, or what a Transpose gives, one that there is, behind
 * g->insert_before maybe, or a new one before it. */
hone_value *hone_value_channels_last(hone_graph *g, hone_value *v);
hone_value *hone_value_channels_first(hone_graph *g, hone_value *v);
/* What v is the Transpose of, if that has its channels last and v has them first; else NULL. */
hone_value *hone_value_last_source(const hone_value *v);

/* A copy of the node's operator on other inputs, with its attributes. */
hone_value *hone_last_copy(hone_channels_last *ctx, int count, hone_value *const *inputs);

/* --- forms that many operators have in common: for hone_op.channels_last --- */

/* Attribute "axis" counts axes; all inputs are images. */
hone_value *hone_last_by_axis(hone_channels_last *ctx);
/* Input 0 is the image; input `axes` is a constant list of axes, or left out, which stands for the first
 * `left_out` of them. */
hone_value *hone_last_by_axes(hone_channels_last *ctx, int axes, int64_t left_out);

#endif
