#include "kernels/regions.h"

#include <math.h>
#include <string.h>

#define CHANNELS 16 /* at a time */

/* The samples of a bin along an axis: number `first` to `last` - 1, of `count`, may be inside. */
typedef struct samples {
    double start, step, count;
    int64_t first, last;
    bool beyond; /* there are others */
} samples;

/* Of bin `bin` of a region that begins at `start` and has bins of that size. */
static samples find_samples(double start, double size, int64_t bin, int64_t grid, int64_t elements) {
    const double far = 4503599627370496.0; /* 2^52: whole numbers up to there are exact */
    samples s = {.start = start + (double)bin * size, .count = grid > 0 ? (double)grid : ceil(size)};
    double low = 0, high = s.count;
    if (!(s.count > 0)) return (samples){0};
    s.step = size / s.count;
    if (s.step > 0) {
        low = fmax(0, floor((-1 - s.start) / s.step - 1));
        high = fmin(s.count, ceil(((double)elements - s.start) / s.step + 1));
    }
    s.beyond = low > 0 || high < s.count;
    if (!(low < high) || high > far) return s;
    s.first = (int64_t)low;
    s.last = (int64_t)high;
    return s;
}

/* Two elements of an axis and their weights. */
typedef struct pair {
    int64_t at[2];
    double weight[2];
} pair;

/* False: the sample is outside. */
static bool find_pair(const samples *s, int64_t i, int64_t elements, pair *p) {
    double x = s->start + ((double)i + 0.5) * s->step;
    if (!(x >= -1 && x <= (double)elements) || elements == 0) return false;
    x = fmax(x, 0);
    int64_t low = (int64_t)x;
    if (low >= elements - 1) {
        *p = (pair){{elements - 1, elements - 1}, {1, 0}};
        return true;
    }
    *p = (pair){{low, low + 1}, {1 - (x - (double)low), x - (double)low}};
    return true;
}

/* A region in elements. */
typedef struct region {
    double x, y, width, height; /* sizes of a bin */
} region;

static double at_least_one(double x) {
    return x > 1 ? x : 1;
}

#define REAL float
#define NAME(x) x##_f32
#include "kernels/generic/regions.inc.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(x) x##_f64
#include "kernels/generic/regions.inc.h"
