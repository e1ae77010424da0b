/* Convolutions of bytes, each channel by itself, by AVX-VNNI. */
#define HONE_ISA v3_vnni
#define HONE_ISA_v3 1
#include "kernels/vec.h"

#define DEPTHWISE_DOT(sum, a, b)                                                                             \
    ((vec_i32)_mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(a), (__m256i)(b)))
#include "kernels/depthwise_8.inc.h"
