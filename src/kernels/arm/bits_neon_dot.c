/* Products of weights of few bits by SDOT, which wants codes of 8 bits with a sign. */
#define HONE_ISA neon_dot
#define HONE_ISA_neon 1
#include "kernels/vec.h"

#define BITS_BYTES 1
#define BITS_SIGNED 1
#define BITS_TILE 4
#define BITS_DOT(sum, codes, word)                                                                           \
    ((vec_i32)vdotq_s32((int32x4_t)(sum), (int8x16_t)(codes), (int8x16_t)vdupq_n_s32(*(word))))

#include "kernels/bits.inc.h"
