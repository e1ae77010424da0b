/* What is folded into convolutions: the same numbers, in fewer steps, with groups, transposed, and behind each other. */
#include "support/graphs.h"

#define N 2
#define C 6

typedef struct fold_case {
    const char *op;
    int64_t w[4], group;
    bool batch_norm, bias;
    int chain; /* how many of Sub, Mul, Div, Add stand behind */
    int steps; /* of what is left, with Transposes around many channels */
} fold_case;

static const fold_case cases[] = {
    {"Conv", {4, 6, 3, 3}, 1, true, false, 0, 1},
    {"Conv", {4, 6, 3, 3}, 1, true, true, 0, 1},
    {"Conv", {6, 1, 3, 3}, 6, true, true, 0, 1},
    {"Conv", {9, 2, 2, 3}, 3, true, false, 4, 1},
    {"Conv", {4, 6, 1, 1}, 1, false, false, 4, 1},
    {"Conv", {16, 6, 1, 1}, 1, true, true, 2, 3},
    {"Conv", {24, 6, 3, 3}, 1, true, false, 1, 3},
    {"ConvTranspose", {6, 4, 3, 3}, 1, true, true, 0, 1},
    {"ConvTranspose", {6, 3, 2, 2}, 3, true, false, 2, 1},
};

static hone_value *channels(hone_graph *g, int64_t count, uint64_t seed) {
    hone_tensor *t = tensor_random(HONE_FLOAT32, SHAPE(count, 1, 1), seed);
    for (int64_t i = 0; i < count; i++) ((float *)t->data)[i] += 2;
    return graph_constant(g, "k", t);
}

static hone_value *vector(hone_graph *g, int64_t count, uint64_t seed) {
    hone_tensor *t = tensor_random(HONE_FLOAT32, SHAPE(count), seed);
    for (int64_t i = 0; i < count; i++) ((float *)t->data)[i] += 2;
    return graph_constant(g, "v", t);
}

static hone_graph *build(const fold_case *c) {
    static const char *const ops[] = {"Sub", "Mul", "Div", "Add"};
    hone_graph *g = hone_graph_new("fold");
    int64_t m = strcmp(c->op, "Conv") == 0 ? c->w[0] : c->w[1] * c->group;
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(N, C, 7, 8));
    hone_value *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, 4, c->w, 2));
    hone_value *y = graph_op(g, c->op, x, w, c->bias ? vector(g, m, 3) : NULL);
    hone_node_set_int(g, y->producer, "group", c->group);
    if (c->batch_norm)
        y = graph_op(g, "BatchNormalization", y, vector(g, m, 4), vector(g, m, 5), vector(g, m, 6),
                     vector(g, m, 7));
    for (int i = 0; i < c->chain; i++) y = graph_op(g, ops[i], y, channels(g, m, (uint64_t)i + 8));
    hone_graph_add_output(g, graph_op(g, "Relu", y));
    return g;
}

static void test_channels(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++) {
        hone_graph *g = build(&cases[i]);
        hone_tensor *x = tensor_random(HONE_FLOAT32, SHAPE(N, C, 7, 8), 1), *plain;
        const hone_tensor *y;
        graph_run(g, "all", &x, &plain, 1);
        runner r = runner_make(g, NULL, 1);
        runner_run(&r, &x, &y);
        assert_close(y, plain, 2e-5);
        /* a Relu has no place in the epilogue of a transposed convolution */
        assert_int_equal(model_steps(r.model), cases[i].steps + (strcmp(cases[i].op, "Conv") != 0));
        runner_free(&r);
        hone_tensor_free(x);
        hone_tensor_free(plain);
        hone_graph_free(g);
    }
}

/* Of a graph that a model takes, weights are changed where they lie; one that somebody else holds stays. */
static void test_taken(void **state) {
    (void)state;
    for (int i = 0; i < 2 * COUNT(cases); i++) {
        const fold_case *c = &cases[i / 2];
        hone_graph *g = build(c), *own = build(c);
        hone_tensor *x = tensor_random(HONE_FLOAT32, SHAPE(N, C, 7, 8), 1), *kept = NULL, *want;
        const hone_tensor *y;
        hone_model *m = NULL;
        hone_error err;
        graph_run(g, NULL, &x, &want, 1);
        if (i % 2) kept = hone_tensor_retain(hone_graph_find(own, "w")->data);
        check_ok(hone_model_take(own, NULL, &m, &err));
        runner r = runner_of(m, 1);
        runner_run(&r, &x, &y);
        assert_same_bits(y, want);
        if (kept) assert_same_bits(kept, hone_graph_find(g, "w")->data);
        runner_free(&r);
        hone_tensor_free(kept);
        hone_tensor_free(x);
        hone_tensor_free(want);
        hone_graph_free(g);
    }
}

/* Weights that two convolutions read stay as they are. */
static void test_shared(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("shared");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(N, C, 7, 8));
    hone_value *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(C, C, 3, 3), 2));
    hone_value *y = graph_op(g, "Mul", graph_op(g, "Conv", x, w), channels(g, C, 3));
    hone_graph_add_output(g, graph_op(g, "Conv", y, w));
    hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(N, C, 7, 8), 1), *a, *b;
    graph_run(g, NULL, &in, &a, 1);
    graph_run(g, "all", &in, &b, 1);
    assert_close(a, b, 1e-5);
    hone_tensor_free(in);
    hone_tensor_free(a);
    hone_tensor_free(b);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_channels), cmocka_unit_test(test_taken),
                                       cmocka_unit_test(test_shared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
