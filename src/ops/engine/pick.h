/* Moves that are said axis by axis: each position of y along an axis comes from one along the same axis of x, or from
 * nowhere.
 *
 *   y[i0, …, ir] = x[from[0][i0], …, from[r][ir]], or the filling where one of them is negative
 *
 * Padding, repeating, nearest resizing. Inner axes that are taken as they are make one run with what is outside of them. */
#ifndef HONE_OPS_ENGINE_PICK_H
#define HONE_OPS_ENGINE_PICK_H

#include "graph/run.h"

typedef struct hone_pick hone_pick;

/* Makes a move from x to y, of the same rank; from[d] has y->dims[d] entries and is the plan's, NULL: the axis is taken as
 * it is. Memory is the plan's. */
hone_status hone_pick_make(hone_prepare *p, const hone_type *x, const hone_type *y, int64_t *const *from,
                           hone_pick **out, hone_error *err);
/* `fill` is one element (bits of a packed one in its lowest); NULL: zero. */
void hone_pick_run(const hone_pick *q, const hone_frame *frame, const void *x, const void *fill, void *y);

#endif
