/* Random operators: what they are distributed like, and what their numbers follow from. */
#include "ops/each_level.h"
#include "support/control.h"

enum { N = 200000 };

static hone_error err;

static hone_value *random_of(hone_graph *g, const char *op, hone_dtype dtype, int64_t n) {
    hone_node *node = hone_graph_add_node(g, hone_op_find("", op), "draw", 0, NULL, 1);
    hone_node_set_ints(g, node, "shape", &n, 1);
    hone_node_set_int(g, node, "dtype", dtype);
    return node->outputs[0];
}

/* Runs a graph without inputs `runs` times from run `first` on; output 0 of the last. */
static hone_tensor *draw(const hone_graph *g, uint64_t seed, uint64_t first, int runs, int threads) {
    runner r = runner_make(g, NULL, threads);
    const hone_tensor *out[4];
    hone_context_set_random(r.context, seed, first);
    for (int i = 0; i < runs; i++) runner_run(&r, NULL, out);
    hone_tensor *copy = tensor_copy(out[0]);
    runner_free(&r);
    return copy;
}

static double mean_of(const hone_tensor *t, double center, int power) {
    double sum = 0;
    for (int64_t i = 0; i < t->count; i++) sum += pow(tensor_at(t, i) - center, power);
    return sum / (double)t->count;
}

static double uniform(double x) {
    return x < -1 ? 0 : x > 3 ? 1 : (x + 1) / 4;
}
static double normal(double x) {
    return 0.5 * erfc(-(x - 1) / 2 / sqrt(2));
}

/* Each of 20 cells of equal width has as many as it should, within 5 deviations, and moments are right. */
static void expect_distributed(const char *op, hone_dtype dtype, double (*below)(double x)) {
    hone_graph *g = hone_graph_new("random");
    hone_value *y = random_of(g, op, dtype, N);
    bool is_normal = below == normal;
    hone_node_set_float(g, y->producer, is_normal ? "mean" : "low", is_normal ? 1 : -1);
    hone_node_set_float(g, y->producer, is_normal ? "scale" : "high", is_normal ? 2 : 3);
    hone_graph_add_output(g, y);
    hone_tensor *t = draw(g, 7, 0, 1, 2);
    assert_int_equal(t->dtype, dtype);
    for (int c = -10; c < 10; c++) {
        double low = c * 0.75, p = below(low + 0.75) - below(low), found = 0;
        for (int64_t i = 0; i < N; i++) found += tensor_at(t, i) >= low && tensor_at(t, i) < low + 0.75;
        double slack = dtype == HONE_FLOAT16 || dtype == HONE_BFLOAT16 ? 0.01 * N : 0;
        if (!(fabs(found - p * N) <= 5 * sqrt(N * p * (1 - p)) + slack))
            fail_msg("%s of %s: %g in [%g, %g), not %g", op, hone_dtype_name(dtype), found, low, low + 0.75,
                     p * N);
    }
    double variance = is_normal ? 4 : 16.0 / 12, deviation = sqrt(variance / N);
    assert_true(fabs(mean_of(t, 0, 1) - 1) < 5 * deviation);
    assert_true(fabs(mean_of(t, 1, 2) - variance) < 0.05);
    if (is_normal) assert_true(fabs(mean_of(t, 1, 4) - 48) < 2); /* 3 deviation^4 */
    double follows = 0; /* neighbours have nothing to do with each other */
    for (int64_t i = 1; i < N; i++)
        follows += (tensor_at(t, i) - 1) * (tensor_at(t, i - 1) - 1) / variance / N;
    assert_true(fabs(follows) < 5 / sqrt(N));
    hone_tensor_free(t);
    hone_graph_free(g);
}

static void test_distributions(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_FLOAT16, HONE_BFLOAT16};
    for (int d = 0; d < COUNT(dtypes); d++) {
        expect_distributed("RandomUniform", dtypes[d], uniform);
        expect_distributed("RandomNormal", dtypes[d], normal);
    }
}

static bool same(const hone_tensor *a, const hone_tensor *b) {
    return memcmp(a->data, b->data, a->bytes) == 0;
}

/* Seed and number of the run say all; threads nothing. */
static void test_what_numbers_follow_from(void **state) {
    (void)state;
    for (int seeded = 0; seeded < 2; seeded++) {
        hone_graph *g = hone_graph_new("random");
        hone_value *y = random_of(g, "RandomNormal", HONE_FLOAT32, 100001),
                   *z = random_of(g, "RandomNormal", HONE_FLOAT32, 100001);
        if (seeded) hone_node_set_float(g, y->producer, "seed", 0.5f);
        hone_graph_add_output(g, y);
        hone_graph_add_output(g, z);
        hone_tensor *one = draw(g, 1, 0, 1, 1), *threads = draw(g, 1, 0, 1, 3), *other = draw(g, 2, 0, 1, 1),
                    *third = draw(g, 1, 0, 3, 1), *resumed = draw(g, 1, 2, 1, 1);
        assert_true(same(one, threads));
        assert_true(same(one, other) == seeded); /* the node's seed takes the context's place */
        assert_false(same(one, third));
        assert_true(same(third, resumed));
        hone_tensor *all[] = {one, threads, other, third, resumed};
        for (int i = 0; i < COUNT(all); i++) hone_tensor_free(all[i]);
        hone_graph_free(g);
    }
}

/* Two nodes, two contexts, two iterations of a loop: all have numbers of their own. */
static void test_draws_differ(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("random");
    hone_value *a = random_of(g, "RandomUniform", HONE_FLOAT32, 1000),
               *b = random_of(g, "RandomUniform", HONE_FLOAT32, 1000);
    hone_graph_add_output(g, graph_op(g, "Sub", a, b));
    runner r[2] = {runner_make(g, NULL, 1), runner_make(g, NULL, 1)};
    const hone_tensor *out[2];
    for (int i = 0; i < 2; i++) {
        runner_run(&r[i], NULL, &out[i]);
        for (int k = 0; k < 20; k++) assert_true(tensor_at(out[i], k) != 0);
    }
    assert_false(same(out[0], out[1]));
    hone_tensor *first = tensor_copy(out[0]);
    runner_run(&r[0], NULL, &out[0]);
    assert_false(same(first, out[0]));
    hone_tensor_free(first);
    runner_free(&r[0]);
    runner_free(&r[1]);
    hone_graph_free(g);
}

static void test_in_a_loop(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("loop");
    hone_value *in[] = {hone_graph_scalar(g, HONE_INT64, 5), hone_graph_scalar(g, HONE_BOOL, 1)};
    hone_node *n = control_node(g, "Loop", "loop", 1, 2, in);
    hone_graph *body = hone_node_add_graph(g, n, "body");
    graph_input(body, "i", HONE_INT64, 0, NULL);
    hone_value *go = graph_input(body, "go", HONE_BOOL, 0, NULL);
    hone_graph_add_output(body, graph_op(body, "Identity", go));
    hone_graph_add_output(body, random_of(body, "RandomUniform", HONE_FLOAT32, 3));
    hone_graph_add_output(g, n->outputs[0]);
    hone_tensor *t = draw(g, 3, 0, 1, 1);
    assert_int_equal(t->count, 15);
    for (int i = 3; i < 15; i++) assert_true(tensor_at(t, i) != tensor_at(t, i - 3));
    hone_tensor_free(t);
    hone_graph_free(g);
}

static void test_like(void **state) {
    (void)state;
    static const struct {
        hone_dtype in;
        int64_t asked;
        hone_status status;
        hone_dtype out;
    } cases[] = {{HONE_FLOAT32, 0, HONE_OK, HONE_FLOAT32},
                 {HONE_FLOAT64, 0, HONE_OK, HONE_FLOAT64},
                 {HONE_FLOAT16, 0, HONE_OK, HONE_FLOAT16},
                 {HONE_INT64, HONE_FLOAT32, HONE_OK, HONE_FLOAT32},
                 {HONE_FLOAT32, HONE_FLOAT16, HONE_OK, HONE_FLOAT16},
                 {HONE_INT64, 0, HONE_INVALID_ARGUMENT, 0},
                 {HONE_FLOAT32, HONE_INT32, HONE_INVALID_ARGUMENT, 0},
                 {HONE_FLOAT32, 1000, HONE_INVALID_ARGUMENT, 0}};
    for (int c = 0; c < COUNT(cases); c++)
        for (int normal = 0; normal < 2; normal++) {
            hone_graph *g = hone_graph_new("like");
            hone_value *x = graph_input(g, "x", cases[c].in, SHAPE(2, 3));
            hone_value *y = graph_op(g, normal ? "RandomNormalLike" : "RandomUniformLike", x);
            if (cases[c].asked) hone_node_set_int(g, y->producer, "dtype", cases[c].asked);
            hone_graph_add_output(g, y);
            assert_int_equal(hone_graph_infer(g, &err), cases[c].status);
            if (cases[c].status == HONE_OK) {
                hone_tensor *in = tensor_make(cases[c].in, SHAPE(2, 3)), *out;
                graph_run(g, NULL, &in, &out, 1);
                assert_int_equal(out->dtype, cases[c].out);
                assert_int_equal(out->count, 6);
                hone_tensor_free(in);
                hone_tensor_free(out);
            }
            hone_graph_free(g);
        }
}

static void test_bernoulli(void **state) {
    (void)state;
    static const float p[] = {0, 0.1f, 0.5f, 1};
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_BOOL, HONE_INT8, HONE_FLOAT16};
    for (int d = 0; d < COUNT(dtypes); d++) {
        hone_graph *g = hone_graph_new("bernoulli");
        hone_value *x = graph_constant(g, "p", tensor_of(SHAPE(4, 1), p));
        hone_value *all = graph_op(g, "Expand", x, hone_graph_ints(g, (int64_t[]){4, 20000}, 2));
        hone_value *y = graph_op(g, "Bernoulli", all);
        if (d) hone_node_set_int(g, y->producer, "dtype", dtypes[d]);
        hone_graph_add_output(g, y);
        hone_tensor *t = draw(g, 5, 0, 1, 1);
        assert_int_equal(t->dtype, dtypes[d]);
        for (int row = 0; row < 4; row++) {
            double sum = 0;
            for (int i = 0; i < 20000; i++) sum += tensor_at(t, row * 20000 + i);
            assert_true(fabs(sum - p[row] * 20000) <= 5 * sqrt(20000 * p[row] * (1 - p[row])));
        }
        hone_tensor_free(t);
        hone_graph_free(g);
    }
}

static void test_multinomial(void **state) {
    (void)state;
    static const float p[2][4] = {{0.5f, 0.25f, 0.2f, 0.05f}, {0, 0.999f, 0.001f, 0}};
    for (int d = 0; d < 2; d++) {
        hone_tensor *x = tensor_make(d ? HONE_FLOAT64 : HONE_FLOAT32, SHAPE(2, 4));
        for (int i = 0; i < 8; i++) tensor_set(x, i, log(p[i / 4][i % 4]) + 100);
        hone_graph *g = hone_graph_new("multinomial");
        hone_value *y = graph_op(g, "Multinomial", graph_constant(g, "x", x));
        hone_node_set_int(g, y->producer, "sample_size", 50000);
        if (d) hone_node_set_int(g, y->producer, "dtype", HONE_INT64);
        hone_graph_add_output(g, y);
        hone_tensor *t = draw(g, 5, 0, 1, 1);
        assert_int_equal(t->dtype, d ? HONE_INT64 : HONE_INT32);
        for (int row = 0; row < 2; row++)
            for (int c = 0; c < 4; c++) {
                double found = 0, want = p[row][c];
                for (int i = 0; i < 50000; i++) found += tensor_at(t, row * 50000 + i) == c;
                if (!(fabs(found - want * 50000) <= 5 * sqrt(50000 * want * (1 - want))))
                    fail_msg("row %d, class %d: %g of 50000", row, c, found);
            }
        hone_tensor_free(t);
        hone_graph_free(g);
    }
}

/* ratio, training_mode; inputs as constants or given at the run. */
static void expect_dropped(double ratio, int training, bool constant, hone_dtype dtype) {
    hone_graph *g = hone_graph_new("dropout");
    hone_tensor *in[3] = {tensor_make(dtype, SHAPE(100, 200)), tensor_make(HONE_FLOAT32, 0, NULL),
                          tensor_make(HONE_BOOL, 0, NULL)},
                *out[2];
    hone_value *x[3] = {graph_input(g, "x", dtype, SHAPE(100, 200))};
    for (int64_t i = 0; i < in[0]->count; i++) tensor_set(in[0], i, 1 + (double)(i % 3));
    tensor_set(in[1], 0, ratio);
    tensor_set(in[2], 0, training);
    for (int i = 1; i < 3; i++)
        x[i] = constant ? graph_constant(g, "c", tensor_copy(in[i]))
                        : graph_input(g, "c", in[i]->dtype, 0, NULL);
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Dropout"), "dropout", 3, x, 2);
    for (int o = 0; o < 2; o++) hone_graph_add_output(g, n->outputs[o]);
    graph_run(g, NULL, in, out, 2);
    double kept = 0, used = training ? ratio : 0;
    assert_int_equal(out[1]->dtype, HONE_BOOL);
    for (int64_t i = 0; i < in[0]->count; i++) {
        bool here = tensor_at(out[1], i);
        kept += here;
        double want = here ? tensor_at(in[0], i) / (1 - used) : 0;
        assert_true(fabs(tensor_at(out[0], i) - want) <= 1e-3 * want);
    }
    double count = (double)in[0]->count;
    assert_true(fabs(kept - count * (1 - used)) <= 5 * sqrt(count * used * (1 - used)));
    for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
    for (int o = 0; o < 2; o++) hone_tensor_free(out[o]);
    hone_graph_free(g);
}

static void test_dropout(void **state) {
    (void)state;
    for (int constant = 0; constant < 2; constant++)
        for (int training = 0; training < 2; training++) {
            expect_dropped(0.3, training, constant, HONE_FLOAT32);
            expect_dropped(0, training, constant, HONE_FLOAT64);
            expect_dropped(0.75, training, constant, HONE_FLOAT16);
            if (!training) expect_dropped(1, training, constant, HONE_FLOAT32);
        }
}

/* With a seed, what NumPy draws for it: RandomState(seed + run).uniform(0, 1, 12) >= 0.5, whatever the
 * context's seed. */
static void test_seeded_dropout(void **state) {
    (void)state;
    static const char *kept[] = {"111101011011", "010000000101"};
    hone_graph *g = hone_graph_new("dropout");
    hone_value *x[] = {graph_input(g, "x", HONE_FLOAT32, SHAPE(12)), NULL,
                       hone_graph_scalar(g, HONE_BOOL, 1)};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Dropout"), "dropout", 3, x, 2);
    hone_node_set_int(g, n, "seed", 0);
    for (int o = 0; o < 2; o++) hone_graph_add_output(g, n->outputs[o]);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(12), 1);
    const hone_tensor *out[2];
    runner r = runner_make(g, NULL, 2);
    hone_context_set_random(r.context, 5, 0);
    for (int run = 0; run < 2; run++) {
        runner_run(&r, &in, out);
        for (int i = 0; i < 12; i++) {
            assert_int_equal(tensor_at(out[1], i), kept[run][i] == '1');
            assert_true(tensor_at(out[0], i) == (kept[run][i] == '1' ? 2 * tensor_at(in, i) : 0));
        }
    }
    runner_free(&r);
    hone_tensor_free(in);
    hone_graph_free(g);
}

/* Uniform numbers are the same bits at every level and on every machine. */
static void test_bits(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("bits");
    hone_graph_add_output(g, random_of(g, "RandomUniform", HONE_FLOAT32, 5));
    hone_tensor *t = draw(g, 0, 0, 1, 1);
    /* Philox4x32-10 of key 0 and counter 0 gives 6627e8d5 e169c58d bc57ac4c 9b00dbd8 */
    static const uint32_t first[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
    for (int i = 0; i < 4; i++) assert_true(tensor_at(t, i) == (first[i] >> 8) * 0x1p-24);
    hone_tensor_free(t);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distributions),  cmocka_unit_test(test_what_numbers_follow_from),
        cmocka_unit_test(test_draws_differ),   cmocka_unit_test(test_in_a_loop),
        cmocka_unit_test(test_like),           cmocka_unit_test(test_bernoulli),
        cmocka_unit_test(test_multinomial),    cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_seeded_dropout), cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
