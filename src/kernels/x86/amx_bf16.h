/* Products of bfloat16 in tile registers. */
#ifndef HONE_KERNELS_X86_AMX_BF16_H
#define HONE_KERNELS_X86_AMX_BF16_H

#include "kernels/levels.h"
#include "kernels/x86/amx.h"

VEC_FN void tile_configure(tiles *t) {
    *t = (tiles){.palette = 1};
    for (int r = 0; r < 8; r++) {
        t->row_bytes[r] = 64;
        t->rows[r] = 16;
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(*t));
}

#define AMX_DOT(r)                                                                                           \
    case r: __asm__ volatile("tdpbf16ps %%tmm7, %%tmm6, %%tmm" #r ::); break;
/* Of register 6, rows of A, and 7, B. */
VEC_FN void tile_dot_bf16(tiles *t, const int r) {
    (void)t;
    switch (r) { AMX_EACH(AMX_DOT) }
}

#endif
