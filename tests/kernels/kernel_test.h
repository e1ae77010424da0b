/* What the kernel tests share: a loop over the levels of this machine, and comparison of floats. */
#ifndef HONE_TESTS_KERNEL_TEST_H
#define HONE_TESTS_KERNEL_TEST_H

#include "kernels/levels.h"
#include "support/levels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* Calls `test` with the kernels of each level; `name` is for messages. */
static inline void each_level(void (*test)(const hone_kernels *k, const char *name)) {
    test_level level[TEST_LEVELS_MAX];
    const int count = test_levels(level);
    assert_true(count >= 1);
    for (int i = 0; i < count; i++) {
        hone_kernels k;
        hone_kernels_for(&level[i].cpu, &k);
        test(&k, level[i].name);
    }
}

/* Equal bits, or both NaN. */
static inline bool same_f32(float a, float b) {
    return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b);
}

/* |got - want| within a relative and an absolute bound; infinities and NaN must match. */
static inline bool near(double got, double want, double relative, double absolute) {
    if (want != want || got != got) return want != want && got != got;
    if (isinf(want) || isinf(got)) return got == want;
    return fabs(got - want) <= relative * fabs(want) + absolute;
}

#endif
