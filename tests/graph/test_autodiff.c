#include "graph/autodiff.h"

#include "support/graphs.h"

static hone_value *input(hone_graph *g, const char *name) {
    return graph_input(g, name, HONE_FLOAT64, SHAPE(2, 3));
}

/* df/dwanted of f = sum of <outputs[i], all ones>, as further outputs of g. */
static hone_status differentiate(hone_graph *g, int outputs, hone_value *const *y, int wanted,
                                 hone_value *const *x, hone_value **dx, hone_error *err) {
    hone_value *ones[8];
    HONE_TRY(hone_graph_infer(g, err));
    for (int i = 0; i < outputs; i++) {
        hone_tensor *t = tensor_make(HONE_FLOAT64, y[i]->type.rank, y[i]->type.dims);
        for (int64_t k = 0; k < t->count; k++) tensor_set(t, k, 1);
        ones[i] = graph_constant(g, "ones", t);
    }
    return hone_graph_differentiate(g, outputs, y, ones, wanted, x, dx, err);
}

/* Runs g with x for its inputs and checks output `index` against `want` at every element. */
static void assert_gradient(hone_graph *g, hone_tensor *const *x, hone_value *dx,
                            double (*want)(double, double)) {
    hone_tensor *out = NULL;
    hone_error err;
    g->output_count = 0;
    hone_graph_add_output(g, dx);
    check_ok(hone_graph_check(g, &err));
    graph_run(g, NULL, x, &out, 1);
    for (int64_t i = 0; i < out->count; i++)
        assert_true(fabs(tensor_at(out, i) - want(tensor_at(x[0], i), tensor_at(x[1], i))) < 1e-12);
    hone_tensor_free(out);
}

static double two_x(double x, double z) {
    (void)z;
    return 2 * x;
}

/* d(x*x)/dx = 2x: one value read twice. */
static void test_square(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("square");
    hone_value *x = input(g, "x"), *dx = NULL;
    input(g, "z");
    hone_value *y = graph_op(g, "Mul", x, x);
    check_ok(differentiate(g, 1, &y, 1, &x, &dx, &err));
    hone_tensor *in[] = {tensor_random(HONE_FLOAT64, SHAPE(2, 3), 1),
                         tensor_random(HONE_FLOAT64, SHAPE(2, 3), 2)};
    assert_gradient(g, in, dx, two_x);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_graph_free(g);
}

static double fan_out(double x, double z) {
    return z * exp(x * z) + 1 + 4 * x * x * x - 2 * x * z;
}

/* x goes four ways: exp(xz) + x + (x^2)^2 - (x^2) z. */
static void test_fan_out(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("fan");
    hone_value *x = input(g, "x"), *z = input(g, "z"), *dx = NULL;
    hone_value *square = graph_op(g, "Mul", x, x);
    hone_value *y = graph_op(g, "Add", graph_op(g, "Exp", graph_op(g, "Mul", x, z)), x);
    y = graph_op(g, "Add", y, graph_op(g, "Mul", square, square));
    y = graph_op(g, "Sub", y, graph_op(g, "Mul", square, z));
    check_ok(differentiate(g, 1, &y, 1, &x, &dx, &err));
    hone_tensor *in[] = {tensor_random(HONE_FLOAT64, SHAPE(2, 3), 3),
                         tensor_random(HONE_FLOAT64, SHAPE(2, 3), 4)};
    assert_gradient(g, in, dx, fan_out);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_graph_free(g);
}

static double of_three_outputs(double x, double z) {
    (void)z;
    return 3 + 2 * x; /* x twice, x as an operand, x^2 */
}

/* Outputs that are the wanted value, an output twice, an output on the way to another. */
static void test_several_outputs(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("outputs");
    hone_value *x = input(g, "x"), *z = input(g, "z"), *dx[2] = {NULL};
    hone_value *sum = graph_op(g, "Add", x, z), *square = graph_op(g, "Mul", x, x);
    hone_value *y[] = {x, x, sum, square};
    check_ok(differentiate(g, 4, y, 2, (hone_value *[]){x, z}, dx, &err));
    hone_tensor *in[] = {tensor_random(HONE_FLOAT64, SHAPE(2, 3), 5),
                         tensor_random(HONE_FLOAT64, SHAPE(2, 3), 6)};
    assert_gradient(g, in, dx[0], of_three_outputs);
    assert_non_null(dx[1]);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_graph_free(g);
}

/* Only along paths from what is wanted: one node for the last layer, none for what lies before it. */
static void test_only_wanted_paths(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("paths");
    hone_value *x = input(g, "x"), *z = input(g, "z"), *far = input(g, "far"), *dx[3] = {NULL};
    hone_value *before = graph_op(g, "Exp", graph_op(g, "Exp", x));
    hone_value *y = graph_op(g, "Mul", before, z);
    hone_value *aside = graph_op(g, "Tanh", far); /* no output follows */
    (void)aside;
    size_t nodes = g->node_count;
    check_ok(differentiate(g, 1, &y, 2, (hone_value *[]){z, far}, dx, &err));
    assert_non_null(dx[0]);
    assert_null(dx[1]);
    assert_int_equal(g->node_count, nodes + 1); /* dy * before */
    dx[0] = z;
    check_ok(differentiate(g, 1, &y, 0, NULL, dx, &err));
    assert_int_equal(g->node_count, nodes + 1);
    hone_graph_free(g);
}

/* An integer on the way, or an integer that is wanted, has no gradient. */
static void test_integers_end_paths(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("integers");
    hone_value *x = input(g, "x"), *i = graph_input(g, "i", HONE_INT64, SHAPE(2, 3)), *dx[2] = {x, x};
    hone_value *whole = graph_op(g, "Cast", x), *back = graph_op(g, "Cast", graph_op(g, "Add", whole, i));
    hone_node_set_int(g, whole->producer, "to", HONE_INT64);
    hone_node_set_int(g, back->producer, "to", HONE_FLOAT64);
    size_t nodes = g->node_count;
    check_ok(differentiate(g, 1, &back, 2, (hone_value *[]){x, i}, dx, &err));
    assert_null(dx[0]);
    assert_null(dx[1]);
    assert_int_equal(g->node_count, nodes);
    hone_graph_free(g);
}

/* All operators without a rule are named at once, and nothing is emitted. */
static void test_missing_rules(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("missing");
    hone_value *x = input(g, "x"), *dx = NULL, *v = x, *aside;
    static const char *const names[] = {"first", "second"};
    for (int i = 0; i < 2; i++) {
        hone_value *in[] = {v, v};
        v = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "ReluGrad"), names[i], 2, in, 1)
                ->outputs[0];
        v = graph_op(g, "Neg", v);
    }
    hone_value *in[] = {x, x};
    aside =
        hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "ReluGrad"), "aside", 2, in, 1)->outputs[0];
    hone_graph_add_output(g, v);
    hone_graph_add_output(g, aside);
    check_ok(hone_graph_infer(g, &err));
    hone_value *one = hone_graph_scalar(g, HONE_FLOAT64, 1);
    size_t nodes = g->node_count, values = g->value_count, uses = v->use_count;
    assert_int_equal(hone_graph_differentiate(g, 1, &v, &one, 1, &x, &dx, &err), HONE_UNSUPPORTED);
    assert_non_null(strstr(err.message, "2 operators"));
    assert_non_null(strstr(err.message, "ReluGrad (first)"));
    assert_non_null(strstr(err.message, "ReluGrad (second)"));
    assert_null(strstr(err.message, "aside")); /* not on the way to v */
    assert_int_equal(g->node_count, nodes);
    assert_int_equal(g->value_count, values);
    assert_int_equal(v->use_count, uses);
    hone_graph_free(g);
}

/* New nodes go to the end, wherever the builder was inserting, and the place is kept. */
static void test_insertion_point_is_kept(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("place");
    hone_value *x = input(g, "x"), *dx = NULL, *y = graph_op(g, "Exp", x);
    hone_node *last = g->last;
    g->insert_before = g->first;
    check_ok(differentiate(g, 1, &y, 1, &x, &dx, &err));
    assert_ptr_equal(g->insert_before, last);
    assert_ptr_equal(g->first, last);
    g->insert_before = NULL;
    check_ok(hone_graph_sort(g, &err));
    hone_graph_free(g);
}

/* A broadcast operand's gradient is summed to its shape. */
static void test_broadcast_sums(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("broadcast");
    hone_value *x = input(g, "x"), *row = graph_input(g, "row", HONE_FLOAT64, SHAPE(3)), *d[2] = {NULL};
    hone_value *y = graph_op(g, "Mul", x, row);
    check_ok(differentiate(g, 1, &y, 2, (hone_value *[]){x, row}, d, &err));
    hone_graph_add_output(g, d[0]);
    hone_graph_add_output(g, d[1]);
    hone_tensor *in[] = {tensor_random(HONE_FLOAT64, SHAPE(2, 3), 7),
                         tensor_random(HONE_FLOAT64, SHAPE(3), 8)},
                *out[2];
    graph_run(g, NULL, in, out, 2);
    assert_int_equal(out[1]->rank, 1);
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(tensor_at(out[1], i) - tensor_at(in[0], i) - tensor_at(in[0], 3 + i)) < 1e-12);
        assert_true(tensor_at(out[0], i) == tensor_at(in[1], i));
    }
    for (int i = 0; i < 2; i++) {
        hone_tensor_free(in[i]);
        hone_tensor_free(out[i]);
    }
    hone_graph_free(g);
}

static void test_every_allocation_fails(void **state) {
    (void)state;
    hone_error err;
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        hone_graph *g = hone_graph_new("memory");
        hone_value *x = input(g, "x"), *z = input(g, "z"), *dx[2] = {NULL};
        hone_value *y = graph_op(g, "Tanh", graph_op(g, "Mul", graph_op(g, "Add", x, z), x));
        check_ok(hone_graph_infer(g, &err));
        hone_value *one = hone_graph_scalar(g, HONE_FLOAT64, 1);
        hone_alloc_fail_at(n, true);
        hone_status status = hone_graph_differentiate(g, 1, &y, &one, 2, (hone_value *[]){x, z}, dx, &err);
        hone_alloc_fail_at(0, false);
        assert_true(status == HONE_OK || status == HONE_OUT_OF_MEMORY);
        done = status == HONE_OK;
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_square),
        cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_several_outputs),
        cmocka_unit_test(test_only_wanted_paths),
        cmocka_unit_test(test_integers_end_paths),
        cmocka_unit_test(test_missing_rules),
        cmocka_unit_test(test_insertion_point_is_kept),
        cmocka_unit_test(test_broadcast_sums),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
