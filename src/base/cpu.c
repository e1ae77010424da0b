#include "base/cpu.h"
#include "base/error.h"
#include "base/log.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

static const char *const level_names[] = {"generic", "v2", "v3", "v4", "neon"};

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>

static uint64_t xgetbv0(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool has(uint32_t word, uint32_t bits) {
    return (word & bits) == bits;
}

static hone_cpu detect(void) {
    hone_cpu cpu = {.level = HONE_CPU_GENERIC};
    uint32_t a, b, c, d, c1, c_ext = 0, b7 = 0, c7 = 0, d7 = 0, a71 = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d)) return cpu;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) c_ext = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        b7 = b;
        c7 = c;
        d7 = d;
        if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) a71 = a;
    }
    const uint64_t ymm = 0x6, zmm = 0xE6, tiles = 0x60000;
    uint64_t saved = has(c1, bit_OSXSAVE) ? xgetbv0() : 0;

    if (!has(c1, bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT | bit_CMPXCHG16B) ||
        !has(c_ext, bit_LAHF_LM))
        return cpu;
    cpu.level = HONE_CPU_V2;
    if (!has(c1, bit_AVX | bit_FMA | bit_F16C | bit_MOVBE) || !has(c_ext, bit_ABM) ||
        !has(b7, bit_AVX2 | bit_BMI | bit_BMI2) || (saved & ymm) != ymm)
        return cpu;
    cpu.level = HONE_CPU_V3;
    cpu.avx_vnni = has(a71, 1u << 4);
    if (!has(b7, bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL) ||
        (saved & zmm) != zmm)
        return cpu;
    cpu.level = HONE_CPU_V4;
    cpu.avx512_vnni = has(c7, 1u << 11);
    cpu.avx512_bf16 = has(a71, 1u << 5);
    cpu.amx_int8 = has(d7, 1u << 24 | 1u << 25) && (saved & tiles) == tiles;
    cpu.amx_bf16 = cpu.amx_int8 && cpu.avx512_bf16 && has(d7, 1u << 22);
    return cpu;
}

/* Linux gives a process the room for tiles in its threads' contexts only when it asks. */
static bool ask_for_tiles(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}
#else
static hone_cpu detect(void) {
#if defined(__aarch64__)
    /* Linux's names: HWCAP_ASIMD, HWCAP_ASIMDDP, HWCAP2_I8MM. */
    const unsigned long asimd = 1ul << 1, asimddp = 1ul << 20, i8mm = 1ul << 13;
    const unsigned long has = getauxval(AT_HWCAP), has2 = getauxval(AT_HWCAP2);
    if (has & asimd)
        return (hone_cpu){
            .level = HONE_CPU_NEON, .neon_dot = has & asimddp, .neon_i8mm = (has & asimddp) && (has2 & i8mm)};
#endif
    return (hone_cpu){.level = HONE_CPU_GENERIC};
}

static bool ask_for_tiles(void) {
    return false;
}
#endif

static void cut(hone_cpu *cpu, hone_cpu_level level) {
    const bool same = (level == HONE_CPU_NEON) == (cpu->level == HONE_CPU_NEON); /* architecture */
    if (!same)
        cpu->level = HONE_CPU_GENERIC;
    else if (level < cpu->level)
        cpu->level = level;
}

static bool apply_word(hone_cpu *cpu, const char *word, size_t length) {
    for (int level = HONE_CPU_GENERIC; level <= HONE_CPU_NEON; level++) {
        if (strlen(level_names[level]) == length && memcmp(word, level_names[level], length) == 0) {
            cut(cpu, (hone_cpu_level)level);
            return true;
        }
    }
    if (length == 5 && memcmp(word, "-vnni", 5) == 0)
        cpu->avx_vnni = cpu->avx512_vnni = false;
    else if (length == 5 && memcmp(word, "-bf16", 5) == 0)
        cpu->avx512_bf16 = cpu->amx_bf16 = false;
    else if (length == 4 && memcmp(word, "-amx", 4) == 0)
        cpu->amx_int8 = cpu->amx_bf16 = false;
    else if (length == 4 && memcmp(word, "-dot", 4) == 0)
        cpu->neon_dot = false;
    else if (length == 5 && memcmp(word, "-i8mm", 5) == 0)
        cpu->neon_i8mm = false;
    else
        return false;
    return true;
}

hone_status hone_cpu_mask(const hone_cpu *detected, const char *mask, hone_cpu *out, hone_error *err) {
    hone_cpu cpu = *detected;
    for (const char *word = mask; *mask;) {
        size_t length = strcspn(word, ",");
        if (!apply_word(&cpu, word, length))
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "unknown word \"%.*s\" in HONE_CPU (generic, v2, v3, v4, -vnni, -bf16, -amx, "
                             "neon, -dot, -i8mm)",
                             (int)length, word);
        if (!word[length]) break;
        word += length + 1;
    }
    if (cpu.level != HONE_CPU_V4) cpu.avx512_vnni = cpu.avx512_bf16 = cpu.amx_int8 = cpu.amx_bf16 = false;
    if (cpu.level != HONE_CPU_V4 && cpu.level != HONE_CPU_V3) cpu.avx_vnni = false;
    if (cpu.level != HONE_CPU_NEON) cpu.neon_dot = false;
    if (!cpu.neon_dot) cpu.neon_i8mm = false;
    *out = cpu;
    return HONE_OK;
}

static hone_cpu this_cpu;
static size_t this_cache = (size_t)1 << 20;

static void read_once(void) {
    hone_error err;
    const char *mask = getenv("HONE_CPU");
    this_cpu = detect();
    if (mask && hone_cpu_mask(&this_cpu, mask, &this_cpu, &err) != HONE_OK)
        hone_log(HONE_LOG_WARNING, "HONE_CPU is ignored: %s", err.message);
    if (this_cpu.amx_int8 && !ask_for_tiles()) this_cpu.amx_int8 = this_cpu.amx_bf16 = false;
#ifdef _SC_LEVEL2_CACHE_SIZE
    long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (bytes > 0) this_cache = (size_t)bytes;
#endif
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

const hone_cpu *hone_cpu_get(void) {
    pthread_once(&once, read_once);
    return &this_cpu;
}

size_t hone_cpu_cache(void) {
    pthread_once(&once, read_once);
    return this_cache;
}

const char *hone_cpu_describe(const hone_cpu *cpu) {
    static _Thread_local char text[32];
    snprintf(text, sizeof text, "%s%s%s%s%s%s", level_names[cpu->level],
             cpu->avx_vnni || cpu->avx512_vnni ? ",vnni" : "", cpu->avx512_bf16 ? ",bf16" : "",
             cpu->amx_int8 ? ",amx" : "", cpu->neon_dot ? ",dot" : "", cpu->neon_i8mm ? ",i8mm" : "");
    return text;
}
