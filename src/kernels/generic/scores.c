#include "kernels/portable.h"

#include <math.h>

void hone_softmax_zero(const double *x, double *y, int64_t n) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = x[i] > most ? x[i] : most;
    for (int64_t i = 0; i < n; i++) sum += y[i] = fabs(x[i]) > 1e-7 ? exp(x[i] - most) : x[i] * exp(-most);
    for (int64_t i = 0; i < n; i++) y[i] = sum == 0 ? 0.5 : y[i] / sum;
}

/* A first guess (Winitzki, "A handy approximation for the error function and its inverse", 2008), then Newton's steps. */
static double erf_inverse(double x) {
    const double a = 0.147, log_rest = log((1 - x) * (1 + x)),
                 b = 2 / (3.14159265358979324 * a) + log_rest / 2;
    double y = copysign(sqrt(sqrt(b * b - log_rest / a) - b), x);
    if (!(fabs(x) < 1)) return x == 1 ? INFINITY : x == -1 ? -INFINITY : NAN;
    for (int i = 0; i < 3; i++) y -= (erf(y) - x) * 0.886226925452758014 * exp(y * y);
    return y;
}

void hone_probit(const double *x, double *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = 1.41421356237309505 * erf_inverse(2 * x[i] - 1);
}
