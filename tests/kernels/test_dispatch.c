#include "base/cpu.h"
#include "kernels/levels.h"
#include "support/levels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The table is names, numbers and pointers: a zero word in it is an entry that nobody filled. */
static void test_complete(void **state) {
    (void)state;
    const hone_cpu *machine = hone_cpu_get();
    for (int level = HONE_CPU_GENERIC; level <= (int)machine->level; level++)
        for (int vnni = 0; vnni < 2 && test_has_level(machine, level); vnni++) {
            hone_cpu cpu = {.level = (hone_cpu_level)level};
            cpu.avx_vnni = vnni && machine->avx_vnni;
            cpu.avx512_vnni = vnni && machine->avx512_vnni;
            cpu.neon_dot = vnni && machine->neon_dot;
            cpu.neon_i8mm = vnni && machine->neon_i8mm;
            hone_kernels kernels;
            memset(&kernels, 0xff, sizeof kernels);
            hone_kernels_for(&cpu, &kernels);
            assert_non_null(kernels.name);
            for (int kind = 0; kind < HONE_GEMM_KINDS; kind++) {
                const hone_gemm_family *f = kernels.gemm[kind];
                if (kind == HONE_GEMM_BF16 && !f) continue; /* of some CPUs */
                assert_true(f && f->name && f->panel > 0 && f->rows > 0 && f->group > 0 && f->run);
                assert_true(f->nanoseconds > 0 && !f->pack == !f->packed_size && (f->pack || f->direct));
                assert_int_equal(HONE_GEMM_PACK_ROWS % f->group, 0);
            }
#define FILLED(field) assert_true((void *)kernels.field != NULL && (intptr_t)(void *)kernels.field != -1)
            FILLED(sum_u8);
            FILLED(flip_sign);
            FILLED(program);
            FILLED(cast);
            FILLED(quantize_u8);
            FILLED(quantize_s8);
            FILLED(dequantize_u8);
            FILLED(dequantize_s8);
            FILLED(softmax_f32);
            FILLED(normalize_f32);
            FILLED(normalize_f64);
            FILLED(normalize_grad_f32);
            FILLED(normalize_grad_f64);
            FILLED(log_softmax_f32);
            FILLED(softmax_f64);
            FILLED(log_softmax_f64);
            FILLED(fold_f32);
            FILLED(min_max_f32);
            FILLED(argmax_f32);
            FILLED(transpose_32);
        }
}

/* Each level has kernels of its own, and dot products of bytes replace the integer GEMM only. */
static void test_each_level(void **state) {
    (void)state;
    const hone_cpu *machine = hone_cpu_get();
    static const char *const names[] = {"generic", "v2", "v3", "v4", "neon"};
    hone_kernels kernels[5];
    for (int level = HONE_CPU_GENERIC; level <= (int)machine->level; level++) {
        if (!test_has_level(machine, level)) continue;
        hone_cpu cpu = {.level = (hone_cpu_level)level};
        hone_kernels_for(&cpu, &kernels[level]);
        assert_string_equal(kernels[level].name, names[level]);
        for (int lower = 0; lower < level; lower++) {
            if (!test_has_level(machine, lower)) continue;
            assert_true(kernels[level].gemm[HONE_GEMM_F32] != kernels[lower].gemm[HONE_GEMM_F32]);
            assert_true(kernels[level].program != kernels[lower].program);
            assert_true(kernels[level].gemm[HONE_GEMM_U8S8] != kernels[lower].gemm[HONE_GEMM_U8S8]);
            assert_true(kernels[level].gemm[HONE_GEMM_F64] == kernels[lower].gemm[HONE_GEMM_F64]);
        }
        cpu.avx_vnni = machine->avx_vnni;
        cpu.avx512_vnni = machine->avx512_vnni;
        cpu.neon_dot = machine->neon_dot;
        const bool vnni = level == HONE_CPU_V3     ? cpu.avx_vnni
                          : level == HONE_CPU_NEON ? cpu.neon_dot
                                                   : level == HONE_CPU_V4 && cpu.avx512_vnni;
        hone_kernels with;
        hone_kernels_for(&cpu, &with);
        assert_true((with.gemm[HONE_GEMM_U8S8] != kernels[level].gemm[HONE_GEMM_U8S8]) == vnni);
        assert_true((strchr(with.name, '+') != NULL) == vnni);
        assert_true(with.gemm[HONE_GEMM_F32] == kernels[level].gemm[HONE_GEMM_F32]);
    }
}

#if defined(__x86_64__)
/* Tile registers are taken where the CPU has them, and only with AVX-512. Nothing is run here. */
static void test_tiles(void **state) {
    (void)state;
    hone_kernels kernels;
    hone_cpu cpu = {.level = HONE_CPU_V4, .avx512_vnni = true, .amx_int8 = true};
    hone_kernels_for(&cpu, &kernels);
    assert_string_equal(kernels.name, "v4+vnni+amx");
    assert_ptr_equal(kernels.gemm[HONE_GEMM_U8S8], &hone_gemm_u8s8_v4_amx);
    assert_int_equal(hone_gemm_u8s8_v4_amx.panel, hone_gemm_u8s8_tiles.panel);
    cpu.avx512_vnni = false;
    hone_kernels_for(&cpu, &kernels);
    assert_string_equal(kernels.name, "v4+amx");
    cpu.level = HONE_CPU_V3;
    hone_kernels_for(&cpu, &kernels);
    assert_ptr_equal(kernels.gemm[HONE_GEMM_U8S8], &hone_gemm_u8s8_v3);
}
#endif

static void test_machine(void **state) {
    (void)state;
    const hone_kernels *kernels = hone_kernels_get();
    assert_ptr_equal(kernels, hone_kernels_get());
    hone_kernels same;
    hone_kernels_for(hone_cpu_get(), &same);
    assert_memory_equal(kernels, &same, sizeof same);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_each_level),
#if defined(__x86_64__)
        cmocka_unit_test(test_tiles),
#endif
        cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
