#include "data/augment.h"

#include "base/error.h"
#include "base/random.h"

#include <hone/data.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- reading --- */

/* The number behind "NAME:"; false if there is none, or more than `high`. */
static bool amount(const char *text, double high, double *out) {
    char *end;
    *out = strtod(text, &end);
    return end != text && !*end && *out >= 0 && *out <= high;
}

static bool parse_one(const char *word, hone_augment *out) {
    double x;
    if (strcmp(word, "flip") == 0) return out->flip = true;
    if (strncmp(word, "crop:", 5) == 0 && amount(word + 5, 64, &x) && x == floor(x)) {
        out->crop = (int)x;
        return true;
    }
    const struct {
        const char *name;
        double high, *to;
    } amounts[] = {{"erase:", 1, &out->erase}, {"speed:", 1, &out->speed}, {"shift:", 1, &out->shift},
                   {"gain:", 60, &out->gain},  {"noise:", 1, &out->noise}, {"tilt:", 1, &out->tilt},
                   {"echo:", 1, &out->echo}};
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
        size_t n = strlen(amounts[i].name);
        if (strncmp(word, amounts[i].name, n) == 0) return amount(word + n, amounts[i].high, amounts[i].to);
    }
    return false;
}

hone_status hone_augment_parse(const char *text, hone_augment *out, hone_error *err) {
    *out = (hone_augment){0};
    char word[32];
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, ",");
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), at);
        if (length >= sizeof word || !parse_one(word, out))
            return hone_fail(
                err, HONE_INVALID_ARGUMENT,
                "augmentation \"%s\" is not known: there are flip, crop:PIXELS and erase:SHARE of images, "
                "speed:SHARE, shift:SHARE, gain:DB, noise:SHARE, tilt:X and echo:SHARE of sound, with commas between them",
                word);
        at += length + (at[length] == ',');
    }
    return HONE_OK;
}

hone_status hone_augment_check(const char *text, hone_error *err) {
    hone_augment a;
    return hone_augment_parse(text, &a, err);
}

/* --- doing --- */

static void mirror(float *image, int64_t rows, int64_t width) {
    for (int64_t i = 0; i < rows; i++) {
        float *row = image + i * width;
        for (int64_t a = 0, b = width - 1; a < b; a++, b--) {
            float kept = row[a];
            row[a] = row[b];
            row[b] = kept;
        }
    }
}

/* Down by `dy` and right by `dx`; what comes in is 0. */
static void move(float *plane, int64_t height, int64_t width, int64_t dy, int64_t dx) {
    int64_t from_x = dx > 0 ? 0 : -dx, to_x = dx > 0 ? dx : 0, n = width - llabs(dx);
    for (int64_t i = 0; i < height; i++) {
        int64_t to = dy > 0 ? height - 1 - i : i, from = to - dy;
        float *row = plane + to * width;
        if (from < 0 || from >= height || n <= 0) {
            memset(row, 0, (size_t)width * sizeof *row);
            continue;
        }
        memmove(row + to_x, plane + from * width + from_x, (size_t)n * sizeof *row);
        if (dx > 0) memset(row, 0, (size_t)dx * sizeof *row);
        if (dx < 0) memset(row + n, 0, (size_t)-dx * sizeof *row);
    }
}

/* A rectangle of 2 to 25 % of the image, 0.3 to 3.3 times as high as wide (Zhong et al. 2017, arXiv 1708.04896). */
static void erase(hone_rng *rng, float *image, int64_t channels, int64_t height, int64_t width) {
    double area = (0.02 + 0.23 * hone_rng_uniform(rng)) * (double)(height * width);
    double ratio = exp(log(0.3) + (log(3.3) - log(0.3)) * hone_rng_uniform(rng));
    int64_t h = (int64_t)fmin(fmax(sqrt(area * ratio), 1), (double)height),
            w = (int64_t)fmin(fmax(sqrt(area / ratio), 1), (double)width);
    int64_t y = hone_rng_below(rng, (uint32_t)(height - h + 1)),
            x = hone_rng_below(rng, (uint32_t)(width - w + 1));
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = y; i < y + h; i++)
            for (int64_t k = x; k < x + w; k++) image[(c * height + i) * width + k] = hone_rng_uniform(rng);
}

void hone_augment_image(const hone_augment *a, uint64_t seed, uint64_t epoch, uint64_t sample, float *image,
                        int64_t channels, int64_t height, int64_t width) {
    uint64_t parts[] = {epoch, sample};
    hone_rng rng = hone_rng_make(seed, hone_hash(parts, sizeof parts));
    if (a->flip && hone_rng_uniform(&rng) < 0.5f) mirror(image, channels * height, width);
    if (a->crop > 0) {
        int64_t dy = (int64_t)hone_rng_below(&rng, 2 * (uint32_t)a->crop + 1) - a->crop,
                dx = (int64_t)hone_rng_below(&rng, 2 * (uint32_t)a->crop + 1) - a->crop;
        for (int64_t c = 0; c < channels; c++) move(image + c * height * width, height, width, dy, dx);
    }
    if (a->erase > 0 && hone_rng_uniform(&rng) < (float)a->erase) erase(&rng, image, channels, height, width);
}

/* --- sound --- */

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

void hone_augment_sound(const hone_augment *a, uint64_t seed, uint64_t epoch, uint64_t sample, float *x, int64_t n,
                        float *scratch) {
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
