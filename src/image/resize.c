#include "image/formats.h"

#include <math.h>

/* What one output pixel takes along an axis. */
typedef struct taps {
    int first, count;
    float *weight;
} taps;

/* A triangle around the middle of output pixel i: as wide as two input pixels, or two output pixels if those are
 * larger. */
static void weigh(taps *t, int i, int in, double ratio) {
    double support = ratio > 1 ? ratio : 1, middle = (i + 0.5) * ratio, sum = 0;
    int first = (int)(middle - support + 0.5), last = (int)(middle + support + 0.5);
    t->first = first > 0 ? first : 0;
    t->count = (last < in ? last : in) - t->first;
    for (int k = 0; k < t->count; k++) {
        double w = 1 - fabs((t->first + k + 0.5 - middle) / support);
        t->weight[k] = (float)(w > 0 ? w : 0);
        sum += t->weight[k];
    }
    for (int k = 0; k < t->count; k++) t->weight[k] = (float)(t->weight[k] / sum);
}

/* Along one axis: `lines` lines of `in` pixels, `step` bytes from pixel to pixel and `stride` from line to line, to
 * lines of `size`. */
typedef struct axis {
    int in, size;
    int64_t lines, in_step, in_stride, out_step, out_stride;
} axis;

static uint8_t rounded(float x) {
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x + 0.5f);
}

static bool resample(const axis *a, const uint8_t *in, uint8_t *out) {
    double ratio = (double)a->in / a->size;
    taps t = {.weight = hone_alloc((size_t)(2 * (ratio > 1 ? ratio : 1) + 3) * sizeof(float))};
    if (!t.weight) return false;
    for (int i = 0; i < a->size; i++) {
        weigh(&t, i, a->in, ratio);
        for (int64_t line = 0; line < a->lines; line++) {
            const uint8_t *from = in + line * a->in_stride + t.first * a->in_step;
            float sum[3] = {0};
            for (int k = 0; k < t.count; k++)
                for (int c = 0; c < 3; c++) sum[c] += t.weight[k] * from[k * a->in_step + c];
            for (int c = 0; c < 3; c++) out[line * a->out_stride + i * a->out_step + c] = rounded(sum[c]);
        }
    }
    hone_free(t.weight);
    return true;
}

hone_status hone_image_resize(const hone_image *in, int height, int width, hone_image *out, hone_error *err) {
    hone_image wide = {0}, made = {0};
    if (height < 1 || width < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "an image of %d x %d pixels", width, height);
    hone_status status = hone_image_make(in->height, width, &wide, err);
    if (status == HONE_OK) status = hone_image_make(height, width, &made, err);
    axis across = {in->width, width, in->height, 3, 3LL * in->width, 3, 3LL * width};
    axis down = {in->height, height, width, 3LL * width, 3, 3LL * width, 3};
    if (status == HONE_OK &&
        !(resample(&across, in->pixels, wide.pixels) && resample(&down, wide.pixels, made.pixels)))
        status = hone_fail_memory(err);
    hone_image_free(&wide);
    if (status == HONE_OK)
        *out = made;
    else
        hone_image_free(&made);
    return status;
}
