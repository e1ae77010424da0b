#include "kernels/levels.h"
#include "kernels/vec_bytes.h"

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

/* --- the way back from maxima --- */

/* dy where the first largest element is, 0 elsewhere; `adds`: to what is there. */
VEC_FN void spread(const inside *in, const bool adds, const bool whole, int lanes, const float *x,
                   const float *dy, float *dx) {
    const vec_f32 g = whole ? vec_load(dy) : vec_load_n(dy, lanes);
    vec_f32 most = vec_set1(-__builtin_inff());
    for (int64_t d = 0; d < in->count[0]; d++)
        for (int64_t h = 0; h < in->count[1]; h++) {
            const float *from = x + d * in->step[0] + h * in->step[1];
            for (int64_t w = 0; w < in->count[2]; w++, from += in->step[2])
                most = vec_max(whole ? vec_load(from) : vec_load_n(from, lanes), most);
        }
    vec_mask left = vec_mask_first(VEC_F32);
    for (int64_t d = 0; d < in->count[0]; d++)
        for (int64_t h = 0; h < in->count[1]; h++) {
            int64_t at = d * in->step[0] + h * in->step[1];
            for (int64_t w = 0; w < in->count[2]; w++, at += in->step[2]) {
                const vec_f32 e = whole ? vec_load(x + at) : vec_load_n(x + at, lanes);
                const vec_mask hit = vec_eq(e, most) & left;
                vec_f32 y = vec_select(hit, g, vec_zero());
                left = left & vec_mask_not(hit);
                if (adds) y = y + (whole ? vec_load(dx + at) : vec_load_n(dx + at, lanes));
                if (whole)
                    vec_store(dx + at, y);
                else
                    vec_store_n(dx + at, y, lanes);
            }
        }
}

VEC_FN void spread_image(const hone_pool *p, const bool adds, const float *x, const float *dy, float *dx) {
    const hone_windows *w = &p->w;
    const int64_t c = w->channels, lines = w->out[0] * w->out[1];
    if (adds) memset(dx, 0, (size_t)(w->plane * c) * sizeof *dx);
    for (int64_t line = 0; line < lines; line++) {
        int64_t o[3] = {line / w->out[1], line % w->out[1], 0};
        for (; o[2] < w->out[2]; o[2]++, dy += c) {
            inside in;
            const int64_t at = (const float *)look(w, o, x, sizeof *x, &in) - x;
            int64_t i = 0;
            for (; i + VEC_F32 <= c; i += VEC_F32)
                spread(&in, adds, true, VEC_F32, x + at + i, dy + i, dx + at + i);
            if (i < c) spread(&in, adds, false, (int)(c - i), x + at + i, dy + i, dx + at + i);
        }
    }
}

void HONE_ISA_NAME(max_spread_last_f32)(const hone_pool *p, const float *x, const float *dy, float *dx,
                                        int64_t image0, int64_t image1) {
    const hone_windows *w = &p->w;
    const int64_t in = w->plane * w->channels, out = hone_windows_positions(w) * w->channels;
    bool apart = true; /* each element is in one window */
    for (int i = 0; i < 3; i++)
        apart &= w->kernel[i] == w->stride[i] && w->dilation[i] == 1 && w->pad[i] == 0 &&
                 w->in[i] == w->out[i] * w->stride[i];
    for (int64_t i = image0; i < image1; i++)
        if (apart)
            spread_image(p, false, x + i * in, dy + i * out, dx + i * in);
        else
            spread_image(p, true, x + i * in, dy + i * out, dx + i * in);
}

/* --- bytes --- */

#define CHUNK ((int64_t)sizeof(vec_i32)) /* channels in a vector */

VEC_FN vec_i32 larger(vec_i32 a, vec_i32 b, const bool is_signed) {
#if defined(HONE_ISA_v4)
    return (vec_i32)(is_signed ? _mm512_max_epi8((__m512i)a, (__m512i)b)
                               : _mm512_max_epu8((__m512i)a, (__m512i)b));
#elif defined(HONE_ISA_v3)
    return (vec_i32)(is_signed ? _mm256_max_epi8((__m256i)a, (__m256i)b)
                               : _mm256_max_epu8((__m256i)a, (__m256i)b));
#elif defined(HONE_ISA_neon)
    return is_signed ? (vec_i32)vmaxq_s8((int8x16_t)a, (int8x16_t)b)
                     : (vec_i32)vmaxq_u8((uint8x16_t)a, (uint8x16_t)b);
#else
    uint8_t x[CHUNK], y[CHUNK];
    const uint8_t flip = is_signed ? 0x80 : 0;
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    for (int i = 0; i < CHUNK; i++)
        if ((x[i] ^ flip) > (y[i] ^ flip)) y[i] = x[i];
    memcpy(&b, y, sizeof b);
    return b;
#endif
}

/* n <= CHUNK channels. */
VEC_FN void largest(const inside *in, const bool whole, int n, const bool is_signed, const uint8_t *x,
                    uint8_t *y) {
    vec_i32 max = vec_set1_i32(is_signed ? (int32_t)0x80808080u : 0), e = max;
    for (int64_t d = 0; d < in->count[0]; d++)
        for (int64_t h = 0; h < in->count[1]; h++) {
            const uint8_t *from = x + d * in->step[0] + h * in->step[1];
            for (int64_t w = 0; w < in->count[2]; w++, from += in->step[2]) {
                memcpy(&e, from, whole ? sizeof e : (size_t)n);
                max = larger(e, max, is_signed);
            }
        }
    vec_store_bytes(y, max, whole ? (int)CHUNK : n);
}

VEC_FN void run_bytes(const hone_pool *p, const bool is_signed, const uint8_t *x, uint8_t *y, int64_t line0,
                      int64_t line1) {
    const hone_windows *w = &p->w;
    const int64_t channels = w->channels, lines = w->out[0] * w->out[1], step = w->stride[2] * channels;
    const int64_t reach = (w->kernel[2] - 1) * w->dilation[2];
    for (int64_t line = line0; line < line1; line++) {
        int64_t o[3] = {line % lines / w->out[1], line % w->out[1], 0};
        const uint8_t *image = x + line / lines * w->plane * channels, *from = image;
        uint8_t *to = y + line * w->out[2] * channels;
        inside in = {{0}};
        for (; o[2] < w->out[2]; o[2]++, to += channels) {
            const int64_t at = o[2] * w->stride[2] - w->pad[2];
            if (at >= w->stride[2] &&
                at + reach < w->in[2]) /* all of it is inside, as is what the one before begins with */
                from += step;
            else
                from = look(w, o, image, 1, &in);
            if (at >= 0 && at + reach < w->in[2]) in.count[2] = w->kernel[2];
            int64_t c = 0;
            for (; c + CHUNK <= channels; c += CHUNK)
                largest(&in, true, (int)CHUNK, is_signed, from + c, to + c);
            if (c < channels && c > 0) /* once more some that are done */
                largest(&in, true, (int)CHUNK, is_signed, from + channels - CHUNK, to + channels - CHUNK);
            else if (c < channels)
                largest(&in, false, (int)(channels - c), is_signed, from + c, to + c);
        }
    }
}

void HONE_ISA_NAME(pool_last_8)(const hone_pool *p, bool is_signed, const uint8_t *x, uint8_t *y,
                                int64_t line0, int64_t line1) {
    if (is_signed)
        run_bytes(p, true, x, y, line0, line1);
    else
        run_bytes(p, false, x, y, line0, line1);
}
