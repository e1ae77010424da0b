/* FlexAttention by its definition in double: without and with subgraphs that change scores and
 * probabilities, and use what is around them; heads that share others; precisions; gradients; what is
 * refused. */
#include "graph/autodiff.h"
#include "graph/expand.h"
#include "support/graphs.h"

enum { Q, K, V, SLOPE, INPUTS }; /* SLOPE [N, 1, 1]: what the subgraphs use of the graph around them */

typedef struct setting {
    int64_t batch, heads, kv_heads, rows, keys, d, dv;
    bool score, prob; /* scores + slope tanh(scores), probabilities * (1 + slope) */
    bool open;        /* of any shape */
    float scale;
    hone_dtype dtype, precision; /* precision HONE_UNDEFINED: not said */
} setting;

static void make_operands(const setting *s, hone_tensor **in) {
    const hone_dtype own = s->precision               ? s->precision
                           : s->dtype == HONE_FLOAT64 ? HONE_FLOAT64
                                                      : HONE_FLOAT32;
    in[Q] = tensor_random(s->dtype, SHAPE(s->batch, s->heads, s->rows, s->d), 1);
    in[K] = tensor_random(s->dtype, SHAPE(s->batch, s->kv_heads, s->keys, s->d), 2);
    in[V] = tensor_random(s->dtype, SHAPE(s->batch, s->kv_heads, s->keys, s->dv), 3);
    in[SLOPE] = tensor_random(own, SHAPE(s->heads, 1, 1), 4);
}

static hone_graph *change(hone_graph *g, hone_node *n, const char *name, hone_dtype dtype, hone_value **x) {
    hone_graph *sub = hone_node_add_graph(g, n, name);
    const hone_type any = {.kind = HONE_KIND_TENSOR, .dtype = dtype, .rank = HONE_RANK_ANY};
    *x = hone_graph_add_input(sub, "x", &any);
    return sub;
}

static hone_node *add_node(hone_graph *g, const setting *s, hone_value *const *in) {
    hone_node *n = hone_graph_add_node(g, hone_op_find("ai.onnx.preview", "FlexAttention"), "here", 3, in, 1);
    hone_value *x, *slope = in[SLOPE];
    if (s->precision) hone_node_set_int(g, n, "softmax_precision", s->precision);
    if (s->scale != 0) hone_node_set_float(g, n, "scale", s->scale);
    if (s->score) {
        hone_graph *sub = change(g, n, "score_mod", HONE_UNDEFINED, &x);
        hone_value *bend = graph_op(sub, "Mul", hone_graph_capture(sub, slope), graph_op(sub, "Tanh", x));
        hone_graph_add_output(sub, graph_op(sub, "Add", x, bend));
    }
    if (s->prob) {
        hone_graph *sub = change(g, n, "prob_mod", HONE_UNDEFINED, &x);
        hone_graph_add_output(
            sub, graph_op(sub, "Add", x, graph_op(sub, "Mul", hone_graph_capture(sub, slope), x)));
    }
    return n;
}

static hone_graph *build(const setting *s, hone_tensor *const *data) {
    static const char *const names[] = {"batch", "heads", "rows",  "d",  "batch", "kv",
                                        "keys",  "d",     "batch", "kv", "keys",  "dv"};
    hone_graph *g = hone_graph_new("flex");
    hone_value *in[INPUTS];
    for (int i = 0; i < INPUTS; i++) {
        int64_t dims[4];
        for (int k = 0; k < data[i]->rank; k++)
            dims[k] = s->open && i < SLOPE ? hone_graph_symbol(g, names[4 * i + k]) : data[i]->dims[k];
        in[i] = graph_input(g, "x", data[i]->dtype, data[i]->rank, dims);
    }
    if (s->dtype == HONE_FLOAT16)
        in[Q] = graph_op(g, "Neg", graph_op(g, "Neg", in[Q])); /* computed in float32 */
    hone_graph_add_output(g, add_node(g, s, in)->outputs[0]);
    return g;
}

static void check_row(const setting *s, hone_tensor *const *in, const hone_tensor *y, int64_t b, int64_t h,
                      int64_t row) {
    const int64_t kv = b * s->kv_heads + h / (s->heads / s->kv_heads),
                  at = (b * s->heads + h) * s->rows + row;
    const double slope = tensor_at(in[SLOPE], h),
                 scale = s->scale != 0 ? (double)s->scale : 1 / sqrt((double)s->d),
                 bound = s->precision == HONE_FLOAT16                               ? 6e-3
                         : s->dtype == HONE_FLOAT16                                 ? 1e-3
                         : s->dtype == HONE_FLOAT64 && s->precision != HONE_FLOAT32 ? 1e-12
                                                                                    : 1e-5;
    double *p = calloc((size_t)s->keys + 1, sizeof *p), sum = 0, most = -INFINITY;
    for (int64_t j = 0; j < s->keys; j++) {
        for (int64_t i = 0; i < s->d; i++)
            p[j] += tensor_at(in[Q], at * s->d + i) * tensor_at(in[K], (kv * s->keys + j) * s->d + i);
        p[j] *= scale;
        if (s->score) p[j] += slope * tanh(p[j]);
        most = fmax(most, p[j]);
    }
    for (int64_t j = 0; j < s->keys; j++) sum += p[j] = exp(p[j] - most);
    for (int64_t i = 0; i < s->dv; i++) {
        double want = 0, got = tensor_at(y, at * s->dv + i);
        for (int64_t j = 0; j < s->keys; j++)
            want += p[j] / sum * (s->prob ? 1 + slope : 1) * tensor_at(in[V], (kv * s->keys + j) * s->dv + i);
        if (fabs(got - want) > bound * (1 + fabs(want)))
            fail_msg("%lld heads share %lld: row %lld [%lld] is %g, not %g", (long long)s->heads,
                     (long long)s->kv_heads, (long long)row, (long long)i, got, want);
    }
    free(p);
}

static void check(const setting *s) {
    hone_tensor *in[INPUTS];
    const hone_tensor *y;
    make_operands(s, in);
    hone_graph *g = build(s, in);
    runner r = runner_make(g, NULL, 1);
    runner_run(&r, in, &y);
    assert_int_equal(y->dtype, s->dtype);
    assert_int_equal(y->count, s->batch * s->heads * s->rows * s->dv);
    for (int64_t i = 0; i < s->batch * s->heads * s->rows; i++)
        check_row(s, in, y, i / s->rows / s->heads, i / s->rows % s->heads, i % s->rows);
    runner_free(&r);
    for (int i = 0; i < INPUTS; i++) hone_tensor_free(in[i]);
    hone_graph_free(g);
}

#define BOTH .score = true, .prob = true

static const setting settings[] = {
    {2, 3, 3, 4, 5, 6, 7, .dtype = HONE_FLOAT32},
    {2, 6, 2, 4, 5, 6, 7, .scale = 0.4f, .dtype = HONE_FLOAT32},
    {2, 3, 3, 4, 5, 6, 7, .score = true, .dtype = HONE_FLOAT32},
    {2, 3, 3, 4, 5, 6, 7, .prob = true, .scale = 0.4f, .dtype = HONE_FLOAT32},
    {2, 6, 2, 4, 5, 6, 7, BOTH, .dtype = HONE_FLOAT32},
    {2, 6, 2, 4, 5, 6, 7, BOTH, .open = true, .dtype = HONE_FLOAT32},
    {2, 4, 4, 4, 5, 6, 7, BOTH, .open = true, .scale = 2, .dtype = HONE_FLOAT32},
    {2, 4, 2, 4, 5, 6, 7, .open = true, .dtype = HONE_FLOAT32},
    {2, 4, 2, 1, 5, 6, 7, BOTH, .dtype = HONE_FLOAT64},
    {2, 4, 2, 3, 5, 6, 7, BOTH, .dtype = HONE_FLOAT64, .precision = HONE_FLOAT32},
    {2, 4, 2, 3, 5, 6, 7, BOTH, .dtype = HONE_FLOAT32, .precision = HONE_FLOAT64},
    {2, 4, 2, 3, 5, 6, 7, .dtype = HONE_FLOAT32, .precision = HONE_FLOAT64},
    {2, 4, 2, 3, 5, 6, 7, BOTH, .dtype = HONE_FLOAT16},
    {2, 4, 2, 3, 5, 6, 7, BOTH, .dtype = HONE_FLOAT16, .precision = HONE_FLOAT16},
    {2, 4, 4, 3, 5, 6, 7, .dtype = HONE_FLOAT16, .precision = HONE_FLOAT16},
    /* empty in each way */
    {0, 4, 2, 3, 5, 6, 7, BOTH, .dtype = HONE_FLOAT32},
    {2, 4, 2, 0, 5, 6, 7, BOTH, .open = true, .dtype = HONE_FLOAT32},
    {2, 4, 2, 3, 0, 6, 7, BOTH, .open = true, .dtype = HONE_FLOAT32},
    {2, 4, 2, 3, 5, 6, 0, BOTH, .open = true, .dtype = HONE_FLOAT32},
};

static void test_settings(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(settings); i++) check(&settings[i]);
}

/* Three heads can't share two, which only the run can know. */
static void test_heads_that_do_not_fit(void **state) {
    (void)state;
    const setting good = {2, 4, 2, 2, 5, 6, 7, BOTH, .open = true, .dtype = HONE_FLOAT32};
    setting bad = good;
    hone_tensor *in[INPUTS];
    hone_error err;
    bad.heads = 3;
    bad.open = false;
    make_operands(&bad, in);
    hone_graph *g = build(&good, in);
    runner r = runner_make(g, NULL, 1);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)in, NULL, &err),
                     HONE_INVALID_ARGUMENT);
    runner_free(&r);
    for (int i = 0; i < INPUTS; i++) hone_tensor_free(in[i]);
    hone_graph_free(g);
}

/* --- gradients --- those of Attention, where that says the same */

static hone_value *scores_doubled(hone_graph *g, hone_value *const *in) {
    hone_node *n = hone_graph_add_node(g, hone_op_find("ai.onnx.preview", "FlexAttention"), "n", 3, in, 1);
    hone_value *x;
    hone_graph *sub = change(g, n, "score_mod", HONE_UNDEFINED, &x);
    hone_graph_add_output(sub, graph_op(sub, "Add", x, x));
    hone_node_set_float(g, n, "scale", 0.3f);
    return n->outputs[0];
}

static hone_value *scale_doubled(hone_graph *g, hone_value *const *in) {
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Attention"), "n", 3, in, 1);
    hone_node_set_float(g, n, "scale", 0.6f);
    return n->outputs[0];
}

static void gradients_of(hone_value *(*attend)(hone_graph *g, hone_value *const *in), hone_tensor **data,
                         hone_tensor **out) {
    hone_graph *g = hone_graph_new("gradients");
    hone_value *in[3], *cotangent, *found[3];
    hone_error err;
    for (int i = 0; i < 3; i++) in[i] = graph_input(g, "x", HONE_FLOAT32, 4, data[i]->dims);
    hone_graph_add_output(g, attend(g, in));
    check_ok(hone_graph_infer(g, &err));
    check_ok(hone_graph_expand(g, true, &err));
    cotangent = hone_graph_add_input(g, "cotangent", &g->outputs[0]->type);
    check_ok(hone_graph_differentiate(g, 1, g->outputs, &cotangent, 3, in, found, &err));
    g->output_count = 0;
    for (int i = 0; i < 3; i++) hone_graph_add_output(g, found[i]);
    graph_run(g, NULL, data, out, 3);
    hone_graph_free(g);
}

static void test_gradients(void **state) {
    (void)state;
    hone_tensor *data[] = {tensor_random(HONE_FLOAT32, SHAPE(2, 4, 3, 5), 1),
                           tensor_random(HONE_FLOAT32, SHAPE(2, 2, 6, 5), 2),
                           tensor_random(HONE_FLOAT32, SHAPE(2, 2, 6, 4), 3),
                           tensor_random(HONE_FLOAT32, SHAPE(2, 4, 3, 4), 4)},
                *got[3], *want[3];
    gradients_of(scores_doubled, data, got);
    gradients_of(scale_doubled, data, want);
    for (int i = 0; i < 3; i++) {
        assert_close(got[i], want[i], 1e-5);
        hone_tensor_free(got[i]);
        hone_tensor_free(want[i]);
    }
    for (int i = 0; i < 4; i++) hone_tensor_free(data[i]);
}

/* --- what is refused --- */

typedef void spoil_fn(hone_graph *g, hone_node *n);

static void spoil_precision(hone_graph *g, hone_node *n) {
    hone_node_set_int(g, n, "softmax_precision", HONE_INT64);
}
static void spoil_large_precision(hone_graph *g, hone_node *n) {
    hone_node_set_int(g, n, "softmax_precision", ((int64_t)1 << 32) + HONE_FLOAT32);
}
static void spoil_inputs(hone_graph *g, hone_node *n) {
    hone_value *x;
    hone_graph *sub = change(g, n, "score_mod", HONE_FLOAT32, &x);
    hone_graph_add_input(sub, "y", &x->type);
    hone_graph_add_output(sub, graph_op(sub, "Tanh", x));
}
static void spoil_shape(hone_graph *g, hone_node *n) {
    hone_value *x;
    hone_graph *sub = change(g, n, "prob_mod", HONE_FLOAT32, &x);
    hone_value *sum = graph_op(sub, "ReduceSum", x, hone_graph_ints(sub, (int64_t[]){-1}, 1));
    hone_graph_add_output(sub, sum);
}
static void spoil_dtype(hone_graph *g, hone_node *n) {
    hone_value *x;
    hone_graph *sub = change(g, n, "score_mod", HONE_FLOAT32, &x);
    hone_value *y = graph_op(sub, "Cast", x);
    hone_node_set_int(sub, y->producer, "to", HONE_FLOAT64);
    hone_graph_add_output(sub, y);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        int64_t q[4], k[4], v[4];
        spoil_fn *spoil;
    } cases[] = {
        {{2, 3, 4, 5}, {2, 2, 4, 5}, {2, 2, 4, 5}, NULL},
        {{2, 3, 4, 5}, {2, 0, 4, 5}, {2, 0, 4, 5}, NULL},
        {{2, 4, 4, 5}, {2, 2, 4, 6}, {2, 2, 4, 6}, NULL},
        {{2, 4, 4, 5}, {2, 2, 4, 5}, {2, 2, 3, 5}, NULL},
        {{2, 4, 4, 5}, {2, 2, 4, 5}, {2, 4, 4, 5}, NULL},
        {{2, 4, 4, 5}, {2, 2, 4, 5}, {2, 2, 4, 5}, spoil_precision},
        {{2, 4, 4, 5}, {2, 2, 4, 5}, {2, 2, 4, 5}, spoil_large_precision},
        {{2, 4, 4, 5}, {2, 2, 4, 5}, {2, 2, 4, 5}, spoil_inputs},
        {{2, 4, 4, 5}, {2, 2, 4, 5}, {2, 2, 4, 5}, spoil_shape},
        {{2, 4, 4, 5}, {2, 2, 4, 5}, {2, 2, 4, 5}, spoil_dtype},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        hone_graph *g = hone_graph_new("flex");
        hone_error err;
        hone_value *in[] = {graph_input(g, "q", HONE_FLOAT32, 4, cases[i].q),
                            graph_input(g, "k", HONE_FLOAT32, 4, cases[i].k),
                            graph_input(g, "v", HONE_FLOAT32, 4, cases[i].v)};
        hone_node *n =
            hone_graph_add_node(g, hone_op_find("ai.onnx.preview", "FlexAttention"), "here", 3, in, 1);
        if (cases[i].spoil) cases[i].spoil(g, n);
        hone_graph_add_output(g, n->outputs[0]);
        if (hone_graph_infer(g, &err) != HONE_INVALID_ARGUMENT || strcmp(err.node, "here") != 0)
            fail_msg("case %d", i);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings),
                                       cmocka_unit_test(test_heads_that_do_not_fit),
                                       cmocka_unit_test(test_gradients), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
