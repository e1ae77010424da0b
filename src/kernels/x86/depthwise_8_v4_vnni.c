/* Convolutions of bytes, each channel by itself, by AVX-512 VNNI. */
#define HONE_ISA v4_vnni
#define HONE_ISA_v4 1
#include "kernels/vec.h"

#define DEPTHWISE_DOT(sum, a, b) ((vec_i32)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(a), (__m512i)(b)))
#include "kernels/depthwise_8.inc.h"
