#include "kernels/levels.h"
#include "kernels/vec.h"

/* round_half_even(x / scale) + zero, in [low, high]: clamped before rounding, which is the same since the
 * bounds are whole. vec_max gives its second operand for NaN. */
VEC_FN vec_i32 quantize(vec_f32 x, float scale, int32_t zero, float low, float high) {
    vec_f32 q = vec_max(x / scale, vec_set1(low - (float)zero));
    q = vec_min(q, vec_set1(high - (float)zero));
    return vec_add_i32(vec_to_i32(q), vec_set1_i32(zero));
}

void HONE_ISA_NAME(quantize_u8)(const float *x, uint8_t *y, int64_t n, float scale, int32_t zero) {
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32)
        vec_store_u8(y + i, quantize(vec_load(x + i), scale, zero, 0.0f, 255.0f));
    if (i < n) {
        int rest = (int)(n - i);
        vec_store_u8_n(y + i, quantize(vec_load_n(x + i, rest), scale, zero, 0.0f, 255.0f), rest);
    }
}

void HONE_ISA_NAME(quantize_s8)(const float *x, int8_t *y, int64_t n, float scale, int32_t zero) {
    int64_t i = 0;
    for (; i + VEC_F32 <= n; i += VEC_F32)
        vec_store_s8(y + i, quantize(vec_load(x + i), scale, zero, -128.0f, 127.0f));
    if (i < n) {
        int rest = (int)(n - i);
        vec_store_s8_n(y + i, quantize(vec_load_n(x + i, rest), scale, zero, -128.0f, 127.0f), rest);
    }
}

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
