/* Symbols of dimensions: those that files name, and those that compiling gives to what nobody knows. Equal
 * ones are one shape; different ones may still be equal, or 1. */
#include "graph/graph.h"
#include "onnx/onnx.h"

#include "support/graphs.h"

#define PLAIN "all" /* rewrites that are off */

static void test_fresh(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("g");
    const int64_t n = hone_graph_symbol(g, "n"), a = hone_graph_fresh_symbol(g),
                  b = hone_graph_fresh_symbol(g);
    assert_true(a != b && a != n && b != n && a < HONE_DIM_ANY && b < HONE_DIM_ANY);
    assert_true(hone_graph_is_fresh(g, a) && hone_graph_is_fresh(g, b));
    assert_false(hone_graph_is_fresh(g, n));
    assert_false(hone_graph_is_fresh(g, HONE_DIM_ANY));
    assert_false(hone_graph_is_fresh(g, 7));
    assert_int_equal(hone_graph_symbol(g, "n"), n);
    hone_graph_free(g);
}

/* Inputs whose dimensions a text gives as 77 are of unknown extent there. */
static hone_graph *read(const char *text) {
    char whole[2000];
    hone_graph *g = NULL;
    hone_error err;
    snprintf(whole, sizeof whole, "<ir_version: 10, opset_import: [\"\" : 21]> g %s", text);
    hone_status status = hone_onnx_read(whole, strlen(whole), "text", NULL, &g, &err);
    if (status != HONE_OK) fail_msg("%s:\n%s", text, err.message);
    for (size_t i = 0; i < g->input_count; i++)
        for (int d = 0; d < g->inputs[i]->type.rank; d++)
            if (g->inputs[i]->type.dims[d] == 77) g->inputs[i]->type.dims[d] = HONE_DIM_ANY;
    for (const hone_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->output_count; i++) n->outputs[i]->type.rank = HONE_RANK_ANY;
    return g;
}

/* --- equal ones are seen --- */

static void check_steps(const char *text, int steps) {
    hone_graph *g = read(text);
    runner r = runner_make(g, NULL, 1);
    if (model_steps(r.model) != steps) fail_msg("%s: %d steps, not %d", text, model_steps(r.model), steps);
    runner_free(&r);
    hone_graph_free(g);
}

static void test_chains(void **state) {
    (void)state;
    check_steps(
        "(float[77,3,77,77] x) => (float[] y) { a = MaxPool<kernel_shape=[2,2]>(x) b = Sin(a) c = Cos(a) "
        "d = Mul(b, c) y = Add(d, a) }",
        2);
    /* two images, of which nobody knows whether they are as large as each other */
    check_steps("(float[77,3,77,77] x, float[77,3,77,77] z) => (float[] y, float[] u) { "
                "a = MaxPool<kernel_shape=[2,2]>(x) b = Sin(a) c = Mul(b, a) y = Exp(c) "
                "e = MaxPool<kernel_shape=[2,2]>(z) f = Sin(e) h = Mul(f, e) u = Exp(h) }",
                4);
    check_steps("(float[77] x) => (float[] y) { i = NonZero(x) a = Cast<to=1>(i) b = Sin(a) c = Mul(a, b) "
                "y = Add(c, a) }",
                2);
}

/* --- others are not taken for equal --- */

typedef struct extents {
    int64_t x[4], z[4];
} extents;

static void check_same(const char *text, const extents *e) {
    hone_graph *g = read(text);
    hone_tensor *in[4] = {NULL}, *want[4], *got[4];
    const int outputs = (int)g->output_count;
    const hone_tensor *views[4];
    runner r = runner_make(g, NULL, 2), plain = runner_make(g, PLAIN, 1);
    for (int turn = 0; turn < 3; turn++) { /* other shapes, the same model */
        for (size_t i = 0; i < g->input_count; i++) {
            const hone_type *t = &g->inputs[i]->type;
            int64_t dims[4];
            for (int d = 0; d < t->rank; d++)
                dims[d] = t->dims[d] >= 0 ? t->dims[d] : i ? e[turn].z[d] : e[turn].x[d];
            in[i] = tensor_random(t->dtype, t->rank, dims, i + 1);
            if (t->rank == 0) tensor_set(in[i], 0, turn);
        }
        runner_run(&plain, in, views);
        for (int i = 0; i < outputs; i++) want[i] = tensor_copy(views[i]);
        runner_run(&r, in, views);
        for (int i = 0; i < outputs; i++) {
            got[i] = tensor_copy(views[i]);
            assert_close(got[i], want[i], 1e-5);
            hone_tensor_free(got[i]);
            hone_tensor_free(want[i]);
        }
        for (size_t i = 0; i < g->input_count; i++) hone_tensor_free(in[i]);
    }
    runner_free(&r);
    runner_free(&plain);
    hone_graph_free(g);
}

static const extents images[3] = {
    {{2, 3, 4, 5}, {2, 3, 4, 5}}, {{1, 3, 2, 5}, {2, 3, 4, 2}}, {{3, 3, 7, 2}, {1, 3, 2, 6}}};

static const extents whole[3] = {
    {{2, 3, 4, 5}, {2, 3, 4, 5}}, {{1, 3, 1, 5}, {2, 3, 4, 1}}, {{3, 3, 7, 2}, {1, 3, 1, 1}}};

static void test_broadcast(void **state) {
    (void)state;
    check_same(
        "(float[77,3,77,77] x, float[77,3,77,77] z) => (float[] y, float[] u) { "
        "a = MaxPool<kernel_shape=[2,2]>(x) b = MaxPool<kernel_shape=[2,2]>(z) c = Sin(a) d = Add(c, b) "
        "y = Mul(d, a) u = Sub(b, d) }",
        images);
    check_same("(float[77,3,77,77] x, float[77,3,77,77] z) => (float[] y, float[] u) { "
               "a = Sin(x) b = Cos(z) c = Add(a, b) y = Mul(c, a) u = Mul(b, x) }",
               whole);
}

/* Images that go through convolutions, whose spatial extents are told apart only when they run. */
static void test_convolutions(void **state) {
    (void)state;
    check_same("(float[77,3,77,77] x, float[77,3,77,77] z) => (float[] y) <float[8,3,1,1] w = {"
               "1,0,2,0,1,0,1,1,1,2,0,0,0,0,1,1,-1,0,0,2,0,-1,0,1}> { "
               "a = Conv(x, w) b = Conv(z, w) c = Relu(a) d = Add(c, b) y = Mul(d, a) }",
               whole);
}

static const extents carried[3] = {{{2, 3}, {2, 3}}, {{1, 3}, {4, 3}}, {{3, 3}, {1, 3}}};

/* What a loop carries has another extent in each run; branches give extents of their own. */
static void test_subgraphs(void **state) {
    (void)state;
    check_same("(float[77,3] x, float[77,3] z, int64 trips) => (float[] y, float[] u) { "
               "s = Sin(x) r = Loop<body = b (int64 i, bool go, float[] a) => (bool keep, float[] c) { "
               "keep = Identity(go) d = Cos(a) e = Mul(d, a) f = Add(e, d) c = Concat<axis=0>(f, s) "
               "}>(trips, \"\", s) "
               "p = Cos(r) y = Mul(p, r) q = ReduceSum<keepdims=1>(r) u = Add(q, s) }",
               carried);
    check_same(
        "(float[77,3] x, float[77,3] z, int64 trips) => (float[] y, float[] u) { "
        "zero = Constant<value = int64 {0}>() k = Greater(trips, zero) "
        "r = If<then_branch = t () => (float[] a) { d = Sin(x) e = Mul(d, d) a = Concat<axis=0>(e, z) }, "
        "else_branch = f () => (float[] b) { g = Cos(z) b = Add(g, x) }>(k) "
        "p = Cos(r) y = Mul(p, r) q = ReduceMax<keepdims=1>(r) u = Add(q, x) }",
        (const extents[3]){{{2, 3}, {2, 3}}, {{1, 3}, {4, 3}}, {{3, 3}, {1, 3}}});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fresh), cmocka_unit_test(test_chains),
                                       cmocka_unit_test(test_broadcast), cmocka_unit_test(test_convolutions),
                                       cmocka_unit_test(test_subgraphs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
