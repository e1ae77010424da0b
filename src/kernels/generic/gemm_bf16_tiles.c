/* The float GEMM of operands that are rounded to bfloat16, with tiles in memory, for testing on machines without AMX. */
#define HONE_ISA tiles
#define HONE_ISA_generic 1
#define PARTS 1
#include "kernels/generic/tiles_bf16.h"

#include "kernels/gemm_f32_tiles.inc.h"

const hone_gemm_family HONE_ISA_NAME(gemm_bf16) = {
    TILES_FAMILY,           .name = "gemm_bf16",        .group = 2,
    .nanoseconds = 0.0012f, .packed_size = packed_size, .pack = pack};
