/* The integer GEMM by dot products of signed bytes (SDOT). */
#define HONE_ISA neon_dot
#define HONE_ISA_neon 1
#include "kernels/vec.h"

#define GEMM_GROUP 4
#define GEMM_ROWS 6
#define GEMM_VECTORS 4
#define GEMM_NANOSECONDS 0.015f
#define GEMM_FLIP 0x80808080u

VEC_FN vec_i32 load_b(const int8_t *p) {
    return (vec_i32)vld1q_s8(p);
}

VEC_FN vec_i32 dot(vec_i32 sum, vec_i32 a, vec_i32 b) {
    return (vec_i32)vdotq_s32((int32x4_t)sum, (int8x16_t)a, (int8x16_t)b);
}

#include "kernels/gemm_u8s8.inc.h"
