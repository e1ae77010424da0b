/* Where a plan puts values: views, results in place, outputs that nobody computes, bindings. */
#include "support/graphs.h"

static hone_value *input(hone_graph *g, const char *name) {
    return graph_input(g, name, HONE_FLOAT32, SHAPE(2, 3));
}

static hone_value *variable(hone_graph *g, const char *name, float x) {
    return graph_variable(g, name, tensor_of(SHAPE(1), &x));
}

static double value_of(const runner *r, const char *name) {
    return tensor_at(hone_variables_get(r->model->variables, name), 0);
}

/* --- outputs --- */

/* Views of an input: an output lives on when the caller's buffer is gone. */
static void test_views_of_inputs(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("views");
    hone_value *x = input(g, "x"), *flat = graph_op(g, "Flatten", x);
    hone_value *same = graph_op(g, "Identity", graph_op(g, "Identity", flat));
    hone_value *outputs[] = {flat, x, same, x};
    for (int i = 0; i < COUNT(outputs); i++) hone_graph_add_output(g, outputs[i]);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(2, 3), 1), *want = tensor_copy(in);
    const hone_tensor *out[4];
    runner r = runner_make(g, NULL, 1);
    for (int round = 0; round < 2; round++) {
        runner_run(&r, &in, out);
        tensor_set(in, 0, 99);
        for (int i = 0; i < 4; i++) assert_same_bits(out[i], want);
        tensor_set(in, 0, tensor_at(want, 0));
    }
    assert_int_equal(hone_context_step_count(r.context), 0);
    hone_tensor_free(in);
    for (int i = 0; i < 4; i++) assert_same_bits(out[i], want);
    hone_tensor_free(want);
    runner_free(&r);
    hone_graph_free(g);
}

static void test_outputs_nobody_computes(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("given");
    hone_tensor *content = tensor_random(HONE_FLOAT32, SHAPE(6), 1);
    hone_value *x = input(g, "x"), *c = hone_graph_add_constant(g, "c", content),
               *w = hone_graph_add_variable(g, "w", content);
    int64_t dims[] = {3, 2};
    hone_value *view = graph_op(g, "Reshape", c, hone_graph_ints(g, dims, 2)), *y = graph_op(g, "Relu", x);
    hone_value *outputs[] = {c, w, view, y, y, c};
    for (int i = 0; i < COUNT(outputs); i++) hone_graph_add_output(g, outputs[i]);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(2, 3), 2);
    for (int pass = 0; pass < 2; pass++) {
        const hone_tensor *out[6];
        runner r = runner_make(g, pass ? "all" : NULL, 1);
        runner_run(&r, &in, out);
        assert_same_bits(out[0], content);
        assert_same_bits(out[1], content);
        assert_same_bits(out[5], content);
        assert_int_equal(out[2]->rank, 2);
        assert_int_equal(out[2]->dims[1], 2);
        assert_memory_equal(out[2]->data, content->data, content->bytes);
        assert_same_bits(out[3], out[4]);
        for (int i = 0; i < 6; i++) assert_true(tensor_at(out[3], i) == fmax(0, tensor_at(in, i)));
        runner_free(&r);
    }
    hone_tensor_free(content);
    hone_tensor_free(in);
    hone_graph_free(g);
}

/* --- in place --- */

/* A random graph over [4, 4]: elementwise operators, products, views, softmax, transposes. */
static hone_graph *random_graph(uint64_t seed, bool all_outputs) {
    hone_graph *g = hone_graph_new("random");
    hone_rng r = hone_rng_make(seed, 3);
    hone_value *v[24];
    int count = 2;
    for (int i = 0; i < 2; i++) v[i] = graph_input(g, NULL, HONE_FLOAT32, SHAPE(4, 4));
    for (; count < COUNT(v); count++) {
        hone_value *a = v[hone_rng_below(&r, (uint32_t)count)], *b = v[hone_rng_below(&r, (uint32_t)count)];
        switch (hone_rng_below(&r, 9)) {
        case 0: v[count] = graph_op(g, "Add", a, b); break;
        case 1: v[count] = graph_op(g, "Sub", a, b); break;
        case 2: v[count] = graph_op(g, "Tanh", a); break;
        case 3: v[count] = graph_op(g, "Identity", a); break;
        case 4: v[count] = graph_op(g, "Flatten", a); break;
        case 5: v[count] = graph_op(g, "MatMul", a, graph_op(g, "Tanh", b)); break;
        case 6: v[count] = graph_op(g, "Softmax", a); break;
        case 7: v[count] = graph_op(g, "Transpose", a); break;
        default: v[count] = graph_op(g, "Mul", graph_op(g, "Sigmoid", a), a);
        }
    }
    for (int i = all_outputs ? 0 : COUNT(v) - 2; i < COUNT(v); i++) hone_graph_add_output(g, v[i]);
    return g;
}

/* When every value is an output none is overwritten; that gives the truth for all others. */
static void test_random_graphs_in_place(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 150; seed++) {
        hone_graph *all = random_graph(seed, true), *few = random_graph(seed, false);
        hone_tensor *in[2], *want[24], *got[2];
        for (int i = 0; i < 2; i++) in[i] = tensor_random(HONE_FLOAT32, SHAPE(4, 4), seed + (uint64_t)i);
        graph_run(all, "all", in, want, 24);
        graph_run(few, "all", in, got, 2);
        for (int i = 0; i < 2; i++) assert_same_bits(got[i], want[22 + i]);
        for (int i = 0; i < 24; i++) hone_tensor_free(want[i]);
        for (int i = 0; i < 2; i++) {
            hone_tensor_free(in[i]);
            hone_tensor_free(got[i]);
        }
        hone_graph_free(all);
        hone_graph_free(few);
    }
}

/* A chain of elementwise steps runs in one buffer. */
static void test_chain_in_one_buffer(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("chain");
    hone_value *v = graph_input(g, "x", HONE_FLOAT32, SHAPE(1000, 16));
    for (int i = 0; i < 6; i++) v = graph_op(g, i % 2 ? "Tanh" : "Neg", v);
    hone_graph_add_output(g, graph_op(g, "Flatten", v));
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(1000, 16), 1);
    const hone_tensor *out;
    runner r = runner_make(g, "all", 1);
    runner_run(&r, &in, &out);
    assert_true(hone_context_workspace(r.context) < 2 * in->bytes);
    assert_int_equal(hone_context_step_count(r.context), 6);
    runner_free(&r);
    hone_tensor_free(in);
    hone_graph_free(g);
}

/* --- bindings --- */

/* w' = w - rate v', v' = momentum v + g: both in place, over many runs. */
static void test_optimizer_in_place(void **state) {
    enum { SIDE = 150 };
    (void)state;
    hone_graph *g = hone_graph_new("sgd");
    hone_tensor *w0 = tensor_random(HONE_FLOAT32, SHAPE(SIDE, SIDE), 1),
                *zero = tensor_make(HONE_FLOAT32, SHAPE(SIDE, SIDE));
    hone_value *w = hone_graph_add_variable(g, "w", w0), *v = hone_graph_add_variable(g, "v", zero),
               *grad = graph_input(g, "g", HONE_FLOAT32, SHAPE(SIDE, SIDE)),
               *in[] = {w, v, grad, hone_graph_scalar(g, HONE_FLOAT32, 0.25)};
    hone_node *n = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "Sgd"), "sgd", 4, in, 2);
    hone_node_set_float(g, n, "momentum", 0.5f);
    hone_graph_bind(g, n->outputs[0], w);
    hone_graph_bind(g, n->outputs[1], v);
    hone_graph_add_output(g, n->outputs[1]);
    hone_graph_add_output(g, graph_op(g, "Neg", n->outputs[0]));
    hone_tensor *step = tensor_random(HONE_FLOAT32, SHAPE(SIDE, SIDE), 2);
    static double ww[SIDE * SIDE], vv[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++) ww[i] = tensor_at(w0, i);
    runner r = runner_make(g, NULL, 1);
    const hone_tensor *w_now = hone_variables_get(r.model->variables, "w");
    for (int run = 0; run < 5; run++) {
        const hone_tensor *out[2];
        runner_run(&r, &step, out);
        for (int i = 0; i < SIDE * SIDE; i++) {
            vv[i] = 0.5 * vv[i] + tensor_at(step, i);
            ww[i] -= 0.25 * vv[i];
            assert_true(fabs(tensor_at(out[0], i) - vv[i]) < 1e-5);
            assert_true(fabs(tensor_at(out[1], i) + ww[i]) < 1e-5);
            assert_true(fabs(tensor_at(w_now, i) - ww[i]) < 1e-5);
        }
    }
    /* scratch and Neg's result only */
    assert_true(hone_context_workspace(r.context) < 2 * w0->bytes);
    runner_free(&r);
    hone_tensor_free(w0);
    hone_tensor_free(zero);
    hone_tensor_free(step);
    hone_graph_free(g);
}

/* A variable is read after its successor is known: the successor must wait. */
static void test_bound_while_still_read(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("late reader");
    hone_value *w = variable(g, "w", 1), *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(1));
    hone_value *next = graph_op(g, "Add", w, x), *twice = graph_op(g, "Tanh", next);
    hone_graph_add_output(g, graph_op(g, "Mul", twice, w)); /* reads the old w */
    hone_graph_add_output(g, w);                            /* the old w, too */
    hone_graph_bind(g, next, w);
    hone_tensor *in = tensor_of(SHAPE(1), (const float[]){2});
    for (int pass = 0; pass < 2; pass++) {
        runner r = runner_make(g, pass ? "all" : NULL, 1);
        for (int run = 0; run < 3; run++) {
            const hone_tensor *out[2];
            double old = 1 + 2 * run;
            runner_run(&r, &in, out);
            assert_true(fabs(tensor_at(out[0], 0) - tanh(old + 2) * old) < 1e-5);
            assert_true(tensor_at(out[1], 0) == old);
            assert_true(value_of(&r, "w") == old + 2);
        }
        runner_free(&r);
    }
    hone_tensor_free(in);
    hone_graph_free(g);
}

/* a, b, c = b, c, a: every source is a variable that another binding writes. A view stands in between. */
static void test_variables_change_places(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("rotate");
    hone_value *a = variable(g, "a", 1), *b = variable(g, "b", 2), *c = variable(g, "c", 3);
    hone_graph_bind(g, b, a);
    hone_graph_bind(g, graph_op(g, "Identity", c), b);
    hone_graph_bind(g, a, c);
    hone_graph_add_output(g, a);
    runner r = runner_make(g, NULL, 1);
    for (int run = 0; run < 4; run++) {
        const hone_tensor *out;
        runner_run(&r, NULL, &out);
        assert_true(tensor_at(out, 0) == 1 + run % 3);
        assert_true(value_of(&r, "a") == 1 + (run + 1) % 3);
        assert_true(value_of(&r, "b") == 1 + (run + 2) % 3);
        assert_true(value_of(&r, "c") == 1 + (run + 3) % 3);
    }
    runner_free(&r);
    hone_graph_free(g);
}

/* b becomes a's old content while a gets a computed one. */
static void test_history(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("history");
    hone_value *a = variable(g, "a", 1), *b = variable(g, "b", 0), *c = variable(g, "c", 0);
    hone_value *next = graph_op(g, "Add", a, hone_graph_scalar(g, HONE_FLOAT32, 1));
    hone_graph_bind(g, next, a);
    hone_graph_bind(g, a, b);
    hone_graph_bind(g, b, c);
    runner r = runner_make(g, NULL, 1);
    for (int run = 0; run < 4; run++) {
        runner_run(&r, NULL, NULL);
        assert_true(value_of(&r, "a") == run + 2);
        assert_true(value_of(&r, "b") == run + 1);
        assert_true(value_of(&r, "c") == run);
    }
    runner_free(&r);
    hone_graph_free(g);
}

/* Inputs, constants and one value for two variables. */
static void test_sources_of_all_kinds(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("kinds");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(1));
    hone_value *a = variable(g, "a", 0), *b = variable(g, "b", 0), *c = variable(g, "c", 0),
               *d = variable(g, "d", 0), *same = variable(g, "same", 7);
    hone_value *y = graph_op(g, "Neg", x);
    hone_graph_bind(g, x, a);
    hone_graph_bind(g, graph_constant(g, "five", tensor_of(SHAPE(1), (const float[]){5})), b);
    hone_graph_bind(g, y, c);
    hone_graph_bind(g, y, d);
    hone_graph_bind(g, same, same);
    hone_tensor *in = tensor_of(SHAPE(1), (const float[]){2});
    runner r = runner_make(g, NULL, 1);
    for (int run = 0; run < 2; run++) {
        runner_run(&r, &in, NULL);
        assert_true(value_of(&r, "a") == 2);
        assert_true(value_of(&r, "b") == 5);
        assert_true(value_of(&r, "c") == -2);
        assert_true(value_of(&r, "d") == -2);
        assert_true(value_of(&r, "same") == 7);
    }
    runner_free(&r);
    hone_tensor_free(in);
    hone_graph_free(g);
}

static hone_status compile_and_run(const hone_graph *g, hone_tensor *const *in, hone_error *err) {
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_status status = hone_model_compile(g, NULL, &m, err);
    if (status == HONE_OK) status = hone_session_create(m, NULL, &s, err);
    if (status == HONE_OK) status = hone_context_create(s, &c, err);
    if (status == HONE_OK) status = hone_context_run(c, (const hone_tensor *const *)in, NULL, err);
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    return status;
}

/* Wrong bindings are refused: two for one variable, a source of another type, a target that is none. */
static void test_impossible_bindings(void **state) {
    (void)state;
    for (int c = 0; c < 4; c++) {
        hone_error err;
        hone_graph *g = hone_graph_new("impossible");
        hone_value *w = variable(g, "w", 1), *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(HONE_DIM_ANY)),
                   *y = graph_op(g, "Neg", x);
        hone_graph_bind(g, y, c == 3 ? x : w);
        if (c == 0) hone_graph_bind(g, graph_op(g, "Exp", x), w);
        if (c == 2) {
            hone_node *cast = hone_graph_add_node(g, hone_op_find("", "Cast"), "cast", 1, &x, 1);
            hone_node_set_int(g, cast, "to", HONE_INT32);
            g->bindings[0].source = cast->outputs[0];
        }
        hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(c == 1 ? 5 : 1), 1);
        assert_int_equal(compile_and_run(g, &in, &err), HONE_INVALID_ARGUMENT);
        assert_string_equal(err.node, c == 3 ? "x" : "w");
        hone_tensor_free(in);
        hone_graph_free(g);
    }
}

/* A view has the bytes of what it shows, no more. */
static void test_impossible_views(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("view");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(6)),
               *like = graph_input(g, "like", HONE_FLOAT32, SHAPE(HONE_DIM_ANY, 2));
    hone_graph_add_output(g, graph_op(g, "Exp", graph_op(g, "ReshapeLike", x, like)));
    for (int rows = 2; rows <= 4; rows++) {
        hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(6), 1),
                             tensor_random(HONE_FLOAT32, SHAPE(rows, 2), 1)};
        assert_int_equal(compile_and_run(g, in, &err), rows == 3 ? HONE_OK : HONE_INVALID_ARGUMENT);
        if (rows != 3) assert_string_equal(err.op, "ReshapeLike");
        hone_tensor_free(in[0]);
        hone_tensor_free(in[1]);
    }
    hone_graph_free(g);
}

/* --- empty tensors --- */

/* Nothing to compute and nothing to keep is still somewhere. */
static void test_empty_workspace(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("empty");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(0, 3)),
               *w = graph_input(g, "w", HONE_FLOAT32, SHAPE(3, 2));
    hone_graph_add_output(g, graph_op(g, "MatMul", x, w));
    hone_tensor *in[] = {tensor_make(HONE_FLOAT32, SHAPE(0, 3)), tensor_make(HONE_FLOAT32, SHAPE(3, 2))};
    const hone_tensor *out;
    runner r = runner_make(g, "all", 1);
    runner_run(&r, in, &out);
    assert_int_equal(out->count, 0);
    assert_non_null(out->data);
    runner_free(&r);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_graph_free(g);
}

static void test_empty_batches(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("empty");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(hone_graph_symbol(g, "batch"), 3));
    hone_value *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(3, 4), 1)),
               *b = graph_constant(g, "b", tensor_random(HONE_FLOAT32, SHAPE(4), 2));
    hone_value *y = graph_op(g, "Softmax", graph_op(g, "Relu", graph_op(g, "Gemm", x, w, b)));
    hone_value *outputs[] = {y, x, graph_op(g, "Flatten", x),
                             graph_op(g, "MatMul", graph_op(g, "Transpose", y), x)};
    for (int i = 0; i < COUNT(outputs); i++) hone_graph_add_output(g, outputs[i]);
    for (int pass = 0; pass < 2; pass++) {
        const hone_tensor *out[4];
        runner r = runner_make(g, pass ? "all" : NULL, 2);
        for (int batch = 0; batch < 4; batch = batch * 2 + 2) {
            hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(batch, 3), 3);
            runner_run(&r, &in, out);
            for (int i = 0; i < 4; i++) {
                assert_non_null(out[i]->data);
                assert_int_equal(out[i]->count, i == 0 ? batch * 4 : i == 3 ? 12 : batch * 3);
            }
            if (batch == 0) /* a sum of nothing */
                for (int i = 0; i < 12; i++) assert_true(tensor_at(out[3], i) == 0);
            hone_tensor_free(in);
        }
        runner_free(&r);
    }
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_of_inputs),         cmocka_unit_test(test_outputs_nobody_computes),
        cmocka_unit_test(test_random_graphs_in_place),  cmocka_unit_test(test_chain_in_one_buffer),
        cmocka_unit_test(test_optimizer_in_place),      cmocka_unit_test(test_bound_while_still_read),
        cmocka_unit_test(test_variables_change_places), cmocka_unit_test(test_history),
        cmocka_unit_test(test_sources_of_all_kinds),    cmocka_unit_test(test_impossible_bindings),
        cmocka_unit_test(test_impossible_views),        cmocka_unit_test(test_empty_batches),
        cmocka_unit_test(test_empty_workspace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
