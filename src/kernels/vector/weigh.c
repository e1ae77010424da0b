#include "kernels/levels.h"
#include "kernels/vec.h"

/* Of `vectors` vectors of columns. */
VEC_FN void weigh_columns(const int vectors, const float *x, int64_t row, const int64_t *from,
                          const float *weight, int count, float *y) {
    vec_f32 sum[4];
    for (int v = 0; v < vectors; v++) sum[v] = vec_zero();
    for (int t = 0; t < count; t++) {
        const float *at = x + from[t] * row;
        const vec_f32 w = vec_set1(weight[t]);
        for (int v = 0; v < vectors; v++) sum[v] = sum[v] + w * vec_load(at + v * VEC_F32);
    }
    for (int v = 0; v < vectors; v++) vec_store(y + v * VEC_F32, sum[v]);
}

void HONE_ISA_NAME(weigh_rows_f32)(const float *x, int64_t row, const int64_t *from, const float *weight,
                                   int count, int64_t n, float *y) {
    int64_t i = 0;
    for (; i + 4 * VEC_F32 <= n; i += 4 * VEC_F32) weigh_columns(4, x + i, row, from, weight, count, y + i);
    for (; i + VEC_F32 <= n; i += VEC_F32) weigh_columns(1, x + i, row, from, weight, count, y + i);
    if (i < n) {
        int rest = (int)(n - i);
        vec_f32 sum = vec_zero();
        for (int t = 0; t < count; t++)
            sum = sum + vec_set1(weight[t]) * vec_load_n(x + from[t] * row + i, rest);
        vec_store_n(y + i, sum, rest);
    }
}
