/* Tile registers of CPUs with AMX: eight of 16 rows of 64 bytes. The instructions hold their registers' numbers, which are
 * constants wherever these functions are inlined: of each switch one case stays. In assembly, since gcc's intrinsics do not say
 * that they read memory. */
#ifndef HONE_KERNELS_X86_AMX_H
#define HONE_KERNELS_X86_AMX_H

#include "kernels/vec.h"

/* The registers are the CPU's; this is their configuration. */
typedef struct tiles {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tiles;
_Static_assert(sizeof(tiles) == 64, "as the CPU reads it");

#define AMX_EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

#define AMX_ZERO(r)                                                                                          \
    case r: __asm__ volatile("tilezero %%tmm" #r ::); break;
VEC_FN void tile_zero(tiles *t, const int r) {
    (void)t;
    switch (r) { AMX_EACH(AMX_ZERO) }
}

#define AMX_LOAD(r)                                                                                          \
    case r: __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #r ::"r"(p), "r"(step) : "memory"); break;
VEC_FN void tile_load(tiles *t, const int r, const void *p, int64_t step) {
    (void)t;
    switch (r) { AMX_EACH(AMX_LOAD) }
}

#define AMX_STORE(r)                                                                                         \
    case r: __asm__ volatile("tilestored %%tmm" #r ", (%0,%1,1)" ::"r"(p), "r"(step) : "memory"); break;
VEC_FN void tile_store(tiles *t, const int r, void *p, int64_t step) {
    (void)t;
    switch (r) { AMX_EACH(AMX_STORE) }
}

VEC_FN void tile_release(tiles *t) {
    (void)t;
    __asm__ volatile("tilerelease" ::);
}

#endif
