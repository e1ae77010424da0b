/* Function operators become what they stand for. ReduceL2 is a function of a function. */
#include "support/control.h"

#include "graph/expand.h"

static hone_error err;

static hone_value *l2(hone_graph *g, hone_value *x) {
    hone_value *y = HONE_EMIT(g, "", "ReduceL2", x, hone_graph_ints(g, (int64_t[]){1}, 1));
    hone_node_set_int(g, y->producer, "keepdims", 0);
    return y;
}

static void expect(const hone_graph *g, const char *const *ops) {
    const hone_node *n = g->first;
    for (; n && *ops; n = n->next, ops++) assert_string_equal(n->op->name, *ops);
    assert_null(n);
    assert_null(*ops);
}

static const char *const parts[] = {"Mul", "ReduceSum", "Sqrt", NULL};

static void test_functions_of_functions(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("g");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3)), *y = l2(g, x);
    char name[64];
    snprintf(name, sizeof name, "%s", y->producer->name);
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    check_ok(hone_graph_infer(g, &err));
    check_ok(hone_graph_expand(g, false, &err));
    expect(g, parts);
    for (const hone_node *n = g->first; n; n = n->next) { /* errors tell of the node that was there */
        assert_string_equal(n->name, name);
        assert_string_equal(n->source->name, "ReduceL2");
    }
    assert_string_equal(g->outputs[0]->name, "y");
    assert_int_equal(g->outputs[0]->type.rank, 1); /* the attribute went along, and types are inferred */
    assert_int_equal(hone_node_int(g->first->next, "keepdims"), 0);
    assert_null(g->insert_before);
    hone_graph_free(g);
}

static void test_in_subgraphs(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("g");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3));
    hone_value *on = graph_input(g, "on", HONE_BOOL, 0, NULL);
    hone_node *n = control_node(g, "If", "if", 1, 1, &on);
    hone_graph *branch[2];
    for (int i = 0; i < 2; i++) {
        branch[i] = hone_node_add_graph(g, n, i ? "else_branch" : "then_branch");
        hone_graph_add_output(branch[i], l2(branch[i], hone_graph_capture(branch[i], x)));
    }
    hone_graph_add_output(g, n->outputs[0]);
    check_ok(hone_graph_infer(g, &err));
    check_ok(hone_graph_expand(g, false, &err));
    expect(branch[0], parts);
    expect(branch[1], parts);
    assert_sound_inside(g);
    hone_graph_free(g);
}

/* What is compiled is expanded; what is given stays as it is. */
static void test_compiling(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("g");
    hone_graph_add_output(g, l2(g, graph_input(g, "x", HONE_FLOAT32, SHAPE(1, 2))));
    hone_tensor *x = tensor_of(SHAPE(1, 2), (const float[]){3, 4}), *y;
    graph_run(g, NULL, &x, &y, 1);
    assert_true(tensor_at(y, 0) == 5);
    hone_tensor_free(y);
    graph_run(g, "all", &x, &y, 1);
    assert_true(tensor_at(y, 0) == 5);
    expect(g, (const char *const[]){"ReduceL2", NULL});
    hone_tensor_free(x);
    hone_tensor_free(y);
    hone_graph_free(g);
}

static hone_status to_itself(hone_graph *g, hone_node *n, hone_error *e) {
    (void)e;
    hone_node *again = hone_graph_add_node(g, n->op, NULL, n->input_count, n->inputs, 1);
    if (again) hone_graph_replace(g, n->outputs[0], again->outputs[0]);
    return HONE_OK;
}

static hone_status refuse(hone_graph *g, hone_node *n, hone_error *e) {
    (void)g;
    return hone_fail_node(e, HONE_UNSUPPORTED, n->name, n->op->name, "this form");
}

static void test_failures(void **state) {
    (void)state;
    hone_op op = {.name = "Odd",
                  .since = 1,
                  .oldest = 1,
                  .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FIXED, 0}),
                  .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED, 0}),
                  .infer = hone_infer_same};
    for (int i = 0; i < 2; i++) {
        op.expand = i ? refuse : to_itself;
        hone_graph *g = hone_graph_new("g");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2));
        hone_graph_add_output(g, hone_graph_add_node(g, &op, "n", 1, &x, 1)->outputs[0]);
        assert_int_equal(hone_graph_expand(g, false, &err), i ? HONE_UNSUPPORTED : HONE_INTERNAL);
        if (i) assert_string_equal(err.node, "n");
        hone_graph_free(g);
    }
}

/* Who expands: operators without a kernel to be run, those without a rule to be trained. */
static void test_who_expands(void **state) {
    (void)state;
    hone_op op = *hone_op_find("", "Relu");
    assert_false(hone_op_expands(&op, true));
    op.expand = refuse;
    assert_false(hone_op_expands(&op, true)); /* it has a kernel and a rule */
    op.gradient = NULL;
    assert_true(hone_op_expands(&op, true));
    assert_false(hone_op_expands(&op, false));
    op.gradient_kind = HONE_GRADIENT_ZERO;
    assert_false(hone_op_expands(&op, true));
    op.prepare = NULL;
    assert_true(hone_op_expands(&op, false));
    assert_false(hone_op_expands(&op, true));
}

/* Operators that take a dtype and have no kernel for it run between conversions; autodiff sees them as they are. */
static void test_widened(void **state) {
    (void)state;
    for (int training = 0; training < 2; training++) {
        hone_graph *g = hone_graph_new("g");
        hone_value *x = graph_input(g, "x", HONE_FLOAT16, SHAPE(2, 3));
        hone_graph_add_output(g, graph_op(g, "ReduceMax", x));
        check_ok(hone_graph_infer(g, &err));
        check_ok(hone_graph_expand(g, training, &err));
        const char *const plain[] = {"ReduceMax", NULL}, *const wide[] = {"Cast", "ReduceMax", "Cast", NULL};
        expect(g, training ? plain : wide);
        assert_int_equal(g->outputs[0]->type.dtype, HONE_FLOAT16);
        if (!training) assert_int_equal(g->first->outputs[0]->type.dtype, HONE_FLOAT32);
        hone_graph_free(g);
    }
}

/* A chain of half precision is computed in float32 from end to end: nothing is rounded on the way. */
static void test_halves_in_a_chain(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("halves");
    hone_value *x = graph_input(g, "x", HONE_FLOAT16, SHAPE(2, 4));
    hone_value *w = graph_constant(g, "w", tensor_random(HONE_FLOAT16, SHAPE(4, 4), 1));
    hone_value *y = graph_op(g, "Transpose", graph_op(g, "Sub", graph_op(g, "MatMul", x, w), x));
    y = graph_op(g, "MatMul", w, y);
    hone_value *kept = graph_op(g, "Cast", y); /* on purpose: of what is rounded */
    hone_node_set_int(g, kept->producer, "to", HONE_FLOAT32);
    hone_graph_add_output(g, y);
    hone_graph_add_output(g, kept);
    check_ok(hone_graph_infer(g, &err));
    check_ok(hone_graph_expand(g, false, &err));
    hone_graph_prune(g);
    int up = 0, down = 0;
    for (const hone_node *n = g->first; n; n = n->next) {
        bool is_cast = n->op == hone_op_find("", "Cast");
        up += is_cast && n->inputs[0]->type.dtype == HONE_FLOAT16;
        down += is_cast && n->outputs[0]->type.dtype == HONE_FLOAT16;
        if (!is_cast) assert_int_equal(n->outputs[0]->type.dtype, HONE_FLOAT32);
    }
    assert_int_equal(down, 1);
    assert_int_equal(up, 5); /* x and w twice each, and what the last Cast converts */
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_of_functions),
        cmocka_unit_test(test_in_subgraphs),
        cmocka_unit_test(test_compiling),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_who_expands),
        cmocka_unit_test(test_halves_in_a_chain),
        cmocka_unit_test(test_widened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
