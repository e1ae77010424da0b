#include "runtime/training.h"

/* y = Relu(x w + b), x [batch, 3]. */
static hone_graph *layer(void) {
    hone_graph *g = hone_graph_new("layer");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(hone_graph_symbol(g, "batch"), 3));
    hone_value *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(3, 5), 1)),
               *b = graph_constant(g, "b", tensor_random(HONE_FLOAT32, SHAPE(5), 2));
    hone_graph_add_output(g, graph_op(g, "Relu", graph_op(g, "Gemm", x, w, b)));
    return g;
}

static hone_session *session_of(hone_model *m, int max_plans) {
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    hone_session *s = NULL;
    hone_error err;
    options.max_plans = max_plans;
    check_ok(hone_session_create(m, &options, &s, &err));
    return s;
}

static hone_context *context_of(hone_session *s) {
    hone_context *c = NULL;
    hone_error err;
    check_ok(hone_context_create(s, &c, &err));
    return c;
}

static void run_batch(hone_context *c, int64_t batch, hone_tensor **result) {
    hone_error err;
    const hone_tensor *out;
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(batch, 3), (uint64_t)batch);
    check_ok(hone_context_run(c, (const hone_tensor *const *)&in, &out, &err));
    assert_int_equal(out->dims[0], batch);
    if (result) *result = tensor_copy(out);
    hone_tensor_free(in);
}

static void test_options(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = layer();
    hone_model *m = NULL;
    hone_session *s = NULL;
    check_ok(hone_model_compile(g, NULL, &m, &err));
    hone_graph_free(g); /* the model has a copy */
    const int wrong[][2] = {{-1, 1}, {1, 0}, {1, -4}, {1000000, 1}};
    for (int i = 0; i < COUNT(wrong); i++) {
        hone_session_options o = HONE_SESSION_OPTIONS_INIT;
        o.threads = wrong[i][0];
        o.max_plans = wrong[i][1];
        assert_int_equal(hone_session_create(m, &o, &s, &err), HONE_INVALID_ARGUMENT);
        assert_null(s);
    }
    hone_session_options zeroed = {.max_plans = 1};
    assert_int_equal(hone_session_create(m, &zeroed, &s, &err), HONE_INVALID_ARGUMENT);
    assert_null(s);
    s = session_of(m, 1);
    assert_ptr_equal(hone_session_model(s), m);
    hone_model_free(m); /* the session holds it */
    hone_context *c = context_of(s);
    run_batch(c, 2, NULL);
    hone_context_free(c);
    hone_context_free(NULL);
    hone_session_free(s);
    hone_session_free(NULL);
    hone_model_free(NULL);
    g = layer();
    hone_model_options o = HONE_MODEL_OPTIONS_INIT;
    o.disable_rewrites = "no-such-rewrite";
    assert_int_equal(hone_model_compile(g, &o, &m, &err), HONE_INVALID_ARGUMENT);
    o = (hone_model_options){.size = sizeof o + 8};
    assert_int_equal(hone_model_compile(g, &o, &m, &err), HONE_INVALID_ARGUMENT);
    hone_graph_free(g);
}

/* Subnormal weights are zeros to a run, whoever computes; the caller's own arithmetic keeps subnormal numbers. */
static void test_subnormal_numbers_are_zeros(void **state) {
    (void)state;
    const volatile float least = 1e-40f, two = 2;
    hone_graph *g = hone_graph_new("subnormal");
    hone_tensor *w = tensor_make(HONE_FLOAT32, SHAPE(64, 64));
    for (int64_t i = 0; i < w->count; i++) ((float *)w->data)[i] = least;
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(1000, 64));
    hone_graph_add_output(g, graph_op(g, "MatMul", x, graph_constant(g, "w", w)));
    hone_graph_add_output(g, graph_op(g, "Exp", graph_op(g, "Neg", x)));
    hone_tensor *in = tensor_make(HONE_FLOAT32, SHAPE(1000, 64));
    for (int64_t i = 0; i < in->count; i++) ((float *)in->data)[i] = 90;
    for (int threads = 1; threads <= 4; threads++) {
        const hone_tensor *out[2];
        runner r = runner_make(g, NULL, threads);
        runner_run(&r, &in, out);
        for (int o = 0; o < 2; o++)
            for (int64_t i = 0; i < out[o]->count; i++) assert_true(tensor_at(out[o], i) == 0);
        runner_free(&r);
        assert_true(least * two > least);
    }
    hone_tensor_free(in);
    hone_graph_free(g);
}

static void test_signature(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = layer();
    hone_model *m = NULL;
    check_ok(hone_model_compile(g, NULL, &m, &err));
    const hone_graph *s = hone_model_signature(m);
    assert_int_equal(hone_graph_input_count(s), 1);
    assert_string_equal(s->outputs[0]->name, g->outputs[0]->name);
    hone_value_info v;
    assert_true(hone_graph_input(s, 0, &v));
    assert_string_equal(hone_graph_dim_name(s, v.dims[0]), "batch");
    assert_int_equal(s->node_count, 0);
    assert_null(hone_graph_initializer(s, "w"));
    assert_true(hone_model_bytes(m) >= 80);
    hone_model_free(m);
    hone_graph_free(g);
}

/* Every batch size gives what a context of its own gives, in whatever order they come. */
static void test_shapes_from_run_to_run(void **state) {
    (void)state;
    static const int64_t batches[] = {1, 7, 3, 1, 100, 7, 0, 3, 100, 1, 33, 2, 7};
    hone_graph *g = layer();
    runner r = runner_make(g, NULL, 1);
    hone_session *s = session_of(r.model, 3);
    hone_context *c = context_of(s);
    for (int i = 0; i < COUNT(batches); i++) {
        hone_tensor *got, *want;
        hone_context *fresh = context_of(r.session);
        run_batch(c, batches[i], &got);
        run_batch(fresh, batches[i], &want);
        assert_same_bits(got, want);
        hone_tensor_free(got);
        hone_tensor_free(want);
        hone_context_free(fresh);
    }
    assert_int_equal(hone_session_plans_compiled(r.session), 7);
    hone_context_free(c);
    hone_session_free(s);
    runner_free(&r);
    hone_graph_free(g);
}

static void test_eviction(void **state) {
    (void)state;
    hone_graph *g = layer();
    runner r = runner_make(g, NULL, 1);
    hone_session *s = session_of(r.model, 2);
    hone_context *c = context_of(s);
    run_batch(c, 1, NULL);
    run_batch(c, 2, NULL);
    run_batch(c, 1, NULL); /* now 2 is the older one */
    assert_int_equal(hone_session_plans_compiled(s), 2);
    run_batch(c, 3, NULL);
    run_batch(c, 1, NULL);
    assert_int_equal(hone_session_plans_compiled(s), 3);
    run_batch(c, 2, NULL);
    assert_int_equal(hone_session_plans_compiled(s), 4);
    hone_context_free(c);
    hone_session_free(s);

    s = session_of(r.model, 1); /* an evicted plan lives on in the context that uses it */
    hone_context *a = context_of(s), *b = context_of(s);
    run_batch(a, 4, NULL);
    run_batch(b, 5, NULL);
    for (int i = 0; i < 5; i++) {
        run_batch(a, 4, NULL);
        run_batch(b, 5, NULL);
    }
    assert_int_equal(hone_session_plans_compiled(s), 2);
    hone_context_free(a);
    hone_context_free(b);
    hone_session_free(s);
    runner_free(&r);
    hone_graph_free(g);
}

static void test_input_errors(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("two");
    int64_t batch = hone_graph_symbol(g, "batch");
    hone_value *a = graph_input(g, "first", HONE_FLOAT32, SHAPE(batch, 3)),
               *b = graph_input(g, "second", HONE_FLOAT32, SHAPE(batch, 3));
    hone_graph_add_output(g, graph_op(g, "Add", a, b));
    runner r = runner_make(g, NULL, 1);
    hone_tensor *good = tensor_random(HONE_FLOAT32, SHAPE(2, 3), 1),
                *longer = tensor_random(HONE_FLOAT32, SHAPE(5, 3), 1);
    hone_tensor *wrong[] = {tensor_make(HONE_FLOAT64, SHAPE(2, 3)), tensor_make(HONE_FLOAT32, SHAPE(2, 4)),
                            tensor_make(HONE_FLOAT32, SHAPE(6)), NULL};
    for (int warm = 0; warm < 2; warm++) {
        for (int i = 0; i < COUNT(wrong); i++) {
            hone_error err;
            hone_tensor *in[] = {good, wrong[i]};
            assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)in, NULL, &err),
                             HONE_INVALID_ARGUMENT);
            assert_string_equal(err.node, "second");
            if (i == 0) assert_non_null(strstr(err.message, "float64[2, 3]"));
            if (i == 0) assert_non_null(strstr(err.message, "float32[batch, 3]"));
        }
        hone_error err; /* one symbol, two sizes */
        hone_tensor *differ[] = {good, longer};
        assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)differ, NULL, &err),
                         HONE_INVALID_ARGUMENT);
        hone_tensor *in[] = {good, good};
        const hone_tensor *out;
        runner_run(&r, in, &out);
        assert_true(tensor_at(out, 5) == 2 * (float)tensor_at(good, 5));
    }
    for (int i = 0; i < COUNT(wrong); i++) hone_tensor_free(wrong[i]);
    hone_tensor_free(good);
    hone_tensor_free(longer);
    runner_free(&r);
    hone_graph_free(g);
}

/* Plans depend on the content of a shape. */
static void test_contents_make_plans(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("reshape");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(6)),
               *shape = graph_input(g, "shape", HONE_INT64, SHAPE(2));
    hone_graph_add_output(g, graph_op(g, "Neg", graph_op(g, "Reshape", x, shape)));
    runner r = runner_make(g, NULL, 1);
    hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(6), 1), tensor_make(HONE_INT64, SHAPE(2))};
    static const int64_t shapes[][2] = {{2, 3}, {3, 2}, {2, 3}, {1, -1}, {3, 2}};
    for (int i = 0; i < COUNT(shapes); i++) {
        const hone_tensor *out;
        for (int d = 0; d < 2; d++) tensor_set(in[1], d, (double)shapes[i][d]);
        runner_run(&r, in, &out);
        assert_int_equal(out->dims[0], shapes[i][0]);
        assert_int_equal(out->count, 6);
    }
    assert_int_equal(hone_session_plans_compiled(r.session), 3);
    tensor_set(in[1], 0, 4);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)in, NULL, &err),
                     HONE_INVALID_ARGUMENT);
    assert_string_equal(err.op, "Reshape");
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    runner_free(&r);
    hone_graph_free(g);
}

static bool count_down(void *user) {
    return --*(int *)user < 0;
}

static void test_cancellation(void **state) {
    (void)state;
    hone_graph *g = layer();
    runner r = runner_make(g, "all", 1);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(2, 3), 1);
    for (int left = 0; left < 4; left++) {
        hone_error err;
        int count = left;
        hone_context_set_cancel(r.context, count_down, &count);
        hone_status status = hone_context_run(r.context, (const hone_tensor *const *)&in, NULL, &err);
        assert_int_equal(status, left < 2 ? HONE_CANCELLED : HONE_OK); /* two steps, each asked before */
    }
    hone_context_set_cancel(r.context, NULL, NULL);
    runner_run(&r, &in, NULL);
    hone_tensor_free(in);
    runner_free(&r);
    hone_graph_free(g);
}

static void test_profiling(void **state) {
    (void)state;
    hone_graph *g = layer();
    runner r = runner_make(g, "all", 1);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(200, 3), 1);
    hone_step_info info;
    assert_int_equal(hone_context_step_count(r.context), 0);
    assert_false(hone_context_step(r.context, 0, &info));
    runner_run(&r, &in, NULL);
    assert_int_equal(hone_context_step_count(r.context), 2);
    assert_true(hone_context_step(r.context, 0, &info));
    assert_true(info.microseconds == 0);
    hone_context_set_profiling(r.context, true);
    runner_run(&r, &in, NULL);
    static const char *const ops[] = {"Gemm", "Relu"};
    for (int i = 0; i < 2; i++) {
        assert_true(hone_context_step(r.context, i, &info));
        assert_string_equal(info.op, ops[i]);
        assert_true(info.microseconds > 0);
        assert_true(strlen(info.kernel) > 0);
    }
    assert_false(hone_context_step(r.context, 2, &info));
    assert_false(hone_context_step(r.context, -1, &info));
    hone_tensor_free(in);
    runner_free(&r);
    hone_graph_free(g);
}

/* Known shapes, repeated and in turn: not one allocation. */
static void test_running_allocates_nothing(void **state) {
    (void)state;
    hone_graph *g = training_graph();
    for (int threads = 1; threads <= 2; threads++) {
        runner r = runner_make(g, NULL, threads);
        hone_tensor *batches[3][2];
        for (int i = 0; i < 3; i++) training_batch(20 + 30 * i, (uint64_t)i, batches[i]);
        const hone_tensor *out[2];
        for (int i = 0; i < 6; i++) runner_run(&r, batches[i % 3], out);
        uint64_t before = hone_alloc_count();
        for (int i = 0; i < 30; i++) runner_run(&r, batches[i % 2 ? 0 : i % 3], out);
        assert_int_equal(hone_alloc_count(), before);
        for (int i = 0; i < 6; i++) hone_tensor_free(batches[i / 2][i % 2]);
        runner_free(&r);
    }
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_subnormal_numbers_are_zeros),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_shapes_from_run_to_run),
        cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_input_errors),
        cmocka_unit_test(test_contents_make_plans),
        cmocka_unit_test(test_cancellation),
        cmocka_unit_test(test_profiling),
        cmocka_unit_test(test_running_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
