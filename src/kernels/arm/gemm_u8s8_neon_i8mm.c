/* The integer GEMM by dot products of unsigned with signed bytes (USDOT, which came with the 8-bit matrix products). */
#define HONE_ISA neon_i8mm
#define HONE_ISA_neon 1
#include "kernels/vec.h"

#define GEMM_GROUP 4
#define GEMM_ROWS 6
#define GEMM_VECTORS 4
#define GEMM_NANOSECONDS 0.015f

VEC_FN vec_i32 load_b(const int8_t *p) {
    return (vec_i32)vld1q_s8(p);
}

VEC_FN vec_i32 dot(vec_i32 sum, vec_i32 a, vec_i32 b) {
    return (vec_i32)vusdotq_s32((int32x4_t)sum, (uint8x16_t)a, (int8x16_t)b);
}

#include "kernels/gemm_u8s8.inc.h"
