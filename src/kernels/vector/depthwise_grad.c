#include "kernels/levels.h"
#include "kernels/vec.h"

#define TAPS 9 /* at once */

/* Adds what `lines` lines of positions say of `count` taps from `tap` on, of `lanes` channels. */
VEC_FN void taps_of(const hone_depthwise *d, const int count, const bool whole, int lanes, const float *x,
                    const float *dy, int64_t lines, int64_t tap, float *dw) {
    vec_f32 sum[TAPS];
    const int64_t *offset = d->offset + tap;
    VEC_UNROLL
    for (int t = 0; t < count; t++)
        sum[t] = whole ? vec_load(dw + t * d->channels) : vec_load_n(dw + t * d->channels, lanes);
    for (int64_t line = 0; line < lines; line++) {
        const float *from = x + line * d->line, *g = dy + line * d->y_line;
        for (int64_t i = 0; i < d->width; i++, from += d->step, g += d->y_step) {
            const vec_f32 v = whole ? vec_load(g) : vec_load_n(g, lanes);
            VEC_UNROLL
            for (int t = 0; t < count; t++)
                sum[t] = vec_fma(v, whole ? vec_load(from + offset[t]) : vec_load_n(from + offset[t], lanes),
                                 sum[t]);
        }
    }
    VEC_UNROLL
    for (int t = 0; t < count; t++) {
        if (whole)
            vec_store(dw + t * d->channels, sum[t]);
        else
            vec_store_n(dw + t * d->channels, sum[t], lanes);
    }
}

VEC_FN void channels_of(const hone_depthwise *d, const bool whole, int lanes, const float *x, const float *dy,
                        int64_t lines, float *dw) {
    int64_t tap = 0;
    for (; tap + TAPS <= d->taps; tap += TAPS)
        taps_of(d, TAPS, whole, lanes, x, dy, lines, tap, dw + tap * d->channels);
    for (; tap + 5 <= d->taps; tap += 5)
        taps_of(d, 5, whole, lanes, x, dy, lines, tap, dw + tap * d->channels);
    for (; tap + 3 <= d->taps; tap += 3)
        taps_of(d, 3, whole, lanes, x, dy, lines, tap, dw + tap * d->channels);
    for (; tap < d->taps; tap++) taps_of(d, 1, whole, lanes, x, dy, lines, tap, dw + tap * d->channels);
}

void HONE_ISA_NAME(depthwise_grad_f32)(const hone_depthwise *d, const float *x, const float *dy,
                                       int64_t lines, float *dw) {
    int64_t c = 0;
    for (; c + VEC_F32 <= d->channels; c += VEC_F32)
        channels_of(d, true, VEC_F32, x + c, dy + c, lines, dw + c);
    if (c < d->channels) channels_of(d, false, (int)(d->channels - c), x + c, dy + c, lines, dw + c);
}
