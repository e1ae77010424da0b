/* Pooling (kernels/image.h) for one type of elements. A line is made in two steps:
 *
 *   rows of the image under it  ──► one row, as long as its windows reach, with what counts for nothing at the edges
 *   windows of that row         ──► the line
 *
 * Before including, define POOL_TYPE, and as functions that are inlined, with a kind that is a constant,
 *
 *   begin_row(kind, power, x, t, n)          t = what x counts for, n elements; `combine_row` combines it with t
 *   windows_of(kind, t, y, n, step, taps, dilation)   y[i] = all taps of t + i * step combined; t[…] is readable beyond
 *   finish_row(kind, power, y, n, rows, columns)      means and roots: of a row that has columns[i] * rows elements
 *
 * and POOL_NOTHING(kind), what counts for nothing. */
#include "kernels/image.h"

static inline __attribute__((always_inline)) void pool_line(const hone_pool *p, const hone_pool_kind kind,
                                                            const POOL_TYPE *x, POOL_TYPE *y, int64_t line,
                                                            const POOL_TYPE *columns, POOL_TYPE *t) {
    const hone_windows *w = &p->w;
    const int64_t depth = line / w->out[1], height = line % w->out[1], width = w->in[2];
    const int64_t d0 = depth * w->stride[0] - w->pad[0], h0 = height * w->stride[1] - w->pad[1];
    POOL_TYPE *row = t + w->pad[2];
    bool any = false;
    for (int64_t i = 0; i < w->kernel[0]; i++)
        for (int64_t j = 0; j < w->kernel[1]; j++) {
            const int64_t d = d0 + i * w->dilation[0], h = h0 + j * w->dilation[1];
            if (d < 0 || d >= w->in[0] || h < 0 || h >= w->in[1]) continue;
            const POOL_TYPE *from = x + (d * w->in[1] + h) * width;
            if (any)
                combine_row(kind, p->power, from, row, width);
            else
                begin_row(kind, p->power, from, row, width);
            any = true;
        }
    for (int64_t i = 0; i < width && !any; i++) row[i] = POOL_NOTHING(kind);
    windows_of(kind, t, y, w->out[2], w->stride[2], w->kernel[2], w->dilation[2]);
    const int64_t rows =
        kind == HONE_POOL_MEAN ? hone_pool_counted(p, 0, depth) * hone_pool_counted(p, 1, height) : 1;
    finish_row(kind, p->power, y, w->out[2], rows, columns);
}

static inline __attribute__((always_inline)) void pool_lines(const hone_pool *p, const hone_pool_kind kind,
                                                             const POOL_TYPE *x, POOL_TYPE *y, int64_t line0,
                                                             int64_t line1, POOL_TYPE *room) {
    const hone_windows *w = &p->w;
    const int64_t lines = w->out[0] * w->out[1];
    POOL_TYPE *columns = room, *t = room + w->out[2];
    for (int64_t o = 0; o < w->out[2] && kind == HONE_POOL_MEAN; o++)
        columns[o] = (POOL_TYPE)hone_pool_counted(p, 2, o);
    for (int64_t i = 0; i < hone_pool_room(p) - w->out[2]; i++) t[i] = POOL_NOTHING(kind);
    for (int64_t line = line0; line < line1; line++)
        pool_line(p, kind, x + line / lines * w->plane, y + line * w->out[2], line % lines, columns, t);
}
