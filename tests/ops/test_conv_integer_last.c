/* Convolutions of integers over images whose channels are last: the same bits as over images whose channels are first, at every
 * level, and Transposes at the ends of a network alone. */
#include "support/graphs.h"

#include "graph/run.h"
#include "ops/each_level.h"
#include "ops/ops.h"

static const char *program;

typedef struct conv_case {
    int axes;
    int64_t x[4], w[4], group, stride[2], dilation[2], pads[4];
} conv_case;

static const conv_case cases[] = {
    {2, {1, 3, 19, 22}, {16, 3, 3, 3}, 1, {2, 2}, {1, 1}, {1, 1, 1, 1}},
    {2, {2, 70, 12, 13}, {37, 70, 3, 3}, 1, {1, 1}, {1, 1}, {1, 0, 2, 1}},
    {2, {2, 37, 9, 9}, {70, 37, 1, 1}, 1, {1, 1}, {1, 1}, {0}},
    {2, {1, 40, 15, 15}, {9, 40, 1, 1}, 1, {2, 2}, {1, 1}, {0}},
    {2, {1, 4, 31, 40}, {12, 4, 2, 5}, 1, {2, 2}, {1, 1}, {0, 2, 1, 2}},
    {2, {1, 5, 20, 21}, {12, 5, 3, 3}, 1, {3, 3}, {2, 2}, {2, 2, 2, 2}},
    {2, {1, 600, 6, 7}, {10, 600, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {2, {1, 8, 2, 2}, {8, 8, 3, 3}, 1, {2, 2}, {1, 1}, {4, 4, 4, 4}}, /* windows that see nothing */
    {1, {2, 11, 50}, {16, 11, 5}, 1, {2}, {1}, {2, 1}},
    /* lines of windows that are whole steps of tiles */
    {2, {2, 64, 14, 28}, {37, 64, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {2, {1, 64, 17, 40}, {70, 64, 3, 3}, 1, {2, 1}, {2, 2}, {2, 2, 2, 2}},
    {2, {1, 320, 7, 13}, {20, 320, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {2, {1, 128, 6, 33}, {8, 128, 1, 3}, 1, {1, 2}, {1, 1}, {0}},
    {1, {1, 64, 200}, {16, 64, 3}, 1, {1}, {1}, {1, 1}},
    {2, {2, 9, 20, 35}, {9, 1, 3, 3}, 9, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {2, {1, 64, 15, 17}, {64, 1, 3, 3}, 64, {2, 2}, {1, 1}, {1, 1, 1, 1}},
    {2, {1, 150, 9, 11}, {150, 1, 5, 3}, 150, {1, 1}, {1, 1}, {2, 1, 2, 1}},
    {2, {1, 20, 9, 8}, {20, 1, 3, 2}, 20, {1, 1}, {2, 3}, {2, 0, 1, 2}},
    {2, {1, 33, 4, 4}, {33, 1, 4, 4}, 33, {1, 1}, {1, 1}, {0}},
    {1, {2, 130, 40}, {130, 1, 7}, 130, {1}, {1}, {3, 3}},
    {2, {0, 3, 9, 10}, {8, 3, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}},
};

static hone_tensor *random_bytes(hone_dtype dtype, int rank, const int64_t *dims, uint64_t seed) {
    hone_tensor *t = tensor_make(dtype, rank, dims);
    hone_rng r = hone_rng_make(seed, 3);
    for (int64_t i = 0; i < t->count; i++) ((uint8_t *)t->data)[i] = (uint8_t)hone_rng_below(&r, 256);
    return t;
}

static hone_value *number(hone_graph *g, hone_dtype dtype, double x) {
    return hone_graph_scalar(g, dtype, x);
}

static hone_value *vector(hone_graph *g, hone_dtype dtype, int64_t n, double first, double step) {
    hone_tensor *t = tensor_make(dtype, 1, &n);
    for (int64_t i = 0; i < n; i++) tensor_set(t, i, first + step * (double)(i % 11));
    return graph_constant(g, "vector", t);
}

static void set_attrs(hone_graph *g, hone_node *n, const conv_case *c) {
    hone_node_set_int(g, n, "group", c->group);
    hone_node_set_ints(g, n, "strides", c->stride, (size_t)c->axes);
    hone_node_set_ints(g, n, "dilations", c->dilation, (size_t)c->axes);
    hone_node_set_ints(g, n, "pads", c->pads, 2 * (size_t)c->axes);
}

static int count_of(const runner *r, const char *op) {
    int count = 0;
    for (const hone_node *n = r->model->bodies[0].graph->first; n; n = n->next)
        count += strcmp(n->op->name, op) == 0;
    return count;
}

/* The same bits without the rewrite, and cut anew. How many nodes of that name it has; NULL: Transposes. */
static int check(hone_graph *g, hone_tensor *in, const char *op) {
    static const char *const off[] = {"channels-last", "fuse-elementwise,fuse-epilogue", NULL, NULL};
    hone_tensor *first[4] = {NULL};
    int count = 0;
    for (int k = 0; k < COUNT(off); k++) {
        const hone_tensor *y[4];
        runner r = runner_make(g, off[k], k == 3 ? 4 : 1);
        runner_run(&r, &in, y);
        for (size_t i = 0; i < g->output_count; i++)
            if (k)
                assert_same_bits(y[i], first[i]);
            else
                first[i] = tensor_copy(y[i]);
        count = count_of(&r, op ? op : "Transpose");
        runner_free(&r);
    }
    for (size_t i = 0; i < g->output_count; i++) hone_tensor_free(first[i]);
    return count;
}

/* --- one convolution --- */

enum { NO_BIAS, INT_BIAS, FLOAT_BIAS };

/* Weights and their zero point, of which some are no int8 less 0. */
static void add_weights(hone_graph *g, const conv_case *c, int kind, hone_value **w, hone_value **zero) {
    const hone_dtype dtype = kind == 1 || kind == 2 ? HONE_UINT8 : HONE_INT8;
    *w = graph_constant(g, "w", random_bytes(dtype, c->axes + 2, c->w, 2));
    *zero = kind == 0   ? NULL
            : kind == 1 ? number(g, dtype, 128)
            : kind == 2 ? vector(g, dtype, c->w[0], 120, 1)
                        : vector(g, dtype, c->w[0], -3, 1);
}

static void check_lowered(const conv_case *c, hone_dtype x_dtype, hone_dtype to, int weights, int bias) {
    hone_graph *g = hone_graph_new("lowered");
    hone_tensor *x = random_bytes(x_dtype, c->axes + 2, c->x, 1);
    const bool wide = weights & 1;
    hone_value *in[7] = {graph_input(g, "x", x_dtype, c->axes + 2, c->x), number(g, HONE_FLOAT32, 0.02),
                         bias == INT_BIAS && x_dtype == HONE_UINT8 ? NULL : number(g, x_dtype, 57)};
    add_weights(g, c, weights, &in[3], &in[5]);
    in[4] = wide ? vector(g, HONE_FLOAT32, c->w[0], 0.001, 0.0007) : number(g, HONE_FLOAT32, 0.003);
    if (bias == INT_BIAS) in[6] = vector(g, HONE_INT32, c->w[0], -4000, 977);
    if (bias == FLOAT_BIAS) in[6] = vector(g, HONE_FLOAT32, c->w[0], -4, 0.77);
    hone_node *n = hone_graph_add_node(g, &hone_op_integer_conv, "conv", 7, in, 1);
    set_attrs(g, n, c);
    hone_node_set_int(g, n, "to", to);
    hone_node_set_int(g, n, "relu", bias == FLOAT_BIAS);
    hone_node_set_float(g, n, "y_scale", 0.3f);
    if (to != HONE_FLOAT32) hone_node_set_int(g, n, "y_zero_point", to == HONE_UINT8 ? 100 : -20);
    hone_graph_add_output(g, n->outputs[0]);
    const bool depthwise = c->group > 1, taken = !depthwise || weights < 2;
    const int made = check(g, x, depthwise ? "IntegerDepthwiseLast" : "IntegerConvLast");
    if (made != taken) fail_msg("%d nodes for weights of kind %d", made, weights);
    hone_tensor_free(x);
    hone_graph_free(g);
}

static void check_sums(const conv_case *c, hone_dtype x_dtype, int weights) {
    hone_graph *g = hone_graph_new("sums");
    hone_tensor *x = random_bytes(x_dtype, c->axes + 2, c->x, 1);
    hone_value *w, *zero, *in = graph_input(g, "x", x_dtype, c->axes + 2, c->x);
    add_weights(g, c, weights, &w, &zero);
    hone_value *y = graph_op(g, "ConvInteger", in, w, number(g, x_dtype, 9), zero);
    set_attrs(g, y->producer, c);
    hone_graph_add_output(g, y);
    check(g, x, NULL);
    hone_tensor_free(x);
    hone_graph_free(g);
}

static void test_one(void **state) {
    (void)state;
    static const hone_dtype to[] = {HONE_UINT8, HONE_INT8, HONE_FLOAT32};
    for (int i = 0; i < COUNT(cases); i++)
        for (int k = 0; k < 4; k++) {
            check_lowered(&cases[i], k & 1 ? HONE_INT8 : HONE_UINT8, to[(i + k) % 3], k, (i + 2 * k) % 3);
            check_lowered(&cases[i], k & 2 ? HONE_INT8 : HONE_UINT8, to[(i + k + 1) % 3], k, (i + k) % 3);
            check_sums(&cases[i], k & 1 ? HONE_INT8 : HONE_UINT8, k);
        }
}

/* --- networks --- */

#define Q(g, x, zero)                                                                                        \
    graph_op(g, "QuantizeLinear", x, number(g, HONE_FLOAT32, 0.05), number(g, HONE_UINT8, zero))
#define DQ(g, x, zero)                                                                                       \
    graph_op(g, "DequantizeLinear", x, number(g, HONE_FLOAT32, 0.05), number(g, HONE_UINT8, zero))

static hone_value *fake_quantized(hone_graph *g, hone_value *x, int zero) {
    return DQ(g, Q(g, x, zero), zero);
}

static hone_value *conv(hone_graph *g, hone_value *x, int64_t m, int64_t c, int64_t group) {
    hone_value *w = graph_constant(g, "w", random_bytes(HONE_INT8, SHAPE(m, c / group, 3, 3), (uint64_t)m));
    hone_value *scale = vector(g, HONE_FLOAT32, m, 0.0001, 0.00007),
               *bias = vector(g, HONE_FLOAT32, m, -1, 0.2);
    hone_value *d = graph_op(g, "DequantizeLinear", w, scale);
    hone_node_set_int(g, d->producer, "axis", 0);
    hone_value *y = graph_op(g, "Conv", x, d, bias);
    hone_node_set_ints(g, y->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    hone_node_set_int(g, y->producer, "group", group);
    return y;
}

/* What is between quantized convolutions follows them. */
static void test_network(void **state) {
    (void)state;
    for (int dynamic = 0; dynamic < 2; dynamic++) {
        hone_graph *g = hone_graph_new("network");
        const int64_t rows = dynamic ? hone_graph_symbol(g, "rows") : 18;
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3, rows, 20));
        hone_value *a =
            fake_quantized(g, graph_op(g, "Relu", conv(g, fake_quantized(g, x, 128), 24, 3, 1)), 0);
        hone_value *pool = graph_op(g, "MaxPool", a);
        hone_node_set_ints(g, pool->producer, "kernel_shape", (int64_t[]){3, 3}, 2);
        hone_node_set_ints(g, pool->producer, "strides", (int64_t[]){2, 2}, 2);
        hone_node_set_ints(g, pool->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4);
        pool = fake_quantized(g, pool, 0);
        hone_value *b = fake_quantized(g, graph_op(g, "HardSwish", conv(g, pool, 24, 24, 24)), 3);
        hone_value *sum =
            fake_quantized(g, graph_op(g, "Add", fake_quantized(g, conv(g, b, 24, 24, 1), 120), pool), 9);
        hone_value *both = graph_op(g, "Concat", sum, b);
        hone_node_set_int(g, both->producer, "axis", 1);
        hone_value *y = conv(g, fake_quantized(g, both, 9), 16, 48, 1);
        hone_graph_add_output(g, y);
        hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(2, 3, 18, 20), 5);
        assert_int_equal(check(g, in, NULL), 2); /* of x, and of y */
        assert_int_equal(check(g, in, "PoolLast"), 1);
        assert_int_equal(check(g, in, "IntegerConvLast"), 3);
        assert_int_equal(check(g, in, "IntegerDepthwiseLast"), 1);
        hone_tensor_free(in);
        hone_graph_free(g);
    }
}

/* Maxima of int8, of which pads are none. */
static void test_pool(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_UINT8, HONE_INT8};
    for (int k = 0; k < 2; k++)
        for (int64_t c = 1; c < 140; c += 23) {
            hone_graph *g = hone_graph_new("pool");
            hone_value *x = graph_input(g, "x", dtypes[k], SHAPE(2, 9, 8, c));
            hone_node *n = hone_graph_add_node(g, &hone_op_pool_last, "pool", 1, &x, 1);
            hone_node_set_ints(g, n, "kernel_shape", (int64_t[]){3, 2}, 2);
            hone_node_set_ints(g, n, "strides", (int64_t[]){2, 1}, 2);
            hone_node_set_ints(g, n, "pads", (int64_t[]){1, 1, 2, 0}, 4);
            hone_graph_add_output(g, n->outputs[0]);
            hone_tensor *in = random_bytes(dtypes[k], SHAPE(2, 9, 8, c), 3);
            const hone_tensor *y;
            runner r = runner_make(g, NULL, 2);
            runner_run(&r, &in, &y);
            assert_int_equal(y->count, 2 * 5 * 8 * c);
            for (int64_t i = 0; i < y->count; i++) {
                double most = k ? -128 : 0;
                for (int64_t tap = 0; tap < 6; tap++) {
                    int64_t h = i / c / 8 % 5 * 2 - 1 + tap / 2, w = i / c % 8 - 1 + tap % 2;
                    if (h < 0 || h >= 9 || w < 0 || w >= 8) continue;
                    most = fmax(most, tensor_at(in, ((i / c / 40 * 9 + h) * 8 + w) * c + i % c));
                }
                assert_true(tensor_at(y, i) == most);
            }
            runner_free(&r);
            hone_tensor_free(in);
            hone_graph_free(g);
        }
}

/* Quantized anew at each run: scales and zero points are known only then. */
static void test_dynamic(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("dynamic");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(1, 8, 14, 15)), *y = x;
    for (int i = 0; i < 3; i++) {
        const int64_t group = i == 1 ? 16 : 1, c = i ? 16 : 8;
        hone_node *q = hone_graph_add_node(g, hone_op_find("", "DynamicQuantizeLinear"), "q", 1, &y, 3);
        hone_value *w =
            graph_constant(g, "w", random_bytes(HONE_INT8, SHAPE(16, c / group, 3, 3), (uint64_t)i));
        y = graph_op(g, "ConvInteger", q->outputs[0], w, q->outputs[2]);
        hone_node_set_int(g, y->producer, "group", group);
        y = graph_op(g, "Cast", y);
        hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
        hone_value *scales = graph_op(g, "Mul", q->outputs[1], number(g, HONE_FLOAT32, 0.01));
        y = graph_op(g, "Tanh", graph_op(g, "Mul", y, scales));
    }
    hone_graph_add_output(g, y);
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(1, 8, 14, 15), 5);
    assert_int_equal(check(g, in, NULL), 2);
    assert_int_equal(check(g, in, "IntegerDepthwiseLast"), 1);
    hone_tensor_free(in);
    hone_graph_free(g);
}

static void test_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[4000];
        if (!run_at_level(program, "--one", level_masks[i], output, sizeof output))
            fail_msg("HONE_CPU=%s:\n%s", level_masks[i], output);
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest one[] = {cmocka_unit_test(test_one), cmocka_unit_test(test_pool)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_every_level), cmocka_unit_test(test_network),
                                       cmocka_unit_test(test_dynamic)};
    if (argc > 1 && strcmp(argv[1], "--one") == 0) return cmocka_run_group_tests(one, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
