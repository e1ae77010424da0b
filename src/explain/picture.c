/* Explanations as pictures. */
#include "base/error.h"
#include "base/memory.h"
#include "graph/tensor.h"
#include "image/image.h"

#include <hone/explain.h>

#include <math.h>
#include <stdlib.h>

enum { SIDE_LEAST = 224 }; /* smaller pictures are enlarged, pixels staying squares */

typedef struct plane {
    int64_t channels, height, width;
    bool last; /* channels */
} plane;

static bool read_plane(const hone_tensor *x, plane *out) {
    if (hone_tensor_kind(x) != HONE_KIND_TENSOR || x->rank < 3 || x->rank > 4 || x->count == 0) return false;
    const int64_t *d = x->dims + x->rank - 3;
    out->last = x->rank == 4 && d[2] <= 4 && d[0] > 4;
    *out = out->last ? (plane){d[2], d[0], d[1], true} : (plane){d[0], d[1], d[2], false};
    int64_t most = 1 << 14;
    return (x->rank == 3 || x->dims[0] == 1) && out->channels <= 4 && out->height > 1 && out->width > 1 &&
           out->height <= most && out->width <= most;
}

/* The mean of a pixel's channels, or the sum. */
static double at(const hone_tensor *x, const plane *p, int64_t y, int64_t z, bool mean) {
    double sum = 0;
    for (int64_t c = 0; c < p->channels; c++)
        sum += hone_tensor_number(x, p->last ? (y * p->width + z) * p->channels + c
                                             : (c * p->height + y) * p->width + z);
    return mean ? sum / (double)p->channels : sum;
}

/* White where nothing is: a gray pixel turns to red by a share, or to blue. */
static void paint(uint8_t *rgb, double gray, double share) {
    double strength = fmin(fabs(share), 1) * 0.85, base = 64 + gray * 0.7 * 255 * 0.75;
    const double red[] = {214, 39, 40}, blue[] = {31, 87, 190};
    for (int c = 0; c < 3; c++)
        rgb[c] = (uint8_t)(base * (1 - strength) + (share > 0 ? red[c] : blue[c]) * strength);
}

static void range(const hone_tensor *x, const plane *p, double *low, double *high) {
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t y = 0; y < p->height; y++)
        for (int64_t z = 0; z < p->width; z++) {
            double v = at(x, p, y, z, true);
            *low = fmin(*low, v);
            *high = fmax(*high, v);
        }
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What counts as much: the 99th percentile, so that single pixels do not hide the others. */
static double much(const hone_tensor *values, const plane *p, double *sizes) {
    int64_t n = p->height * p->width;
    for (int64_t i = 0; i < n; i++) sizes[i] = fabs(at(values, p, i / p->width, i % p->width, false));
    qsort(sizes, (size_t)n, sizeof *sizes, by_size);
    double limit = sizes[n - 1 - n / 100];
    return limit > 0 ? limit : sizes[n - 1] > 0 ? sizes[n - 1] : 1;
}

static void draw(const hone_tensor *image, const hone_tensor *values, const plane *p, int64_t zoom,
                 double limit, uint8_t *rgb) {
    double low, high;
    range(image, p, &low, &high);
    for (int64_t y = 0; y < p->height * zoom; y++)
        for (int64_t z = 0; z < p->width * zoom; z++) {
            double gray = (at(image, p, y / zoom, z / zoom, true) - low) / (high > low ? high - low : 1);
            paint(rgb + (y * p->width * zoom + z) * 3, gray,
                  at(values, p, y / zoom, z / zoom, false) / limit);
        }
}

hone_status hone_explain_picture(const hone_tensor *image, const hone_tensor *values, void **png,
                                 size_t *size, hone_error *err) {
    plane p, other;
    if (!read_plane(image, &p) || !read_plane(values, &other) || p.channels != other.channels ||
        p.height != other.height || p.width != other.width)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input is no picture [1, C, H, W] or [1, H, W, C]");
    int64_t side = p.height > p.width ? p.height : p.width, zoom = side < SIDE_LEAST ? SIDE_LEAST / side : 1;
    uint8_t *rgb = hone_alloc((size_t)(p.height * p.width * zoom * zoom * 3));
    double *sizes = hone_alloc((size_t)(p.height * p.width) * sizeof *sizes);
    hone_status status = HONE_OK;
    if (!rgb || !sizes) status = hone_fail_memory(err);
    if (status == HONE_OK) {
        draw(image, values, &p, zoom, much(values, &p, sizes), rgb);
        status = hone_png_write(rgb, (int)(p.height * zoom), (int)(p.width * zoom), png, size, err);
    }
    hone_free(rgb);
    hone_free(sizes);
    return status;
}
