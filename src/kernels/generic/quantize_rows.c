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

#define QUANTIZE_ROWS(name, type, low, high)                                                                 \
    void name(const float *x, type *y, int64_t n, const float *scale, const type *zero) {                    \
        for (int64_t j = 0; j < n; j++)                                                                      \
            y[j] = (type)round_clamp(x[j] / scale[j], zero ? zero[j] : 0, low, high);                        \
    }
QUANTIZE_ROWS(hone_quantize_rows_u8, uint8_t, 0, 255)
QUANTIZE_ROWS(hone_quantize_rows_s8, int8_t, -128, 127)

#define DEQUANTIZE_ROWS(name, type)                                                                          \
    void name(const type *x, float *y, int64_t n, const float *scale, const type *zero) {                    \
        for (int64_t j = 0; j < n; j++)                                                                      \
            y[j] = (float)(int32_t)((uint32_t)x[j] - (uint32_t)(zero ? zero[j] : 0)) * scale[j];             \
    }
DEQUANTIZE_ROWS(hone_dequantize_rows_u8, uint8_t)
DEQUANTIZE_ROWS(hone_dequantize_rows_s8, int8_t)
DEQUANTIZE_ROWS(hone_dequantize_rows_i32, int32_t)

void hone_dequantize_i32(const int32_t *x, float *y, int64_t n, float scale, int32_t zero) {
    for (int64_t i = 0; i < n; i++) y[i] = (float)(int32_t)((uint32_t)x[i] - (uint32_t)zero) * scale;
}

void hone_quantize_grad(const float *dy, const float *x, float *dx, int64_t n, const float *scale,
                        const int32_t *zero, int step, int32_t low, int32_t high) {
    for (int64_t i = 0; i < n; i++) {
        float q = x[i] / scale[i * step];
        /* half a step beyond the ends still rounds to them: to even, so the end must be even */
        float least = (float)(low - zero[i * step]), most = (float)(high - zero[i * step]);
        float held = q > least - 1 ? q < most + 1 ? q : most + 1 : least - 1;
        float r = round_small(held);
        dx[i] = r >= least && r <= most ? dy[i] : 0;
    }
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
