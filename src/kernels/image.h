/* Kernels over images: channels of three axes (depth, height, width), of which the first ones may be 1. What is here is the
 * same at every level; what is not stands in the dispatch table (kernels/kernels.h), whose rules hold. */
#ifndef HONE_KERNELS_IMAGE_H
#define HONE_KERNELS_IMAGE_H

#include "kernels/epilogue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A window that is laid on a channel at each output position: tap t of the window at position o is element
 * o stride - pad + t dilation of each axis, or outside. */
typedef struct hone_windows {
    int64_t channels, plane;                   /* of an image: how many, and elements from one to the next */
    int64_t in[3], out[3];                     /* extents of a channel, and how many positions there are */
    int64_t kernel[3], stride[3], dilation[3]; /* kernel: taps */
    int64_t pad[3],
        end[3]; /* elements outside that the windows are for, before the first and behind the last */
} hone_windows;

static inline int64_t hone_windows_taps(const hone_windows *w) {
    return w->kernel[0] * w->kernel[1] * w->kernel[2];
}
static inline int64_t hone_windows_positions(const hone_windows *w) {
    return w->out[0] * w->out[1] * w->out[2];
}

/* --- patches --- the matrix whose column j is what the window at position j sees: B[l][j] = x[channel][tap], or 0 outside,
 * l = (channel, tap), taps and positions row-major. */

/* hone_kernels.patches_f32, in double. */
void hone_patches_f64(const hone_windows *w, const double *x, int64_t j0, int64_t j1, double *y,
                      int64_t y_row);

/* --- windows of weights --- convolution where a group gives so few channels that a product would not pay:
 *
 *   y[channel] = epilogue(sum of weight[channel][c, tap] (x[c][tap] - x_zero) over c and taps)
 *
 * A sum starts at 0 and goes on in the order of (c, tap), as in a product. Rows of the epilogue are channels. Sums of bytes
 * are integers: weights are whole numbers, and no sum of absolute values is above HONE_DIRECT_EXACT. */
typedef struct hone_direct {
    hone_windows w;          /* channels: those of a group */
    int64_t groups, outputs; /* channels that each group gives */
    int64_t lines;           /* that are made at once, of one channel */
    const void *weight;      /* [groups * outputs, channels * taps], float, or double for double sums */
    int32_t x_zero;          /* of bytes */
    bool x_signed;
    hone_epilogue epilogue; /* of it all for rows; the residual has y's shape */
} hone_direct;
#define HONE_DIRECT_EXACT (1 << 24)

/* Lines are rows of output positions: out[0] * out[1] of them a channel, counted over all channels of all images. */

#define HONE_DIRECT_TAPS 1024 /* channels * taps, at most */
/* Are taps so far apart that far more would be laid out than a line is made of? Then hone_direct_room is for nothing. */
bool hone_direct_is_wide(const hone_windows *w);
/* Chooses d->lines, and returns how many floats of scratch hone_kernels.direct_f32 and direct_8 then need. */
int64_t hone_direct_room(hone_direct *d);
/* hone_kernels.direct_f32 in double. */
void hone_direct_f64(const hone_direct *d, const double *x, double *y, int64_t line0, int64_t line1);

/* --- channels each by itself --- in images whose channels are last: what lines of positions see lies at x,
 *
 *   y[line][position][c] = epilogue(sum over taps of weight[tap][c] x[line d->line + position d->step + offset[tap] + c])
 *
 * A sum starts at 0 and goes on in the order of the taps. Columns of the epilogue are channels. Of bytes y has no gaps, u8 x
 * and s8 weights, sums are exact; up to HONE_DEPTHWISE_SLACK bytes are read behind a position's channels. */
typedef struct hone_depthwise {
    int64_t channels, width; /* width: positions in a line */
    int64_t step, line;
    int64_t y_step,
        y_line; /* from position to position of y, and from line to line; the residual's likewise */
    int64_t taps;
    bool slides; /* 3 x 3 taps, of which those of a line are neighbours, as positions are */
    const int64_t
        *offset;        /* [taps], of bytes [taps to a multiple of four], what is beyond may be any tap's */
    const void *weight; /* [taps, channels] */
    hone_epilogue epilogue; /* of it bias, residual (of y's shape), bounds; of bytes all that columns have */
} hone_depthwise;
#define HONE_DEPTHWISE_SLACK 63
#define HONE_DEPTHWISE_GROUP 256

/* --- Winograd's convolution --- by 3 x 3 windows, stride 1, of images whose channels are last (Lavin and Gray, "Fast
 * algorithms for convolutional neural networks", 2015): size x size positions make a tile, size 2 or 4, of which
 *
 *   input     the (size + 2)^2 elements that it sees, of each channel, become as many others by B^T d B
 *   products  of matrices, one for each of them: [tiles, C] by weights [C, M], which are G w G^T
 *   output    (size + 2)^2 sums become size x size positions by A^T m A
 *
 * With size 4 the points are 0, +-1/sqrt 2, +-sqrt 2 and infinity, whose errors are smaller than those of whole numbers. */
typedef struct hone_winograd {
    int size;
    int64_t in[2], out[2];  /* extents of a channel, and positions */
    int64_t pad[2];         /* before the first element */
    int64_t across;         /* tiles side by side */
    int64_t channels;       /* of the input, or of the output */
    int64_t matrix;         /* floats from one of the (size + 2)^2 matrices [tiles, channels] to the next */
    hone_epilogue epilogue; /* of it bias, residual (of y's shape), bounds */
} hone_winograd;
static inline int hone_winograd_matrices(int size) {
    return (size + 2) * (size + 2);
}

/* --- phases --- of a transposed convolution (ops/engine/transposed.h): the elements of an axis whose index, the pad before
 * them counted, leaves the rest r when divided by the stride. The windows that see them do so with the same taps: those with
 * tap * dilation = r mod stride. */
typedef struct hone_phases {
    int64_t groups, channels, outputs; /* channels of a group, and what it gives */
    int64_t kernel[3], stride[3], dilation[3];
} hone_phases;

/* How many taps phase r of an axis has, and the last of them; *step: from one to the next. */
int64_t hone_phase_taps(const hone_phases *p, int axis, int64_t r, int64_t *last, int64_t *step);
/* Channels [c0, c1) of weights [groups * channels, outputs, taps] into the order in which phases read them, elements of
 * `size` bytes: phase by phase [groups * outputs, channels, taps of the phase], the last tap first. */
void hone_phase_weights(const hone_phases *p, size_t size, const void *w, int64_t c0, int64_t c1, void *out);
/* y[i] = x[i % parts][i / parts] for i < n, where part k begins at x + k*part; in double, and hone_kernels.weave_f32. */
void hone_weave_f64(const double *x, int64_t part, int64_t parts, int64_t n, double *y);

/* --- pooling --- one number of each window */

typedef enum hone_pool_kind {
    HONE_POOL_MAX,    /* of what is inside; NaN never is */
    HONE_POOL_MEAN,   /* of what is inside, or with the zeros of the pads */
    HONE_POOL_NORM_1, /* (sum of |x|^p)^(1/p), p = 1, ... */
    HONE_POOL_NORM_2,
    HONE_POOL_NORM /* ... any other */
} hone_pool_kind;

typedef struct hone_pool {
    hone_windows w; /* channels, plane: read where channels are last only */
    hone_pool_kind kind;
    double power;    /* HONE_POOL_NORM */
    bool count_pads; /* HONE_POOL_MEAN */
} hone_pool;

/* How many taps of the window at position o of an axis lie in [low, high). */
static inline int64_t hone_windows_taps_in(const hone_windows *w, int axis, int64_t o, int64_t low,
                                           int64_t high) {
    const int64_t at = o * w->stride[axis] - w->pad[axis], step = w->dilation[axis];
    const int64_t first = at >= low ? 0 : (low - at + step - 1) / step;
    const int64_t end = at >= high ? 0 : (high - at + step - 1) / step;
    const int64_t last = end < w->kernel[axis] ? end : w->kernel[axis];
    return last > first ? last - first : 0;
}
/* Elements that position o counts along an axis. */
static inline int64_t hone_pool_counted(const hone_pool *p, int axis, int64_t o) {
    const hone_windows *w = &p->w;
    if (!p->count_pads) return hone_windows_taps_in(w, axis, o, 0, w->in[axis]);
    return hone_windows_taps_in(w, axis, o, -w->pad[axis], w->in[axis] + w->end[axis]);
}

/* Elements of scratch that pooling needs. */
static inline int64_t hone_pool_room(const hone_pool *p) {
    const hone_windows *w = &p->w;
    const int64_t reach = (w->out[2] - 1) * w->stride[2] + (w->kernel[2] - 1) * w->dilation[2] + 1;
    const int64_t row = w->pad[2] + w->in[2];
    return w->out[2] + (row > reach ? row : reach) + 64; /* vectors are loaded whole */
}
/* hone_kernels.pool_f32 in other types; bytes: maxima only. */
void hone_pool_f64(const hone_pool *p, const double *x, double *y, int64_t line0, int64_t line1,
                   double *room);
double hone_pool_all_f64(hone_pool_kind kind, double power, const double *x, int64_t n);
void hone_pool_u8(const hone_pool *p, const uint8_t *x, uint8_t *y, int64_t line0, int64_t line1,
                  uint8_t *room);
void hone_pool_s8(const hone_pool *p, const int8_t *x, int8_t *y, int64_t line0, int64_t line1, int8_t *room);
/* Maxima (y may be NULL), and the index in x of each: of the first, row by row, of those that are the same. */
void hone_max_index_f32(const hone_pool *p, const float *x, float *y, int64_t *index, int64_t line0,
                        int64_t line1);
void hone_max_index_f64(const hone_pool *p, const double *x, double *y, int64_t *index, int64_t line0,
                        int64_t line1);
void hone_max_index_u8(const hone_pool *p, const uint8_t *x, uint8_t *y, int64_t *index, int64_t line0,
                       int64_t line1);
void hone_max_index_s8(const hone_pool *p, const int8_t *x, int8_t *y, int64_t *index, int64_t line0,
                       int64_t line1);

/* Gradients, of channels [c0, c1), counted over all images: dx is written whole. Of MEAN each
 * window gives its dy in equal shares to what it sees, of norms whole to each element, of MAX to the first of the largest. */
void hone_pool_spread_f32(const hone_pool *p, const float *dy, float *dx, int64_t c0, int64_t c1,
                          float *room); /* hone_pool_room and out[2] of it */
void hone_pool_spread_f64(const hone_pool *p, const double *dy, double *dx, int64_t c0, int64_t c1,
                          double *room);
void hone_max_spread_f32(const hone_windows *w, const float *dy, const float *x, float *dx, int64_t c0,
                         int64_t c1);
void hone_max_spread_f64(const hone_windows *w, const double *dy, const double *x, double *dx, int64_t c0,
                         int64_t c1);

#endif
