#include "graph/map.h"

#include "support/graphs.h"

static hone_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = hone_arena_new();
    return arena ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    hone_arena_free(arena);
    return 0;
}

static void test_same_code_is_one_register(void **state) {
    (void)state;
    hone_map *m = hone_map_new(arena);
    hone_reg a = hone_map_input(m, 0), b = hone_map_input(m, 2);
    assert_int_equal(m->inputs, 3);
    assert_int_equal(hone_map_input(m, 0), a);
    assert_int_equal(hone_map_add(m, a, b), hone_map_add(m, a, b));
    assert_int_not_equal(hone_map_sub(m, a, b), hone_map_sub(m, b, a));
    assert_int_not_equal(hone_map_add(m, a, b), hone_map_mul(m, a, b));
    assert_int_equal(hone_map_const(m, 0.5), hone_map_const(m, 0.5));
    assert_int_not_equal(hone_map_const(m, 0.0), hone_map_const(m, -0.0));
    assert_int_equal(hone_map_const(m, NAN), hone_map_const(m, NAN));
    assert_true(hone_map_ok(m));
}

static void test_emit_and_inline(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("maps");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2));
    hone_node *add = graph_op(g, "Add", x, x)->producer, *relu = graph_op(g, "Relu", x)->producer;
    hone_map *inner = hone_map_new(arena); /* max(in0 + in1, 0) */
    hone_reg operands[2] = {hone_map_input(inner, 0), hone_map_input(inner, 1)}, sum, result;
    hone_map_emit(inner, add, operands, &sum);
    hone_map_emit(inner, relu, &sum, &result);
    hone_map_add_output(inner, result);
    hone_map *m = hone_map_new(arena); /* the same of in3 and in3 * in3 */
    hone_reg in = hone_map_input(m, 3), both[2] = {in, hone_map_mul(m, in, in)};
    hone_reg r = hone_map_inline(m, inner, both);
    hone_map_add_output(m, r);
    assert_true(hone_map_ok(m));
    assert_int_equal(m->code[r].op, HONE_VOP_MAX);
    const hone_map_code *a = &m->code[m->code[r].a];
    assert_int_equal(a->op, HONE_VOP_ADD);
    assert_int_equal(a->a, both[0]);
    assert_int_equal(a->b, both[1]);
    assert_int_equal(m->code[m->code[r].b].op, HONE_MAP_CONST);
    hone_map *copy = hone_map_copy(arena, m);
    int count = m->count;
    hone_map_neg(copy, r);
    assert_int_equal(copy->count, count + 1);
    assert_int_equal(m->count, count); /* apart */
    assert_int_equal(copy->output[0], m->output[0]);
    assert_int_equal(copy->inputs, 4);
    hone_graph_free(g);
}

static void test_limits(void **state) {
    (void)state;
    hone_map *m = hone_map_new(arena);
    hone_reg a = hone_map_input(m, 0);
    for (int i = 0; i < HONE_MAP_MAX_OUTPUTS; i++) hone_map_add_output(m, a);
    assert_true(hone_map_ok(m));
    hone_map_add_output(m, a);
    assert_false(hone_map_ok(m));
    assert_false(hone_map_ok(NULL));
    m = hone_map_new(arena);
    hone_map_add_output(m, -1);
    assert_false(hone_map_ok(m));
}

/* Code that is made after memory ran out is never read. */
static void test_out_of_memory(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 8; n++) {
        hone_arena *own = hone_arena_new();
        hone_alloc_fail_at(n, true);
        hone_map *m = hone_map_new(own);
        for (int round = 0; m && round < 3; round++) {
            hone_reg r = hone_map_input(m, round);
            for (int i = 0; i < 400; i++) r = hone_map_add(m, r, hone_map_const(m, i));
            hone_map *outer = hone_map_new(own), *copy = hone_map_copy(own, m);
            hone_map_add_output(m, r);
            hone_reg in[3] = {0, 0, 0};
            if (outer && hone_map_ok(m)) {
                for (int i = 0; i < 3; i++) in[i] = hone_map_input(outer, i);
                hone_reg joined = hone_map_inline(outer, m, in);
                assert_true(joined >= 0 || !hone_map_ok(outer));
            }
            if (copy) assert_int_equal(copy->count, m->count);
        }
        hone_alloc_fail_at(0, false);
        hone_arena_free(own);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_code_is_one_register, setup, teardown),
        cmocka_unit_test_setup_teardown(test_emit_and_inline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
