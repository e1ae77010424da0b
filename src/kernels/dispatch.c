#include "kernels/levels.h"

#include <pthread.h>

/* Rows of the tables. */
#define FIELD(field, level) out->field = hone_##field##_##level;
#define FILL(level)                                                                                          \
    static void fill_##level(hone_kernels *out) {                                                            \
        out->name = #level;                                                                                  \
        HONE_KERNELS_LEVEL(FIELD, level)                                                                     \
        out->gemm[HONE_GEMM_F32] = &hone_gemm_f32_##level;                                                   \
        out->gemm[HONE_GEMM_U8S8] = &hone_gemm_u8s8_##level;                                                 \
        out->fold_f32 = hone_fold_f32_##level;                                                               \
    }

FILL(generic)
#if defined(__x86_64__)
FILL(v2)
FILL(v3)
FILL(v4)

/* What extensions have better kernels for. */
static void fill_extensions(const hone_cpu *cpu, hone_kernels *out) {
    if (cpu->level == HONE_CPU_V3 && cpu->avx_vnni) {
        out->name = "v3+vnni";
        out->gemm[HONE_GEMM_U8S8] = &hone_gemm_u8s8_v3_vnni;
        out->bits_round = hone_bits_round_v3_vnni; /* both: they share a layout */
        out->bits_multiply = hone_bits_multiply_v3_vnni;
        out->depthwise_8 = hone_depthwise_8_v3_vnni;
    }
    if (cpu->level == HONE_CPU_V4 && cpu->avx512_vnni) {
        out->name = "v4+vnni";
        out->gemm[HONE_GEMM_U8S8] = &hone_gemm_u8s8_v4_vnni;
        out->bits_round = hone_bits_round_v4_vnni; /* both: they share a layout */
        out->bits_multiply = hone_bits_multiply_v4_vnni;
        out->depthwise_8 = hone_depthwise_8_v4_vnni;
    }
    if (cpu->level == HONE_CPU_V4 && cpu->amx_int8) {
        out->name = cpu->avx512_vnni ? "v4+vnni+amx" : "v4+amx";
        out->gemm[HONE_GEMM_U8S8] = &hone_gemm_u8s8_v4_amx;
    }
    if (cpu->level == HONE_CPU_V4 && cpu->amx_bf16) {
        out->gemm_f32_tiles = &hone_gemm_f32_v4_amx;
        out->gemm[HONE_GEMM_BF16] = &hone_gemm_bf16_v4_amx;
    }
}
#elif defined(__aarch64__)
FILL(neon)

static void fill_extensions(const hone_cpu *cpu, hone_kernels *out) {
    if (cpu->level != HONE_CPU_NEON || !cpu->neon_dot) return;
    out->name = cpu->neon_i8mm ? "neon+dot+i8mm" : "neon+dot";
    out->bits_round = hone_bits_round_neon_dot; /* both: they share a layout */
    out->bits_multiply = hone_bits_multiply_neon_dot;
    out->gemm[HONE_GEMM_U8S8] = cpu->neon_i8mm ? &hone_gemm_u8s8_neon_i8mm : &hone_gemm_u8s8_neon_dot;
    out->depthwise_8 = cpu->neon_i8mm ? hone_depthwise_8_neon_i8mm : hone_depthwise_8_neon_dot;
}
#endif

void hone_kernels_for(const hone_cpu *cpu, hone_kernels *out) {
    *out = (hone_kernels){.gemm[HONE_GEMM_F64] = &hone_gemm_f64,
                          .softmax_f64 = hone_softmax_f64,
                          .log_softmax_f64 = hone_log_softmax_f64,
                          .normalize_f64 = hone_normalize_f64,
                          .normalize_grad_f64 = hone_normalize_grad_f64};
    fill_generic(out);
#if defined(__x86_64__)
    if (cpu->level == HONE_CPU_V2) fill_v2(out);
    if (cpu->level == HONE_CPU_V3) fill_v3(out);
    if (cpu->level == HONE_CPU_V4) fill_v4(out);
    fill_extensions(cpu, out);
#elif defined(__aarch64__)
    if (cpu->level == HONE_CPU_NEON) fill_neon(out);
    fill_extensions(cpu, out);
#else
    (void)cpu;
#endif
}

static hone_kernels table;

static void fill_table(void) {
    hone_kernels_for(hone_cpu_get(), &table);
}

const hone_kernels *hone_kernels_get(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_table);
    return &table;
}
