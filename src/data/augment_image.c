#include "data/augment.h"

#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef const hone_picture_layout layout;

/* --- places --- */

static void mirror(float *image, layout *l) {
    for (int64_t i = 0; i < l->planes * l->height; i++) {
        float *row = image + i * l->width * l->pixel;
        for (int64_t a = 0, b = l->width - 1; a < b; a++, b--)
            for (int64_t c = 0; c < l->pixel; c++) {
                float kept = row[a * l->pixel + c];
                row[a * l->pixel + c] = row[b * l->pixel + c];
                row[b * l->pixel + c] = kept;
            }
    }
}

/* A plane down by `dy` and right by `dx` values; what comes in is 0. */
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
static void erase(hone_rng *rng, float *image, layout *l) {
    double area = (0.02 + 0.23 * hone_rng_uniform(rng)) * (double)(l->height * l->width);
    double ratio = exp(log(0.3) + (log(3.3) - log(0.3)) * hone_rng_uniform(rng));
    int64_t h = (int64_t)fmin(fmax(sqrt(area * ratio), 1), (double)l->height),
            w = (int64_t)fmin(fmax(sqrt(area / ratio), 1), (double)l->width);
    int64_t y = hone_rng_below(rng, (uint32_t)(l->height - h + 1)),
            x = hone_rng_below(rng, (uint32_t)(l->width - w + 1));
    for (int64_t p = 0; p < l->planes; p++)
        for (int64_t i = y; i < y + h; i++)
            for (int64_t k = x * l->pixel; k < (x + w) * l->pixel; k++)
                image[(p * l->height + i) * l->width * l->pixel + k] = hone_rng_uniform(rng);
}

/* The value at (x, y) around the middle comes from (a x + b y + dx, c x + d y + dy), between pixels by lines; beyond the
 * edges there is 0. */
typedef struct affine {
    double a, b, c, d, dx, dy;
} affine;

static float at(const float *plane, layout *l, int64_t y, int64_t x, int64_t c) {
    bool inside = y >= 0 && y < l->height && x >= 0 && x < l->width;
    return inside ? plane[(y * l->width + x) * l->pixel + c] : 0;
}

static void warp(float *image, layout *l, const affine *f, float *scratch) {
    const int64_t plane = l->height * l->width * l->pixel;
    const double my = (double)(l->height - 1) / 2, mx = (double)(l->width - 1) / 2;
    memcpy(scratch, image, (size_t)(l->planes * plane) * sizeof *image);
    for (int64_t y = 0; y < l->height; y++)
        for (int64_t x = 0; x < l->width; x++) {
            double u = (double)x - mx, v = (double)y - my, fx = f->a * u + f->b * v + f->dx + mx,
                   fy = f->c * u + f->d * v + f->dy + my;
            int64_t x0 = (int64_t)floor(fx), y0 = (int64_t)floor(fy);
            float wx = (float)(fx - (double)x0), wy = (float)(fy - (double)y0);
            for (int64_t p = 0; p < l->planes; p++)
                for (int64_t c = 0; c < l->pixel; c++) {
                    const float *from = scratch + p * plane;
                    float top = (1 - wx) * at(from, l, y0, x0, c) + wx * at(from, l, y0, x0 + 1, c),
                          low = (1 - wx) * at(from, l, y0 + 1, x0, c) + wx * at(from, l, y0 + 1, x0 + 1, c);
                    image[p * plane + (y * l->width + x) * l->pixel + c] = (1 - wy) * top + wy * low;
                }
        }
}

/* --- colours --- values are in [0, 1] */

static float held(float x) {
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static int64_t size_of(layout *l) {
    return l->planes * l->height * l->width * l->pixel;
}

static void brighten(float *image, layout *l, float factor) {
    for (int64_t i = 0; i < size_of(l); i++) image[i] = held(image[i] * factor);
}

static void contrast(float *image, layout *l, float factor) {
    double sum = 0;
    for (int64_t i = 0; i < size_of(l); i++) sum += (double)image[i];
    float mean = (float)(sum / (double)size_of(l));
    for (int64_t i = 0; i < size_of(l); i++) image[i] = held(mean + (image[i] - mean) * factor);
}

/* Of red, green and blue, around their gray (ITU-R BT.601). */
static void saturate(float *image, layout *l, float factor) {
    int64_t pixels = l->height * l->width, next = l->planes > 1 ? pixels : 1;
    if (l->planes * l->pixel != 3) return;
    for (int64_t i = 0; i < pixels; i++) {
        float *p = image + i * l->pixel, gray = 0.299f * p[0] + 0.587f * p[next] + 0.114f * p[2 * next];
        for (int c = 0; c < 3; c++) p[c * next] = held(gray + (p[c * next] - gray) * factor);
    }
}

static void solarize(float *image, layout *l, float from) {
    for (int64_t i = 0; i < size_of(l); i++)
        if (image[i] >= from) image[i] = 1 - image[i];
}

static void posterize(float *image, layout *l, int bits) {
    float levels = (float)(1 << bits);
    for (int64_t i = 0; i < size_of(l); i++) image[i] = floorf(held(image[i]) * 255 / 256 * levels) / levels;
}

static void stretch_values(float *image, layout *l) {
    float low = image[0], high = image[0];
    for (int64_t i = 1; i < size_of(l); i++) {
        low = fminf(low, image[i]);
        high = fmaxf(high, image[i]);
    }
    for (int64_t i = 0; i < size_of(l) && high > low; i++) image[i] = (image[i] - low) / (high - low);
}

/* One change of these, as strong as it comes (Müller and Hutter 2021, arXiv 2103.10158). */
static void trivial(hone_rng *rng, float *image, layout *l, float *scratch) {
    enum {
        IDENTITY,
        TURN,
        SHEAR_X,
        SHEAR_Y,
        MOVE_X,
        MOVE_Y,
        LIGHT,
        CONTRAST,
        COLOR,
        SOLARIZE,
        POSTERIZE,
        STRETCH,
        KINDS
    };
    const uint32_t kind = hone_rng_below(rng, KINDS);
    const double strong = hone_rng_uniform(rng), sign = hone_rng_uniform(rng) < 0.5f ? -1 : 1,
                 amount = sign * strong;
    affine f = {1, 0, 0, 1, 0, 0};
    switch (kind) {
    case TURN: {
        double angle = amount * 30 * M_PI / 180;
        f = (affine){cos(angle), sin(angle), -sin(angle), cos(angle), 0, 0};
        break;
    }
    case SHEAR_X: f.b = 0.4 * amount; break;
    case SHEAR_Y: f.c = 0.4 * amount; break;
    case MOVE_X: f.dx = 0.25 * amount * (double)l->width; break;
    case MOVE_Y: f.dy = 0.25 * amount * (double)l->height; break;
    case LIGHT: brighten(image, l, (float)(1 + 0.9 * amount)); break;
    case CONTRAST: contrast(image, l, (float)(1 + 0.9 * amount)); break;
    case COLOR: saturate(image, l, (float)(1 + 0.9 * amount)); break;
    case SOLARIZE: solarize(image, l, (float)(1 - strong)); break;
    case POSTERIZE: posterize(image, l, 8 - (int)(6 * strong)); break;
    case STRETCH: stretch_values(image, l); break;
    default: break;
    }
    if (kind >= TURN && kind <= MOVE_Y) warp(image, l, &f, scratch);
}

static float around_one(hone_rng *rng, double width) {
    return (float)(1 + width * (2 * (double)hone_rng_uniform(rng) - 1));
}

void hone_augment_image(const hone_augment *a, uint64_t seed, uint64_t epoch, uint64_t sample, float *image,
                        const hone_picture_layout *l, float *scratch) {
    uint64_t parts[] = {epoch, sample};
    hone_rng rng = hone_rng_make(seed, hone_hash(parts, sizeof parts));
    if (a->flip && hone_rng_uniform(&rng) < 0.5f) mirror(image, l);
    if (a->crop > 0) {
        int64_t dy = (int64_t)hone_rng_below(&rng, 2 * (uint32_t)a->crop + 1) - a->crop,
                dx = (int64_t)hone_rng_below(&rng, 2 * (uint32_t)a->crop + 1) - a->crop,
                row = l->width * l->pixel;
        for (int64_t p = 0; p < l->planes; p++)
            move(image + p * l->height * row, l->height, row, dy, dx * l->pixel);
    }
    if (a->trivial) trivial(&rng, image, l, scratch);
    if (a->color > 0) {
        brighten(image, l, around_one(&rng, a->color));
        contrast(image, l, around_one(&rng, a->color));
        saturate(image, l, around_one(&rng, a->color));
    }
    if (a->erase > 0 && hone_rng_uniform(&rng) < (float)a->erase) erase(&rng, image, l);
}
