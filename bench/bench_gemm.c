/* fp32 GEMM on one thread, beside the machine's FMA peak measured in the same run.
 *
 *   bench_gemm [--json] [--level generic|v2|v3|v4] [--seconds S] */
#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MAX_SAMPLES 2000

typedef struct timing {
    double median, best; /* seconds a call */
} timing;

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Calls `fn` for about `seconds`, in samples of at least 100 µs. */
static timing measure(void (*fn)(void *), void *arg, double seconds) {
    static double samples[MAX_SAMPLES];
    fn(arg);
    int64_t calls = 1;
    for (;;) {
        double start = hone_seconds_now();
        for (int64_t i = 0; i < calls; i++) fn(arg);
        if (hone_seconds_now() - start > 100e-6) break;
        calls *= 2;
    }
    int count = 0;
    for (double start = hone_seconds_now();
         count < MAX_SAMPLES && (count < 5 || hone_seconds_now() - start < seconds);) {
        double from = hone_seconds_now();
        for (int64_t i = 0; i < calls; i++) fn(arg);
        samples[count++] = (hone_seconds_now() - from) / (double)calls;
    }
    qsort(samples, (size_t)count, sizeof *samples, ascending);
    return (timing){.median = samples[count / 2], .best = samples[0]};
}

/* --- the peak: chains of fused (below v3: separate) multiplications and additions that touch no memory --- */

#define PEAK_ROUNDS 10000
#define PEAK_CHAINS 12
static volatile float sink, peak_factor = 0.999f, peak_term = 0.001f;

#define DEFINE_PEAK(level, attribute, vector, spread, step, reduce)                                          \
    attribute static void peak_##level(void *arg) {                                                          \
        (void)arg;                                                                                           \
        const vector x = spread(peak_factor), y = spread(peak_term);                                         \
        vector sum[PEAK_CHAINS];                                                                             \
        for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = spread((float)i);                                     \
        for (int round = 0; round < PEAK_ROUNDS; round++) {                                                  \
            _Pragma("GCC unroll 12") for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = step(sum[i], x, y);      \
        }                                                                                                    \
        for (int i = 1; i < PEAK_CHAINS; i++) sum[0] = sum[0] + sum[i];                                      \
        sink = reduce(sum[0]);                                                                               \
    }

typedef float four __attribute__((vector_size(16)));
#define SPREAD_FOUR(s) ((s) - (four){0})
#define STEP_FOUR(sum, x, y) ((sum) * (x) + (y))
#define FIRST(v) ((v)[0])
DEFINE_PEAK(v2, , four, SPREAD_FOUR, STEP_FOUR, FIRST)
#if defined(__x86_64__)
DEFINE_PEAK(v3, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps, FIRST)
DEFINE_PEAK(v4, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps, FIRST)
#endif

static double peak_gflops(hone_cpu_level level, double seconds) {
    void (*fn)(void *) = peak_v2;
    int lanes = 4;
#if defined(__x86_64__)
    if (level == HONE_CPU_V3) fn = peak_v3, lanes = 8;
    if (level == HONE_CPU_V4) fn = peak_v4, lanes = 16;
#endif
    return 2e-9 * PEAK_ROUNDS * PEAK_CHAINS * lanes / measure(fn, NULL, seconds).median;
}

/* --- the cases --- */

typedef enum form {
    PACKED,           /* B packed beforehand: constant weights */
    DIRECT,           /* B as it lies: weights that change */
    TRANSPOSED_A,     /* A by columns, B as it lies: dW = X^T dY */
    PACKED_EACH_TIME, /* packing is part of the call */
    FORMS
} form;
static const char *const form_names[FORMS] = {"packed", "direct", "transposed A", "pack each time"};

typedef struct bench_case {
    int64_t m, k, n;
    form form;
} bench_case;

static const bench_case cases[] = {
    {512, 1024, 1024, PACKED},     {512, 1024, 1024, DIRECT}, {512, 1024, 1024, PACKED_EACH_TIME},
    {128, 768, 3072, PACKED},      {128, 3072, 768, PACKED},  {256, 4096, 256, PACKED},
    {64, 784, 128, PACKED},        {64, 784, 128, DIRECT},    {784, 64, 128, TRANSPOSED_A},
    {784, 512, 512, TRANSPOSED_A}, {64, 128, 10, PACKED},     {64, 128, 10, DIRECT},
    {128, 64, 10, TRANSPOSED_A},   {61, 300, 75, PACKED},     {61, 300, 75, DIRECT},
    {1, 784, 128, PACKED},         {1, 784, 128, DIRECT},     {2, 784, 128, PACKED},
    {3, 784, 128, PACKED},         {1, 128, 10, PACKED},      {1, 1024, 1024, PACKED},
    {1, 4096, 4096, PACKED},       {128, 384, 1536, PACKED},  {3136, 64, 64, PACKED},
    {784, 1152, 128, PACKED},      {49, 4608, 512, PACKED},   {1500, 384, 384, PACKED},
};
#define CASES (sizeof cases / sizeof *cases)

typedef struct run {
    const hone_gemm_family *family;
    hone_gemm g;
    hone_gemm_b b;
    bool packs; /* at every call */
} run;

static void call(void *arg) {
    run *r = arg;
    if (r->packs) r->family->pack(&r->b, 0, r->g.k, 0, r->g.n);
    r->family->run(&r->g, 0, r->g.m, 0, r->g.n);
}

static float *matrix(int64_t rows, int64_t columns) {
    const int64_t count = rows * columns;
    float *x = hone_alloc((size_t)count * sizeof(float));
    if (!x) exit(1);
    for (int64_t i = 0; i < count; i++) x[i] = (float)((i * 7919) % 256 - 128) / 256;
    return x;
}

static timing run_case(const hone_gemm_family *family, const bench_case *c, double seconds) {
    float *a = matrix(c->m, c->k), *b = matrix(c->k, c->n), *out = matrix(c->m, c->n);
    float *packed = hone_alloc(family->packed_size(c->k, c->n));
    if (!packed) exit(1);
    const bool direct = c->form == DIRECT || c->form == TRANSPOSED_A;
    run r = {.family = family,
             .b = {c->k, c->n, b, c->n, 1, 0, packed, NULL},
             .packs = c->form == PACKED_EACH_TIME,
             .g = {.m = c->m,
                   .n = c->n,
                   .k = c->k,
                   .a = a,
                   .a_row = c->form == TRANSPOSED_A ? 1 : c->k,
                   .a_col = c->form == TRANSPOSED_A ? c->m : 1,
                   .b = direct ? b : packed,
                   .b_row = direct ? c->n : 0,
                   .b_col = 1,
                   .c = out,
                   .c_row = c->n,
                   .epilogue = {.alpha = 1, .lo = -INFINITY, .hi = INFINITY}}};
    family->pack(&r.b, 0, c->k, 0, c->n);
    timing t = measure(call, &r, seconds);
    hone_free(a);
    hone_free(b);
    hone_free(out);
    hone_free(packed);
    return t;
}

int main(int argc, char **argv) {
    bool json = false;
    const char *level = NULL;
    double seconds = 0.2;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            json = true;
        else if (!strcmp(argv[i], "--level") && i + 1 < argc)
            level = argv[++i];
        else if (!strcmp(argv[i], "--seconds") && i + 1 < argc)
            seconds = atof(argv[++i]);
        else
            return fprintf(stderr, "usage: bench_gemm [--json] [--level LEVEL] [--seconds S]\n"), 2;
    }
    hone_cpu cpu;
    hone_error err;
    if (hone_cpu_mask(hone_cpu_get(), level ? level : "", &cpu, &err) != HONE_OK)
        return fprintf(stderr, "bench_gemm: %s\n", err.message), 2;
    hone_kernels kernels;
    hone_kernels_for(&cpu, &kernels);

    double peak = peak_gflops(cpu.level, seconds);
    if (json)
        printf("{\"bench\":\"gemm_f32\",\"kernels\":\"%s\",\"cases\":[", kernels.name);
    else
        printf("%s, one thread\n%-22s %-15s %11s %11s %8s %7s\n", kernels.name, "m x k x n", "form",
               "median us", "best us", "GF/s", "% peak");
    for (size_t i = 0; i < CASES; i++) {
        const bench_case *c = &cases[i];
        const timing t = run_case(kernels.gemm[HONE_GEMM_F32], c, seconds);
        /* The clock may have changed: the peak is measured beside each case. */
        const double beside = peak_gflops(cpu.level, seconds / 4);
        const double gflops = 2e-9 * (double)(c->m * c->n * c->k) / t.median;
        if (beside > peak) peak = beside;
        char shape[64];
        snprintf(shape, sizeof shape, "%d x %d x %d", (int)c->m, (int)c->k, (int)c->n);
        if (json)
            printf("%s{\"m\":%d,\"k\":%d,\"n\":%d,\"form\":\"%s\",\"median_us\":%.3f,\"best_us\":%.3f,"
                   "\"gflops\":%.1f,\"of_peak\":%.3f}",
                   i ? "," : "", (int)c->m, (int)c->k, (int)c->n, form_names[c->form], t.median * 1e6,
                   t.best * 1e6, gflops, gflops / beside);
        else
            printf("%-22s %-15s %11.2f %11.2f %8.1f %7.1f\n", shape, form_names[c->form], t.median * 1e6,
                   t.best * 1e6, gflops, 100 * gflops / beside);
    }
    printf(json ? "],\"peak_gflops\":%.1f}\n" : "peak %.1f GF/s\n", peak);
    return 0;
}
