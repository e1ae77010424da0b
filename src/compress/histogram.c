#include "compress/histogram.h"

#include <math.h>
#include <string.h>

#define BINS HONE_HISTOGRAM_BINS
#define CODES 256
#define TRIES 64 /* ends that are tried on each side */
#define ROUNDS 2 /* one side after the other */

static double width_of(const hone_histogram *h) {
    return ((double)h->range.max - h->range.min) / BINS;
}

void hone_histogram_add(hone_histogram *h, const float *x, int64_t n) {
    const double low = h->range.min, width = width_of(h), by = width > 0 ? 1 / width : 0;
    for (int64_t i = 0; i < n; i++) {
        if (x[i] == 0) {
            h->zeros++;
            continue;
        }
        double at = (x[i] - low) * by;
        h->count[at < 0 ? 0 : at >= BINS ? BINS - 1 : (int)at]++;
    }
    h->total += (uint64_t)n;
}

static double middle(const hone_histogram *h, int bin) {
    return h->range.min + (bin + 0.5) * width_of(h);
}

/* --- percentile --- as much is left out below as above */

static hone_range percentile(const hone_histogram *h, double percent) {
    const double most = (double)h->total * (1 - percent / 100) / 2;
    hone_range r = h->range;
    double sum = 0;
    for (int i = 0; i < BINS && middle(h, i) < 0 && sum + (double)h->count[i] <= most; i++) {
        sum += (double)h->count[i];
        r.min = (float)(h->range.min + (i + 1) * width_of(h));
    }
    sum = 0;
    for (int i = BINS - 1; i >= 0 && middle(h, i) > 0 && sum + (double)h->count[i] <= most; i--) {
        sum += (double)h->count[i];
        r.max = (float)(h->range.min + i * width_of(h));
    }
    return r;
}

/* --- mean squared error --- step^2 / 12 inside, the distance to the end outside */

static double squared_error(const hone_histogram *h, double low, double high) {
    const double step = (high - low) / (CODES - 1), inside = step * step / 12;
    double sum = 0;
    for (int i = 0; i < BINS; i++) {
        if (!h->count[i]) continue;
        double x = middle(h, i), off = x < low ? low - x : x > high ? x - high : 0;
        sum += (double)h->count[i] * (off > 0 ? off * off : inside);
    }
    return sum;
}

/* --- entropy --- sum p log(p / q): p what was seen, what is outside counted at the ends; q the same after rounding to codes,
 * each code's share spread evenly over its bins that were seen */

static double divergence(const hone_histogram *h, double low, double high) {
    const double step = (high - low) / CODES;
    double inside[CODES] = {0}, p[BINS] = {0}, sum = 0, kept = 0, total = 0;
    int seen[CODES] = {0}, code[BINS], first = -1, last = -1;
    for (int i = 0; i < BINS; i++) {
        double x = middle(h, i);
        code[i] = -1;
        if (x < low || x > high) continue;
        int c = (int)((x - low) / step);
        code[i] = c < CODES ? c : CODES - 1;
        p[i] = (double)h->count[i];
        inside[code[i]] += p[i];
        seen[code[i]] += h->count[i] > 0;
        kept += p[i];
        if (first < 0) first = i;
        last = i;
    }
    if (first < 0 || kept == 0) return INFINITY;
    for (int i = 0; i < BINS; i++) {
        total += (double)h->count[i];
        if (code[i] < 0) p[middle(h, i) < low ? first : last] += (double)h->count[i];
    }
    for (int i = first; i <= last; i++) {
        if (p[i] == 0) continue;
        double q = seen[code[i]] ? inside[code[i]] / seen[code[i]] : 0;
        if (q == 0) q = 1e-4; /* an end where nothing was seen */
        sum += p[i] / total * log(p[i] / total / (q / kept));
    }
    return sum;
}

/* --- */

typedef double loss_fn(const hone_histogram *h, double low, double high);

/* The ends of least loss, one side after the other, each a share of the whole. */
static hone_range best(const hone_histogram *h, loss_fn *loss) {
    double low = h->range.min < 0 ? h->range.min : 0, high = h->range.max > 0 ? h->range.max : 0;
    const double ends[] = {low, high};
    double least = loss(h, low, high);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = TRIES; i > TRIES / 8; i--)
            for (int side = 0; side < 2; side++) {
                double end = ends[side] * i / TRIES, l;
                if (end == 0) continue;
                l = side ? loss(h, low, end) : loss(h, end, high);
                if (l < least) least = l, *(side ? &high : &low) = end;
            }
    return (hone_range){(float)low, (float)high};
}

hone_range hone_histogram_range(const hone_histogram *h, const hone_calibration *how) {
    if (h->total == h->zeros || width_of(h) <= 0) return h->range;
    switch (how->method) {
    case HONE_CALIBRATE_PERCENTILE: return percentile(h, how->percentile);
    case HONE_CALIBRATE_MSE: return best(h, squared_error);
    case HONE_CALIBRATE_ENTROPY: return best(h, divergence);
    case HONE_CALIBRATE_MINMAX: break;
    }
    return h->range;
}
