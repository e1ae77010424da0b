#include "base/cpu.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const hone_cpu everything = {
    .level = HONE_CPU_V4, .avx_vnni = true, .avx512_vnni = true, .avx512_bf16 = true, .amx_int8 = true};

static void test_mask(void **state) {
    (void)state;
    static const struct {
        const char *mask;
        hone_cpu expected;
    } cases[] = {
        {"", {HONE_CPU_V4, true, true, true, true}},
        {"v4", {HONE_CPU_V4, true, true, true, true}},
        {"v4,-vnni", {HONE_CPU_V4, false, false, true, true}},
        {"-vnni", {HONE_CPU_V4, false, false, true, true}},
        {"-bf16", {HONE_CPU_V4, true, true, false, true}},
        {"-bf16,-vnni", {HONE_CPU_V4, false, false, false, true}},
        {"v4,-amx", {HONE_CPU_V4, true, true, true, false}},
        {"v3", {HONE_CPU_V3, true, false, false, false}},
        {"v3,-vnni", {HONE_CPU_V3, false, false, false, false}},
        {"-vnni,v3", {HONE_CPU_V3, false, false, false, false}},
        {"v2", {HONE_CPU_V2, false, false, false, false}},
        {"generic", {HONE_CPU_GENERIC, false, false, false, false}},
        {"v2,v4", {HONE_CPU_V2, false, false, false, false}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_cpu cpu;
        hone_error err;
        assert_int_equal(hone_cpu_mask(&everything, cases[i].mask, &cpu, &err), HONE_OK);
        assert_int_equal(cpu.level, cases[i].expected.level);
        assert_int_equal(cpu.avx_vnni, cases[i].expected.avx_vnni);
        assert_int_equal(cpu.avx512_vnni, cases[i].expected.avx512_vnni);
        assert_int_equal(cpu.avx512_bf16, cases[i].expected.avx512_bf16);
        assert_int_equal(cpu.amx_int8, cases[i].expected.amx_int8);
    }
}

static void test_mask_of_arm(void **state) {
    (void)state;
    const hone_cpu arm = {.level = HONE_CPU_NEON, .neon_dot = true, .neon_i8mm = true};
    static const struct {
        const char *mask;
        hone_cpu_level level;
        bool dot, i8mm;
    } cases[] = {
        {"", HONE_CPU_NEON, true, true},
        {"neon", HONE_CPU_NEON, true, true},
        {"neon,-i8mm", HONE_CPU_NEON, true, false},
        {"-dot", HONE_CPU_NEON, false, false},
        {"generic", HONE_CPU_GENERIC, false, false},
        {"v3", HONE_CPU_GENERIC, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_cpu cpu;
        assert_int_equal(hone_cpu_mask(&arm, cases[i].mask, &cpu, NULL), HONE_OK);
        assert_int_equal(cpu.level, cases[i].level);
        assert_int_equal(cpu.neon_dot, cases[i].dot);
        assert_int_equal(cpu.neon_i8mm, cases[i].i8mm);
        assert_false(cpu.avx_vnni || cpu.avx512_vnni || cpu.avx512_bf16 || cpu.amx_int8);
    }
    hone_cpu cpu;
    assert_int_equal(hone_cpu_mask(&everything, "neon", &cpu, NULL), HONE_OK);
    assert_int_equal(cpu.level, HONE_CPU_GENERIC);
    assert_false(cpu.neon_dot || cpu.neon_i8mm || cpu.avx_vnni || cpu.avx512_vnni);
}

static void test_mask_adds_nothing(void **state) {
    (void)state;
    const hone_cpu old = {.level = HONE_CPU_V2};
    hone_cpu cpu;
    assert_int_equal(hone_cpu_mask(&old, "v4", &cpu, NULL), HONE_OK);
    assert_int_equal(cpu.level, HONE_CPU_V2);
    assert_false(cpu.avx_vnni || cpu.avx512_vnni || cpu.avx512_bf16 || cpu.amx_int8);
}

static void test_unknown_words_are_named(void **state) {
    (void)state;
    static const struct {
        const char *mask, *word;
    } cases[] = {{"v5", "\"v5\""}, {"v3,-avx", "\"-avx\""}, {"vnni", "\"vnni\""},   {"v3,", "\"\""},
                 {"V3", "\"V3\""}, {" v3", "\" v3\""},      {"v3;v4", "\"v3;v4\""}, {",", "\"\""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_cpu cpu = {.level = HONE_CPU_V3};
        hone_error err;
        assert_int_equal(hone_cpu_mask(&everything, cases[i].mask, &cpu, &err), HONE_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, cases[i].word));
        assert_int_equal(cpu.level, HONE_CPU_V3);
    }
}

static void test_describe(void **state) {
    (void)state;
    assert_string_equal(hone_cpu_describe(&everything), "v4,vnni,bf16,amx");
    assert_string_equal(hone_cpu_describe(&(hone_cpu){.level = HONE_CPU_V3, .avx_vnni = true}), "v3,vnni");
    assert_string_equal(hone_cpu_describe(&(hone_cpu){.level = HONE_CPU_V4, .avx512_bf16 = true}), "v4,bf16");
    assert_string_equal(hone_cpu_describe(&(hone_cpu){.level = HONE_CPU_GENERIC}), "generic");
    assert_string_equal(
        hone_cpu_describe(&(hone_cpu){.level = HONE_CPU_NEON, .neon_dot = true, .neon_i8mm = true}),
        "neon,dot,i8mm");
}

/* HONE_CPU is read once a process, so each case is a process: what `check` returns there. */
static int in_child(const char *mask, int (*check)(void)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (mask)
            setenv("HONE_CPU", mask, 1);
        else
            unsetenv("HONE_CPU");
        _exit(check());
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int level(void) {
    return (int)hone_cpu_get()->level;
}
static int cache_is_likely(void) {
    return hone_cpu_cache() >= (size_t)64 << 10 && hone_cpu_cache() <= (size_t)1 << 30;
}
static int features(void) {
    const hone_cpu *cpu = hone_cpu_get();
    return cpu->avx_vnni | cpu->avx512_vnni << 1 | cpu->avx512_bf16 << 2 | cpu->amx_int8 << 3;
}

static void test_cache_has_a_likely_size(void **state) {
    (void)state;
    assert_true(in_child(NULL, cache_is_likely));
}

/* The compiler's own view of this machine. */
static int compiler_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt")) return HONE_CPU_GENERIC;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2"))
        return HONE_CPU_V2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        return HONE_CPU_V3;
    return HONE_CPU_V4;
#elif defined(__aarch64__)
    return HONE_CPU_NEON;
#else
    return HONE_CPU_GENERIC;
#endif
}

static int compiler_features(void) {
#if defined(__x86_64__)
    if (compiler_level() < HONE_CPU_V4) return 0;
    return (__builtin_cpu_supports("avx512vnni") ? 2 : 0) | (__builtin_cpu_supports("avx512bf16") ? 4 : 0);
#else
    return 0;
#endif
}

static void test_detection_agrees_with_the_compiler(void **state) {
    (void)state;
    assert_int_equal(in_child(NULL, level), compiler_level());
    assert_int_equal(in_child(NULL, features) & 6, compiler_features());
}

static void test_environment_is_applied(void **state) {
    (void)state;
    int real = in_child(NULL, level), real_features = in_child(NULL, features);
    static const char *const names[] = {"generic", "v2", "v3", "v4", "neon"};
    for (int i = 0; i < 5; i++) {
        const int least = i < real ? i : real; /* other architectures have only the first in common */
        const bool other = (i == HONE_CPU_NEON) != (real == HONE_CPU_NEON);
        assert_int_equal(in_child(names[i], level), other ? HONE_CPU_GENERIC : least);
    }
    assert_int_equal(in_child("-vnni", features), real_features & 12);
    assert_int_equal(in_child("-bf16", features), real_features & 11);
    assert_int_equal(in_child("-amx", features), real_features & 7);
}

static int warnings;
static void count_warnings(void *user, hone_log_level at, const char *message) {
    (void)user;
    warnings += at == HONE_LOG_WARNING && strstr(message, "v9") != NULL;
}

static int warned_once(void) {
    hone_log_set(count_warnings, NULL, HONE_LOG_DEBUG);
    if (hone_cpu_get() != hone_cpu_get()) return 100;
    return warnings;
}

static void test_bad_environment_is_ignored_with_a_warning(void **state) {
    (void)state;
    assert_int_equal(in_child("v9", level), in_child(NULL, level));
    assert_int_equal(in_child("v9", warned_once), 1);
    assert_int_equal(in_child("v3", warned_once), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_mask_of_arm),
        cmocka_unit_test(test_cache_has_a_likely_size),
        cmocka_unit_test(test_mask_adds_nothing),
        cmocka_unit_test(test_unknown_words_are_named),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_detection_agrees_with_the_compiler),
        cmocka_unit_test(test_environment_is_applied),
        cmocka_unit_test(test_bad_environment_is_ignored_with_a_warning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
