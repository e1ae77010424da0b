/* Elementwise work between quantized values as a table: the same bits as without, and only where it is right. */
#include "ops/each_level.h"
#include "support/graphs.h"

enum { ROWS = 7, COLUMNS = 131 };

typedef hone_value *chain_fn(hone_graph *g, hone_value *x);

static hone_value *number(hone_graph *g, double x) {
    return hone_graph_scalar(g, HONE_FLOAT32, x);
}

#define UNARY(name, op)                                                                                      \
    static hone_value *name(hone_graph *g, hone_value *x) {                                                  \
        return graph_op(g, op, x);                                                                           \
    }
UNARY(relu, "Relu")
UNARY(leaky_relu, "LeakyRelu")
UNARY(sigmoid, "Sigmoid")
UNARY(tanh_of, "Tanh")
UNARY(gelu, "Gelu")
UNARY(neg, "Neg")
UNARY(sqrt_of, "Sqrt") /* NaN of what is negative */
UNARY(exp_of, "Exp")

static hone_value *silu(hone_graph *g, hone_value *x) {
    return graph_op(g, "Mul", x, graph_op(g, "Sigmoid", x));
}

/* x * relu6(x + 3) / 6, more or less, with single constants of other ranks */
static hone_value *hard(hone_graph *g, hone_value *x) {
    hone_value *three = graph_constant(g, "three", tensor_of(SHAPE(1), (float[]){3}));
    hone_value *sixth = graph_constant(g, "sixth", tensor_of(SHAPE(1, 1), (float[]){1 / 6.0f}));
    return graph_op(g, "Mul", graph_op(g, "Mul", x, graph_op(g, "Relu", graph_op(g, "Add", x, three))),
                    sixth);
}

static chain_fn *const chains[] = {relu, leaky_relu, sigmoid, tanh_of, gelu,
                                   neg,  sqrt_of,    exp_of,  silu,    hard};

static hone_value *quantize(hone_graph *g, hone_value *x, float scale, hone_dtype dtype, int zero) {
    return graph_op(g, "QuantizeLinear", x, number(g, scale), hone_graph_scalar(g, dtype, zero));
}

static hone_value *dequantize(hone_graph *g, hone_value *x, float scale, hone_dtype dtype, int zero) {
    return graph_op(g, "DequantizeLinear", x, number(g, scale), hone_graph_scalar(g, dtype, zero));
}

static hone_tensor *all_codes(hone_dtype dtype) {
    hone_tensor *t = tensor_make(dtype, SHAPE(ROWS, COLUMNS));
    for (int i = 0; i < ROWS * COLUMNS; i++) ((uint8_t *)t->data)[i] = (uint8_t)(i * 37);
    return t;
}

/* Steps of a graph, and how many of them are tables. */
static int steps(const hone_graph *g, const char *disable, int *tables) {
    runner r = runner_make(g, disable, 1);
    int count = 0;
    *tables = 0;
    for (const hone_node *n = r.model->bodies[0].graph->first; n; n = n->next) {
        count++;
        *tables += strcmp(n->op->name, "Lookup") == 0;
    }
    runner_free(&r);
    return count;
}

static void same_bits(const hone_graph *g, hone_tensor *in) {
    static const char *const disabled[] = {"lower-lookups", "all"};
    hone_tensor *got, *want;
    graph_run(g, NULL, &in, &got, 1);
    for (int i = 0; i < COUNT(disabled); i++) {
        graph_run(g, disabled[i], &in, &want, 1);
        assert_same_bits(got, want);
        hone_tensor_free(want);
    }
    hone_tensor_free(got);
}

static void compare_all(void) {
    for (int c = 0; c < COUNT(chains); c++)
        for (int kind = 0; kind < 4; kind++) {
            hone_dtype from = kind & 1 ? HONE_INT8 : HONE_UINT8, to = kind & 2 ? HONE_INT8 : HONE_UINT8;
            int zero = kind & 1 ? -7 : 119;
            hone_graph *g = hone_graph_new("table");
            hone_value *x = graph_input(g, "x", from, SHAPE(ROWS, COLUMNS));
            hone_value *y = chains[c](g, dequantize(g, x, 0.037f, from, zero));
            hone_graph_add_output(g, quantize(g, y, 0.021f, to, kind & 2 ? -100 : 3));
            hone_tensor *in = all_codes(from);
            int tables;
            assert_int_equal(steps(g, NULL, &tables), 1);
            assert_int_equal(tables, 1);
            steps(g, "lower-lookups", &tables);
            assert_int_equal(tables, 0);
            same_bits(g, in);
            hone_tensor_free(in);
            hone_graph_free(g);
        }
}

static void test_same_bits(void **state) {
    (void)state;
    compare_all();
}

static const char *program;

static void test_same_bits_at_every_level(void **state) {
    (void)state;
    compare_all();
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[2000];
        if (!run_at_level(program, "--same-bits", level_masks[i], output, sizeof output))
            fail_msg("at %s: %s", level_masks[i], output);
    }
}

/* Two tables between products, over a batch of any size. */
static void test_between_products(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("mlp");
    hone_type type = hone_type_make(HONE_FLOAT32, SHAPE(ROWS, COLUMNS));
    type.dims[0] = hone_graph_symbol(g, "batch");
    hone_value *v = dequantize(g, quantize(g, hone_graph_add_input(g, "x", &type), 0.01f, HONE_UINT8, 128),
                               0.01f, HONE_UINT8, 128);
    for (int layer = 0; layer < 2; layer++) {
        hone_tensor *w = tensor_make(HONE_INT8, SHAPE(COLUMNS, COLUMNS));
        for (int64_t i = 0; i < w->count; i++) ((int8_t *)w->data)[i] = (int8_t)(i * 89);
        v = graph_op(g, "MatMul", v,
                     graph_op(g, "DequantizeLinear", graph_constant(g, "w", w), number(g, 0.01f)));
        v = dequantize(g, quantize(g, v, 0.05f, HONE_INT8, 5), 0.05f, HONE_INT8, 5);
        v = layer ? silu(g, v) : gelu(g, v);
        v = dequantize(g, quantize(g, v, 0.02f, HONE_INT8, -9), 0.02f, HONE_INT8, -9);
    }
    hone_graph_add_output(g, v);
    int tables;
    assert_int_equal(steps(g, NULL, &tables),
                     5); /* quantize, and a product and a table twice, the last one of floats */
    assert_int_equal(tables, 2);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(ROWS, COLUMNS), 1), *got, *want;
    graph_run(g, NULL, &in, &got, 1);
    graph_run(g, "lower-lookups", &in, &want, 1);
    assert_same_bits(got, want);
    hone_tensor_free(got);
    hone_tensor_free(want);
    hone_tensor_free(in);
    hone_graph_free(g);
}

/* More elements than a task has, several threads. */
static void test_large(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("large");
    hone_value *x = graph_input(g, "x", HONE_INT8, SHAPE(300001));
    hone_graph_add_output(
        g, quantize(g, tanh_of(g, dequantize(g, x, 0.02f, HONE_INT8, 0)), 0.01f, HONE_INT8, 0));
    hone_tensor *in = tensor_make(HONE_INT8, SHAPE(300001)), *want;
    const hone_tensor *got;
    for (int64_t i = 0; i < in->count; i++) ((int8_t *)in->data)[i] = (int8_t)(i * 7 + i / 1000);
    graph_run(g, "all", &in, &want, 1);
    runner r = runner_make(g, NULL, 3);
    runner_run(&r, &in, &got);
    assert_same_bits(got, want);
    runner_free(&r);
    hone_tensor_free(want);
    hone_tensor_free(in);
    hone_graph_free(g);
}

enum {
    PER_CHANNEL,
    OPERAND_PER_CHANNEL,
    TWO_OPERANDS,
    BROADER,
    SHORT,
    READ_TWICE,
    ALSO_OUTPUT,
    QUANTIZE_PER_CHANNEL
};

/* Tables of a graph of each kind: the last three have one of floats, before what is quantized by itself. */
static const int tables_of[] = {0, 0, 0, 0, 0, 1, 1, 1};

static hone_graph *graph_of(int kind) {
    static const float many[COLUMNS] = {[0 ... 2] = 0.25f, [3 ... COLUMNS - 1] = 0.5f};
    hone_graph *g = hone_graph_new("float");
    hone_value *x = graph_input(g, "x", HONE_UINT8, SHAPE(ROWS, COLUMNS)),
               *z = graph_input(g, "z", HONE_UINT8, SHAPE(ROWS, COLUMNS));
    hone_value *row = graph_constant(g, "row", tensor_of(SHAPE(COLUMNS), many));
    if (kind == SHORT) {
        hone_graph_add_output(g, graph_op(g, "Max", x, hone_graph_scalar(g, HONE_UINT8, 9)));
        return g;
    }
    hone_value *v = kind == PER_CHANNEL ? graph_op(g, "DequantizeLinear", x, row)
                                        : dequantize(g, x, 0.05f, HONE_UINT8, 100);
    hone_value *y =
        kind == OPERAND_PER_CHANNEL ? graph_op(g, "Mul", v, row)
        : kind == TWO_OPERANDS      ? graph_op(g, "Add", v, dequantize(g, z, 0.1f, HONE_UINT8, 9))
        : kind == BROADER
            ? graph_op(g, "Mul", v, graph_constant(g, "cube", tensor_of(SHAPE(1, 1, 1), (float[]){2})))
            : graph_op(g, "Sigmoid", v);
    hone_graph_add_output(g, kind == QUANTIZE_PER_CHANNEL ? graph_op(g, "QuantizeLinear", y, row)
                                                          : quantize(g, y, 0.01f, HONE_UINT8, 0));
    if (kind == ALSO_OUTPUT) hone_graph_add_output(g, y);
    if (kind == READ_TWICE) hone_graph_add_output(g, quantize(g, y, 0.02f, HONE_UINT8, 0));
    for (hone_node *n = g->first; n; n = n->next) /* the row runs along the last axis */
        if (n->op->role != HONE_ROLE_PLAIN) hone_node_set_int(g, n, "axis", 1);
    return g;
}

static void test_what_becomes_a_table(void **state) {
    (void)state;
    for (int kind = 0; kind < COUNT(tables_of); kind++) {
        int tables;
        hone_graph *g = graph_of(kind);
        steps(g, NULL, &tables);
        assert_int_equal(tables, tables_of[kind]);
        hone_tensor *in[] = {all_codes(HONE_UINT8), all_codes(HONE_UINT8)}, *got[2], *want[2];
        for (int i = 0; i < ROWS * COLUMNS; i++) ((uint8_t *)in[1]->data)[i] = (uint8_t)(i * 11);
        int outputs = (int)g->output_count;
        graph_run(g, NULL, in, got, outputs);
        graph_run(g, "all", in, want, outputs);
        for (int o = 0; o < outputs; o++) {
            assert_same_bits(got[o], want[o]);
            hone_tensor_free(got[o]);
            hone_tensor_free(want[o]);
        }
        hone_tensor_free(in[0]);
        hone_tensor_free(in[1]);
        hone_graph_free(g);
    }
}

int main(int argc, char **argv) {
    const struct CMUnitTest of_a_level[] = {cmocka_unit_test(test_same_bits)};
    program = argv[0];
    if (argc > 1) return cmocka_run_group_tests(of_a_level, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_at_every_level),
        cmocka_unit_test(test_between_products),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_what_becomes_a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
