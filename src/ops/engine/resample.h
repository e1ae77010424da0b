/* Sums that are said axis by axis: each position of y along an axis is a weighted sum of positions of x along it.
 * Interpolation, and the gradients of all moves that are said so: those are transposed.
 *
 *   [outer, n, inner] ─► [outer, m, inner]      one axis after the other, those first that shrink most
 */
#ifndef HONE_OPS_ENGINE_RESAMPLE_H
#define HONE_OPS_ENGINE_RESAMPLE_H

#include "graph/run.h"

/* What the positions of an axis are sums of: position i of weight[t] * x[from[t]], t in [start[i], start[i+1]). */
typedef struct hone_taps {
    int64_t count;  /* positions of y */
    int64_t *start; /* [count + 1] */
    int64_t *from;
    double *weight;
} hone_taps;

/* Room for `taps` taps in all, `start` being zero; NULL when out of memory. All memory is the plan's. */
hone_taps *hone_taps_new(hone_prepare *p, int64_t count, int64_t taps);
/* A tap of weight 1 for each position, none where from[i] is negative. */
hone_taps *hone_taps_of(hone_prepare *p, const int64_t *from, int64_t count);
/* The other way round, for an axis of n positions in x. */
hone_taps *hone_taps_transposed(hone_prepare *p, const hone_taps *t, int64_t n);

typedef struct hone_resample hone_resample;
/* From x to y, of the same rank and of one dtype: a number of whole bytes. Floats are computed in their own type, halves
 * and integers of up to 16 bits in float32, larger ones in float64; integers are rounded to nearest, ties to even, and
 * held at the ends of their range. taps[d] NULL: the axis stays as it is. Positions without taps become `fill`. Sets
 * p->scratch. */
hone_status hone_resample_make(hone_prepare *p, const hone_type *x, const hone_type *y,
                               const hone_taps *const *taps, double fill, hone_resample **out,
                               hone_error *err);
/* `scratch` is that of the step. */
void hone_resample_run(const hone_resample *q, const hone_frame *frame, const void *x, void *y,
                       void *scratch);

#endif
