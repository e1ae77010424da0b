/* Patches of images as rows of a matrix, for one type of elements. Output positions of
 * one row of the image, at most PATCH_LANES of them, make a run; where the runs of a tap lie is the same in each channel.
 * Before including, define
 *
 *   PATCH_TYPE, PATCH_LANES
 *   copy_run(x, y, step, lo, hi, lanes, fill)   inlined: y[i] = x[i * step] for i in [lo, hi), fill for the other i < lanes */
#include "kernels/image.h"

typedef struct run {
    int64_t from, to; /* in a channel, and in the rows of that channel */
    int lo, hi;       /* lanes [lo, hi) are inside of the image */
    int lanes;        /* to be stored: all of them, where that stays in the row */
} run;

/* Columns [j0, j1) of B, and y with `room` for a row from there to its end. */
typedef struct block {
    const hone_windows *w;
    int64_t j0, j1, y_row, room;
    PATCH_TYPE fill;
} block;

#define RUNS 512
#define COLUMNS 128 /* of a block: the table then has room for some taps */

static int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}
/* x / step, rounded up; step > 0 */
static int64_t divide_up(int64_t x, int64_t step) {
    return x >= 0 ? (x + step - 1) / step : -(-x / step);
}

/* The runs of one tap, from left to right. */
static int tap_runs(const block *b, int64_t tap, run *out) {
    const hone_windows *w = b->w;
    const int64_t width = w->out[2], height = w->out[1], step = w->stride[2];
    const int64_t d0 = tap / (w->kernel[1] * w->kernel[2]) * w->dilation[0] - w->pad[0],
                  h0 = tap / w->kernel[2] % w->kernel[1] * w->dilation[1] - w->pad[1],
                  w0 = tap % w->kernel[2] * w->dilation[2] - w->pad[2];
    const int64_t first = divide_up(-w0, step), end = divide_up(w->in[2] - w0, step); /* inside of a row */
    int64_t column = b->j0 % width, line = b->j0 / width;
    int count = 0;
    for (int64_t j = b->j0, n; j < b->j1; j += n, column = 0, line++) {
        const int64_t d = line / height * w->stride[0] + d0, h = line % height * w->stride[1] + h0;
        const bool inside = d >= 0 && d < w->in[0] && h >= 0 && h < w->in[1];
        n = min_i64(width - column, b->j1 - j);
        for (int64_t i = 0; i < n; i += PATCH_LANES) {
            const int64_t at = column + i, to = j - b->j0 + i, lanes = min_i64(PATCH_LANES, n - i);
            const int64_t lo = clamp(first - at, 0, lanes), hi = clamp(end - at, lo, lanes);
            out[count++] = (run){.from = (d * w->in[1] + h) * w->in[2] + at * step + w0,
                                 .to = tap * b->y_row + to,
                                 .lo = (int)lo,
                                 .hi = (int)(inside ? hi : lo),
                                 .lanes = to + PATCH_LANES <= b->room ? PATCH_LANES : (int)lanes};
        }
    }
    return count;
}

static inline __attribute__((always_inline)) void
copy_runs(const block *b, const run *r, int count, const PATCH_TYPE *x, PATCH_TYPE *y, const int64_t step) {
    for (int i = 0; i < count; i++)
        copy_run(x + r[i].from, y + r[i].to, step, r[i].lo, r[i].hi, r[i].lanes, b->fill);
}

/* Runs of one channel. */
static void copy(const block *b, const run *r, int count, const PATCH_TYPE *x, PATCH_TYPE *y) {
    const int64_t step = b->w->stride[2];
    if (step == 1)
        copy_runs(b, r, count, x, y, 1);
    else if (step == 2)
        copy_runs(b, r, count, x, y, 2);
    else
        copy_runs(b, r, count, x, y, step);
}

static int runs_of(const block *b, int64_t tap, int64_t end, run *runs) {
    int count = 0;
    for (; tap < end; tap++) count += tap_runs(b, tap, runs + count);
    return count;
}

/* The rows of `channels` channels of the block, the first one at x. */
static void copy_block(const block *b, int64_t channels, const PATCH_TYPE *x, PATCH_TYPE *y) {
    run runs[RUNS];
    const hone_windows *w = b->w;
    const int64_t taps = hone_windows_taps(w), each = RUNS / tap_runs(b, 0, runs);
    int count = taps <= each ? runs_of(b, 0, taps, runs) : 0;
    for (int64_t c = 0; c < channels; c++, x += w->plane, y += taps * b->y_row) {
        if (count > 0) copy(b, runs, count, x, y);
        for (int64_t tap = 0; tap < taps && count == 0; tap += each) {
            const int some = runs_of(b, tap, min_i64(tap + each, taps), runs);
            copy(b, runs, some, x, y);
        }
    }
}

/* As hone_kernels.patches_8. */
static void copy_patches(const hone_windows *w, const PATCH_TYPE *x, int64_t c0, int64_t c1, int64_t j0,
                         int64_t j1, PATCH_TYPE *y, int64_t y_row, PATCH_TYPE fill) {
    for (int64_t j = j0; j < j1; j += COLUMNS) {
        const block b = {w, j, min_i64(j + COLUMNS, j1), y_row, y_row - (j - j0), fill};
        copy_block(&b, c1 - c0, x + c0 * w->plane, y + (j - j0));
    }
}
