#include "kernel_test.h"

#include "kernels/portable.h"

#define MOST 300
#define ROWS 11

static void check(const hone_kernels *k, const char *level) {
    static const int length[] = {0, 1, 2, 3, 5, 8, 13, 16, 17, 31, 64, 100, MOST};
    static float x[MOST], rows[ROWS * (MOST + 3)], y[ROWS + 1], z[MOST + 1], w[MOST];
    for (int l = 0; l < COUNT(length); l++) {
        const int n = length[l], row = n + 3;
        test_fill_f32(x, n, -1, 1, (uint64_t)n);
        test_fill_f32(rows, ROWS * row, -1, 1, 7);
        for (int count = 0; count <= ROWS; count++) {
            y[count] = 77;
            k->dot_rows_f32(x, rows, count, row, n, 0.5f, y);
            assert_true(y[count] == 77);
            for (int i = 0; i < count; i++) {
                float alone;
                double sum = 0;
                for (int j = 0; j < n; j++) sum += (double)x[j] * (double)rows[i * row + j];
                if (!near(y[i], 0.5 * sum, 1e-6, 1e-5)) fail_msg("%s: dot of %d: %g", level, n, y[i]);
                k->dot_rows_f32(x, rows + i * row, 1, row, n, 0.5f, &alone);
                assert_true(alone == y[i]); /* whatever comes with it */
            }
        }
        test_fill_f32(z, n, -9, 9, 3);
        memcpy(w, z, sizeof w);
        z[n] = 77;
        k->softcap_f32(z, n, 2.5f);
        assert_true(z[n] == 77);
        for (int i = 0; i < n; i++)
            if (!near(z[i], 2.5 * tanh((double)w[i] / 2.5), 1e-6, 1e-6))
                fail_msg("%s: softcap of %g: %g", level, w[i], z[i]);
        memcpy(w, z, sizeof w);
        k->add_f32(z, x, n);
        for (int i = 0; i < n; i++) assert_true(z[i] == w[i] + x[i]);
        assert_true(z[n] == 77);
    }
}

static void test_levels_agree(void **state) {
    (void)state;
    each_level(check);
}

/* Pages: sums in the order of a plain loop in double, and each row alone the same bits. */
static void check_pages(const hone_kernels *k, const char *level) {
    enum { MOST_ROWS = 19, WIDTH = 70 };
    static const int width[] = {1, 3, 8, 16, 24, 33, 64, WIDTH};
    static float q[MOST_ROWS * (WIDTH + 1)], page[WIDTH * HONE_PAGE], s[(MOST_ROWS + 1) * 40],
        p[MOST_ROWS * 40], y[MOST_ROWS * (WIDTH + 1)], start[MOST_ROWS * (WIDTH + 1)], alone[WIDTH + 1];
    for (int w = 0; w < COUNT(width); w++) {
        const int d = width[w], row = d + 1;
        test_fill_f32(q, MOST_ROWS * row, -1, 1, 5);
        test_fill_f32(start, MOST_ROWS * row, -1, 1, 6);
        test_fill_f32(page, d * HONE_PAGE, -1, 1, 7);
        test_fill_f32(p, MOST_ROWS * 40, 0, 1, 8);
        for (int rows = 0; rows <= MOST_ROWS; rows += rows < 9 ? 1 : 10) {
            s[rows * 40] = 77;
            k->page_scores_f32(q, row, rows, d, page, s, 40);
            assert_true(s[rows * 40] == 77);
            const int keys = rows * 3 % (HONE_PAGE + 1);
            memcpy(y, start, sizeof y);
            k->page_values_f32(p, 40, rows, keys, page, d, y, row);
            for (int i = 0; i < rows; i++) {
                for (int t = 0; t < HONE_PAGE; t++) {
                    double sum = 0;
                    for (int l = 0; l < d; l++)
                        sum += (double)q[i * row + l] * (double)page[l * HONE_PAGE + t];
                    if (!near(s[i * 40 + t], sum, 1e-6, 1e-5)) fail_msg("%s: score of %d", level, d);
                }
                for (int j = 0; j < d; j++) {
                    double sum = start[i * row + j];
                    for (int t = 0; t < keys; t++) sum += (double)p[i * 40 + t] * (double)page[t * d + j];
                    if (!near(y[i * row + j], sum, 1e-6, 1e-5)) fail_msg("%s: values of %d", level, d);
                }
                assert_true(y[i * row + d] == start[i * row + d]);
                k->page_scores_f32(q + i * row, row, 1, d, page, alone, 40);
                assert_memory_equal(alone, s + i * 40, HONE_PAGE * sizeof *s);
                memcpy(alone, start + i * row, (size_t)d * sizeof *alone);
                for (int t = 0; t < keys; t++) /* nor does it matter how keys are cut */
                    k->page_values_f32(p + i * 40 + t, 40, 1, 1, page + t * d, d, alone, row);
                assert_memory_equal(alone, y + i * row, (size_t)d * sizeof *y);
            }
        }
    }
}

static void test_pages(void **state) {
    (void)state;
    each_level(check_pages);
}

static void test_rotate(void **state) {
    (void)state;
    float x[10], y[10], z[10], c[5], s[5];
    double xd[10], yd[10], cd[5], sd[5];
    test_fill_f32(x, 10, -1, 1, 1);
    for (int i = 0; i < 5; i++) {
        cd[i] = cos(i);
        sd[i] = sin(i);
        c[i] = (float)cd[i];
        s[i] = (float)sd[i];
    }
    for (int pairs = 0; pairs < 2; pairs++) {
        hone_rotate_f32(x, c, s, y, 5, pairs);
        for (int i = 0; i < 10; i++) xd[i] = x[i];
        hone_rotate_f64(xd, cd, sd, yd, 5, pairs);
        for (int i = 0; i < 5; i++) {
            int a = pairs ? 2 * i : i, b = pairs ? a + 1 : i + 5;
            assert_true(fabs(yd[a] - (x[a] * cd[i] - x[b] * sd[i])) < 1e-12);
            assert_true(fabs(yd[b] - (x[b] * cd[i] + x[a] * sd[i])) < 1e-12);
            assert_true(fabs(y[a] - yd[a]) < 1e-6 && fabs(y[b] - yd[b]) < 1e-6);
        }
        memcpy(z, x, sizeof z);
        hone_rotate_f32(z, c, s, z, 5, pairs); /* in place */
        assert_memory_equal(z, y, sizeof z);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels_agree), cmocka_unit_test(test_pages),
                                       cmocka_unit_test(test_rotate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
