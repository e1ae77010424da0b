/* Throughput of the kernels but the float GEMM at every level of this machine, one thread, and of the integer
 * GEMM against the peak of its instruction, measured beside it. `bench_kernels` for all levels,
 * `bench_kernels v4,vnni` for those whose name begins so. */
#include "base/clock.h"
#include "base/memory.h"
#include "kernels/levels.h"
#include "support/levels.h"

#include <hone/tensor.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define TILE HONE_PROGRAM_TILE

typedef struct work {
    const char *name;
    const char *unit; /* of `amount` a second, in thousand millions */
    double amount;    /* of one run */
    void (*run)(const hone_kernels *k);
} work;

/* The best of several batches, each of about 10 ms. */
static double best_time(const hone_kernels *k, void (*run)(const hone_kernels *k)) {
    double best = 1e9;
    int64_t repeat = 1;
    for (int batch = 0; batch < 12; batch++) {
        double begin = hone_seconds_now();
        for (int64_t i = 0; i < repeat; i++) run(k);
        double took = hone_seconds_now() - begin;
        if (batch > 0 && took / (double)repeat < best) best = took / (double)repeat;
        if (took < 0.005) {
            repeat = (int64_t)((double)repeat * fmin(0.01 / (took + 1e-7), 100)) + 1;
            batch -= repeat < 1000000;
        }
    }
    return best;
}

#define PARAMETERS 100000
#define ELEMENTS (128 * 1536)
static float *x, *y, *z;
static uint8_t *bytes, *out;
static hone_gemm gemm;

static float constants[HONE_PROGRAM_MAX_CONSTANTS][TILE];

/* Runs p over n elements, whose inputs are x, y, z and whose temporaries are scratch tiles. */
static void run_program(const hone_kernels *k, const hone_program *p, int64_t n) {
    static float scratch[HONE_PROGRAM_MAX_REGISTERS][TILE];
    float *const input[] = {x, y, z};
    void *registers[HONE_PROGRAM_MAX_REGISTERS];
    for (int i = p->inputs; i < p->registers; i++)
        registers[i] = i < p->inputs + p->constants ? constants[i - p->inputs] : scratch[i];
    for (int64_t at = 0; at < n; at += TILE) {
        for (int i = 0; i < p->inputs; i++) registers[i] = input[i] + at;
        k->program(p, registers, n - at < TILE ? n - at : TILE);
    }
}

static void set_constants(const hone_program *p) {
    for (int i = 0; i < p->constants; i++)
        for (int j = 0; j < TILE; j++) constants[i][j] = (float)p->constant[i];
}

/* v = mu*v + g; w = w - lr*v, with v, g, w as inputs and mu, lr as constants */
static const hone_program momentum = {.inputs = 3,
                                      .constants = 2,
                                      .registers = 6,
                                      .count = 3,
                                      .constant = {0.9, 1e-9},
                                      .code = {{HONE_VOP_FMA, HONE_FLOAT32, 0, 3, 0, 1},
                                               {HONE_VOP_MUL, HONE_FLOAT32, 5, 4, 0, 0},
                                               {HONE_VOP_SUB, HONE_FLOAT32, 2, 2, 5, 0}}};
/* y = gelu(x + bias) = h/2 (1 + erf(h / sqrt 2)); inputs x, y (the result) and z (the bias, repeated) */
static const hone_program gelu = {.inputs = 3,
                                  .constants = 2,
                                  .registers = 7,
                                  .count = 5,
                                  .constant = {0.70710678, 0.5},
                                  .code = {{HONE_VOP_ADD, HONE_FLOAT32, 5, 0, 2, 0},
                                           {HONE_VOP_MUL, HONE_FLOAT32, 6, 5, 3, 0},
                                           {HONE_VOP_ERF, HONE_FLOAT32, 6, 6, 0, 0},
                                           {HONE_VOP_MUL, HONE_FLOAT32, 5, 5, 4, 0},
                                           {HONE_VOP_FMA, HONE_FLOAT32, 1, 5, 6, 5}}};

static void run_momentum(const hone_kernels *k) {
    set_constants(&momentum);
    run_program(k, &momentum, PARAMETERS);
}
static void run_gelu(const hone_kernels *k) {
    set_constants(&gelu);
    run_program(k, &gelu, ELEMENTS);
}
static void run_op(const hone_kernels *k, int op) {
    const hone_program p = {
        .inputs = 2, .registers = 2, .count = 1, .code = {{(uint8_t)op, HONE_FLOAT32, 1, 0, 0, 0}}};
    run_program(k, &p, ELEMENTS);
}
static void run_exp(const hone_kernels *k) {
    run_op(k, HONE_VOP_EXP);
}
static void run_log(const hone_kernels *k) {
    run_op(k, HONE_VOP_LOG);
}
static void run_tanh(const hone_kernels *k) {
    run_op(k, HONE_VOP_TANH);
}
static void run_sigmoid(const hone_kernels *k) {
    run_op(k, HONE_VOP_SIGMOID);
}
static void run_erf(const hone_kernels *k) {
    run_op(k, HONE_VOP_ERF);
}
static void run_softmax(const hone_kernels *k) {
    for (int i = 0; i < 1024; i++) k->softmax_f32(x + i * 128, y + i * 128, 128);
}
static volatile float sink;
static void run_sum(const hone_kernels *k) {
    float sum;
    k->fold_f32[HONE_FOLD_SUM].run(x, ELEMENTS, &sum, false);
    sink = sum;
}
static void run_argmax(const hone_kernels *k) {
    sink = (float)k->argmax_f32(x, ELEMENTS);
}
static void run_sum_rows(const hone_kernels *k) {
    k->fold_f32[HONE_FOLD_SUM].rows(x, 128, 1536, 1536, y, false);
}
static void run_quantize(const hone_kernels *k) {
    k->quantize_u8(x, out, ELEMENTS, 0.05f, 128);
}
static void run_dequantize(const hone_kernels *k) {
    k->dequantize_u8(bytes, y, ELEMENTS, 0.05f, 128);
}
static void run_sum_u8(const hone_kernels *k) {
    sink = (float)k->sum_u8(bytes, ELEMENTS);
}
static void run_transpose(const hone_kernels *k) {
    k->transpose_32((const uint32_t *)x, 128, 1536, 1536, (uint32_t *)y, 128);
}

static const work works[] = {
    {"SGD with momentum, 100,000 parameters", "GB/s", 20.0 * PARAMETERS, run_momentum},
    {"bias and GELU, 128 x 1536", "G elements/s", ELEMENTS, run_gelu},
    {"exp, 128 x 1536", "G elements/s", ELEMENTS, run_exp},
    {"log, 128 x 1536", "G elements/s", ELEMENTS, run_log},
    {"tanh, 128 x 1536", "G elements/s", ELEMENTS, run_tanh},
    {"sigmoid, 128 x 1536", "G elements/s", ELEMENTS, run_sigmoid},
    {"erf, 128 x 1536", "G elements/s", ELEMENTS, run_erf},
    {"softmax, 1024 rows of 128", "G elements/s", 1024 * 128, run_softmax},
    {"sum, 128 x 1536", "GB/s", 4.0 * ELEMENTS, run_sum},
    {"argmax, 128 x 1536", "GB/s", 4.0 * ELEMENTS, run_argmax},
    {"sum over 128 rows of 1536", "GB/s", 4.0 * ELEMENTS, run_sum_rows},
    {"quantize to uint8, 128 x 1536", "GB/s", 5.0 * ELEMENTS, run_quantize},
    {"dequantize uint8, 128 x 1536", "GB/s", 5.0 * ELEMENTS, run_dequantize},
    {"sum of bytes, 128 x 1536", "GB/s", ELEMENTS, run_sum_u8},
    {"transpose, 128 x 1536", "GB/s", 8.0 * ELEMENTS, run_transpose},
};

static void run_gemm(const hone_kernels *k) {
    k->gemm[HONE_GEMM_U8S8]->run(&gemm, 0, gemm.m, 0, gemm.n);
}

/* The integer GEMM with a requantizing store. */
static void bench_gemm(const hone_kernels *k, double peak) {
    static const int64_t shape[][3] = {{512, 1024, 1024}, {128, 3072, 768}, {128, 768, 3072}, {49, 512, 4608},
                                       {8, 768, 768},     {1, 1024, 1024},  {1, 128, 784},    {64, 10, 128}};
    for (int i = 0; i < COUNT(shape); i++) {
        const int64_t m = shape[i][0], n = shape[i][1], depth = shape[i][2];
        const hone_gemm_family *f = k->gemm[HONE_GEMM_U8S8];
        int8_t *b = hone_alloc((size_t)(depth * n)), *packed = hone_alloc(f->packed_size(depth, n));
        uint8_t *a = hone_alloc((size_t)(m * depth)), *c = hone_alloc((size_t)(m * n));
        float *scale = hone_alloc((size_t)n * sizeof *scale);
        int32_t *bias = hone_calloc((size_t)n, sizeof *bias);
        if (!b || !packed || !a || !c || !scale || !bias) exit(1);
        test_fill_bytes(a, m * depth, 1);
        test_fill_bytes(b, depth * n, 2);
        test_fill_f32(scale, n, 1e-5f, 1e-4f, 3);
        f->pack(&(hone_gemm_b){depth, n, b, n, 1, 0, packed, NULL}, 0, depth, 0, n);
        gemm = (hone_gemm){.m = m,
                           .n = n,
                           .k = depth,
                           .a = a,
                           .a_row = depth,
                           .a_col = 1,
                           .b = packed,
                           .c = c,
                           .c_row = n,
                           .epilogue = {.store = HONE_STORE_U8,
                                        .sum_bias = bias,
                                        .scale = scale,
                                        .lo = -INFINITY,
                                        .hi = INFINITY,
                                        .zero = 128}};
        const double time = best_time(k, run_gemm), rate = 2.0 * (double)(m * n * depth) / time * 1e-9;
        char name[64];
        snprintf(name, sizeof name, "u8 x s8, %d x %d, k = %d", (int)m, (int)n, (int)depth);
        printf("  %-40s %10.2f us %9.1f G operations/s", name, time * 1e6, rate);
        if (peak > 0) printf("  %3.0f %% of peak", 100 * rate / peak);
        printf("\n");
        hone_free(b), hone_free(packed), hone_free(a), hone_free(c), hone_free(scale), hone_free(bias);
    }
}

#if defined(__x86_64__)
/* Independent sums, as many as hide the latency: the empty asm keeps them apart and alive. */
#define PEAK_STEPS 4000
__attribute__((target("avx512f,avx512vnni"))) static void run_peak_512(const hone_kernels *k) {
    (void)k;
    __m512i sum[16], a = _mm512_set1_epi8(1);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) sum[i] = _mm512_setzero_si512();
    for (int step = 0; step < PEAK_STEPS; step++)
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(sum[i]) : "v"(a));
#pragma GCC unroll 16
    for (int i = 1; i < 16; i++) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    sink = (float)_mm_cvtsi128_si32(_mm512_castsi512_si128(sum[0]));
}
__attribute__((target("avx2"))) static void run_peak_256(const hone_kernels *k) {
    (void)k;
    __m256i sum[12], a = _mm256_set1_epi8(1);
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++) sum[i] = _mm256_setzero_si256();
    for (int step = 0; step < PEAK_STEPS; step++)
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++) __asm__ volatile("%{vex%} vpdpbusd %1, %1, %0" : "+x"(sum[i]) : "x"(a));
#pragma GCC unroll 12
    for (int i = 1; i < 12; i++) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    sink = (float)_mm_cvtsi128_si32(_mm256_castsi256_si128(sum[0]));
}

/* G operations/s of the level's dot instruction; 0 if it has none. */
static double measure_peak(const hone_cpu *cpu) {
    if (cpu->avx512_vnni) return PEAK_STEPS * 16 * 128 / best_time(NULL, run_peak_512) * 1e-9;
    if (cpu->avx_vnni && cpu->level == HONE_CPU_V3)
        return PEAK_STEPS * 12 * 64 / best_time(NULL, run_peak_256) * 1e-9;
    return 0;
}
#else
static double measure_peak(const hone_cpu *cpu) {
    (void)cpu;
    return 0;
}
#endif

int main(int argc, char **argv) {
    test_level level[TEST_LEVELS_MAX];
    const int levels = test_levels(level);
    x = hone_alloc(ELEMENTS * sizeof *x);
    y = hone_alloc(ELEMENTS * sizeof *y);
    z = hone_alloc(ELEMENTS * sizeof *z);
    bytes = hone_alloc(ELEMENTS);
    out = hone_alloc(ELEMENTS);
    if (!x || !y || !z || !bytes || !out) return 1;
    test_fill_bytes(bytes, ELEMENTS, 1);
    for (int l = levels - 1; l >= 0; l--) {
        if (argc > 1 && strncmp(level[l].name, argv[1], strlen(argv[1])) != 0) continue;
        hone_kernels k;
        hone_kernels_for(&level[l].cpu, &k);
        printf("%s\n", level[l].name);
        for (int i = 0; i < COUNT(works); i++) {
            test_fill_f32(x, ELEMENTS, 0.01f, 6, 1);
            test_fill_f32(y, ELEMENTS, -6, 6, 2);
            test_fill_f32(z, ELEMENTS, -1, 1, 3);
            const double time = best_time(&k, works[i].run);
            printf("  %-40s %10.2f us %9.2f %s\n", works[i].name, time * 1e6, works[i].amount / time * 1e-9,
                   works[i].unit);
            fflush(stdout);
        }
        const double peak = measure_peak(&level[l].cpu);
        if (peak > 0) printf("  %-40s %13s %9.1f G operations/s\n", "peak of vpdpbusd", "", peak);
        bench_gemm(&k, peak);
    }
    hone_free(x), hone_free(y), hone_free(z), hone_free(bytes), hone_free(out);
    return 0;
}
