#include "kernels/levels.h"
#include "kernels/vec.h"

#define VECTORS 4 /* of channels at once */

/* The taps of a window that are inside of the image, the first one at x. */
typedef struct inside {
    int64_t count[3], step[3]; /* of each axis: how many, and elements from one to the next */
} inside;

/* `vecs` vectors of channels, the last of them of `lanes`. */
VEC_FN void fold(const inside *in, const bool max, const int vecs, int lanes, const float *x, float count,
                 float *y) {
    vec_f32 sum[VECTORS];
    VEC_UNROLL
    for (int v = 0; v < vecs; v++) sum[v] = max ? vec_set1(-__builtin_inff()) : vec_zero();
    for (int64_t d = 0; d < in->count[0]; d++)
        for (int64_t h = 0; h < in->count[1]; h++) {
            const float *from = x + d * in->step[0] + h * in->step[1];
            for (int64_t w = 0; w < in->count[2]; w++, from += in->step[2]) {
                VEC_UNROLL
                for (int v = 0; v < vecs; v++) {
                    const float *p = from + v * VEC_F32;
                    const vec_f32 e = v + 1 < vecs ? vec_load(p) : vec_load_n(p, lanes);
                    sum[v] = max ? vec_max(e, sum[v]) : sum[v] + e; /* NaN is no maximum */
                }
            }
        }
    VEC_UNROLL
    for (int v = 0; v < vecs; v++)
        vec_store_n(y + v * VEC_F32, max ? sum[v] : sum[v] / vec_set1(count), v + 1 < vecs ? VEC_F32 : lanes);
}

VEC_FN void position(const inside *in, const bool max, int64_t channels, const float *x, float count,
                     float *y) {
    int64_t c = 0;
    for (; c + VECTORS * VEC_F32 <= channels; c += VECTORS * VEC_F32)
        fold(in, max, VECTORS, VEC_F32, x + c, count, y + c);
    for (; c < channels; c += VEC_F32)
        fold(in, max, 1, (int)(channels - c < VEC_F32 ? channels - c : VEC_F32), x + c, count, y + c);
}

/* The first element that position o of an axis sees. */
static int64_t first_of(const hone_windows *w, int axis, int64_t o) {
    const int64_t at = o * w->stride[axis] - w->pad[axis], step = w->dilation[axis];
    return at >= 0 ? at : at + (-at + step - 1) / step * step;
}

/* What position o sees of the image, its first element first. */
static const void *look(const hone_windows *w, const int64_t *o, const void *image, int64_t size,
                        inside *in) {
    const int64_t pitch[3] = {w->in[1] * w->in[2] * w->channels, w->in[2] * w->channels, w->channels};
    int64_t from = 0;
    for (int i = 0; i < 3; i++) {
        in->count[i] = hone_windows_taps_in(w, i, o[i], 0, w->in[i]);
        in->step[i] = w->dilation[i] * pitch[i];
        if (in->count[i]) from += first_of(w, i, o[i]) * pitch[i];
    }
    return (const char *)image + from * size;
}

VEC_FN void run(const hone_pool *p, const bool max, const float *x, float *y, int64_t line0, int64_t line1) {
    const hone_windows *w = &p->w;
    const int64_t c = w->channels, lines = w->out[0] * w->out[1];
    for (int64_t line = line0; line < line1; line++) {
        int64_t o[3] = {line % lines / w->out[1], line % w->out[1], 0};
        const float *image = x + line / lines * w->plane * c;
        float *to = y + line * w->out[2] * c;
        for (; o[2] < w->out[2]; o[2]++, to += c) {
            inside in;
            const float *from = look(w, o, image, sizeof *image, &in);
            double counted = 1;
            for (int i = 0; i < 3; i++) counted *= (double)hone_pool_counted(p, i, o[i]);
            position(&in, max, c, from, (float)counted, to);
        }
    }
}

void HONE_ISA_NAME(pool_last_f32)(const hone_pool *p, const float *x, float *y, int64_t line0,
                                  int64_t line1) {
    if (p->kind == HONE_POOL_MAX)
        run(p, true, x, y, line0, line1);
    else
        run(p, false, x, y, line0, line1);
}

#define BYTES(name, type, least)                                                                             \
    static void larger_##name(const type *restrict x, int64_t n, type *restrict y) {                         \
        for (int64_t i = 0; i < n; i++) y[i] = x[i] > y[i] ? x[i] : y[i];                                    \
    }                                                                                                        \
    static void run_##name(const hone_pool *p, const type *x, type *y, int64_t line0, int64_t line1) {       \
        const hone_windows *w = &p->w;                                                                       \
        const int64_t c = w->channels, lines = w->out[0] * w->out[1];                                        \
        for (int64_t line = line0; line < line1; line++) {                                                   \
            int64_t o[3] = {line % lines / w->out[1], line % w->out[1], 0};                                  \
            const type *image = x + line / lines * w->plane * c;                                             \
            type *to = y + line * w->out[2] * c;                                                             \
            for (; o[2] < w->out[2]; o[2]++, to += c) {                                                      \
                inside in;                                                                                   \
                const type *from = look(w, o, image, 1, &in);                                                \
                memset(to, least, (size_t)c);                                                                \
                for (int64_t i = 0; i < in.count[0] * in.count[1] * in.count[2]; i++)                        \
                    larger_##name(from + i / in.count[2] / in.count[1] * in.step[0] +                        \
                                      i / in.count[2] % in.count[1] * in.step[1] +                           \
                                      i % in.count[2] * in.step[2],                                          \
                                  c, to);                                                                    \
            }                                                                                                \
        }                                                                                                    \
    }
BYTES(u8, uint8_t, 0)
BYTES(s8, int8_t, -128)

void HONE_ISA_NAME(pool_last_8)(const hone_pool *p, bool is_signed, const uint8_t *x, uint8_t *y,
                                int64_t line0, int64_t line1) {
    if (is_signed)
        run_s8(p, (const int8_t *)x, (int8_t *)y, line0, line1);
    else
        run_u8(p, x, y, line0, line1);
}
