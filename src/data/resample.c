#include "data/resample.h"

#include <math.h>

#define CROSSINGS 16
#define BETA 8.0
#define PHASES 4096 /* the most that have coefficients of their own; else the nearest of so many */

struct hone_resampler {
    int64_t up, down; /* rates without what they share: sample i of y lies at i down/up of x */
    int64_t phases, taps, before;
    float *weights; /* [phases, taps] */
};

/* I0, of Kaiser's window. */
static double bessel(double x) {
    double sum = 1, term = 1;
    for (int k = 1; k < 64 && term > 1e-17 * sum; k++) {
        term *= x / (2 * k) * (x / (2 * k));
        sum += term;
    }
    return sum;
}

static double window(double x) { /* x in [-1, 1] */
    return fabs(x) >= 1 ? 0 : bessel(BETA * sqrt(1 - x * x)) / bessel(BETA);
}

static double sinc(double x) {
    return fabs(x) < 1e-9 ? 1 : sin(M_PI * x) / (M_PI * x);
}

static int64_t divisor(int64_t a, int64_t b) {
    return b ? divisor(b, a % b) : a;
}

/* Weights of a phase sum to 1: silence and loudness stay. */
static void fill_phase(hone_resampler *r, int64_t phase, double scale, double reach) {
    float *w = r->weights + phase * r->taps;
    double sum = 0, shift = (double)phase / (double)r->phases;
    for (int64_t k = 0; k < r->taps; k++) {
        double x = (double)(k - r->before) - shift, v = scale * sinc(x * scale) * window(x / reach);
        w[k] = (float)v;
        sum += v;
    }
    for (int64_t k = 0; k < r->taps; k++) w[k] = (float)((double)w[k] / sum);
}

hone_status hone_resampler_new(int from, int to, hone_resampler **out, hone_error *err) {
    if (from < 1 || to < 1 || from > 1 << 20 || to > 1 << 20)
        return hone_fail(err, HONE_UNSUPPORTED, "sound of %d samples a second as %d", from, to);
    hone_resampler *r = hone_calloc(1, sizeof *r);
    if (!r) return hone_fail_memory(err);
    int64_t shared = divisor(from, to);
    r->up = to / shared;
    r->down = from / shared;
    r->phases = r->up < PHASES ? r->up : PHASES;
    double scale = to < from ? (double)to / from : 1, reach = CROSSINGS / scale;
    r->before = (int64_t)ceil(reach) - 1;
    r->taps = 2 * (int64_t)ceil(reach);
    r->weights = hone_alloc((size_t)(r->phases * r->taps) * sizeof *r->weights);
    if (!r->weights) {
        hone_free(r);
        return hone_fail_memory(err);
    }
    for (int64_t p = 0; p < r->phases; p++) fill_phase(r, p, scale, reach);
    *out = r;
    return HONE_OK;
}

void hone_resampler_free(hone_resampler *r) {
    if (!r) return;
    hone_free(r->weights);
    hone_free(r);
}

int64_t hone_resampler_count(const hone_resampler *r, int64_t count) {
    return (count * r->up + r->down - 1) / r->down;
}

void hone_resample(const hone_resampler *r, const float *x, int64_t count, float *y) {
    int64_t n = hone_resampler_count(r, count);
    for (int64_t i = 0; i < n; i++) {
        int64_t place = i * r->down, at = place / r->up, rest = place % r->up;
        const float *w = r->weights + rest * r->phases / r->up * r->taps;
        int64_t from = at - r->before, first = from < 0 ? -from : 0, last = r->taps;
        if (from + last > count) last = count - from;
        float sum = 0;
        for (int64_t k = first; k < last; k++) sum += w[k] * x[from + k];
        y[i] = sum;
    }
}
