#include "kernels/image.h"

#include <string.h>

int64_t hone_phase_taps(const hone_phases *p, int axis, int64_t r, int64_t *last, int64_t *step) {
    const int64_t stride = p->stride[axis], dilation = p->dilation[axis];
    int64_t count = 0;
    *step = 1;
    *last = 0;
    for (int64_t tap = 0; tap < p->kernel[axis]; tap++) {
        if (tap * dilation % stride != r) continue;
        if (count++) *step = tap - *last;
        *last = tap;
    }
    return count;
}

/* The taps of one phase of channel c, whose block begins at `out`. */
static void copy_phase(const hone_phases *p, const int64_t *taps, const int64_t *last, const int64_t *step,
                       size_t size, const char *w, int64_t c, char *out) {
    const int64_t all = p->kernel[0] * p->kernel[1] * p->kernel[2], some = taps[0] * taps[1] * taps[2];
    const int64_t group = c / p->channels, in = c % p->channels;
    for (int64_t m = 0; m < p->outputs; m++) {
        const char *from = w + (size_t)((c * p->outputs + m) * all) * size;
        char *to = out + (size_t)(((group * p->outputs + m) * p->channels + in) * some) * size;
        for (int64_t a = 0; a < taps[0]; a++)
            for (int64_t b = 0; b < taps[1]; b++)
                for (int64_t d = 0; d < taps[2]; d++, to += size) {
                    const int64_t at =
                        ((last[0] - a * step[0]) * p->kernel[1] + last[1] - b * step[1]) * p->kernel[2] +
                        last[2] - d * step[2];
                    memcpy(to, from + (size_t)at * size, size);
                }
    }
}

void hone_phase_weights(const hone_phases *p, size_t size, const void *w, int64_t c0, int64_t c1, void *out) {
    int64_t taps[3], last[3], step[3], before = 0;
    for (int64_t i = 0; i < p->stride[0]; i++) {
        taps[0] = hone_phase_taps(p, 0, i, &last[0], &step[0]);
        for (int64_t j = 0; j < p->stride[1] && taps[0] > 0; j++) {
            taps[1] = hone_phase_taps(p, 1, j, &last[1], &step[1]);
            for (int64_t k = 0; k < p->stride[2] && taps[1] > 0; k++) {
                taps[2] = hone_phase_taps(p, 2, k, &last[2], &step[2]);
                char *block = (char *)out + (size_t)(before * p->groups * p->outputs * p->channels) * size;
                for (int64_t c = c0; c < c1; c++) copy_phase(p, taps, last, step, size, w, c, block);
                before += taps[0] * taps[1] * taps[2];
            }
        }
    }
}

void hone_weave_f64(const double *x, int64_t part, int64_t parts, int64_t n, double *y) {
    for (int64_t k = 0; k < parts; k++, x += part)
        for (int64_t i = k, j = 0; i < n; i += parts, j++) y[i] = x[j];
}
