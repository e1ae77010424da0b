/* The integer GEMM by AMX. */
#define HONE_ISA v4_amx
#define HONE_ISA_v4 1
#include "kernels/x86/amx.h"

VEC_FN void tile_configure(tiles *t, int rows, int more) {
    *t = (tiles){.palette = 1};
    for (int r = 0; r < 8; r++) t->row_bytes[r] = 64;
    t->rows[0] = t->rows[1] = t->rows[4] = (uint8_t)rows;
    t->rows[2] = t->rows[3] = t->rows[5] = (uint8_t)(more > 0 ? more : 1); /* 0 is refused */
    t->rows[6] = t->rows[7] = 16;
    __asm__ volatile("ldtilecfg %0" ::"m"(*t));
}

VEC_FN void tile_dot_u8s8(tiles *t, const int i, const int j) {
    (void)t;
    switch (2 * i + j) {
    case 0: __asm__ volatile("tdpbusd %%tmm6, %%tmm4, %%tmm0" ::); break;
    case 1: __asm__ volatile("tdpbusd %%tmm7, %%tmm4, %%tmm1" ::); break;
    case 2: __asm__ volatile("tdpbusd %%tmm6, %%tmm5, %%tmm2" ::); break;
    case 3: __asm__ volatile("tdpbusd %%tmm7, %%tmm5, %%tmm3" ::); break;
    }
}

#include "kernels/gemm_u8s8_tiles.inc.h"
