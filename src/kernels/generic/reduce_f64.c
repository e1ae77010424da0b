/* Softmax and sums in double: the reference for float, and what float64 models run. */
#include "kernels/levels.h"

#include <math.h>

static double max_of(const double *x, int64_t n) {
    double max = x[0];
    for (int64_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

void hone_softmax_f64(const double *x, double *y, int64_t n) {
    if (n == 0) return;
    double max = max_of(x, n), sum = 0;
    for (int64_t i = 0; i < n; i++) sum += y[i] = exp(x[i] - max);
    for (int64_t i = 0; i < n; i++) y[i] /= sum;
}

void hone_log_softmax_f64(const double *x, double *y, int64_t n) {
    if (n == 0) return;
    double max = max_of(x, n), sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - max);
    double log_sum = log(sum);
    for (int64_t i = 0; i < n; i++) y[i] = x[i] - max - log_sum;
}

double hone_sum_f64(const double *x, int64_t n) {
    double sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (int lane = 0; lane < 4; lane++) sum[lane] += x[i + lane];
    for (; i < n; i++) sum[i % 4] += x[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}
