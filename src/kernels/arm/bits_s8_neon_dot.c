/* Products of weights of 4 bits by SDOT: their codes are below 16, so signed bytes hold them. */
#define HONE_ISA neon_dot
#define HONE_ISA_neon 1
#include "kernels/vec.h"

#define BITS_ROWS 2
#define BITS_DOT(sum, codes, a) ((vec_i32)vdotq_s32((int32x4_t)(sum), (int8x16_t)(codes), (int8x16_t)(a)))
#define BITS_SUM(sum) (sum)

#include "kernels/bits_s8.inc.h"
