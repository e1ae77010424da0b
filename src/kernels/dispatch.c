#include "kernels/levels.h"

#include <pthread.h>

/* Rows of the tables: the fields of one level, or of one extension of it. */
#define FIELD(field, level) out->field = hone_##field##_##level;
#define FILL(level)                                                                                          \
    static void fill_##level(hone_kernels *out) {                                                            \
        out->name = #level;                                                                                  \
        HONE_KERNELS_LEVEL(FIELD, level)                                                                     \
        FIELD(gemm_f32_panel, level)                                                                         \
        FIELD(gemm_f32_rows, level)                                                                          \
        FIELD(gemm_u8s8_panel, level)                                                                        \
        FIELD(gemm_u8s8_rows, level)                                                                         \
    }
#define FILL_VNNI(level)                                                                                     \
    static void fill_##level##_vnni(hone_kernels *out) {                                                     \
        out->name = #level "+vnni";                                                                          \
        HONE_KERNELS_GEMM_U8S8(FIELD, level##_vnni)                                                          \
        FIELD(gemm_u8s8_panel, level##_vnni)                                                                 \
        FIELD(gemm_u8s8_rows, level##_vnni)                                                                  \
    }

FILL(generic)
#if defined(__x86_64__)
FILL(v2)
FILL(v3)
FILL(v4)
FILL_VNNI(v3)
FILL_VNNI(v4)
#endif

void hone_kernels_for(const hone_cpu *cpu, hone_kernels *out) {
    *out = (hone_kernels){.gemm_f64 = hone_gemm_f64_generic,
                          .softmax_f64 = hone_softmax_f64,
                          .log_softmax_f64 = hone_log_softmax_f64,
                          .sum_f64 = hone_sum_f64,
                          .sum_rows_f64 = hone_sum_rows_f64};
    fill_generic(out);
#if defined(__x86_64__)
    if (cpu->level == HONE_CPU_V2) fill_v2(out);
    if (cpu->level == HONE_CPU_V3) fill_v3(out);
    if (cpu->level == HONE_CPU_V4) fill_v4(out);
    if (cpu->level == HONE_CPU_V3 && cpu->avx_vnni) fill_v3_vnni(out);
    if (cpu->level == HONE_CPU_V4 && cpu->avx512_vnni) fill_v4_vnni(out);
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
