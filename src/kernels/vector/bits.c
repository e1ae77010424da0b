#include "kernels/vec_bytes.h"

/* Numbers of A and codes as 16 bits: pairs of their products fit into 32. */
#define BITS_BYTES 0
#define BITS_SIGNED 0
#define BITS_DOT(sum, codes, word) dot_pairs(sum, codes, word)
#if defined(HONE_ISA_v4)
#define BITS_TILE 8
#elif defined(HONE_ISA_v3)
#define BITS_TILE 4
#else
#define BITS_TILE 2
#endif

#if defined(HONE_ISA_generic)
static __attribute__((noinline)) /* hundreds of times it would be large */
#else
VEC_FN
#endif
vec_i32
dot_pairs(vec_i32 sum, vec_i32 codes, const int32_t *word) {
    return vec_add_i32(sum, vec_dot_pairs(codes, vec_set1_i32(*word)));
}

#include "kernels/bits.inc.h"
