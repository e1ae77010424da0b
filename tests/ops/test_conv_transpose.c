/* ConvTranspose is the transpose of Conv: <ConvTranspose(x, w), y> = <x, Conv(y, w)> for every x and y; what a bias adds; the
 * same bits whatever cuts the work, and whether the weights are packed. */
#include "support/graphs.h"

#include "ops/each_level.h"

static const char *program;

typedef struct transpose_case {
    int axes;
    int64_t x[5], w[5], group; /* x [N, C, …], w [C, M / group, …] */
    int64_t stride[3], dilation[3], pads[6], more[3];
} transpose_case;

#define ONES                                                                                                 \
    { 1, 1, 1 }

static const transpose_case cases[] = {
    {2, {1, 3, 5, 6}, {3, 4, 3, 3}, 1, ONES, ONES, {1, 1, 1, 1}, {0}},
    {2, {2, 12, 10, 11}, {12, 13, 2, 2}, 1, {2, 2}, ONES, {0}, {0}},
    {2, {1, 12, 10, 30}, {12, 13, 3, 3}, 1, {2, 2}, ONES, {1, 1, 1, 1}, {1, 1}},
    {2, {1, 6, 9, 40}, {6, 100, 4, 4}, 1, {2, 2}, ONES, {1, 1, 1, 1}, {0}},
    {2, {1, 6, 9, 10}, {6, 9, 3, 2}, 1, {3, 4}, ONES, {0, 1, 2, 0}, {2, 1}}, /* taps leave gaps */
    {2, {1, 6, 9, 10}, {6, 9, 3, 3}, 1, {2, 3}, {3, 2}, {1, 2, 0, 1}, {0}},
    {2, {1, 6, 9, 10}, {6, 9, 3, 3}, 1, {4, 2}, {2, 2}, {3, 0, 0, 3}, {0}},
    {2, {2, 8, 7, 7}, {8, 1, 4, 4}, 8, {2, 2}, ONES, {1, 1, 1, 1}, {0}},
    {2, {1, 12, 7, 8}, {12, 5, 3, 3}, 3, {2, 1}, ONES, {1, 1, 1, 1}, {0}},
    {2, {1, 2, 30, 33}, {2, 1, 3, 3}, 1, {2, 2}, ONES, {0}, {0}},
    {2, {1, 5, 1, 1}, {5, 16, 4, 4}, 1, ONES, ONES, {0}, {0}},
    {1, {1, 20, 300}, {20, 10, 16}, 1, {8}, ONES, {4, 4}, {0}},
    {1, {2, 9, 25}, {9, 3, 5}, 1, {3}, {2}, {2, 0}, {1}},
    {1, {1, 4, 10}, {4, 4, 1}, 1, {1}, ONES, {0}, {0}},
    {3, {1, 3, 3, 4, 5}, {3, 2, 3, 2, 3}, 1, {2, 1, 2}, ONES, {1, 0, 1, 1, 1, 0}, {1, 0, 0}},
    {3, {1, 4, 3, 4, 5}, {4, 10, 2, 1, 1}, 1, {2, 1, 1}, ONES, {0}, {0}},
    /* taps so far apart that no memory holds what lies between them */
    {2, {1, 1, 3, 3}, {1, 1, 2, 2}, 1, ONES, {(int64_t)1 << 30, 1}, {(int64_t)1 << 30, 0, 0, 0}, {0}},
    {2, {0, 3, 5, 6}, {3, 4, 3, 3}, 1, {2, 2}, ONES, {1, 1, 1, 1}, {0}},
    {2, {1, 0, 5, 6}, {0, 4, 3, 3}, 1, {2, 2}, ONES, {1, 1, 1, 1}, {0}},
};

static void set_attrs(hone_graph *g, hone_node *n, const transpose_case *c) {
    size_t axes = (size_t)c->axes;
    hone_node_set_int(g, n, "group", c->group);
    hone_node_set_ints(g, n, "strides", c->stride, axes);
    hone_node_set_ints(g, n, "dilations", c->dilation, axes);
    hone_node_set_ints(g, n, "pads", c->pads, 2 * axes);
}

/* Inputs x, w, bias. */
static hone_graph *build(const transpose_case *c, hone_dtype dtype, bool constant, bool bias,
                         hone_tensor **in) {
    hone_graph *g = hone_graph_new("transpose");
    hone_error err;
    int rank = c->axes + 2;
    int64_t m = c->w[1] * c->group;
    in[0] = tensor_random(dtype, rank, c->x, 1);
    in[1] = tensor_random(dtype, rank, c->w, 2);
    in[2] = tensor_random(dtype, 1, &m, 3);
    hone_value *x = graph_input(g, "x", dtype, rank, c->x), *w = graph_input(g, "w", dtype, rank, c->w),
               *b = graph_input(g, "b", dtype, 1, &m);
    if (constant) w = hone_graph_add_constant(g, "weights", in[1]);
    hone_value *y = graph_op(g, "ConvTranspose", x, w, bias ? b : NULL);
    set_attrs(g, y->producer, c);
    hone_node_set_ints(g, y->producer, "output_padding", c->more, (size_t)c->axes);
    hone_graph_add_output(g, y);
    check_ok(hone_graph_check(g, &err));
    return g;
}

static void free_all(hone_graph *g, hone_tensor **in) {
    for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
    hone_graph_free(g);
}

static double inner(const hone_tensor *a, const hone_tensor *b, double *size) {
    double sum = 0;
    assert_int_equal(a->count, b->count);
    *size = 0;
    for (int64_t i = 0; i < a->count; i++) {
        double p = tensor_at(a, i) * tensor_at(b, i);
        sum += p;
        *size += fabs(p);
    }
    return sum;
}

/* Conv(z, w), of as many positions as x has. */
static hone_tensor *convolve(const transpose_case *c, hone_tensor *z, const hone_tensor *w) {
    hone_graph *g = hone_graph_new("conv");
    hone_tensor *y;
    hone_value *v = graph_op(g, "Conv", graph_input(g, "z", z->dtype, z->rank, z->dims),
                             hone_graph_add_constant(g, "w", (hone_tensor *)w));
    set_attrs(g, v->producer, c);
    hone_graph_add_output(g, v);
    graph_run(g, NULL, &z, &y, 1);
    hone_graph_free(g);
    return y;
}

static void check_transpose(const transpose_case *c, int number, hone_dtype dtype, bool constant) {
    hone_tensor *in[3], *y;
    hone_graph *g = build(c, dtype, constant, false, in);
    graph_run(g, NULL, in, &y, 1);
    for (int seed = 4; seed < 7; seed++) {
        hone_tensor *z = tensor_random(dtype, y->rank, y->dims, (uint64_t)seed),
                    *back = convolve(c, z, in[1]);
        double size, other, left = inner(y, z, &size), right = inner(in[0], back, &other);
        if (!(fabs(left - right) <= (dtype == HONE_FLOAT32 ? 2e-6 : 1e-14) * (size + other)))
            fail_msg("case %d: %.9g, not %.9g", number, left, right);
        hone_tensor_free(z);
        hone_tensor_free(back);
    }
    hone_tensor_free(y);
    free_all(g, in);
}

static void test_transpose(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++) {
        if (cases[i].x[1] == 0) continue;
        check_transpose(&cases[i], i, HONE_FLOAT32, i & 1);
        check_transpose(&cases[i], i, HONE_FLOAT64, !(i & 1));
    }
}

static void test_transpose_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[4000];
        if (!run_at_level(program, "--transpose", level_masks[i], output, sizeof output))
            fail_msg("HONE_CPU=%s:\n%s", level_masks[i], output);
    }
}

static hone_tensor *run_with(const hone_graph *g, int threads, hone_tensor *const *in) {
    const hone_tensor *y;
    runner r = runner_make(g, NULL, threads);
    runner_run(&r, in, &y);
    hone_tensor *copy = tensor_copy(y);
    runner_free(&r);
    return copy;
}

static void test_same_bits(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++) {
        hone_tensor *in[3], *plain_in[3], *constant_in[3];
        hone_graph *g = build(&cases[i], HONE_FLOAT32, false, true, in),
                   *constant = build(&cases[i], HONE_FLOAT32, true, true, constant_in),
                   *plain = build(&cases[i], HONE_FLOAT32, false, false, plain_in);
        hone_tensor *y = run_with(g, 1, in), *more = run_with(g, 5, in), *packed = run_with(constant, 1, in),
                    *without = run_with(plain, 1, in);
        assert_same_bits(more, y);
        assert_same_bits(packed, y);
        for (int64_t k = 0; k < y->count; k++) { /* [N, M, …] */
            int64_t plane = y->count / y->dims[0] / y->dims[1], channel = k / plane % y->dims[1];
            float want = ((float *)without->data)[k] + ((float *)in[2]->data)[channel];
            assert_true(((float *)y->data)[k] == want);
        }
        hone_tensor_free(y);
        hone_tensor_free(more);
        hone_tensor_free(packed);
        hone_tensor_free(without);
        free_all(g, in);
        free_all(constant, constant_in);
        free_all(plain, plain_in);
    }
}

/* One constant read by two nodes whose phases differ. */
static void test_two_readers(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("two");
    hone_tensor *w = tensor_random(HONE_FLOAT32, SHAPE(4, 4, 4, 4), 1),
                *x = tensor_random(HONE_FLOAT32, SHAPE(1, 4, 5, 5), 2), *y[2], *want;
    hone_value *in = graph_input(g, "x", HONE_FLOAT32, SHAPE(1, 4, 5, 5)), *v = graph_constant(g, "w", w);
    static const int64_t strides[2][2] = {{2, 2}, {1, 4}};
    for (int i = 0; i < 2; i++) {
        hone_value *out = graph_op(g, "ConvTranspose", in, v);
        hone_node_set_ints(g, out->producer, "strides", strides[i], 2);
        hone_graph_add_output(g, out);
    }
    graph_run(g, NULL, &x, y, 2);
    for (int i = 0; i < 2; i++) {
        g->outputs[0] = g->outputs[i];
        g->output_count = 1;
        graph_run(g, NULL, &x, &want, 1);
        assert_same_bits(y[i], want);
        hone_tensor_free(want);
        hone_tensor_free(y[i]);
        g->output_count = 2;
    }
    hone_tensor_free(x);
    hone_graph_free(g);
}

/* Strides with more phases than there is time for. */
static void test_coarse(void **state) {
    (void)state;
    static const transpose_case coarse[] = {
        {2, {1, 1, 2, 2}, {1, 1, 2, 2}, 1, {1, (int64_t)1 << 31}, ONES, {0}, {0}},
        {3, {1, 1, 2, 2, 2}, {1, 1, 2, 2, 2}, 1, {1 << 16, 1 << 16, 1 << 16}, ONES, {0}, {0}}};
    for (int i = 0; i < 2 * COUNT(coarse); i++) {
        hone_tensor *in[3];
        hone_error err;
        hone_model *model = NULL;
        hone_session *session = NULL;
        hone_context *context = NULL;
        hone_session_options options = HONE_SESSION_OPTIONS_INIT;
        hone_graph *g = build(&coarse[i / 2], HONE_FLOAT32, i % 2, false, in);
        options.threads = 1;
        check_ok(hone_model_compile(g, NULL, &model, &err));
        hone_status status = hone_session_create(model, &options, &session, &err);
        if (status == HONE_OK) status = hone_context_create(session, &context, &err);
        const hone_tensor *out;
        if (status == HONE_OK) status = hone_context_run(context, (const hone_tensor *const *)in, &out, &err);
        assert_int_equal(status, HONE_UNSUPPORTED);
        assert_non_null(strstr(err.message, "strides of"));
        hone_context_free(context);
        hone_session_free(session);
        hone_model_free(model);
        free_all(g, in);
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest transpose[] = {cmocka_unit_test(test_transpose)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transpose_at_every_level),
                                       cmocka_unit_test(test_same_bits), cmocka_unit_test(test_two_readers),
                                       cmocka_unit_test(test_coarse)};
    if (argc > 1 && strcmp(argv[1], "--transpose") == 0) return cmocka_run_group_tests(transpose, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
