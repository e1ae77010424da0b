#include "kernels/portable.h"

#define LANES 16 /* sums at once: a compiler makes vectors of them, whose order is one and the same */

#define MOMENTS(name, type)                                                                                  \
    static type total_##name(const type *lane) {                                                             \
        type sum = 0;                                                                                        \
        for (int k = 0; k < LANES; k++) sum += lane[k];                                                      \
        return sum;                                                                                          \
    }                                                                                                        \
    void hone_moments_run_##name(const type *x, int64_t n, type *mean, type *m2) {                           \
        type lane[LANES] = {0};                                                                              \
        int64_t i = 0;                                                                                       \
        for (; i + LANES <= n; i += LANES)                                                                   \
            for (int k = 0; k < LANES; k++) lane[k] += x[i + k];                                             \
        for (; i < n; i++) lane[0] += x[i];                                                                  \
        const type m = total_##name(lane) / (type)n;                                                         \
        for (int k = 0; k < LANES; k++) lane[k] = 0;                                                         \
        for (i = 0; i + LANES <= n; i += LANES)                                                              \
            for (int k = 0; k < LANES; k++) lane[k] += (x[i + k] - m) * (x[i + k] - m);                      \
        for (; i < n; i++) lane[0] += (x[i] - m) * (x[i] - m);                                               \
        *mean = m;                                                                                           \
        *m2 = total_##name(lane);                                                                            \
    }                                                                                                        \
    void hone_comoments_run_##name(const type *dy, const type *x, type mean, int64_t n, type *sum,           \
                                   type *product) {                                                          \
        type s[LANES] = {0}, p[LANES] = {0};                                                                 \
        int64_t i = 0;                                                                                       \
        for (; i + LANES <= n; i += LANES)                                                                   \
            for (int k = 0; k < LANES; k++) {                                                                \
                s[k] += dy[i + k];                                                                           \
                p[k] += dy[i + k] * (x[i + k] - mean);                                                       \
            }                                                                                                \
        for (; i < n; i++) {                                                                                 \
            s[0] += dy[i];                                                                                   \
            p[0] += dy[i] * (x[i] - mean);                                                                   \
        }                                                                                                    \
        *sum = total_##name(s);                                                                              \
        *product = total_##name(p);                                                                          \
    }
MOMENTS(f32, float)
MOMENTS(f64, double)

void hone_moments_f64(const double *x, int64_t rows, int64_t channels, double *mean, double *m2) {
    for (int64_t c = 0; c < channels; c++) mean[c] = m2[c] = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++) mean[c] += x[i * channels + c];
    for (int64_t c = 0; c < channels; c++) mean[c] /= (double)rows;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++) {
            const double d = x[i * channels + c] - mean[c];
            m2[c] += d * d;
        }
}

void hone_comoments_f64(const double *dy, const double *x, const double *mean, int64_t rows, int64_t channels,
                        double *sum, double *product) {
    for (int64_t c = 0; c < channels; c++) sum[c] = product[c] = 0;
    for (int64_t i = 0; i < rows; i++)
        for (int64_t c = 0; c < channels; c++) {
            sum[c] += dy[i * channels + c];
            product[c] += dy[i * channels + c] * (x[i * channels + c] - mean[c]);
        }
}
