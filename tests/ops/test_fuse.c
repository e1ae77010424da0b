/* Graphs with and without their rewrites give the same. */
#include "graph/rewrite.h"
#include "kernels/portable.h"
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

/* --- across dtypes --- */

static const hone_dtype all[] = {HONE_BOOL,    HONE_UINT8,   HONE_INT8,    HONE_UINT16, HONE_INT16,
                                 HONE_INT32,   HONE_UINT32,  HONE_INT64,   HONE_UINT64, HONE_FLOAT16,
                                 HONE_FLOAT32, HONE_FLOAT64, HONE_BFLOAT16};

static hone_value *cast_to(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = graph_op(g, "Cast", v);
    hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

/* Small numbers as elements of any dtype. */
static hone_tensor *typed_tensor(hone_dtype dtype, int rank, const int64_t *dims, uint64_t seed) {
    hone_tensor *real = tensor_random(HONE_FLOAT32, rank, dims, seed), *t = tensor_make(dtype, rank, dims);
    bool whole = hone_dtype_is_int(dtype);
    for (int64_t i = 0; i < real->count; i++) tensor_set(real, i, tensor_at(real, i) * (whole ? 90 : 2));
    assert_true(hone_cast(HONE_FLOAT32, dtype, real->data, t->data, t->count));
    hone_tensor_free(real);
    return t;
}

/* The same bits, or both NaN. Frees both. */
static void assert_same_values(hone_tensor *a, hone_tensor *b) {
    assert_true(same_shape(a, b));
    if (hone_dtype_is_float(a->dtype)) {
        hone_tensor *x = tensor_make(HONE_FLOAT64, a->rank, a->dims), *y = tensor_copy(x);
        hone_cast(a->dtype, HONE_FLOAT64, a->data, x->data, a->count);
        hone_cast(b->dtype, HONE_FLOAT64, b->data, y->data, b->count);
        assert_close(x, y, 0);
        hone_tensor_free(x);
        hone_tensor_free(y);
    } else {
        assert_same_bits(a, b);
    }
    hone_tensor_free(a);
    hone_tensor_free(b);
}

/* One more value from those of the same dtype, or a conversion of one. */
static hone_value *typed_step(hone_graph *g, hone_rng *r, hone_value **v, int count, const hone_dtype *dtypes,
                              hone_dtype *made) {
    static const char *const arithmetic[] = {"Add", "Sub", "Mul", "Max", "Min"},
                             *const comparisons[] = {"Greater", "Less", "GreaterOrEqual", "LessOrEqual",
                                                     "Equal"},
                             *const logic[] = {"And", "Or", "Xor"};
    int i = (int)hone_rng_below(r, (uint32_t)count), k = (int)hone_rng_below(r, (uint32_t)count), c = k;
    while (dtypes[k] != dtypes[i]) k = (k + 1) % count;
    while (dtypes[c] != HONE_BOOL) c = (c + 1) % count;
    *made = dtypes[i];
    switch (hone_rng_below(r, 8)) {
    case 0:
    case 1: *made = all[hone_rng_below(r, COUNT(all))]; return cast_to(g, v[i], *made);
    case 2: return graph_op(g, "Where", v[c], v[i], v[k]);
    case 3:
    case 4:
        if (dtypes[i] == HONE_BOOL) break;
        *made = HONE_BOOL;
        return graph_op(g, comparisons[hone_rng_below(r, 5)], v[i], v[k]);
    default:
        if (hone_dtype_is_float(dtypes[i]) && hone_rng_below(r, 3) == 0) return graph_op(g, "Relu", v[i]);
        if (dtypes[i] != HONE_BOOL) return graph_op(g, arithmetic[hone_rng_below(r, 5)], v[i], v[k]);
    }
    if (hone_rng_below(r, 4) == 0) return graph_op(g, "Not", v[i]);
    return graph_op(g, logic[hone_rng_below(r, 3)], v[i], v[k]);
}

/* All elements are rounded and wrapped as they would be through memory, whatever goes on in registers. */
static void compare_typed_graphs(void) {
    enum { STEPS = 24 };
    for (uint64_t seed = 0; seed < 300; seed++) {
        hone_graph *g = hone_graph_new("typed");
        hone_rng r = hone_rng_make(seed, 8);
        hone_value *v[COUNT(all) + STEPS];
        hone_dtype dtypes[COUNT(all) + STEPS];
        hone_tensor *in[COUNT(all)], *plain[2], *fused[2];
        int64_t dims[] = {3, 1 + (int64_t)hone_rng_below(&r, 300)};
        int count = 0;
        for (; count < COUNT(all); count++) {
            int rank = 1 + (int)hone_rng_below(&r, 2); /* some are rows */
            dtypes[count] = all[count];
            v[count] = graph_input(g, NULL, all[count], rank, dims + 2 - rank);
            in[count] = typed_tensor(all[count], rank, dims + 2 - rank, seed + (uint64_t)count);
        }
        for (; count < COUNT(all) + STEPS; count++)
            v[count] = typed_step(g, &r, v, count, dtypes, &dtypes[count]);
        hone_graph_add_output(g, v[count - 1]);
        hone_graph_add_output(g, cast_to(g, v[count - 2], HONE_FLOAT32));
        graph_run(g, "all", in, plain, 2);
        graph_run(g, NULL, in, fused, 2);
        for (int o = 0; o < 2; o++) assert_same_values(fused[o], plain[o]);
        for (int i = 0; i < COUNT(all); i++) hone_tensor_free(in[i]);
        hone_graph_free(g);
    }
}

static void test_typed_graphs(void **state) {
    (void)state;
    compare_typed_graphs();
}

static void test_typed_graphs_at_every_level(void **state) {
    (void)state;
    compare_typed_graphs();
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[2000];
        if (!run_at_level(program, "--typed", level_masks[i], output, sizeof output))
            fail_msg("at %s: %s", level_masks[i], output);
    }
}

/* Masks and conversions are no reason for a step of their own. */
static void test_dtypes_are_fused(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("mask");
    hone_value *x = matrix(g, "x"), *y = matrix(g, "y");
    hone_graph_add_output(g, graph_op(g, "Where", graph_op(g, "Greater", x, y), x, graph_op(g, "Neg", y)));
    assert_int_equal(steps(g), 1);
    hone_graph_free(g);

    g = hone_graph_new("scaled bytes");
    x = graph_input(g, "x", HONE_UINT8, SHAPE(SIDE, SIDE));
    y = graph_op(g, "Mul", cast_to(g, x, HONE_FLOAT32), hone_graph_scalar(g, HONE_FLOAT32, 0.5));
    hone_graph_add_output(g, cast_to(g, y, HONE_UINT8));
    assert_int_equal(steps(g), 1);
    hone_graph_free(g);

    g = hone_graph_new("attention mask"); /* int64 compared, float selected */
    x = graph_input(g, "tokens", HONE_INT64, SHAPE(SIDE, SIDE));
    y = graph_op(g, "Not", graph_op(g, "Equal", x, hone_graph_scalar(g, HONE_INT64, 0)));
    hone_graph_add_output(
        g, graph_op(g, "Where", y, matrix(g, "scores"), hone_graph_scalar(g, HONE_FLOAT32, -1e9)));
    assert_int_equal(steps(g), 1);
    hone_graph_free(g);

    g = hone_graph_new("residual"); /* added between quantized values: bytes in, bytes out */
    x = graph_input(g, "x", HONE_UINT8, SHAPE(SIDE, SIDE));
    y = graph_input(g, "y", HONE_INT8, SHAPE(SIDE, SIDE));
    hone_value *scale = hone_graph_scalar(g, HONE_FLOAT32, 0.02),
               *zero = hone_graph_scalar(g, HONE_UINT8, 128);
    x = graph_op(g, "DequantizeLinear", x, scale, zero);
    y = graph_op(g, "Relu", graph_op(g, "Add", x, graph_op(g, "DequantizeLinear", y, scale)));
    hone_graph_add_output(g, graph_op(g, "QuantizeLinear", y, scale, zero));
    assert_int_equal(steps(g), 1);
    hone_graph_free(g);

    g = hone_graph_new("small"); /* what no operation computes in stays a step */
    x = cast_to(g, graph_op(g, "Neg", matrix(g, "x")), HONE_FLOAT8E5M2);
    hone_graph_add_output(g, graph_op(g, "Neg", cast_to(g, x, HONE_FLOAT32)));
    assert_int_equal(steps(g), 4);
    hone_graph_free(g);

    g = hone_graph_new("epilogue"); /* a strip of another dtype has no room behind a product */
    x = graph_op(g, "MatMul", matrix(g, "a"), matrix(g, "b"));
    hone_graph_add_output(g, cast_to(g, graph_op(g, "Relu", x), HONE_FLOAT16));
    assert_int_equal(steps(g), 2);
    hone_graph_free(g);
}

/* Constants of one number are code, not operands, unless they add an axis or no double has them. */
static void test_numbers(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        hone_error err;
        hone_model *model = NULL;
        hone_graph *g = hone_graph_new("numbers");
        hone_dtype dtype = kind == 2 ? HONE_INT64 : HONE_FLOAT16;
        hone_value *x = graph_input(g, "x", dtype, SHAPE(SIDE)), *k = hone_graph_scalar(g, dtype, 2);
        if (kind) {
            hone_tensor *t = tensor_make(dtype, kind == 1 ? 2 : 0, (int64_t[]){1, 1});
            if (kind == 2)
                *(int64_t *)t->data = (1LL << 53) + 1;
            else
                tensor_set(t, 0, 2);
            k = graph_constant(g, "k", t);
        }
        hone_graph_add_output(g,
                              graph_op(g, "Add", graph_op(g, "Mul", x, hone_graph_scalar(g, dtype, 3)), k));
        check_ok(hone_model_compile(g, NULL, &model, &err));
        const hone_node *n = model->bodies[0].graph->last;
        if (kind != 1) {
            assert_null(n->prev);
            assert_int_equal(n->input_count, kind ? 2 : 1);
        }
        hone_model_free(model);
        hone_tensor *in = tensor_make(dtype, SHAPE(SIDE)), *plain, *fused;
        for (int i = 0; i < SIDE; i++) tensor_set(in, i, 1 - i);
        graph_run(g, "all", &in, &plain, 1);
        graph_run(g, NULL, &in, &fused, 1);
        assert_same_bits(fused, plain);
        hone_tensor_free(plain);
        hone_tensor_free(fused);
        hone_tensor_free(in);
        hone_graph_free(g);
    }
}

/* Codes of all kinds, with zero points and without, to codes again: the same as by the kernels for them. */
static void test_quantized_chains(void **state) {
    (void)state;
    static const hone_dtype from[] = {HONE_UINT8, HONE_INT8, HONE_INT32}, to[] = {HONE_UINT8, HONE_INT8};
    for (int kind = 0; kind < 24; kind++) {
        enum { LENGTH = 600 };
        hone_dtype f = from[kind % 3], t = to[kind / 3 % 2];
        hone_graph *g = hone_graph_new("codes");
        hone_value *x = graph_input(g, "x", f, SHAPE(2, LENGTH)),
                   *row = graph_input(g, "r", HONE_FLOAT32, SHAPE(LENGTH));
        hone_value *scale = kind & 1 ? hone_graph_scalar(g, HONE_FLOAT32, 0.37)
                                     : graph_constant(g, "s", tensor_of(SHAPE(1), (float[]){0.021f}));
        hone_value *zero[2] = {NULL, NULL};
        for (int i = 0; i < 2 && kind >= 12; i++) { /* of the scale's shape */
            hone_tensor *z = tensor_make(i ? t : f, kind & 1 ? 0 : 1, (int64_t[]){1});
            tensor_set(z, 0, 7 * i + 3);
            zero[i] = graph_constant(g, "z", z);
        }
        hone_value *y = graph_op(g, "DequantizeLinear", x, scale, zero[0]);
        y = graph_op(g, "QuantizeLinear", graph_op(g, "Mul", y, row), scale, zero[1]);
        if (kind < 12) hone_node_set_int(g, y->producer, "output_dtype", t);
        hone_graph_add_output(g, y);
        assert_int_equal(steps(g), 1);
        hone_tensor *in[] = {tensor_make(f, SHAPE(2, LENGTH)), tensor_random(HONE_FLOAT32, SHAPE(LENGTH), 5)},
                    *plain, *fused;
        for (int i = 0; i < 2 * LENGTH; i++) tensor_set(in[0], i, f == HONE_UINT8 ? i % 256 : i % 256 - 128);
        if (f == HONE_INT32) tensor_set(in[0], 0, INT32_MIN); /* the difference wraps */
        tensor_set(in[1], 5, NAN);
        graph_run(g, "all", in, &plain, 1);
        graph_run(g, NULL, in, &fused, 1);
        assert_same_bits(fused, plain);
        hone_tensor_free(plain);
        hone_tensor_free(fused);
        hone_tensor_free(in[0]);
        hone_tensor_free(in[1]);
        hone_graph_free(g);
    }
}

/* A file calls rows of two inputs by one name, and either is fed with more of them: what is added is no epilogue. What
 * comes from one input has the same rows. */
static void test_names_that_lie(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        hone_graph *g = hone_graph_new("names");
        const int64_t rows = hone_graph_symbol(g, "rows");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(rows, 6)),
                   *other = graph_input(g, "other", HONE_FLOAT32, SHAPE(rows, 6));
        hone_tensor *w = tensor_random(HONE_FLOAT32, SHAPE(6, 6), 1), *y;
        hone_value *product = graph_op(g, "MatMul", x, hone_graph_add_constant(g, "w", w));
        hone_graph_add_output(g, graph_op(g, "Add", product, i < 2 ? other : x));
        hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(i ? 3 : 1, 6), 2),
                             tensor_random(HONE_FLOAT32, SHAPE(i ? 1 : 3, 6), 3)};
        graph_run(g, NULL, in, &y, 1);
        assert_int_equal(y->dims[0], 3);
        for (int64_t r = 0; r < 3; r++) {
            const int64_t row = i ? r : 0, added = i == 1 ? 0 : r;
            double sum = tensor_at(in[i < 2], added * 6);
            for (int64_t k = 0; k < 6; k++) sum += tensor_at(in[0], row * 6 + k) * tensor_at(w, k * 6);
            assert_true(fabs(tensor_at(y, r * 6) - sum) < 1e-5);
        }
        runner fused = runner_make(g, NULL, 1);
        assert_int_equal(model_steps(fused.model), i < 2 ? 2 : 1);
        runner_free(&fused);
        hone_tensor_free(y);
        hone_tensor_free(w);
        for (int k = 0; k < 2; k++) hone_tensor_free(in[k]);
        hone_graph_free(g);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest of_a_level[] = {cmocka_unit_test(test_long_programs)},
                            typed[] = {cmocka_unit_test(test_typed_graphs)};
    program = argv[0];
    if (argc > 1 && strcmp(argv[1], "--typed") == 0) return cmocka_run_group_tests(typed, NULL, NULL);
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
        cmocka_unit_test(test_typed_graphs_at_every_level),
        cmocka_unit_test(test_dtypes_are_fused),
        cmocka_unit_test(test_quantized_chains),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_names_that_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
