#include "kernel_test.h"

static const int length[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 1000, 4095, 4097, 100003};
#define MOST 100003
static float x[MOST];

static void check_sum(const hone_kernels *k, const char *level) {
    for (int l = 0; l < COUNT(length); l++) {
        const int n = length[l];
        double sum = 0, size = 0;
        test_fill_f32(x, n, -1, 2, (uint64_t)n);
        for (int i = 0; i < n; i++) {
            sum += x[i];
            size += fabs(x[i]);
        }
        float got = k->sum_f32(x, n);
        if (!near(got, sum, 6e-8, 2e-7 * size)) fail_msg("%s sum of %d: %.9g, not %.9g", level, n, got, sum);
    }
    assert_true(k->sum_f32(x, 0) == 0);
    for (int i = 0; i < MOST; i++) x[i] = 0.1f;
    assert_true(near(k->sum_f32(x, MOST), 0.1f * (double)MOST, 1e-6, 0));
}

static void check_min_max(const hone_kernels *k, const char *level) {
    for (int l = 0; l < COUNT(length); l++) {
        const int n = length[l] < 1000 ? length[l] : 1000;
        float min, max, least = INFINITY, most = -INFINITY;
        test_fill_f32(x, n, 1, 2, (uint64_t)n);
        for (int i = 0; i < n; i++) {
            least = x[i] < least ? x[i] : least;
            most = x[i] > most ? x[i] : most;
        }
        k->min_max_f32(x, n, &min, &max);
        if (min != least || max != most) fail_msg("%s min and max of %d: %g, %g", level, n, min, max);
        for (int i = 0; i < n; i++) {
            float kept = x[i];
            x[i] = 5;
            if (k->argmax_f32(x, n) != i) fail_msg("%s argmax of %d is not %d", level, n, i);
            k->min_max_f32(x, n, &min, &max);
            assert_true(max == 5);
            if (i > 2) { /* the first of two counts */
                float other = x[i / 2];
                x[i / 2] = 5;
                assert_int_equal(k->argmax_f32(x, n), i / 2);
                x[i / 2] = other;
            }
            x[i] = NAN;
            assert_int_equal(k->argmax_f32(x, n), i);
            k->min_max_f32(x, n, &min, &max);
            assert_true(min != min && max != max);
            x[i] = kept;
        }
    }
    const float low[] = {-INFINITY, -INFINITY, -INFINITY};
    assert_int_equal(k->argmax_f32(low, 3), 0);
}

static void check_sum_rows(const hone_kernels *k, const char *level) {
    static float y[300], z[300];
    static double xd[MOST], yd[300];
    test_fill_f32(x, 50000, -1, 1, 9);
    for (int i = 0; i < 50000; i++) xd[i] = x[i];
    for (int columns = 1; columns < 290; columns = columns * 3 / 2 + 1) {
        const int row = columns + columns % 5;
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            for (int j = 0; j <= columns; j++) yd[j] = y[j] = z[j] = (float)j;
            k->sum_rows_f32(x, 37, columns, row, y, accumulate);
            for (int j = 0; j < columns; j++) {
                /* one order of additions: the same bits as a plain loop */
                float sum = accumulate ? (float)j : 0;
                for (int i = 0; i < 37; i++) sum += x[i * row + j];
                if (!same_f32(y[j], sum)) fail_msg("%s sum over rows, column %d of %d", level, j, columns);
            }
            assert_true(y[columns] == (float)columns);
            k->sum_rows_f64(xd, 37, columns, row, yd, accumulate);
            for (int j = 0; j < columns; j++) assert_true(near(y[j], yd[j], 0, 1e-4));
        }
        k->sum_rows_f32(x, 20, columns, row, z, false);
        k->sum_rows_f32(x + 20 * row, 17, columns, row, z, true);
        k->sum_rows_f32(x, 37, columns, row, y, false);
        assert_memory_equal(y, z, (size_t)columns * sizeof *y);
    }
    k->sum_rows_f32(x, 0, 5, 5, y, false);
    assert_true(y[4] == 0);
}

static void test_sum(void **state) {
    (void)state;
    each_level(check_sum);
    double d[1001], sum = 0;
    for (int i = 0; i < 1001; i++) sum += d[i] = sin(i);
    assert_true(near(hone_sum_f64(d, 1001), sum, 1e-12, 1e-12));
    assert_true(hone_sum_f64(d, 2) == d[0] + d[1]);
}

static void test_min_max(void **state) {
    (void)state;
    each_level(check_min_max);
}

static void test_sum_rows(void **state) {
    (void)state;
    each_level(check_sum_rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum),
        cmocka_unit_test(test_min_max),
        cmocka_unit_test(test_sum_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
