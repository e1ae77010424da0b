/* Products of weights of few bits by AVX-512 VNNI. */
#define HONE_ISA v4_vnni
#define HONE_ISA_v4 1
#include "kernels/vec.h"

#define BITS_BYTES 1
#define BITS_SIGNED 0
#define BITS_TILE 8
#define BITS_DOT(sum, codes, a) ((vec_i32)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(codes), (__m512i)(a)))

#include "kernels/bits.inc.h"
