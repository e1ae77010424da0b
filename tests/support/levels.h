/* For tests and benchmarks of kernels: every ISA level that this machine has, and repeatable random input. */
#ifndef HONE_TESTS_LEVELS_H
#define HONE_TESTS_LEVELS_H

#include "base/cpu.h"

#include <stdint.h>

#define TEST_LEVELS_MAX 8

/* Does a machine have a level without extensions? Those of another architecture it has not. */
static inline bool test_has_level(const hone_cpu *machine, int level) {
    if (machine->level == HONE_CPU_NEON) return level == HONE_CPU_GENERIC || level == HONE_CPU_NEON;
    return level <= (int)machine->level;
}

typedef struct test_level {
    char name[32]; /* as hone_cpu_describe has it: "v4,vnni" */
    hone_cpu cpu;
} test_level;

/* Different levels of this machine, generic first, with and without extensions; how many. HONE_CPU limits them. */
int test_levels(test_level out[TEST_LEVELS_MAX]);

/* The same numbers for the same seed. */
void test_fill_f32(float *x, int64_t n, float lo, float hi, uint64_t seed);
void test_fill_bytes(void *x, int64_t n, uint64_t seed);

#endif
