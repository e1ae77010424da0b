/* CausalConvWithState by its definition in double; piece by piece as all at once; what is refused. */
#include "support/graphs.h"

enum { X, W, BIAS, PAST, INPUTS };

typedef struct setting {
    int64_t batch, channels, length, taps;
    bool bias, past;
    const char *activation;
    hone_dtype dtype;
} setting;

static void make_operands(const setting *s, hone_tensor **in) {
    in[X] = tensor_random(s->dtype, SHAPE(s->batch, s->channels, s->length), 1);
    in[W] = tensor_random(s->dtype, SHAPE(s->channels, 1, s->taps), 2);
    in[BIAS] = s->bias ? tensor_random(s->dtype, SHAPE(s->channels), 3) : NULL;
    in[PAST] = s->past ? tensor_random(s->dtype, SHAPE(s->batch, s->channels, s->taps - 1), 4) : NULL;
}

/* `open`: of any batch and length. */
static hone_graph *build(const setting *s, bool open) {
    hone_graph *g = hone_graph_new("causal");
    const int64_t batch = open ? hone_graph_symbol(g, "batch") : s->batch,
                  length = open ? hone_graph_symbol(g, "length") : s->length;
    hone_value *in[INPUTS] = {
        graph_input(g, "x", s->dtype, SHAPE(batch, s->channels, length)),
        graph_input(g, "w", s->dtype, SHAPE(s->channels, 1, s->taps)),
        s->bias ? graph_input(g, "bias", s->dtype, SHAPE(s->channels)) : NULL,
        s->past ? graph_input(g, "past", s->dtype, SHAPE(batch, s->channels, s->taps - 1)) : NULL};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "CausalConvWithState"), "here", INPUTS, in, 2);
    if (s->activation) hone_node_set_string(g, n, "activation", s->activation);
    for (int o = 0; o < 2; o++) hone_graph_add_output(g, n->outputs[o]);
    return g;
}

/* Element t of a row that begins with its past. */
static double element(const setting *s, hone_tensor *const *in, int64_t row, int64_t t) {
    if (t >= s->taps - 1) return tensor_at(in[X], row * s->length + t - (s->taps - 1));
    return in[PAST] ? tensor_at(in[PAST], row * (s->taps - 1) + t) : 0;
}

static void compare(const setting *s, const char *what, double got, double want) {
    const double bound = s->dtype == HONE_FLOAT64   ? 1e-13
                         : s->dtype == HONE_FLOAT32 ? 1e-5
                         : s->dtype == HONE_FLOAT16 ? 1e-3
                                                    : 8e-3;
    if (fabs(got - want) > bound * (1 + fabs(want)))
        fail_msg("%lld of %lld, %lld taps: %s is %g, not %g", (long long)s->length, (long long)s->channels,
                 (long long)s->taps, what, got, want);
}

static void check_row(const setting *s, hone_tensor *const *in, const hone_tensor *const *out, int64_t row) {
    const int64_t channel = row % s->channels, before = s->taps - 1;
    for (int64_t t = 0; t < s->length; t++) {
        double y = in[BIAS] ? tensor_at(in[BIAS], channel) : 0;
        for (int64_t j = 0; j < s->taps; j++)
            y += tensor_at(in[W], channel * s->taps + j) * element(s, in, row, t + j);
        if (s->activation && strcmp(s->activation, "none") != 0) y /= 1 + exp(-y);
        compare(s, "Y", tensor_at(out[0], row * s->length + t), y);
    }
    for (int64_t i = 0; i < before; i++)
        assert_true(tensor_at(out[1], row * before + i) == element(s, in, row, s->length + i));
}

static void check(const setting *s, int threads) {
    hone_tensor *in[INPUTS], *data[INPUTS];
    const hone_tensor *out[2];
    hone_graph *g = build(s, false);
    make_operands(s, in);
    int count = tensors_given(INPUTS, in, data);
    runner r = runner_make(g, NULL, threads);
    runner_run(&r, data, out);
    for (int64_t row = 0; row < s->batch * s->channels; row++) check_row(s, in, out, row);
    runner_free(&r);
    for (int i = 0; i < count; i++) hone_tensor_free(data[i]);
    hone_graph_free(g);
}

static const setting settings[] = {
    {2, 5, 40, 4, .dtype = HONE_FLOAT32},
    {2, 5, 40, 4, .bias = true, .past = true, .activation = "silu", .dtype = HONE_FLOAT32},
    {3, 300, 1, 4, .bias = true, .past = true, .activation = "swish", .dtype = HONE_FLOAT32},
    {2, 4, 3, 4, .past = true, .activation = "none", .dtype = HONE_FLOAT32},
    {2, 4, 2, 7, .dtype = HONE_FLOAT32},
    {2, 4, 2, 7, .past = true, .dtype = HONE_FLOAT32},
    {2, 4, 30, 1, .bias = true, .past = true, .dtype = HONE_FLOAT32},
    {2, 4, 30, 5, .bias = true, .past = true, .activation = "silu", .dtype = HONE_FLOAT64},
    {2, 4, 30, 5, .bias = true, .past = true, .activation = "silu", .dtype = HONE_FLOAT16},
    {2, 4, 30, 5, .bias = true, .dtype = HONE_BFLOAT16},
    /* empty in each way */
    {0, 4, 30, 5, .past = true, .dtype = HONE_FLOAT32},
    {2, 0, 30, 5, .bias = true, .dtype = HONE_FLOAT32},
    {2, 4, 0, 5, .past = true, .activation = "silu", .dtype = HONE_FLOAT32},
    {2, 4, 0, 5, .dtype = HONE_FLOAT32},
    {2, 4, 0, 1, .dtype = HONE_FLOAT32},
};

static void test_settings(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(settings); i++) {
        check(&settings[i], 1);
        check(&settings[i], 3);
    }
}

/* Columns [from, to) of rows. */
static hone_tensor *piece(const hone_tensor *x, int64_t from, int64_t to) {
    hone_tensor *y = tensor_make(x->dtype, SHAPE(x->dims[0], x->dims[1], to - from));
    for (int64_t i = 0; i < y->count; i++)
        tensor_set(y, i, tensor_at(x, i / (to - from) * x->dims[2] + from + i % (to - from)));
    return y;
}

static void test_pieces_agree(void **state) {
    (void)state;
    static const int64_t cuts[] = {0, 5, 6, 7, 9, 20};
    const setting s = {2, 3, 20, 4, .bias = true, .past = true, .activation = "silu", .dtype = HONE_FLOAT32};
    hone_tensor *in[INPUTS];
    const hone_tensor *out[2];
    hone_graph *g = build(&s, true);
    runner r = runner_make(g, NULL, 1);
    make_operands(&s, in);
    runner_run(&r, in, out);
    hone_tensor *whole = tensor_copy(out[0]), *last = tensor_copy(out[1]), *x = in[X];
    for (int c = 0; c + 1 < COUNT(cuts); c++) {
        in[X] = piece(x, cuts[c], cuts[c + 1]);
        runner_run(&r, in, out);
        hone_tensor *want = piece(whole, cuts[c], cuts[c + 1]);
        assert_close(out[0], want, 1e-6);
        hone_tensor_free(in[PAST]);
        in[PAST] = tensor_copy(out[1]);
        hone_tensor_free(want);
        hone_tensor_free(in[X]);
    }
    assert_same_bits(in[PAST], last);
    in[X] = x;
    for (int i = 0; i < INPUTS; i++) hone_tensor_free(in[i]);
    hone_tensor_free(whole);
    hone_tensor_free(last);
    runner_free(&r);
    hone_graph_free(g);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        int64_t x[3], w[3], bias[1], past[3]; /* beginning with 0: left out */
        const char *activation;
    } cases[] = {
        {{2, 3, 5}, {4, 1, 4}, {0}, {0}, "none"},       {{2, 3, 5}, {3, 2, 4}, {0}, {0}, "none"},
        {{2, 3, 5}, {3, 1, 0}, {0}, {0}, "none"},       {{2, 3, 5}, {3, 1, 4}, {4}, {0}, "none"},
        {{2, 3, 5}, {3, 1, 4}, {0}, {2, 3, 4}, "none"}, {{2, 3, 5}, {3, 1, 4}, {0}, {1, 3, 3}, "none"},
        {{2, 3, 5}, {3, 1, 4}, {0}, {0}, "relu"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        hone_graph *g = hone_graph_new("causal");
        hone_error err;
        hone_value *in[INPUTS] = {
            graph_input(g, "x", HONE_FLOAT32, 3, cases[i].x),
            graph_input(g, "w", HONE_FLOAT32, 3, cases[i].w),
            cases[i].bias[0] ? graph_input(g, "bias", HONE_FLOAT32, 1, cases[i].bias) : NULL,
            cases[i].past[0] ? graph_input(g, "past", HONE_FLOAT32, 3, cases[i].past) : NULL};
        hone_node *n = hone_graph_add_node(g, hone_op_find("", "CausalConvWithState"), "here", INPUTS, in, 2);
        hone_node_set_string(g, n, "activation", cases[i].activation);
        hone_graph_add_output(g, n->outputs[0]);
        if (hone_graph_infer(g, &err) != HONE_INVALID_ARGUMENT || strcmp(err.node, "here") != 0)
            fail_msg("case %d", i);
        hone_graph_free(g);
    }
}

/* As many empty rows as there can be, and nobody who asks for the state. */
static void test_nothing_of_many(void **state) {
    (void)state;
    const setting s = {(int64_t)1 << 56, 4, 0, 2, .dtype = HONE_FLOAT32};
    hone_tensor *in[INPUTS];
    const hone_tensor *out;
    hone_graph *g = build(&s, false);
    g->output_count = 1;
    g->first->output_count = 1;
    in[X] = tensor_make(s.dtype, SHAPE(s.batch, s.channels, s.length));
    in[W] = tensor_make(s.dtype, SHAPE(s.channels, 1, s.taps));
    runner r = runner_make(g, NULL, 2);
    runner_run(&r, in, &out);
    assert_int_equal(out->dims[0], s.batch);
    runner_free(&r);
    hone_tensor_free(in[X]);
    hone_tensor_free(in[W]);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings), cmocka_unit_test(test_pieces_agree),
                                       cmocka_unit_test(test_nothing_of_many),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
