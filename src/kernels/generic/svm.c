#include "kernels/svm.h"

#include <math.h>
#include <string.h>

/* Eight sums side by side, added in pairs. */
#define DISTANCES(name, real)                                                                                \
    void name(const real *x, const real *s, int64_t count, int64_t n, real *y) {                             \
        for (int64_t j = 0; j < count; j++, s += n) {                                                        \
            real sum[8] = {0};                                                                               \
            int64_t k = 0;                                                                                   \
            for (; k + 8 <= n; k += 8)                                                                       \
                for (int l = 0; l < 8; l++) {                                                                \
                    const real d = x[k + l] - s[k + l];                                                      \
                    sum[l] += d * d;                                                                         \
                }                                                                                            \
            for (int l = 0; k < n; k++, l++) {                                                               \
                const real d = x[k] - s[k];                                                                  \
                sum[l] += d * d;                                                                             \
            }                                                                                                \
            y[j] = ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));        \
        }                                                                                                    \
    }
DISTANCES(hone_squared_distances_f32, float)
DISTANCES(hone_squared_distances_f64, double)

void hone_svm_votes(const double *decisions, int64_t classes, double *votes) {
    for (int64_t i = 0; i < classes; i++) votes[i] = 0;
    for (int64_t i = 0; i < classes; i++)
        for (int64_t j = i + 1; j < classes; j++) votes[*decisions++ > 0 ? i : j]++;
}

void hone_svm_probabilities(const double *decisions, const double *a, const double *b, int64_t classes,
                            double *probabilities, double *scratch) {
    const int64_t n = classes, rounds = n > 100 ? n : 100;
    double *q = scratch, *qp = q + n * n, *p = probabilities;
    /* q[i][j], i != j, first has the probability r of i against j */
    for (int64_t i = 0, at = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++, at++) {
            double r = 1 / (1 + exp(decisions[at] * a[at] + b[at]));
            r = fmin(fmax(r, 1e-7), 1 - 1e-7);
            q[i * n + j] = r;
            q[j * n + i] = 1 - r;
        }
    for (int64_t i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t j = 0; j < n; j++) sum += j == i ? 0 : q[j * n + i] * q[j * n + i];
        q[i * n + i] = sum;
        p[i] = 1 / (double)n;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = i + 1; j < n; j++) q[i * n + j] = q[j * n + i] = -q[j * n + i] * q[i * n + j];
    for (int64_t round = 0; round < rounds; round++) {
        double whole = 0, worst = 0;
        for (int64_t i = 0; i < n; i++) {
            qp[i] = 0;
            for (int64_t j = 0; j < n; j++) qp[i] += q[i * n + j] * p[j];
            whole += p[i] * qp[i];
        }
        for (int64_t i = 0; i < n; i++) worst = fmax(worst, fabs(qp[i] - whole));
        if (worst < 0.005 / (double)n) break;
        for (int64_t i = 0; i < n; i++) {
            const double d = (whole - qp[i]) / q[i * n + i];
            p[i] += d;
            whole = (whole + d * (d * q[i * n + i] + 2 * qp[i])) / ((1 + d) * (1 + d));
            for (int64_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + d * q[i * n + j]) / (1 + d);
                p[j] /= 1 + d;
            }
        }
    }
}
