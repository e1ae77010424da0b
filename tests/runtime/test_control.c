/* If, Loop and Scan, with values from around them, one inside of the other. */
#include "support/control.h"

static hone_tensor *scalar_of(hone_dtype dtype, double x) {
    hone_tensor *t = tensor_make(dtype, 0, NULL);
    if (dtype == HONE_BOOL)
        *(uint8_t *)t->data = x != 0;
    else
        tensor_set(t, 0, x);
    return t;
}

static hone_tensor *int_scalar(int64_t x) {
    hone_tensor *t = tensor_make(HONE_INT64, 0, NULL);
    *(int64_t *)t->data = x;
    return t;
}

/* --- three deep --- */

static void nested_truth(const hone_tensor *x, bool flag, int64_t trips, double *y, double *all) {
    static const double w[] = {1, -2, 0.5};
    for (int64_t i = 0; i < x->count; i++) y[i] = tensor_at(x, i);
    for (int64_t t = 0; t < trips; t++)
        for (int64_t i = 0; i < x->count; i++) {
            y[i] = flag ? y[i] + w[i % 3] : fmax(0, y[i]) * w[i % 3];
            all[t * x->count + i] = y[i];
        }
}

static void check_nested(const runner *r, int64_t rows, bool flag, int64_t trips) {
    hone_error err;
    double y[64], all[512];
    hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(rows, 3), (uint64_t)rows),
                         scalar_of(HONE_BOOL, flag), int_scalar(trips)};
    const hone_tensor *out[2];
    nested_truth(in[0], flag, trips, y, all);
    check_ok(hone_context_run(r->context, (const hone_tensor *const *)in, out, &err));
    assert_int_equal(out[0]->rank, 2);
    assert_int_equal(out[0]->dims[0], rows);
    assert_int_equal(out[1]->dims[0], trips);
    assert_int_equal(out[1]->rank, 3);
    for (int64_t i = 0; i < out[0]->count; i++) assert_true(fabs(tensor_at(out[0], i) - y[i]) < 1e-5);
    for (int64_t i = 0; i < out[1]->count; i++) assert_true(fabs(tensor_at(out[1], i) - all[i]) < 1e-5);
    for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
}

static void check_all_nested(const hone_graph *g, const char *disable) {
    runner r = runner_make(g, disable, 1);
    for (int round = 0; round < 2; round++)
        for (int64_t rows = 1; rows <= 3; rows++)
            for (int64_t trips = 0; trips <= 4; trips++)
                for (int flag = 0; flag < 2; flag++) check_nested(&r, rows, flag, trips);
    runner_free(&r);
}

static void test_nested(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = control_nested(), *copy = NULL;
    check_all_nested(g, NULL);
    check_all_nested(g, "all");
    check_ok(hone_graph_copy(g, &copy, &err));
    check_all_nested(copy, NULL);
    hone_graph_free(copy);
    hone_graph_free(g);
}

/* In the steady state a run of all this allocates nothing. */
static void test_no_allocation(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = control_nested();
    runner r = runner_make(g, NULL, 1);
    hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(4, 3), 1), scalar_of(HONE_BOOL, 1), int_scalar(5)};
    const hone_tensor *out[2];
    for (int i = 0; i < 3; i++) runner_run(&r, in, out);
    uint64_t before = hone_alloc_count();
    for (int i = 0; i < 3; i++)
        check_ok(hone_context_run(r.context, (const hone_tensor *const *)in, out, &err));
    assert_int_equal(hone_alloc_count(), before);
    for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
    runner_free(&r);
    hone_graph_free(g);
}

/* --- If --- */

/* Branches of different shapes, one of which is an outer value itself. */
static void test_branches_of_different_shapes(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("shapes");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(HONE_DIM_ANY)),
               *flag = graph_input(g, "flag", HONE_BOOL, 0, NULL);
    hone_node *n = control_node(g, "If", "if", 1, 1, &flag);
    hone_graph *yes = hone_node_add_graph(g, n, "then_branch"),
               *no = hone_node_add_graph(g, n, "else_branch");
    hone_graph_add_output(yes, hone_graph_capture(yes, x));
    hone_value *twice[] = {hone_graph_capture(no, x), hone_graph_capture(no, x)};
    hone_node *concat = hone_graph_add_node(no, hone_op_find("", "Concat"), "concat", 2, twice, 1);
    hone_node_set_int(no, concat, "axis", 0);
    hone_graph_add_output(no, concat->outputs[0]);
    hone_graph_add_output(g, graph_op(g, "Relu", n->outputs[0]));
    runner r = runner_make(g, NULL, 1);
    for (int round = 0; round < 6; round++) {
        int64_t rows = 1 + round / 2;
        hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(rows), 1), scalar_of(HONE_BOOL, round % 2)};
        const hone_tensor *out;
        runner_run(&r, in, &out);
        assert_int_equal(out->count, round % 2 ? rows : 2 * rows);
        for (int64_t i = 0; i < out->count; i++)
            assert_true(tensor_at(out, i) == fmax(0, tensor_at(in[0], i % rows)));
        hone_tensor_free(in[0]);
        hone_tensor_free(in[1]);
    }
    runner_free(&r);
    hone_graph_free(g);
}

/* --- Loop --- */

/* A carried value that grows: x ← Concat(x, [i]) while its length is below a limit. */
static void test_carried_shapes_that_change(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("grow");
    hone_value *x = graph_input(g, "x", HONE_INT64, SHAPE(HONE_DIM_ANY)),
               *limit = graph_input(g, "limit", HONE_INT64, 0, NULL);
    hone_value *in[] = {NULL, NULL, x};
    hone_node *loop = control_node(g, "Loop", "loop", 2, 3, in);
    hone_graph *body = hone_node_add_graph(g, loop, "body");
    hone_value *i = control_input(body, "i", HONE_INT64);
    control_input(body, "go", HONE_BOOL);
    hone_value *a = control_input(body, "a", HONE_INT64);
    hone_value *item = graph_op(body, "Unsqueeze", i, hone_graph_ints(body, (int64_t[]){0}, 1));
    hone_value *parts[] = {a, item};
    hone_node *concat = hone_graph_add_node(body, hone_op_find("", "Concat"), "concat", 2, parts, 1);
    hone_node_set_int(body, concat, "axis", 0);
    hone_value *size = graph_op(body, "Size", concat->outputs[0]);
    hone_graph_add_output(body, graph_op(body, "Less", size, hone_graph_capture(body, limit)));
    hone_graph_add_output(body, concat->outputs[0]);
    hone_graph_add_output(body, size);
    hone_graph_add_output(g, loop->outputs[0]);
    hone_graph_add_output(g, loop->outputs[1]);
    runner r = runner_make(g, NULL, 1);
    for (int round = 0; round < 2; round++)
        for (int64_t start = 1; start <= 3; start++)
            for (int64_t end = 1; end <= 9; end += 4) {
                hone_tensor *given[] = {tensor_make(HONE_INT64, SHAPE(start)), int_scalar(end)};
                const hone_tensor *out[2];
                runner_run(&r, given, out);
                int64_t length = end > start + 1 ? end : start + 1; /* the first run is not asked */
                assert_int_equal(out[0]->count, length);
                for (int64_t k = start; k < length; k++)
                    assert_int_equal(hone_tensor_int(out[0], k), k - start);
                assert_int_equal(out[1]->count, length - start);
                for (int64_t k = 0; k < length - start; k++)
                    assert_int_equal(hone_tensor_int(out[1], k), start + 1 + k);
                hone_tensor_free(given[0]);
                hone_tensor_free(given[1]);
            }
    runner_free(&r);
    hone_graph_free(g);
}

/* No runs at all: what was carried in comes out, and scan outputs are empty. */
static void test_no_iterations(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("none");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3)),
               *go = graph_input(g, "go", HONE_BOOL, 0, NULL);
    hone_value *in[] = {hone_graph_scalar(g, HONE_INT64, 7), go, x};
    hone_node *loop = control_node(g, "Loop", "loop", 2, 3, in);
    hone_graph *body = hone_node_add_graph(g, loop, "body");
    control_input(body, "i", HONE_INT64);
    hone_value *on = control_input(body, "on", HONE_BOOL), *a = control_input(body, "a", HONE_FLOAT32);
    hone_value *y = graph_op(body, "Exp", a);
    hone_graph_add_output(body, on);
    hone_graph_add_output(body, y);
    hone_graph_add_output(body, y);
    hone_graph_add_output(g, loop->outputs[0]);
    hone_graph_add_output(g, loop->outputs[1]);
    runner r = runner_make(g, NULL, 1);
    for (int round = 0; round < 4; round++) {
        hone_tensor *given[] = {tensor_random(HONE_FLOAT32, SHAPE(2, 3), 1), scalar_of(HONE_BOOL, round % 2)};
        for (int64_t k = 0; k < 6; k++) tensor_set(given[0], k, -0.1);
        const hone_tensor *out[2];
        runner_run(&r, given, out);
        assert_int_equal(out[1]->rank, 3);
        assert_int_equal(out[1]->dims[0], round % 2 ? 7 : 0);
        assert_int_equal(out[1]->dims[2], 3);
        if (round % 2 == 0) assert_same_bits(out[0], given[0]);
        hone_tensor_free(given[0]);
        hone_tensor_free(given[1]);
    }
    runner_free(&r);
    hone_graph_free(g);
}

/* --- Scan --- */

/* A running sum along axis 1 of [2, n, 3], backwards, its results put along the last axis in reverse. */
static void test_scan_axes(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("scan");
    hone_value *zero = graph_constant(g, "zero", tensor_make(HONE_FLOAT32, SHAPE(2, 3)));
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, HONE_DIM_ANY, 3)), *in[] = {zero, x};
    hone_node *scan = control_node(g, "Scan", "scan", 2, 2, in);
    hone_node_set_int(g, scan, "num_scan_inputs", 1);
    hone_node_set_ints(g, scan, "scan_input_axes", (int64_t[]){1}, 1);
    hone_node_set_ints(g, scan, "scan_input_directions", (int64_t[]){1}, 1);
    hone_node_set_ints(g, scan, "scan_output_axes", (int64_t[]){-1}, 1);
    hone_node_set_ints(g, scan, "scan_output_directions", (int64_t[]){1}, 1);
    hone_graph *body = hone_node_add_graph(g, scan, "body");
    hone_value *sum = control_input(body, "sum", HONE_FLOAT32),
               *slice = control_input(body, "slice", HONE_FLOAT32);
    hone_value *next = graph_op(body, "Add", sum, slice);
    hone_graph_add_output(body, next);
    hone_graph_add_output(body, graph_op(body, "Neg", next));
    hone_graph_add_output(g, scan->outputs[0]);
    hone_graph_add_output(g, scan->outputs[1]);
    runner r = runner_make(g, NULL, 1);
    for (int64_t n = 0; n <= 5; n++) {
        hone_tensor *given = tensor_random(HONE_FLOAT32, SHAPE(2, n, 3), 1);
        const hone_tensor *out[2];
        runner_run(&r, &given, out);
        assert_int_equal(out[1]->dims[2], n);
        for (int64_t b = 0; b < 2; b++)
            for (int64_t c = 0; c < 3; c++) {
                double running = 0;
                for (int64_t k = n - 1; k >= 0; k--) { /* the last slice first, its result last */
                    running += tensor_at(given, (b * n + k) * 3 + c);
                    assert_true(fabs(tensor_at(out[1], (b * 3 + c) * n + k) + running) < 1e-5);
                }
                assert_true(fabs(tensor_at(out[0], b * 3 + c) - running) < 1e-5);
            }
        hone_tensor_free(given);
    }
    runner_free(&r);
    hone_graph_free(g);
}

/* A failure inside names the inner node; the context goes on. */
static void test_a_failure_inside(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("fails");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(3)),
               *trips = graph_input(g, "trips", HONE_INT64, 0, NULL);
    hone_value *in[] = {trips, NULL};
    hone_node *loop = control_node(g, "Loop", "loop", 1, 2, in);
    hone_graph *body = hone_node_add_graph(g, loop, "body");
    hone_value *i = control_input(body, "i", HONE_INT64), *go = control_input(body, "go", HONE_BOOL);
    hone_value *picked = graph_op(body, "Gather", hone_graph_capture(body, x), i);
    hone_graph_add_output(body, go);
    hone_graph_add_output(body, picked);
    hone_graph_add_output(g, loop->outputs[0]);
    runner r = runner_make(g, NULL, 1);
    for (int round = 0; round < 4; round++) {
        hone_tensor *given[] = {tensor_random(HONE_FLOAT32, SHAPE(3), 1), int_scalar(round % 2 ? 4 : 3)};
        const hone_tensor *out;
        hone_status status = hone_context_run(r.context, (const hone_tensor *const *)given, &out, &err);
        assert_int_equal(status, round % 2 ? HONE_INVALID_ARGUMENT : HONE_OK);
        if (round % 2) assert_string_equal(err.node, picked->producer->name);
        if (round % 2 == 0) assert_memory_equal(out->data, given[0]->data, 12);
        hone_tensor_free(given[0]);
        hone_tensor_free(given[1]);
    }
    runner_free(&r);
    hone_graph_free(g);
}

/* --- what only a run can show to be wrong --- */

/* A carried value whose rank changes leaves the rows' rank, and with it the axis, to the run. */
static void test_scan_axis_outside(void **state) {
    (void)state;
    for (int64_t axis = -4; axis < 4; axis++) {
        hone_error err;
        hone_graph *g = hone_graph_new("axis");
        hone_value *n = graph_input(g, "n", HONE_FLOAT32, SHAPE(HONE_DIM_ANY)),
                   *v = graph_input(g, "v", HONE_FLOAT32, SHAPE(4)), *in[] = {v, n};
        hone_node *scan = control_node(g, "Scan", "scan", 2, 2, in);
        hone_node_set_int(g, scan, "num_scan_inputs", 1);
        hone_node_set_ints(g, scan, "scan_output_axes", &axis, 1);
        hone_graph *body = hone_node_add_graph(g, scan, "body");
        hone_value *a = control_input(body, "a", HONE_FLOAT32);
        control_input(body, "slice", HONE_FLOAT32);
        hone_graph_add_output(body, graph_op(body, "Unsqueeze", a, hone_graph_ints(body, (int64_t[]){0}, 1)));
        hone_graph_add_output(body, graph_op(body, "Neg", a));
        hone_graph_add_output(g, scan->outputs[1]);
        runner r = runner_make(g, NULL, 1);
        hone_tensor *given[] = {tensor_make(HONE_FLOAT32, SHAPE(1)), tensor_make(HONE_FLOAT32, SHAPE(4))};
        const hone_tensor *out;
        hone_status status = hone_context_run(r.context, (const hone_tensor *const *)given, &out, &err);
        assert_int_equal(status, axis >= -2 && axis <= 1 ? HONE_OK : HONE_INVALID_ARGUMENT);
        if (status != HONE_OK) assert_string_equal(err.node, "scan");
        for (int i = 0; i < 2; i++) hone_tensor_free(given[i]);
        runner_free(&r);
        hone_graph_free(g);
    }
}

/* Conditions and counts have one element, as a scalar or not. */
static void test_one_condition(void **state) {
    (void)state;
    for (int which = 0; which < 3; which++) { /* If's, Loop's, and how often it runs */
        hone_error err;
        hone_graph *g = hone_graph_new("conditions");
        hone_value *c = control_input(g, "c", which == 2 ? HONE_INT64 : HONE_BOOL),
                   *one = graph_constant(g, "one", tensor_make(HONE_FLOAT32, SHAPE(1))), *y;
        if (which == 0) {
            hone_node *branch = control_node(g, "If", "n", 1, 1, &c);
            for (int i = 0; i < 2; i++) {
                hone_graph *sub = hone_node_add_graph(g, branch, i ? "else_branch" : "then_branch");
                hone_graph_add_output(sub, graph_op(sub, "Neg", hone_graph_capture(sub, one)));
            }
            y = branch->outputs[0];
        } else {
            hone_value *limit = graph_constant(g, "limit", int_scalar(3));
            hone_value *in[] = {which == 2 ? c : limit, which == 2 ? NULL : c, one};
            hone_node *loop = control_node(g, "Loop", "n", 1, 3, in);
            hone_graph *body = hone_node_add_graph(g, loop, "body");
            control_input(body, "i", HONE_INT64);
            hone_value *go = control_input(body, "go", HONE_BOOL),
                       *a = control_input(body, "a", HONE_FLOAT32);
            hone_graph_add_output(body, go);
            hone_graph_add_output(body, graph_op(body, "Neg", a));
            y = loop->outputs[0];
        }
        hone_graph_add_output(g, y);
        runner r = runner_make(g, NULL, 1);
        static const struct {
            int rank;
            int64_t dims[2];
            bool right;
        } shapes[] = {{0, {0}, true},  {1, {1}, true},  {2, {1, 1}, true},
                      {1, {0}, false}, {1, {2}, false}, {2, {1, 0}, false}};
        for (int i = 0; i < COUNT(shapes); i++) {
            hone_tensor *given =
                tensor_make(which == 2 ? HONE_INT64 : HONE_BOOL, shapes[i].rank, shapes[i].dims);
            const hone_tensor *out;
            hone_status status = hone_context_run(r.context, (const hone_tensor *const *)&given, &out, &err);
            assert_int_equal(status, shapes[i].right ? HONE_OK : HONE_INVALID_ARGUMENT);
            if (status != HONE_OK) assert_string_equal(err.node, "n");
            hone_tensor_free(given);
        }
        runner_free(&r);
        hone_graph_free(g);
    }
}

/* What fails in a branch that is not taken does not fail. */
static void test_a_branch_that_would_fail(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("fails");
    hone_value *flag = graph_input(g, "flag", HONE_BOOL, 0, NULL);
    hone_node *branch = control_node(g, "If", "if", 1, 1, &flag);
    const hone_node *bad = NULL;
    for (int i = 0; i < 2; i++) {
        hone_graph *sub = hone_node_add_graph(g, branch, i ? "else_branch" : "then_branch");
        hone_value *table = graph_constant(sub, "table", tensor_make(HONE_FLOAT32, SHAPE(3))),
                   *at = graph_constant(sub, "at", int_scalar(i ? 7 : 2));
        hone_value *y = graph_op(sub, "Gather", table, at);
        hone_graph_add_output(sub, y);
        bad = y->producer;
    }
    hone_graph_add_output(g, branch->outputs[0]);
    hone_error err;
    runner r = runner_make(g, NULL, 1);
    for (int taken = 0; taken < 2; taken++) {
        hone_tensor *given = tensor_make(HONE_BOOL, 0, NULL);
        const hone_tensor *out;
        *(uint8_t *)given->data = (uint8_t)taken;
        hone_status status = hone_context_run(r.context, (const hone_tensor *const *)&given, &out, &err);
        assert_int_equal(status, taken ? HONE_OK : HONE_INVALID_ARGUMENT);
        if (!taken) assert_string_equal(err.node, bad->name);
        hone_tensor_free(given);
    }
    runner_free(&r);
    hone_graph_free(g);
}

/* A branch for inputs of other shapes than these may be there, as long as it is not taken. */
static void test_a_branch_for_other_shapes(void **state) {
    (void)state;
    for (int open = 0; open < 2; open++) { /* the rows' number known while compiling, or not */
        hone_error err;
        hone_graph *g = hone_graph_new("branches");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, open ? HONE_DIM_ANY : 3)),
                   *flag = graph_input(g, "flag", HONE_BOOL, 0, NULL),
                   *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(2, 4), 1));
        hone_node *branch = control_node(g, "If", "if", 1, 1, &flag);
        hone_graph *yes = hone_node_add_graph(g, branch, "then_branch"),
                   *no = hone_node_add_graph(g, branch, "else_branch");
        hone_value *squeezed =
            graph_op(yes, "Squeeze", hone_graph_capture(yes, x), hone_graph_ints(yes, (int64_t[]){1}, 1));
        hone_graph_add_output(
            yes, graph_op(yes, "MatMul", graph_op(yes, "Relu", squeezed), hone_graph_capture(yes, w)));
        hone_graph_add_output(no, graph_op(no, "Neg", hone_graph_capture(no, x)));
        hone_graph_add_output(g, branch->outputs[0]);
        runner r = runner_make(g, NULL, 1);
        for (int round = 0; round < 4; round++) {
            int taken = round % 2;
            hone_tensor *given[] = {tensor_random(HONE_FLOAT32, SHAPE(2, open && round > 1 ? 1 : 3), 1),
                                    tensor_make(HONE_BOOL, 0, NULL)};
            const hone_tensor *out;
            *(uint8_t *)given[1]->data = (uint8_t)taken;
            bool right = !taken || given[0]->dims[1] == 1;
            hone_status status = hone_context_run(r.context, (const hone_tensor *const *)given, &out, &err);
            assert_int_equal(status, right ? HONE_OK : HONE_INVALID_ARGUMENT);
            if (!right) assert_string_equal(err.node, squeezed->producer->name);
            if (right) assert_int_equal(out->count, taken ? 4 : given[0]->count);
            hone_tensor_free(given[0]);
            hone_tensor_free(given[1]);
        }
        runner_free(&r);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_branches_of_different_shapes),
        cmocka_unit_test(test_carried_shapes_that_change),
        cmocka_unit_test(test_no_iterations),
        cmocka_unit_test(test_scan_axes),
        cmocka_unit_test(test_a_failure_inside),
        cmocka_unit_test(test_scan_axis_outside),
        cmocka_unit_test(test_one_condition),
        cmocka_unit_test(test_a_branch_for_other_shapes),
        cmocka_unit_test(test_a_branch_that_would_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
