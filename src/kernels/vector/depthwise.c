#include "kernels/levels.h"
#include "kernels/vec.h"

#define POSITIONS 8 /* at once */
#define MOST_ACROSS 5
#define BLOCK 6144 /* floats, half of a small first-level cache or more */
#define LEAST_CHANNELS 48

/* What is done with the sums of positions from the one at y + at on. */
VEC_FN void finish(const hone_depthwise *d, const int count, const bool whole, int lanes, int64_t channel,
                   const vec_f32 *sum, int64_t at, float *y) {
    const hone_epilogue *e = &d->epilogue;
    const float *bias = e->bias, *residual = e->residual;
    const vec_f32 lo = vec_set1((float)e->lo), hi = vec_set1((float)e->hi);
    vec_f32 more = vec_zero();
    if (bias) more = vec_load_n(bias + channel, lanes);
    VEC_UNROLL
    for (int i = 0; i < count; i++) {
        vec_f32 v = sum[i];
        const int64_t to = at + i * d->y_step + channel;
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

/* `count` positions from x on, to y + at, of `lanes` channels from `channel` on, all lanes where `whole`. */
VEC_FN void tile(const hone_depthwise *d, const int count, const bool whole, int lanes, int64_t channel,
                 const float *x, int64_t at, float *y) {
    vec_f32 sum[POSITIONS];
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
    finish(d, count, whole, lanes, channel, sum, at, y);
}

/* The same of `count` positions for windows whose lines have `taps` neighbouring elements, `stride` of them apart from
 * position to position: each element is loaded once a line. Sums are in the same order. */
VEC_FN void slide(const hone_depthwise *d, const int count, const int taps, const int stride, int64_t channel,
                  const float *x, int64_t at, float *y) {
    vec_f32 sum[POSITIONS];
    const int64_t channels = d->channels;
    const float *weight = (const float *)d->weight + channel;
    VEC_UNROLL
    for (int i = 0; i < count; i++) sum[i] = vec_zero();
    for (int64_t tap = 0; tap < d->taps; tap += taps) {
        const float *from = x + d->offset[tap];
        vec_f32 w[MOST_ACROSS];
        VEC_UNROLL
        for (int k = 0; k < taps; k++, weight += channels) w[k] = vec_load(weight);
        VEC_UNROLL
        for (int j = 0; j < (count - 1) * stride + taps; j++, from += channels) {
            const vec_f32 v = vec_load(from);
            VEC_UNROLL
            for (int i = 0; i < count; i++)
                if (j - i * stride >= 0 && j - i * stride < taps)
                    sum[i] = vec_fma(w[j - i * stride], v, sum[i]);
        }
    }
    finish(d, count, true, VEC_F32, channel, sum, at, y);
}

VEC_FN void run_positions(const hone_depthwise *d, const int count, int64_t c, int64_t end, const float *x,
                          int64_t at, float *y) {
    for (; c + VEC_F32 <= end; c += VEC_F32) tile(d, count, true, VEC_F32, c, x + c, at, y);
    if (c < end) tile(d, count, false, (int)(end - c), c, x + c, at, y);
}

VEC_FN void slide_positions(const hone_depthwise *d, const int count, const int taps, const int stride,
                            int64_t c, int64_t end, const float *x, int64_t at, float *y) {
    for (; c + VEC_F32 <= end; c += VEC_F32) slide(d, count, taps, stride, c, x + c, at, y);
    if (c < end) tile(d, count, false, (int)(end - c), c, x + c, at, y);
}

/* Positions from x on, to y + at, of channels [c, end). */
typedef void positions_fn(const hone_depthwise *d, int64_t c, int64_t end, const float *x, int64_t at,
                          float *y);

#define COUNTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define DEFINE(count)                                                                                        \
    static void run_##count(const hone_depthwise *d, int64_t c, int64_t end, const float *x, int64_t at,     \
                            float *y) {                                                                      \
        run_positions(d, count, c, end, x, at, y);                                                           \
    }
COUNTS(DEFINE)
#define ENTER(count) run_##count,
static positions_fn *const by_count[POSITIONS + 1] = {NULL, COUNTS(ENTER)};

/* Lines of at least POSITIONS / 2 make no parts of fewer. */
#define SLIDES(X, taps, stride)                                                                              \
    X(4, taps, stride) X(5, taps, stride) X(6, taps, stride) X(7, taps, stride) X(8, taps, stride)
#define DEFINE_SLIDE(count, taps, stride)                                                                    \
    static void slide_##count##_##taps##_##stride(const hone_depthwise *d, int64_t c, int64_t end,           \
                                                  const float *x, int64_t at, float *y) {                    \
        slide_positions(d, count, taps, stride, c, end, x, at, y);                                           \
    }
SLIDES(DEFINE_SLIDE, 3, 1)
SLIDES(DEFINE_SLIDE, 3, 2)
SLIDES(DEFINE_SLIDE, 5, 1)
SLIDES(DEFINE_SLIDE, 5, 2)
#define ENTER_SLIDE(count, taps, stride) [count] = slide_##count##_##taps##_##stride,
static positions_fn *const by_slide[2][2][POSITIONS + 1] = {
    {{SLIDES(ENTER_SLIDE, 3, 1)}, {SLIDES(ENTER_SLIDE, 3, 2)}},
    {{SLIDES(ENTER_SLIDE, 5, 1)}, {SLIDES(ENTER_SLIDE, 5, 2)}}};

/* Taps in a line of the window, which are neighbours. */
static int64_t across_of(const hone_depthwise *d) {
    int64_t across = 1;
    while (across < d->taps && d->offset[across] == d->offset[across - 1] + d->channels) across++;
    return across;
}

/* By count, what goes over the windows of d. */
static positions_fn *const *ways(const hone_depthwise *d, int64_t across) {
    const int64_t stride = d->step / d->channels;
    const bool even = (across == 3 || across == 5) && d->taps % across == 0;
    if (!even || stride > 2 || d->width < POSITIONS / 2) return by_count;
    return by_slide[across == 5][stride - 1];
}

/* So many channels at once that the lines which a line of positions sees stay in the first-level cache; all of them
 * where these would be few, as parts of what is far apart come slowly. */
static int64_t channels_at_once(const hone_depthwise *d, int64_t across) {
    const int64_t line = d->width * (d->step / d->channels) + across,
                  most = BLOCK * across / (d->taps * line);
    return most < LEAST_CHANNELS ? d->channels : most / VEC_F32 * VEC_F32;
}

void HONE_ISA_NAME(depthwise_f32)(const hone_depthwise *d, const float *x, int64_t lines, float *y) {
    if (d->channels == 0) return;
    const int64_t across = across_of(d), most = channels_at_once(d, across),
                  parts = (d->width + POSITIONS - 1) / POSITIONS;
    positions_fn *const *way = ways(d, across);
    for (int64_t c = 0, end; c < d->channels; c = end) {
        end = c + most < d->channels ? c + most : d->channels;
        for (int64_t line = 0; line < lines; line++)
            for (int64_t part = 0, at = 0; part < parts; part++) {
                const int64_t n = d->width * (part + 1) / parts - at;
                way[n](d, c, end, x + line * d->line + at * d->step, line * d->y_line + at * d->y_step, y);
                at += n;
            }
    }
}
