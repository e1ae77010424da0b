/* The integer GEMM by AMX. The instructions hold their registers' numbers, which are constants wherever these
 * functions are inlined: of each switch one case stays. In assembly, since gcc's intrinsics do not say that they
 * read memory. */
#define HONE_ISA v4_amx
#define HONE_ISA_v4 1
#include "kernels/vec.h"

/* The registers are the CPU's; this is their configuration. */
typedef struct tiles {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tiles;
_Static_assert(sizeof(tiles) == 64, "as the CPU reads it");

VEC_FN void tile_configure(tiles *t, int rows, int more) {
    *t = (tiles){.palette = 1};
    for (int r = 0; r < 8; r++) t->row_bytes[r] = 64;
    t->rows[0] = t->rows[1] = t->rows[4] = (uint8_t)rows;
    t->rows[2] = t->rows[3] = t->rows[5] = (uint8_t)(more > 0 ? more : 1); /* 0 is refused */
    t->rows[6] = t->rows[7] = 16;
    __asm__ volatile("ldtilecfg %0" ::"m"(*t));
}

#define EACH_TILE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

#define ZERO(r)                                                                                              \
    case r: __asm__ volatile("tilezero %%tmm" #r ::); break;
VEC_FN void tile_zero(tiles *t, const int r) {
    (void)t;
    switch (r) { EACH_TILE(ZERO) }
}

#define LOAD(r)                                                                                              \
    case r: __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #r ::"r"(p), "r"(step) : "memory"); break;
VEC_FN void tile_load(tiles *t, const int r, const void *p, int64_t step) {
    (void)t;
    switch (r) { EACH_TILE(LOAD) }
}

#define STORE(r)                                                                                             \
    case r: __asm__ volatile("tilestored %%tmm" #r ", (%0,%1,1)" ::"r"(p), "r"(step) : "memory"); break;
VEC_FN void tile_store(tiles *t, const int r, void *p, int64_t step) {
    (void)t;
    switch (r) { EACH_TILE(STORE) }
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

VEC_FN void tile_release(tiles *t) {
    (void)t;
    __asm__ volatile("tilerelease" ::);
}

#include "kernels/gemm_u8s8_tiles.inc.h"
