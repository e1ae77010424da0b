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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels_agree), cmocka_unit_test(test_rotate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
