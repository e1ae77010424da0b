/* Graphs with and without their rewrites give the same. */
#include "graph/rewrite.h"
#include "ops/each_level.h"
#include "support/graphs.h"

enum { SIDE = 6, INPUTS = 4, VALUES = 26, MAX_OUTPUTS = 8 };

static hone_value *pick(hone_rng *r, hone_value *const *v, int count) {
    int recent = count < 6 ? count : 6; /* mostly what was made last, so that chains get long */
    return hone_rng_below(r, 3) ? v[count - 1 - (int)hone_rng_below(r, (uint32_t)recent)]
                                : v[hone_rng_below(r, (uint32_t)count)];
}

/* `inputs` broadcast to the matrices v. */
static hone_value *random_float(hone_graph *g, hone_rng *r, hone_dtype dtype, hone_value *const *inputs,
                                hone_value *const *v, int count) {
    hone_value *a = pick(r, v, count), *b = pick(r, v, count), *y;
    switch (hone_rng_below(r, 14)) {
    case 0: return graph_op(g, "Add", a, b);
    case 1: return graph_op(g, "Sub", a, b);
    case 2: return graph_op(g, "Mul", graph_op(g, "Tanh", a), b);
    case 3:
        return graph_op(
            g, "Div", a,
            graph_op(g, "Add", graph_op(g, "Exp", graph_op(g, "Tanh", b)), hone_graph_scalar(g, dtype, 1)));
    case 4: return graph_op(g, "Relu", a);
    case 5: return graph_op(g, "Sigmoid", a);
    case 6: return graph_op(g, "Gelu", a);
    case 7: return graph_op(g, "Neg", a);
    case 8: return graph_op(g, "Mul", a, hone_graph_scalar(g, dtype, 0.5));
    case 9:
        return graph_op(g, "Relu",
                        graph_op(g, "Add", graph_op(g, "MatMul", graph_op(g, "Tanh", a), b), inputs[1]));
    case 10:
        return graph_op(g, "MatMul", graph_op(g, "Sigmoid", a),
                        graph_constant(g, "w", tensor_random(dtype, SHAPE(SIDE, SIDE), hone_rng_u32(r))));
    case 11: return graph_op(g, "Softmax", a);
    default:
        y = graph_op(g, "Gemm", graph_op(g, "Tanh", a), graph_op(g, "Tanh", b), inputs[hone_rng_below(r, 4)]);
        hone_node_set_float(g, y->producer, "beta", hone_rng_below(r, 2) ? 1 : 0.5f);
        hone_node_set_int(g, y->producer, "transB", hone_rng_below(r, 2));
        return y;
    }
}

static hone_value *random_integer(hone_graph *g, hone_rng *r, hone_value *const *v, int count) {
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
    return graph_op(g, ops[hone_rng_below(r, 4)], pick(r, v, count), pick(r, v, count));
}

/* Inputs: a matrix, a row, a column, a scalar. All later values that matter are matrices, some in between are
 * not. */
static hone_graph *random_graph(hone_dtype dtype, uint64_t seed, hone_tensor **in, int *outputs) {
    static const struct {
        int rank;
        int64_t dims[2];
    } shapes[INPUTS] = {{2, {SIDE, SIDE}}, {1, {SIDE}}, {2, {SIDE, 1}}, {0, {0}}};
    hone_graph *g = hone_graph_new("random");
    hone_rng r = hone_rng_make(seed, 3);
    hone_value *v[VALUES];
    int count = 0;
    for (; count < INPUTS; count++) {
        v[count] = graph_input(g, NULL, dtype, shapes[count].rank, shapes[count].dims);
        in[count] = tensor_random(dtype, shapes[count].rank, shapes[count].dims, seed + (uint64_t)count);
    }
    hone_value *matrices[VALUES] = {v[0]}; /* products and results draw on these */
    for (int n = 1; count < VALUES; count++) {
        hone_value *row = v[1 + hone_rng_below(&r, 3)];
        if (!hone_dtype_is_float(dtype))
            v[count] = random_integer(g, &r, matrices, n);
        else if (hone_rng_below(&r, 4) == 0)
            v[count] = graph_op(g, hone_rng_below(&r, 2) ? "Add" : "Mul", matrices[n - 1], row);
        else
            v[count] = random_float(g, &r, dtype, v, matrices, n);
        matrices[n++] = v[count];
    }
    *outputs = 0;
    hone_graph_add_output(g, v[VALUES - 1]);
    for (int i = INPUTS; i < VALUES - 1 && *outputs < MAX_OUTPUTS - 2; i++) /* some in the middle of chains */
        if (hone_rng_below(&r, 6) == 0) hone_graph_add_output(g, v[i]), ++*outputs;
    ++*outputs;
    return g;
}

static void compare(hone_dtype dtype, uint64_t seed, double bound) {
    hone_tensor *in[INPUTS], *plain[MAX_OUTPUTS], *fused[MAX_OUTPUTS];
    int outputs;
    hone_graph *g = random_graph(dtype, seed, in, &outputs);
    graph_run(g, "all", in, plain, outputs);
    graph_run(g, NULL, in, fused, outputs);
    for (int i = 0; i < outputs; i++) {
        if (bound == 0)
            assert_same_bits(fused[i], plain[i]);
        else
            assert_close(fused[i], plain[i], bound);
        hone_tensor_free(plain[i]);
        hone_tensor_free(fused[i]);
    }
    for (int i = 0; i < INPUTS; i++) hone_tensor_free(in[i]);
    hone_graph_free(g);
}

static void test_random_graphs(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        compare(HONE_FLOAT32, seed, 1e-6);
        compare(HONE_FLOAT64, seed, 1e-13);
    }
}

/* What wraps after each operator must wrap so in a chain, too. */
static void test_random_integer_graphs(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        compare(HONE_INT32, seed, 0);
        compare(HONE_INT64, seed, 0);
    }
}

static void test_narrow_integers_wrap(void **state) {
    (void)state;
    static const struct {
        hone_dtype dtype;
        uint8_t x[4], y[4], want[4]; /* (x + y) / y */
    } cases[] = {{HONE_UINT8, {200, 255, 3, 128}, {100, 1, 2, 128}, {0, 0, 2, 0}},
                 {HONE_INT8, {100, 127, 3, 0x80}, {100, 1, 2, 0xff}, {0, 0x80, 2, 0x81}}};
    for (int c = 0; c < COUNT(cases); c++) {
        for (int pass = 0; pass < 2; pass++) {
            hone_graph *g = hone_graph_new("narrow");
            hone_value *x = graph_input(g, "x", cases[c].dtype, SHAPE(4)),
                       *y = graph_input(g, "y", cases[c].dtype, SHAPE(4));
            hone_graph_add_output(g, graph_op(g, "Div", graph_op(g, "Add", x, y), y));
            hone_tensor *in[] = {tensor_make(cases[c].dtype, SHAPE(4)),
                                 tensor_make(cases[c].dtype, SHAPE(4))},
                        *out;
            memcpy(in[0]->data, cases[c].x, 4);
            memcpy(in[1]->data, cases[c].y, 4);
            graph_run(g, pass ? NULL : "all", in, &out, 1);
            assert_memory_equal(out->data, cases[c].want, 4);
            hone_tensor_free(in[0]);
            hone_tensor_free(in[1]);
            hone_tensor_free(out);
            hone_graph_free(g);
        }
    }
}

/* How many steps are left of a graph. */
static int steps(hone_graph *g) {
    hone_error err;
    hone_model *m = NULL;
    check_ok(hone_model_compile(g, NULL, &m, &err));
    int count = model_steps(m);
    hone_model_free(m);
    return count;
}

static hone_value *matrix(hone_graph *g, const char *name) {
    return graph_input(g, name, HONE_FLOAT32, SHAPE(SIDE, SIDE));
}

static void test_what_is_fused(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("shared");
    hone_value *x = matrix(g, "x"), *shared = graph_op(g, "Exp", graph_op(g, "Neg", x));
    hone_value *y = graph_op(g, "Add", graph_op(g, "Relu", shared), graph_op(g, "Tanh", shared));
    hone_graph_add_output(g, y);
    assert_int_equal(steps(g), 1); /* all the way, although a value is read twice */
    hone_graph_add_output(g, shared);
    assert_int_equal(steps(g), 2); /* an output has to be there */
    hone_graph_free(g);

    g = hone_graph_new("epilogue"); /* one program behind the product, whichever side it is on */
    hone_value *a = matrix(g, "a"), *b = matrix(g, "b"),
               *row = graph_input(g, "row", HONE_FLOAT32, SHAPE(SIDE));
    hone_graph_add_output(g, graph_op(g, "Relu", graph_op(g, "Add", row, graph_op(g, "MatMul", a, b))));
    assert_int_equal(steps(g), 1);
    hone_graph_free(g);

    g = hone_graph_new("broadcast"); /* a row's own arithmetic stays a row's */
    a = matrix(g, "a");
    row = graph_input(g, "row", HONE_FLOAT32, SHAPE(SIDE));
    hone_graph_add_output(g, graph_op(g, "Add", a, graph_op(g, "Exp", row)));
    assert_int_equal(steps(g), 2);
    hone_graph_free(g);

    g = hone_graph_new("products"); /* the second product's strip is not the first's */
    a = matrix(g, "a"), b = matrix(g, "b");
    hone_graph_add_output(g, graph_op(g, "Add", graph_op(g, "MatMul", a, b), graph_op(g, "MatMul", b, a)));
    assert_int_equal(steps(g), 2);
    hone_graph_free(g);
}

/* Long chains with many operands become several programs. */
static void test_chains_beyond_the_limits(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        enum { LENGTH = 300 };
        hone_graph *g = hone_graph_new("long");
        hone_value *inputs[40], *v;
        hone_tensor *in[40], *plain, *fused;
        for (int i = 0; i < 40; i++) {
            inputs[i] = matrix(g, NULL);
            in[i] = tensor_random(HONE_FLOAT32, SHAPE(SIDE, SIDE), (uint64_t)i);
        }
        v = inputs[0];
        for (int i = 0; i < LENGTH; i++) /* operations, operands, constants */
            v = kind == 0   ? graph_op(g, i % 2 ? "Neg" : "Tanh", v)
                : kind == 1 ? graph_op(g, "Add", graph_op(g, "Tanh", v), inputs[i * 7 % 40])
                            : graph_op(g, "Mul", graph_op(g, "Tanh", v),
                                       hone_graph_scalar(g, HONE_FLOAT32, 0.5 + i / 100.0));
        hone_graph_add_output(g, v);
        assert_in_range(steps(g), 3, LENGTH / 2);
        graph_run(g, "all", in, &plain, 1);
        graph_run(g, NULL, in, &fused, 1);
        assert_close(fused, plain, 1e-6);
        hone_tensor_free(plain);
        hone_tensor_free(fused);
        for (int i = 0; i < 40; i++) hone_tensor_free(in[i]);
        hone_graph_free(g);
    }
}

static const char *const unary[] = {"Tanh", "Sigmoid", "Neg", "Relu", "Gelu"}, *const binary[] = {
                                                                                   "Add", "Sub", "Mul"};

/* `live` values, each of which is read again and again. */
static hone_value *woven(hone_graph *g, hone_rng *r, hone_value **v, int live) {
    for (int i = 0; i < 250; i++) {
        hone_value **a = &v[hone_rng_below(r, (uint32_t)live)], *b = v[hone_rng_below(r, (uint32_t)live)];
        *a = i % 4 == 3 ? graph_op(g, unary[hone_rng_below(r, 5)], *a)
                        : graph_op(g, "Tanh", graph_op(g, binary[hone_rng_below(r, 3)], *a, b));
    }
    for (int i = 1; i < live; i++) v[0] = graph_op(g, "Add", v[0], v[i]); /* all are needed */
    return v[0];
}

/* A tree over `live` leaves, each read once: nothing but the limits keeps it from being one program. */
static hone_value *grown(hone_graph *g, hone_rng *r, hone_value **v, int live) {
    while (live > 1) {
        int i = (int)hone_rng_below(r, (uint32_t)live);
        hone_value *a = v[i];
        v[i] = v[--live];
        i = (int)hone_rng_below(r, (uint32_t)live);
        v[i] = graph_op(g, unary[hone_rng_below(r, 5)], graph_op(g, binary[hone_rng_below(r, 3)], v[i], a));
    }
    return v[0];
}

/* Straight-line code with many values at once, over several tiles and a rest. What goes through memory, at the seams
 * of programs that reached their limits, is the same to the bit. */
static hone_graph *long_program(uint64_t seed, bool tree, int live, int rows, hone_tensor **in) {
    enum { MOST = 200, COLUMNS = 331 };
    hone_graph *g = hone_graph_new("long");
    hone_rng r = hone_rng_make(seed, 5);
    hone_value *v[MOST], *row[3];
    assert_in_range(live, 1, MOST);
    for (int i = 0; i < 3; i++) { /* a matrix, a row, a column */
        in[i] =
            tensor_random(HONE_FLOAT32, SHAPE(i == 1 ? 1 : rows, i == 2 ? 1 : COLUMNS), seed + (uint64_t)i);
        row[i] = graph_input(g, NULL, HONE_FLOAT32, 2, in[i]->dims);
    }
    for (int i = 0; i < live; i++)
        v[i] = graph_op(g, "Add", graph_op(g, unary[i % 5], row[0]), graph_op(g, "Sub", row[0], row[i % 3]));
    hone_graph_add_output(g, tree ? grown(g, &r, v, live) : woven(g, &r, v, live));
    return g;
}

static void compare_long_programs(void) {
    static const int live[] = {4, 33, 120}, rows[] = {1, 7};
    for (int i = 0; i < 2 * COUNT(live) * COUNT(rows); i++) {
        hone_tensor *in[3], *plain, *fused;
        hone_graph *g =
            long_program((uint64_t)i, i % 2, live[i / 2 % COUNT(live)], rows[i / 2 / COUNT(live)], in);
        assert_true(steps(g) < (int)g->node_count / 2);
        graph_run(g, "all", in, &plain, 1);
        graph_run(g, NULL, in, &fused, 1);
        assert_same_bits(fused, plain);
        hone_tensor_free(plain);
        hone_tensor_free(fused);
        for (int k = 0; k < 3; k++) hone_tensor_free(in[k]);
        hone_graph_free(g);
    }
}

static const char *program;

static void test_long_programs_at_every_level(void **state) {
    (void)state;
    compare_long_programs();
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[2000];
        if (!run_at_level(program, "--long-programs", level_masks[i], output, sizeof output))
            fail_msg("at %s: %s", level_masks[i], output);
    }
}

static void test_long_programs(void **state) {
    (void)state;
    compare_long_programs();
}

/* Constants that fold only after fusing: neither alone is small against its inputs. */
static void test_fused_constants_fold(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        hone_graph *g = hone_graph_new("constants");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(200, 200));
        hone_value *a = graph_constant(g, "a", tensor_random(HONE_FLOAT32, SHAPE(200, 1), 1)),
                   *b = graph_constant(g, "b", tensor_random(HONE_FLOAT32, SHAPE(1, 200), 2)),
                   *c = graph_constant(g, "c", tensor_random(HONE_FLOAT32, SHAPE(200, 200), 3));
        hone_value *both = graph_op(g, "Mul", graph_op(g, kind ? "MatMul" : "Add", a, b), c);
        hone_graph_add_output(g, graph_op(g, "Add", x, both));
        hone_graph_add_output(g, graph_op(g, "Tanh", graph_op(g, "Sub", x, both)));
        hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(200, 200), 4), *plain[2], *fused[2];
        graph_run(g, "all", &in, plain, 2);
        graph_run(g, NULL, &in, fused, 2);
        for (int i = 0; i < 2; i++) {
            assert_close(fused[i], plain[i], 1e-6);
            hone_tensor_free(plain[i]);
            hone_tensor_free(fused[i]);
        }
        hone_tensor_free(in);
        hone_graph_free(g);
    }
}

/* NaN and infinities pass the clamp in registers as they pass Relu. */
static void test_not_a_number(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("nan");
    hone_value *a = matrix(g, "a"), *b = matrix(g, "b"),
               *row = graph_input(g, "row", HONE_FLOAT32, SHAPE(SIDE));
    hone_value *sum = graph_op(g, "Add", graph_op(g, "MatMul", a, b), row);
    hone_graph_add_output(g, graph_op(g, "Relu", sum));
    hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(SIDE, SIDE), 1),
                         tensor_random(HONE_FLOAT32, SHAPE(SIDE, SIDE), 2),
                         tensor_random(HONE_FLOAT32, SHAPE(SIDE), 3)},
                *out;
    tensor_set(in[0], 0, NAN);
    tensor_set(in[0], SIDE, INFINITY);
    tensor_set(in[0], 2 * SIDE, -INFINITY);
    tensor_set(in[2], 3, NAN);
    for (int pass = 0; pass < 2; pass++) {
        graph_run(g, pass ? NULL : "all", in, &out, 1);
        for (int i = 0; i < SIDE; i++) {
            assert_true(isnan(tensor_at(out, i)));
            assert_true(isnan(tensor_at(out, i * SIDE + 3)));
            assert_true(isinf(tensor_at(out, SIDE + i)) || tensor_at(out, SIDE + i) == 0 || i == 3);
        }
        hone_tensor_free(out);
    }
    for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
    hone_graph_free(g);
}

int main(int argc, char **argv) {
    const struct CMUnitTest of_a_level[] = {cmocka_unit_test(test_long_programs)};
    program = argv[0];
    if (argc > 1) return cmocka_run_group_tests(of_a_level, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_random_integer_graphs),
        cmocka_unit_test(test_narrow_integers_wrap),
        cmocka_unit_test(test_what_is_fused),
        cmocka_unit_test(test_chains_beyond_the_limits),
        cmocka_unit_test(test_long_programs_at_every_level),
        cmocka_unit_test(test_fused_constants_fold),
        cmocka_unit_test(test_not_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
