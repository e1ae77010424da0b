/* Convolutions of bytes, each channel by itself, by USDOT. */
#define HONE_ISA neon_i8mm
#define HONE_ISA_neon 1
#include "kernels/vec.h"

#define DEPTHWISE_DOT(sum, a, b) ((vec_i32)vusdotq_s32((int32x4_t)(sum), (uint8x16_t)(a), (int8x16_t)(b)))
#include "kernels/depthwise_8.inc.h"
