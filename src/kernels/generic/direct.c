#include "kernels/image.h"

#define ROOM 6144 /* elements that stay in the first-level cache */
#define LINES 16  /* at once, at most */
#define SLACK 32  /* vectors are loaded whole, two at a time */
#define APART 256 /* elements to lay out for one of the output, at most */

bool hone_direct_is_wide(const hone_windows *w) {
    const double step = (double)w->stride[2], reach = (double)(w->kernel[2] - 1) * (double)w->dilation[2],
                 row = step * ((double)w->out[2] + 1 + SLACK) + reach,
                 span = (double)(w->kernel[1] - 1) * (double)w->dilation[1] + 1,
                 sets = (double)w->channels * (double)w->kernel[0];
    return row * span * sets > ROOM && row * span > APART * ((double)w->out[2] + SLACK);
}

int64_t hone_direct_room(hone_direct *d) {
    const hone_windows *w = &d->w;
    const int64_t step = w->stride[2], reach = (w->kernel[2] - 1) * w->dilation[2] / step;
    const int64_t row = step * (w->out[2] + reach + 1 + SLACK), sets = w->channels * w->kernel[0];
    const int64_t span = (w->kernel[1] - 1) * w->dilation[1] + 1, left = ROOM / (row * sets) - span;
    d->lines = left < w->stride[1] ? 1 : left / w->stride[1] + 1;
    if (d->lines > LINES) d->lines = LINES;
    if (d->lines > w->out[1]) d->lines = w->out[1] > 0 ? w->out[1] : 1;
    return row * sets * ((d->lines - 1) * w->stride[1] + span) + SLACK;
}
