/* Attention that is spelled as products around a Softmax becomes one operator, which gives the same. */
#include "support/graphs.h"

#include <math.h>

enum { B = 2, T = 5, S = 7, N = 3, D = 4 };

/* How it is spelled. */
typedef struct spelling {
    bool rows;  /* Q, K and V are parts of rows */
    bool both;  /* Q and K are scaled, not the scores */
    bool div;   /* scores are divided, not multiplied */
    int bias;   /* 0: none, 1: [B, 1, 1, S], 2: [T, S], before the scores */
    bool own_k; /* K^T by a Transpose of the two last axes of its own */
    bool free;  /* batch and lengths are symbols */
} spelling;

static hone_value *transposed(hone_graph *g, hone_value *v, int a, int b, int c, int d) {
    hone_value *y = graph_op(g, "Transpose", v);
    hone_node_set_ints(g, y->producer, "perm", (int64_t[]){a, b, c, d}, 4);
    return y;
}

static hone_value *source(hone_graph *g, const spelling *s, const char *name, int64_t length,
                          hone_tensor **in) {
    const int64_t batch = s->free ? hone_graph_symbol(g, "batch") : B,
                  many = s->free ? hone_graph_symbol(g, length == T ? "queries" : "keys") : length;
    if (!s->rows) {
        *in = tensor_random(HONE_FLOAT32, SHAPE(B, N, length, D), (uint64_t)name[0]);
        return graph_input(g, name, HONE_FLOAT32, SHAPE(batch, N, many, D));
    }
    *in = tensor_random(HONE_FLOAT32, SHAPE(B, length, N * D), (uint64_t)name[0]);
    hone_value *x = graph_input(g, name, HONE_FLOAT32, SHAPE(batch, many, N * D));
    return graph_op(g, "Reshape", x, hone_graph_ints(g, (int64_t[]){0, 0, N, D}, 4));
}

static hone_value *scaled(hone_graph *g, hone_value *v, bool div, double by) {
    return graph_op(g, div ? "Div" : "Mul", v, hone_graph_scalar(g, HONE_FLOAT32, div ? 1 / by : by));
}

static hone_graph *build(const spelling *s, hone_tensor **in) {
    hone_graph *g = hone_graph_new("attention");
    hone_value *q = source(g, s, "q", T, &in[0]), *k = source(g, s, "k", S, &in[1]),
               *v = source(g, s, "v", S, &in[2]);
    in[3] = NULL;
    if (s->rows) {
        q = transposed(g, q, 0, 2, 1, 3);
        v = transposed(g, v, 0, 2, 1, 3);
        k = s->own_k ? transposed(g, transposed(g, k, 0, 2, 1, 3), 0, 1, 3, 2) : transposed(g, k, 0, 2, 3, 1);
    } else
        k = transposed(g, k, 0, 1, 3, 2);
    if (s->both) {
        q = scaled(g, q, s->div, 0.7);
        k = scaled(g, k, s->div, 0.7);
    }
    hone_value *scores = graph_op(g, "MatMul", q, k);
    if (!s->both) scores = scaled(g, scores, s->div, 0.5);
    if (s->bias) {
        const int64_t batch = s->free ? hone_graph_symbol(g, "batch") : B;
        const int64_t keys = s->free ? hone_graph_symbol(g, "keys") : S;
        const int64_t queries = s->free ? hone_graph_symbol(g, "queries") : T;
        hone_value *bias = s->bias == 1 ? graph_input(g, "bias", HONE_FLOAT32, SHAPE(batch, 1, 1, keys))
                                        : graph_input(g, "bias", HONE_FLOAT32, SHAPE(queries, keys));
        in[3] = s->bias == 1 ? tensor_random(HONE_FLOAT32, SHAPE(B, 1, 1, S), 9)
                             : tensor_random(HONE_FLOAT32, SHAPE(T, S), 9);
        scores = s->bias == 1 ? graph_op(g, "Add", scores, bias) : graph_op(g, "Add", bias, scores);
    }
    hone_value *p = graph_op(g, "Softmax", scores);
    hone_value *y = graph_op(g, "MatMul", p, v);
    if (s->rows)
        y = graph_op(g, "Reshape", transposed(g, y, 0, 2, 1, 3),
                     hone_graph_ints(g, (int64_t[]){0, 0, N * D}, 3));
    hone_graph_add_output(g, y);
    return g;
}

static int count_of(const hone_model *m, const char *op) {
    int count = 0;
    for (const hone_node *n = m->bodies[0].graph->first; n; n = n->next)
        count += strcmp(n->op->name, op) == 0;
    return count;
}

/* Runs it with the rewrite and without; how many nodes of attention there are. */
static int compare(hone_graph *g, hone_tensor *const *in, int *transposes) {
    const hone_tensor *want, *got;
    runner plain = runner_make(g, "attention", 1), fused = runner_make(g, NULL, 2);
    runner_run(&plain, in, &want);
    runner_run(&fused, in, &got);
    assert_close(got, want, 1e-5);
    assert_int_equal(count_of(plain.model, "ScaledDotProduct"), 0);
    const int count = count_of(fused.model, "ScaledDotProduct");
    *transposes = count_of(fused.model, "Transpose");
    runner_free(&plain);
    runner_free(&fused);
    return count;
}

static void free_inputs(hone_tensor **in) {
    for (int i = 0; i < 4; i++) hone_tensor_free(in[i]);
}

static void test_spellings(void **state) {
    (void)state;
    for (int i = 0; i < 96; i++) {
        const spelling s = {i & 1, i & 2, i & 4, i / 8 % 3, i >= 24 && i < 48, i >= 48};
        hone_tensor *in[4];
        hone_graph *g = build(&s, in);
        int transposes;
        if (compare(g, in, &transposes) != 1) fail_msg("spelling %d is not seen", i);
        if (s.rows) assert_int_equal(transposes, 0); /* heads are read where they lie */
        free_inputs(in);
        hone_graph_free(g);
    }
}

/* What else reads scores or probabilities, a Softmax of another axis, numbers behind the bias: it stays as it
 * is. */
static void test_what_stays(void **state) {
    (void)state;
    for (int i = 0; i < 4; i++) {
        hone_tensor *in[4];
        const spelling s = {.bias = i == 3};
        hone_graph *g = build(&s, in);
        hone_node *softmax = g->first;
        while (strcmp(softmax->op->name, "Softmax") != 0) softmax = softmax->next;
        if (i == 0) hone_graph_add_output(g, softmax->outputs[0]);
        if (i == 1) hone_graph_add_output(g, softmax->inputs[0]);
        if (i == 2) hone_node_set_int(g, softmax, "axis", 2);
        if (i == 3) {
            g->insert_before = softmax;
            hone_value *more = scaled(g, softmax->inputs[0], false, 3);
            g->insert_before = NULL;
            hone_node_set_input(g, softmax, 0, more);
        }
        runner r = runner_make(g, NULL, 1);
        const hone_tensor *y[2];
        runner_run(&r, in, y);
        assert_int_equal(count_of(r.model, "ScaledDotProduct"), 0);
        runner_free(&r);
        free_inputs(in);
        hone_graph_free(g);
    }
}

/* Products around a Softmax, of inputs with those shapes, which the graph says, or only that they are [.., N, .., D];
 * how many nodes of attention there are. */
static int compare_shapes(const int64_t (*dims)[4], bool free) {
    hone_tensor *in[4];
    hone_value *x[4];
    hone_graph *g = hone_graph_new("attention");
    for (int i = 0; i < 4; i++) {
        const int64_t *d = dims[i], any[4] = {-1, d[1], -1, i == 3 ? -1 : d[3]};
        char name[2] = {"qkvb"[i]};
        in[i] = tensor_random(HONE_FLOAT32, 4, d, (uint64_t)i + 1);
        x[i] = graph_input(g, name, HONE_FLOAT32, 4, free ? any : d);
    }
    hone_value *scores =
        graph_op(g, "Add", graph_op(g, "MatMul", x[0], transposed(g, x[1], 0, 1, 3, 2)), x[3]);
    hone_graph_add_output(g, graph_op(g, "MatMul", graph_op(g, "Softmax", scores), x[2]));
    int transposes;
    const int count = compare(g, in, &transposes);
    free_inputs(in);
    hone_graph_free(g);
    return count;
}

/* What products and Add broadcast, the operator does, whether the shapes are known before or not. */
static void test_broadcast(void **state) {
    (void)state;
    static const int64_t cases[][4][4] = {
        {{B, N, T, D}, {B, N, S, D}, {B, N, S, D}, {1, 1, 1, S}},
        {{1, N, T, D}, {1, N, S, D}, {1, N, S, D}, {3, 1, 1, S}},
        {{B, N, T, D}, {1, N, S, D}, {1, N, S, D}, {B, N, T, S}},
        {{1, N, T, D}, {B, N, S, D}, {1, N, S, D}, {1, N, 1, 1}},
        {{1, N, T, D}, {1, N, S, D}, {B, N, S, D}, {1, 1, T, 1}},
        {{B, N, 1, D}, {B, N, S, D}, {B, N, S, D}, {B, 1, T, S}},
        {{1, N, 1, D}, {1, N, S, D}, {1, N, S, D}, {1, 1, 40, S}},
        {{B, N, T, D}, {B, N, 1, D}, {B, N, S, D}, {B, 1, T, S}},
        {{B, N, 1, D}, {1, N, 1, D}, {B, N, 1, D}, {1, 1, 1, 1}},
        {{1, N, 1, D}, {1, N, 1, D}, {1, N, S, D}, {B, N, T, S}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int free = 0; free < 2; free++)
            if (compare_shapes(cases[i], free) != 1) fail_msg("case %zu, %d: is not seen", i, free);
}

/* A bias that makes more heads, and factors whose product is 0 in float32: they stay, too. */
static void test_what_is_no_attention(void **state) {
    (void)state;
    static const int64_t heads[4][4] = {{1, 1, T, D}, {1, 1, S, D}, {1, 1, S, D}, {1, N, 1, S}};
    assert_int_equal(compare_shapes(heads, false), 0);
    hone_tensor *in[4] = {tensor_random(HONE_FLOAT32, SHAPE(1, N, T, D), 1),
                          tensor_random(HONE_FLOAT32, SHAPE(1, N, D, S), 2),
                          tensor_random(HONE_FLOAT32, SHAPE(1, N, S, D), 3), NULL};
    hone_graph *g = hone_graph_new("attention");
    hone_value *x[3];
    for (int i = 0; i < 3; i++) x[i] = graph_input(g, (char[]){"qkv"[i], 0}, HONE_FLOAT32, 4, in[i]->dims);
    hone_value *scores = graph_op(g, "MatMul", scaled(g, x[0], false, 1e-30), scaled(g, x[1], false, 1e-30));
    hone_graph_add_output(g, graph_op(g, "MatMul", graph_op(g, "Softmax", scores), x[2]));
    int transposes;
    assert_int_equal(compare(g, in, &transposes), 0);
    free_inputs(in);
    hone_graph_free(g);
}

/* Rows that see no key are no numbers, as Softmax has it. */
static void test_blind_rows(void **state) {
    (void)state;
    hone_tensor *in[4];
    const hone_tensor *y;
    hone_graph *g = build(&(spelling){.bias = 2}, in);
    float *bias = hone_tensor_data(in[3]);
    for (int i = 0; i < 2 * S; i++) bias[i] = -INFINITY;
    runner r = runner_make(g, NULL, 1);
    runner_run(&r, in, &y);
    assert_int_equal(count_of(r.model, "ScaledDotProduct"), 1);
    const float *x = hone_tensor_data(y);
    for (int i = 0; i < B * N * T * D; i++) assert_int_equal(isnan(x[i]) != 0, i / D % T < 2);
    runner_free(&r);
    free_inputs(in);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),  cmocka_unit_test(test_what_stays),
        cmocka_unit_test(test_broadcast),  cmocka_unit_test(test_what_is_no_attention),
        cmocka_unit_test(test_blind_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
