#include "kernels/portable.h"

#include <math.h>

void hone_softcap_f64(double *x, int64_t n, double cap) {
    for (int64_t i = 0; i < n; i++) x[i] = cap * tanh(x[i] / cap);
}

void hone_add_f64(double *x, const double *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] += y[i];
}

void hone_rotate_f32(const float *x, const float *cos, const float *sin, float *y, int64_t n, bool pairs) {
    const int64_t step = pairs ? 2 : 1, other = pairs ? 1 : n;
    for (int64_t i = 0; i < n; i++) {
        float a = x[i * step], b = x[i * step + other];
        y[i * step] = a * cos[i] - b * sin[i];
        y[i * step + other] = b * cos[i] + a * sin[i];
    }
}

void hone_rotate_f64(const double *x, const double *cos, const double *sin, double *y, int64_t n,
                     bool pairs) {
    const int64_t step = pairs ? 2 : 1, other = pairs ? 1 : n;
    for (int64_t i = 0; i < n; i++) {
        double a = x[i * step], b = x[i * step + other];
        y[i * step] = a * cos[i] - b * sin[i];
        y[i * step + other] = b * cos[i] + a * sin[i];
    }
}
