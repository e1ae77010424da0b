/* How this thread's arithmetic takes subnormal numbers (below 1.2e-38 in float32). With each that comes up many CPUs spend some
 * hundred cycles, which makes a network slow that has a few of them among its weights; so they count as zero while a model
 * runs, as they do in TensorFlow. */
#ifndef HONE_BASE_SUBNORMAL_H
#define HONE_BASE_SUBNORMAL_H

#include <stdint.h>

#if defined(__x86_64__)
#define HONE_FLUSH_BITS 0x8040 /* of MXCSR: flush to zero, and denormals are zeros */
static inline uint64_t hone_float_mode(void) {
    return __builtin_ia32_stmxcsr();
}
static inline void hone_float_mode_set(uint64_t mode) {
    __builtin_ia32_ldmxcsr((unsigned)mode);
}
#elif defined(__aarch64__)
#define HONE_FLUSH_BITS (1 << 24) /* of FPCR: FZ */
static inline uint64_t hone_float_mode(void) {
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void hone_float_mode_set(uint64_t mode) {
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
#else
#define HONE_FLUSH_BITS 0
static inline uint64_t hone_float_mode(void) {
    return 0;
}
static inline void hone_float_mode_set(uint64_t mode) {
    (void)mode;
}
#endif

/* From now on subnormal numbers are zeros. What the mode was before, for hone_float_mode_set(). */
static inline uint64_t hone_flush_subnormals(void) {
    uint64_t before = hone_float_mode();
    if ((before & HONE_FLUSH_BITS) != HONE_FLUSH_BITS) hone_float_mode_set(before | HONE_FLUSH_BITS);
    return before;
}

#endif
