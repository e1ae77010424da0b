#include "graph/autodiff.h"

#include "ops/common/axes.h"
#include "ops/engine/elementwise.h"
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

/* --- outputs that only gradients ask for --- Square: X X, and its slope 2 X */

static hone_status infer_square(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_same(ctx, err));
    if (ctx->output_count > 1) ctx->out[1] = ctx->out[0];
    return HONE_OK;
}

static void map_square(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 0);
    hone_map_out(m, 0, hone_map_mul(m, x, x));
    if (n->output_count > 1) hone_map_out(m, 1, hone_map_add(m, x, x));
}

static void gradient_square(hone_gradient *ctx) {
    hone_value *slope = hone_gradient_saved(ctx, 1);
    assert_ptr_equal(slope, hone_gradient_saved(ctx, 1));
    assert_null(ctx->dout[1]); /* whatever other nodes have */
    ctx->din[0] = HONE_EMIT(ctx->graph, "", "Mul", ctx->dout[0], slope);
}

static const hone_op square = {
    .name = "Square",
    .since = 1,
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FLOAT, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FLOAT, 0}, {"slope", 'T', HONE_TYPES_FLOAT, HONE_SLOT_SAVED}),
    .infer = infer_square,
    .axes = hone_axes_broadcast,
    .prepare = hone_prepare_elementwise,
    .map = map_square,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient_square};

static void test_saved_outputs(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("saved");
    hone_value *x = input(g, "x"), *z = input(g, "z"), *dx = NULL, *dz = NULL;
    hone_node *n = hone_graph_add_node(g, &square, "s", 1, &x, 1);
    hone_value *y = n->outputs[0];
    check_ok(differentiate(g, 1, &y, 1, &z, &dz, &err));
    assert_true(!dz && n->output_count == 1); /* nobody wants it */
    check_ok(differentiate(g, 1, &y, 1, &x, &dx, &err));
    assert_true(n->output_count == 2 && n->outputs[1]->producer == n && n->outputs[1]->output_index == 1);
    assert_int_equal(n->outputs[1]->type.dtype, HONE_FLOAT64);
    assert_int_equal(n->outputs[1]->type.dims[1], 3);
    check_ok(hone_graph_infer(g, &err));
    hone_tensor *in[] = {tensor_random(HONE_FLOAT64, SHAPE(2, 3), 1),
                         tensor_random(HONE_FLOAT64, SHAPE(2, 3), 2)};
    assert_gradient(g, in, dx, two_x);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_graph_free(g);
}

/* A node that is given another output finds no cotangent of another node there. */
static void test_cotangents_of_other_nodes(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("two losses");
    hone_value *x = input(g, "x"), *labels = graph_input(g, "labels", HONE_INT64, SHAPE(2)),
               *in[] = {x, labels};
    hone_node *n = hone_graph_add_node(g, &square, "s", 1, &x, 1);
    hone_node *both = hone_graph_add_node(g, hone_op_find("", "SoftmaxCrossEntropyLoss"), "b", 2, in, 2);
    hone_value *y[] = {n->outputs[0], both->outputs[0], both->outputs[1]}, *dx = NULL;
    check_ok(differentiate(g, 3, y, 1, &x, &dx, &err)); /* the rule of Square looks */
    assert_non_null(dx);
    hone_graph_free(g);
}

/* --- half precision --- Product of float16 */

static void gradient_product(hone_gradient *ctx) {
    hone_value *const *in = ctx->node->inputs;
    assert_int_equal(in[0]->type.dtype, HONE_FLOAT32);
    assert_int_equal(ctx->node->outputs[0]->type.dtype, HONE_FLOAT32);
    if (ctx->wanted[0]) ctx->din[0] = HONE_EMIT(ctx->graph, "", "Mul", ctx->dout[0], in[1]);
    if (ctx->wanted[1]) ctx->din[1] = HONE_EMIT(ctx->graph, "", "Mul", ctx->dout[0], in[0]);
}

#define HALF HONE_TYPE(HONE_FLOAT16)
static const hone_op product = {.name = "Product",
                                .since = 1,
                                .inputs = HONE_SLOTS({"A", 'T', HALF, 0}, {"B", 'T', HALF, 0}),
                                .outputs = HONE_SLOTS({"C", 'T', HALF, 0}),
                                .infer = hone_infer_elementwise,
                                .gradient_kind = HONE_GRADIENT_EXACT,
                                .gradient = gradient_product};

/* (a b) as float32, times z, of float16 a and b: the gradients are float32. */
static void test_half_precision(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("halves");
    hone_value *a = graph_input(g, "a", HONE_FLOAT16, SHAPE(4)),
               *b = graph_input(g, "b", HONE_FLOAT16, SHAPE(4)),
               *z = graph_input(g, "z", HONE_FLOAT32, SHAPE(4)), *in[] = {a, b}, *d[2] = {NULL};
    hone_value *c = hone_graph_add_node(g, &product, "p", 2, in, 1)->outputs[0];
    hone_value *wide = graph_op(g, "Cast", c);
    hone_node_set_int(g, wide->producer, "to", HONE_FLOAT32);
    hone_value *y = graph_op(g, "Mul", wide, z);
    check_ok(hone_graph_infer(g, &err));
    hone_value *one = hone_graph_scalar(g, HONE_FLOAT32, 1);
    check_ok(hone_graph_differentiate(g, 1, &y, &one, 2, (hone_value *[]){a, b}, d, &err));
    hone_graph_add_output(g, d[0]);
    hone_graph_add_output(g, d[1]);
    check_ok(hone_graph_infer(g, &err));
    assert_int_equal(d[0]->type.dtype, HONE_FLOAT32);
    static const uint16_t halves[] = {0x3c00, 0x4000, 0xb800, 0x0000}; /* 1, 2, -0.5, 0 */
    hone_tensor *given[3], *out[2];
    for (int i = 0; i < 2; i++) {
        given[i] = tensor_make(HONE_FLOAT16, SHAPE(4));
        for (int k = 0; k < 4; k++) ((uint16_t *)given[i]->data)[k] = halves[(k + i) % 4];
    }
    given[2] = tensor_of(SHAPE(4), (float[]){3, 5, 7, 11});
    graph_run(g, NULL, given, out, 2);
    static const float want_a[] = {6, -2.5f, 0, 11}, want_b[] = {3, 10, -3.5f, 0};
    for (int k = 0; k < 4; k++) {
        assert_true(tensor_at(out[0], k) == (double)want_a[k]);
        assert_true(tensor_at(out[1], k) == (double)want_b[k]);
    }
    for (int i = 0; i < 3; i++) hone_tensor_free(given[i]);
    for (int i = 0; i < 2; i++) hone_tensor_free(out[i]);
    hone_graph_free(g);
}

/* sigmoid(a b) of float16, by the rules of the operators that there are: as exact as float32 of what float16 keeps. */
static void test_rules_of_halves(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("sigmoid");
    hone_value *a = graph_input(g, "a", HONE_FLOAT16, SHAPE(4)),
               *b = graph_input(g, "b", HONE_FLOAT16, SHAPE(4)), *d[2] = {NULL};
    hone_value *y = graph_op(g, "Cast", graph_op(g, "Sigmoid", graph_op(g, "Mul", a, b)));
    hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
    check_ok(hone_graph_infer(g, &err));
    hone_value *one = hone_graph_scalar(g, HONE_FLOAT32, 1);
    check_ok(hone_graph_differentiate(g, 1, &y, &one, 2, (hone_value *[]){a, b}, d, &err));
    hone_graph_add_output(g, d[0]);
    hone_graph_add_output(g, d[1]);
    static const uint16_t halves[] = {0x3c00, 0x4000, 0xb800, 0x0000};
    static const double values[] = {1, 2, -0.5, 0};
    hone_tensor *given[2], *out[2];
    for (int i = 0; i < 2; i++) {
        given[i] = tensor_make(HONE_FLOAT16, SHAPE(4));
        for (int k = 0; k < 4; k++) ((uint16_t *)given[i]->data)[k] = halves[(k + i) % 4];
    }
    graph_run(g, NULL, given, out, 2);
    for (int k = 0; k < 4; k++) {
        double x = values[k], z = values[(k + 1) % 4], s = 1 / (1 + exp(-x * z));
        assert_int_equal(out[0]->dtype, HONE_FLOAT32);
        assert_true(fabs(tensor_at(out[0], k) - s * (1 - s) * z) < 1e-3);
        assert_true(fabs(tensor_at(out[1], k) - s * (1 - s) * x) < 1e-3);
    }
    for (int i = 0; i < 2; i++) {
        hone_tensor_free(given[i]);
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
        hone_value *sum = graph_op(g, "Add", x, z);
        hone_node *squared = hone_graph_add_node(g, &square, "s", 1, &sum, 1);
        hone_value *y = graph_op(g, "Tanh", graph_op(g, "Mul", squared->outputs[0], x));
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
        cmocka_unit_test(test_saved_outputs),
        cmocka_unit_test(test_cotangents_of_other_nodes),
        cmocka_unit_test(test_half_precision),
        cmocka_unit_test(test_rules_of_halves),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
