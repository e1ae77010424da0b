#include "graph/rewrite.h"

#include "support/graphs.h"

static hone_graph *chain(void) {
    hone_graph *g = hone_graph_new("chain");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3)),
               *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(3, 4), 1));
    hone_value *y = graph_op(g, "Exp", graph_op(g, "Relu", graph_op(g, "MatMul", x, w)));
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    hone_error err;
    check_ok(hone_graph_infer(g, &err));
    return g;
}

static size_t nodes_without(const char *disabled) {
    hone_error err;
    hone_graph *g = chain();
    check_ok(hone_graph_rewrite(g, disabled, &err));
    size_t count = g->node_count;
    assert_string_equal(g->outputs[0]->name, "y");
    hone_graph_free(g);
    return count;
}

static void test_switching_off(void **state) {
    (void)state;
    assert_int_equal(nodes_without(NULL), 1);
    assert_int_equal(nodes_without(""), 1);
    assert_int_equal(nodes_without("all"), 3);
    assert_int_equal(nodes_without("fuse-epilogue"), 2);
    assert_int_equal(nodes_without("fuse-epilogue,fuse-elementwise"), 3);
    assert_int_equal(nodes_without("fuse-elementwise,all"), 3);
    assert_int_equal(nodes_without("fuse-elementwise"), 2); /* one epilogue; the other stays */
}

static void test_unknown_names(void **state) {
    (void)state;
    static const char *const wrong[] = {"fuse", "fuse-elementwise,nothing", "fuse-elementwise ",
                                        "ALL",  "fuse-elementwisex",        ",fuse-epilogue"};
    for (int i = 0; i < COUNT(wrong); i++) {
        hone_error err;
        hone_graph *g = chain();
        size_t nodes = g->node_count;
        assert_int_equal(hone_graph_rewrite(g, wrong[i], &err), HONE_INVALID_ARGUMENT);
        assert_int_equal(g->node_count, nodes);
        hone_graph_free(g);
    }
}

static void test_the_list(void **state) {
    (void)state;
    int count = 0;
    assert_null(hone_rewrite_at(-1));
    for (; hone_rewrite_at(count); count++) {
        const hone_rewrite *r = hone_rewrite_at(count);
        assert_true(strlen(r->doc) > 10);
        assert_null(strchr(r->name, ','));
        assert_true(strcmp(r->name, "all") != 0);
        for (int k = 0; k < count; k++) assert_string_not_equal(r->name, hone_rewrite_at(k)->name);
    }
    assert_true(count > 0);
}

static void test_every_allocation_fails(void **state) {
    (void)state;
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        hone_error err;
        hone_graph *g = chain();
        hone_alloc_fail_at(n, true);
        hone_status status = hone_graph_rewrite(g, NULL, &err);
        hone_alloc_fail_at(0, false);
        assert_true(status == HONE_OK || status == HONE_OUT_OF_MEMORY);
        done = status == HONE_OK && g->node_count == 1;
        hone_graph_free(g);
    }
}

/* --- the driver, with rows of its own --- */

static const hone_rewrite *rows; /* of the test that runs */

static const hone_rewrite *own_row(int index) {
    for (int i = 0; i <= index; i++)
        if (!rows[i].name) return NULL;
    return index >= 0 ? &rows[index] : NULL;
}

static hone_status run_rows(const hone_rewrite *list, hone_graph *g, const char *disabled, hone_error *err) {
    hone_rewrites *r = NULL;
    rows = list;
    hone_status status = hone_rewrites_new(own_row, &r, err);
    for (int stage = 0; stage < HONE_STAGE_COUNT && status == HONE_OK; stage++)
        status = hone_rewrites_run(r, g, (hone_stage)stage, disabled, err);
    hone_rewrites_free(r);
    return status;
}

/* "Relu Exp" of an input: the operators from the input on. */
static hone_graph *line_of(const char *ops) {
    hone_graph *g = hone_graph_new("line");
    hone_value *v = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3));
    char text[200], *save;
    snprintf(text, sizeof text, "%s", ops);
    for (char *op = strtok_r(text, " ", &save); op; op = strtok_r(NULL, " ", &save)) v = graph_op(g, op, v);
    hone_graph_rename(g, v, "y");
    hone_graph_add_output(g, v);
    hone_error err;
    check_ok(hone_graph_infer(g, &err));
    return g;
}

static void assert_line(const hone_rewrite *list, const char *ops, const char *disabled, const char *wanted) {
    hone_graph *g = line_of(ops);
    hone_error err;
    char text[200] = "";
    check_ok(run_rows(list, g, disabled, &err));
    for (const hone_node *n = g->first; n; n = n->next) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "", n->op->name);
        assert_int_equal(n->outputs[0]->type.rank, 2); /* inferred */
    }
    assert_string_equal(text, wanted);
    assert_string_equal(g->outputs[0]->name, "y");
    hone_graph_free(g);
}

#define ROW(n, pattern, result)                                                                              \
    { .name = (n), .stage = HONE_STAGE_LOWER, .match = {pattern}, .replace = (result) }

static void test_larger_matches_first(void **state) {
    (void)state;
    static const hone_rewrite list[] = {
        ROW("small", "Exp(x)", "Neg(x)"), ROW("large", "Relu(Exp(x))", "Tanh(x)"), {0}};
    assert_line(list, "Exp Relu", NULL, "Tanh");
    assert_line(list, "Exp Exp Relu", NULL, "Neg Tanh");
    assert_line(list, "Exp Relu", "large", "Neg Relu");
    assert_line(list, "Exp Relu Exp", "small", "Tanh Exp");
    assert_line(list, "Exp Relu", "all", "Exp Relu");
}

static void test_order_of_rows(void **state) {
    (void)state;
    static const hone_rewrite list[] = {
        ROW("first", "Exp(x)", "Neg(x)"), ROW("second", "Exp(x)", "Tanh(x)"), {0}};
    static const hone_rewrite forms[] = {
        {.name = "forms", .stage = HONE_STAGE_LOWER, .match = {"Exp(x)", "Relu(x)"}, .replace = "Neg(x)"},
        {0}};
    assert_line(list, "Exp Exp", NULL, "Neg Neg");
    assert_line(list, "Exp Exp", "first", "Tanh Tanh");
    assert_line(forms, "Exp Tanh Relu", NULL, "Neg Tanh Neg");
}

/* What a row makes is matched by others, in later sweeps. */
static void test_until_nothing_matches(void **state) {
    (void)state;
    static const hone_rewrite list[] = {
        ROW("a", "Tanh(Tanh(x))", "Exp(x)"), ROW("b", "Exp(Exp(x))", "Relu(x)"), {0}};
    assert_line(list, "Tanh Tanh Tanh Tanh", NULL, "Relu");
    assert_line(list, "Tanh Tanh Exp Tanh Tanh Exp", NULL, "Relu Relu");
}

static hone_status exp_to_neg(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next) {
        if (strcmp(n->op->name, "Exp") != 0) continue;
        g->insert_before = n;
        hone_graph_replace(g, n->outputs[0], graph_op(g, "Neg", n->inputs[0]));
        g->insert_before = NULL;
        ++*changes;
    }
    return hone_graph_check(g, err);
}

/* Stages run one after the other, and functions stand between the patterns before and after them. */
static void test_stages(void **state) {
    (void)state;
    static const hone_rewrite stages[] = {
        {.name = "a", .stage = HONE_STAGE_CANONICAL, .match = {"Exp(x)"}, .replace = "Tanh(x)"},
        {.name = "b", .stage = HONE_STAGE_LOWER, .match = {"Tanh(x)"}, .replace = "Exp(x)"},
        {.name = "c", .stage = HONE_STAGE_FUSE, .match = {"Exp(x)"}, .replace = "Neg(x)"},
        {0}};
    assert_line(stages, "Exp Relu", NULL, "Neg Relu");
    assert_line(stages, "Exp Relu", "c", "Exp Relu");
    static const hone_rewrite functions[] = {
        {.name = "a", .stage = HONE_STAGE_LOWER, .match = {"Relu(x)"}, .replace = "Exp(x)"},
        {.name = "b", .stage = HONE_STAGE_LOWER, .run = exp_to_neg},
        {.name = "c", .stage = HONE_STAGE_LOWER, .match = {"Neg(x)"}, .replace = "Tanh(x)"},
        {.name = "d", .stage = HONE_STAGE_LOWER, .match = {"Sigmoid(x)"}, .replace = "Exp(x)"},
        {0}};
    assert_line(functions, "Relu Sigmoid", NULL, "Tanh Exp");
    assert_line(functions, "Relu Sigmoid", "b", "Exp Exp");
    assert_line(functions, "Relu Sigmoid", "a,d", "Relu Sigmoid");
}

static hone_value *give_x(hone_match *m) {
    return hone_match_value(m, "x");
}

static hone_value *give_nothing(hone_match *m) {
    (void)m;
    return NULL;
}

/* A value that was there before takes over, unless an output of the graph would lose its name. */
static void test_values_that_take_over(void **state) {
    (void)state;
    static const hone_rewrite list[] = {
        {.name = "twice", .stage = HONE_STAGE_LOWER, .match = {"Neg(Neg(x))"}, .build = give_x}, {0}};
    static const hone_rewrite none[] = {
        {.name = "none", .stage = HONE_STAGE_LOWER, .match = {"Neg(x)"}, .build = give_nothing},
        {.name = "next", .stage = HONE_STAGE_LOWER, .match = {"Neg(x)"}, .replace = "Exp(x)"},
        {0}};
    assert_line(list, "Neg Neg Relu", NULL, "Relu");
    assert_line(list, "Neg Neg Neg Neg Neg Relu", NULL, "Neg Relu");
    assert_line(list, "Relu Neg Neg", NULL, "Relu Neg Neg");
    assert_line(none, "Neg", NULL, "Exp");
}

static int checks;

static bool count_check(const hone_match *m) {
    (void)m;
    checks++;
    return true;
}

/* One node that moves through a chain needs work in proportion to it, not a sweep for each step. */
static void test_chains_are_linear(void **state) {
    (void)state;
    enum { LENGTH = 20000 };
    static const hone_rewrite list[] = {{.name = "move",
                                         .stage = HONE_STAGE_LOWER,
                                         .match = {"<view>(Exp(x))"},
                                         .replace = "Exp(Identity(x))",
                                         .check = count_check},
                                        {0}};
    hone_graph *g = hone_graph_new("chain");
    hone_error err;
    hone_value *v = graph_op(g, "Exp", graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3)));
    for (int i = 0; i < LENGTH; i++) v = graph_op(g, "Identity", v);
    hone_graph_add_output(g, v);
    check_ok(hone_graph_infer(g, &err));
    checks = 0;
    check_ok(run_rows(list, g, NULL, &err));
    assert_int_equal(checks, LENGTH);
    assert_string_equal(g->last->op->name, "Exp");
    assert_int_equal(g->node_count, LENGTH + 1);
    hone_graph_free(g);
}

static void test_circles(void **state) {
    (void)state;
    static const hone_rewrite list[] = {
        ROW("there", "Exp(x)", "Tanh(x)"), ROW("back", "Tanh(x)", "Exp(x)"), {0}};
    static const hone_rewrite grows[] = {ROW("grows", "Exp(x)", "Exp(Neg(x))"), {0}};
    for (int i = 0; i < 2; i++) {
        hone_error err;
        hone_graph *g = line_of("Exp Relu");
        assert_int_equal(run_rows(i ? grows : list, g, NULL, &err), HONE_INTERNAL);
        assert_non_null(strstr(err.message, i ? "grows" : "there"));
        hone_graph_free(g);
    }
}

static void test_wrong_rows(void **state) {
    (void)state;
    static const hone_rewrite list[] = {
        ROW("fine", "Exp(x)", "Tanh(x)"), ROW("wrong", "Exp(x)", "Tanh(y)"), {0}};
    hone_error err;
    hone_graph *g = line_of("Relu");
    assert_int_equal(run_rows(list, g, NULL, &err), HONE_INTERNAL);
    hone_graph_free(g);
}

static void test_every_allocation_of_rows_fails(void **state) {
    (void)state;
    static const hone_rewrite list[] = {ROW("a", "Tanh(Tanh(x))", "Exp(Identity(x))"),
                                        ROW("b", "Relu(x)", "LeakyRelu(Neg(x); alpha=0.5)"),
                                        {0}};
    bool done = false;
    for (uint64_t n = 1; !done; n++) {
        hone_error err;
        hone_graph *g = line_of("Tanh Tanh Relu Tanh Tanh");
        hone_alloc_fail_at(n, true);
        hone_status status = run_rows(list, g, NULL, &err);
        hone_alloc_fail_at(0, false);
        assert_true(status == HONE_OK || status == HONE_OUT_OF_MEMORY);
        done = status == HONE_OK;
        if (done) assert_int_equal(g->node_count, 6);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switching_off),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_the_list),
        cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_larger_matches_first),
        cmocka_unit_test(test_order_of_rows),
        cmocka_unit_test(test_until_nothing_matches),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_values_that_take_over),
        cmocka_unit_test(test_chains_are_linear),
        cmocka_unit_test(test_circles),
        cmocka_unit_test(test_wrong_rows),
        cmocka_unit_test(test_every_allocation_of_rows_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
