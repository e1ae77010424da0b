/* LinearAttention: all rules by their definition in double; tokens one by one as all at once; what is
 * refused. */
#include "support/graphs.h"

enum { Q, K, V, PAST, DECAY, BETA, INPUTS };

typedef struct setting {
    const char *rule;
    int64_t batch, steps, heads, kv_heads, depth, columns;
    bool past, each, shared; /* a decay for each key dimension; one beta for all heads */
    float scale;
    hone_dtype dtype, state;
} setting;

static bool is_gated(const setting *s) {
    return strncmp(s->rule, "gated", 5) == 0;
}
static bool is_delta(const setting *s) {
    return strstr(s->rule, "delta") != NULL;
}

static void shape_of(const setting *s, int i, int64_t *dims) {
    const int64_t widths[] = {s->heads * s->depth,
                              s->kv_heads * s->depth,
                              s->kv_heads * s->columns,
                              0,
                              s->each ? s->kv_heads * s->depth : s->kv_heads,
                              s->shared ? 1 : s->kv_heads};
    dims[0] = s->batch;
    dims[1] = i == PAST ? s->kv_heads : s->steps;
    dims[2] = i == PAST ? s->depth : widths[i];
    dims[3] = s->columns;
}

static bool is_there(const setting *s, int i) {
    return i < PAST || (i == PAST ? s->past : i == DECAY ? is_gated(s) : is_delta(s));
}

/* Numbers that no rule lets grow. */
static void make_operands(const setting *s, hone_tensor **in) {
    for (int i = 0; i < INPUTS; i++) {
        int64_t dims[4];
        in[i] = NULL;
        if (!is_there(s, i)) continue;
        shape_of(s, i, dims);
        hone_tensor *t = in[i] =
            tensor_random(i == PAST ? s->state : s->dtype, i == PAST ? 4 : 3, dims, (uint64_t)i + 1);
        for (int64_t k = 0; k < t->count; k++) {
            double x = tensor_at(t, k);
            if (i == K) x *= 0.5;
            if (i == DECAY) x = -fabs(x);
            if (i == BETA) x = fabs(x) / 2;
            tensor_set(t, k, x);
        }
    }
}

static hone_node *add_node(hone_graph *g, const setting *s, hone_value *const *in) {
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "LinearAttention"), "here", INPUTS, in, 2);
    hone_node_set_int(g, n, "q_num_heads", s->heads);
    hone_node_set_int(g, n, "kv_num_heads", s->kv_heads);
    hone_node_set_string(g, n, "update_rule", s->rule);
    hone_node_set_float(g, n, "scale", s->scale);
    return n;
}

static hone_graph *build(const setting *s, bool open) {
    hone_graph *g = hone_graph_new("linear");
    hone_value *in[INPUTS] = {NULL};
    for (int i = 0; i < INPUTS; i++) {
        int64_t dims[4];
        if (!is_there(s, i)) continue;
        shape_of(s, i, dims);
        if (open) dims[0] = hone_graph_symbol(g, "batch");
        if (open && i != PAST) dims[1] = hone_graph_symbol(g, "tokens");
        in[i] = graph_input(g, "x", i == PAST ? s->state : s->dtype, i == PAST ? 4 : 3, dims);
    }
    hone_node *n = add_node(g, s, in);
    for (int o = 0; o < 2; o++) hone_graph_add_output(g, n->outputs[o]);
    return g;
}

static void compare(const setting *s, const char *what, const hone_tensor *t, int64_t i, double want) {
    const double got = tensor_at(t, i), bound = t->dtype == HONE_FLOAT64   ? 1e-12
                                                : t->dtype == HONE_FLOAT32 ? 2e-5
                                                : t->dtype == HONE_FLOAT16 ? 1e-3
                                                                           : 8e-3;
    if (fabs(got - want) > bound * (1 + fabs(want)))
        fail_msg("%s, %lld tokens: %s [%lld] is %g, not %g", s->rule, (long long)s->steps, what, (long long)i,
                 got, want);
}

/* One head of keys, step by step, in double. */
static void check_head(const setting *s, hone_tensor *const *in, const hone_tensor *const *out, int64_t b,
                       int64_t head) {
    const int64_t size = s->depth * s->columns, group = s->heads / s->kv_heads,
                  first = (b * s->kv_heads + head) * size;
    double *state = calloc((size_t)size + 1, sizeof *state), *u = calloc((size_t)s->columns + 1, sizeof *u);
    for (int64_t i = 0; i < size && in[PAST]; i++) state[i] = tensor_at(in[PAST], first + i);
    for (int64_t t = 0; t < s->steps; t++) {
        const int64_t token = b * s->steps + t, kv = token * s->kv_heads + head;
        double beta = is_delta(s) ? tensor_at(in[BETA], s->shared ? token : kv) : 1;
        for (int64_t i = 0; i < size && is_gated(s); i++)
            state[i] *= exp(tensor_at(in[DECAY], s->each ? kv * s->depth + i / s->columns : kv));
        for (int64_t j = 0; j < s->columns; j++) {
            double known = 0;
            for (int64_t d = 0; d < s->depth && is_delta(s); d++)
                known += state[d * s->columns + j] * tensor_at(in[K], kv * s->depth + d);
            u[j] = beta * (tensor_at(in[V], kv * s->columns + j) - known);
        }
        for (int64_t i = 0; i < size; i++)
            state[i] += tensor_at(in[K], kv * s->depth + i / s->columns) * u[i % s->columns];
        for (int64_t i = 0; i < group * s->columns; i++) {
            const int64_t q = token * s->heads + head * group + i / s->columns;
            double y = 0, scale = s->scale != 0 ? (double)s->scale : 1 / sqrt((double)s->depth);
            for (int64_t d = 0; d < s->depth; d++)
                y += tensor_at(in[Q], q * s->depth + d) * state[d * s->columns + i % s->columns];
            compare(s, "Y", out[0], q * s->columns + i % s->columns, s->depth ? scale * y : 0);
        }
    }
    for (int64_t i = 0; i < size; i++) compare(s, "state", out[1], first + i, state[i]);
    free(state);
    free(u);
}

static void check(const setting *s, int threads) {
    hone_tensor *in[INPUTS], *data[INPUTS];
    const hone_tensor *out[2];
    hone_graph *g = build(s, false);
    make_operands(s, in);
    int count = tensors_given(INPUTS, in, data);
    runner r = runner_make(g, NULL, threads);
    runner_run(&r, data, out);
    assert_int_equal(out[0]->dtype, s->dtype);
    assert_int_equal(out[1]->dtype, s->past ? s->state : s->dtype);
    for (int64_t i = 0; i < s->batch * s->kv_heads; i++)
        check_head(s, in, out, i / s->kv_heads, i % s->kv_heads);
    runner_free(&r);
    for (int i = 0; i < count; i++) hone_tensor_free(data[i]);
    hone_graph_free(g);
}

#define F32 .dtype = HONE_FLOAT32, .state = HONE_FLOAT32

static const setting settings[] = {
    {"linear", 2, 7, 4, 4, 6, 5, F32},
    {"gated", 2, 7, 6, 2, 20, 70, .past = true, .each = true, .scale = 0.3f, F32},
    {"gated", 1, 9, 2, 2, 5, 130, F32},
    {"delta", 3, 6, 4, 1, 17, 33, .past = true, .shared = true, F32},
    {"gated_delta", 2, 40, 8, 4, 64, 96, .past = true, .each = true, F32},
    {"gated_delta", 2, 1, 8, 8, 32, 64, .past = true, F32},
    {"gated_delta", 1, 5, 2, 2, 1, 3, .each = true, F32},
    {"gated_delta", 2, 6, 4, 2, 7, 9, .past = true, .each = true, .dtype = HONE_FLOAT64,
     .state = HONE_FLOAT64},
    {"gated_delta", 2, 4, 4, 2, 8, 8, .each = true, .dtype = HONE_FLOAT16, .state = HONE_FLOAT16},
    {"delta", 2, 4, 4, 2, 8, 8, .past = true, .dtype = HONE_FLOAT16, .state = HONE_FLOAT32},
    {"gated", 2, 4, 4, 2, 8, 8, .past = true, .dtype = HONE_BFLOAT16, .state = HONE_FLOAT32},
    {"linear", 2, 4, 4, 2, 8, 8, .past = true, .dtype = HONE_FLOAT32, .state = HONE_BFLOAT16},
};

static void test_rules(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(settings); i++) {
        check(&settings[i], 1);
        check(&settings[i], 3);
    }
}

static void test_empty(void **state) {
    (void)state;
    check(&(setting){"gated_delta", 0, 3, 4, 2, 5, 6, .past = true, F32}, 1);
    check(&(setting){"gated_delta", 2, 0, 4, 2, 5, 6, .past = true, F32}, 1);
    check(&(setting){"gated", 2, 0, 4, 2, 5, 6, .each = true, F32}, 1);
    check(&(setting){"delta", 2, 3, 4, 2, 0, 6, F32}, 1);
    check(&(setting){"delta", 2, 3, 4, 2, 5, 0, .past = true, F32}, 1);
}

/* Steps [from, to) of what has steps. */
static hone_tensor *piece(const hone_tensor *x, int64_t from, int64_t to) {
    hone_tensor *y = tensor_make(x->dtype, SHAPE(x->dims[0], to - from, x->dims[2]));
    for (int64_t i = 0; i < y->count; i++) {
        const int64_t row = (to - from) * x->dims[2];
        tensor_set(y, i, tensor_at(x, i / row * x->dims[1] * x->dims[2] + from * x->dims[2] + i % row));
    }
    return y;
}

/* A prompt and then token by token, in one model of any batch and length. */
static void test_pieces_agree(void **state) {
    (void)state;
    static const int64_t cuts[] = {0, 4, 5, 6, 9};
    const setting s = {"gated_delta", 2, 9, 4, 2, 16, 24, .past = true, .each = true, F32};
    hone_tensor *in[INPUTS], *data[INPUTS];
    const hone_tensor *out[2];
    hone_graph *g = build(&s, true);
    make_operands(&s, in);
    runner r = runner_make(g, NULL, 1);
    tensors_given(INPUTS, in, data);
    runner_run(&r, data, out);
    hone_tensor *whole = tensor_copy(out[0]), *last = tensor_copy(out[1]), *carried = tensor_copy(in[PAST]);
    for (int c = 0; c + 1 < COUNT(cuts); c++) {
        hone_tensor *part[INPUTS];
        for (int i = 0; i < INPUTS; i++) part[i] = i == PAST ? carried : piece(in[i], cuts[c], cuts[c + 1]);
        runner_run(&r, part, out);
        hone_tensor *want = piece(whole, cuts[c], cuts[c + 1]);
        assert_close(out[0], want, 1e-5);
        carried = tensor_copy(out[1]);
        for (int i = 0; i < INPUTS; i++) hone_tensor_free(part[i]);
        hone_tensor_free(want);
    }
    assert_close(carried, last, 1e-5);
    hone_tensor_free(carried);
    hone_tensor_free(last);
    hone_tensor_free(whole);
    for (int i = 0; i < INPUTS; i++) hone_tensor_free(in[i]);
    runner_free(&r);
    hone_graph_free(g);
}

/* Nobody asks for Y, or for the state. */
static void test_left_out(void **state) {
    (void)state;
    const setting s = {"gated_delta", 2, 9, 4, 2, 16, 24, .past = true, .each = true, F32};
    for (int kept = 0; kept < 2; kept++) {
        hone_tensor *in[INPUTS], *data[INPUTS];
        const hone_tensor *out[2], *alone;
        hone_graph *g = build(&s, false), *one = build(&s, false);
        make_operands(&s, in);
        tensors_given(INPUTS, in, data);
        one->outputs[0] = one->outputs[kept];
        one->output_count = 1;
        runner r = runner_make(g, NULL, 1), q = runner_make(one, NULL, 1);
        runner_run(&r, data, out);
        runner_run(&q, data, &alone);
        assert_close(alone, out[kept], 0);
        runner_free(&r);
        runner_free(&q);
        for (int i = 0; i < INPUTS; i++) hone_tensor_free(in[i]);
        hone_graph_free(g);
        hone_graph_free(one);
    }
}

/* Of no tokens: states that have no room anywhere are not made, and those that have are not counted. */
static void test_nothing_of_much(void **state) {
    (void)state;
    const setting all[] = {{"linear", 1, 0, 1, 1, (int64_t)1 << 40, (int64_t)1 << 40, F32},
                           {"linear", 1, 0, 1, 1, (int64_t)1 << 33, ((int64_t)1 << 33) + 1, F32},
                           {"linear", (int64_t)1 << 56, 0, 1, 1, 0, 1, F32}};
    for (int i = 0; i < COUNT(all); i++) {
        hone_tensor *in[3];
        const hone_tensor *out;
        hone_graph *g = build(&all[i], false);
        g->output_count = 1;
        g->first->output_count = 1;
        for (int k = 0; k < 3; k++) {
            int64_t dims[4];
            shape_of(&all[i], k, dims);
            in[k] = tensor_make(HONE_FLOAT32, 3, dims);
        }
        runner r = runner_make(g, NULL, 2);
        runner_run(&r, in, &out);
        assert_int_equal(out->count, 0);
        runner_free(&r);
        for (int k = 0; k < 3; k++) hone_tensor_free(in[k]);
        hone_graph_free(g);
    }
}

/* Gradients of nothing: no head is asked, and what has elements is 0. */
static void test_gradient_of_nothing(void **state) {
    (void)state;
    enum { GRADIENTS = 2 + INPUTS };
    const int64_t heads = (int64_t)1 << 40;
    const setting all[] = {{"delta", 1, 3, heads, heads, 0, 0, F32},
                           {"linear", 1, 0, 1, 1, (int64_t)1 << 40, (int64_t)1 << 40, F32},
                           {"delta", 2, 3, 4, 2, 0, 6, F32}};
    for (int i = 0; i < COUNT(all); i++) {
        hone_tensor *data[GRADIENTS] = {NULL}, *given[GRADIENTS];
        hone_value *in[GRADIENTS] = {NULL};
        const hone_tensor *out[INPUTS];
        hone_graph *g = hone_graph_new("gradient");
        const bool delta = strcmp(all[i].rule, "delta") == 0;
        for (int k = 0; k < GRADIENTS; k++) {
            int64_t dims[4] = {all[i].batch, all[i].steps, all[i].heads * all[i].columns};
            if (k == 1 || k == 2 + PAST || k == 2 + DECAY || (k == 2 + BETA && !delta)) continue;
            if (k >= 2) shape_of(&all[i], k - 2, dims);
            if (k == 2 + BETA) dims[2] = 1; /* one for all heads */
            data[k] = tensor_random(HONE_FLOAT32, 3, dims, 1);
            in[k] = graph_input(g, "x", HONE_FLOAT32, 3, dims);
        }
        hone_node *n = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "LinearAttentionGrad"),
                                           "gradient", GRADIENTS, in, 0);
        hone_node_set_int(g, n, "q_num_heads", all[i].heads);
        hone_node_set_int(g, n, "kv_num_heads", all[i].kv_heads);
        hone_node_set_string(g, n, "update_rule", all[i].rule);
        const int asked[] = {0, 1, 2, BETA}, wanted = delta ? 4 : 3;
        for (int o = 0; o < wanted; o++) hone_graph_add_output(g, hone_node_ask_output(g, n, asked[o]));
        runner r = runner_make(g, NULL, 2);
        tensors_given(GRADIENTS, data, given);
        runner_run(&r, given, out);
        for (int o = 0; o < wanted; o++)
            for (int64_t e = 0; e < out[o]->count; e++) assert_true(tensor_at(out[o], e) == 0);
        runner_free(&r);
        for (int k = 0; k < GRADIENTS; k++) hone_tensor_free(data[k]);
        hone_graph_free(g);
    }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        int64_t heads, kv_heads;
        const char *rule, *says;
        int64_t q[3], k[3], v[3], past[4], decay[3], beta[3]; /* beginning with 0: left out */
    } cases[] = {
        {3, 2, "linear", "can't share", {2, 4, 6}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {0}},
        {0, 2, "linear", "can't share", {2, 4, 6}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {0}},
        {-2, -2, "linear", "can't share", {2, 4, 6}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {0}},
        {INT64_MAX, 1, "linear", "make no", {2, 4, 6}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {0}},
        {4, 2, "linear", "make no", {2, 4, 6}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {0}},
        {2, 2, "linear", "", {2, 4, 6}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {0}},
        {2, 2, "linear", "", {2, 4, 4}, {2, 5, 4}, {2, 5, 4}, {0}, {0}, {0}},
        {2, 2, "cubic", "cubic", {2, 4, 4}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {0}},
        {2, 2, "gated", "needs a decay", {2, 4, 4}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {0}},
        {2, 2, "delta", "has no decay", {2, 4, 4}, {2, 4, 4}, {2, 4, 4}, {0}, {2, 4, 2}, {2, 4, 2}},
        {2, 2, "delta", "needs a beta", {2, 4, 4}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {0}},
        {2, 2, "gated", "has no beta", {2, 4, 4}, {2, 4, 4}, {2, 4, 4}, {0}, {2, 4, 2}, {2, 4, 2}},
        {2, 2, "gated", "", {2, 4, 6}, {2, 4, 6}, {2, 4, 4}, {0}, {2, 4, 4}, {0}},
        {2, 2, "delta", "beta", {2, 4, 4}, {2, 4, 4}, {2, 4, 4}, {0}, {0}, {2, 4, 4}},
        {2, 2, "linear", "", {2, 4, 4}, {2, 4, 4}, {2, 4, 4}, {2, 2, 2, 3}, {0}, {0}},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        hone_graph *g = hone_graph_new("linear");
        hone_error err;
        const int64_t *dims[] = {cases[i].q,    cases[i].k,     cases[i].v,
                                 cases[i].past, cases[i].decay, cases[i].beta};
        hone_value *in[INPUTS] = {NULL};
        for (int k = 0; k < INPUTS; k++)
            if (dims[k][0]) in[k] = graph_input(g, "x", HONE_FLOAT32, k == PAST ? 4 : 3, dims[k]);
        const setting s = {cases[i].rule, .heads = cases[i].heads, .kv_heads = cases[i].kv_heads};
        hone_graph_add_output(g, add_node(g, &s, in)->outputs[0]);
        assert_int_equal(hone_graph_infer(g, &err), HONE_INVALID_ARGUMENT);
        if (strcmp(err.node, "here") != 0 || !strstr(err.message, cases[i].says))
            fail_msg("case %d: %s", i, err.message);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),           cmocka_unit_test(test_empty),
        cmocka_unit_test(test_pieces_agree),    cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_nothing_of_much), cmocka_unit_test(test_gradient_of_nothing),
        cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
