/* Windows over images, as convolutions and poolings state them: kernel_shape, strides, dilations, pads, auto_pad, ceil_mode.
 * Images are [N, C, spatial axes …], one to three of these. */
#ifndef HONE_OPS_ENGINE_WINDOW_H
#define HONE_OPS_ENGINE_WINDOW_H

#include "graph/op.h"
#include "kernels/image.h"

#define HONE_WINDOW_AXES 3

typedef enum hone_auto_pad {
    HONE_PAD_GIVEN, /* NOTSET: by `pads` */
    HONE_PAD_SAME_UPPER, /* so much that there are size / stride positions, rounded up; one more behind than before */
    HONE_PAD_SAME_LOWER, /* one more before than behind */
    HONE_PAD_VALID       /* none */
} hone_auto_pad;

/* By spatial axes. kernel: HONE_DIM_ANY while not known. */
typedef struct hone_window {
    int axes;
    int64_t kernel[HONE_WINDOW_AXES], stride[HONE_WINDOW_AXES], dilation[HONE_WINDOW_AXES];
    int64_t pad[HONE_WINDOW_AXES], end[HONE_WINDOW_AXES]; /* before and behind */
    hone_auto_pad auto_pad;
    bool ceil;
} hone_window;

/* The attributes of a node for images of that rank. `kernel` (may be NULL): the taps that the weights have, whatever
 * kernel_shape says. Fails, naming the node, where they make no window. */
hone_status hone_window_read(const hone_node *n, int rank, const int64_t *kernel, hone_window *w,
                             hone_error *err);
/* How many positions an axis of `size` has, and the pads before and behind. Negative: the window does not fit. */
int64_t hone_window_positions(const hone_window *w, int axis, int64_t size, int64_t *pad, int64_t *end);
/* Spatial dimensions of y from those of x, which may be symbols. */
hone_status hone_window_infer(const hone_infer *ctx, const hone_window *w, const hone_type *x, hone_type *y,
                              hone_error *err);
/* For concrete types, as kernels want it: axes that no window spreads over are merged where they can be. `channels`:
 * windows->channels. */
hone_windows hone_windows_of(const hone_window *w, int64_t channels, const hone_type *x, const hone_type *y);

#define HONE_WINDOW_ATTRS                                                                                    \
    {"auto_pad", HONE_ATTR_STRING, .s = "NOTSET"}, {"kernel_shape", HONE_ATTR_INTS},                         \
        {"pads", HONE_ATTR_INTS}, {                                                                          \
        "strides", HONE_ATTR_INTS                                                                            \
    }

#endif
