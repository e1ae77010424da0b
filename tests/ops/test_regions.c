/* RoiAlign and MaxRoiPool: what ONNX Runtime gives, of every dtype; regions without sense. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/infer.h"
#include "ops/op_cases.h"

enum { REGIONS = 5, CORNERS = 4 };

/* Of images [2, 2, 6, 7] whose element i is (7 i mod 31 - 11) / 4, and of these regions. */
static const float regions[REGIONS][1 + CORNERS] = {
    {0, 0, 0, 6, 5}, {1, 1.2f, -2, 4.4f, 3.5f}, {1, 3, 3, 2, 1}, {0, -9, -9, -4, -4}, {0, 4, 2, 30, 3.6f}};

static const struct {
    const char *op, *attrs;
    float want[60];
} cases[] = {
    {"MaxRoiPool", "pooled_shape=2,3", {3.5,  4.25, 4.5,  4.75, 3.5,  4,    4.5,  4.75, 4.75, 3.75, 4.25, 4.5,
                                        3.25, 2.25, 4,    4.5,  4.75, 4.75, 4.25, 4.25, 4.5,  3.75, 4,    4.5,
                                        0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 4,    4,    4,    4,    4,    4,
                                        0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
                                        4,    0,    0,    4,    0,    0,    3.25, 0,    0,    4.5,  0,    0}},
    {"MaxRoiPool",
     "pooled_shape=2,2 spatial_scale=0.5",
     {3.5,  2.5, 4.75, 3.75, 2.75, 4.5,  4,     4.25,  -1.25, 0.5,   3.25, 1.75, 2.5, 4.25,
      3.75, 1,   1.75, 1.75, 1.75, 1.75, -2.25, -2.25, -2.25, -2.25, 0,    0,    0,   0,
      0,    0,   0,    0,    4.5,  0,    3.75,  0,     4.75,  0,     3.25, 0}},
    {"RoiAlign",
     "output_height=2 output_width=2",
     {-0.011574, 1.14815,  1.49769,   0.576389, 1.22685,  1.23843, 0.655092,   1.6713, -0.125,   0.808333,
      0.640625,  0.642014, 1.125,     -0.1375,  0.892361, 1.30278, 0,          0,      0,        0,
      0,         0,        0,         0,        0,        0,       0,          0,      0,        0,
      0,         0,        0.0807693, 0,        0.115385, 0,       -0.0173077, 0,      0.076923, 0}},
    {"RoiAlign",
     "output_height=2 output_width=2 sampling_ratio=2 coordinate_transformation_mode=output_half_pixel",
     {0.65625,  0.759766, 1.31055, 0.990234,  1.07617,  1.48242, 0.822266, 1.10742, 0.196875, 1.54844,
      0.229688, 0.510937, 1.29687, -0.209375, 0.976563, 1.40312, 1.32812,  1.23438, 2.60938,  0.578125,
      2.17188,  0.140625, 1.51562, 1.42188,   0,        0,       0,        0,       0,        0,
      0,        0,        0,       0,         0,        0,       0,        0,       0,        0}},
    {"RoiAlign",
     "output_height=2 output_width=2 coordinate_transformation_mode=output_half_pixel spatial_scale=0.6",
     {0.867969, -0.014453, 1.17578,  1.56484, 0.537109, 1.77383, 1.68047,  0.652734, -0.844687,  0.719063,
      1.26281,  -0.699687, 2.78906,  3.25231, 0.8375,   0.301,   1.675,    2.55,     0.0499996,  0.925,
      -1.9375,  -1.0625,   0.312501, 1.1875,  0,        0,       0,        0,        0,          0,
      0,        0,         0.950566, 0,       0.485918, 0,       0.496445, 0,        -0.0226953, 0}},
    {"RoiAlign",
     "output_height=2 output_width=2 mode=max",
     {2.625,   4.25,    3.5625, 3, 4.5,   3.5625, 3.20833, 4.125, 0.45,  2, 2.19375, 1.53125, 3.825, 1.275,
      2.10938, 1.59375, 0,      0, 0,     0,      0,       0,     0,     0, 0,       0,       0,     0,
      0,       0,       0,      0, 1.125, 0,      2.8,     0,     2.925, 0, 1.225,   0}},
    {"RoiAlign",
     "output_height=2 output_width=2 mode=max sampling_ratio=1",
     {2.625,   1.0625,   3.5625, 1.6875, 0.6875, 3.5625, 0.5625, 0.6875, 0,    0,    0.609375, 1.96875, 0, 0,
      1.17188, 0.928125, 1.3125, 1.3125, 0,      0.8125, 0,      0.9375, 0.75, 0.75, 0,        0,       0, 0,
      0,       0,        0,      0,      0,      0,      0,      0,      0,    0,    0,        0}},
};

static void put(hone_tensor *t, int64_t i, double x) {
    switch (t->dtype) {
    case HONE_FLOAT64: ((double *)t->data)[i] = x; break;
    case HONE_INT64: ((int64_t *)t->data)[i] = (int64_t)x; break;
    default: ((float *)t->data)[i] = (float)x;
    }
}

static void build(const char *op, const char *attrs, hone_dtype real, built_case *b) {
    bool align = strcmp(op, "RoiAlign") == 0;
    op_case c = {op, align ? "R2,2,6,7 K5,4 I5<1" : "R2,2,6,7 K5,5", attrs, 1};
    if (!case_build(&c, real, b)) fail_msg("%s %s cannot be built", op, attrs);
    for (int64_t i = 0; i < b->data[0]->count; i++) put(b->data[0], i, (double)(7 * i % 31 - 11) / 4);
    for (int r = 0; r < REGIONS; r++) {
        if (align) put(b->data[2], r, regions[r][0]);
        for (int k = align; k < 5; k++) put(b->data[1], align ? r * 4 + k - 1 : r * 5 + k, regions[r][k]);
    }
}

static hone_status start(built_case *b, runner *r, const hone_tensor **out, hone_error *err) {
    HONE_TRY(runner_open(b->g, NULL, 2, r, err));
    return hone_context_run(r->context, (const hone_tensor *const *)b->data, out, err);
}

static void test_values(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int wide = 0; wide < 2; wide++) {
            hone_error err = {0};
            built_case b;
            runner r;
            const hone_tensor *y;
            build(cases[i].op, cases[i].attrs, wide ? HONE_FLOAT64 : HONE_FLOAT32, &b);
            if (start(&b, &r, &y, &err) != HONE_OK) fail_msg("%s: %s", cases[i].attrs, err.message);
            for (int64_t k = 0; k < y->count; k++)
                if (!(fabs(tensor_at(y, k) - cases[i].want[k]) <= 1e-5))
                    fail_msg("%s %s: [%lld] is %g, not %g", cases[i].op, cases[i].attrs, (long long)k,
                             tensor_at(y, k), cases[i].want[k]);
            runner_close(&r);
            case_free(&b);
        }
}

/* Regions far larger than the image take no longer: all beyond it is zeros. */
static void test_large_regions(void **state) {
    (void)state;
    static const char *const modes[] = {"mode=avg", "mode=max",
                                        "mode=avg coordinate_transformation_mode=output_half_pixel"};
    for (int m = 0; m < 3; m++) {
        hone_error err = {0};
        built_case b;
        runner r;
        const hone_tensor *y;
        build("RoiAlign", modes[m], HONE_FLOAT32, &b);
        float *region = b.data[1]->data;
        memcpy(region, (float[]){-3e38f, -3e38f, 3e38f, 3e38f, -1e9f, 2, 1e9f, 3}, 32);
        if (start(&b, &r, &y, &err) != HONE_OK) fail_msg("%s", err.message);
        for (int64_t k = 0; k < 2 && m != 1; k++) assert_true(fabs(tensor_at(y, k)) < 1e-6);
        runner_close(&r);
        case_free(&b);
    }
}

static const struct {
    const char *op;
    int input, at; /* which number becomes `value` */
    double value;
    const char *message;
} bad[] = {{"RoiAlign", 2, 3, 2, "region 3 is of image 2, of 2"},
           {"RoiAlign", 2, 0, -1, "region 0 is of image -1, of 2"},
           {"RoiAlign", 1, 6, NAN, "region 1 has coordinates that are not finite"},
           {"MaxRoiPool", 1, 0, 2, "region 0 is of image 2, of 2"},
           {"MaxRoiPool", 1, 5, -1, "region 1 is of image -1, of 2"},
           {"MaxRoiPool", 1, 7, INFINITY, "region 1 has coordinates that are not finite"}};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_error err = {0};
        built_case b;
        runner r;
        const hone_tensor *y;
        build(bad[i].op, strcmp(bad[i].op, "RoiAlign") == 0 ? "" : "pooled_shape=2,2", HONE_FLOAT32, &b);
        put(b.data[bad[i].input], bad[i].at, bad[i].value);
        assert_int_equal(start(&b, &r, &y, &err), HONE_INVALID_ARGUMENT);
        assert_string_equal(err.message, bad[i].message);
        assert_string_equal(err.node, "node");
        runner_close(&r);
        case_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_large_regions),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
