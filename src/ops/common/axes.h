/* Axis links that many operators share. */
#ifndef HONE_OPS_COMMON_AXES_H
#define HONE_OPS_COMMON_AXES_H

#include "graph/op.h"

/* Appends a link; memory that runs out is remembered by the list. */
void hone_axes_add(hone_axes *a, hone_axis_link link);
/* in[axis] of input `input` runs along axis `output_axis` of output 0. */
void hone_axes_same(hone_axes *a, int input, int axis, int output_axis);
/* Axes of two inputs are summed over together. */
void hone_axes_contract(hone_axes *a, int input, int axis, int input2, int axis2);
/* Every input axis runs along the output axis that broadcasting aligns it with; broadcast ones (1) have no
 * link. */
void hone_axes_broadcast(const hone_node *node, hone_axes *out);

#endif
