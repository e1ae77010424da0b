/* Normalized rows in double: the reference for float, and what float64 models run. */
#include "kernels/levels.h"

#include <math.h>

static double scaled(const hone_normalize *p, double x, int64_t i) {
    return p->scale ? x * ((const double *)p->scale)[i] : x;
}

void hone_normalize_f64(const hone_normalize *p, const double *x, double *y, double *mean, double *inv) {
    double n = (double)p->n, squares = 0;
    if (p->n == 0) return;
    double m = p->centered ? hone_sum_f64(x, p->n) / n : 0;
    for (int64_t i = 0; i < p->n; i++) squares += (x[i] - m) * (x[i] - m);
    double s = 1 / sqrt(squares / n + p->epsilon);
    for (int64_t i = 0; i < p->n; i++)
        y[i] = scaled(p, (x[i] - m) * s, i) + (p->bias ? ((const double *)p->bias)[i] : 0);
    if (mean) *mean = m;
    if (inv) *inv = s;
}

void hone_normalize_grad_f64(const hone_normalize *p, const double *dy, const double *x, double mean,
                             double inv, double *dx) {
    double sum = 0, product = 0;
    for (int64_t i = 0; i < p->n; i++) {
        double g = scaled(p, dy[i], i);
        sum += g;
        product += g * (x[i] - mean) * inv;
    }
    double mean_g = p->centered ? sum / (double)p->n : 0, slope = product / (double)p->n;
    for (int64_t i = 0; i < p->n; i++)
        dx[i] = inv * (scaled(p, dy[i], i) - mean_g - (x[i] - mean) * inv * slope);
}
