/* Convolutions of bytes, each channel by itself, by SDOT: a b = (a - 128) b + 64 b + 64 b. */
#define HONE_ISA neon_dot
#define HONE_ISA_neon 1
#include "kernels/vec.h"

VEC_FN vec_i32 dot(vec_i32 sum, vec_i32 a, vec_i32 b) {
    const int8x16_t half = vdupq_n_s8(64), x = (int8x16_t)(a ^ (int32_t)0x80808080u);
    int32x4_t s = vdotq_s32((int32x4_t)sum, x, (int8x16_t)b);
    s = vdotq_s32(s, half, (int8x16_t)b);
    return (vec_i32)vdotq_s32(s, half, (int8x16_t)b);
}

#define DEPTHWISE_DOT dot
#include "kernels/depthwise_8.inc.h"
