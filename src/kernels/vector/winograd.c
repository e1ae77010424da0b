#include "kernels/levels.h"
#include "kernels/vec.h"

#include <string.h>

#define MOST 6 /* lines of a tile's input */
#define SQRT_2 1.41421356f

/* B^T: n elements, `step` apart, in place. */
VEC_FN void transform_input(const int size, vec_f32 *d, const int step) {
    if (size == 2) {
        const vec_f32 d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
        d[0] = d0 - d2;
        d[step] = d1 + d2;
        d[2 * step] = d2 - d1;
        d[3 * step] = d3 - d1;
        return;
    }
    const vec_f32 d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],
                  d5 = d[5 * step];
    const vec_f32 a = vec_set1(SQRT_2 / 2), b = vec_set1(SQRT_2), most = vec_set1(-2.5f);
    const vec_f32 even_1 = vec_fma(vec_set1(-2), d2, d4), odd_1 = a * vec_fma(vec_set1(-2), d1, d3);
    const vec_f32 even_2 = vec_fma(vec_set1(-0.5f), d2, d4), odd_2 = b * vec_fma(vec_set1(-0.5f), d1, d3);
    d[0] = vec_fma(most, d2, d0 + d4);
    d[step] = even_1 + odd_1;
    d[2 * step] = even_1 - odd_1;
    d[3 * step] = even_2 + odd_2;
    d[4 * step] = even_2 - odd_2;
    d[5 * step] = vec_fma(most, d3, d1 + d5);
}

/* A^T: size results of size + 2 elements, `step` apart, in place. */
VEC_FN void transform_output(const int size, vec_f32 *m, const int step) {
    if (size == 2) {
        const vec_f32 sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
        m[0] = m[0] + sum;
        m[step] = difference + m[3 * step];
        return;
    }
    const vec_f32 sum_1 = m[step] + m[2 * step], difference_1 = m[step] - m[2 * step];
    const vec_f32 sum_2 = m[3 * step] + m[4 * step], difference_2 = m[3 * step] - m[4 * step];
    const vec_f32 a = vec_set1(SQRT_2 / 2), b = vec_set1(SQRT_2);
    m[0] = m[0] + sum_1 + sum_2;
    m[step] = vec_fma(a, difference_1, b * difference_2);
    m[2 * step] = vec_fma(vec_set1(0.5f), sum_1, sum_2 + sum_2);
    m[3 * step] =
        vec_fma(vec_set1(SQRT_2 / 4), difference_1, vec_fma(vec_set1(2 * SQRT_2), difference_2, m[5 * step]));
}

/* Some channels of a tile: at `from` each element that it sees. */
VEC_FN void input_channels(const int size, const bool whole, int lanes, const float *const *from, int64_t c,
                           float *v, int64_t matrix) {
    const int n = size + 2;
    vec_f32 d[MOST * MOST];
    for (int i = 0; i < n; i++) {
        VEC_UNROLL
        for (int j = 0; j < n; j++)
            d[i * n + j] = whole ? vec_load(from[i * n + j] + c) : vec_load_n(from[i * n + j] + c, lanes);
        transform_input(size, d + i * n, 1);
    }
    for (int j = 0; j < n; j++) transform_input(size, d + j, n);
    for (int i = 0; i < n * n; i++) {
        if (whole)
            vec_store(v + i * matrix + c, d[i]);
        else
            vec_store_n(v + i * matrix + c, d[i], lanes);
    }
}

VEC_FN void run_input(const hone_winograd *p, const int size, const float *x, const float *zeros,
                      int64_t tile0, int64_t tile1, float *v) {
    const int n = size + 2;
    for (int64_t tile = tile0; tile < tile1; tile++, v += p->channels) {
        const int64_t row = tile / p->across * size - p->pad[0], column = tile % p->across * size - p->pad[1];
        const float *from[MOST * MOST];
        for (int i = 0; i < n * n; i++) {
            const int64_t h = row + i / n, w = column + i % n;
            const bool inside = h >= 0 && h < p->in[0] && w >= 0 && w < p->in[1];
            from[i] = inside ? x + (h * p->in[1] + w) * p->channels : zeros;
        }
        int64_t c = 0;
        for (; c + VEC_F32 <= p->channels; c += VEC_F32)
            input_channels(size, true, VEC_F32, from, c, v, p->matrix);
        if (c < p->channels) input_channels(size, false, (int)(p->channels - c), from, c, v, p->matrix);
    }
}

void HONE_ISA_NAME(winograd_input_f32)(const hone_winograd *p, const float *x, const float *zeros,
                                       int64_t tile0, int64_t tile1, float *v) {
    if (p->size == 2)
        run_input(p, 2, x, zeros, tile0, tile1, v);
    else
        run_input(p, 4, x, zeros, tile0, tile1, v);
}

/* `lanes` channels from c on of the tile whose first position is element `at` of y, `rows` x `columns` of it
 * in the image. */
VEC_FN void output_channels(const hone_winograd *p, const int size, int lanes, int64_t c, const float *m,
                            float *y, int64_t at, int64_t rows, int64_t columns) {
    const int n = size + 2;
    const hone_epilogue *e = &p->epilogue;
    const float *bias = e->bias, *residual = e->residual;
    const vec_f32 lo = vec_set1((float)e->lo), hi = vec_set1((float)e->hi);
    vec_f32 d[MOST * MOST], more = vec_zero();
    if (bias) more = vec_load_n(bias + c, lanes);
    for (int i = 0; i < n; i++) {
        VEC_UNROLL
        for (int j = 0; j < n; j++) d[i * n + j] = vec_load_n(m + (i * n + j) * p->matrix + c, lanes);
        transform_output(size, d + i * n, 1);
    }
    for (int j = 0; j < size; j++) transform_output(size, d + j, n);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) {
            const int64_t to = at + (i * p->out[1] + j) * p->channels + c;
            vec_f32 s = d[i * n + j];
            if (bias) s = s + more;
            if (residual) s = s + vec_load_n(residual + to, lanes);
            s = vec_min(hi, vec_max(lo, s));
            if (e->ramp) s = vec_ramp(s, e->slope, e->offset);
            vec_store_n(y + to, s, lanes);
        }
}

VEC_FN void run_output(const hone_winograd *p, const int size, const float *m, int64_t tile0, int64_t tile1,
                       float *y) {
    for (int64_t tile = tile0; tile < tile1; tile++, m += p->channels) {
        const int64_t row = tile / p->across * size, column = tile % p->across * size;
        const int64_t rows = p->out[0] - row < size ? p->out[0] - row : size;
        const int64_t columns = p->out[1] - column < size ? p->out[1] - column : size;
        const int64_t at = (row * p->out[1] + column) * p->channels;
        for (int64_t c = 0; c < p->channels; c += VEC_F32)
            output_channels(p, size, p->channels - c < VEC_F32 ? (int)(p->channels - c) : VEC_F32, c, m, y,
                            at, rows, columns);
    }
}

void HONE_ISA_NAME(winograd_output_f32)(const hone_winograd *p, const float *m, int64_t tile0, int64_t tile1,
                                        float *y) {
    if (p->size == 2)
        run_output(p, 2, m, tile0, tile1, y);
    else
        run_output(p, 4, m, tile0, tile1, y);
}

/* G: what three weights become, `step` apart. */
VEC_FN void transform_weights(const int size, const vec_f32 *w, const int w_step, vec_f32 *u,
                              const int u_step) {
    const vec_f32 w0 = w[0], w1 = w[w_step], w2 = w[2 * w_step];
    if (size == 2) {
        const vec_f32 even = w0 + w2;
        u[0] = w0;
        u[u_step] = vec_set1(0.5f) * (even + w1);
        u[2 * u_step] = vec_set1(0.5f) * (even - w1);
        u[3 * u_step] = w2;
        return;
    }
    const vec_f32 third = vec_set1(1 / -1.5f), sixth = vec_set1(1 / 6.0f);
    const vec_f32 even_1 = vec_fma(vec_set1(0.5f), w2, w0), odd_1 = vec_set1(SQRT_2 / 2) * w1;
    const vec_f32 even_2 = vec_fma(vec_set1(2), w2, w0), odd_2 = vec_set1(SQRT_2) * w1;
    u[0] = w0;
    u[u_step] = third * (even_1 + odd_1);
    u[2 * u_step] = third * (even_1 - odd_1);
    u[3 * u_step] = sixth * (even_2 + odd_2);
    u[4 * u_step] = sixth * (even_2 - odd_2);
    u[5 * u_step] = w2;
}

VEC_FN void weights_of(const int size, const float *w, int64_t tap, int lanes, float *u, int64_t matrix) {
    const int n = size + 2;
    vec_f32 d[9], half[MOST * 3], all[MOST * MOST];
    VEC_UNROLL
    for (int t = 0; t < 9; t++) d[t] = vec_load_n(w + t * tap, lanes);
    VEC_UNROLL
    for (int j = 0; j < 3; j++) transform_weights(size, d + j, 3, half + j, 3);
    for (int i = 0; i < n; i++) transform_weights(size, half + i * 3, 1, all + i * n, 1);
    for (int i = 0; i < n * n; i++) vec_store_n(u + i * matrix, all[i], lanes);
}

void HONE_ISA_NAME(winograd_weights_f32)(int size, const float *w, int64_t tap, int64_t channels, float *u,
                                         int64_t matrix) {
    for (int64_t c = 0; c < channels; c += VEC_F32) {
        const int lanes = channels - c < VEC_F32 ? (int)(channels - c) : VEC_F32;
        if (size == 2)
            weights_of(2, w + c, tap, lanes, u + c, matrix);
        else
            weights_of(4, w + c, tap, lanes, u + c, matrix);
    }
}

/* --- weights of a model --- in float64, so that they are rounded once, and the same bits on every level */

enum { WIDE = VEC_F32 / 2 };

typedef double wide __attribute__((vector_size(WIDE * sizeof(double))));
typedef float narrow __attribute__((vector_size(WIDE * sizeof(float))));

/* G, one of its results. */
VEC_FN wide expand_line(const int size, const int line, wide w0, wide w1, wide w2) {
    const double b = 1.4142135623730951, a = b / 2;
    if (line == 0) return w0;
    if (line == size + 1) return w2;
    if (size == 2) return (line == 1 ? w0 + w1 + w2 : w0 - w1 + w2) * 0.5;
    switch (line) {
    case 1: return (w0 + a * w1 + w2 * 0.5) * (-1 / 1.5);
    case 2: return (w0 - a * w1 + w2 * 0.5) * (-1 / 1.5);
    case 3: return (w0 + b * w1 + 2 * w2) * (1 / 6.0);
    default: return (w0 - b * w1 + 2 * w2) * (1 / 6.0);
    }
}

VEC_FN wide load_wide(const float *w) {
    narrow x;
    memcpy(&x, w, sizeof x);
    return __builtin_convertvector(x, wide);
}

/* WIDE channels. */
VEC_FN void line_of(const int size, const int line, const float *w, int64_t tap, float *u, int64_t matrix) {
    wide row[3];
    VEC_UNROLL
    for (int j = 0; j < 3; j++)
        row[j] = expand_line(size, line, load_wide(w + j * tap), load_wide(w + (3 + j) * tap),
                             load_wide(w + (6 + j) * tap));
    VEC_UNROLL
    for (int j = 0; j < size + 2; j++) {
        const narrow x = __builtin_convertvector(expand_line(size, j, row[0], row[1], row[2]), narrow);
        memcpy(u + j * matrix, &x, sizeof x);
    }
}

VEC_FN void line_of_all(const int size, const int line, const float *w, int64_t tap, int64_t channels,
                        float *u, int64_t matrix) {
    int64_t c = 0;
    for (; c + WIDE <= channels; c += WIDE) line_of(size, line, w + c, tap, u + c, matrix);
    if (c == channels) return;
    const size_t rest = (size_t)(channels - c) * sizeof *w;
    float some[9 * WIDE] = {0}, made[MOST * WIDE];
    for (int t = 0; t < 9; t++) memcpy(some + t * WIDE, w + t * tap + c, rest);
    line_of(size, line, some, WIDE, made, WIDE);
    for (int j = 0; j < size + 2; j++) memcpy(u + j * matrix + c, made + j * WIDE, rest);
}

void HONE_ISA_NAME(winograd_line_f32)(int size, int line, const float *w, int64_t tap, int64_t channels,
                                      float *u, int64_t matrix) {
    switch (size * 8 + line) {
#define LINE(size, line)                                                                                     \
    case size * 8 + line: line_of_all(size, line, w, tap, channels, u, matrix); break;
        LINE(2, 0)
        LINE(2, 1)
        LINE(2, 2)
        LINE(2, 3)
        LINE(4, 0)
        LINE(4, 1)
        LINE(4, 2)
        LINE(4, 3)
        LINE(4, 4)
    default: line_of_all(4, 5, w, tap, channels, u, matrix);
    }
}
