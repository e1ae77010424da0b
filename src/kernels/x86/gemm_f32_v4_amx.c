/* The float GEMM by AMX, three values of bfloat16 for each float. */
#define HONE_ISA v4_amx
#define HONE_ISA_v4 1
#define PARTS 3
#include "kernels/x86/amx_bf16.h"

#define PLAIN hone_gemm_f32_v4.run
#include "kernels/gemm_f32_tiles.inc.h"

const hone_gemm_family HONE_ISA_NAME(gemm_f32) = {TILES_FAMILY, .name = "gemm_f32 tiles", .group = 1,
                                                  .direct = true, .nanoseconds = 0.004f};
