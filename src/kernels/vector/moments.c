#include "kernels/levels.h"
#include "kernels/vec.h"

#define VECTORS 4 /* of channels at once */

VEC_FN vec_f32 load(const float *x, const bool whole, int lanes) {
    return whole ? vec_load(x) : vec_load_n(x, lanes);
}
VEC_FN void store(float *y, vec_f32 v, const bool whole, int lanes) {
    if (whole)
        vec_store(y, v);
    else
        vec_store_n(y, v, lanes);
}

/* Of `vecs` vectors of channels, whole ones or one of `lanes`. */
VEC_FN void moments(const int vecs, const bool whole, int lanes, const float *x, int64_t rows,
                    int64_t channels, float *mean, float *m2) {
    vec_f32 sum[VECTORS], m[VECTORS];
    const vec_f32 share = vec_set1(1 / (float)rows);
    VEC_UNROLL
    for (int v = 0; v < vecs; v++) sum[v] = vec_zero();
    for (int64_t i = 0; i < rows; i++) {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++) sum[v] = sum[v] + load(x + i * channels + v * VEC_F32, whole, lanes);
    }
    VEC_UNROLL
    for (int v = 0; v < vecs; v++) {
        m[v] = sum[v] * share;
        sum[v] = vec_zero();
    }
    for (int64_t i = 0; i < rows; i++) {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++) {
            const vec_f32 d = load(x + i * channels + v * VEC_F32, whole, lanes) - m[v];
            sum[v] = vec_fma(d, d, sum[v]);
        }
    }
    VEC_UNROLL
    for (int v = 0; v < vecs; v++) {
        store(mean + v * VEC_F32, m[v], whole, lanes);
        store(m2 + v * VEC_F32, sum[v], whole, lanes);
    }
}

void HONE_ISA_NAME(moments_f32)(const float *x, int64_t rows, int64_t channels, float *mean, float *m2) {
    int64_t c = 0;
    for (; c + VECTORS * VEC_F32 <= channels; c += VECTORS * VEC_F32)
        moments(VECTORS, true, VEC_F32, x + c, rows, channels, mean + c, m2 + c);
    for (; c + VEC_F32 <= channels; c += VEC_F32)
        moments(1, true, VEC_F32, x + c, rows, channels, mean + c, m2 + c);
    if (c < channels) moments(1, false, (int)(channels - c), x + c, rows, channels, mean + c, m2 + c);
}

VEC_FN void comoments(const int vecs, const bool whole, int lanes, const float *dy, const float *x,
                      const float *mean, int64_t rows, int64_t channels, float *sum, float *product) {
    vec_f32 s[VECTORS], p[VECTORS], m[VECTORS];
    VEC_UNROLL
    for (int v = 0; v < vecs; v++) {
        s[v] = p[v] = vec_zero();
        m[v] = load(mean + v * VEC_F32, whole, lanes);
    }
    for (int64_t i = 0; i < rows; i++) {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++) {
            const int64_t at = i * channels + v * VEC_F32;
            const vec_f32 g = load(dy + at, whole, lanes);
            s[v] = s[v] + g;
            p[v] = vec_fma(g, load(x + at, whole, lanes) - m[v], p[v]);
        }
    }
    VEC_UNROLL
    for (int v = 0; v < vecs; v++) {
        store(sum + v * VEC_F32, s[v], whole, lanes);
        store(product + v * VEC_F32, p[v], whole, lanes);
    }
}

void HONE_ISA_NAME(comoments_f32)(const float *dy, const float *x, const float *mean, int64_t rows,
                                  int64_t channels, float *sum, float *product) {
    int64_t c = 0;
    for (; c + VECTORS * VEC_F32 <= channels; c += VECTORS * VEC_F32)
        comoments(VECTORS, true, VEC_F32, dy + c, x + c, mean + c, rows, channels, sum + c, product + c);
    for (; c + VEC_F32 <= channels; c += VEC_F32)
        comoments(1, true, VEC_F32, dy + c, x + c, mean + c, rows, channels, sum + c, product + c);
    if (c < channels)
        comoments(1, false, (int)(channels - c), dy + c, x + c, mean + c, rows, channels, sum + c,
                  product + c);
}
