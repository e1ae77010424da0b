/* The integer GEMM by AVX-512 VNNI. */
#define HONE_ISA v4_vnni
#define HONE_ISA_v4 1
#include "kernels/vec.h"

#define GEMM_GROUP 4
#define GEMM_ROWS 6
#define GEMM_VECTORS 4
#define GEMM_NANOSECONDS 0.004f

VEC_FN vec_i32 load_b(const int8_t *p) {
    return (vec_i32)_mm512_loadu_si512(p);
}

VEC_FN vec_i32 dot(vec_i32 sum, vec_i32 a, vec_i32 b) {
    return (vec_i32)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
}

#include "kernels/gemm_u8s8.inc.h"
