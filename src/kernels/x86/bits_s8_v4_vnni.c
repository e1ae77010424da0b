/* Products of weights of 4 bits by AVX-512 VNNI. */
#define HONE_ISA v4_vnni
#define HONE_ISA_v4 1
#include "kernels/vec.h"

#define BITS_ROWS 4
#define BITS_DOT(sum, codes, a) ((vec_i32)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(codes), (__m512i)(a)))
#define BITS_SUM(sum) (sum)

#include "kernels/bits_s8.inc.h"
