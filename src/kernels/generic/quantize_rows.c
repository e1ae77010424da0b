#include "base/half.h"
#include "kernels/portable.h"

/* Adding and taking away 1.5 * 2^23 rounds half to even whatever lies within 2^22 of zero, which the clamp
 * before sees to; no library call, so that the loops are vectors. */
static inline float round_small(float x) {
    const float magic = 12582912.0f;
    return (x + magic) - magic;
}

/* round_half_even(x) + zero in [low, high]; NaN gives the lowest. Clamped before rounding, the bounds being
 * whole. */
static inline int32_t round_clamp(float x, int32_t zero, int32_t low, int32_t high) {
    float least = (float)(low - zero), most = (float)(high - zero);
    x = x > least ? x : least;
    x = x < most ? x : most;
    return (int32_t)round_small(x) + zero;
}

/* Zero points as int32, so that the loops below are of one width; `part` of them at a time. */
#define PART 256
#define FOR_PARTS(type, n)                                                                                   \
    for (int64_t at = 0, part; at < (n); at += part) {                                                       \
        int32_t offset[PART] = {0};                                                                          \
        part = (n)-at < PART ? (n)-at : PART;                                                                \
        for (int64_t j = 0; zero && j < part; j++) offset[j] = zero[at + j];

#define QUANTIZE_ROWS(name, type, low, high)                                                                 \
    void name(const float *restrict x, type *restrict y, int64_t n, const float *restrict scale,             \
              const type *restrict zero) {                                                                   \
        FOR_PARTS(type, n)                                                                                   \
        for (int64_t j = 0; j < part; j++)                                                                   \
            y[at + j] = (type)round_clamp(x[at + j] / scale[at + j], offset[j], low, high);                  \
    }                                                                                                        \
    }
QUANTIZE_ROWS(hone_quantize_rows_u8, uint8_t, 0, 255)
QUANTIZE_ROWS(hone_quantize_rows_s8, int8_t, -128, 127)

#define DEQUANTIZE_ROWS(name, type)                                                                          \
    void name(const type *restrict x, float *restrict y, int64_t n, const float *restrict scale,             \
              const type *restrict zero) {                                                                   \
        FOR_PARTS(type, n)                                                                                   \
        for (int64_t j = 0; j < part; j++)                                                                   \
            y[at + j] = (float)(int32_t)((uint32_t)x[at + j] - (uint32_t)offset[j]) * scale[at + j];         \
    }                                                                                                        \
    }
DEQUANTIZE_ROWS(hone_dequantize_rows_u8, uint8_t)
DEQUANTIZE_ROWS(hone_dequantize_rows_s8, int8_t)
DEQUANTIZE_ROWS(hone_dequantize_rows_i32, int32_t)

void hone_dequantize_i32(const int32_t *x, float *y, int64_t n, float scale, int32_t zero) {
    for (int64_t i = 0; i < n; i++) y[i] = (float)(int32_t)((uint32_t)x[i] - (uint32_t)zero) * scale;
}

/* dy where x / scale rounds into [least, most]; held one step beyond the ends, where rounding is exact. */
static inline float pass_inside(float dy, float x, float scale, float least, float most) {
    float q = x / scale;
    q = q > least - 1 ? q : least - 1;
    q = round_small(q < most + 1 ? q : most + 1);
    return (q >= least) & (q <= most) ? dy : 0;
}

void hone_quantize_grad(const float *dy, const float *x, float *dx, int64_t n, float scale, int32_t low,
                        int32_t high) {
    for (int64_t i = 0; i < n; i++) dx[i] = pass_inside(dy[i], x[i], scale, (float)low, (float)high);
}

#define QUANTIZE_GRAD_ROWS(name, type, low, high)                                                            \
    void name(const float *dy, const float *x, float *dx, int64_t n, const float *scale, const type *zero) { \
        FOR_PARTS(type, n)                                                                                   \
        for (int64_t j = 0; j < part; j++)                                                                   \
            dx[at + j] = pass_inside(dy[at + j], x[at + j], scale[at + j], (float)((low)-offset[j]),         \
                                     (float)((high)-offset[j]));                                             \
    }                                                                                                        \
    }
QUANTIZE_GRAD_ROWS(hone_quantize_grad_rows_u8, uint8_t, 0, 255)
QUANTIZE_GRAD_ROWS(hone_quantize_grad_rows_s8, int8_t, -128, 127)

/* --- any dtype, through float --- */

static inline float short_of(float x, int precision) {
    return precision == HONE_FLOAT16 ? hone_float_of_half(hone_half_of_float(x))
                                     : hone_float_of_bfloat(hone_bfloat_of_float(x));
}

void hone_divide_scales(const float *x, const float *scale, float *q, int64_t n, int precision) {
    if (precision == HONE_FLOAT32)
        for (int64_t i = 0; i < n; i++) q[i] = x[i] / scale[i];
    else
        for (int64_t i = 0; i < n; i++)
            q[i] = short_of(short_of(x[i], precision) / short_of(scale[i], precision), precision);
}

void hone_round_codes(const float *q, const float *zero, int32_t *codes, int64_t n, int32_t low,
                      int32_t high) {
    for (int64_t i = 0; i < n; i++) codes[i] = round_clamp(q[i], (int32_t)zero[i], low, high);
}

void hone_apply_scales(const float *x, const float *scale, const float *zero, float *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = (x[i] - zero[i]) * scale[i];
}

void hone_quantize_grad_any(const float *dy, const float *x, const float *scale, const float *zero, float *dx,
                            int64_t n, float low, float high) {
    for (int64_t i = 0; i < n; i++) dx[i] = pass_inside(dy[i], x[i], scale[i], low - zero[i], high - zero[i]);
}

void hone_correct_row_i32(const int32_t *s, int64_t n, int32_t zero, const int32_t *correction, int32_t *y) {
    for (int64_t j = 0; j < n; j++)
        y[j] = (int32_t)((uint32_t)s[j] - (uint32_t)zero * (uint32_t)correction[j]);
}

void hone_requantize_row(const int32_t *s, int64_t n, int32_t zero, const int32_t *correction, float a_scale,
                         const float *b_scale, float y_scale, int32_t y_zero, bool is_signed, void *y) {
    for (int64_t j = 0; j < n; j++) {
        int32_t t = (int32_t)((uint32_t)s[j] - (uint32_t)zero * (uint32_t)correction[j]);
        float v = (float)t * (a_scale * b_scale[j] / y_scale);
        if (is_signed)
            ((int8_t *)y)[j] = (int8_t)round_clamp(v, y_zero, -128, 127);
        else
            ((uint8_t *)y)[j] = (uint8_t)round_clamp(v, y_zero, 0, 255);
    }
}
