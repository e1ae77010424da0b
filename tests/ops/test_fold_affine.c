/* Scaling and shifting that goes into the weights behind it. */
#include "graph/rewrite.h"

#include "support/graphs.h"

enum { ROWS = 5, K = 6, N = 7 };

typedef struct layer {
    bool gemm, trans_a, trans_b, views;
    float alpha, beta;
    int c_rank; /* < 0: none */
    int64_t c[2];
} layer;

static hone_value *scalar(hone_graph *g, double x) {
    return hone_graph_scalar(g, HONE_FLOAT32, x);
}

/* -1.5 (0.25 + (x - 0.5) / 0.3): the scalar stands on either side. */
static hone_value *standardize(hone_graph *g, hone_value *x, bool views) {
    x = graph_op(g, "Sub", x, scalar(g, 0.5));
    if (views) x = graph_op(g, "Identity", x);
    x = graph_op(g, "Add", scalar(g, 0.25), graph_op(g, "Div", x, scalar(g, 0.3)));
    return graph_op(g, "Mul", scalar(g, -1.5), x);
}

static hone_value *layer_behind(hone_graph *g, const layer *t, hone_value *x) {
    int64_t w[] = {t->trans_b ? N : K, t->trans_b ? K : N};
    hone_value *weight = graph_constant(g, "w", tensor_random(HONE_FLOAT32, 2, w, 1));
    if (!t->gemm) return graph_op(g, "MatMul", x, weight);
    hone_value *c =
        t->c_rank < 0 ? NULL : graph_constant(g, "c", tensor_random(HONE_FLOAT32, t->c_rank, t->c, 2));
    hone_value *y = graph_op(g, "Gemm", x, weight, c);
    hone_node_set_int(g, y->producer, "transA", t->trans_a);
    hone_node_set_int(g, y->producer, "transB", t->trans_b);
    hone_node_set_float(g, y->producer, "alpha", t->alpha);
    hone_node_set_float(g, y->producer, "beta", t->beta);
    return y;
}

static int steps_of(const hone_graph *g) {
    hone_error err;
    hone_model *m = NULL;
    check_ok(hone_model_compile(g, NULL, &m, &err));
    int count = model_steps(m);
    hone_model_free(m);
    return count;
}

static void assert_same_result(const hone_graph *g, hone_tensor *in, double bound) {
    hone_tensor *plain, *folded;
    graph_run(g, "all", &in, &plain, 1);
    graph_run(g, NULL, &in, &folded, 1);
    assert_close(folded, plain, bound);
    hone_tensor_free(plain);
    hone_tensor_free(folded);
}

static void check(const layer *t) {
    hone_graph *g = hone_graph_new("folded");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(t->trans_a ? K : ROWS, t->trans_a ? ROWS : K));
    hone_value *y = layer_behind(g, t, standardize(g, x, t->views));
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    hone_tensor *in = tensor_random(HONE_FLOAT32, x->type.rank, x->type.dims, 3);
    assert_int_equal(steps_of(g), 1);
    assert_same_result(g, in, 1e-5);
    hone_tensor_free(in);
    hone_graph_free(g);
}

static void test_layers(void **state) {
    (void)state;
    layer t = {.gemm = false};
    check(&t);
    static const float factors[] = {1, 0.5f, -2};
    for (int form = 0; form < 8 * 3 * 6; form++) {
        static const int64_t shapes[6][2] = {{0}, {0}, {1}, {N}, {1, N}, {1, 1}};
        static const int ranks[] = {-1, 0, 1, 1, 2, 2};
        t = (layer){.gemm = true, .trans_a = form & 1, .trans_b = form & 2, .views = form & 4};
        t.alpha = factors[form / 8 % 3];
        t.beta = factors[(form / 8 + form) % 3];
        t.c_rank = ranks[form / 24];
        memcpy(t.c, shapes[form / 24], sizeof t.c);
        check(&t);
    }
}

/* A mean and a spread for each column. */
static void test_columns(void **state) {
    (void)state;
    static const struct {
        bool gemm, trans_a, view;
        int rank, steps; /* rank of the constants: [1, …, K] */
    } cases[] = {{false, false, false, 1, 1}, {true, false, false, 1, 1}, {false, false, false, 2, 1},
                 {true, false, false, 2, 1},  {true, true, false, 1, 2},  {false, false, true, 1, 2},
                 {false, false, false, 3, 2}};
    for (int i = 0; i < COUNT(cases); i++) {
        int64_t dims[] = {1, 1, K};
        const int64_t *shape = &dims[3 - cases[i].rank];
        hone_graph *g = hone_graph_new("columns");
        layer t = {.gemm = cases[i].gemm,
                   .trans_a = cases[i].trans_a,
                   .trans_b = cases[i].gemm && i % 2,
                   .alpha = 0.5f,
                   .beta = 1};
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(K, K)),
                   *mean = graph_constant(g, "mean", tensor_random(HONE_FLOAT32, cases[i].rank, shape, 1)),
                   *spread =
                       graph_constant(g, "spread", tensor_random(HONE_FLOAT32, cases[i].rank, shape, 2));
        t.c_rank = -1;
        hone_value *y = graph_op(g, "Div", graph_op(g, "Sub", x, mean), graph_op(g, "Exp", spread));
        y = graph_op(g, "Add", scalar(g, 0.5), y);
        if (cases[i].view) y = graph_op(g, "Identity", y);
        hone_graph_add_output(g, layer_behind(g, &t, y));
        hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(K, K), 3);
        assert_int_equal(steps_of(g), cases[i].steps);
        assert_same_result(g, in, 1e-5);
        hone_tensor_free(in);
        hone_graph_free(g);
    }
}

/* Scaling and shifting behind the layer. c: what shapes do not allow to scale by columns stays. */
static void check_behind(const layer *t, bool by_column, bool folds) {
    hone_graph *g = hone_graph_new("behind");
    int64_t row[] = {N};
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(t->trans_a ? K : ROWS, t->trans_a ? ROWS : K)),
               *k = graph_constant(g, "k", tensor_random(HONE_FLOAT32, by_column, row, 4)),
               *s = graph_constant(g, "s", tensor_random(HONE_FLOAT32, by_column, row, 5));
    hone_value *y = graph_op(g, "Div", graph_op(g, "Mul", layer_behind(g, t, x), k), scalar(g, 0.3));
    hone_graph_add_output(g, graph_op(g, "Add", s, y));
    hone_tensor *in = tensor_random(HONE_FLOAT32, x->type.rank, x->type.dims, 3);
    hone_error err;
    hone_graph *copy = NULL;
    check_ok(hone_graph_copy(g, &copy, &err));
    check_ok(hone_graph_infer(copy, &err));
    check_ok(hone_graph_rewrite_stage(copy, HONE_STAGE_WEIGHTS, NULL, &err));
    if (folds) assert_int_equal(copy->node_count, t->gemm ? 1 : 2);
    hone_graph_free(copy);
    assert_int_equal(steps_of(g), 1);
    assert_same_result(g, in, 1e-5);
    hone_tensor_free(in);
    hone_graph_free(g);
}

static void test_behind_layers(void **state) {
    (void)state;
    static const int64_t shapes[6][2] = {{0}, {0}, {1}, {N}, {1, N}, {1, 1}};
    static const int ranks[] = {-1, 0, 1, 1, 2, 2};
    layer t = {.gemm = false};
    check_behind(&t, false, true);
    check_behind(&t, true, true);
    for (int form = 0; form < 8 * 6; form++) {
        t = (layer){
            .gemm = true, .trans_a = form & 1, .trans_b = form & 2, .alpha = 0.5f, .c_rank = ranks[form / 8]};
        t.beta = form % 3 ? -2 : 1;
        memcpy(t.c, shapes[form / 8], sizeof t.c);
        bool by_column = form & 4, one = form / 8 == 1 || form / 8 == 2 || form / 8 == 5;
        check_behind(&t, by_column, !(by_column && one));
    }
}

static hone_value *batch_norm(hone_graph *g, hone_value *x, int64_t channels, uint64_t seed) {
    hone_value *in[5] = {x};
    for (int i = 1; i < 5; i++) {
        hone_tensor *t = tensor_random(HONE_FLOAT32, SHAPE(channels), seed + (uint64_t)i);
        for (int64_t k = 0; i == 4 && k < channels; k++) tensor_set(t, k, 1.5 + tensor_at(t, k));
        in[i] = graph_constant(g, "c", t);
    }
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "BatchNormalization"), NULL, 5, in, 1);
    return n->outputs[0];
}

/* Before and behind layers batch normalization costs nothing. */
static void test_batch_normalization(void **state) {
    (void)state;
    for (int form = 0; form < 8; form++) {
        layer first = {.gemm = form & 1, .alpha = 1, .beta = 1, .c_rank = form & 2 ? 1 : -1, .c = {N}},
              second = first;
        hone_graph *g = hone_graph_new("normalized");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(ROWS, K));
        hone_value *y = batch_norm(g, layer_behind(g, &first, batch_norm(g, x, K, 10)), N, 20);
        y = graph_op(g, "Relu", y);
        if (form & 4) y = batch_norm(g, y, N, 30);
        hone_value *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(N, 3), 40));
        y = graph_op(g, second.gemm ? "Gemm" : "MatMul", y, w);
        hone_graph_add_output(g, batch_norm(g, y, 3, 50));
        hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(ROWS, K), 3);
        assert_int_equal(steps_of(g), 2);
        assert_same_result(g, in, 2e-5);
        hone_tensor_free(in);
        hone_graph_free(g);
    }
}

/* Weights that somebody else reads stay: they would be there twice. */
static void test_shared_weights(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("shared");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(ROWS, K)),
               *w = graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(K, N), 1)),
               *half = scalar(g, 0.3);
    hone_graph_add_output(g, graph_op(g, "MatMul", graph_op(g, "Mul", x, half), w));
    hone_graph_add_output(g, graph_op(g, "Mul", graph_op(g, "Gemm", x, w), half));
    hone_error err;
    check_ok(hone_graph_infer(g, &err));
    check_ok(hone_graph_rewrite_stage(g, HONE_STAGE_WEIGHTS, NULL, &err));
    assert_int_equal(g->node_count, 4);
    assert_int_equal(w->use_count, 2);
    hone_graph_free(g);
}

/* Others that read the standardized values go on doing so. */
static void test_values_that_are_read_elsewhere(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        layer t = {.gemm = true, .alpha = 1, .beta = 1, .c_rank = -1};
        hone_graph *g = hone_graph_new("shared");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(ROWS, K)),
                   *half = graph_op(g, "Mul", x, scalar(g, 0.5)),
                   *shifted = graph_op(g, "Add", half, scalar(g, 2)), *y = layer_behind(g, &t, shifted);
        hone_graph_add_output(g, y);
        hone_value *other = kind == 0 ? half : kind == 1 ? shifted : graph_op(g, "Tanh", shifted);
        hone_graph_add_output(g, other);
        hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(ROWS, K), 3), *plain[2], *folded[2];
        graph_run(g, "all", &in, plain, 2);
        graph_run(g, NULL, &in, folded, 2);
        for (int i = 0; i < 2; i++) {
            assert_close(folded[i], plain[i], 1e-5);
            hone_tensor_free(plain[i]);
            hone_tensor_free(folded[i]);
        }
        hone_tensor_free(in);
        hone_graph_free(g);
    }
}

/* What would lose digits stays: a shift that cancels, and scales that are no numbers. */
static void test_what_is_not_folded(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        layer t = {.gemm = true, .alpha = 1, .beta = 1, .c_rank = -1};
        hone_graph *g = hone_graph_new("kept");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(ROWS, K)), *v;
        hone_tensor *in = tensor_random(HONE_FLOAT32, SHAPE(ROWS, K), 3);
        if (kind == 0) { /* years around 2000 with a spread of one hundredth */
            v = graph_op(g, "Div", graph_op(g, "Sub", x, scalar(g, 2000)), scalar(g, 0.01));
            for (int64_t i = 0; i < in->count; i++) tensor_set(in, i, 2000 + 0.01 * tensor_at(in, i));
        } else if (kind == 1) {
            v = graph_op(g, "Mul", graph_op(g, "Relu", graph_op(g, "Div", x, scalar(g, 0))), scalar(g, 0));
        } else { /* infinite before it is scaled down */
            v = graph_op(g, "Mul", graph_op(g, "Div", x, scalar(g, 0)), scalar(g, 0.5));
        }
        hone_graph_add_output(g, layer_behind(g, &t, v));
        assert_same_result(g, in, kind ? 0 : 1e-5);
        hone_tensor_free(in);
        hone_graph_free(g);
    }
}

/* A node without its first input stands where the walk goes back. */
static void test_behind_a_loop(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("loop");
    hone_value *cond = graph_input(g, "cond", HONE_BOOL, 0, NULL), *in[] = {NULL, cond};
    hone_node *loop = hone_graph_add_node(g, hone_op_find("", "Loop"), "loop", 2, in, 1);
    hone_graph *body = hone_node_add_graph(g, loop, "body");
    hone_type count = hone_type_make(HONE_INT64, 0, NULL), flag = hone_type_make(HONE_BOOL, 0, NULL);
    hone_graph_add_input(body, "i", &count);
    hone_value *go = hone_graph_add_input(body, "go", &flag);
    hone_graph_add_output(body, graph_op(body, "Not", go));
    hone_graph_add_output(body, graph_constant(body, "row", tensor_random(HONE_FLOAT32, SHAPE(K), 3)));
    hone_value *scaled = graph_op(g, "Mul", loop->outputs[0], scalar(g, 2));
    hone_graph_add_output(g, graph_op(g, "MatMul", scaled,
                                      graph_constant(g, "w", tensor_random(HONE_FLOAT32, SHAPE(K, N), 1))));
    hone_tensor *yes = tensor_make(HONE_BOOL, 0, NULL);
    *(uint8_t *)yes->data = 1;
    assert_same_result(g, yes, 1e-5);
    hone_tensor_free(yes);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_behind_layers),
        cmocka_unit_test(test_batch_normalization),
        cmocka_unit_test(test_shared_weights),
        cmocka_unit_test(test_values_that_are_read_elsewhere),
        cmocka_unit_test(test_what_is_not_folded),
        cmocka_unit_test(test_behind_a_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
