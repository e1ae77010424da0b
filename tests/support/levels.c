#include "support/levels.h"

#include "base/random.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool same(const hone_cpu *a, const hone_cpu *b) {
    return a->level == b->level && a->avx_vnni == b->avx_vnni && a->avx512_vnni == b->avx512_vnni &&
           a->amx_int8 == b->amx_int8 && a->neon_dot == b->neon_dot && a->neon_i8mm == b->neon_i8mm;
}

int test_levels(test_level out[TEST_LEVELS_MAX]) {
    static const char *const masks[] = {"generic", "v2", "v3,-vnni",  "v3",         "v4,-vnni,-amx",
                                        "v4,-amx", "v4", "neon,-dot", "neon,-i8mm", "neon"};
    int count = 0;
    for (size_t i = 0; i < sizeof masks / sizeof *masks; i++) {
        hone_cpu cpu;
        bool known = false;
        if (hone_cpu_mask(hone_cpu_get(), masks[i], &cpu, NULL) != HONE_OK) continue;
        for (int j = 0; j < count; j++) known = known || same(&out[j].cpu, &cpu);
        if (known) continue;
        out[count].cpu = cpu;
        snprintf(out[count].name, sizeof out[count].name, "%s", hone_cpu_describe(&cpu));
        count++;
    }
    return count;
}

void test_fill_f32(float *x, int64_t n, float lo, float hi, uint64_t seed) {
    hone_rng r = hone_rng_make(seed, 1);
    for (int64_t i = 0; i < n; i++) x[i] = lo + (hi - lo) * hone_rng_uniform(&r);
}

void test_fill_bytes(void *x, int64_t n, uint64_t seed) {
    hone_rng r = hone_rng_make(seed, 2);
    for (int64_t i = 0; i < n; i++) ((uint8_t *)x)[i] = (uint8_t)hone_rng_u32(&r);
}
