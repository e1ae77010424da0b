/* Models of several products, by tiles and not: bfloat16 as float32 within its rounding, and the same bits for any
 * number of threads and in any batch. */
#include "kernels/kernels.h"
#include "support/graphs.h"

static hone_value *weights(hone_graph *g, int rank, const int64_t *dims, uint64_t seed) {
    hone_tensor *t = tensor_random(HONE_FLOAT32, rank, dims, seed);
    int64_t each = t->count / t->dims[0];
    for (int64_t i = 0; i < t->count; i++) tensor_set(t, i, tensor_at(t, i) / sqrt((double)each) * 2);
    return graph_constant(g, "w", t);
}

/* Images: windows that lie evenly, and others; 1 x 1; a residual; each through float32. */
static hone_graph *images(int64_t channels, int64_t h, int64_t w) {
    hone_graph *g = hone_graph_new("images");
    const int64_t kernels[][2] = {{3, 1}, {1, 1}, {3, 2}, {5, 1}}, m = 2 * channels - 16;
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(-1, channels, h, w)), *y = x;
    int64_t c = channels;
    for (int i = 0; i < COUNT(kernels); i++) {
        const int64_t k = kernels[i][0], out = i % 2 ? channels : m, pads[] = {k / 2, k / 2, k / 2, k / 2};
        const int64_t strides[] = {kernels[i][1], kernels[i][1]};
        y = graph_op(g, "Conv", y, weights(g, SHAPE(out, c, k, k), (uint64_t)i + 1));
        hone_node_set_ints(g, y->producer, "pads", pads, 4);
        hone_node_set_ints(g, y->producer, "strides", strides, 2);
        if (i == 1) y = graph_op(g, "Add", y, x);
        y = graph_op(g, i == 2 ? "Gelu" : "Relu", y);
        c = out;
    }
    hone_graph_add_output(g, y);
    return g;
}

/* Lines of an image of one, and sentences. */
static hone_graph *sentences(int64_t size, int64_t wide) {
    hone_graph *g = hone_graph_new("sentences");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(-1, 40, size));
    hone_value *y = graph_op(g, "Gelu", graph_op(g, "MatMul", x, weights(g, SHAPE(size, wide), 1)));
    y = graph_op(g, "Add", graph_op(g, "MatMul", y, weights(g, SHAPE(wide, size), 2)), x);
    hone_graph_add_output(g, graph_op(g, "Tanh", y));
    return g;
}

static hone_tensor *run_with(const hone_graph *g, hone_precision precision, int threads, hone_tensor *x) {
    hone_model_options options = HONE_MODEL_OPTIONS_INIT;
    hone_model *model = NULL;
    hone_error err;
    const hone_tensor *y;
    options.precision = precision;
    check_ok(hone_model_compile(g, &options, &model, &err));
    runner r = runner_of(model, threads);
    runner_run(&r, &x, &y);
    hone_tensor *copy = tensor_make(HONE_FLOAT32, y->rank, y->dims);
    memcpy(copy->data, y->data, (size_t)y->count * sizeof(float));
    runner_free(&r);
    return copy;
}

static double difference(const hone_tensor *a, const hone_tensor *b) {
    double most = 0, size = 0;
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++) {
        size = fmax(size, fabs(tensor_at(a, i)));
        most = fmax(most, fabs(tensor_at(a, i) - tensor_at(b, i)));
    }
    return most / size;
}

static void check(hone_graph *g, int rank, const int64_t *dims) {
    hone_tensor *x = tensor_random(HONE_FLOAT32, rank, dims, 9);
    hone_tensor *want = run_with(g, HONE_PRECISION_FLOAT32, 1, x);
    for (int p = HONE_PRECISION_FLOAT32; p <= HONE_PRECISION_BFLOAT16; p++) {
        hone_tensor *y = run_with(g, (hone_precision)p, 1, x), *two = run_with(g, (hone_precision)p, 2, x);
        assert_memory_equal(y->data, two->data, (size_t)y->count * sizeof(float));
        const double far = difference(want, y);
        const bool rounds = p == HONE_PRECISION_BFLOAT16 && hone_kernels_get()->gemm[HONE_GEMM_BF16];
        if (rounds ? far == 0 || far > 0.03 : far != 0) fail_msg("precision %d: %g from float32", p, far);
        /* the last item alone */
        int64_t alone[HONE_MAX_RANK];
        memcpy(alone, dims, (size_t)rank * sizeof *alone);
        const int64_t batch = alone[0], item = x->count / batch, result = y->count / batch;
        alone[0] = 1;
        hone_tensor *last = tensor_of(rank, alone, (const float *)x->data + (batch - 1) * item);
        hone_tensor *z = run_with(g, (hone_precision)p, 1, last);
        assert_memory_equal(z->data, (const float *)y->data + (batch - 1) * result,
                            (size_t)result * sizeof(float));
        hone_tensor_free(y);
        hone_tensor_free(two);
        hone_tensor_free(last);
        hone_tensor_free(z);
    }
    hone_tensor_free(want);
    hone_tensor_free(x);
    hone_graph_free(g);
}

static void test_images(void **state) {
    (void)state;
    check(images(32, 13, 17), 4, (int64_t[]){3, 32, 13, 17});
    check(images(64, 56, 20), 4, (int64_t[]){2, 64, 56, 20});
    check(images(40, 9, 7), 4, (int64_t[]){2, 40, 9, 7});
    check(images(160, 1, 90), 4, (int64_t[]){2, 160, 1, 90});
}

static void test_sentences(void **state) {
    (void)state;
    check(sentences(128, 512), 3, (int64_t[]){5, 40, 128});
    check(sentences(96, 130), 3, (int64_t[]){3, 40, 96});
    check(sentences(900, 200), 3, (int64_t[]){2, 40, 900});
}

static hone_graph *attention(int64_t heads, int64_t rows, int64_t d) {
    hone_graph *g = hone_graph_new("attention");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(-1, heads, rows, d));
    hone_value *k = graph_op(g, "MatMul", x, weights(g, SHAPE(d, d), 1));
    hone_graph_add_output(g, graph_op(g, "Attention", x, k, graph_op(g, "Tanh", x)));
    return g;
}

static void test_attention(void **state) {
    (void)state;
    check(attention(2, 50, 64), 4, (int64_t[]){3, 2, 50, 64});
    check(attention(3, 300, 40), 4, (int64_t[]){2, 3, 300, 40});
    check(attention(1, 900, 33), 4, (int64_t[]){2, 1, 900, 33});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_images), cmocka_unit_test(test_sentences),
                                       cmocka_unit_test(test_attention)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
