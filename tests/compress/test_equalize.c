/* Channels are rescaled in models that compute the same: what collapses with one scale for a weight, or for activations with
 * outliers, does so no longer. */
#include "train/small.h"

#include "compress/channels.h"
#include "compress/equalize.h"

#include <hone/compress.h>
#include <math.h>

enum { SIDE = 8, SAMPLES = 60, FEATURES = 12 };

static hone_dataset *samples(int rank, const int64_t *sample) {
    hone_tensor *x = NULL, *y = NULL;
    int64_t dims[5] = {SAMPLES};
    memcpy(dims + 1, sample, (size_t)rank * sizeof *sample);
    ok(hone_tensor_new(HONE_FLOAT32, rank + 1, dims, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, dims, &y, &err));
    hone_rng rng = hone_rng_make(5, 1);
    for (int64_t i = 0; i < x->count; i++) ((float *)x->data)[i] = hone_rng_uniform(&rng) - 0.3f;
    return dataset_of("samples", x, y);
}

static hone_dataset *images(void) {
    return samples(3, (int64_t[]){3, SIDE, SIDE});
}
static hone_dataset *rows(void) {
    return samples(1, (int64_t[]){FEATURES});
}

/* The root mean square difference of predictions, as a share of their size. */
static double difference(const hone_graph *a, const hone_graph *b, const hone_dataset *data) {
    hone_tensor *x = predict(a, data, SAMPLES), *y = predict(b, data, SAMPLES);
    double off = 0, size = 0;
    for (int64_t i = 0; i < x->count; i++) {
        const double p = ((float *)x->data)[i], q = ((float *)y->data)[i];
        off += (p - q) * (p - q);
        size += p * p;
    }
    hone_tensor_free(x);
    hone_tensor_free(y);
    return sqrt(off / size);
}

/* Positions of an axis of a constant, times f(position) to the power of `sign`. */
static double uneven(int64_t p) {
    return pow(10, (double)(p * 7 % 5) - 2);
}
static void scale_axis(hone_graph *g, const char *name, int axis, int64_t inner, int sign) {
    hone_tensor *t = hone_graph_find(g, name)->data;
    int64_t row = 1;
    for (int i = axis + 1; i < t->rank; i++) row *= t->dims[i];
    for (int64_t i = 0; i < t->count; i++)
        ((float *)t->data)[i] *= (float)pow(uneven(i / row % t->dims[axis] / inner), sign);
}

static hone_value *conv(hone_graph *g, hone_value *x, const char *name, int64_t in, int64_t out, int size,
                        bool alone) {
    char bias[16];
    snprintf(bias, sizeof bias, "%s.b", name);
    hone_value *y = HONE_EMIT(g, "", "Conv", x, WEIGHT(g, name, 1, out, alone ? 1 : in, size, size),
                              WEIGHT(g, bias, 1, out));
    const int64_t pads[] = {size / 2, size / 2, size / 2, size / 2};
    hone_node_set_ints(g, y->producer, "pads", pads, 4);
    if (alone) hone_node_set_int(g, y->producer, "group", in);
    return y;
}

static hone_value *relu(hone_graph *g, hone_value *x) {
    return HONE_EMIT(g, "", "Relu", x);
}

static hone_value *pool(hone_graph *g, hone_value *x) {
    hone_value *y = HONE_EMIT(g, "", "MaxPool", x);
    hone_node_set_ints(g, y->producer, "kernel_shape", (int64_t[]){2, 2}, 2);
    hone_node_set_ints(g, y->producer, "strides", (int64_t[]){2, 2}, 2);
    return y;
}

/* Pointwise, depthwise, a pool, windows, flattened, fully connected: channels of sizes 0.01 … 100 where the network does not
 * care. */
static hone_graph *separable(void) {
    hone_graph *g = hone_graph_new("separable");
    hone_value *y = relu(g, conv(g, INPUT(g, 3, SIDE, SIDE), "w1", 3, 12, 1, false));
    y = pool(g, relu(g, conv(g, y, "w2", 12, 12, 3, true)));
    y = relu(g, conv(g, y, "w3", 12, 10, 3, false));
    y = HONE_EMIT(g, "", "Gemm", HONE_EMIT(g, "", "Flatten", y), WEIGHT(g, "w4", 1, 160, 4),
                  WEIGHT(g, "b4", 1, 4));
    finished(g, y);
    scale_axis(g, "w1", 0, 1, 1), scale_axis(g, "w1.b", 0, 1, 1), scale_axis(g, "w2", 0, 1, -1);
    scale_axis(g, "w3", 0, 1, 1), scale_axis(g, "w3.b", 0, 1, 1), scale_axis(g, "w4", 0, 16, -1);
    return g;
}

/* The largest by the smallest of the channels' largest weights. */
static double spread(const hone_graph *g, const char *name, int axis) {
    hone_value *v = hone_graph_find(g, name);
    double largest[64] = {0}, most = 0, least = INFINITY;
    const hone_channel_tie t = {NULL, v, axis, 1, .gives = true};
    hone_tie_largest(&t, v->data->dims[axis], largest);
    for (int64_t p = 0; p < v->data->dims[axis]; p++) {
        most = fmax(most, largest[p]);
        least = fmin(least, largest[p]);
    }
    return most / least;
}

static void test_the_same_model(void **state) {
    (void)state;
    hone_dataset *data = images();
    hone_graph *g = separable(), *even = copy_of(g);
    int64_t groups = 0;
    assert_true(spread(g, "w1", 0) > 1000 && spread(g, "w3", 0) > 1000);
    ok(hone_equalize(even, &groups, &err));
    assert_int_equal(groups, 3);
    assert_true(difference(g, even, data) < 1e-5);
    /* the copy's constants were the same tensors */
    assert_true(spread(g, "w1", 0) > 1000);
    assert_true(spread(even, "w2", 0) < 30);
    /* what gives a channel and what reads it have one range */
    double given[12] = {0}, read[12] = {0};
    hone_tie_largest(&(hone_channel_tie){NULL, hone_graph_find(even, "w1"), 0, 1}, 12, given);
    hone_tie_largest(&(hone_channel_tie){NULL, hone_graph_find(even, "w2"), 0, 1}, 12, read);
    for (int p = 0; p < 12; p++) assert_true(fabs(given[p] / read[p] - 1) < 0.05);
    hone_graph_free(even);
    hone_graph_free(g);
    hone_dataset_free(data);
}

static hone_graph *quantized(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *o) {
    hone_graph *q = NULL;
    ok(hone_quantize(g, data, o, &q, NULL, &err));
    return q;
}

/* Error of a static quantization. */
static double error_of(const hone_graph *g, const hone_dataset *data, bool per_tensor, bool equalize,
                       int bits) {
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    o.per_tensor = per_tensor;
    o.equalize = equalize;
    o.bits = o.edge_bits = bits;
    hone_graph *q = quantized(g, data, &o);
    const double off = difference(g, q, data);
    hone_graph_free(q);
    return off;
}

static void test_collapse_and_recovery(void **state) {
    (void)state;
    hone_dataset *data = images();
    hone_graph *g = separable();
    const double plain = error_of(g, data, true, false, 8), even = error_of(g, data, true, true, 8);
    if (!(plain > 0.3 && even < 0.03))
        fail_msg("one scale for a weight: off by %g, equalized %g", plain, even);
    /* channels of sizes 0.01 and 100 cost activations their steps even where weights have scales of their own */
    const double own = error_of(g, data, false, false, 8), both = error_of(g, data, false, true, 8);
    if (!(both < 0.02 && both < 0.5 * own)) fail_msg("a scale each: off by %g, equalized %g", own, both);
    hone_graph_free(g);
    hone_dataset_free(data);
}

/* One scale in the file, that of the largest weight, or of the bias that needs a larger one. */
static void test_one_scale(void **state) {
    (void)state;
    hone_dataset *data = images();
    for (int large = 0; large < 2; large++) {
        hone_graph *g = separable();
        hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
        o.per_tensor = true;
        if (large) ((float *)hone_graph_find(g, "w3.b")->data->data)[5] = 1e9f;
        hone_graph *q = quantized(g, data, &o);
        int weights = 0;
        for (const hone_node *n = q->first; n; n = n->next)
            if (strcmp(n->op->name, "DequantizeLinear") == 0 && n->inputs[0]->data) {
                assert_int_equal(n->inputs[1]->data->count, 1);
                weights++;
            }
        assert_int_equal(weights, 8);
        if (large && !(difference(g, q, data) < 0.02)) fail_msg("off by %g", difference(g, q, data));
        hone_graph_free(q);
        hone_graph_free(g);
    }
    hone_graph *g = separable();
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    hone_graph *q = NULL;
    o.per_tensor = true;
    o.mode = HONE_QUANTIZE_DYNAMIC;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "static quantization");
    hone_graph_free(g);
    hone_dataset_free(data);
}

static hone_value *gemm(hone_graph *g, hone_value *x, const char *w, const char *b, int64_t in, int64_t out) {
    return HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, w, 1, in, out), b ? WEIGHT(g, b, 1, out) : NULL);
}

/* A sum and what it is made of have the same channels. */
static void test_residual(void **state) {
    (void)state;
    hone_dataset *data = rows();
    hone_graph *g = hone_graph_new("residual");
    hone_value *x = gemm(g, INPUT(g, FEATURES), "w0", "b0", FEATURES, 8);
    hone_value *h = relu(g, gemm(g, x, "w1", "b1", 8, 5));
    hone_value *sum = HONE_EMIT(g, "", "Add", gemm(g, h, "w2", "b2", 5, 8), x);
    finished(g, gemm(g, sum, "w3", "b3", 8, 4));
    hone_channels c;
    ok(hone_channels_find(g, sum, 1, &c, &err));
    assert_false(c.fixed);
    assert_int_equal(c.count, 3);
    assert_int_equal(c.tie_count, 6); /* w0, b0, w2, b2 give, w1 and w3 read */
    hone_channels_free(&c);
    hone_graph *even = copy_of(g);
    int64_t groups = 0;
    ok(hone_equalize(even, &groups, &err));
    assert_int_equal(groups, 2);
    assert_true(difference(g, even, data) < 1e-5);
    hone_graph_free(even);
    hone_graph_free(g);
    hone_dataset_free(data);
}

/* Outputs, curved functions, weights that several read, scalars that are added: nobody may change the channels. */
static void test_what_stays(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        hone_graph *g = hone_graph_new("stays"), *even;
        hone_value *x = gemm(g, INPUT(g, FEATURES), "w1", "b1", FEATURES, 8), *h = x;
        if (i == 0) h = HONE_EMIT(g, "", "Sigmoid", x);
        if (i == 1)
            h = HONE_EMIT(g, "", "Clip", x, hone_graph_scalar(g, HONE_FLOAT32, 0),
                          hone_graph_scalar(g, HONE_FLOAT32, 6));
        if (i == 2) h = HONE_EMIT(g, "", "Add", x, hone_graph_scalar(g, HONE_FLOAT32, 1));
        if (i == 3) h = HONE_EMIT(g, "", "Softmax", x);
        if (i == 4) hone_graph_add_output(g, x);
        hone_value *w2 = WEIGHT(g, "w2", 1, 8, 8);
        h = HONE_EMIT(g, "", "MatMul", h, w2);
        if (i == 5) h = HONE_EMIT(g, "", "MatMul", h, w2);
        finished(g, h);
        even = copy_of(g);
        int64_t groups = 9;
        ok(hone_equalize(even, &groups, &err));
        if (groups != 0 || !same_weights(g, even)) fail_msg("kind %d was equalized", i);
        hone_graph_free(even);
        hone_graph_free(g);
    }
}

static int count_op(const hone_graph *g, const char *op) {
    int count = 0;
    for (const hone_node *n = g->first; n; n = n->next) count += strcmp(n->op->name, op) == 0;
    return count;
}

/* Activations with a channel 100 times as large: behind a normalization it goes into that, behind a curve into a Mul. */
static hone_graph *with_outliers(bool normalized) {
    hone_graph *g = hone_graph_new("outliers");
    hone_value *x = gemm(g, INPUT(g, FEATURES), "w0", "b0", FEATURES, 16), *y;
    if (normalized)
        y = HONE_EMIT(g, "", "LayerNormalization", x, WEIGHT(g, "scale", 1, 16), WEIGHT(g, "shift", 1, 16));
    else
        y = HONE_EMIT(g, "", "Gelu", x);
    hone_value *large = normalized ? hone_graph_find(g, "scale") : hone_graph_find(g, "b0");
    ((float *)large->data->data)[3] = normalized ? 50 : 70;
    finished(g, HONE_EMIT(g, "", "Add", gemm(g, y, "w1", NULL, 16, 4), gemm(g, y, "w2", "b2", 16, 4)));
    for (int k = 1; k < 3; k++)
        for (int i = 0; i < 4; i++)
            ((float *)hone_graph_find(g, k == 1 ? "w1" : "w2")->data->data)[3 * 4 + i] *= 0.01f;
    return g;
}

static void test_smooth(void **state) {
    (void)state;
    hone_dataset *data = rows();
    for (int normalized = 0; normalized < 2; normalized++) {
        hone_graph *g = with_outliers(normalized), *smooth = copy_of(g);
        hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
        int64_t groups = 0;
        o.smooth = 0.5;
        ok(hone_smooth(smooth, data, &o, &groups, &err));
        ok(hone_graph_infer(smooth, &err));
        assert_int_equal(groups, 1);
        assert_true(difference(g, smooth, data) < 1e-5);
        assert_int_equal(count_op(smooth, "Mul"), !normalized);
        hone_quantize_report r;
        hone_graph *q = NULL, *plain = NULL;
        ok(hone_quantize(g, data, &o, &q, &r, &err));
        assert_int_equal(r.rescaled, 1);
        o.smooth = 0;
        ok(hone_quantize(g, data, &o, &plain, &r, &err));
        assert_int_equal(r.rescaled, 0);
        const double before = difference(g, plain, data), after = difference(g, q, data);
        if (!(after < 0.4 * before)) fail_msg("kind %d: off by %g, smoothed %g", normalized, before, after);
        hone_graph_free(plain);
        hone_graph_free(q);
        hone_graph_free(smooth);
        hone_graph_free(g);
    }
    hone_graph *g = with_outliers(true), *q = NULL;
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    o.mode = HONE_QUANTIZE_DYNAMIC;
    o.smooth = 0.5;
    refused(hone_quantize(g, NULL, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "smoothing");
    o.smooth = 1.5;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "smooth 1.5");
    hone_graph_free(g);
    hone_dataset_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_model), cmocka_unit_test(test_collapse_and_recovery),
        cmocka_unit_test(test_one_scale),      cmocka_unit_test(test_residual),
        cmocka_unit_test(test_what_stays),     cmocka_unit_test(test_smooth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
