/* Products of weights of 4 bits by AVX-VNNI. */
#define HONE_ISA v3_vnni
#define HONE_ISA_v3 1
#include "kernels/vec.h"

#define BITS_ROWS 2
#define BITS_DOT(sum, codes, a)                                                                              \
    ((vec_i32)_mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(codes), (__m256i)(a)))
#define BITS_SUM(sum) (sum)

#include "kernels/bits_s8.inc.h"
