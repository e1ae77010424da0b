#include "kernels/levels.h"
#include "kernels/vec_bytes.h"
#include "kernels/vec_math.h"

/* round_half_even(x / scale) + zero, in [low, high]: clamped before rounding, which is the same since the
 * bounds are whole. vec_max gives its second operand for NaN. `usual`: the scale is one that vec_divide_by takes, below
 * `most` its quotients are, too. */
VEC_FN vec_i32 quantize(vec_f32 x, const bool usual, vec_f32 scale, vec_f32 inverse, vec_f32 most,
                        int32_t zero, float low, float high) {
    vec_f32 q = usual ? vec_divide_by(vec_min(most, x), scale, inverse) : x / scale;
    q = vec_min(vec_max(q, vec_set1(low - (float)zero)), vec_set1(high - (float)zero));
    return vec_add_i32(vec_to_i32(q), vec_set1_i32(zero));
}

#define QUANTIZE(name, type, store, low, high)                                                               \
    VEC_FN void each_##name(const float *x, type *y, int64_t n, const bool usual, float scale,               \
                            int32_t zero) {                                                                  \
        const vec_f32 s = vec_set1(scale), r = vec_set1(1.0f / scale), most = vec_set1(1024.0f * scale);     \
        int64_t i = 0;                                                                                       \
        for (; i + VEC_F32 <= n; i += VEC_F32)                                                               \
            store(y + i, quantize(vec_load(x + i), usual, s, r, most, zero, low, high));                     \
        const int rest = (int)(n - i);                                                                       \
        if (rest > 0)                                                                                        \
            store##_n(y + i, quantize(vec_load_n(x + i, rest), usual, s, r, most, zero, low, high), rest);   \
    }                                                                                                        \
    void HONE_ISA_NAME(name)(const float *x, type *y, int64_t n, float scale, int32_t zero) {                \
        if (scale >= 0x1p-60f && scale <= 0x1p60f && zero >= -512 && zero <= 512)                            \
            each_##name(x, y, n, true, scale, zero);                                                         \
        else                                                                                                 \
            each_##name(x, y, n, false, scale, zero);                                                        \
    }
QUANTIZE(quantize_u8, uint8_t, vec_store_u8, 0.0f, 255.0f)
QUANTIZE(quantize_s8, int8_t, vec_store_s8, -128.0f, 127.0f)

VEC_FN vec_f32 dequantize(vec_i32 x, float scale, int32_t zero) {
    return vec_from_i32(vec_sub_i32(x, vec_set1_i32(zero))) * scale;
}

void HONE_ISA_NAME(dequantize_u8)(const uint8_t *x, float *y, int64_t n, float scale, int32_t zero) {
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) vec_store(y + i, dequantize(vec_load_u8(x + i), scale, zero));
    int rest = (int)(n - i);
    if (rest > 0) vec_store_n(y + i, dequantize(vec_load_u8_n(x + i, rest), scale, zero), rest);
}

void HONE_ISA_NAME(dequantize_s8)(const int8_t *x, float *y, int64_t n, float scale, int32_t zero) {
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) vec_store(y + i, dequantize(vec_load_s8(x + i), scale, zero));
    int rest = (int)(n - i);
    if (rest > 0) vec_store_n(y + i, dequantize(vec_load_s8_n(x + i, rest), scale, zero), rest);
}

void HONE_ISA_NAME(flip_sign)(const uint8_t *x, uint8_t *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) y[i] = x[i] ^ 0x80;
}

int32_t HONE_ISA_NAME(sum_u8)(const uint8_t *x, int64_t n) {
    vec_i32 sum = vec_set1_i32(0);
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32) sum = vec_add_i32(sum, vec_load_u8(x + i));
    if (i < n) sum = vec_add_i32(sum, vec_load_u8_n(x + i, (int)(n - i)));
    return vec_reduce_add_i32(sum);
}
