/* Which weights cost most when they are rounded, and that those which are kept stay fine. */
#include "train/small.h"

#include <hone/compress.h>
#include <math.h>

enum { FEATURES = 16, SAMPLES = 120 };
SHARED_BLOBS(SAMPLES, FEATURES, 4)

/* Three layers, of which the middle one has a number that takes the codes away from all others. */
static hone_graph *network(void) {
    hone_graph *g = hone_graph_new("layers");
    hone_value *x = INPUT(g, FEATURES);
    x = HONE_EMIT(g, "", "Relu",
                  HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "first", 1, FEATURES, 24), WEIGHT(g, "b", 1, 24)));
    x = HONE_EMIT(g, "", "Relu", HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "middle", 2, 24, 24)));
    x = HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, "last", 3, 24, 4));
    for (int i = 0; i < 24; i++) ((float *)hone_graph_find(g, "middle")->data->data)[i] *= 30;
    return finished(g, x);
}

static hone_quantize_options options(hone_quantize_mode mode, int bits) {
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    o.mode = mode;
    o.bits = o.edge_bits = bits;
    o.block = 0;
    o.rounding = HONE_ROUND_NEAREST;
    o.threads = 1;
    return o;
}

static hone_dtype codes_of(const hone_graph *q, const char *weight) {
    char name[64];
    snprintf(name, sizeof name, "%s.quantized", weight);
    const hone_tensor *t = hone_graph_initializer(q, name);
    return t ? t->dtype : hone_graph_initializer(q, weight)->dtype;
}

static void test_order(void **state) {
    (void)state;
    for (int m = HONE_QUANTIZE_STATIC; m <= HONE_QUANTIZE_WEIGHTS; m++) {
        hone_graph *g = network();
        const hone_quantize_options o = options((hone_quantize_mode)m, m == HONE_QUANTIZE_DYNAMIC ? 8 : 3);
        hone_sensitivity *layers = NULL;
        int count = 0;
        ok(hone_quantize_sensitivity(g, data, &o, &layers, &count, &err));
        assert_int_equal(count, 3);
        if (strcmp(layers[0].weight, "middle") != 0) fail_msg("mode %d: %s costs most", m, layers[0].weight);
        assert_int_equal(layers[0].numbers, 24 * 24);
        for (int i = 0; i < count; i++) assert_true(layers[i].error > 0 && layers[i].error < 2);
        assert_true(layers[0].error > layers[1].error && layers[1].error > layers[2].error);
        hone_sensitivity_free(layers, count);
        hone_graph_free(g);
    }
}

static void test_kept(void **state) {
    (void)state;
    hone_graph *g = network(), *q = NULL;
    hone_quantize_report r;
    const char *const keep[] = {"middle"};
    for (int m = HONE_QUANTIZE_STATIC; m <= HONE_QUANTIZE_WEIGHTS; m++)
        for (int bits = 4; bits <= 8; bits += 4) {
            hone_quantize_options o = options((hone_quantize_mode)m, bits);
            if (m == HONE_QUANTIZE_DYNAMIC && bits < 8) continue;
            o.keep = keep;
            o.keep_count = 1;
            ok(hone_quantize(g, data, &o, &q, &r, &err));
            assert_int_equal(codes_of(q, "middle"), bits == 8 ? HONE_FLOAT32 : HONE_INT8);
            if (m != HONE_QUANTIZE_DYNAMIC)
                assert_int_equal(codes_of(q, "first"), bits == 8 ? HONE_INT8 : HONE_INT4);
            assert_int_equal(r.quantized_nodes, bits == 8 ? 2 : 3);
            assert_true((strstr(r.float_names, "is kept so") != NULL) == (bits == 8));
            hone_graph_free(q);
        }
    hone_graph_free(g);
}

static void test_refused(void **state) {
    (void)state;
    hone_graph *g = network();
    hone_sensitivity *layers = NULL;
    int count = 0;
    hone_quantize_options o = options(HONE_QUANTIZE_FLOAT16, 8);
    refused(hone_quantize_sensitivity(g, data, &o, &layers, &count, &err), HONE_INVALID_ARGUMENT,
            "sensitivity is of");
    o = options(HONE_QUANTIZE_STATIC, 8);
    refused(hone_quantize_sensitivity(g, NULL, &o, &layers, &count, &err), HONE_INVALID_ARGUMENT,
            "needs data");
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_kept),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, make_data, free_data);
}
