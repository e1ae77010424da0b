/* What the CPU can do, by cpuid or what the kernel tells, cut down by the environment variable HONE_CPU. */
#ifndef HONE_BASE_CPU_H
#define HONE_BASE_CPU_H

#include <hone/error.h>
#include <stdbool.h>
#include <stddef.h>

/* Levels of x86-64, and that of 64-bit ARM; HONE_CPU_GENERIC is portable C, what other architectures have. */
typedef enum hone_cpu_level {
    HONE_CPU_GENERIC,
    HONE_CPU_V2,
    HONE_CPU_V3,
    HONE_CPU_V4,
    HONE_CPU_NEON
} hone_cpu_level;

typedef struct hone_cpu {
    hone_cpu_level level; /* v3: AVX2, FMA, F16C; v4: AVX-512 F, BW, CD, DQ, VL; the OS saves the registers */
    bool avx_vnni;        /* 256-bit vpdpbusd (VEX) */
    bool avx512_vnni;     /* 512-bit vpdpbusd; needs v4 */
    bool avx512_bf16;
    bool amx_int8;  /* tiles of bytes, and the kernel lets this process use them; needs v4 */
    bool amx_bf16;  /* tiles of bfloat16, likewise; needs avx512_bf16 */
    bool neon_dot;  /* dot products of bytes, both signed or both unsigned; needs neon */
    bool neon_i8mm; /* of unsigned with signed bytes, and matrix products; needs neon_dot */
} hone_cpu;

/* This machine's features with HONE_CPU applied, read once. HONE_CPU is a level ("generic", "v2", "v3", "v4"; "neon") and/or
 * features taken away ("-vnni", "-bf16", "-amx"; "-dot", "-i8mm"), separated by commas: "v3", "v4,-vnni". It never adds what
 * is not there: of another architecture's level only "generic" is left. */
const hone_cpu *hone_cpu_get(void);
/* Parses such a mask over `detected`. HONE_INVALID_ARGUMENT names the word that is unknown. */
hone_status hone_cpu_mask(const hone_cpu *detected, const char *mask, hone_cpu *out, hone_error *err);
/* Bytes of a core's second-level cache; 1 MB where the system does not tell. */
size_t hone_cpu_cache(void);
/* "v4,vnni,bf16,amx" into a static buffer: for `hone version`. */
const char *hone_cpu_describe(const hone_cpu *cpu);

#endif
