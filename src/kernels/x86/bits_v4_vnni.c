/* Products of weights of few bits by AVX-512 VNNI. */
#define HONE_ISA v4_vnni
#define HONE_ISA_v4 1
#include "kernels/vec.h"

#define BITS_BYTES 1
#define BITS_SIGNED 0
#define BITS_TILE 8
/* Volatile, since sums that are moved together wait for each other; a compiler does not know to spread the word on its way. */
VEC_FN vec_i32 dot_spread(vec_i32 sum, vec_i32 codes, const int32_t *word) {
    __asm__ volatile("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(codes), "m"(*word));
    return sum;
}
#define BITS_DOT(sum, codes, word) dot_spread(sum, codes, word)

#include "kernels/bits.inc.h"
