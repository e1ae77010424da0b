#include "kernels/positions.h"

#include <math.h>

#define WEIGH(type, name)                                                                                    \
    void name(const type *x, const int64_t *start, const int64_t *from, const type *weight, int64_t n,       \
              type fill, type *y) {                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                                    \
            const int64_t end = start[i + 1];                                                                \
            type sum = start[i] == end ? fill : 0;                                                           \
            for (int64_t t = start[i]; t < end; t++) sum += weight[t] * x[from[t]];                          \
            y[i] = sum;                                                                                      \
        }                                                                                                    \
    }
WEIGH(float, hone_weigh_f32)
WEIGH(double, hone_weigh_f64)

void hone_weigh_pairs_f32(const float *x, const int32_t *from, const float *weight, int64_t n, float *y) {
    for (int64_t i = 0; i < n; i++)
        y[i] = weight[2 * i] * x[from[2 * i]] + weight[2 * i + 1] * x[from[2 * i + 1]];
}

void hone_weigh_rows_f64(const double *x, int64_t row, const int64_t *from, const double *weight, int count,
                         int64_t n, double *y) {
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int t = 0; t < count; t++) sum += weight[t] * x[from[t] * row + i];
        y[i] = sum;
    }
}

void hone_round_even_f32(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = rintf(x[i]);
}

void hone_round_even_f64(double *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = rint(x[i]);
}
