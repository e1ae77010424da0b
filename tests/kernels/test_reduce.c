#include "kernel_test.h"
#include "kernels/portable.h"

#include <hone/tensor.h>

static const int length[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 1000, 4095, 4097, 100003};
#define MOST 100003
static float x[MOST];

static float sum_of(const hone_kernels *k, int n) {
    float y;
    k->fold_f32[HONE_FOLD_SUM].run(x, n, &y, false);
    return y;
}

static void check_sum(const hone_kernels *k, const char *level) {
    for (int l = 0; l < COUNT(length); l++) {
        const int n = length[l];
        double sum = 0, size = 0;
        test_fill_f32(x, n, -1, 2, (uint64_t)n);
        for (int i = 0; i < n; i++) {
            sum += x[i];
            size += fabs(x[i]);
        }
        float got = sum_of(k, n);
        if (!near(got, sum, 6e-8, 2e-7 * size)) fail_msg("%s sum of %d: %.9g, not %.9g", level, n, got, sum);
    }
    assert_true(sum_of(k, 0) == 0);
    for (int i = 0; i < MOST; i++) x[i] = 0.1f;
    assert_true(near(sum_of(k, MOST), 0.1f * (double)MOST, 1e-6, 0));
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
    const hone_folding *sum_f32 = &k->fold_f32[HONE_FOLD_SUM],
                       *sum_f64 = hone_folding_of(HONE_FLOAT64, HONE_FOLD_SUM);
    static float y[300], z[300];
    static double xd[MOST], yd[300];
    test_fill_f32(x, 50000, -1, 1, 9);
    for (int i = 0; i < 50000; i++) xd[i] = x[i];
    for (int columns = 1; columns < 290; columns = columns * 3 / 2 + 1) {
        const int row = columns + columns % 5;
        for (int accumulate = 0; accumulate < 2; accumulate++) {
            for (int j = 0; j <= columns; j++) yd[j] = y[j] = z[j] = (float)j;
            sum_f32->rows(x, 37, columns, row, y, accumulate);
            for (int j = 0; j < columns; j++) {
                /* one order of additions: the same bits as a plain loop */
                float sum = accumulate ? (float)j : 0;
                for (int i = 0; i < 37; i++) sum += x[i * row + j];
                if (!same_f32(y[j], sum)) fail_msg("%s sum over rows, column %d of %d", level, j, columns);
            }
            assert_true(y[columns] == (float)columns);
            sum_f64->rows(xd, 37, columns, row, yd, accumulate);
            for (int j = 0; j < columns; j++) assert_true(near(y[j], yd[j], 0, 1e-4));
        }
        sum_f32->rows(x, 20, columns, row, z, false);
        sum_f32->rows(x + 20 * row, 17, columns, row, z, true);
        sum_f32->rows(x, 37, columns, row, y, false);
        assert_memory_equal(y, z, (size_t)columns * sizeof *y);
    }
    sum_f32->rows(x, 0, 5, 5, y, false);
    assert_true(y[4] == 0);
}

/* The other folds in plain C; a NaN stays. */
static double folded(int fold, double a, double b) {
    if (a != a || b != b) return NAN;
    return fold == HONE_FOLD_SUM       ? a + b
           : fold == HONE_FOLD_PRODUCT ? a * b
           : fold == HONE_FOLD_MAX     ? (a > b ? a : b)
                                       : (a < b ? a : b);
}

static double neutral_of(int fold) {
    return (double[]){0, 1, -INFINITY, INFINITY}[fold];
}

static void check_folds(const hone_kernels *k, const char *level) {
    for (int fold = 0; fold < HONE_FOLDS; fold++)
        for (int n = 0; n < 150; n++)
            for (int nan = 0; nan < 2; nan++) {
                float got = 1.25f, wide[300];
                double want = neutral_of(fold), column[5];
                test_fill_f32(x, 5 * n + 5, 0.9f, 1.1f, (uint64_t)n);
                if (nan && n) x[n * 7 % n] = NAN;
                for (int i = 0; i < n; i++) want = folded(fold, want, x[i]);
                k->fold_f32[fold].run(x, n, &got, false);
                if (!near(got, want, 1e-5, 0)) fail_msg("%s fold %d of %d: %g", level, fold, n, got);
                got = 1.25f;
                k->fold_f32[fold].run(x, n, &got, true);
                if (!near(got, folded(fold, want, 1.25), 1e-5, 0))
                    fail_msg("%s fold %d goes on", level, fold);
                for (int j = 0; j < 5; j++) {
                    column[j] = neutral_of(fold);
                    for (int i = 0; i < n; i++) column[j] = folded(fold, column[j], x[5 * i + j]);
                }
                k->fold_f32[fold].rows(x, n, 5, 5, wide, false);
                for (int j = 0; j < 5; j++)
                    if (!near(wide[j], column[j], 1e-5, 0)) fail_msg("%s fold %d over rows", level, fold);
                k->fold_f32[fold].rows(x, 5, n, n, wide, false);
                for (int j = 0; j < n; j++) {
                    double w = neutral_of(fold);
                    for (int i = 0; i < 5; i++) w = folded(fold, w, x[i * n + j]);
                    if (!near(wide[j], w, 1e-5, 0)) fail_msg("%s fold %d of %d columns", level, fold, n);
                }
            }
}

/* Integers wrap, and the ends of the type are neutral. */
#define CHECK_INTEGERS(dtype, type, least, greatest)                                                         \
    do {                                                                                                     \
        const type in[] = {3, (type)-2, 7, 5}, none[] = {0, 1, least, greatest},                             \
                   want[] = {13, (type)-210, (type)-2 > 7 ? (type)-2 : 7, (type)-2 < 3 ? (type)-2 : 3};      \
        for (int fold = 0; fold < HONE_FOLDS; fold++) {                                                      \
            const hone_folding *f = hone_folding_of(dtype, fold);                                            \
            type got, columns[2];                                                                            \
            f->run(in, 4, &got, false);                                                                      \
            assert_true(got == want[fold]);                                                                  \
            f->run(in, 0, &got, false);                                                                      \
            assert_true(got == none[fold]);                                                                  \
            f->rows(in, 2, 2, 2, columns, false);                                                            \
            f->run(columns, 2, &got, false);                                                                 \
            assert_true(got == want[fold]);                                                                  \
            f->rows(in, 0, 2, 2, columns, false);                                                            \
            assert_true(columns[1] == none[fold]);                                                           \
            f->rows(in, 1, 2, 2, columns, false);                                                            \
            f->rows(in + 2, 1, 2, 2, columns, true);                                                         \
            f->run(columns, 1, &got, false);                                                                 \
            f->run(columns + 1, 1, &got, true);                                                              \
            assert_true(got == want[fold]);                                                                  \
        }                                                                                                    \
    } while (0)

static void test_folds(void **state) {
    (void)state;
    each_level(check_folds);
    CHECK_INTEGERS(HONE_INT32, int32_t, INT32_MIN, INT32_MAX);
    CHECK_INTEGERS(HONE_INT64, int64_t, INT64_MIN, INT64_MAX);
    CHECK_INTEGERS(HONE_UINT32, uint32_t, 0, UINT32_MAX);
    CHECK_INTEGERS(HONE_UINT64, uint64_t, 0, UINT64_MAX);
    double nan[] = {1, NAN, 2}, got;
    for (int fold = 0; fold < HONE_FOLDS; fold++) {
        hone_folding_of(HONE_FLOAT64, fold)->run(nan, 3, &got, false);
        assert_true(got != got);
        hone_folding_of(HONE_FLOAT64, fold)->run(nan, 0, &got, false);
        assert_true(got == neutral_of(fold));
    }
    assert_null(hone_folding_of(HONE_INT16, HONE_FOLD_SUM));
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
        cmocka_unit_test(test_folds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
