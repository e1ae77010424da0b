#include "kernels/sampling.h"

#include <math.h>

/* Where reflection and clamping begin. */
static void borders(const hone_sampling *s, int axis, double *low, double *high) {
    *low = s->align_corners ? 0 : -0.5;
    *high = (double)s->dims[axis] - (s->align_corners ? 1 : 0.5);
}

/* x reflected until it lies between the borders; *sign: along which way x then goes. */
static double reflected(double x, double low, double high, double *sign) {
    double range = high - low;
    *sign = 1;
    if (x >= low && x <= high) return x;
    if (!(range > 0)) {
        *sign = 0;
        return low;
    }
    bool below = x < low;
    double beyond = below ? low - x : x - high, times = floor(beyond / range), rest = beyond - times * range;
    bool odd = fmod(times, 2) != 0, from_low = below != odd;
    *sign = odd ? 1 : -1;
    return from_low ? low + rest : high - rest;
}

/* The coordinate in elements, held or reflected where it is outside (of a cubic the elements are held, each for itself);
 * *slope: how fast it goes with the coordinate. */
static double place(const hone_sampling *s, int axis, double coordinate, double *slope) {
    double n = (double)s->dims[axis], low, high, sign = 1;
    double x = s->align_corners ? (coordinate + 1) / 2 * (n - 1) : ((coordinate + 1) * n - 1) / 2;
    *slope = (s->align_corners ? n - 1 : n) / 2;
    if (s->plain) {
        x = coordinate;
        *slope = 1;
    }
    if (x != x) x = -1e9; /* nowhere */
    x = fmin(fmax(x, -1e9), 1e9);
    if (s->mode == HONE_SAMPLE_NEAREST) x = rint(x);
    borders(s, axis, &low, &high);
    if (x >= low && x <= high) return x;
    if (s->padding == HONE_SAMPLE_REFLECTION) {
        x = reflected(x, low, high, &sign);
        *slope *= sign;
    } else if (s->padding == HONE_SAMPLE_BORDER && s->mode != HONE_SAMPLE_CUBIC && (x < 0 || x > n - 1)) {
        x = x < 0 ? 0 : n - 1;
        *slope = 0;
    }
    return x;
}

/* The element at a whole position, -1: a zero. */
static int64_t element(const hone_sampling *s, int axis, double at) {
    double low, high, sign, last = (double)(s->dims[axis] - 1);
    if (at < 0 || at > last) {
        if (s->padding == HONE_SAMPLE_ZEROS) return -1;
        if (s->padding == HONE_SAMPLE_REFLECTION) {
            borders(s, axis, &low, &high);
            at = trunc(reflected(at, low, high, &sign));
        }
        at = fmin(fmax(at, 0), last);
    }
    return (int64_t)at;
}

/* What a sample is made of along an axis. */
typedef struct line {
    int count;
    int64_t from[HONE_SAMPLE_TAPS];
    double weight[HONE_SAMPLE_TAPS];
} line;

/* Keys' cubic of parameter -0.75 at the distances 1 + f, f, 1 - f, 2 - f, or its derivative to f. */
static void cubic(double f, bool derivative, double *w) {
    const double a = -0.75;
    const double d[] = {1 + f, f, 1 - f, 2 - f}, sign[] = {1, 1, -1, -1};
    for (int k = 0; k < 4; k++) {
        bool far = k == 0 || k == 3;
        if (derivative)
            w[k] = sign[k] *
                   (far ? (3 * a * d[k] - 10 * a) * d[k] + 8 * a : (3 * (a + 2) * d[k] - 2 * (a + 3)) * d[k]);
        else
            w[k] = far ? ((a * d[k] - 5 * a) * d[k] + 8 * a) * d[k] - 4 * a
                       : ((a + 2) * d[k] - (a + 3)) * d[k] * d[k] + 1;
    }
}

static line find_line(const hone_sampling *s, int axis, double coordinate, bool derivative) {
    double slope, x = place(s, axis, coordinate, &slope), first = floor(x), f = x - first;
    line l = {.count = 2};
    if (s->mode == HONE_SAMPLE_NEAREST) {
        l.count = 1;
        l.weight[0] = derivative ? 0 : 1;
        l.from[0] = element(s, axis, x);
        return l;
    }
    if (s->mode == HONE_SAMPLE_CUBIC) {
        l.count = 4;
        first -= 1;
        cubic(f, derivative, l.weight);
    } else {
        l.weight[0] = derivative ? -1 : 1 - f;
        l.weight[1] = derivative ? 1 : f;
    }
    for (int k = 0; k < l.count; k++) {
        l.from[k] = element(s, axis, first + k);
        if (derivative) l.weight[k] *= slope;
    }
    return l;
}

int hone_sampling_taps(const hone_sampling *s) {
    int each = s->mode == HONE_SAMPLE_NEAREST ? 1 : s->mode == HONE_SAMPLE_LINEAR ? 2 : 4, taps = 1;
    for (int d = 0; d < s->rank; d++) taps *= each;
    return taps;
}

void hone_sampling_find(const hone_sampling *s, const double *coordinates, int64_t n, int along,
                        int64_t *start, int64_t *from, double *weight) {
    int64_t taps = 0;
    start[0] = 0;
    for (int64_t i = 0; i < n; i++) {
        line l[HONE_SAMPLE_AXES];
        int all = 1;
        for (int d = 0; d < s->rank; d++) {
            l[d] = find_line(s, d, coordinates[i * s->rank + s->rank - 1 - d], d == along);
            all *= l[d].count;
        }
        for (int t = 0; t < all; t++) {
            int64_t at = 0;
            double w = 1;
            bool zero = false;
            for (int d = s->rank - 1, rest = t; d >= 0; rest /= l[d--].count) {
                int k = rest % l[d].count;
                zero |= l[d].from[k] < 0;
                at += l[d].from[k] * s->strides[d];
                w *= l[d].weight[k];
            }
            if (zero || w == 0) continue;
            from[taps] = at;
            weight[taps++] = w;
        }
        start[i + 1] = taps;
    }
}

void hone_sampling_nearest(const hone_sampling *s, const double *coordinates, int64_t n, int64_t *from) {
    for (int64_t i = 0; i < n; i++) {
        from[i] = 0;
        for (int d = 0; d < s->rank; d++) {
            double slope;
            int64_t at = element(s, d, place(s, d, coordinates[i * s->rank + s->rank - 1 - d], &slope));
            from[i] = at < 0 || from[i] < 0 ? -1 : from[i] + at * s->strides[d];
        }
    }
}
