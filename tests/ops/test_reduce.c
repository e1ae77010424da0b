/* Reductions of every dtype against plain loops, and what they make of NaN, of nothing, and of equal elements. */
#include "graph/autodiff.h"
#include "support/graphs.h"

enum { A = 3, B = 4, C = 5 };

typedef struct reduction {
    const char *op;
    double start;
    double (*step)(double sum, double x);
    double (*end)(double sum, double n);
    bool small; /* of int8, uint8 and bool, too */
} reduction;

static double add(double s, double x) {
    return s + x;
}
static double add_size(double s, double x) {
    return s + fabs(x);
}
static double add_square(double s, double x) {
    return s + x * x;
}
static double add_exp(double s, double x) {
    return s + exp(x);
}
static double multiply(double s, double x) {
    return s * x;
}
static double larger(double s, double x) {
    return s != s || s > x ? s : x;
}
static double less(double s, double x) {
    return s != s || s < x ? s : x;
}
static double same(double s, double n) {
    (void)n;
    return s;
}
static double share(double s, double n) {
    return s / n;
}
static double root(double s, double n) {
    (void)n;
    return sqrt(s);
}
static double logarithm(double s, double n) {
    (void)n;
    return log(s);
}

static const reduction reductions[] = {
    {"ReduceSum", 0, add, same, false},         {"ReduceMean", 0, add, share, false},
    {"ReduceProd", 1, multiply, same, false},   {"ReduceMax", -INFINITY, larger, same, true},
    {"ReduceMin", INFINITY, less, same, true},  {"ReduceL1", 0, add_size, same, false},
    {"ReduceL2", 0, add_square, root, false},   {"ReduceSumSquare", 0, add_square, same, false},
    {"ReduceLogSum", 0, add, logarithm, false}, {"ReduceLogSumExp", 0, add_exp, logarithm, false},
};

static const struct {
    hone_dtype dtype;
    double bound; /* relative; 0: whole numbers */
} dtypes[] = {{HONE_FLOAT32, 1e-5}, {HONE_FLOAT64, 1e-12}, {HONE_FLOAT16, 6e-4}, {HONE_BFLOAT16, 5e-3},
              {HONE_INT32, 0},      {HONE_INT64, 0},       {HONE_UINT32, 0},     {HONE_UINT64, 0},
              {HONE_INT8, 0},       {HONE_UINT8, 0},       {HONE_BOOL, 0}};

/* x [A, B, C] over the axes whose bits are set. */
static void expect_reduced(const reduction *r, hone_dtype dtype, double bound, int axes) {
    hone_graph *g = hone_graph_new("reduce");
    int64_t list[3], count = 0, dims[] = {A, B, C}, kept[3];
    for (int i = 0; i < 3; i++) {
        if (axes >> i & 1) list[count++] = i % 2 ? i : i - 3;
        kept[i] = axes >> i & 1 ? 1 : dims[i];
    }
    hone_value *y = graph_op(g, r->op, graph_input(g, "x", dtype, 3, dims), hone_graph_ints(g, list, count));
    hone_graph_add_output(g, y);
    hone_tensor *in = tensor_make(dtype, 3, dims), *out;
    hone_rng rng = hone_rng_make(5, 1);
    for (int64_t i = 0; i < in->count; i++)
        tensor_set(in, i, 1 + hone_rng_below(&rng, dtype == HONE_BOOL ? 1 : 3));
    if (dtype == HONE_BOOL) tensor_set(in, 7, 0);
    graph_run(g, NULL, &in, &out, 1);
    double terms = (double)in->count / (double)(kept[0] * kept[1] * kept[2]);
    assert_int_equal(out->dtype, dtype);
    for (int64_t o = 0; o < out->count; o++) {
        double want = r->start;
        for (int64_t i = 0; i < in->count; i++) {
            int64_t at[] = {i / (B * C) % kept[0], i / C % B % kept[1], i % C % kept[2]};
            if ((at[0] * kept[1] + at[1]) * kept[2] + at[2] == o) want = r->step(want, tensor_at(in, i));
        }
        want = r->end(want, terms);
        if (bound == 0) want = trunc(want + 1e-9);
        if (!(fabs(tensor_at(out, o) - want) <= bound * fabs(want)))
            fail_msg("%s of %s over %d: %.9g, not %.9g", r->op, hone_dtype_name(dtype), axes,
                     tensor_at(out, o), want);
    }
    hone_tensor_free(in);
    hone_tensor_free(out);
    hone_graph_free(g);
}

static void test_every_dtype(void **state) {
    (void)state;
    for (int r = 0; r < COUNT(reductions); r++)
        for (int d = 0; d < COUNT(dtypes); d++) {
            bool is_product_of_many = reductions[r].step == multiply;
            if (hone_dtype_size(dtypes[d].dtype) == 1 && !reductions[r].small) continue;
            for (int axes = 1; axes < 8; axes++)
                if (!is_product_of_many || axes == 1 || axes == 2 || axes == 4)
                    expect_reduced(&reductions[r], dtypes[d].dtype, dtypes[d].bound, axes);
        }
}

/* One operator of x, a constant-free graph; `attr` is set to `value`. */
static hone_tensor *run_one(const char *op, const char *attr, int64_t value, hone_tensor *x) {
    hone_graph *g = hone_graph_new("one");
    hone_tensor *y;
    hone_value *v = graph_op(g, op, graph_input(g, "x", x->dtype, x->rank, x->dims));
    if (attr) hone_node_set_int(g, v->producer, attr, value);
    hone_graph_add_output(g, v);
    graph_run(g, NULL, &x, &y, 1);
    hone_graph_free(g);
    return y;
}

/* Of nothing: the neutral numbers; the logarithm of a sum of nothing is that of 0. */
static void test_nothing(void **state) {
    (void)state;
    static const struct {
        const char *op;
        hone_dtype dtype;
        double want;
    } cases[] = {{"ReduceSum", HONE_FLOAT32, 0},
                 {"ReduceProd", HONE_INT64, 1},
                 {"ReduceMax", HONE_FLOAT32, -INFINITY},
                 {"ReduceMax", HONE_INT32, INT32_MIN},
                 {"ReduceMax", HONE_BOOL, 0},
                 {"ReduceMax", HONE_INT8, -128},
                 {"ReduceMin", HONE_UINT8, 255},
                 {"ReduceMin", HONE_FLOAT64, INFINITY},
                 {"ReduceMin", HONE_UINT32, UINT32_MAX},
                 {"ReduceMin", HONE_BOOL, 1},
                 {"ReduceLogSum", HONE_FLOAT32, -INFINITY},
                 {"ReduceLogSumExp", HONE_FLOAT32, -INFINITY}};
    for (int c = 0; c < COUNT(cases); c++) {
        hone_tensor *x = tensor_make(cases[c].dtype, SHAPE(2, 0)), *y = run_one(cases[c].op, NULL, 0, x);
        if (tensor_at(y, 0) != cases[c].want)
            fail_msg("%s of no %s: %g", cases[c].op, hone_dtype_name(cases[c].dtype), tensor_at(y, 0));
        hone_tensor_free(x);
        hone_tensor_free(y);
    }
}

/* Large exponents neither overflow nor vanish; infinities stay. */
static void test_log_sum_exp(void **state) {
    (void)state;
    static const struct {
        float x[3];
        double want;
    } cases[] = {{{1000, 1000, -1000}, 1000.6931471805599},      {{-1000, -1000, -1000}, -998.9013877113318},
                 {{-INFINITY, -INFINITY, -INFINITY}, -INFINITY}, {{1, INFINITY, 2}, INFINITY},
                 {{1, -INFINITY, 1}, 1.6931471805599454},        {{1, NAN, 2}, NAN}};
    for (int c = 0; c < COUNT(cases); c++) {
        hone_tensor *x = tensor_of(SHAPE(3), cases[c].x), *y = run_one("ReduceLogSumExp", "keepdims", 0, x);
        double got = tensor_at(y, 0), want = cases[c].want;
        if (!(got == want || (got != got && want != want) || fabs(got - want) <= 1e-6 * fabs(want)))
            fail_msg("case %d: %.9g", c, got);
        hone_tensor_free(x);
        hone_tensor_free(y);
    }
}

static void test_indices(void **state) {
    (void)state;
    static const double numbers[] = {3, 1, 3, 2, 1, 2};
    static const float nans[] = {1, NAN, 5, NAN};
    static const hone_dtype all[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_FLOAT16, HONE_BFLOAT16,
                                     HONE_INT8,    HONE_UINT8,   HONE_INT16,   HONE_UINT16,
                                     HONE_INT32,   HONE_UINT32,  HONE_UINT64,  HONE_INT64};
    for (int d = 0; d < COUNT(all); d++)
        for (int form = 0; form < 4; form++) {
            hone_tensor *x = tensor_make(all[d], SHAPE(6, 1));
            for (int i = 0; i < 6; i++) tensor_set(x, i, numbers[i]);
            hone_tensor *y = run_one(form < 2 ? "ArgMax" : "ArgMin", "select_last_index", form % 2, x);
            if (tensor_at(y, 0) != (double[]){0, 2, 1, 4}[form])
                fail_msg("%s, form %d: %g", hone_dtype_name(all[d]), form, tensor_at(y, 0));
            hone_tensor_free(x);
            hone_tensor_free(y);
        }
    for (int form = 0; form < 4; form++) {
        hone_tensor *x = tensor_of(SHAPE(4), nans);
        hone_tensor *y = run_one(form < 2 ? "ArgMax" : "ArgMin", "select_last_index", form % 2, x);
        assert_true(tensor_at(y, 0) == 1);
        hone_tensor_free(x);
        hone_tensor_free(y);
    }
}

/* An index along an axis without elements there is none; where there are no indices, all is well. */
static void test_no_index(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("none");
    hone_model_options options = HONE_MODEL_OPTIONS_INIT;
    hone_model *model = NULL;
    hone_graph_add_output(g, graph_op(g, "ArgMax", graph_input(g, "x", HONE_FLOAT32, SHAPE(0, 3))));
    check_ok(hone_model_compile(g, &options, &model, &err));
    runner r = runner_of(model, 1);
    hone_tensor *x = tensor_make(HONE_FLOAT32, SHAPE(0, 3));
    const hone_tensor *y;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&x, &y, &err), HONE_UNSUPPORTED);
    assert_string_equal(err.op, "ArgMax");
    hone_tensor_free(x);
    runner_free(&r);
    hone_graph_free(g);
    x = tensor_make(HONE_FLOAT32, SHAPE(3, 0));
    hone_tensor *none = run_one("ArgMax", NULL, 0, x);
    assert_int_equal(none->count, 0);
    hone_tensor_free(x);
    hone_tensor_free(none);
}

/* A row gives the same bits alone and among others, short ones and long ones. */
static void test_alone(void **state) {
    (void)state;
    for (int64_t n = 1; n < 40; n += 3) {
        const hone_tensor *all, *one;
        hone_graph *g = hone_graph_new("rows");
        hone_value *axes = graph_constant(g, "axes", tensor_make(HONE_INT64, SHAPE(1)));
        ((int64_t *)axes->data->data)[0] = 1;
        hone_graph_add_output(
            g, graph_op(g, "ReduceSum", graph_input(g, "x", HONE_FLOAT32, SHAPE(-1, n)), axes));
        hone_tensor *x = tensor_random(HONE_FLOAT32, SHAPE(70, n), 3);
        runner many = runner_make(g, NULL, 1), single = runner_make(g, NULL, 1);
        runner_run(&many, &x, &all);
        for (int64_t i = 0; i < 70; i++) {
            hone_tensor *row = tensor_of(SHAPE(1, n), (const float *)x->data + i * n);
            runner_run(&single, &row, &one);
            assert_memory_equal(one->data, (const float *)all->data + i, sizeof(float));
            hone_tensor_free(row);
        }
        hone_tensor_free(x);
        runner_free(&many);
        runner_free(&single);
        hone_graph_free(g);
    }
}

static void test_hardmax(void **state) {
    (void)state;
    static const float x[] = {1, 3, 3, 2, 2, 1};
    static const double want[2][6] = {{0, 1, 0, 1, 0, 0}, {0, 1, 1, 1, 0, 0}};
    for (int axis = 0; axis < 2; axis++) {
        hone_tensor *in = tensor_of(SHAPE(2, 3), x), *y = run_one("Hardmax", "axis", 1 - axis, in);
        for (int i = 0; i < 6; i++) assert_true(tensor_at(y, i) == want[axis][i]);
        hone_tensor_free(in);
        hone_tensor_free(y);
    }
}

/* The gradient of `op` over all of x, for a cotangent of 1. */
static void expect_gradient(const char *op, const float *x, const float *want) {
    hone_error err;
    hone_graph *g = hone_graph_new("gradient");
    hone_value *in = graph_input(g, "x", HONE_FLOAT32, SHAPE(4)), *y = graph_op(g, op, in), *dx;
    hone_value *dy = hone_graph_scalar(g, HONE_FLOAT32, 1);
    hone_node_set_int(g, y->producer, "keepdims", 0);
    check_ok(hone_graph_infer(g, &err));
    check_ok(hone_graph_differentiate(g, 1, &y, &dy, 1, &in, &dx, &err));
    hone_graph_add_output(g, dx);
    hone_tensor *data = tensor_of(SHAPE(4), x), *out;
    graph_run(g, NULL, &data, &out, 1);
    for (int i = 0; i < 4; i++)
        if (tensor_at(out, i) != want[i])
            fail_msg("d %s [%d] is %g, not %g", op, i, tensor_at(out, i), want[i]);
    hone_tensor_free(data);
    hone_tensor_free(out);
    hone_graph_free(g);
}

/* Zeros in products, and several that are the largest. */
static void test_gradients_at_kinks(void **state) {
    (void)state;
    expect_gradient("ReduceProd", (float[]){2, 3, 4, 5}, (float[]){60, 40, 30, 24});
    expect_gradient("ReduceProd", (float[]){2, 0, 4, 5}, (float[]){0, 40, 0, 0});
    expect_gradient("ReduceProd", (float[]){2, 0, 0, 5}, (float[]){0, 0, 0, 0});
    expect_gradient("ReduceMax", (float[]){2, 5, 4, 5}, (float[]){0, 0.5f, 0, 0.5f});
    expect_gradient("ReduceMin", (float[]){2, 5, 4, 5}, (float[]){1, 0, 0, 0});
}

/* Axes that only the run knows: gradients follow. */
static void test_gradient_of_unknown_axes(void **state) {
    (void)state;
    hone_error err;
    for (int keep = 0; keep < 2; keep++) {
        hone_graph *g = hone_graph_new("gradient");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3)), *dx;
        hone_value *axes = graph_input(g, "axes", HONE_INT64, SHAPE(1)),
                   *y = graph_op(g, "ReduceMean", x, axes);
        hone_node_set_int(g, y->producer, "keepdims", keep);
        hone_value *z = graph_op(g, "Mul", y, y), *sum = graph_op(g, "ReduceSum", z);
        hone_node_set_int(g, sum->producer, "keepdims", 0);
        hone_value *dy = hone_graph_scalar(g, HONE_FLOAT32, 1);
        check_ok(hone_graph_infer(g, &err));
        check_ok(hone_graph_differentiate(g, 1, &sum, &dy, 1, &x, &dx, &err));
        hone_graph_add_output(g, dx);
        hone_tensor *in[] = {tensor_of(SHAPE(2, 3), (float[]){1, 2, 3, 4, 5, 6}),
                             tensor_make(HONE_INT64, SHAPE(1))};
        for (int axis = 0; axis < 2; axis++) {
            hone_tensor *out;
            tensor_set(in[1], 0, axis - 2);
            graph_run(g, NULL, in, &out, 1);
            for (int i = 0; i < 6; i++) {
                double mean = axis ? (i / 3 ? 5 : 2) : 2.5 + i % 3; /* d = 2 mean / terms */
                assert_true(fabs(tensor_at(out, i) - 2 * mean / (axis ? 3 : 2)) < 1e-5);
            }
            hone_tensor_free(out);
        }
        hone_tensor_free(in[0]);
        hone_tensor_free(in[1]);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_dtype),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_log_sum_exp),
        cmocka_unit_test(test_indices),
        cmocka_unit_test(test_no_index),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_hardmax),
        cmocka_unit_test(test_gradients_at_kinks),
        cmocka_unit_test(test_gradient_of_unknown_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
