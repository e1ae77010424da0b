#include "support/control.h"

static hone_error err;

static hone_graph *sub_of(const hone_graph *g, const char *node, const char *attr) {
    for (const hone_node *n = g->first; n; n = n->next)
        if (strcmp(n->name, node) == 0) return hone_node_graph(n, attr);
    fail_msg("no node %s", node);
    return NULL;
}

/* What a value at the bottom stands for, at the top. */
static const hone_value *outermost(const hone_graph *g, const hone_value *v) {
    while (v->storage == HONE_STORAGE_CAPTURED) {
        size_t k = 0;
        while (g->captures[k] != v) k++;
        v = g->owner->inputs[g->owner->capture_first + (int)k];
        g = g->outer;
    }
    return v;
}

static void test_captures(void **state) {
    (void)state;
    hone_graph *g = control_nested();
    assert_sound_inside(g);
    const hone_node *loop = g->first;
    assert_int_equal(loop->capture_first, 3);
    assert_int_equal(loop->input_count, 5); /* flag and w, once each */
    const hone_graph *body = sub_of(g, "loop", "body"), *yes = sub_of(body, "if", "then_branch");
    const hone_graph *no = sub_of(body, "if", "else_branch"), *step = sub_of(yes, "scan", "body");
    assert_int_equal(body->first->input_count, 3); /* the condition; a and w, which both branches share */
    assert_ptr_equal(outermost(step, step->first->inputs[1]), hone_graph_find(g, "w"));
    assert_ptr_equal(outermost(no, no->first->inputs[0]), hone_graph_find(body, "a"));
    assert_string_equal(step->first->inputs[1]->name, "w"); /* names are kept where free */
    assert_int_equal(hone_graph_find(g, "w")->use_count, 1);
    hone_graph_free(g);
}

static void test_capture_names_what_is_not_around(void **state) {
    (void)state;
    hone_graph *g = control_nested(), *other = hone_graph_new("other");
    hone_value *stranger = graph_input(other, "stranger", HONE_FLOAT32, 0, NULL);
    assert_ptr_equal(hone_graph_capture(other, stranger), stranger); /* its own */
    assert_null(hone_graph_capture(sub_of(g, "loop", "body"), stranger));
    assert_int_equal(hone_graph_check(g, &err), HONE_INTERNAL);
    assert_non_null(strstr(err.message, "captured"));
    hone_graph_free(other);
    hone_graph_free(g);
}

/* A fault at the bottom is known at the top. */
static void test_variables_inside(void **state) {
    (void)state;
    hone_graph *g = control_nested(), *body = sub_of(g, "loop", "body");
    graph_variable(sub_of(body, "if", "else_branch"), "v", tensor_make(HONE_FLOAT32, SHAPE(3)));
    assert_int_equal(hone_graph_check(g, &err), HONE_INTERNAL);
    assert_non_null(strstr(err.message, "variable"));
    hone_graph_free(g);
}

static void test_inputs_stay_before_captures(void **state) {
    (void)state;
    hone_graph *g = control_nested();
    hone_node *loop = g->first;
    hone_value *z = graph_input(g, "z", HONE_FLOAT32, SHAPE(2, 3));
    hone_node_set_input(g, loop, 2, z); /* one of the node's own */
    assert_int_equal(loop->capture_first, 3);
    hone_graph_replace(g, hone_graph_find(g, "w"), z); /* and a captured one */
    assert_ptr_equal(loop->inputs[4], z);
    assert_sound_inside(g);
    hone_node_set_input(g, loop, 5, z);
    assert_int_equal(hone_graph_check(g, &err), HONE_INTERNAL);
    hone_graph_free(g);
}

static void test_copies(void **state) {
    (void)state;
    hone_graph *g = control_nested(), *copy = NULL, *lone = NULL;
    check_ok(hone_graph_copy(g, &copy, &err));
    check_ok(hone_graph_copy(sub_of(g, "loop", "body"), &lone, &err));
    hone_graph_free(g);
    assert_sound_inside(copy);
    const hone_graph *body = sub_of(copy, "loop", "body"), *yes = sub_of(body, "if", "then_branch");
    const hone_graph *step = sub_of(yes, "scan", "body");
    assert_ptr_equal(outermost(step, step->first->inputs[1]), hone_graph_find(copy, "w"));
    check_ok(hone_graph_infer(copy, &err));
    assert_null(lone->outer); /* stands alone, with captures that its user has to set */
    assert_int_equal(lone->capture_count, 2);
    assert_string_equal(lone->captures[1]->name, "w");
    hone_graph_free(lone);
    hone_graph_free(copy);
}

/* A body's nodes become part of another graph once somebody says what its captures are. */
static void test_append_of_a_body(void **state) {
    (void)state;
    hone_graph *g = control_nested(), *flat = hone_graph_new("flat");
    const hone_graph *body = sub_of(g, "loop", "body"), *no = sub_of(body, "if", "else_branch");
    hone_value **map = hone_calloc(no->value_count + 1, sizeof(hone_value *));
    assert_int_equal(hone_graph_append(flat, no, NULL, map, &err), HONE_INTERNAL);
    map[no->captures[0]->id] = graph_input(flat, "p", HONE_FLOAT32, SHAPE(2, 3));
    map[no->captures[1]->id] = graph_input(flat, "q", HONE_FLOAT32, SHAPE(3));
    check_ok(hone_graph_append(flat, no, "no/", map, &err));
    hone_graph_add_output(flat, map[no->outputs[0]->id]);
    assert_int_equal(flat->node_count, 2);
    check_ok(hone_graph_infer(flat, &err));
    hone_free(map);
    hone_graph_free(flat);
    hone_graph_free(g);
}

/* Nodes at the bottom in the wrong order. */
static void test_sort(void **state) {
    (void)state;
    hone_graph *g = control_nested(), *no = sub_of(sub_of(g, "loop", "body"), "if", "else_branch");
    hone_node *relu = no->first;
    hone_value *last = graph_op(no, "Neg", relu->outputs[0]);
    hone_node_set_input(no, relu, 0, graph_op(no, "Tanh", relu->inputs[0]));
    no->outputs[0] = last;
    check_ok(hone_graph_sort(g, &err));
    assert_string_equal(no->first->op->name, "Tanh");
    hone_node_set_input(no, no->first, 0, last);
    assert_int_equal(hone_graph_sort(g, &err), HONE_CORRUPT);
    hone_graph_free(g);
}

/* What only a dead node at the bottom used is no input at the top any more. */
static void test_prune(void **state) {
    (void)state;
    hone_graph *g = control_nested(), *body = sub_of(g, "loop", "body");
    hone_graph *no = sub_of(body, "if", "else_branch");
    hone_value *x = hone_graph_find(g, "x"), *made = graph_op(g, "Neg", x);
    hone_node *neg = made->producer;
    hone_value *c = graph_constant(g, "c", tensor_make(HONE_FLOAT32, SHAPE(3)));
    graph_op(no, "Add", hone_graph_capture(no, made), hone_graph_capture(no, c));
    hone_node *loop = g->first == neg ? neg->next : g->first;
    assert_int_equal(loop->input_count, 7);
    check_ok(hone_graph_sort(g, &err)); /* Neg goes before the loop, as any maker does */
    assert_ptr_equal(g->first, neg);
    hone_graph_prune(g);
    assert_int_equal(loop->input_count, 5);
    assert_int_equal(g->node_count, 1);
    assert_null(hone_graph_find(g, "c"));
    assert_sound_inside(g);

    hone_graph *yes =
        sub_of(body, "if", "then_branch"); /* the first of two captures goes, the second moves up */
    no->outputs[0] = graph_op(no, "Neg", hone_graph_capture(no, hone_graph_find(g, "w")));
    yes->outputs[0] = graph_op(yes, "Neg", hone_graph_capture(yes, hone_graph_find(g, "w")));
    hone_graph_prune(g);
    assert_sound_inside(g);
    assert_int_equal(body->first->input_count, 2);
    assert_ptr_equal(outermost(yes, yes->first->inputs[0]), hone_graph_find(g, "w"));
    assert_int_equal(yes->node_count, 1);
    hone_graph_free(g);
}

static void expect_type(const hone_graph *g, const char *value, const char *wanted) {
    char text[96];
    assert_string_equal(hone_type_format(g, &hone_graph_find(g, value)->type, text, sizeof text), wanted);
}

static void test_inference(void **state) {
    (void)state;
    hone_graph *g = control_nested();
    check_ok(hone_graph_infer(g, &err));
    const hone_graph *body = sub_of(g, "loop", "body"), *yes = sub_of(body, "if", "then_branch");
    const hone_graph *step = sub_of(yes, "scan", "body");
    expect_type(g, "y", "float32[rows, 3]");
    expect_type(g, "all", "float32[?, rows, 3]");
    expect_type(body, "a", "float32[rows, 3]");
    expect_type(body, "i", "int64[]");
    expect_type(step, "row", "float32[3]");
    expect_type(step, "w", "float32[3]");
    check_ok(hone_graph_infer(g, &err)); /* the same again */
    expect_type(g, "y", "float32[rows, 3]");
    hone_graph_free(g);
}

/* body: a, u -> Neg(u) and a: u's first dimension changes from run to run. */
static void test_shapes_that_change(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("change");
    hone_value *u = graph_input(g, "u", HONE_FLOAT32, SHAPE(2, 3)),
               *a = graph_input(g, "a", HONE_FLOAT32, SHAPE(4, 3));
    hone_value *trips = graph_input(g, "trips", HONE_INT64, 0, NULL);
    hone_node *loop = control_node(g, "Loop", "loop", 2, 4, (hone_value *[]){trips, NULL, u, a});
    hone_graph *body = hone_node_add_graph(g, loop, "body");
    control_input(body, "i", HONE_INT64);
    hone_value *go = control_input(body, "go", HONE_BOOL), *p = control_input(body, "p", HONE_FLOAT32);
    hone_value *q = control_input(body, "q", HONE_FLOAT32);
    hone_graph_add_output(body, go);
    hone_graph_add_output(body, q);
    hone_graph_add_output(body, graph_op(body, "Neg", p));
    hone_graph_rename(g, loop->outputs[0], "y");
    hone_graph_add_output(g, loop->outputs[0]);
    check_ok(hone_graph_infer(g, &err));
    expect_type(g, "y", "float32[?, 3]");
    expect_type(body, "p", "float32[?, 3]");
    hone_graph_free(g);
}

/* An If whose branches give 2 × 3 and 2 × 4, then float32 and int64. */
static void test_branches(void **state) {
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        hone_graph *g = hone_graph_new("branches");
        hone_value *flag = graph_input(g, "flag", HONE_BOOL, 0, NULL);
        hone_node *n = control_node(g, "If", "if", 1, 1, &flag);
        const char *names[] = {"then_branch", "else_branch"};
        for (int i = 0; i < 2; i++) {
            hone_graph *branch = hone_node_add_graph(g, n, names[i]);
            hone_tensor *t = tensor_make(i && bad ? HONE_INT64 : HONE_FLOAT32, SHAPE(2, 3 + i));
            hone_graph_add_output(branch, graph_op(branch, "Identity", graph_constant(branch, "c", t)));
        }
        hone_graph_rename(g, n->outputs[0], "y");
        hone_graph_add_output(g, n->outputs[0]);
        hone_status status = hone_graph_infer(g, &err);
        assert_int_equal(status, bad ? HONE_INVALID_ARGUMENT : HONE_OK);
        if (bad)
            assert_non_null(strstr(err.message, "one branch"));
        else
            expect_type(g, "y", "float32[2, ?]");
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_captures),
        cmocka_unit_test(test_capture_names_what_is_not_around),
        cmocka_unit_test(test_variables_inside),
        cmocka_unit_test(test_inputs_stay_before_captures),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_append_of_a_body),
        cmocka_unit_test(test_sort),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_inference),
        cmocka_unit_test(test_shapes_that_change),
        cmocka_unit_test(test_branches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
