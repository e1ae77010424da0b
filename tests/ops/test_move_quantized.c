/* Chains of moves between QuantizeLinear and DequantizeLinear move bytes: nothing of either is left between them, and the
 * bits are the same. */
#include "kernels/portable.h"

#include "support/graphs.h"

static hone_value *dequantize(hone_graph *g, hone_value *q, double scale, double zero) {
    return graph_op(g, "DequantizeLinear", q, hone_graph_scalar(g, HONE_FLOAT32, scale),
                    hone_graph_scalar(g, HONE_UINT8, zero));
}

static hone_value *quantize(hone_graph *g, hone_value *x, double scale, double zero) {
    return graph_op(g, "QuantizeLinear", x, hone_graph_scalar(g, HONE_FLOAT32, scale),
                    hone_graph_scalar(g, HONE_UINT8, zero));
}

/* A value as a file has it between two operators. */
static hone_value *both(hone_graph *g, hone_value *x) {
    return dequantize(g, quantize(g, x, 0.02, 100), 0.02, 100);
}

/* Operators of the compiled model that compute with float32. */
static int float_nodes(const hone_graph *g) {
    hone_model *m = NULL;
    hone_error err;
    int count = 0;
    check_ok(hone_model_compile(g, NULL, &m, &err));
    for (const hone_node *n = m->bodies[0].graph->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++)
            count += n->outputs[i] && n->outputs[i]->type.dtype == HONE_FLOAT32;
    hone_model_free(m);
    return count;
}

static void compare(hone_graph *g, hone_tensor *const *in, int outputs) {
    hone_tensor *plain[4], *lowered[4];
    graph_run(g, "all", in, plain, outputs);
    graph_run(g, NULL, in, lowered, outputs);
    for (int i = 0; i < outputs; i++) {
        assert_same_bits(lowered[i], plain[i]);
        hone_tensor_free(plain[i]);
        hone_tensor_free(lowered[i]);
    }
}

static hone_tensor *bytes(int rank, const int64_t *dims) {
    hone_tensor *t = tensor_make(HONE_UINT8, rank, dims);
    for (int64_t i = 0; i < t->count; i++) ((uint8_t *)t->data)[i] = (uint8_t)(i * 37);
    return t;
}

/* Resize, Concat, Pad, Transpose, all of one scale. */
static void one_scale(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("moves");
    hone_value *a = graph_input(g, "a", HONE_UINT8, SHAPE(1, 2, 3, 3)),
               *b = graph_input(g, "b", HONE_UINT8, SHAPE(1, 1, 6, 6));
    hone_value *x = dequantize(g, a, 0.02, 100);
    x = both(g, graph_op(g, "Resize", x, NULL, NULL, hone_graph_ints(g, (int64_t[]){1, 2, 6, 6}, 4)));
    x = graph_op(g, "Concat", x, dequantize(g, b, 0.02, 100));
    hone_node_set_int(g, x->producer, "axis", 1);
    x = both(g, x);
    x = both(g, graph_op(g, "Pad", x, hone_graph_ints(g, (int64_t[]){0, 0, 1, 1, 0, 0, 1, 1}, 8)));
    x = both(g, graph_op(g, "Transpose", x));
    hone_graph_add_output(g, quantize(g, x, 0.02, 100));
    hone_tensor *in[] = {bytes(SHAPE(1, 2, 3, 3)), bytes(SHAPE(1, 1, 6, 6))};
    compare(g, in, 1);
    assert_int_equal(float_nodes(g), 0);
    for (int i = 0; i < 2; i++) hone_tensor_free(in[i]);
    hone_graph_free(g);
}

/* Parts of other scales become tables of bytes. */
static void other_scales(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("moves");
    hone_value *a = graph_input(g, "a", HONE_UINT8, SHAPE(4, 3)),
               *b = graph_input(g, "b", HONE_UINT8, SHAPE(4, 2));
    hone_value *x = graph_op(g, "Concat", dequantize(g, a, 0.03, 7), dequantize(g, b, 0.01, 200));
    hone_node_set_int(g, x->producer, "axis", 1);
    hone_graph_add_output(g, quantize(g, x, 0.02, 100));
    hone_tensor *in[] = {bytes(SHAPE(4, 3)), bytes(SHAPE(4, 2))};
    compare(g, in, 1);
    assert_int_equal(float_nodes(g), 0);
    for (int i = 0; i < 2; i++) hone_tensor_free(in[i]);
    hone_graph_free(g);
}

static void parts(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("moves");
    hone_value *in[] = {dequantize(g, graph_input(g, "a", HONE_UINT8, SHAPE(6, 2)), 0.02, 100),
                        hone_graph_ints(g, (int64_t[]){2, 1, 3}, 3)};
    hone_node *split = hone_graph_add_node(g, hone_op_find("", "Split"), "split", 2, in, 3);
    for (int i = 0; i < 3; i++)
        hone_graph_add_output(g, quantize(g, split->outputs[i], i ? 0.05 : 0.02, 100));
    hone_tensor *a = bytes(SHAPE(6, 2));
    compare(g, &a, 3);
    assert_int_equal(float_nodes(g), 0);
    hone_tensor_free(a);
    hone_graph_free(g);
}

/* What interpolates is no move, and a value that stands for no byte is quantized as one. */
static void not_moved(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("moves");
    hone_value *x = dequantize(g, graph_input(g, "a", HONE_UINT8, SHAPE(3, 3)), 0.02, 100);
    x = graph_op(g, "Resize", x, NULL, NULL, hone_graph_ints(g, (int64_t[]){5, 5}, 2));
    hone_node_set_string(g, x->producer, "mode", "linear");
    x = both(g, x);
    x = graph_op(g, "Pad", x, hone_graph_ints(g, (int64_t[]){1, 0, 0, 1}, 4),
                 hone_graph_scalar(g, HONE_FLOAT32, 0.333));
    hone_graph_add_output(g, quantize(g, x, 0.02, 100));
    hone_tensor *a = bytes(SHAPE(3, 3));
    compare(g, &a, 1);
    assert_true(float_nodes(g) > 0);
    hone_tensor_free(a);
    hone_graph_free(g);
}

static hone_tensor *counted(hone_dtype dtype, int rank, const int64_t *dims) {
    hone_tensor *t = tensor_make(dtype, rank, dims);
    for (int64_t i = 0; i < t->count; i++) {
        double x = (double)(i * 37 % 101 - 50);
        hone_cast(HONE_FLOAT64, dtype, &x, (char *)t->data + (size_t)i * hone_dtype_size(dtype), 1);
    }
    return t;
}

/* The largest element is a move only where steps keep the order, of dtypes that pooling knows. */
static void ordered(void **state) {
    (void)state;
    const struct {
        hone_dtype dtype;
        double scale;
        int floats;
    } cases[] = {{HONE_INT8, 0.02, 1}, {HONE_INT8, -0.02, 2}, {HONE_INT16, 0.02, 2}, {HONE_INT32, 0.02, 2}};
    for (int i = 0; i < COUNT(cases); i++) {
        hone_graph *g = hone_graph_new("moves");
        hone_value *a = graph_input(g, "a", cases[i].dtype, SHAPE(1, 2, 5, 5));
        hone_value *x =
            graph_op(g, "DequantizeLinear", a, hone_graph_scalar(g, HONE_FLOAT32, cases[i].scale), NULL);
        x = graph_op(g, "MaxPool", x);
        hone_node_set_ints(g, x->producer, "kernel_shape", (int64_t[]){3, 2}, 2);
        hone_graph_add_output(g, x);
        hone_tensor *in = counted(cases[i].dtype, SHAPE(1, 2, 5, 5));
        compare(g, &in, 1);
        if (float_nodes(g) != cases[i].floats) fail_msg("case %d: %d nodes of floats", i, float_nodes(g));
        hone_tensor_free(in);
        hone_graph_free(g);
    }
}

/* Parameters of normalizations that a quantizer has put into bytes: what is left is elementwise work between bytes. */
static void parameters(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("parameters");
    hone_value *x = dequantize(g, graph_input(g, "a", HONE_UINT8, SHAPE(1, 3, 4, 4)), 0.02, 100), *in[4];
    for (int i = 0; i < 4; i++) {
        hone_tensor *t = bytes(SHAPE(3));
        for (int j = 0; j < 3; j++) ((uint8_t *)t->data)[j] = (uint8_t)(110 + 20 * i + j);
        in[i] = dequantize(g, hone_graph_add_constant(g, "w", t), 0.01, 100);
        hone_tensor_free(t);
    }
    hone_value *y = graph_op(g, "BatchNormalization", x, in[0], in[1], in[2], in[3]);
    hone_graph_add_output(g, quantize(g, y, 0.05, 7));
    assert_int_equal(float_nodes(g), 0);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_scale),    cmocka_unit_test(parameters),
                                       cmocka_unit_test(other_scales), cmocka_unit_test(parts),
                                       cmocka_unit_test(not_moved),    cmocka_unit_test(ordered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
