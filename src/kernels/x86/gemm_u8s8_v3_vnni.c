/* The integer GEMM by AVX-VNNI, 256 bits wide: for CPUs with that and no AVX-512. */
#define HONE_ISA v3_vnni
#define HONE_ISA_v3 1
#include "kernels/vec.h"

#define GEMM_GROUP 4
#define GEMM_ROWS 6
#define GEMM_VECTORS 2
#define GEMM_NANOSECONDS 0.008f

VEC_FN vec_i32 load_b(const int8_t *p) {
    return (vec_i32)_mm256_loadu_si256((const __m256i *)p);
}

VEC_FN vec_i32 dot(vec_i32 sum, vec_i32 a, vec_i32 b) {
    return (vec_i32)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)a, (__m256i)b);
}

#include "kernels/gemm_u8s8.inc.h"
