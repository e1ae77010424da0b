/* Transforms of all lengths, smooth and prime, against the definition. */
#include "kernel_test.h"
#include "kernels/fft.h"

enum { LANES = 3 };

static double at(uint64_t i) { /* something in [-1, 1] */
    return (double)(i * 2654435761u % 2001) / 1000 - 1;
}

static void exact(int64_t n, const double *re, const double *im, double *out_re, double *out_im) {
    for (int64_t k = 0; k < n; k++) {
        double a = 0, b = 0;
        for (int64_t j = 0; j < n; j++) {
            double angle = -2 * M_PI * (double)(j * k % n) / (double)n, c = cos(angle), s = sin(angle);
            a += re[j] * c - im[j] * s;
            b += re[j] * s + im[j] * c;
        }
        out_re[k] = a;
        out_im[k] = b;
    }
}

#define CHECK(real, suffix, bound)                                                                           \
    do {                                                                                                     \
        hone_fft f;                                                                                          \
        real *table = calloc((size_t)hone_fft_table(n), sizeof(real)),                                       \
             *scratch = calloc((size_t)hone_fft_scratch(n, LANES), sizeof(real)),                            \
             *a = calloc((size_t)n * LANES, sizeof(real)), *b = calloc((size_t)n * LANES, sizeof(real));     \
        for (int64_t l = 0; l < LANES; l++)                                                                  \
            for (int64_t j = 0; j < n; j++) {                                                                \
                a[j * LANES + l] = (real)(l == 1 ? re[j] : at((uint64_t)(j + l)));                           \
                b[j * LANES + l] = (real)(l == 1 ? im[j] : 0);                                               \
            }                                                                                                \
        hone_fft_make_##suffix(&f, n, table, scratch);                                                       \
        hone_fft_run_##suffix(&f, a, b, LANES, scratch);                                                     \
        for (int64_t k = 0; k < n; k++) {                                                                    \
            double d =                                                                                       \
                fabs((double)a[k * LANES + 1] - want_re[k]) + fabs((double)b[k * LANES + 1] - want_im[k]);   \
            if (!(d <= (bound)*sqrt((double)n)))                                                             \
                fail_msg(#suffix " of %d: [%d] is off by %g", (int)n, (int)k, d);                            \
        }                                                                                                    \
        hone_fft_run_##suffix(&f, b, a, LANES, scratch); /* and back */                                      \
        for (int64_t j = 0; j < n; j++)                                                                      \
            assert_true(fabs((double)a[j * LANES + 1] / (double)n - re[j]) < (bound)*10);                    \
        free(table);                                                                                         \
        free(scratch);                                                                                       \
        free(a);                                                                                             \
        free(b);                                                                                             \
    } while (0)

static void check(int64_t n) {
    double *re = calloc((size_t)n, sizeof *re), *im = calloc((size_t)n, sizeof *im),
           *want_re = calloc((size_t)n, sizeof *re), *want_im = calloc((size_t)n, sizeof *im);
    for (int64_t j = 0; j < n; j++) {
        re[j] = at((uint64_t)(3 * j));
        im[j] = at((uint64_t)(7 * j + 1));
    }
    exact(n, re, im, want_re, want_im);
    CHECK(float, f32, 2e-6);
    CHECK(double, f64, 2e-14);
    free(re);
    free(im);
    free(want_re);
    free(want_im);
}

static void test_lengths(void **state) {
    (void)state;
    for (int64_t n = 1; n <= 130; n++) check(n);
    static const int64_t more[] = {243, 256, 257, 343, 400, 512, 625, 961, 1000, 1023, 1024, 1031, 1155};
    for (int i = 0; i < COUNT(more); i++) check(more[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
