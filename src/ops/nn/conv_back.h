/* Convolutions of images with their channels last, backward. Along an axis the elements of X whose index, the pad before them
 * counted, leaves the rest r when divided by the stride are phase r: the positions that see them do so with the same taps, r,
 * r + stride, …
 *
 *   x[q stride + r - pad]  gets  the sum over j of  dy[q - j] w[r + j stride]
 *
 * so a phase is a convolution of dY by stride 1. With stride 1 there is one phase, and taps may be dilated. */
#ifndef HONE_OPS_NN_CONV_BACK_H
#define HONE_OPS_NN_CONV_BACK_H

#include "kernels/image.h"

#define HONE_BACK_PHASES 8 /* the largest stride */

/* A phase of an axis: `count` elements of x from `first` on, a stride apart; of the taps a = 0 … taps - 1, last tap first,
 * element i sees position from + i + a * step, by tap last - a * tap_step of the window. */
typedef struct hone_back_phase {
    int64_t first, count, taps, from, last;
} hone_back_phase;

typedef struct hone_back_axis {
    int64_t stride, step, tap_step;
    int64_t first, low,
        high; /* q is in [first, high), and positions seen in [low, high), also such that are not there */
    hone_back_phase phase[HONE_BACK_PHASES];
} hone_back_axis;

/* Of axis `axis` of w, stride <= HONE_BACK_PHASES, and 1 where taps are dilated. */
hone_back_axis hone_back_axis_of(const hone_windows *w, int axis);
/* Can it be said so? */
bool hone_back_takes(const hone_windows *w);

#endif
