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
        assert_non_null(r->run);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switching_off),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_the_list),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
