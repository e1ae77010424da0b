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

void hone_augment_sound(const hone_augment *a, uint64_t seed, uint64_t epoch, uint64_t sample, float *x,
                        int64_t n, float *scratch) {
    uint64_t parts[] = {epoch, sample};
    hone_rng rng = hone_rng_make(seed, hone_hash(parts, sizeof parts));
    double factor = exp(both_ways(&rng) * log1p(a->speed)), shift = both_ways(&rng) * a->shift * (double)n;
    if (a->speed > 0 || a->shift > 0) stretch(x, n, factor, shift, scratch);
    if (a->tilt > 0) tilt(x, n, (float)(both_ways(&rng) * a->tilt));
    if (a->echo > 0 && (double)hone_rng_uniform(&rng) < a->echo) echo(&rng, x, n, scratch);
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
