#include "kernels/image.h"

#include <stddef.h>

/* y += weight * a row of x from element `first` on, in steps, as far as it is inside. */
static void add_row(double weight, const double *x, int64_t width, int64_t first, int64_t step, double *y,
                    int64_t count) {
    const int64_t from = first >= 0 ? 0 : (-first + step - 1) / step;
    for (int64_t i = from; i < count && first + i * step < width; i++) y[i] += weight * x[first + i * step];
}

static void add_taps(const hone_windows *w, const double *weight, const double *x, int64_t line, double *y) {
    const int64_t d0 = line / w->out[1] * w->stride[0] - w->pad[0],
                  h0 = line % w->out[1] * w->stride[1] - w->pad[1];
    for (int64_t i = 0; i < w->kernel[0]; i++)
        for (int64_t j = 0; j < w->kernel[1]; j++, weight += w->kernel[2]) {
            const int64_t d = d0 + i * w->dilation[0], h = h0 + j * w->dilation[1];
            if (d < 0 || d >= w->in[0] || h < 0 || h >= w->in[1]) continue;
            for (int64_t k = 0; k < w->kernel[2]; k++)
                add_row(weight[k], x + (d * w->in[1] + h) * w->in[2], w->in[2],
                        k * w->dilation[2] - w->pad[2], w->stride[2], y, w->out[2]);
        }
}

void hone_direct_f64(const hone_direct *d, const double *x, double *y, int64_t line0, int64_t line1) {
    const hone_windows *w = &d->w;
    const int64_t taps = hone_windows_taps(w), lines = w->out[0] * w->out[1],
                  channels = d->groups * d->outputs;
    const hone_epilogue *e = &d->epilogue;
    const double *weight = d->weight, *bias = e->row_bias, *residual = e->residual;
    for (int64_t at = line0; at < line1; at++) {
        const int64_t image = at / lines / channels, channel = at / lines % channels;
        const double *from = x + (image * d->groups + channel / d->outputs) * w->channels * w->plane;
        double *to = y + at * w->out[2];
        for (int64_t i = 0; i < w->out[2]; i++) to[i] = 0;
        for (int64_t c = 0; c < w->channels; c++)
            add_taps(w, weight + (channel * w->channels + c) * taps, from + c * w->plane, at % lines, to);
        for (int64_t i = 0; i < w->out[2]; i++) {
            double s = to[i] + (bias ? bias[channel] : 0);
            if (residual) s += residual[at * w->out[2] + i];
            s = s < e->lo ? e->lo : s;
            to[i] = s > e->hi ? e->hi : s;
        }
    }
}
