/* How parameters begin: by what reads them. */
#include "train/small.h"

#include "base/file.h"
#include "onnx/onnx.h"
#include "train/derive.h"
#include "train/parameters.h"

#include <math.h>

static hone_graph *read_text(const char *text) {
    hone_graph *g = NULL;
    ok(hone_onnx_read_architecture(text, strlen(text), "text", NULL, &g, &err));
    return g;
}

static const char network[] =
    "<ir_version: 10, opset_import: [\"\" : 21]>\n"
    "all (int64[batch, 5] ids, float[batch, 3, 8, 8] image) => (float[] y)\n"
    "<float[100, 40] table, float[5, 40] places, float[40, 50] w, float[60, 50] transposed, float[60] b,\n"
    " float[16, 3, 5, 5] kernel, float[16] kb, float[16] scale, float[16] shift, float[16] mean, float[16] "
    "var, float[30] lone,\n"
    " float[40] gamma, float[40] beta, float[1, 24, 16] gw, float[1, 24, 8] gr, float[1, 48] gb>\n"
    "{ e = Gather (table, ids)\n p = Add (e, places)\n n = LayerNormalization <axis = -1> (p, gamma, beta)\n "
    "h = MatMul (n, w)\n"
    "  t = Transpose (transposed)\n g = MatMul (h, t)\n o = Add (g, b)\n r = ReduceMean <keepdims = 0> (o)\n"
    "  c = Conv (image, kernel, kb)\n m = BatchNormalization (c, scale, shift, mean, var)\n a = ReduceMean "
    "<keepdims = 0> (m)\n"
    "  s = Reshape (m, rows)\n u = GRU <hidden_size = 8> (s, gw, gr, gb)\n v = ReduceMean <keepdims = 0> "
    "(u)\n"
    "  l = ReduceMean <keepdims = 0> (lone)\n q = Add (r, a)\n z = Add (q, v)\n y = Add (z, l) }\n";

static const float *content(const hone_graph *g, const char *name) {
    return weight_of(g, name)->data;
}

static void all_are(const hone_graph *g, const char *name, float x) {
    const hone_tensor *t = weight_of(g, name);
    for (int64_t i = 0; i < t->count; i++)
        if (((const float *)t->data)[i] != x) fail_msg("%s is not all %g", name, x);
}

/* Uniform in ±1/sqrt(terms): the largest is near the bound, and the deviation is bound/sqrt(3). */
static void is_uniform(const hone_graph *g, const char *name, double terms) {
    const hone_tensor *t = weight_of(g, name);
    double most = 0, squares = 0, bound = 1 / sqrt(terms);
    for (int64_t i = 0; i < t->count; i++) {
        double x = ((const float *)t->data)[i];
        most = fmax(most, fabs(x));
        squares += x * x;
    }
    double deviation = sqrt(squares / (double)t->count);
    if (!(most <= bound && most > 0.9 * bound && fabs(deviation * sqrt(3) / bound - 1) < 0.15))
        fail_msg("%s: largest %g, deviation %g; bound %g", name, most, deviation, bound);
}

static void is_normal(const hone_graph *g, const char *name) {
    const hone_tensor *t = weight_of(g, name);
    double squares = 0, most = 0;
    for (int64_t i = 0; i < t->count; i++) {
        squares += pow(((const float *)t->data)[i], 2);
        most = fmax(most, fabs(((const float *)t->data)[i]));
    }
    double deviation = sqrt(squares / (double)t->count);
    if (!(fabs(deviation / 0.02 - 1) < 0.2 && most > 0.035)) fail_msg("%s: deviation %g", name, deviation);
}

static hone_graph *complete(void) {
    char text[sizeof network + 64];
    const char *at = strstr(network, "  s = Reshape");
    snprintf(text, sizeof text, "%.*s  rows = Constant <value_ints = [1, -1, 16]> ()\n%s",
             (int)(at - network), network, at);
    return read_text(text);
}

static void test_roles(void **state) {
    (void)state;
    hone_graph *g = complete();
    ok(hone_initialize_parameters(g, 1, &err));
    is_normal(g, "table");
    is_normal(g, "places");
    is_uniform(g, "w", 40);
    is_uniform(g, "transposed", 50);
    is_uniform(g, "kernel", 75);
    is_uniform(g, "gw", 16);
    is_uniform(g, "gr", 8);
    static const char *const zeros[] = {"b", "kb", "shift", "mean", "beta", "lone"}, *const ones[] = {
                                                                                         "scale", "var",
                                                                                         "gamma"};
    for (size_t i = 0; i < 6; i++) all_are(g, zeros[i], 0);
    for (size_t i = 0; i < 3; i++) all_are(g, ones[i], 1);
    /* statistics are no parameters */
    assert_false(hone_graph_find(g, "mean")->trainable || hone_graph_find(g, "var")->trainable);
    assert_true(hone_graph_find(g, "places")->trainable && hone_graph_find(g, "scale")->trainable);
    hone_graph_free(g);
}

static void test_seeds(void **state) {
    (void)state;
    hone_graph *a = complete(), *b = complete(), *c = complete();
    ok(hone_initialize_parameters(a, 1, &err));
    ok(hone_initialize_parameters(b, 1, &err));
    ok(hone_initialize_parameters(c, 2, &err));
    assert_true(same_weights(a, b));
    assert_false(same_tensor(weight_of(a, "w"), weight_of(c, "w")));
    assert_true(content(a, "w")[0] != content(a, "kernel")[0]); /* streams of their own */
    hone_graph_free(a);
    hone_graph_free(b);
    hone_graph_free(c);
}

/* What no slot tells of is noted in the model. */
static void test_what_is_remembered(void **state) {
    (void)state;
    hone_graph *g = complete();
    ok(hone_initialize_parameters(g, 1, &err));
    ok(hone_remember_trainable(g, &err));
    const char *list = hone_graph_metadata(g, "hone.trainable");
    assert_non_null(list);
    assert_true(strstr(list, "places") && strstr(list, "lone") && strstr(list, "b"));
    assert_null(strstr(list, "table"));
    assert_null(strstr(list, "mean"));
    hone_value *places = hone_graph_find(g, "places");
    places->trainable = false;
    assert_true(hone_is_trainable(g, places));
    assert_false(hone_is_trainable(g, hone_graph_find(g, "var")));
    hone_graph_free(g);
}

static void test_bad_parameters(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"<ir_version: 10, opset_import: [\"\" : 21]> a (float[n, 3] x) => (float[] y) <float[k, 3] w> { y = "
         "Gemm <transB = 1> "
         "(x, w) }",
         "w"},
        {"<ir_version: 10, opset_import: [\"\" : 21]> a (float[n, 3] x) => (float[] y) <int64[3] w> { y = "
         "Gather (x, w) }",
         "w"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_graph *g = NULL;
        hone_status status =
            hone_onnx_read_architecture(bad[i].text, strlen(bad[i].text), "text", NULL, &g, &err);
        if (status != HONE_UNSUPPORTED || !strstr(error_text(), "parameter"))
            fail_msg("%zu: %s", i, error_text());
        assert_null(g);
    }
    hone_graph *g = read_text("<ir_version: 10, opset_import: [\"\" : 21]> a (float[n, 3] x) => (float[] y) "
                              "<float[3] nobody> { y = "
                              "Relu (x) }");
    refused(hone_initialize_parameters(g, 1, &err), HONE_INVALID_ARGUMENT, "nobody");
    hone_graph_free(g);
    /* a file that is only read is refused as before */
    assert_int_not_equal(hone_graph_load_memory(bad[0].text, strlen(bad[0].text), "text", &g, &err), HONE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_roles), cmocka_unit_test(test_seeds),
                                       cmocka_unit_test(test_what_is_remembered),
                                       cmocka_unit_test(test_bad_parameters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
