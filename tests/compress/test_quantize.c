/* Quantization: grids that hold zero, errors within what the grids allow, integers where the report says so. */
#include "train/small.h"

#include <hone/compress.h>
#include <math.h>

SHARED_BLOBS(120, 12, 4)

static hone_quantize_options mode(hone_quantize_mode m) {
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    o.mode = m;
    o.threads = 1;
    return o;
}

static hone_graph *quantized(const hone_graph *g, hone_quantize_mode m, hone_quantize_report *r) {
    hone_graph *q = NULL, *before = copy_of(g);
    hone_quantize_options o = mode(m);
    ok(hone_quantize(g, data, &o, &q, r, &err));
    assert_true(same_weights(g, before));
    hone_graph_free(before);
    return q;
}

static int count_op(const hone_graph *g, const char *op) {
    int count = 0;
    for (const hone_node *n = g->first; n; n = n->next) count += strcmp(n->op->name, op) == 0;
    return count;
}

static const hone_node *maker(const hone_node *n, int input) {
    return n->inputs[input]->producer;
}

static const hone_node *find_op(const hone_graph *g, const char *op, int index) {
    for (const hone_node *n = g->first; n; n = n->next)
        if (strcmp(n->op->name, op) == 0 && index-- == 0) return n;
    fail_msg("no %s", op);
    return NULL;
}

/* How many steps of the compiled graph are of that operator. */
static int steps_of(const hone_graph *g, const char *op) {
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_tensor *x = NULL;
    const hone_tensor *outputs[4];
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){3, column_of(data, "x").dims[0]}, &x, &err));
    ok(hone_model_compile(g, NULL, &m, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_context_run(c, (const hone_tensor *[]){x}, outputs, &err));
    int count = 0;
    hone_step_info info;
    for (int i = 0; hone_context_step(c, i, &info); i++) count += strcmp(info.op, op) == 0;
    hone_tensor_free(x);
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    return count;
}

/* Products in integers, and none in float. */
static void runs_in_integers(const hone_graph *q, int products) {
    assert_int_equal(steps_of(q, "IntegerGemm"), products);
    assert_int_equal(steps_of(q, "Gemm") + steps_of(q, "MatMul"), 0);
}

static float scale_of(const hone_node *dq, int64_t channel) {
    const hone_tensor *t = dq->inputs[1]->data;
    return ((const float *)t->data)[t->count == 1 ? 0 : channel];
}

static hone_graph *one_layer(int64_t out) {
    hone_graph *g = hone_graph_new("layer");
    return finished(
        g, HONE_EMIT(g, "", "Gemm", INPUT(g, 12), WEIGHT(g, "w", 1, 12, out), WEIGHT(g, "b", 1, out)));
}

/* --- static --- */

static void test_weights_per_channel(void **state) {
    (void)state;
    hone_graph *g = one_layer(5), *q = quantized(g, HONE_QUANTIZE_STATIC, NULL);
    const hone_node *dq = maker(find_op(q, "Gemm", 0), 1);
    assert_string_equal(dq->op->name, "DequantizeLinear");
    const hone_tensor *w = weight_of(g, "w"), *wq = dq->inputs[0]->data;
    assert_int_equal(wq->dtype, HONE_INT8);
    assert_int_equal(hone_node_int(dq, "axis"), 1);
    assert_int_equal(dq->inputs[1]->data->count, 5);
    for (int c = 0; c < 5; c++) {
        float most = 0, s = scale_of(dq, c);
        int largest = 0;
        for (int k = 0; k < 12; k++) {
            float x = ((const float *)w->data)[k * 5 + c];
            int v = ((const int8_t *)wq->data)[k * 5 + c];
            most = fmaxf(most, fabsf(x));
            largest = abs(v) > largest ? abs(v) : largest;
            assert_true(v >= -127 && fabsf(x - (float)v * s) <= s * 0.5001f);
        }
        assert_true(fabsf(s - most / 127) < 1e-6f * s);
        assert_int_equal(largest, 127);
    }
    dq = maker(find_op(q, "Gemm", 0), 2); /* the bias: at the products' step, without a zero point */
    float step = *(const float *)maker(find_op(q, "Gemm", 0), 0)->inputs[1]->data->data;
    assert_int_equal(dq->inputs[0]->data->dtype, HONE_INT32);
    assert_int_equal(dq->input_count, 2);
    for (int c = 0; c < 5; c++) {
        float s = scale_of(dq, c), b = ((const float *)weight_of(g, "b")->data)[c];
        assert_true(s == step * scale_of(maker(find_op(q, "Gemm", 0), 1), c));
        assert_true(fabsf((float)((const int32_t *)dq->inputs[0]->data->data)[c] * s - b) <= s * 0.51f);
    }
    hone_graph_free(q);
    hone_graph_free(g);
}

/* Zero has a number of its own on every grid, whatever the range. */
static void test_zero_is_exact(void **state) {
    (void)state;
    static const float shifts[][2] = {{1, 0}, {1, 5},  {1, -5},    {0, 0},
                                      {0, 3}, {0, -3}, {1e-3f, 0}, {1e4f, 1}};
    for (size_t i = 0; i < sizeof shifts / sizeof *shifts; i++) {
        hone_graph *g = hone_graph_new("shifted");
        hone_value *x =
            HONE_EMIT(g, "", "Mul", INPUT(g, 12), hone_graph_scalar(g, HONE_FLOAT32, shifts[i][0]));
        x = HONE_EMIT(g, "", "Add", x, hone_graph_scalar(g, HONE_FLOAT32, shifts[i][1]));
        finished(g, HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w", 1, 12, 5)));
        hone_graph *out = quantized(g, HONE_QUANTIZE_STATIC, NULL);
        const hone_node *q = find_op(out, "QuantizeLinear", 0);
        float s = *(const float *)q->inputs[1]->data->data;
        int z = *(const uint8_t *)q->inputs[2]->data->data;
        assert_int_equal(q->inputs[2]->data->dtype, HONE_UINT8);
        assert_true(s > 0 && isfinite(s));
        float samples[120 * 12];
        read_x(data, 0, 120, samples);
        for (int k = 0; k < 120 * 12; k++) { /* all that was seen is on the grid, within half a step */
            float v = samples[k] * shifts[i][0] + shifts[i][1], at = rintf(v / s) + (float)z;
            at = at < 0 ? 0 : at > 255 ? 255 : at;
            assert_true(fabsf((at - (float)z) * s - v) <= 0.5001f * s);
        }
        hone_graph_free(out);
        hone_graph_free(g);
    }
}

/* |y - y'| of one product, from the halves of the steps. `scale` is of x, `w` the weights as [k, n]. */
static double bound(const float *x, const float *w, int64_t k, int64_t n, int64_t j, double x_step,
                    double w_step) {
    double sum = 1e-5;
    for (int64_t i = 0; i < k; i++)
        sum += fabs(x[i]) * w_step / 2 + fabs(w[i * n + j]) * x_step / 2 + x_step * w_step / 4;
    return sum + x_step * w_step; /* the bias, and rounding */
}

typedef struct variant {
    const char *name;
    bool matmul, add, trans_b, no_bias, wide_bias, behind_transpose;
    float alpha, beta;
    bool integer, dynamic_integer; /* computed in integers: static, dynamic */
} variant;

static const variant variants[] = {
    {.name = "Gemm", .alpha = 1, .beta = 1, .integer = true, .dynamic_integer = true},
    {.name = "Gemm without C",
     .no_bias = true,
     .alpha = 1,
     .beta = 1,
     .integer = true,
     .dynamic_integer = true},
    {.name = "Gemm transB", .trans_b = true, .alpha = 1, .beta = 1, .integer = true, .dynamic_integer = true},
    {.name = "Gemm with C [1, n]",
     .wide_bias = true,
     .alpha = 1,
     .beta = 1,
     .integer = true,
     .dynamic_integer = true},
    {.name = "Gemm alpha", .alpha = 0.25f, .beta = 1},
    {.name = "Gemm beta", .alpha = 1, .beta = -2},
    {.name = "Gemm alpha, beta, transB", .trans_b = true, .alpha = 3, .beta = 0.5f},
    {.name = "MatMul", .matmul = true, .no_bias = true, .integer = true, .dynamic_integer = true},
    {.name = "MatMul and Add", .matmul = true, .add = true, .integer = true, .dynamic_integer = true},
    {.name = "MatMul of a Transpose",
     .matmul = true,
     .add = true,
     .behind_transpose = true,
     .integer = true,
     .dynamic_integer = true},
};

enum { OUT = 7 };

static hone_graph *build(const variant *v) {
    hone_graph *g = hone_graph_new(v->name);
    bool turned = v->trans_b || v->behind_transpose;
    hone_value *x = INPUT(g, 12), *w = turned ? WEIGHT(g, "w", 1, OUT, 12) : WEIGHT(g, "w", 1, 12, OUT), *y;
    if (v->behind_transpose) w = HONE_EMIT(g, "", "Transpose", w);
    if (v->matmul) {
        y = HONE_EMIT(g, "", "MatMul", x, w);
        if (v->add) y = HONE_EMIT(g, "", "Add", y, WEIGHT(g, "b", 1, OUT));
        return finished(g, y);
    }
    hone_value *b = v->no_bias ? NULL : v->wide_bias ? WEIGHT(g, "b", 1, 1, OUT) : WEIGHT(g, "b", 1, OUT);
    y = HONE_EMIT(g, "", "Gemm", x, w, b);
    if (v->trans_b) hone_node_set_int(g, y->producer, "transB", 1);
    if (v->alpha != 1) hone_node_set_float(g, y->producer, "alpha", v->alpha);
    if (v->beta != 1) hone_node_set_float(g, y->producer, "beta", v->beta);
    return finished(g, y);
}

static void test_errors_are_bounded(void **state) {
    (void)state;
    float x[120 * 12];
    read_x(data, 0, 120, x);
    float low = 0, high = 0;
    for (int i = 0; i < 120 * 12; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const variant *v = &variants[i];
        for (int m = 0; m < 2; m++) {
            bool integer = m ? v->dynamic_integer : v->integer;
            hone_graph *g = build(v), *q = NULL;
            hone_quantize_report r;
            hone_quantize_options o = mode(m ? HONE_QUANTIZE_DYNAMIC : HONE_QUANTIZE_STATIC);
            hone_status status = hone_quantize(g, data, &o, &q, &r, &err);
            if (!integer && status != HONE_OK) { /* the only product, and it stays in float */
                refused(status, HONE_UNSUPPORTED, "nothing in the model can be quantized");
                hone_graph_free(g);
                continue;
            }
            if (status != HONE_OK) fail_msg("%s, %s: %s", v->name, m ? "dynamic" : "static", error_text());
            assert_int_equal(r.quantized_nodes, 1);
            assert_int_equal(r.float_nodes, 0);
            assert_true(r.bytes_after < r.bytes_before);
            int products = steps_of(q, "IntegerGemm");
            if (products != 1)
                fail_msg("%s, %s: %d products in integers", v->name, m ? "dynamic" : "static", products);
            runs_in_integers(q, 1);
            float w[12 * OUT];
            bool turned = v->trans_b || v->behind_transpose;
            const float *stored = weight_of(g, "w")->data;
            for (int k = 0; k < 12; k++)
                for (int j = 0; j < OUT; j++)
                    w[k * OUT + j] = turned ? stored[j * 12 + k] : stored[k * OUT + j];
            hone_tensor *a = predict(g, data, 120), *b = predict(q, data, 120);
            double scale = v->matmul ? 1 : fabs(v->alpha), worst = 0;
            for (int s = 0; s < 120; s++)
                for (int j = 0; j < OUT; j++) {
                    double most = 0;
                    for (int k = 0; k < 12; k++) most = fmax(most, fabsf(w[k * OUT + j]));
                    double e =
                        fabs(((const float *)a->data)[s * OUT + j] - ((const float *)b->data)[s * OUT + j]);
                    double limit = scale * bound(x + s * 12, w, 12, OUT, j, (high - low) / 255, most / 127);
                    if (!(e <= limit))
                        fail_msg("%s, %s: %g off, allowed are %g", v->name, m ? "dynamic" : "static", e,
                                 limit);
                    worst = fmax(worst, e);
                }
            assert_true(worst > 0); /* it is quantized */
            hone_tensor_free(a);
            hone_tensor_free(b);
            hone_graph_free(q);
            hone_graph_free(g);
        }
    }
}

/* Two layers that read one value share its grid; the one that reads it in float keeps it. */
static void test_shared_input(void **state) {
    (void)state;
    for (int m = 0; m < 2; m++) {
        hone_graph *g = hone_graph_new("shared");
        hone_value *x = HONE_EMIT(g, "", "Relu", INPUT(g, 12));
        hone_value *a = HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w1", 1, 12, 12));
        hone_value *b = HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w2", 1, 12, 12));
        finished(g, HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "Add", a, b), x));
        hone_quantize_report r;
        hone_graph *q = quantized(g, m ? HONE_QUANTIZE_DYNAMIC : HONE_QUANTIZE_STATIC, &r);
        assert_int_equal(r.quantized_nodes, 2);
        assert_int_equal(count_op(q, m ? "DynamicQuantizeLinear" : "QuantizeLinear"), 1);
        if (!m) assert_ptr_equal(maker(find_op(q, "Gemm", 0), 0), maker(find_op(q, "Gemm", 1), 0));
        if (!m) assert_int_equal(count_op(q, "DequantizeLinear"), 3);
        runs_in_integers(q, 2);
        hone_graph_free(q);
        hone_graph_free(g);
    }
}

/* Products of products, with nothing between. */
static void test_chain(void **state) {
    (void)state;
    for (int m = 0; m < 2; m++) {
        hone_graph *g = hone_graph_new("chain");
        hone_value *x =
            HONE_EMIT(g, "", "Gemm", INPUT(g, 12), WEIGHT(g, "w1", 1, 12, 9), WEIGHT(g, "b1", 1, 9));
        x = HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "w2", 1, 9, 8));
        finished(g, HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "w3", 1, 8, 4)));
        hone_quantize_report r;
        hone_graph *q = quantized(g, m ? HONE_QUANTIZE_DYNAMIC : HONE_QUANTIZE_STATIC, &r);
        assert_int_equal(r.quantized_nodes, 3);
        assert_int_equal(r.float_nodes, 0);
        runs_in_integers(q, 3);
        hone_graph_free(q);
        hone_graph_free(g);
    }
}

static void test_very_many_users(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("many");
    hone_value *x = INPUT(g, 12), *sum = x;
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", i);
        sum = HONE_EMIT(g, "", "Add", sum, HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, name, 1, 12, 12)));
    }
    finished(g, sum);
    hone_quantize_report r;
    hone_graph *q = quantized(g, HONE_QUANTIZE_STATIC, &r);
    assert_int_equal(r.quantized_nodes, 100);
    assert_int_equal(r.float_nodes, 0);
    assert_int_equal(count_op(q, "QuantizeLinear"), 1);
    hone_graph_free(q);
    hone_graph_free(g);
}

static void test_network(void **state) {
    (void)state;
    hone_graph *g = mlp("12-32-16-4", data, 1);
    hone_train_options t = HONE_TRAIN_OPTIONS_INIT;
    t.learning_rate = 0.1;
    ok(hone_train(g, data, &t, NULL, &err));
    for (int m = 0; m < 2; m++) {
        hone_quantize_report r;
        hone_eval_report before, after;
        hone_graph *q = quantized(g, m ? HONE_QUANTIZE_DYNAMIC : HONE_QUANTIZE_STATIC, &r);
        assert_int_equal(r.quantized_nodes, 3);
        assert_int_equal(r.float_nodes, 0);
        assert_string_equal(r.float_names, "");
        int64_t bytes[2] = {0, 0};
        const hone_graph *both[] = {g, q};
        for (int i = 0; i < 2; i++)
            for (size_t k = 0; k < both[i]->value_count; k++)
                if (both[i]->values[k] && both[i]->values[k]->data)
                    bytes[i] += (int64_t)both[i]->values[k]->data->bytes;
        assert_int_equal(r.bytes_before, bytes[0]);
        assert_int_equal(r.bytes_after, bytes[1]);
        runs_in_integers(q, 3);
        ok(hone_evaluate(g, data, NULL, 1, &before, &err));
        ok(hone_evaluate(q, data, NULL, 1, &after, &err));
        assert_true(fabs(before.metrics[0].value - after.metrics[0].value) <= 0.02 &&
                    fabs(before.loss - after.loss) < 0.02);
        assert_string_equal(q->outputs[0]->name, "logits");
        hone_graph_free(q);
    }
    hone_graph_free(g);
}

/* Any number of threads calibrates alike; the first samples only. */
static void test_calibration_samples(void **state) {
    (void)state;
    hone_graph *g = mlp("12-8-4", data, 1), *first = NULL;
    for (int threads = 1; threads <= 4; threads *= 2) {
        hone_quantize_options o = mode(HONE_QUANTIZE_STATIC);
        hone_graph *q = NULL;
        o.threads = threads;
        ok(hone_quantize(g, data, &o, &q, NULL, &err));
        if (first) assert_true(same_weights(first, q));
        if (first)
            hone_graph_free(q);
        else
            first = q;
    }
    hone_quantize_options o = mode(HONE_QUANTIZE_STATIC);
    hone_graph *few = NULL;
    o.calibration_samples = 1;
    ok(hone_quantize(g, data, &o, &few, NULL, &err));
    assert_false(same_weights(first, few));
    hone_graph_free(few);
    hone_graph_free(first);
    hone_graph_free(g);
}

/* --- what stays in float --- */

static void test_what_stays_in_float_is_told(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("attention");
    hone_value *x = INPUT(g, 12), *h = HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "w", 1, 12, 12));
    hone_value *in[] = {h, HONE_EMIT(g, "", "Transpose", h)};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "MatMul"), "scores", 2, in, 1);
    finished(g, HONE_EMIT(g, "", "MatMul", n->outputs[0], h));
    for (int m = 0; m < 2; m++) {
        hone_quantize_report r;
        hone_graph *q = quantized(g, m ? HONE_QUANTIZE_DYNAMIC : HONE_QUANTIZE_STATIC, &r);
        assert_int_equal(r.quantized_nodes, 1);
        assert_int_equal(r.float_nodes, 2);
        if (!strstr(r.float_names, "scores (its weight is not a constant)")) fail_msg("%s", r.float_names);
        hone_graph_free(q);
    }
    hone_graph_free(g);
}

static void test_nothing_to_quantize(void **state) {
    (void)state;
    for (int m = 0; m < 2; m++) {
        hone_quantize_options o = mode(m ? HONE_QUANTIZE_DYNAMIC : HONE_QUANTIZE_STATIC);
        hone_graph *g = hone_graph_new("nothing"), *q = NULL;
        finished(g, HONE_EMIT(g, "", "Relu", INPUT(g, 12)));
        refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_UNSUPPORTED,
                "nothing in the model can be quantized: no operator multiplies by a weight");
        hone_graph_free(g);

        g = hone_graph_new("products");
        hone_value *x = INPUT(g, 12), *in[] = {x, HONE_EMIT(g, "", "Transpose", x)};
        finished(g, hone_graph_add_node(g, hone_op_find("", "MatMul"), "gram", 2, in, 1)->outputs[0]);
        refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_UNSUPPORTED,
                "nothing in the model can be quantized: gram (its weight is not a constant)");
        hone_graph_free(g);

        g = one_layer(4); /* what is quantized already */
        hone_graph *once = quantized(g, o.mode, NULL);
        refused(hone_quantize(once, data, &o, &q, NULL, &err), HONE_UNSUPPORTED,
                "nothing in the model can be quantized");
        hone_graph_free(once);
        hone_graph_free(g);
        assert_null(q);
    }
}

/* --- numbers at the edge --- */

static void test_what_is_not_finite_is_named(void **state) {
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++)
        for (int m = 0; m < 2; m++) {
            hone_quantize_options o = mode(m ? HONE_QUANTIZE_DYNAMIC : HONE_QUANTIZE_STATIC);
            hone_graph *g = mlp("12-8-4", data, 1), *q = NULL;
            ((float *)weight_of(g, "layer2.weight")->data)[5] = bad[i];
            refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_OUT_OF_RANGE, "layer2.weight");
            hone_graph_free(g);

            g = mlp("12-8-4", data, 1);
            ((float *)weight_of(g, "layer2.bias")->data)[1] = bad[i];
            refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_OUT_OF_RANGE, "layer2.bias");
            hone_graph_free(g);
            assert_null(q);
        }
    /* an activation: the data divided by zero */
    hone_graph *g = hone_graph_new("division"), *q = NULL;
    hone_value *x = HONE_EMIT(g, "", "Div", INPUT(g, 12), hone_graph_scalar(g, HONE_FLOAT32, 0));
    hone_graph_rename(g, x, "ratio");
    finished(g, HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "w", 1, 12, 4)));
    hone_quantize_options o = mode(HONE_QUANTIZE_STATIC);
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_OUT_OF_RANGE,
            "node ratio: is inf on calibration data");
    hone_graph_free(g);
}

/* Very small, very large and all-zero channels. */
static void test_extreme_weights(void **state) {
    (void)state;
    const float factors[] = {0, 1e-45f, 1e-40f, 1e-30f, 1, 1e30f, 3e38f};
    hone_graph *g = hone_graph_new("extreme");
    hone_value *w = WEIGHT(g, "w", 1, 12, 7);
    for (int k = 0; k < 12; k++)
        for (int c = 0; c < 7; c++)
            ((float *)w->data->data)[k * 7 + c] = factors[c] * (k % 2 ? 1 : -1) * (k < 6 ? 1 : 0.5f);
    finished(g, HONE_EMIT(g, "", "Gemm", INPUT(g, 12), w));
    for (int m = 0; m < 2; m++) {
        hone_graph *q = quantized(g, m ? HONE_QUANTIZE_DYNAMIC : HONE_QUANTIZE_STATIC, NULL);
        const hone_tensor *scale = weight_of(q, "w.scale"), *wq = weight_of(q, "w.quantized");
        for (int c = 0; c < 7; c++) {
            float s = ((const float *)scale->data)[c];
            assert_true(isfinite(s) && s > 0);
            for (int k = 0; k < 12; k++) {
                float x = ((const float *)w->data->data)[k * 7 + c],
                      back = s * ((const int8_t *)wq->data)[k * 7 + c];
                assert_true(isfinite(back) && fabsf(back - x) <= fmaxf(s * 0.51f, 2e-38f));
            }
        }
        hone_graph_free(q);
    }
    hone_graph_free(g);
}

static void test_extreme_activations(void **state) {
    (void)state;
    const float factors[] = {0, 1e-45f, 1e-38f, 1e38f};
    for (int i = 0; i < 4; i++) {
        hone_graph *g = hone_graph_new("extreme");
        hone_value *x = HONE_EMIT(g, "", "Sub", INPUT(g, 12), hone_graph_scalar(g, HONE_FLOAT32, 0.5));
        x = HONE_EMIT(g, "", "Mul", x, hone_graph_scalar(g, HONE_FLOAT32, 1));
        x = HONE_EMIT(g, "", "Mul", x, hone_graph_scalar(g, HONE_FLOAT32, factors[i]));
        if (i == 3)
            x = HONE_EMIT(g, "", "Mul", x,
                          hone_graph_scalar(g, HONE_FLOAT32, 4)); /* ± 2.6e38: a range of 5e38 */
        finished(g, HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "w", 1, 12, 4)));
        hone_graph *q = quantized(g, HONE_QUANTIZE_STATIC, NULL);
        const hone_node *n = find_op(q, "QuantizeLinear", 0);
        float s = *(const float *)n->inputs[1]->data->data;
        assert_true(isfinite(s) && s > 0);
        if (i == 3) assert_true(*(const uint8_t *)n->inputs[2]->data->data > 50);
        hone_graph_free(q);
        hone_graph_free(g);
    }
}

/* A bias too large for 32 bits at the products' step stays in float. */
static void test_large_bias(void **state) {
    (void)state;
    hone_graph *g = one_layer(5);
    for (int i = 0; i < 5; i++) ((float *)weight_of(g, "b")->data)[i] = 1e9f * (float)i;
    hone_graph *q = quantized(g, HONE_QUANTIZE_STATIC, NULL);
    hone_tensor *a = predict(g, data, 120), *b = predict(q, data, 120);
    for (int64_t i = 0; i < a->count; i++)
        assert_true(fabsf(((float *)a->data)[i] - ((float *)b->data)[i]) <=
                    0.1f + 1e-6f * fabsf(((float *)a->data)[i]));
    runs_in_integers(q, 1);
    hone_tensor_free(a);
    hone_tensor_free(b);
    hone_graph_free(q);
    hone_graph_free(g);
}

/* --- options --- */

static void test_options_out_of_range(void **state) {
    (void)state;
    hone_graph *g = mlp("12-8-4", data, 1), *q = NULL;
    hone_quantize_options o = mode(HONE_QUANTIZE_STATIC);
    refused(hone_quantize(g, NULL, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "needs data");
    o.mode = (hone_quantize_mode)6;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "mode 6");
    o = mode(HONE_QUANTIZE_STATIC);
    o.calibration_samples = -1;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "calibration_samples -1");
    o = mode(HONE_QUANTIZE_STATIC);
    o.threads = -1;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "threads");
    hone_dataset *wider = blobs(20, 13, 4, 1);
    o = mode(HONE_QUANTIZE_STATIC);
    refused(hone_quantize(g, wider, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "input");
    hone_dataset_free(wider);
    assert_null(q);
    ok(hone_quantize(g, data, NULL, &q, NULL, &err)); /* the defaults */
    assert_int_equal(count_op(q, "QuantizeLinear"), 2);
    hone_graph_free(q);
    o.mode = HONE_QUANTIZE_DYNAMIC;
    ok(hone_quantize(g, NULL, &o, &q, NULL, NULL));
    hone_graph_free(q);
    hone_graph_free(g);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_graph *g = mlp("12-8-4", data, 1), *before = copy_of(g);
    for (int m = 0; m < 2; m++) {
        hone_quantize_options o = mode(m ? HONE_QUANTIZE_DYNAMIC : HONE_QUANTIZE_STATIC);
        hone_graph *whole = quantized(g, o.mode, NULL), *q = NULL;
        FAIL_EACH_ALLOCATION(hone_quantize(g, data, &o, &q, NULL, &err), {
            assert_null(q);
            assert_true(same_weights(g, before));
        });
        assert_true(same_weights(q, whole));
        assert_int_equal(q->node_count, whole->node_count);
        hone_graph_free(q);
        hone_graph_free(whole);
    }
    hone_graph_free(before);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_per_channel),
        cmocka_unit_test(test_zero_is_exact),
        cmocka_unit_test(test_errors_are_bounded),
        cmocka_unit_test(test_shared_input),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_very_many_users),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_calibration_samples),
        cmocka_unit_test(test_what_stays_in_float_is_told),
        cmocka_unit_test(test_nothing_to_quantize),
        cmocka_unit_test(test_what_is_not_finite_is_named),
        cmocka_unit_test(test_extreme_weights),
        cmocka_unit_test(test_extreme_activations),
        cmocka_unit_test(test_large_bias),
        cmocka_unit_test(test_options_out_of_range),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
