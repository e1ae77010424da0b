#include "kernels/levels.h"
#include "kernels/vec.h"

#define POSITIONS 8 /* at once */

/* `count` positions from x on, of `lanes` channels from `channel` on, all lanes where `whole`. */
VEC_FN void tile(const hone_depthwise *d, const int count, const bool whole, int lanes, int64_t channel,
                 const float *x, int64_t at, float *y) {
    vec_f32 sum[POSITIONS];
    const hone_epilogue *e = &d->epilogue;
    const int64_t step = d->step;
    const float *weight = (const float *)d->weight + channel;
    VEC_UNROLL
    for (int i = 0; i < count; i++) sum[i] = vec_zero();
    for (int64_t tap = 0; tap < d->taps; tap++, weight += d->channels) {
        const float *from = x + d->offset[tap], *from_4 = count > 4 ? from + 4 * step : from;
        const vec_f32 w = whole ? vec_load(weight) : vec_load_n(weight, lanes);
        VEC_UNROLL
        for (int i = 0; i < count; i++) {
            const float *p = i < 4 ? from + i * step : from_4 + (i - 4) * step;
            sum[i] = vec_fma(w, whole ? vec_load(p) : vec_load_n(p, lanes), sum[i]);
        }
    }
    const float *bias = e->bias, *residual = e->residual;
    const vec_f32 lo = vec_set1((float)e->lo), hi = vec_set1((float)e->hi);
    vec_f32 more = vec_zero();
    if (bias) more = vec_load_n(bias + channel, lanes);
    VEC_UNROLL
    for (int i = 0; i < count; i++) {
        vec_f32 v = sum[i];
        const int64_t to = (at + i) * d->channels + channel;
        if (bias) v = v + more;
        if (residual) v = v + vec_load_n(residual + to, lanes);
        v = vec_min(hi, vec_max(lo, v));
        if (e->ramp) v = vec_ramp(v, e->slope, e->offset);
        if (whole)
            vec_store(y + to, v);
        else
            vec_store_n(y + to, v, lanes);
    }
}

VEC_FN void run_positions(const hone_depthwise *d, const int count, const float *x, int64_t at, float *y) {
    int64_t c = 0;
    for (; c + VEC_F32 <= d->channels; c += VEC_F32) tile(d, count, true, VEC_F32, c, x + c, at, y);
    if (c < d->channels) tile(d, count, false, (int)(d->channels - c), c, x + c, at, y);
}

#define COUNTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define DEFINE(count)                                                                                        \
    static void run_##count(const hone_depthwise *d, const float *x, int64_t at, float *y) {                 \
        run_positions(d, count, x, at, y);                                                                   \
    }
COUNTS(DEFINE)
typedef void positions_fn(const hone_depthwise *d, const float *x, int64_t at, float *y);
#define ENTER(count) run_##count,
static positions_fn *const by_count[POSITIONS + 1] = {NULL, COUNTS(ENTER)};

void HONE_ISA_NAME(depthwise_f32)(const hone_depthwise *d, const float *x, int64_t lines, float *y) {
    const int64_t parts = (d->width + POSITIONS - 1) / POSITIONS;
    for (int64_t line = 0; line < lines; line++, x += d->line)
        for (int64_t part = 0, at = 0; part < parts; part++) {
            const int64_t n = d->width * (part + 1) / parts - at;
            by_count[n](d, x + at * d->step, line * d->width + at, y);
            at += n;
        }
}
