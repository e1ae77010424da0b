#include "data/augment.h"

#include "base/random.h"

#include <math.h>
#include <string.h>

/* In [-1, 1). */
static double both_ways(hone_rng *rng) {
    return 2 * (double)hone_rng_uniform(rng) - 1;
}

/* `factor` times as fast around the middle, moved by `shift` samples; between samples a line. What comes in is silence. */
static void stretch(float *x, int64_t n, double factor, double shift, float *scratch) {
    memcpy(scratch, x, (size_t)n * sizeof *x);
    double middle = (double)(n - 1) / 2;
    for (int64_t i = 0; i < n; i++) {
        double at = middle + ((double)i - middle - shift) * factor, low = floor(at), rest = at - low;
        int64_t k = (int64_t)low;
        float a = k >= 0 && k < n ? scratch[k] : 0, b = k + 1 >= 0 && k + 1 < n ? scratch[k + 1] : 0;
        x[i] = (float)((1 - rest) * (double)a + rest * (double)b);
    }
}

/* Highs over lows (a > 0), or the other way round. */
static void tilt(float *x, int64_t n, float a) {
    float before = 0;
    for (int64_t i = 0; i < n; i++) {
        float now = x[i];
        x[i] = now - a * before;
        before = now;
    }
}

/* Three of them, within a twelfth of the clip. */
static void echo(hone_rng *rng, float *x, int64_t n, float *scratch) {
    memcpy(scratch, x, (size_t)n * sizeof *x);
    float loud = 0.6f;
    for (int e = 0; e < 3; e++, loud *= 0.6f) {
        int64_t late = 1 + (int64_t)hone_rng_below(rng, (uint32_t)(n / 12 + 1));
        float g = loud * hone_rng_uniform(rng);
        for (int64_t i = late; i < n; i++) x[i] += g * scratch[i - late];
    }
}

static float loudness(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return (float)sqrt(sum / (double)n);
}

static float sample_at(const float *x, int64_t n, int64_t i) {
    return i >= 0 && i < n ? x[i] : 0;
}

/* How like what is around `b` is to what is around `a`, whose loudness does not matter; every `step`th sample tells. */
static float likeness(const float *x, int64_t n, int64_t a, int64_t b, int64_t half, int64_t step) {
    float both = 0, loud = 1e-9f;
    int64_t low = a < b ? a : b, high = a < b ? b : a, first = -half, end = half;
    if (first < -low) first += (-low - first + step - 1) / step * step; /* beyond the ends there is silence */
    if (end > n - high) end = n - high;
    for (int64_t m = first; m < end; m += step) {
        both += x[a + m] * x[b + m];
        loud += x[b + m] * x[b + m];
    }
    return both / sqrtf(loud);
}

/* The most alike of from - reach, from - reach + every, … from + reach. */
static int64_t best_of(const float *x, int64_t n, int64_t wanted, int64_t from, int64_t half, int64_t reach,
                       int64_t every, int64_t step) {
    int64_t best = from;
    float most = likeness(x, n, wanted, from, half, step);
    for (int64_t shift = -reach; shift <= reach; shift += every) {
        float now = likeness(x, n, wanted, from + shift, half, step);
        if (now <= most) continue;
        most = now;
        best = from + shift;
    }
    return best;
}

/* Where near `from` it goes on as at `wanted`: roughly first. */
static int64_t find_alike(const float *x, int64_t n, int64_t wanted, int64_t from, int64_t half) {
    int64_t every = half > 64 ? half / 32 : 2;
    from = best_of(x, n, wanted, from, half, half / 2 / every * every, every, 2 * every);
    return best_of(x, n, wanted, from, half, every - 1, 1, every);
}

/* Frequencies times `factor`, as in a shorter throat (> 1) or a longer one, in the same time: grains of 32 ms, each around its
 * middle as much faster, are laid over each other; a grain is taken from where it goes on as the one before would (Verhelst and
 * Roelands 1993, "An overlap-add technique based on waveform similarity"). */
static void change_throat(float *x, int64_t n, double factor, int rate, float *scratch) {
    const int64_t half = rate / 62 > 4 ? rate / 62 : 4;
    const double turn_cos = cos(M_PI / (double)half), turn_sin = sin(M_PI / (double)half);
    int64_t from = 0;
    memcpy(scratch, x, (size_t)n * sizeof *x);
    memset(x, 0, (size_t)n * sizeof *x);
    for (int64_t middle = 0; middle < n + half; middle += half) {
        from = middle ? find_alike(scratch, n, from + (int64_t)(factor * (double)half), middle, half) : 0;
        double c = -1, s = 0; /* cos and sin of pi j / half */
        for (int64_t j = -half; j < half; j++) {
            double at = (double)j * factor, low = floor(at), rest = at - low;
            if (middle + j >= 0 && middle + j < n) {
                float a = sample_at(scratch, n, from + (int64_t)low),
                      b = sample_at(scratch, n, from + (int64_t)low + 1);
                x[middle + j] += (float)((0.5 + 0.5 * c) * ((1 - rest) * (double)a + rest * (double)b));
            }
            double next = c * turn_cos - s * turn_sin;
            s = s * turn_cos + c * turn_sin;
            c = next;
        }
    }
}

/* Up to an eighth of the clip falls silent. */
static void fall_silent(hone_rng *rng, float *x, int64_t n) {
    int64_t length = (int64_t)(hone_rng_uniform(rng) * (double)n / 8),
            start = (int64_t)hone_rng_below(rng, (uint32_t)(n - length) + 1);
    if (start + length > n) length = n - start;
    memset(x + start, 0, (size_t)length * sizeof *x);
}

/* A biquad that takes out what is around `at`, a share of the rate (Bristow-Johnson's notch). */
static void notch(float *x, int64_t n, double at, double q) {
    double w = 2 * M_PI * at, alpha = sin(w) / (2 * q), b0 = 1 / (1 + alpha), middle = -2 * cos(w) * b0,
           end = (1 - alpha) * b0;
    double x1 = 0, x2 = 0, y1 = 0, y2 = 0;
    for (int64_t i = 0; i < n; i++) {
        double now = (double)x[i], y = (now + x2) * b0 + middle * (x1 - y1) - end * y2;
        if (fabs(y) < 1e-20) y = 0; /* what fades is not to become subnormal */
        x2 = x1;
        x1 = now;
        y2 = y1;
        y1 = y;
        x[i] = (float)y;
    }
}

/* A band of an octave or less, anywhere in the five below nine tenths of half the rate. */
static void take_out_band(hone_rng *rng, float *x, int64_t n) {
    double at = 0.45 * exp2(-5 * (double)hone_rng_uniform(rng)), width = (double)hone_rng_uniform(rng);
    for (int k = -1; k <= 1; k += 2) notch(x, n, fmin(at * exp2(0.25 * k * width), 0.49), 1 / (0.2 + width));
}

void hone_augment_sound(const hone_augment *a, uint64_t seed, uint64_t epoch, uint64_t sample, float *x,
                        int64_t n, float *scratch) {
    uint64_t parts[] = {epoch, sample};
    hone_rng rng = hone_rng_make(seed, hone_hash(parts, sizeof parts));
    double factor = exp(both_ways(&rng) * log1p(a->speed)), shift = both_ways(&rng) * a->shift * (double)n;
    if (a->speed > 0 || a->shift > 0) stretch(x, n, factor, shift, scratch);
    if (a->throat > 0) change_throat(x, n, exp(both_ways(&rng) * log1p(a->throat)), a->rate, scratch);
    if (a->tilt > 0) tilt(x, n, (float)(both_ways(&rng) * a->tilt));
    if (a->echo > 0 && (double)hone_rng_uniform(&rng) < a->echo) echo(&rng, x, n, scratch);
    if (a->holes > 0 && (double)hone_rng_uniform(&rng) < a->holes) fall_silent(&rng, x, n);
    if (a->holes > 0 && (double)hone_rng_uniform(&rng) < a->holes) take_out_band(&rng, x, n);
    if (a->noise > 0) {
        /* uniform in ±1 has the mean square 1/3 */
        float level = loudness(x, n) * (float)(a->noise * (double)hone_rng_uniform(&rng)) * 1.7320508f;
        for (int64_t i = 0; i < n; i++) x[i] += level * (float)both_ways(&rng);
    }
    if (a->gain > 0) {
        float g = (float)pow(10, both_ways(&rng) * a->gain / 20);
        for (int64_t i = 0; i < n; i++) x[i] *= g;
    }
}
