/* The float GEMM by AMX, its operands rounded to bfloat16. */
#define HONE_ISA v4_amx
#define HONE_ISA_v4 1
#define PARTS 1
#include "kernels/x86/amx_bf16.h"

#include "kernels/gemm_f32_tiles.inc.h"

const hone_gemm_family HONE_ISA_NAME(gemm_bf16) = {
    TILES_FAMILY,           .name = "gemm_bf16",        .group = 2,
    .nanoseconds = 0.0012f, .packed_size = packed_size, .pack = pack};
