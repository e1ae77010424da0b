/* Normalized rows in double: the reference for float, and what float64 models run. */
#include "kernels/levels.h"

#include <math.h>

/* Which scale and bias element i has. */
static int64_t run_of(const hone_normalize *p, int64_t i) {
    return p->run > 1 ? i / p->run : i;
}

static double scaled(const hone_normalize *p, double x, int64_t i) {
    return p->scale ? x * ((const double *)p->scale)[run_of(p, i)] : x;
}

void hone_normalize_f64(const hone_normalize *p, const double *x, double *y, double *mean, double *inv) {
    double n = (double)p->n, squares = 0;
    if (p->n == 0) return;
    double m = p->centered ? hone_sum_f64(x, p->n) / n : 0;
    for (int64_t i = 0; i < p->n; i++) squares += (x[i] - m) * (x[i] - m);
    double s = 1 / sqrt(squares / n + p->epsilon);
    for (int64_t i = 0; i < p->n; i++)
        y[i] = scaled(p, (x[i] - m) * s, i) + (p->bias ? ((const double *)p->bias)[run_of(p, i)] : 0);
    if (mean) *mean = m;
    if (inv) *inv = s;
}

void hone_normalize_grad_f64(const hone_normalize *p, const double *dy, const double *x, double mean,
                             double inv, double *dx, double *dscale, double *dbias) {
    double sum = 0, product = 0;
    int64_t run = p->run > 0 ? p->run : p->n;
    for (int64_t first = 0; first < p->n; first += run) {
        double of_scale = 0, of_bias = 0;
        for (int64_t i = first; i < first + run; i++) {
            double g = scaled(p, dy[i], i), normalized = (x[i] - mean) * inv;
            of_scale += dy[i] * normalized;
            of_bias += dy[i];
            sum += g;
            product += g * normalized;
        }
        if (dscale) dscale[first / run] = of_scale;
        if (dbias) dbias[first / run] = of_bias;
    }
    double mean_g = p->centered ? sum / (double)p->n : 0, slope = product / (double)p->n;
    for (int64_t i = 0; i < p->n; i++)
        dx[i] = inv * (scaled(p, dy[i], i) - mean_g - (x[i] - mean) * inv * slope);
}
