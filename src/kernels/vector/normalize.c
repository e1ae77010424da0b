#include "kernels/levels.h"
#include "kernels/vec.h"

#include <math.h>

/* Elements summed in float before the sum goes to a double. */
#define BLOCK (64 * VEC_F32)

typedef struct row {
    const float *x, *dy, *scale; /* dy NULL: forward; scale NULL: 1 */
    float mean, inv;
} row;

VEC_FN vec_f32 load(const float *x, int n) {
    return n == VEC_F32 ? vec_load(x) : vec_load_n(x, n);
}

VEC_FN vec_f32 scaled(const row *r, const float *x, int64_t i, int n) {
    vec_f32 v = load(x + i, n);
    return r->scale ? v * load(r->scale + i, n) : v;
}

/* What is summed, of elements [i, i+n). */
enum { ELEMENT, SQUARE, GRADIENT, PRODUCT };
VEC_FN vec_f32 term(const int kind, const row *r, int64_t i, int n) {
    switch (kind) {
    case ELEMENT: return load(r->x + i, n);
    case SQUARE: {
        vec_f32 d = load(r->x + i, n) - r->mean;
        return d * d;
    }
    case GRADIENT: return scaled(r, r->dy, i, n);
    default: return scaled(r, r->dy, i, n) * (load(r->x + i, n) - r->mean);
    }
}

VEC_FN float sum_block(const int kind, const row *r, int64_t i, int64_t end) {
    vec_f32 sum[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    for (; i + 4 * VEC_F32 <= end; i += 4 * VEC_F32)
        for (int v = 0; v < 4; v++) sum[v] = sum[v] + term(kind, r, i + v * VEC_F32, VEC_F32);
    for (; i + VEC_F32 <= end; i += VEC_F32) sum[0] = sum[0] + term(kind, r, i, VEC_F32);
    if (i < end) {
        int rest = (int)(end - i);
        sum[1] = sum[1] + vec_select(vec_mask_first(rest), term(kind, r, i, rest), vec_zero());
    }
    return vec_reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

VEC_FN double mean_of(const int kind, const row *r, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i += BLOCK) sum += sum_block(kind, r, i, n - i < BLOCK ? n : i + BLOCK);
    return sum / (double)n;
}

VEC_FN void normalize(const row *r, const float *bias, float *y, int64_t i, int n) {
    vec_f32 v = (load(r->x + i, n) - r->mean) * r->inv;
    if (r->scale) v = bias ? vec_fma(v, load(r->scale + i, n), load(bias + i, n)) : v * load(r->scale + i, n);
    if (n == VEC_F32)
        vec_store(y + i, v);
    else
        vec_store_n(y + i, v, n);
}

/* A run of one scale and one bias. */
VEC_FN void affine(const row *r, float scale, float bias, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32)
        vec_store(y + i, vec_fma((vec_load(r->x + i) - r->mean) * r->inv, vec_set1(scale), vec_set1(bias)));
    if (i < n) {
        int rest = (int)(n - i);
        vec_f32 v = (vec_load_n(r->x + i, rest) - r->mean) * r->inv;
        vec_store_n(y + i, vec_fma(v, vec_set1(scale), vec_set1(bias)), rest);
    }
}

void HONE_ISA_NAME(normalize_f32)(const hone_normalize *p, const float *x, float *y, float *mean,
                                  float *inv) {
    const float *bias = p->bias;
    row r = {.x = x, .scale = p->scale};
    int64_t i = 0;
    if (p->n == 0) return;
    r.mean = p->centered ? (float)mean_of(ELEMENT, &r, p->n) : 0;
    r.inv = (float)(1 / sqrt(mean_of(SQUARE, &r, p->n) + p->epsilon));
    if (mean) *mean = r.mean;
    if (inv) *inv = r.inv;
    if (p->run > 1 && r.scale) {
        for (int64_t k = 0; k < p->n / p->run; k++, r.x += p->run)
            affine(&r, r.scale[k], bias ? bias[k] : 0, y + k * p->run, p->run);
        return;
    }
    for (; i + VEC_F32 <= p->n; i += VEC_F32) normalize(&r, bias, y, i, VEC_F32);
    if (i < p->n) normalize(&r, bias, y, i, (int)(p->n - i));
}

/* dx = inv (g - mean(g) - x' mean(g x')), g = dy scale, x' = (x - mean) inv */
VEC_FN void backward(const row *r, float scale, float mean_g, float slope, float *dx, int64_t i, int n) {
    vec_f32 g = scaled(r, r->dy, i, n) * scale;
    vec_f32 v = (g - mean_g - (load(r->x + i, n) - r->mean) * slope) * r->inv;
    if (n == VEC_F32)
        vec_store(dx + i, v);
    else
        vec_store_n(dx + i, v, n);
}

VEC_FN void backward_run(const row *r, float scale, float mean_g, float slope, float *dx, int64_t n) {
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) backward(r, scale, mean_g, slope, dx, i, VEC_F32);
    if (i < n) backward(r, scale, mean_g, slope, dx, i, (int)(n - i));
}

/* The sums over runs are what dscale and dbias ask for; those over the row are made of them. */
static void backward_runs(const hone_normalize *p, row *r, float *dx, float *dscale, float *dbias) {
    const float *scale = p->scale, *dy = r->dy, *x = r->x;
    double sum = 0, product = 0;
    int64_t runs = p->n / p->run;
    for (int64_t k = 0; k < runs; k++) {
        row one = {.x = x + k * p->run, .dy = dy + k * p->run, .mean = r->mean};
        double g = mean_of(GRADIENT, &one, p->run) * (double)p->run;
        double gx = mean_of(PRODUCT, &one, p->run) * (double)p->run * (double)r->inv;
        if (dscale) dscale[k] = (float)gx;
        if (dbias) dbias[k] = (float)g;
        sum += g * (double)(scale ? scale[k] : 1);
        product += gx * (double)(scale ? scale[k] : 1);
    }
    float mean_g = p->centered ? (float)(sum / (double)p->n) : 0;
    float slope = (float)(product / (double)p->n * (double)r->inv);
    for (int64_t k = 0; k < runs; k++) {
        row one = {.x = x + k * p->run, .dy = dy + k * p->run, .mean = r->mean, .inv = r->inv};
        backward_run(&one, scale ? scale[k] : 1, mean_g, slope, dx + k * p->run, p->run);
    }
}

void HONE_ISA_NAME(normalize_grad_f32)(const hone_normalize *p, const float *dy, const float *x, float mean,
                                       float inv, float *dx, float *dscale, float *dbias) {
    row r = {.x = x, .dy = dy, .mean = mean, .inv = inv};
    if (p->n == 0) return;
    if (p->run > 0) {
        backward_runs(p, &r, dx, dscale, dbias);
        return;
    }
    r.scale = p->scale;
    float mean_g = p->centered ? (float)mean_of(GRADIENT, &r, p->n) : 0;
    float slope = (float)(mean_of(PRODUCT, &r, p->n) * (double)inv * (double)inv);
    backward_run(&r, 1, mean_g, slope, dx, p->n);
}
