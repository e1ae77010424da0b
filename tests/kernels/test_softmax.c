#include "kernel_test.h"

#include <float.h>

#define MOST 1100
static const int length[] = {1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 33, 64, 100, 127, 128, 1000, MOST};

static void check(const hone_kernels *k, const char *level) {
    static float x[MOST], y[MOST + 1];
    static double xd[MOST], yd[MOST];
    for (int l = 0; l < COUNT(length); l++) {
        const int n = length[l];
        for (int round = 0; round < 4; round++) {
            const float range[] = {1, 20, 90, 1e30f};
            test_fill_f32(x, n, -range[round], range[round], (uint64_t)(n + round));
            double max = x[0];
            for (int i = 0; i < n; i++) {
                xd[i] = x[i];
                if (xd[i] > max) max = xd[i];
            }
            for (int logarithm = 0; logarithm < 2; logarithm++) {
                (logarithm ? k->log_softmax_f64 : k->softmax_f64)(xd, yd, n);
                y[n] = 77;
                (logarithm ? k->log_softmax_f32 : k->softmax_f32)(x, y, n);
                assert_true(y[n] == 77);
                for (int i = 0; i < n; i++) /* x - max is rounded before e is raised to it */
                    if (!near(y[i], yd[i], 5e-7 + (logarithm ? 0 : 7e-8 * (max - xd[i])),
                              logarithm ? 1e-6 : 2e-35))
                        fail_msg("%s softmax of %d, logarithm %d: y[%d] = %.9g, not %.9g", level, n,
                                 logarithm, i, y[i], yd[i]);
                for (int i = 0; i < n && !logarithm; i++) assert_false(isless(y[i], FLT_MIN) && y[i] != 0);
            }
        }
        /* In place. */
        test_fill_f32(x, n, -3, 3, 5);
        k->softmax_f32(x, y, n);
        k->softmax_f32(x, x, n);
        assert_memory_equal(x, y, (size_t)n * sizeof *x);
    }
    k->softmax_f32(x, y, 0);
    k->log_softmax_f32(x, y, 0);
}

static void test_accuracy(void **state) {
    (void)state;
    each_level(check);
}

static void check_special(const hone_kernels *k, const char *level) {
    (void)level;
    float masked[20], y[20];
    for (int i = 0; i < 20; i++) masked[i] = i < 3 ? 0.0f : -INFINITY;
    k->softmax_f32(masked, y, 20);
    for (int i = 0; i < 20; i++) assert_true(near(y[i], i < 3 ? 1.0 / 3 : 0.0, 1e-6, 0));
    masked[7] = NAN;
    k->softmax_f32(masked, y, 20);
    for (int i = 0; i < 20; i++) assert_true(y[i] != y[i]);
}

static void test_special(void **state) {
    (void)state;
    each_level(check_special);
}

/* The double form against the definition. */
static void test_f64(void **state) {
    (void)state;
    const double x[] = {1000, 1001, 999.5};
    double y[3], z[3], sum = exp(-1) + 1 + exp(-1.5);
    hone_softmax_f64(x, y, 3);
    hone_log_softmax_f64(x, z, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(near(y[i], exp(x[i] - 1001) / sum, 1e-14, 0));
        assert_true(near(z[i], log(exp(x[i] - 1001) / sum), 1e-13, 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_special),
        cmocka_unit_test(test_f64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
