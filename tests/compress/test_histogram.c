/* The ranges that histograms give: within what was seen, and each method as good as it says. */
#include "train/small.h"

#include "compress/codes.h"
#include "compress/histogram.h"

#include <math.h>

enum { SAMPLES = 100000 };
static float x[SAMPLES];

static float normal(hone_rng *rng) {
    float u = hone_rng_uniform(rng) + 1e-7f, v = hone_rng_uniform(rng);
    return sqrtf(-2 * logf(u)) * cosf(6.2831853f * v);
}

/* Normal, behind a ReLU where `relu`; some numbers are far out. */
static void draw(bool relu, int outliers, float far) {
    hone_rng rng = hone_rng_make(5, 1);
    for (int i = 0; i < SAMPLES; i++) {
        x[i] = normal(&rng);
        if (relu && x[i] < 0) x[i] = 0;
    }
    for (int i = 0; i < outliers; i++) x[i * 7] = i % 2 && !relu ? -far : far;
}

static hone_range ends(void) {
    hone_range r = {x[0], x[0]};
    for (int i = 0; i < SAMPLES; i++) {
        r.min = fminf(r.min, x[i]);
        r.max = fmaxf(r.max, x[i]);
    }
    return r;
}

static hone_range range_by(hone_calibration_method method, double percentile) {
    static hone_histogram h;
    h = (hone_histogram){.range = ends()};
    for (int i = 0; i < SAMPLES; i += 1000) hone_histogram_add(&h, x + i, 1000);
    assert_int_equal(h.total, SAMPLES);
    return hone_histogram_range(&h, &(hone_calibration){method, percentile});
}

static double error_of(hone_range r) {
    hone_grid g = hone_grid_of(r);
    double sum = 0;
    for (int i = 0; i < SAMPLES; i++) {
        double off = (hone_grid_code(g, x[i]) - g.zero) * (double)g.scale - x[i];
        sum += off * off;
    }
    return sum / SAMPLES;
}

static void test_within_what_was_seen(void **state) {
    (void)state;
    for (int relu = 0; relu < 2; relu++)
        for (int outliers = 0; outliers < 20; outliers += 10)
            for (int m = HONE_CALIBRATE_MINMAX; m <= HONE_CALIBRATE_ENTROPY; m++) {
                draw(relu, outliers, 60);
                hone_range all = ends(), r = range_by((hone_calibration_method)m, 99.99);
                assert_true(r.min >= all.min && r.max <= all.max && r.max > 0.5f && r.min <= 0);
                if (m == HONE_CALIBRATE_MINMAX) assert_true(r.min == all.min && r.max == all.max);
            }
}

/* So many are left out, half of them on either side. */
static void test_percentile(void **state) {
    (void)state;
    static const double shares[] = {90, 99, 99.9, 100};
    for (int i = 0; i < 4; i++) {
        draw(false, 0, 0);
        hone_range r = range_by(HONE_CALIBRATE_PERCENTILE, shares[i]);
        int below = 0, above = 0;
        for (int k = 0; k < SAMPLES; k++) below += x[k]<r.min, above += x[k]> r.max;
        double most = SAMPLES * (1 - shares[i] / 100) / 2;
        assert_true(below <= most + 1 && above <= most + 1);
        assert_true(below >= 0.9 * most - 20 && above >= 0.9 * most - 20);
    }
    draw(true, 10, 1000); /* ten outliers of 100,000 are half of 2 in 10,000 */
    assert_true(range_by(HONE_CALIBRATE_PERCENTILE, 99.9).max < 10);
    assert_true(range_by(HONE_CALIBRATE_PERCENTILE, 100).max == 1000);
}

/* No grid between the ends is much better, and with outliers all of them are much worse. */
static void test_squared_error(void **state) {
    (void)state;
    for (int relu = 0; relu < 2; relu++)
        for (int outliers = 0; outliers <= 2; outliers++) {
            draw(relu, outliers, 40);
            hone_range all = ends();
            double found = error_of(range_by(HONE_CALIBRATE_MSE, 0)), least = INFINITY;
            for (int i = 5; i <= 100; i++) {
                double low = all.min * (relu ? 1 : i / 100.0), e;
                e = error_of((hone_range){(float)low, (float)(all.max * i / 100)});
                least = fmin(least, e);
            }
            if (!(found <= 1.05 * least))
                fail_msg("relu %d, %d outliers: %g, %g is possible", relu, outliers, found, least);
            assert_true(found <= error_of(all) * 1.001);
        }
    draw(false, 2, 12);
    hone_range all = ends();
    assert_true(error_of(range_by(HONE_CALIBRATE_MSE, 0)) < 0.8 * error_of(all));
}

/* Outliers are cut off, what is there densely is not. */
static void test_entropy(void **state) {
    (void)state;
    for (int relu = 0; relu < 2; relu++) {
        draw(relu, 4, 50);
        hone_range r = range_by(HONE_CALIBRATE_ENTROPY, 0);
        assert_true(r.max < 25 && r.max > 2);
    }
    for (int i = 0; i < SAMPLES; i++) x[i] = (float)(i % 1000) / 1000;
    assert_true(range_by(HONE_CALIBRATE_ENTROPY, 0).max > 0.9f);
}

static void test_nothing_to_choose(void **state) {
    (void)state;
    for (int m = HONE_CALIBRATE_MINMAX; m <= HONE_CALIBRATE_ENTROPY; m++)
        for (int k = 0; k < 2; k++) {
            for (int i = 0; i < SAMPLES; i++) x[i] = k ? 3 : 0;
            hone_range r = range_by((hone_calibration_method)m, 99);
            assert_true(r.min == x[0] && r.max == x[0]);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_within_what_was_seen), cmocka_unit_test(test_percentile),
        cmocka_unit_test(test_squared_error),        cmocka_unit_test(test_entropy),
        cmocka_unit_test(test_nothing_to_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
