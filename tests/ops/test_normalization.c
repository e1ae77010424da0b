/* Normalizing operators: what is refused, and halves. Values are ONNX's node tests, gradients the generic suites. */
#include "support/graphs.h"

static hone_status infer_layer(hone_graph *g, hone_value *x, hone_value *scale, hone_value *b,
                               const char *attr, int64_t value, hone_error *err) {
    hone_value *y = graph_op(g, "LayerNormalization", x, scale, b);
    if (attr) hone_node_set_int(g, y->producer, attr, value);
    hone_graph_add_output(g, y);
    return hone_graph_infer(g, err);
}

static void test_refused_rows(void **state) {
    (void)state;
    static const struct {
        int rank;
        int64_t dims[4];
        const char *attr;
        int64_t value;
        hone_status status;
    } cases[] = {{1, {4}, NULL, 0, HONE_OK},
                 {1, {3}, NULL, 0, HONE_INVALID_ARGUMENT},
                 {2, {1, 4}, NULL, 0, HONE_OK},
                 {0, {0}, NULL, 0, HONE_OK},
                 {2, {3, 4}, "axis", 1, HONE_OK},
                 {2, {3, 4}, "axis", -2, HONE_OK},
                 {1, {4}, "axis", 1, HONE_OK},
                 {3, {2, 3, 4}, NULL, 0, HONE_OK},
                 {2, {2, 4}, NULL, 0, HONE_INVALID_ARGUMENT},
                 {4, {1, 2, 3, 4}, NULL, 0, HONE_INVALID_ARGUMENT},
                 {1, {4}, "axis", 3, HONE_INVALID_ARGUMENT},
                 {1, {4}, "axis", -4, HONE_INVALID_ARGUMENT},
                 {1, {4}, "stash_type", HONE_FLOAT32, HONE_OK},
                 {1, {4}, "stash_type", HONE_BFLOAT16, HONE_OK},
                 {1, {4}, "stash_type", HONE_INT32, HONE_INVALID_ARGUMENT},
                 {1, {4}, "stash_type", 1000, HONE_INVALID_ARGUMENT}};
    for (int i = 0; i < COUNT(cases); i++) {
        for (int bias = 0; bias < 2; bias++) {
            hone_error err;
            hone_graph *g = hone_graph_new("rows");
            hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3, 4)),
                       *v = graph_input(g, "v", HONE_FLOAT32, cases[i].rank, cases[i].dims);
            assert_int_equal(infer_layer(g, x, v, bias ? v : NULL, cases[i].attr, cases[i].value, &err),
                             cases[i].status);
            hone_graph_free(g);
        }
    }
}

static void test_refused_channels(void **state) {
    (void)state;
    static const struct {
        int rank, vector;
        int64_t channels, mode;
        int outputs;
        hone_status status;
    } cases[] = {{2, 1, 3, 0, 1, HONE_OK},
                 {3, 1, 3, 0, 1, HONE_OK},
                 {1, 1, 2, 0, 1, HONE_INVALID_ARGUMENT},
                 {2, 1, 4, 0, 1, HONE_INVALID_ARGUMENT},
                 {2, 2, 3, 0, 1, HONE_INVALID_ARGUMENT},
                 {2, 1, 3, 1, 1, HONE_OK},
                 {2, 1, 3, 0, 3, HONE_INVALID_ARGUMENT},
                 {2, 1, 3, 1, 3, HONE_OK}};
    for (int i = 0; i < COUNT(cases); i++) {
        hone_error err;
        hone_graph *g = hone_graph_new("channels");
        hone_value *in[5];
        for (int k = 0; k < 5; k++)
            in[k] = k == 0 ? graph_input(g, "x", HONE_FLOAT32, cases[i].rank, (int64_t[]){2, 3, 4})
                           : graph_input(g, "v", HONE_FLOAT32, cases[i].vector,
                                         (int64_t[]){cases[i].channels, 1});
        hone_node *n =
            hone_graph_add_node(g, hone_op_find("", "BatchNormalization"), "node", 5, in, cases[i].outputs);
        hone_node_set_int(g, n, "training_mode", cases[i].mode);
        hone_graph_add_output(g, n->outputs[0]);
        assert_int_equal(hone_graph_infer(g, &err), cases[i].status);
        hone_graph_free(g);
    }
}

/* Halves are computed in float32, the factors of channels too, and rounded once. */
static void test_halves(void **state) {
    (void)state;
    for (int d = 0; d < 2; d++) {
        hone_dtype half = d ? HONE_BFLOAT16 : HONE_FLOAT16;
        hone_graph *g = hone_graph_new("halves");
        hone_value *narrow[5], *wide[5];
        hone_tensor *in[5], *out[2];
        for (int k = 0; k < 5; k++) {
            in[k] = k == 0 ? tensor_random(HONE_FLOAT32, SHAPE(4, 3, 5), 1)
                           : tensor_random(HONE_FLOAT32, SHAPE(3), (uint64_t)k + 1);
            for (int64_t i = 0; k == 4 && i < 3; i++) tensor_set(in[k], i, 0.5 + 0.25 * (double)i);
            hone_value *x = graph_input(g, "x", HONE_FLOAT32, in[k]->rank, in[k]->dims);
            narrow[k] = graph_op(g, "Cast", x);
            hone_node_set_int(g, narrow[k]->producer, "to", half);
            wide[k] = graph_op(g, "Cast", narrow[k]);
            hone_node_set_int(g, wide[k]->producer, "to", HONE_FLOAT32);
        }
        for (int k = 0; k < 2; k++) {
            hone_value *const *v = k ? wide : narrow;
            hone_value *y = graph_op(g, "BatchNormalization", v[0], v[1], v[2], v[3], v[4]);
            y = graph_op(g, "Cast", y);
            hone_node_set_int(g, y->producer, "to", half);
            y = graph_op(g, "Cast", y);
            hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
            hone_graph_add_output(g, y);
        }
        graph_run(g, "all", in, out, 2);
        assert_same_bits(out[0], out[1]);
        for (int k = 0; k < 5; k++) hone_tensor_free(in[k]);
        hone_tensor_free(out[0]);
        hone_tensor_free(out[1]);
        hone_graph_free(g);
    }
}

/* Vectors of different lengths are refused, also where the channels are not known: lowering reads them side by side. */
static void test_vectors_of_different_lengths(void **state) {
    (void)state;
    hone_error err;
    for (int other = 1; other < 5; other++) {
        hone_graph *g = hone_graph_new("lengths");
        hone_value *in[5] = {graph_input(g, "x", HONE_FLOAT32, SHAPE(2, hone_graph_symbol(g, "channels")))};
        for (int i = 1; i < 5; i++)
            in[i] = graph_constant(g, "v", tensor_make(HONE_FLOAT32, SHAPE(i == other ? 1 : 64)));
        hone_graph_add_output(g, hone_graph_emit(g, "", "BatchNormalization", in, 5));
        hone_model *m = NULL;
        assert_int_equal(hone_model_compile(g, NULL, &m, &err), HONE_INVALID_ARGUMENT);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_rows),
        cmocka_unit_test(test_refused_channels),
        cmocka_unit_test(test_vectors_of_different_lengths),
        cmocka_unit_test(test_halves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
