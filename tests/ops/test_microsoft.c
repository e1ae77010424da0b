/* com.microsoft's function operators against graphs of ONNX's operators, or against what they say in a few loops. */
#include "ops/each_level.h"
#include "support/graphs.h"

#define MOST 8

/* One node of com.microsoft over random tensors of those types. */
typedef struct lone {
    hone_graph *g;
    hone_node *n;
    hone_tensor *data[MOST + 10];
    hone_value *in[MOST + 10];
    int count;
} lone;

static lone open_lone(const char *op) {
    return (lone){.g = hone_graph_new(op)};
}

static void give(lone *l, hone_tensor *t) {
    l->data[l->count] = t;
    l->in[l->count] = graph_input(l->g, "x", t->dtype, t->rank, t->dims);
    l->count++;
}

static void give_random(lone *l, hone_dtype dtype, int rank, const int64_t *dims) {
    give(l, tensor_random(dtype, rank, dims, (uint64_t)l->count + 1));
}

static void give_ints(lone *l, hone_dtype dtype, int rank, const int64_t *dims, const int64_t *x) {
    hone_tensor *t = tensor_make(dtype, rank, dims);
    for (int64_t i = 0; i < t->count; i++) tensor_set(t, i, (double)x[i]);
    give(l, t);
}

static void give_scale(lone *l, double x) {
    hone_tensor *t = tensor_make(HONE_FLOAT32, 0, NULL);
    tensor_set(t, 0, x);
    give(l, t);
}

static void give_zero(lone *l, hone_dtype dtype, double x) {
    hone_tensor *t = tensor_make(dtype, 0, NULL);
    tensor_set(t, 0, x);
    give(l, t);
}

static hone_node *node_of(lone *l, const char *op, int outputs) {
    l->n = hone_graph_add_node(l->g, hone_op_find("com.microsoft", op), "n", l->count, l->in, outputs);
    for (int o = 0; o < outputs; o++) hone_graph_add_output(l->g, l->n->outputs[o]);
    return l->n;
}

/* `same`: values of l's graph that the node's outputs should be equal to, appended as outputs. */
static void check_same(lone *l, hone_value *const *same, int count, double bound) {
    const hone_tensor *out[MOST];
    int first = (int)l->g->output_count;
    for (int i = 0; i < count; i++) hone_graph_add_output(l->g, same[i]);
    hone_tensor *data[MOST + 10];
    int given = 0;
    for (int i = 0; i < l->count; i++)
        if (l->data[i]) data[given++] = l->data[i];
    runner r = runner_make(l->g, NULL, 1);
    runner_run(&r, data, out);
    for (int i = 0; i < count; i++) assert_close(out[i], out[first + i], bound);
    runner_free(&r);
    for (int i = 0; i < l->count; i++) hone_tensor_free(l->data[i]);
    hone_graph_free(l->g);
}

static void leave_out(lone *l) {
    l->data[l->count] = NULL;
    l->in[l->count++] = NULL;
}

/* --- products --- */

static hone_value *turned(hone_graph *g, hone_value *x, int rank, const int64_t *perm) {
    hone_value *y = graph_op(g, "Transpose", x);
    hone_node_set_ints(g, y->producer, "perm", perm, (size_t)rank);
    return y;
}

static void test_fused_matmul(void **state) {
    (void)state;
    static const struct {
        bool batch, last;
        int64_t a[3], b[3], perm[3];
    } cases[] = {{false, false, {2, 3, 4}, {2, 4, 5}, {0, 1, 2}},
                 {false, true, {2, 4, 3}, {2, 5, 4}, {0, 2, 1}},
                 {true, false, {3, 2, 4}, {4, 2, 5}, {1, 0, 2}},
                 {true, true, {4, 2, 3}, {5, 2, 4}, {1, 2, 0}}};
    for (int i = 0; i < COUNT(cases); i++) {
        lone l = open_lone("FusedMatMul");
        give_random(&l, HONE_FLOAT32, 3, cases[i].a);
        give_random(&l, HONE_FLOAT32, 3, cases[i].b);
        hone_node *n = node_of(&l, "FusedMatMul", 1);
        hone_node_set_int(l.g, n, "transBatchA", cases[i].batch);
        hone_node_set_int(l.g, n, "transBatchB", cases[i].batch);
        hone_node_set_int(l.g, n, "transA", cases[i].last);
        hone_node_set_int(l.g, n, "transB", cases[i].last);
        hone_node_set_float(l.g, n, "alpha", 0.5f);
        hone_value *y = graph_op(l.g, "MatMul", turned(l.g, l.in[0], 3, cases[i].perm),
                                 turned(l.g, l.in[1], 3, cases[i].perm));
        y = graph_op(l.g, "Mul", y, hone_graph_scalar(l.g, HONE_FLOAT32, 0.5));
        check_same(&l, &y, 1, 1e-6);
    }
}

static void test_fused_gemm(void **state) {
    (void)state;
    lone l = open_lone("FusedGemm");
    give_random(&l, HONE_FLOAT32, SHAPE(3, 4));
    give_random(&l, HONE_FLOAT32, SHAPE(5, 4));
    give_random(&l, HONE_FLOAT32, SHAPE(5));
    hone_node *n = node_of(&l, "FusedGemm", 1);
    hone_node_set_int(l.g, n, "transB", 1);
    hone_node_set_string(l.g, n, "activation", "HardSigmoid");
    hone_node_set_float(l.g, n, "activation_alpha", 0.3f);
    hone_node_set_float(l.g, n, "activation_beta", 0.4f);
    hone_value *y = graph_op(
        l.g, "Add", graph_op(l.g, "MatMul", l.in[0], turned(l.g, l.in[1], 2, (int64_t[]){1, 0})), l.in[2]);
    y = graph_op(l.g, "HardSigmoid", y);
    hone_node_set_float(l.g, y->producer, "alpha", 0.3f);
    hone_node_set_float(l.g, y->producer, "beta", 0.4f);
    check_same(&l, &y, 1, 1e-6);
}

/* alpha a_scale b_scale (A - a_zero)(B - b_zero) + C of that step */
static void test_qgemm(void **state) {
    (void)state;
    lone l = open_lone("QGemm");
    give_random(&l, HONE_INT8, SHAPE(3, 4));
    give_scale(&l, 0.02);
    give_zero(&l, HONE_INT8, 3);
    give_random(&l, HONE_INT8, SHAPE(5, 4));
    give(&l, tensor_of(SHAPE(5), (float[]){0.1f, 0.2f, 0.3f, 0.4f, 0.5f}));
    give_ints(&l, HONE_INT8, SHAPE(5), (int64_t[]){1, 2, 3, 4, 5});
    give_ints(&l, HONE_INT32, SHAPE(5), (int64_t[]){100, -7, 33, 0, 5});
    hone_node *n = node_of(&l, "QGemm", 1);
    hone_node_set_int(l.g, n, "transB", 1);
    hone_node_set_float(l.g, n, "alpha", 0.5f);
    hone_value *sum =
        graph_op(l.g, "MatMulInteger", l.in[0], turned(l.g, l.in[3], 2, (int64_t[]){1, 0}), l.in[2], l.in[5]);
    hone_value *y = graph_op(l.g, "Cast", graph_op(l.g, "Add", sum, l.in[6]));
    hone_node_set_int(l.g, y->producer, "to", HONE_FLOAT32);
    y = graph_op(l.g, "Mul", graph_op(l.g, "Mul", y, l.in[4]), hone_graph_scalar(l.g, HONE_FLOAT32, 0.01));
    check_same(&l, &y, 1, 1e-5);
}

static void test_dynamic_matmul(void **state) {
    (void)state;
    lone l = open_lone("DynamicQuantizeMatMul");
    give_random(&l, HONE_FLOAT32, SHAPE(2, 3, 4));
    give_random(&l, HONE_INT8, SHAPE(4, 5));
    give_scale(&l, 0.2);
    leave_out(&l);
    give_random(&l, HONE_FLOAT32, SHAPE(5));
    node_of(&l, "DynamicQuantizeMatMul", 1);
    hone_node *q = hone_graph_add_node(l.g, hone_op_find("", "DynamicQuantizeLinear"), NULL, 1, l.in, 3);
    hone_value *y =
        graph_op(l.g, "Cast", graph_op(l.g, "MatMulInteger", q->outputs[0], l.in[1], q->outputs[2]));
    hone_node_set_int(l.g, y->producer, "to", HONE_FLOAT32);
    y = graph_op(l.g, "Mul", y, graph_op(l.g, "Mul", q->outputs[1], l.in[2]));
    y = graph_op(l.g, "Add", y, l.in[4]);
    check_same(&l, &y, 1, 1e-6);
}

/* --- normalizations --- */

static void test_skip_layer_normalization(void **state) {
    (void)state;
    lone l = open_lone("SkipLayerNormalization");
    give_random(&l, HONE_FLOAT32, SHAPE(2, 3, 8));
    give_random(&l, HONE_FLOAT32, SHAPE(3, 8));
    for (int i = 0; i < 3; i++) give_random(&l, HONE_FLOAT32, SHAPE(8));
    hone_node_set_float(l.g, node_of(&l, "SkipLayerNormalization", 4), "epsilon", 0.01f);
    hone_value *sum = graph_op(l.g, "Add", graph_op(l.g, "Add", l.in[0], l.in[1]), l.in[4]);
    hone_node *n = hone_graph_add_node(l.g, hone_op_find("", "LayerNormalization"), NULL, 3,
                                       (hone_value *[]){sum, l.in[2], l.in[3]}, 3);
    hone_node_set_float(l.g, n, "epsilon", 0.01f);
    check_same(&l, (hone_value *[]){n->outputs[0], n->outputs[1], n->outputs[2], sum}, 4, 1e-6);
}

static void test_embeddings(void **state) {
    (void)state;
    static const int64_t ids[] = {3, 1, 4, 0, 6, 5}, segments[] = {0, 1, 1, 0, 0, 1},
                         mask[] = {1, 1, 0, 1, 0, 0};
    lone l = open_lone("EmbedLayerNormalization");
    give_ints(&l, HONE_INT32, SHAPE(2, 3), ids);
    give_ints(&l, HONE_INT32, SHAPE(2, 3), segments);
    give_random(&l, HONE_FLOAT32, SHAPE(7, 4));
    give_random(&l, HONE_FLOAT32, SHAPE(5, 4));
    give_random(&l, HONE_FLOAT32, SHAPE(2, 4));
    give_random(&l, HONE_FLOAT32, SHAPE(4));
    give_random(&l, HONE_FLOAT32, SHAPE(4));
    give_ints(&l, HONE_INT32, SHAPE(2, 3), mask);
    node_of(&l, "EmbedLayerNormalization", 3);
    hone_value *sum = graph_op(l.g, "Add", graph_op(l.g, "Gather", l.in[2], l.in[0]),
                               graph_op(l.g, "Gather", l.in[4], l.in[1]));
    sum = graph_op(l.g, "Add", sum,
                   graph_op(l.g, "Gather", l.in[3], hone_graph_ints(l.g, (int64_t[]){0, 1, 2}, 3)));
    hone_value *y = graph_op(l.g, "LayerNormalization", sum, l.in[5], l.in[6]);
    hone_node_set_float(l.g, y->producer, "epsilon", 1e-12f);
    hone_value *count = graph_op(l.g, "ReduceSum", l.in[7], hone_graph_ints(l.g, (int64_t[]){1}, 1));
    hone_node_set_int(l.g, count->producer, "keepdims", 0);
    check_same(&l, (hone_value *[]){y, count, sum}, 3, 1e-6);
}

/* --- masks of attention --- all say the same to MultiHeadAttention and to Attention: the keys [first, end) of a sequence */

enum { B = 2, T = 3, S = 5, N = 2, D = 4 };

/* With ONNX's Attention and the same as a bool mask [B, 1, 1, S]. */
static hone_value *by_onnx(lone *l, hone_value *q, hone_value *k, hone_value *v, int64_t keys,
                           const int64_t *first, const int64_t *end) {
    hone_tensor *t = tensor_make(HONE_BOOL, SHAPE(B, 1, 1, keys));
    for (int64_t i = 0; i < B * keys; i++)
        tensor_set(t, i, i % keys >= first[i / keys] && i % keys < end[i / keys]);
    hone_value *y = graph_op(l->g, "Attention", q, k, v, graph_constant(l->g, "mask", t));
    hone_node_set_int(l->g, y->producer, "q_num_heads", N);
    hone_node_set_int(l->g, y->producer, "kv_num_heads", N);
    return y;
}

static void test_masks_of_keys(void **state) {
    (void)state;
    static const int64_t none[] = {0, 0}, end[] = {3, 5};
    for (int form = 0; form < 3; form++) {
        lone l = open_lone("MultiHeadAttention");
        give_random(&l, HONE_FLOAT32, SHAPE(B, T, N * D));
        give_random(&l, HONE_FLOAT32, SHAPE(B, S, N * D));
        give_random(&l, HONE_FLOAT32, SHAPE(B, S, N * D));
        leave_out(&l);
        int64_t mask[B * T * S];
        if (form == 0) give_ints(&l, HONE_INT32, SHAPE(B), end);
        for (int64_t i = 0; i < B * S; i++) mask[i] = i % S < end[i / S];
        if (form == 1) give_ints(&l, HONE_INT32, SHAPE(B, S), mask);
        for (int64_t i = 0; i < B * T * S; i++) mask[i] = i % S < end[i / (T * S)];
        if (form == 2) give_ints(&l, HONE_INT32, SHAPE(B, T, S), mask);
        hone_node_set_int(l.g, node_of(&l, "MultiHeadAttention", 1), "num_heads", N);
        hone_value *y = by_onnx(&l, l.in[0], l.in[1], l.in[2], S, none, end);
        check_same(&l, &y, 1, 1e-5);
    }
}

static void test_mask_of_both_ends(void **state) {
    (void)state;
    static const int64_t ends[] = {3, 2, 1, 0}; /* where each ends, then where each begins */
    lone l = open_lone("Attention");
    give_random(&l, HONE_FLOAT32, SHAPE(B, T, 6));
    give_random(&l, HONE_FLOAT32, SHAPE(6, 3 * N * D));
    give_random(&l, HONE_FLOAT32, SHAPE(3 * N * D));
    give_ints(&l, HONE_INT32, SHAPE(2 * B), ends);
    hone_node_set_int(l.g, node_of(&l, "Attention", 1), "num_heads", N);
    hone_value *all = graph_op(l.g, "Add", graph_op(l.g, "MatMul", l.in[0], l.in[1]), l.in[2]);
    hone_node *parts = hone_graph_add_node(l.g, hone_op_find("", "Split"), NULL, 1, &all, 3);
    hone_node_set_int(l.g, parts, "axis", 2);
    hone_value *y = by_onnx(&l, parts->outputs[0], parts->outputs[1], parts->outputs[2], T, ends + 2, ends);
    check_same(&l, &y, 1, 1e-5);
}

/* --- quantized --- */

static hone_value *real(lone *l, int i) {
    return graph_op(l->g, "DequantizeLinear", l->in[i], l->in[i + 1], l->in[i + 2]);
}

static void give_quantized(lone *l, int rank, const int64_t *dims, double scale, double zero) {
    give_random(l, HONE_UINT8, rank, dims);
    for (int64_t i = 0; i < l->data[l->count - 1]->count; i++)
        ((uint8_t *)l->data[l->count - 1]->data)[i] = (uint8_t)(i * 37);
    give_scale(l, scale);
    give_zero(l, HONE_UINT8, zero);
}

static void test_qlinear(void **state) {
    (void)state;
    lone l = open_lone("QLinearMul");
    give_quantized(&l, SHAPE(3, 5), 0.02, 3);
    give_quantized(&l, SHAPE(5), 0.03, 7);
    give_scale(&l, 0.1);
    give_zero(&l, HONE_UINT8, 100);
    node_of(&l, "QLinearMul", 1);
    hone_value *y =
        graph_op(l.g, "QuantizeLinear", graph_op(l.g, "Mul", real(&l, 0), real(&l, 3)), l.in[6], l.in[7]);
    check_same(&l, &y, 1, 0);

    l = open_lone("QLinearSoftmax"); /* before opset 13: all axes from 1 on are one */
    give_quantized(&l, SHAPE(3, 2, 5), 0.02, 3);
    give_scale(&l, 1.0 / 256);
    give_zero(&l, HONE_UINT8, 0);
    hone_node *n = node_of(&l, "QLinearSoftmax", 1);
    hone_node_set_int(l.g, n, "axis", 1);
    hone_node_set_int(l.g, n, "opset", 12);
    y = graph_op(l.g, "Reshape", real(&l, 0), hone_graph_ints(l.g, (int64_t[]){3, 10}, 2));
    y = graph_op(l.g, "Reshape", graph_op(l.g, "Softmax", y), hone_graph_ints(l.g, (int64_t[]){3, 2, 5}, 3));
    y = graph_op(l.g, "QuantizeLinear", y, l.in[3], l.in[4]);
    check_same(&l, &y, 1, 0);

    l = open_lone("QLinearConcat");
    give_scale(&l, 0.05);
    give_zero(&l, HONE_UINT8, 9);
    give_quantized(&l, SHAPE(3, 5), 0.02, 3);
    give_quantized(&l, SHAPE(2, 5), 0.1, 200);
    hone_node_set_int(l.g, node_of(&l, "QLinearConcat", 1), "axis", 0);
    y = graph_op(l.g, "Concat", real(&l, 2), real(&l, 5));
    hone_node_set_int(l.g, y->producer, "axis", 0);
    y = graph_op(l.g, "QuantizeLinear", y, l.in[0], l.in[1]);
    check_same(&l, &y, 1, 0);
}

static void test_inverse(void **state) {
    (void)state;
    lone l = open_lone("Inverse");
    give_random(&l, HONE_FLOAT64, SHAPE(2, 4, 4));
    node_of(&l, "Inverse", 1);
    hone_value *one = graph_op(l.g, "MatMul", l.n->outputs[0], l.in[0]);
    const hone_tensor *out[2];
    hone_graph_add_output(l.g, one);
    runner r = runner_make(l.g, NULL, 1);
    runner_run(&r, l.data, out);
    for (int64_t i = 0; i < out[1]->count; i++)
        assert_true(fabs(tensor_at(out[1], i) - (i % 16 % 5 == 0)) < 1e-10);
    for (int64_t i = 16; i < 20; i++) tensor_set(l.data[0], i, 0); /* a row */
    hone_error err;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)l.data, NULL, &err),
                     HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "matrix 1 has no inverse"));
    runner_free(&r);
    hone_tensor_free(l.data[0]);
    hone_graph_free(l.g);
}

/* --- bits --- */

static const char *program;

/* Of means that lie half-way between two codes now and then, and of shares of a whole. */
static void print_codes(const char *op, const char *axes) {
    lone l = open_lone(op);
    hone_tensor *x = tensor_make(HONE_UINT8, SHAPE(2, 500, 8, 6));
    hone_rng rng = hone_rng_make(3, 0);
    for (size_t i = 0; i < x->bytes; i++) ((uint8_t *)x->data)[i] = (uint8_t)hone_rng_below(&rng, 256);
    give(&l, x);
    give_scale(&l, 0.1);
    give_ints(&l, HONE_UINT8, 0, NULL, (int64_t[]){7});
    give_scale(&l, strcmp(op, "QLinearSoftmax") == 0 ? 1.0 / 256 : 0.1);
    give_ints(&l, HONE_UINT8, 0, NULL, (int64_t[]){7});
    node_of(&l, op, 1);
    if (axes) hone_node_set_ints(l.g, l.n, axes, (int64_t[]){2, 3}, 2);
    hone_graph_add_output(l.g, l.n->outputs[0]);
    hone_tensor *y;
    graph_run(l.g, NULL, l.data, &y, 1);
    printf("%s %016llx\n", op, (unsigned long long)hone_hash(y->data, y->bytes));
    hone_tensor_free(y);
    for (int i = 0; i < l.count; i++) hone_tensor_free(l.data[i]);
    hone_graph_free(l.g);
}

static int print_all_codes(void) {
    print_codes("QLinearGlobalAveragePool", NULL);
    print_codes("QLinearAveragePool", "kernel_shape");
    print_codes("QLinearReduceMean", "axes");
    print_codes("QLinearSoftmax", NULL);
    return 0;
}

static void test_codes_at_every_level(void **state) {
    (void)state;
    char first[1000], output[1000];
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char *text = i ? output : first;
        assert_true(run_at_level(program, "--codes", level_masks[i], text, sizeof first));
        if (i && strcmp(first, output) != 0)
            fail_msg("at %s:\n%s at %s:\n%s", level_masks[i], output, level_masks[0], first);
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    if (argc > 1 && strcmp(argv[1], "--codes") == 0) return print_all_codes();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fused_matmul),
                                       cmocka_unit_test(test_fused_gemm),
                                       cmocka_unit_test(test_qgemm),
                                       cmocka_unit_test(test_dynamic_matmul),
                                       cmocka_unit_test(test_skip_layer_normalization),
                                       cmocka_unit_test(test_embeddings),
                                       cmocka_unit_test(test_masks_of_keys),
                                       cmocka_unit_test(test_mask_of_both_ends),
                                       cmocka_unit_test(test_qlinear),
                                       cmocka_unit_test(test_inverse),
                                       cmocka_unit_test(test_codes_at_every_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
