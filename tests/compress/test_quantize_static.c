/* Convolutions of all kinds in integers, static and dynamic: errors within the steps, weights per channel, normalizations in
 * the weights. */
#include "train/small.h"

#include <hone/compress.h>
#include <math.h>

typedef struct kind {
    const char *name;
    int axes; /* spatial ones */
    int64_t channels, out, group, size, stride, pad, dilation;
    bool bias, norm, same;
} kind;

static const kind kinds[] = {
    {"1-d", 1, 3, 5, 1, 3, 1, 1, 1, true, false, false},
    {"2-d", 2, 4, 6, 1, 3, 1, 1, 1, true, true, false},
    {"2-d without bias", 2, 4, 6, 1, 3, 2, 0, 1, false, true, false},
    {"2-d alone", 2, 4, 6, 1, 3, 1, 1, 2, false, false, false},
    {"groups", 2, 6, 9, 3, 3, 1, 1, 1, true, true, false},
    {"depthwise", 2, 8, 8, 8, 3, 1, 1, 1, true, true, false},
    {"depthwise, twice as many", 2, 4, 8, 4, 3, 2, 1, 1, true, false, false},
    {"pointwise", 2, 8, 12, 1, 1, 1, 0, 1, true, true, false},
    {"one channel", 2, 1, 8, 1, 5, 2, 2, 1, true, false, false},
    {"same", 2, 3, 7, 1, 4, 2, 0, 1, true, false, true},
    {"3-d", 3, 2, 5, 1, 3, 1, 1, 1, true, true, false},
};

enum { SIDE = 7, SAMPLES = 10 };

static hone_dataset *images(const kind *k) {
    hone_tensor *x = NULL, *y = NULL;
    int64_t dims[5] = {SAMPLES, k->channels, SIDE, SIDE, SIDE};
    ok(hone_tensor_new(HONE_FLOAT32, k->axes + 2, dims, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, dims, &y, &err));
    hone_rng rng = hone_rng_make(9, 1);
    for (int64_t i = 0; i < x->count; i++) ((float *)x->data)[i] = hone_rng_uniform(&rng) - 0.3f;
    return dataset_of("images", x, y);
}

/* Channels of very different sizes: one scale for all would show. */
static hone_graph *network(const kind *k) {
    hone_graph *g = hone_graph_new(k->name);
    int64_t sample[4] = {k->channels, SIDE, SIDE, SIDE},
            dims[5] = {k->out, k->channels / k->group, k->size, k->size, k->size}, pads[6], strides[3],
            dilations[3];
    hone_value *x = add_input(g, k->axes + 1, sample), *w = add_weight(g, "w", k->axes + 2, dims, 1),
               *b = k->bias ? WEIGHT(g, "b", 1, k->out) : NULL;
    for (int64_t i = 0, row = w->data->count / k->out; i < w->data->count; i++)
        ((float *)w->data->data)[i] *= powf(10, (float)(i / row % 4) - 2);
    for (int i = 0; i < 3; i++)
        pads[i] = pads[k->axes + i] = k->pad, strides[i] = k->stride, dilations[i] = k->dilation;
    hone_value *y = HONE_EMIT(g, "", "Conv", x, w, b);
    hone_node *n = y->producer;
    hone_node_set_int(g, n, "group", k->group);
    hone_node_set_ints(g, n, "strides", strides, (size_t)k->axes);
    hone_node_set_ints(g, n, "dilations", dilations, (size_t)k->axes);
    if (k->same)
        hone_node_set_string(g, n, "auto_pad", "SAME_UPPER");
    else
        hone_node_set_ints(g, n, "pads", pads, 2 * (size_t)k->axes);
    if (!k->norm) return finished(g, y);
    hone_value *var = WEIGHT(g, "var", 1, k->out);
    for (int64_t i = 0; i < k->out; i++) ((float *)var->data->data)[i] = 0.5f + (float)i;
    hone_value *in[] = {y, WEIGHT(g, "scale", 1, k->out), WEIGHT(g, "shift", 1, k->out),
                        WEIGHT(g, "mean", 1, k->out), var};
    return finished(g, hone_graph_emit(g, "", "BatchNormalization", in, 5));
}

static int count_op(const hone_graph *g, const char *op) {
    int count = 0;
    for (const hone_node *n = g->first; n; n = n->next) count += strcmp(n->op->name, op) == 0;
    return count;
}

/* Each channel for itself: its root mean square error, against that of its numbers. */
static void check_near(const kind *k, const hone_graph *g, const hone_graph *q, const hone_dataset *data) {
    hone_tensor *a = predict(g, data, SAMPLES), *b = predict(q, data, SAMPLES);
    int64_t inner = a->count / SAMPLES / k->out;
    assert_int_equal(a->count, b->count);
    for (int64_t c = 0; c < k->out; c++) {
        double off = 0, size = 0, mean = 0;
        for (int64_t s = 0; s < SAMPLES; s++)
            for (int64_t i = 0; i < inner; i++)
                mean += ((const float *)a->data)[(s * k->out + c) * inner + i];
        mean /= (double)(SAMPLES * inner);
        for (int64_t s = 0; s < SAMPLES; s++)
            for (int64_t i = 0; i < inner; i++) {
                int64_t at = (s * k->out + c) * inner + i;
                double x = ((const float *)a->data)[at], d = x - ((const float *)b->data)[at];
                off += d * d;
                size += (x - mean) * (x - mean);
            }
        if (!(off <= 4e-4 * size)) fail_msg("%s, channel %d: off by %g of %g", k->name, (int)c, off, size);
    }
    hone_tensor_free(a);
    hone_tensor_free(b);
}

static void test_kinds(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int m = HONE_QUANTIZE_STATIC; m <= HONE_QUANTIZE_DYNAMIC; m++) {
            const kind *k = &kinds[i];
            hone_dataset *data = images(k);
            hone_graph *g = network(k), *q = NULL;
            hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
            hone_quantize_report r;
            o.mode = (hone_quantize_mode)m;
            ok(hone_quantize(g, data, &o, &q, &r, &err));
            if (r.quantized_nodes != 1 || r.float_nodes) fail_msg("%s: %s", k->name, r.float_names);
            assert_int_equal(count_op(q, "BatchNormalization") + count_op(q, m ? "Conv" : "ConvInteger"), 0);
            if (!m) assert_int_equal(q->node_count, k->bias || k->norm ? 5 : 4);
            check_near(k, g, q, data);
            hone_graph_free(q);
            hone_graph_free(g);
            hone_dataset_free(data);
        }
}

/* Unrolled loops: weights that several nodes read are there once. */
static void test_shared_weights(void **state) {
    (void)state;
    const kind *k = &kinds[1];
    for (int m = HONE_QUANTIZE_STATIC; m <= HONE_QUANTIZE_DYNAMIC; m++) {
        hone_dataset *data = images(k);
        hone_graph *g = hone_graph_new("loop"), *q = NULL;
        hone_value *x = INPUT(g, 4, SIDE, SIDE), *w = WEIGHT(g, "w", 1, 4, 4, 3, 3);
        for (int i = 0; i < 3; i++) {
            x = HONE_EMIT(g, "", "Conv", x, w);
            hone_node_set_ints(g, x->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4);
        }
        finished(g, x);
        hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
        hone_quantize_report r;
        o.mode = (hone_quantize_mode)m;
        ok(hone_quantize(g, data, &o, &q, &r, &err));
        assert_int_equal(r.quantized_nodes, 3);
        assert_true(r.bytes_after < r.bytes_before / 3);
        hone_graph_free(q);
        hone_graph_free(g);
        hone_dataset_free(data);
    }
}

/* What is not looked at is told of: transposed convolutions, and what a branch computes. */
static void test_what_stays_in_float(void **state) {
    (void)state;
    const kind *k = &kinds[1];
    hone_dataset *data = images(k);
    hone_graph *g = hone_graph_new("transposed"), *q = NULL;
    hone_value *x = HONE_EMIT(g, "", "Conv", INPUT(g, 4, SIDE, SIDE), WEIGHT(g, "w", 1, 5, 4, 3, 3));
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "ConvTranspose"), "spread", 2,
                                       (hone_value *[]){x, WEIGHT(g, "v", 1, 5, 6, 3, 3)}, 1);
    finished(g, n->outputs[0]);
    hone_quantize_report r;
    ok(hone_quantize(g, data, NULL, &q, &r, &err));
    assert_int_equal(r.quantized_nodes, 1);
    assert_int_equal(r.float_nodes, 1);
    assert_string_equal(r.float_names, "spread (has no integer form)");
    hone_graph_free(q);
    hone_graph_free(g);
    hone_dataset_free(data);
}

static void test_calibration_options(void **state) {
    (void)state;
    const kind *k = &kinds[1];
    hone_dataset *data = images(k);
    hone_graph *g = network(k), *q = NULL;
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    for (int m = HONE_CALIBRATE_MINMAX; m <= HONE_CALIBRATE_ENTROPY; m++) {
        o.calibration.method = (hone_calibration_method)m;
        ok(hone_quantize(g, data, &o, &q, NULL, &err));
        hone_graph_free(q);
    }
    q = NULL;
    o.calibration.method = (hone_calibration_method)9;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "calibration method 9");
    o.calibration = (hone_calibration){HONE_CALIBRATE_PERCENTILE, 0};
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "percentile 0");
    assert_null(q);
    hone_graph_free(g);
    hone_dataset_free(data);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const kind *k = &kinds[1];
    hone_dataset *data = images(k);
    for (int m = HONE_QUANTIZE_STATIC; m <= HONE_QUANTIZE_DYNAMIC; m++) {
        hone_graph *g = network(k), *q = NULL;
        hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
        o.mode = (hone_quantize_mode)m;
        o.threads = 1;
        o.calibration.method = HONE_CALIBRATE_MSE;
        FAIL_EACH_ALLOCATION(hone_quantize(g, data, &o, &q, NULL, &err), assert_null(q));
        hone_graph_free(q);
        hone_graph_free(g);
    }
    hone_dataset_free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_shared_weights),
        cmocka_unit_test(test_what_stays_in_float),
        cmocka_unit_test(test_calibration_options),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
