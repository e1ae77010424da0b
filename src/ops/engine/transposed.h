/* Transposed convolution: what an element of the image gets from all windows that see it.
 *
 *   Y[image, channel][i] = sum over positions o and taps t with o stride - pad + t dilation = i of
 *                          W[c, channel][t] X[image, c][o] over the channels c of the group, + bias[channel]
 *
 * Elements whose index leaves the same rest when divided by the stride, a phase, see the same taps. So each phase is a
 * convolution by some of the taps, a product of patches of X; the phases of a line are woven into it:
 *
 *   stride 2:   phase 0   a b c          Y   a A b B c
 *               phase 1   A B                                                                        */
#ifndef HONE_OPS_ENGINE_TRANSPOSED_H
#define HONE_OPS_ENGINE_TRANSPOSED_H

#include "graph/run.h"
#include "kernels/kernels.h"

typedef struct hone_transposed {
    hone_windows
        w; /* of the convolution that this is the transpose of: in is Y's extents, out X's; channels: Y's of a group */
    int64_t batch, groups, channels; /* of X: images, and channels of a group */
    int x, weights, bias; /* indices of inputs: X, W [groups * channels, w.channels, taps], bias or -1 */
} hone_transposed;

/* For `pack`: input `input`, the weights of a node whose windows have that stride, dilation and pad, in the form that
 * the phases want, if it is a constant. */
hone_status hone_transposed_pack(hone_packer *p, int input, const hone_transposed *t, hone_dtype dtype,
                                 hone_error *err);
/* For `prepare`: sets p up to run `t`, of float32 or float64. */
hone_status hone_transposed_prepare(hone_prepare *p, const hone_transposed *t, hone_error *err);

#endif
