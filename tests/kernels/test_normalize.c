#include "kernel_test.h"

#define MOST 3000
static const int length[] = {1,  2,  3,  4,  5,   7,   8,   9,   10,   15,   16,
                             17, 31, 33, 64, 100, 127, 128, 768, 1000, 1025, MOST};

static float x[MOST], dy[MOST], scale[MOST], bias[MOST], y[MOST + 1];
static double xd[MOST], dyd[MOST], scaled[MOST], biasd[MOST], yd[MOST];

static void widen(const float *from, double *to, int n) {
    for (int i = 0; i < n; i++) to[i] = from[i];
}

/* Values around `center`; form: with scale, with bias, centered. */
static void check_row(const hone_kernels *k, const char *level, int n, float center, int form) {
    hone_normalize p = {.n = n,
                        .epsilon = 1e-5,
                        .centered = form & 4,
                        .scale = form & 1 ? scale : NULL,
                        .bias = (form & 3) == 3 ? bias : NULL},
                   d = p;
    float mean, inv;
    double wanted_mean, wanted_inv;
    if (p.scale) d.scale = scaled;
    if (p.bias) d.bias = biasd;
    test_fill_f32(x, n, center - 1, center + 1, (uint64_t)n);
    widen(x, xd, n);
    double bound = 2e-6 * (1 + fabs((double)center));
    k->normalize_f64(&d, xd, yd, &wanted_mean, &wanted_inv);
    y[n] = 77;
    k->normalize_f32(&p, x, y, &mean, &inv);
    assert_true(near(mean, wanted_mean, 1e-6, 1e-7) && near(inv, wanted_inv, 1e-5, 0));
    for (int i = 0; i < n; i++)
        if (!near(y[i], yd[i], bound, bound * wanted_inv))
            fail_msg("%s, %d, form %d: y[%d] = %.9g, not %.9g", level, n, form, i, y[i], yd[i]);
    k->normalize_grad_f64(&d, dyd, xd, wanted_mean, wanted_inv, yd, NULL, NULL);
    k->normalize_grad_f32(&p, dy, x, mean, inv, y, NULL, NULL);
    for (int i = 0; i < n; i++)
        if (!near(y[i], yd[i], 1e-5 * (1 + fabs((double)center)), bound * wanted_inv * (1 + wanted_inv)))
            fail_msg("%s, %d, form %d: dx[%d] = %.9g, not %.9g", level, n, form, i, y[i], yd[i]);
    assert_true(y[n] == 77);
}

/* In place. */
static void check_in_place(const hone_kernels *k, int n) {
    hone_normalize p = {.n = n, .epsilon = 1e-5, .centered = true, .scale = scale, .bias = bias};
    float copy[MOST];
    test_fill_f32(x, n, -1, 1, 3);
    memcpy(copy, x, sizeof copy);
    float mean, inv;
    k->normalize_f32(&p, x, y, &mean, &inv);
    k->normalize_f32(&p, copy, copy, NULL, NULL);
    assert_memory_equal(copy, y, (size_t)n * sizeof *y);
    k->normalize_grad_f32(&p, dy, x, mean, inv, y, NULL, NULL);
    for (int over = 0; over < 2; over++) {
        memcpy(copy, over ? x : dy, sizeof copy);
        k->normalize_grad_f32(&p, over ? dy : copy, over ? copy : x, mean, inv, copy, NULL, NULL);
        assert_memory_equal(copy, y, (size_t)n * sizeof *y);
    }
}

static void check(const hone_kernels *k, const char *level) {
    test_fill_f32(scale, MOST, -2, 2, 1);
    test_fill_f32(bias, MOST, -1, 1, 2);
    test_fill_f32(dy, MOST, -1, 1, 4);
    widen(scale, scaled, MOST);
    widen(bias, biasd, MOST);
    widen(dy, dyd, MOST);
    for (int l = 0; l < COUNT(length); l++) {
        for (int form = 0; form < 8; form++) {
            check_row(k, level, length[l], 0, form);
            check_row(k, level, length[l], 5, form);
        }
        check_in_place(k, length[l]);
    }
    hone_normalize none = {.centered = true};
    k->normalize_f32(&none, x, y, NULL, NULL);
    k->normalize_grad_f32(&none, dy, x, 0, 1, y, NULL, NULL);
}

/* A scale and a bias for each run are those numbers repeated, and their gradients are sums over runs. */
static void check_runs(const hone_kernels *k, const char *level) {
    static float wide_scale[MOST], wide_bias[MOST], want[MOST];
    test_fill_f32(x, MOST, 2, 3, 7);
    test_fill_f32(dy, MOST, -1, 1, 8);
    widen(x, xd, MOST);
    widen(dy, dyd, MOST);
    for (int run = 1; run < 70; run = run * 3 / 2 + 1)
        for (int runs = 1; runs < 6; runs += 2) {
            const int n = run * runs;
            float mean, inv, dscale[5], dbias[5];
            double dscaled[5], dbiasd[5];
            for (int i = 0; i < n; i++) {
                wide_scale[i] = scale[i / run];
                wide_bias[i] = bias[i / run];
            }
            hone_normalize p = {
                .n = n, .epsilon = 1e-3, .centered = true, .run = run, .scale = scale, .bias = bias};
            hone_normalize wide = p, d = p;
            wide.run = 0;
            wide.scale = wide_scale;
            wide.bias = wide_bias;
            d.scale = scaled;
            d.bias = biasd;
            k->normalize_f32(&wide, x, want, &mean, &inv);
            y[n] = 77;
            k->normalize_f32(&p, x, y, NULL, NULL);
            k->normalize_f64(&d, xd, yd, NULL, NULL);
            assert_true(y[n] == 77);
            for (int i = 0; i < n; i++)
                if (!near(y[i], want[i], 1e-6, 1e-6) || !near(y[i], yd[i], 1e-5, 1e-5))
                    fail_msg("%s, %d runs of %d: y[%d] = %g", level, runs, run, i, y[i]);
            k->normalize_grad_f32(&wide, dy, x, mean, inv, want, NULL, NULL);
            k->normalize_grad_f32(&p, dy, x, mean, inv, y, dscale, dbias);
            k->normalize_grad_f64(&d, dyd, xd, mean, inv, yd, dscaled, dbiasd);
            for (int i = 0; i < n; i++)
                if (!near(y[i], want[i], 1e-4, 1e-4) || !near(y[i], yd[i], 1e-4, 1e-4))
                    fail_msg("%s, %d runs of %d: dx[%d] = %g", level, runs, run, i, y[i]);
            for (int r = 0; r < runs; r++) {
                double of_scale = 0, of_bias = 0;
                for (int i = r * run; i < (r + 1) * run; i++) {
                    of_bias += dyd[i];
                    of_scale += dyd[i] * (xd[i] - (double)mean) * (double)inv;
                }
                assert_true(near(dscale[r], of_scale, 1e-4, 1e-4) && near(dbias[r], of_bias, 1e-4, 1e-4));
                assert_true(near(dscaled[r], of_scale, 1e-9, 1e-9) && near(dbiasd[r], of_bias, 1e-9, 1e-9));
            }
        }
}

static void test_runs(void **state) {
    (void)state;
    each_level(check_runs);
}

static void test_accuracy(void **state) {
    (void)state;
    each_level(check);
}

/* The double form against the definition. */
static void test_f64(void **state) {
    (void)state;
    const double in[] = {1, 2, 4, 5}, s[] = {1, 2, 3, 4}, b[] = {1, 0, -1, 5};
    double out[4];
    double mean, inv;
    hone_normalize p = {.n = 4, .epsilon = 0.5, .centered = true, .scale = s, .bias = b};
    hone_normalize_f64(&p, in, out, &mean, &inv); /* variance 2.5 */
    assert_true(mean == 3 && near(inv, 1 / sqrt(3), 1e-14, 0));
    for (int i = 0; i < 4; i++) assert_true(near(out[i], (in[i] - 3) / sqrt(3) * s[i] + b[i], 1e-14, 0));
    p = (hone_normalize){.n = 4, .epsilon = 0.5}; /* mean square 11.5 */
    hone_normalize_f64(&p, in, out, &mean, &inv);
    assert_true(mean == 0);
    for (int i = 0; i < 4; i++) assert_true(near(out[i], in[i] / sqrt(12), 1e-14, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_f64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
