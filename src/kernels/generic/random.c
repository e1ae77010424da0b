#include "kernels/portable.h"

#include <math.h>

/* Four 32-bit numbers make four floats, or two doubles. */
typedef struct block {
    uint32_t u[4];
} block;

static block block_of(hone_random r, int64_t i) {
    block b;
    hone_philox(r.key, r.stream, (uint64_t)i, b.u);
    return b;
}

static float unit_f32(uint32_t u) {
    return (float)(u >> 8) * 0x1p-24f;
}
static double unit_f64(const uint32_t *u) {
    return (double)(((uint64_t)u[0] << 32 | u[1]) >> 11) * 0x1p-53;
}

/* y = `each` of lane k of block b, `lanes` of them a block. */
#define FILL(lanes, each)                                                                                    \
    for (int64_t i = first, end = first + n; i < end;) {                                                     \
        const block b = block_of(r, i / lanes);                                                              \
        for (int k = (int)(i % lanes); k < lanes && i < end; k++, i++) *y++ = each;                          \
    }

void hone_random_uniform_f32(hone_random r, int64_t first, int64_t n, float low, float high, float *y) {
    FILL(4, low + (high - low) * unit_f32(b.u[k]))
}

void hone_random_uniform_f64(hone_random r, int64_t first, int64_t n, double low, double high, double *y) {
    FILL(2, low + (high - low) * unit_f64(b.u + 2 * k))
}

/* Of two uniform numbers, the first in (0, 1], the one or the other of two normal ones. */
static float normal_f32(const uint32_t *u, int which) {
    float radius = sqrtf(-2 * logf(((float)u[0] + 1) * 0x1p-32f)), angle = 6.28318531f * unit_f32(u[1]);
    return radius * (which ? sinf(angle) : cosf(angle));
}
static double normal_f64(const uint32_t *u, int which) {
    double radius = sqrt(-2 * log(1 - unit_f64(u))), angle = 6.283185307179586 * unit_f64(u + 2);
    return radius * (which ? sin(angle) : cos(angle));
}

void hone_random_normal_f32(hone_random r, int64_t first, int64_t n, float mean, float scale, float *y) {
    FILL(4, mean + scale * normal_f32(b.u + (k & 2), k & 1))
}

void hone_random_normal_f64(hone_random r, int64_t first, int64_t n, double mean, double scale, double *y) {
    FILL(2, mean + scale * normal_f64(b.u, k))
}

void hone_random_classes(hone_random r, int64_t first, int64_t samples, const double *scores, int64_t n,
                         double *sums, int64_t *y) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = scores[i] > most ? scores[i] : most;
    for (int64_t i = 0; i < n; i++) sums[i] = sum += exp(scores[i] - most);
    for (int64_t s = 0; s < samples; s++) {
        double u;
        hone_random_uniform_f64(r, first + s, 1, 0, sum, &u);
        int64_t low = 0, high = n - 1; /* the first class whose sum is above u */
        while (low < high) {
            int64_t middle = (low + high) / 2;
            if (sums[middle] > u)
                high = middle;
            else
                low = middle + 1;
        }
        y[s] = low;
    }
}
