#include "kernels/vec_bytes.h"

/* Numbers of A and codes as 16 bits: pairs of their products fit into 32. */
#define BITS_BYTES 0
#define BITS_SIGNED 0
#define BITS_DOT(sum, codes, a) vec_add_i32(sum, vec_dot_pairs(codes, a))
#if defined(HONE_ISA_v4)
#define BITS_TILE 8
#elif defined(HONE_ISA_v3)
#define BITS_TILE 4
#else
#define BITS_TILE 2
#endif

#include "kernels/bits.inc.h"
