#include "kernels/levels.h"
#include "kernels/vec_math.h"

enum { AT_ONCE = 4 }; /* rows whose sums hide each other's latency */

/* Each sum is one chain per lane, whatever rows come with it. */
VEC_FN void dots(const float *x, const float *rows, int64_t row, int64_t n, float scale, float *y,
                 const int count) {
    vec_f32 sum[AT_ONCE];
    int64_t l = 0;
    VEC_UNROLL
    for (int i = 0; i < count; i++) sum[i] = vec_zero();
    for (; l + VEC_F32 <= n; l += VEC_F32) {
        vec_f32 v = vec_load(x + l);
        VEC_UNROLL
        for (int i = 0; i < count; i++) sum[i] = vec_fma(v, vec_load(rows + i * row + l), sum[i]);
    }
    if (l < n) {
        const int rest = (int)(n - l);
        vec_f32 v = vec_load_n(x + l, rest);
        VEC_UNROLL
        for (int i = 0; i < count; i++) {
            vec_f32 t = vec_fma(v, vec_load_n(rows + i * row + l, rest), sum[i]);
            sum[i] = vec_select(vec_mask_first(rest), t, sum[i]);
        }
    }
    VEC_UNROLL
    for (int i = 0; i < count; i++) y[i] = scale * vec_reduce_add(sum[i]);
}

void HONE_ISA_NAME(dot_rows_f32)(const float *x, const float *rows, int64_t count, int64_t row, int64_t n,
                                 float scale, float *y) {
    int64_t i = 0;
    for (; i + AT_ONCE <= count; i += AT_ONCE) dots(x, rows + i * row, row, n, scale, y + i, AT_ONCE);
    for (; i < count; i++) dots(x, rows + i * row, row, n, scale, y + i, 1);
}

VEC_FN vec_f32 capped(vec_f32 x, vec_f32 cap, vec_f32 inverse) {
    return vec_tanh(x * inverse) * cap;
}

void HONE_ISA_NAME(softcap_f32)(float *x, int64_t n, float cap) {
    const vec_f32 most = vec_set1(cap), inverse = vec_set1(1 / cap);
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) vec_store(x + i, capped(vec_load(x + i), most, inverse));
    if (i < n) vec_store_n(x + i, capped(vec_load_n(x + i, (int)(n - i)), most, inverse), (int)(n - i));
}

void HONE_ISA_NAME(add_f32)(float *x, const float *y, int64_t n) {
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) vec_store(x + i, vec_load(x + i) + vec_load(y + i));
    for (; i < n; i++) x[i] += y[i];
}
