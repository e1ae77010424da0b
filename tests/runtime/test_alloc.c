/* Every allocation fails in turn, from compiling to running in another shape; what is left goes on working. */
#include "runtime/training.h"

typedef struct whole {
    hone_graph *graph;
    hone_tensor *small[2], *large[2];
} whole;

static hone_status everything(const whole *w, hone_error *err) {
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = 2;
    options.max_plans = 1;
    hone_status status = hone_model_compile(w->graph, NULL, &m, err);
    if (status == HONE_OK) status = hone_session_create(m, &options, &s, err);
    if (status == HONE_OK) status = hone_context_create(s, &c, err);
    if (status == HONE_OK) status = hone_context_run(c, (const hone_tensor *const *)w->small, NULL, err);
    if (status == HONE_OK) status = hone_context_run(c, (const hone_tensor *const *)w->large, NULL, err);
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    return status;
}

/* Calls `everything` until no allocation is left to fail; how many there were. */
static uint64_t fail_each(const whole *w, bool and_after) {
    for (uint64_t n = 1;; n++) {
        hone_error err = {.code = HONE_OK};
        hone_alloc_fail_at(n, and_after);
        hone_status status = everything(w, &err);
        hone_alloc_fail_at(0, false);
        if (status == HONE_OK && and_after) return n;
        if (status == HONE_OK) { /* something that may do without memory */
            uint64_t before = hone_alloc_count();
            assert_int_equal(everything(w, &err), HONE_OK);
            if (n > hone_alloc_count() - before) return n;
            continue;
        }
        if (status != HONE_OUT_OF_MEMORY || err.code != HONE_OUT_OF_MEMORY)
            fail_msg("allocation %llu: status %d: %s", (unsigned long long)n, (int)status, err.message);
    }
}

static whole whole_make(hone_graph *g) {
    whole w = {.graph = g};
    training_batch(3, 1, w.small);
    training_batch(150, 2, w.large);
    return w;
}

static void whole_free(whole *w) {
    for (int i = 0; i < 2; i++) {
        hone_tensor_free(w->small[i]);
        hone_tensor_free(w->large[i]);
    }
    hone_graph_free(w->graph);
}

static void test_training_step(void **state) {
    (void)state;
    whole w = whole_make(training_graph());
    assert_true(fail_each(&w, true) > 50);
    whole_free(&w);
}

/* All that compiling does: folding, fusing, packing. */
static hone_graph *inference_graph(void) {
    hone_graph *g = hone_graph_new("inference");
    int64_t batch = hone_graph_symbol(g, "batch");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(batch, TRAINING_INPUTS)),
               *labels = graph_input(g, "labels", HONE_INT64, SHAPE(batch));
    hone_value *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(TRAINING_INPUTS, 20), 1)),
               *b = graph_constant(g, "b", tensor_random(HONE_FLOAT32, SHAPE(20), 2));
    hone_value *folded = graph_op(g, "Tanh", graph_op(g, "Add", b, b));
    hone_value *scaled = graph_op(g, "Mul", graph_op(g, "Sub", x, hone_graph_scalar(g, HONE_FLOAT32, 0.5)),
                                  hone_graph_scalar(g, HONE_FLOAT32, 2));
    hone_value *y = graph_op(g, "Relu", graph_op(g, "Add", graph_op(g, "MatMul", scaled, w), folded));
    hone_value *z = graph_op(g, "Mul", graph_op(g, "Sigmoid", y), graph_op(g, "Tanh", y));
    hone_value *v =
        graph_variable(g, "v", tensor_random(HONE_FLOAT32, SHAPE(20, 10), 3)); /* packed for many rows only */
    hone_graph_add_output(g, graph_op(g, "Softmax", graph_op(g, "MatMul", z, v)));
    hone_graph_add_output(g, graph_op(g, "Add", labels, labels));
    return g;
}

static void test_inference(void **state) {
    (void)state;
    whole w = whole_make(inference_graph());
    assert_true(fail_each(&w, true) > 50);
    assert_true(fail_each(&w, false) > 50);
    whole_free(&w);
}

/* A context whose change of shape failed still runs its old shape, and the new one when there is memory. */
static void test_a_context_survives(void **state) {
    (void)state;
    whole w = whole_make(inference_graph());
    hone_tensor *want[2];
    graph_run(w.graph, NULL, w.small, want, 2);
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        hone_error err;
        const hone_tensor *out[2];
        runner r = runner_make(w.graph, NULL, 1);
        runner_run(&r, w.small, out);
        hone_alloc_fail_at(n, true);
        hone_status status = hone_context_run(r.context, (const hone_tensor *const *)w.large, out, &err);
        hone_alloc_fail_at(0, false);
        assert_true(status == HONE_OK || status == HONE_OUT_OF_MEMORY);
        done = status == HONE_OK;
        runner_run(&r, w.small, out);
        assert_same_bits(out[0], want[0]);
        runner_run(&r, w.large, out);
        assert_int_equal(out[0]->dims[0], 150);
        runner_free(&r);
    }
    hone_tensor_free(want[0]);
    hone_tensor_free(want[1]);
    whole_free(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_step),
        cmocka_unit_test(test_inference),
        cmocka_unit_test(test_a_context_survives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
