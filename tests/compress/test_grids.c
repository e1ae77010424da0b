/* Where grids stand, and what computes on their codes. */
#include "train/small.h"

#include <hone/compress.h>
#include <math.h>

enum { CHANNELS = 4, SIDE = 6, SAMPLES = 24 };

static hone_dataset *data;

static int make(void **state) {
    (void)state;
    hone_tensor *x = NULL, *y = NULL;
    int64_t dims[] = {SAMPLES, CHANNELS, SIDE, SIDE};
    ok(hone_tensor_new(HONE_FLOAT32, 4, dims, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, dims, &y, &err));
    hone_rng rng = hone_rng_make(3, 1);
    for (int64_t i = 0; i < x->count; i++) ((float *)x->data)[i] = hone_rng_uniform(&rng) - 0.5f;
    data = dataset_of("images", x, y);
    return 0;
}

static int drop(void **state) {
    (void)state;
    hone_dataset_free(data);
    return 0;
}

static hone_value *conv(hone_graph *g, hone_value *x, const char *name, int64_t in, int64_t out,
                        int64_t size) {
    char bias[32];
    snprintf(bias, sizeof bias, "%s.bias", name);
    hone_value *y =
        HONE_EMIT(g, "", "Conv", x, WEIGHT(g, name, 1, out, in, size, size), WEIGHT(g, bias, 1, out));
    if (size > 1) hone_node_set_ints(g, y->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    return y;
}

static hone_value *clip(hone_graph *g, hone_value *x, double low, double high) {
    return HONE_EMIT(g, "", "Clip", x, hone_graph_scalar(g, HONE_FLOAT32, low),
                     hone_graph_scalar(g, HONE_FLOAT32, high));
}

static int count_op(const hone_graph *g, const char *op) {
    int count = 0;
    for (const hone_node *n = g->first; n; n = n->next) count += strcmp(n->op->name, op) == 0;
    return count;
}

/* --- the steps of a compiled graph --- */

static void steps_of(const hone_graph *g, char *text, size_t size) {
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_tensor *x = NULL;
    const hone_tensor *outputs[4];
    hone_step_info info;
    ok(hone_tensor_new(HONE_FLOAT32, 4, (int64_t[]){2, CHANNELS, SIDE, SIDE}, &x, &err));
    ok(hone_model_compile(g, NULL, &m, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_context_run(c, (const hone_tensor *[]){x}, outputs, &err));
    text[0] = 0;
    for (int i = 0; hone_context_step(c, i, &info); i++)
        snprintf(text + strlen(text), size - strlen(text), "%s%s", i ? " " : "", info.op);
    hone_tensor_free(x);
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
}

/* Quantizes; as many grids; these steps; and what comes out is near. */
static hone_graph *check(hone_graph *g, int nodes, int grids, const char *steps) {
    hone_graph *q = NULL;
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    hone_quantize_report r;
    char text[512];
    o.threads = 1;
    ok(hone_quantize(g, data, &o, &q, &r, &err));
    if (r.quantized_nodes != nodes || r.float_nodes)
        fail_msg("%d nodes; %s", (int)r.quantized_nodes, r.float_names);
    assert_int_equal(count_op(q, "QuantizeLinear"), grids);
    steps_of(q, text, sizeof text);
    if (steps) assert_string_equal(text, steps);
    hone_tensor *a = predict(g, data, SAMPLES), *b = predict(q, data, SAMPLES);
    double off = 0, size = 0;
    for (int64_t i = 0; i < a->count; i++) {
        double x = ((const float *)a->data)[i], d = ((const float *)b->data)[i] - x;
        off += d * d;
        size += x * x;
    }
    if (!(off < 0.001 * size && off > 0)) fail_msg("off by %g of %g", off, size);
    hone_tensor_free(a);
    hone_tensor_free(b);
    hone_graph_free(g);
    return q;
}

/* Relu and Clip before a grid go: it holds its codes in those limits. Pooling picks among codes. */
static void test_limits_and_moves(void **state) {
    (void)state;
    for (int clipped = 0; clipped < 2; clipped++) {
        hone_graph *g = hone_graph_new("plain");
        hone_value *y = conv(g, INPUT(g, CHANNELS, SIDE, SIDE), "w1", CHANNELS, 8, 3);
        y = clipped ? clip(g, y, 0, 0.3) : HONE_EMIT(g, "", "Relu", y);
        y = HONE_EMIT(g, "", "MaxPool", y);
        hone_node_set_ints(g, y->producer, "kernel_shape", (int64_t[]){2, 2}, 2);
        hone_node_set_ints(g, y->producer, "strides", (int64_t[]){2, 2}, 2);
        y = HONE_EMIT(g, "", "Flatten", conv(g, y, "w2", 8, 8, 3));
        finished(g, HONE_EMIT(g, "", "Gemm", y, WEIGHT(g, "w3", 1, 72, 5), WEIGHT(g, "b3", 1, 5)));
        hone_graph *q = check(g, 3, 3, NULL);
        assert_int_equal(count_op(q, "Relu") + count_op(q, "Clip"), 0);
        char text[512];
        steps_of(q, text, sizeof text);
        assert_null(strstr(text, "Dequantize"));
        hone_graph_free(q);
    }
}

/* What others read in float, or what is an output, keeps its limits. */
static void test_limits_that_stay(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("output");
    hone_value *y = HONE_EMIT(g, "", "Relu", conv(g, INPUT(g, CHANNELS, SIDE, SIDE), "w1", CHANNELS, 8, 3));
    hone_value *z = conv(g, y, "w2", 8, 8, 3);
    finished(g, z);
    hone_graph_add_output(g, y);
    ok(hone_graph_infer(g, &err));
    hone_graph *q = check(g, 2, 2, NULL);
    assert_int_equal(count_op(q, "Relu"), 1);
    hone_graph_free(q);

    g = hone_graph_new("wide"); /* Clip cuts off what the grid would hold */
    y = clip(g, conv(g, INPUT(g, CHANNELS, SIDE, SIDE), "w1", CHANNELS, 8, 3), 0.05, 100);
    finished(g, conv(g, y, "w2", 8, 8, 3));
    q = check(g, 2, 2, NULL);
    assert_int_equal(count_op(q, "Clip"), 1);
    hone_graph_free(q);
}

/* A residual block: both operands of the sum lie on grids, and it is added where the second product ends. */
static void test_residual(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("residual");
    hone_value *x = HONE_EMIT(g, "", "Relu", conv(g, INPUT(g, CHANNELS, SIDE, SIDE), "w1", CHANNELS, 8, 3));
    hone_value *y = HONE_EMIT(g, "", "Relu", conv(g, x, "w2", 8, 8, 3));
    y = HONE_EMIT(g, "", "Relu", HONE_EMIT(g, "", "Add", conv(g, y, "w3", 8, 8, 3), x));
    finished(g, conv(g, y, "w4", 8, 8, 1));
    hone_graph_free(check(g, 4, 5,
                          "QuantizeLinear Transpose IntegerConvLast IntegerConvLast IntegerConvLast "
                          "IntegerConvLast Transpose"));
}

/* Swish gates and branches. */
static void test_elementwise(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("swish");
    hone_value *y =
        HONE_EMIT(g, "", "HardSwish", conv(g, INPUT(g, CHANNELS, SIDE, SIDE), "w1", CHANNELS, 8, 3));
    finished(g, conv(g, y, "w2", 8, 8, 3));
    hone_graph_free(
        check(g, 2, 3, "QuantizeLinear Transpose IntegerConvLast Lookup IntegerConvLast Transpose"));

    g = hone_graph_new("gate");
    hone_value *x =
        HONE_EMIT(g, "", "HardSwish", conv(g, INPUT(g, CHANNELS, SIDE, SIDE), "w1", CHANNELS, 8, 3));
    y = HONE_EMIT(g, "", "Relu", conv(g, HONE_EMIT(g, "", "GlobalAveragePool", x), "s1", 8, 4, 1));
    y = HONE_EMIT(g, "", "HardSigmoid", conv(g, y, "s2", 4, 8, 1));
    finished(g, conv(g, HONE_EMIT(g, "", "Mul", x, y), "w2", 8, 8, 3));
    hone_graph_free(check(g, 4, 7, NULL));

    g = hone_graph_new("branches");
    x = HONE_EMIT(g, "", "Relu", conv(g, INPUT(g, CHANNELS, SIDE, SIDE), "w1", CHANNELS, 8, 3));
    hone_value *in[] = {HONE_EMIT(g, "", "Relu", conv(g, x, "a", 8, 4, 1)),
                        HONE_EMIT(g, "", "Relu", conv(g, x, "b", 8, 6, 3))};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Concat"), "join", 2, in, 1);
    hone_node_set_int(g, n, "axis", 1);
    finished(g, conv(g, n->outputs[0], "w2", 10, 8, 3));
    hone_graph_free(check(g, 4, 3, NULL));
}

/* What only layers of vectors read stays in float for others: normalizations and sums are better off. */
static void test_vectors(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("vectors");
    hone_value *x = HONE_EMIT(g, "", "Flatten", INPUT(g, CHANNELS, SIDE, SIDE));
    x = HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w1", 1, CHANNELS * SIDE * SIDE, 8));
    hone_value *y = HONE_EMIT(g, "", "Tanh", HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w2", 1, 8, 8)));
    finished(g, HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "Gemm", y, WEIGHT(g, "w3", 1, 8, 8)), x));
    hone_graph *q = check(g, 3, 3, NULL);
    const hone_node *add = q->outputs[0]->producer;
    assert_string_equal(add->inputs[1]->producer->op->name, "Gemm");
    hone_graph_free(q);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_and_moves), cmocka_unit_test(test_limits_that_stay),
        cmocka_unit_test(test_residual),         cmocka_unit_test(test_elementwise),
        cmocka_unit_test(test_vectors),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
