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
    hone_reg a = hone_map_input(m, 0, HONE_FLOAT32), b = hone_map_input(m, 2, HONE_FLOAT32);
    assert_int_equal(m->inputs, 3);
    assert_int_equal(hone_map_input(m, 0, HONE_FLOAT32), a);
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
    hone_error err;
    check_ok(hone_graph_infer(g, &err));
    hone_map *inner = hone_map_new(arena); /* max(in0 + in1, 0) */
    hone_reg operands[2] = {hone_map_input(inner, 0, HONE_FLOAT32), hone_map_input(inner, 1, HONE_FLOAT32)},
             sum, result;
    hone_map_emit(inner, add, operands, &sum);
    hone_map_emit(inner, relu, &sum, &result);
    hone_map_add_output(inner, result);
    hone_map *m = hone_map_new(arena); /* the same of in3 and in3 * in3 */
    hone_reg in = hone_map_input(m, 3, HONE_FLOAT32), both[2] = {in, hone_map_mul(m, in, in)};
    hone_reg r;
    hone_map_inline(m, inner, both, &r);
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

static hone_reg input_of(hone_map *m, const hone_value *v) {
    return hone_map_input(m, v->id, v->type.dtype);
}

static hone_reg emit(hone_map *m, const hone_value *v, hone_reg a, hone_reg b, hone_reg c) {
    hone_reg result;
    hone_map_emit(m, v->producer, (hone_reg[]){a, b, c}, &result);
    assert_true(hone_map_ok(m));
    assert_int_equal(m->code[result].dtype, v->type.dtype); /* what the graph says */
    return result;
}

/* A mask is selected by in the type that it was compared in. */
static void test_masks_stay_in_registers(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_INT64};
    for (int kind = 0; kind < COUNT(dtypes); kind++) {
        hone_error err;
        hone_graph *g = hone_graph_new("mask");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2)),
                   *y = graph_input(g, "y", dtypes[kind], SHAPE(2));
        hone_value *mask = graph_op(g, "Greater", y, y), *both = graph_op(g, "And", mask, mask),
                   *where = graph_op(g, "Where", both, x, x);
        check_ok(hone_graph_infer(g, &err));
        hone_map *m = hone_map_new(arena);
        hone_reg rx = input_of(m, x), ry = input_of(m, y), r = emit(m, mask, ry, ry, -1);
        assert_int_equal(m->code[r].op, HONE_VOP_CAST); /* to a bool in memory, if it were an output */
        hone_reg select = emit(m, where, emit(m, both, r, r, -1), rx, rx);
        const hone_map_code *c = &m->code[select], *by = &m->code[c->a];
        assert_int_equal(c->op, HONE_VOP_SELECT);
        assert_int_equal(by->op, kind ? HONE_VOP_CAST : HONE_VOP_MIN);
        if (kind) by = &m->code[by->a];
        assert_int_equal(by->op, HONE_VOP_MIN); /* And */
        assert_int_equal(by->dtype, dtypes[kind]);
        hone_graph_free(g);
    }
}

/* Arithmetic is rounded and wrapped where an operator ends, unless that would change nothing. */
static void test_narrow_results(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_FLOAT16, HONE_BFLOAT16, HONE_INT8, HONE_UINT16};
    for (int kind = 0; kind < COUNT(dtypes); kind++)
        for (int pass = 0; pass < 2; pass++) {
            hone_error err;
            hone_graph *g = hone_graph_new("narrow");
            hone_value *x = graph_input(g, "x", dtypes[kind], SHAPE(2));
            hone_value *first = graph_op(g, pass ? "Max" : "Add", x, x),
                       *second = graph_op(g, "Mul", first, x);
            check_ok(hone_graph_infer(g, &err));
            hone_map *m = hone_map_new(arena);
            hone_reg in = input_of(m, x), r = emit(m, second, emit(m, first, in, in, -1), in, -1);
            assert_int_equal(m->code[r].op, HONE_VOP_CAST);
            const hone_map_code *mul = &m->code[m->code[r].a], *operand = &m->code[mul->a];
            assert_int_equal(mul->op, HONE_VOP_MUL);
            assert_int_equal(mul->dtype, kind < 2 ? HONE_FLOAT32 : HONE_INT32);
            assert_int_equal(operand->op, pass ? HONE_VOP_MAX : HONE_VOP_CAST);
            if (!pass) assert_int_equal(m->code[operand->a].dtype, dtypes[kind]);
            hone_graph_free(g);
        }
}

/* A conversion that changed nothing is passed by; one that did is not. */
static void test_conversions(void **state) {
    (void)state;
    hone_map *m = hone_map_new(arena);
    hone_reg byte = hone_map_input(m, 0, HONE_UINT8), real = hone_map_input(m, 1, HONE_FLOAT32);
    hone_reg wide = hone_map_cast(m, byte, HONE_FLOAT64);
    assert_int_equal(hone_map_cast(m, wide, HONE_UINT8), byte);
    hone_reg half = hone_map_cast(m, wide, HONE_FLOAT16);
    assert_int_equal(m->code[half].a, byte);
    assert_int_equal(m->code[hone_map_cast(m, real, HONE_FLOAT32)].op, HONE_MAP_INPUT);
    half = hone_map_cast(m, real, HONE_FLOAT16);
    assert_int_not_equal(hone_map_cast(m, half, HONE_FLOAT32), real);
    /* 200 as a float is held at 127, as a byte it wraps: the way there counts */
    hone_reg held = hone_map_cast(m, hone_map_cast(m, byte, HONE_FLOAT32), HONE_INT8);
    assert_int_equal(m->code[m->code[held].a].dtype, HONE_FLOAT32);
    assert_int_equal(m->code[hone_map_cast(m, byte, HONE_INT8)].a, byte);
    /* to bool: what is not 0, NaN included */
    hone_reg flag = hone_map_cast(m, real, HONE_BOOL);
    assert_int_equal(m->code[flag].op, HONE_VOP_NE);
    assert_int_equal(hone_map_cast(m, flag, HONE_BOOL), flag);
    assert_int_equal(m->code[hone_map_quantize(m, real, hone_map_const(m, 3), HONE_INT8)].op,
                     HONE_VOP_QUANTIZE);
    assert_true(hone_map_ok(m));
}

static void test_limits(void **state) {
    (void)state;
    hone_map *m = hone_map_new(arena);
    hone_reg a = hone_map_input(m, 0, HONE_FLOAT32);
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
            hone_reg r = hone_map_input(m, round, HONE_FLOAT32);
            for (int i = 0; i < 400; i++) r = hone_map_add(m, r, hone_map_const(m, i));
            hone_map *outer = hone_map_new(own), *copy = hone_map_copy(own, m);
            hone_map_add_output(m, r);
            hone_reg in[3] = {0, 0, 0};
            if (outer && hone_map_ok(m)) {
                for (int i = 0; i < 3; i++) in[i] = hone_map_input(outer, i, HONE_FLOAT32);
                hone_reg joined;
                hone_map_inline(outer, m, in, &joined);
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
        cmocka_unit_test_setup_teardown(test_masks_stay_in_registers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_narrow_results, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conversions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
