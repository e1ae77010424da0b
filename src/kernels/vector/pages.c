#include "kernels/levels.h"
#include "kernels/vec.h"

/* Rows at once: their sums stay in registers. */
#if VEC_F32 == 16
#define MOST 8
#else
#define MOST 4
#endif

/* Calls `step` for all rows, `MOST` at a time, with a constant count. */
#define ALL_ROWS(step)                                                                                       \
    for (int64_t i = 0; i < rows; i += MOST) switch (rows - i) {                                             \
        case 1: step(1); break;                                                                              \
        case 2: step(2); break;                                                                              \
        case 3:                                                                                              \
            step(3);                                                                                         \
            break;                                                                                           \
            MORE_ROWS(step)                                                                                  \
        default: step(MOST);                                                                                 \
        }
#if MOST == 8
#define MORE_ROWS(step)                                                                                      \
    case 4: step(4); break;                                                                                  \
    case 5: step(5); break;                                                                                  \
    case 6: step(6); break;                                                                                  \
    case 7:                                                                                                  \
        step(7);                                                                                             \
        break;
#else
#define MORE_ROWS(step)
#endif

/* Keys are lanes, so a sum is one chain over d and nothing is added up across lanes. */
VEC_FN void score(const float *q, int64_t q_row, int64_t d, const float *k, float *s, int64_t s_row,
                  const int rows) {
    for (int part = 0; part < HONE_PAGE; part += 2 * VEC_F32) {
        vec_f32 sum[MOST][2];
        VEC_UNROLL
        for (int i = 0; i < rows; i++) sum[i][0] = sum[i][1] = vec_zero();
        for (int64_t l = 0; l < d; l++) {
            const vec_f32 left = vec_load(k + l * HONE_PAGE + part),
                          right = vec_load(k + l * HONE_PAGE + part + VEC_F32);
            VEC_UNROLL
            for (int i = 0; i < rows; i++) {
                const vec_f32 x = vec_set1(q[i * q_row + l]);
                sum[i][0] = vec_fma(x, left, sum[i][0]);
                sum[i][1] = vec_fma(x, right, sum[i][1]);
            }
        }
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            vec_store(s + i * s_row + part, sum[i][0]);
            vec_store(s + i * s_row + part + VEC_F32, sum[i][1]);
        }
    }
}

void HONE_ISA_NAME(page_scores_f32)(const float *q, int64_t q_row, int64_t rows, int64_t d, const float *k,
                                    float *s, int64_t s_row){
#define SCORE(count) score(q + i * q_row, q_row, d, k, s + i * s_row, s_row, count)
    ALL_ROWS(SCORE)}

/* `wide` vectors of each row; `rest` > 0: one vector, of which so many lanes are there. */
VEC_FN void weigh(const float *p, int64_t p_row, int64_t keys, const float *v, int64_t n, float *y,
                  int64_t y_row, int rest, const int rows, const int wide) {
    vec_f32 sum[MOST][4];
    VEC_UNROLL
    for (int i = 0; i < rows; i++) VEC_UNROLL
    for (int j = 0; j < wide; j++)
        sum[i][j] = rest ? vec_load_n(y + i * y_row, rest) : vec_load(y + i * y_row + j * VEC_F32);
    for (int64_t t = 0; t < keys; t++) {
        vec_f32 x[4];
        VEC_UNROLL
        for (int j = 0; j < wide; j++)
            x[j] = rest ? vec_load_n(v + t * n, rest) : vec_load(v + t * n + j * VEC_F32);
        VEC_UNROLL
        for (int i = 0; i < rows; i++) {
            const vec_f32 share = vec_set1(p[i * p_row + t]);
            VEC_UNROLL
            for (int j = 0; j < wide; j++) sum[i][j] = vec_fma(share, x[j], sum[i][j]);
        }
    }
    VEC_UNROLL
    for (int i = 0; i < rows; i++) VEC_UNROLL
    for (int j = 0; j < wide; j++)
        if (rest)
            vec_store_n(y + i * y_row, sum[i][j], rest);
        else
            vec_store(y + i * y_row + j * VEC_F32, sum[i][j]);
}

VEC_FN void weigh_all(const float *p, int64_t p_row, int64_t keys, const float *v, int64_t n, float *y,
                      int64_t y_row, const int rows) {
    const int wide = rows <= MOST / 2 ? 4 : 2;
    int64_t j = 0;
    for (; j + wide * VEC_F32 <= n; j += wide * VEC_F32)
        weigh(p, p_row, keys, v + j, n, y + j, y_row, 0, rows, wide);
    for (; j + VEC_F32 <= n; j += VEC_F32) weigh(p, p_row, keys, v + j, n, y + j, y_row, 0, rows, 1);
    if (j < n) weigh(p, p_row, keys, v + j, n, y + j, y_row, (int)(n - j), rows, 1);
}

void HONE_ISA_NAME(page_values_f32)(const float *p, int64_t p_row, int64_t rows, int64_t keys, const float *v,
                                    int64_t n, float *y, int64_t y_row) {
#define WEIGH(count) weigh_all(p + i * p_row, p_row, keys, v, n, y + i * y_row, y_row, count)
    ALL_ROWS(WEIGH)
}
