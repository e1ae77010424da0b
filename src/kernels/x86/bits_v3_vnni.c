/* Products of weights of few bits by AVX-VNNI. */
#define HONE_ISA v3_vnni
#define HONE_ISA_v3 1
#include "kernels/vec.h"

#define BITS_BYTES 1
#define BITS_SIGNED 0
#define BITS_TILE 4
#define BITS_DOT(sum, codes, word)                                                                           \
    ((vec_i32)_mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(codes), _mm256_set1_epi32(*(word))))

#include "kernels/bits.inc.h"
