/* Weights in few bits: what their codes stand for is near, files say it in the forms asked for, and it runs packed. */
#include "train/small.h"

#include "compress/moments.h"

#include <hone/compress.h>
#include <math.h>

enum { FEATURES = 96 };
SHARED_BLOBS(200, FEATURES, 4)

static hone_quantize_options weights(int bits, int64_t block) {
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    o.mode = HONE_QUANTIZE_WEIGHTS;
    o.bits = o.edge_bits = bits;
    o.block = block;
    o.threads = 1;
    return o;
}

static hone_graph *quantized(const hone_graph *g, const hone_quantize_options *o, hone_quantize_report *r) {
    hone_graph *q = NULL;
    ok(hone_quantize(g, data, o, &q, r, &err));
    return q;
}

static const hone_node *find_op(const hone_graph *g, const char *op) {
    for (const hone_node *n = g->first; n; n = n->next)
        if (strcmp(n->op->name, op) == 0) return n;
    return NULL;
}

/* The largest difference of predictions, as a share of the largest. */
static double difference(const hone_graph *a, const hone_graph *b) {
    hone_tensor *x = predict(a, data, 200), *y = predict(b, data, 200);
    double most = 0, size = 0;
    for (int64_t i = 0; i < x->count; i++) {
        most = fmax(most, fabs((double)((float *)x->data)[i] - ((float *)y->data)[i]));
        size = fmax(size, fabs((double)((float *)x->data)[i]));
    }
    hone_tensor_free(x);
    hone_tensor_free(y);
    return most / size;
}

static bool runs(const hone_graph *g, const char *op, const char *but) {
    hone_graph *copy = copy_of(g);
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_tensor *x = NULL;
    const hone_tensor *outputs[4];
    hone_step_info info;
    bool found = false, other = false;
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){3, FEATURES}, &x, &err));
    ok(hone_model_compile(copy, NULL, &m, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_context_run(c, (const hone_tensor *[]){x}, outputs, &err));
    for (int i = 0; hone_context_step(c, i, &info); i++) {
        found |= strcmp(info.op, op) == 0;
        other |= strcmp(info.op, but) == 0;
    }
    hone_tensor_free(x);
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    hone_graph_free(copy);
    return found && !other;
}

static hone_graph *two_layers(bool turned) {
    hone_graph *g = hone_graph_new("layers");
    hone_value *x = INPUT(g, FEATURES);
    hone_value *w = turned ? WEIGHT(g, "w", 1, 64, FEATURES) : WEIGHT(g, "w", 1, FEATURES, 64);
    hone_value *y = HONE_EMIT(g, "", "Gemm", x, w, WEIGHT(g, "b", 1, 64));
    if (turned) hone_node_set_int(g, y->producer, "transB", 1);
    return finished(g, HONE_EMIT(g, "", "MatMul", HONE_EMIT(g, "", "Relu", y), WEIGHT(g, "v", 2, 64, 72)));
}

static void test_bits_and_blocks(void **state) {
    (void)state;
    static const struct {
        int bits;
        hone_dtype dtype;
        double most;
    } cases[] = {{8, HONE_INT8, 0.02}, {4, HONE_INT4, 0.25}, {3, HONE_INT4, 0.5}, {2, HONE_INT2, 1.5}};
    for (int turned = 0; turned < 2; turned++)
        for (int c = 0; c < 4; c++)
            for (int64_t block = 0; block <= 64; block += 32)
                for (int asymmetric = 0; asymmetric < 2; asymmetric++) {
                    hone_graph *g = two_layers(turned);
                    hone_quantize_options o = weights(cases[c].bits, block);
                    hone_quantize_report r;
                    o.asymmetric = asymmetric;
                    hone_graph *q = quantized(g, &o, &r);
                    const hone_node *d = find_op(q, "DequantizeLinear");
                    assert_int_equal(r.quantized_nodes, 2);
                    assert_int_equal(r.float_nodes, 0);
                    assert_int_equal(d->inputs[0]->data->dtype, cases[c].dtype);
                    assert_int_equal(hone_node_int(d, "block_size"), block);
                    assert_int_equal(d->input_count, 2 + asymmetric);
                    const double off = difference(g, q);
                    if (!(off > 0 && off < cases[c].most))
                        fail_msg("%d bits, blocks of %d, asymmetric %d, turned %d: off by %g", cases[c].bits,
                                 (int)block, asymmetric, turned, off);
                    assert_true(r.bytes_after < r.bytes_before * (cases[c].bits + 3) / 32);
                    hone_graph_free(q);
                    hone_graph_free(g);
                }
}

/* Weights in blocks are multiplied as they lie, in both dialects alike. */
static void test_runs_packed(void **state) {
    (void)state;
    hone_graph *g = two_layers(false);
    for (int bits = 2; bits <= 8; bits *= 2)
        for (int asymmetric = 0; asymmetric < 2; asymmetric++) {
            hone_quantize_options o = weights(bits, 32);
            o.asymmetric = asymmetric;
            hone_graph *q = quantized(g, &o, NULL);
            assert_true(runs(q, "BitsProduct", "DequantizeLinear"));
            o.dialect = HONE_DIALECT_ORT;
            hone_graph *p = quantized(g, &o, NULL);
            assert_non_null(find_op(p, "MatMulNBits"));
            assert_null(find_op(p, "DequantizeLinear"));
            assert_true(difference(q, p) < 1e-5);
            hone_graph_free(p);
            hone_graph_free(q);
        }
    hone_graph_free(g);
}

/* Kernels of convolutions have a scale a channel; 2 bits are stored in 2, but where rows of a matrix would end within a byte, and
 * where products are computed in integers. */
static void test_stored_bits(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("conv");
    hone_value *x =
        HONE_EMIT(g, "", "Reshape", INPUT(g, FEATURES), hone_graph_ints(g, (int64_t[]){-1, 6, 4, 4}, 4));
    x = HONE_EMIT(g, "", "Relu", HONE_EMIT(g, "", "Conv", x, WEIGHT(g, "w", 1, 8, 6, 3, 3)));
    x = HONE_EMIT(g, "", "Reshape", x, hone_graph_ints(g, (int64_t[]){-1, 32}, 2));
    finished(g, HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "v", 1, 32, 10)));
    for (int m = 0; m < 2; m++) {
        hone_quantize_options o = weights(2, 32);
        if (m) o.mode = HONE_QUANTIZE_STATIC;
        hone_graph *q = quantized(g, &o, NULL);
        const hone_node *conv = find_op(q, "Conv"), *product = find_op(q, "MatMul");
        assert_int_equal(conv->inputs[1]->producer->inputs[0]->data->dtype, m ? HONE_INT4 : HONE_INT2);
        assert_int_equal(hone_node_int(conv->inputs[1]->producer, "axis"), 0);
        assert_int_equal(product->inputs[1]->producer->inputs[0]->data->dtype, HONE_INT4);
        assert_true(difference(g, q) < 1);
        hone_graph_free(q);
    }
    hone_graph_free(g);
}

/* A table of rows that is a weight, too, turned over: stored once. */
static void test_table(void **state) {
    (void)state;
    for (int64_t block = 0; block <= 32; block += 32) {
        hone_graph *g = hone_graph_new("table");
        hone_value *table = WEIGHT(g, "table", 1, 50, FEATURES), *x = INPUT(g, FEATURES);
        hone_value *y = HONE_EMIT(g, "", "MatMul", x, HONE_EMIT(g, "", "Transpose", table));
        hone_value *top = HONE_EMIT(g, "", "ArgMax", y), *zero = hone_graph_scalar(g, HONE_INT64, 0);
        hone_node_set_int(g, top->producer, "axis", 1);
        hone_node_set_int(g, top->producer, "keepdims", 0);
        hone_value *rows = HONE_EMIT(g, "", "Gather", table, HONE_EMIT(g, "", "Mul", top, zero));
        y = HONE_EMIT(g, "", "Concat", y, rows);
        hone_node_set_int(g, y->producer, "axis", 1);
        finished(g, y);
        hone_quantize_options o = weights(4, block);
        hone_quantize_report r;
        hone_graph *q = quantized(g, &o, &r);
        assert_int_equal(r.quantized_nodes, 1);
        assert_true(difference(g, q) < 0.25);
        assert_true(runs(q, "BitsProduct", "Transpose"));
        hone_graph_free(q);
        hone_graph_free(g);
    }
}

/* What rounding does to sums is made up for: GPTQ's are nearer than nearest's, in 3 and in 2 bits. */
static void test_gptq(void **state) {
    (void)state;
    hone_graph *g = two_layers(false);
    for (int bits = 2; bits <= 3; bits++) {
        double off[4];
        for (int r = HONE_ROUND_NEAREST; r <= HONE_ROUND_GPTQ; r++) {
            hone_quantize_options o = weights(bits, 32);
            o.rounding = (hone_rounding)r;
            hone_graph *q = quantized(g, &o, NULL);
            hone_tensor *x = predict(g, data, 200), *y = predict(q, data, 200);
            off[r] = 0;
            for (int64_t i = 0; i < x->count; i++)
                off[r] += pow(((float *)x->data)[i] - ((float *)y->data)[i], 2);
            hone_tensor_free(x);
            hone_tensor_free(y);
            hone_graph_free(q);
        }
        assert_true(off[HONE_ROUND_SEARCH] < off[HONE_ROUND_NEAREST]);
        assert_true(off[HONE_ROUND_GPTQ] < 0.25 * off[HONE_ROUND_NEAREST]);
    }
    hone_graph_free(g);
}

static double mean_of(const hone_graph *g, int channel) {
    hone_tensor *y = predict(g, data, 200);
    double sum = 0;
    for (int64_t i = 0; i < 200; i++) sum += ((float *)y->data)[i * y->dims[1] + channel];
    hone_tensor_free(y);
    return sum / 200;
}

/* Means of sums stay, in weights alone and in static quantization. */
static void test_corrected_bias(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("layer");
    finished(g, HONE_EMIT(g, "", "Gemm", INPUT(g, FEATURES), WEIGHT(g, "w", 1, FEATURES, 8),
                          WEIGHT(g, "b", 1, 8)));
    for (int m = 0; m < 2; m++) {
        hone_quantize_options o = weights(2, 32);
        if (m) o.mode = HONE_QUANTIZE_STATIC;
        o.calibration_samples = 0;
        o.rounding = HONE_ROUND_NEAREST;
        hone_graph *plain = quantized(g, &o, NULL);
        o.correct_bias = true;
        hone_graph *corrected = quantized(g, &o, NULL);
        double worst = 0, best = 0;
        for (int c = 0; c < 8; c++) {
            worst = fmax(worst, fabs(mean_of(plain, c) - mean_of(g, c)));
            best = fmax(best, fabs(mean_of(corrected, c) - mean_of(g, c)));
        }
        assert_true(worst > 0.05 && best < (m ? 0.02 : 1e-4));
        hone_graph_free(plain);
        hone_graph_free(corrected);
    }
    hone_graph_free(g);
}

static void test_edges(void **state) {
    (void)state;
    hone_graph *g = mlp("96-32-32-4", data, 1);
    hone_quantize_options o = weights(2, 32);
    o.edge_bits = 4;
    hone_graph *q = quantized(g, &o, NULL);
    hone_dtype seen[3];
    int count = 0;
    for (const hone_node *n = q->first; n; n = n->next)
        if (strcmp(n->op->name, "Gemm") == 0) seen[count++] = n->inputs[1]->producer->inputs[0]->data->dtype;
    assert_int_equal(count, 3);
    assert_int_equal(seen[0], HONE_INT4);
    assert_int_equal(seen[1], HONE_INT2);
    assert_int_equal(seen[2], HONE_INT4);
    hone_graph_free(q);
    hone_graph_free(g);
}

static void test_half(void **state) {
    (void)state;
    hone_graph *g = two_layers(false);
    for (int m = HONE_QUANTIZE_FLOAT16; m <= HONE_QUANTIZE_BFLOAT16; m++) {
        hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
        hone_quantize_report r;
        o.mode = (hone_quantize_mode)m;
        hone_graph *q = quantized(g, &o, &r);
        assert_int_equal(r.quantized_nodes, 3);
        assert_true(r.bytes_after * 2 == r.bytes_before);
        assert_true(difference(g, q) < (m == HONE_QUANTIZE_FLOAT16 ? 1e-3 : 1e-2));
        hone_graph_free(q);
    }
    ((float *)weight_of(g, "w")->data)[5] = 1e6f; /* beyond float16 */
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    hone_quantize_report r;
    o.mode = HONE_QUANTIZE_FLOAT16;
    hone_graph *q = quantized(g, &o, &r);
    assert_int_equal(r.quantized_nodes, 2);
    assert_non_null(strstr(r.float_names, "beyond its range"));
    hone_graph_free(q);
    hone_graph_free(g);
}

/* --- moments --- */

static hone_dataset *images(int64_t n) {
    hone_tensor *x = NULL, *y = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 4, (int64_t[]){n, 2, 5, 4}, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, &n, &y, &err));
    hone_rng rng = hone_rng_make(3, 3);
    for (int64_t i = 0; i < x->count; i++) ((float *)x->data)[i] = hone_rng_uniform(&rng) - 0.3f;
    return dataset_of("images", x, y);
}

/* Of a convolution with pads and strides they are those of its windows. */
static void test_moments_of_windows(void **state) {
    (void)state;
    enum { N = 7, C = 2, H = 5, W = 4, TERMS = C * 9 };
    hone_dataset *d = images(N);
    hone_graph *g = hone_graph_new("conv");
    hone_value *y = HONE_EMIT(g, "", "Conv", INPUT(g, C, H, W), WEIGHT(g, "w", 1, 6, C, 3, 3));
    hone_node_set_ints(g, y->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    hone_node_set_ints(g, y->producer, "strides", (int64_t[]){2, 1}, 2);
    finished(g, y);
    double second[TERMS][TERMS] = {{0}}, first[TERMS] = {0};
    float x[N * C * H * W];
    read_x(d, 0, N, x);
    int64_t rows = 0;
    for (int n = 0; n < N; n++)
        for (int i = -1; i + 3 <= H + 1; i += 2)
            for (int k = -1; k + 3 <= W + 1; k++, rows++) {
                double window[TERMS];
                for (int t = 0; t < TERMS; t++) {
                    const int c = t / 9, r = i + t / 3 % 3, s = k + t % 3;
                    window[t] = r < 0 || r >= H || s < 0 || s >= W ? 0 : x[((n * C + c) * H + r) * W + s];
                }
                for (int a = 0; a < TERMS; a++) {
                    first[a] += window[a];
                    for (int b = 0; b < TERMS; b++) second[a][b] += window[a] * window[b];
                }
            }
    hone_moments m = {.rows = 0};
    ok(hone_moments_find(g, d, NULL, 0, 1, &(hone_moments_ask){y->producer, 0, 1}, 1, &m, &err));
    assert_int_equal(m.rows, rows);
    for (int a = 0; a < TERMS; a++) {
        assert_true(fabs(m.first[a] - first[a]) < 1e-4);
        for (int b = 0; b < TERMS; b++) assert_true(fabs(m.second[a * TERMS + b] - second[a][b]) < 1e-4);
    }
    ok(hone_moments_factor(&m, &err)); /* (U^T U) (H + damping) = 1 */
    double mean = 0;
    for (int a = 0; a < TERMS; a++) mean += second[a][a] / TERMS;
    for (int a = 0; a < TERMS; a++)
        for (int b = 0; b < TERMS; b++) {
            double sum = 0;
            for (int k = 0; k < TERMS; k++) {
                double inverse = 0;
                for (int t = 0; t <= a && t <= k; t++)
                    inverse += m.factor[t * TERMS + a] * m.factor[t * TERMS + k];
                sum += inverse * (m.second[k * TERMS + b] + (k == b ? 0.01 * mean : 0));
            }
            assert_true(fabs(sum - (a == b)) < 1e-6);
        }
    hone_moments_free(&m);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* --- what is refused --- */

static void test_options_out_of_range(void **state) {
    (void)state;
    hone_graph *g = two_layers(false), *q = NULL;
    hone_quantize_options o = weights(5, 32);
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "5 bits");
    o = weights(4, 24);
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "blocks of 24");
    o = weights(4, 32);
    o.rounding = HONE_ROUND_GPTQ;
    refused(hone_quantize(g, NULL, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "need data");
    o = weights(4, 32);
    o.mode = HONE_QUANTIZE_DYNAMIC;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "8 bits only");
    o = weights(4, 32);
    ok(hone_quantize(g, NULL, &o, &q, NULL, &err)); /* without data */
    hone_graph_free(q);
    ((float *)weight_of(g, "v")->data)[3] = NAN;
    q = NULL;
    refused(hone_quantize(g, NULL, &o, &q, NULL, &err), HONE_OUT_OF_RANGE, "weight 3");
    assert_null(q);
    hone_graph_free(g);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_graph *g = mlp("96-8-4", data, 1), *q = NULL;
    for (int r = HONE_ROUND_SEARCH; r <= HONE_ROUND_GPTQ; r++) {
        hone_quantize_options o = weights(4, 32);
        o.rounding = (hone_rounding)r;
        o.asymmetric = o.correct_bias = true;
        o.calibration_samples = 8;
        FAIL_EACH_ALLOCATION(hone_quantize(g, data, &o, &q, NULL, &err), assert_null(q));
        hone_graph_free(q);
        q = NULL;
    }
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits_and_blocks),
        cmocka_unit_test(test_runs_packed),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_stored_bits),
        cmocka_unit_test(test_gptq),
        cmocka_unit_test(test_corrected_bias),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_half),
        cmocka_unit_test(test_moments_of_windows),
        cmocka_unit_test(test_options_out_of_range),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
