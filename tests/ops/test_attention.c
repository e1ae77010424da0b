/* ScaledDotProduct, what all attention operators become, by its definition in double; at every ISA level. */
#include "ops/attention/core.h"
#include "ops/each_level.h"

#include "support/graphs.h"

static const char *program;

typedef struct setting {
    int64_t batch, heads, kv_heads, rows, keys, d, dv;
    bool counted, causal, position, first, end, sink;
    int bias; /* its rank; 0: none */
    int64_t ahead, window;
    float softcap, scale; /* scale 0: 0.8 */
    int qk_mode;          /* < 0: none */
    hone_dtype dtype;
} setting;

typedef struct built {
    hone_graph *g;
    hone_tensor *in[HONE_CORE_INPUTS], *given[HONE_CORE_INPUTS];
    int count;
    int64_t bias_keys;
} built;

static hone_tensor *numbers(int64_t n, int64_t below, int seed) {
    hone_tensor *t = tensor_make(HONE_INT64, SHAPE(n));
    for (int64_t i = 0; i < n; i++) ((int64_t *)t->data)[i] = (i * 5 + seed) % below;
    return t;
}

static float scale_of(const setting *s) {
    return s->scale != 0 ? s->scale : 0.8f;
}

static built build(const setting *s) {
    built b = {.g = hone_graph_new("attention"), .bias_keys = s->keys};
    hone_tensor **t = b.in;
    const int64_t q[2][4] = {{s->batch, s->heads, s->rows, s->d}, {s->batch, s->rows, s->heads * s->d}},
                  k[2][4] = {{s->batch, s->kv_heads, s->keys, s->d}, {s->batch, s->keys, s->kv_heads * s->d}},
                  v[2][4] = {{s->batch, s->kv_heads, s->keys, s->dv},
                             {s->batch, s->keys, s->kv_heads * s->dv}};
    const int rank = s->counted ? 3 : 4;
    t[HONE_CORE_Q] = tensor_random(s->dtype, rank, q[s->counted], 1);
    t[HONE_CORE_K] = tensor_random(s->dtype, rank, k[s->counted], 2);
    t[HONE_CORE_V] = tensor_random(s->dtype, rank, v[s->counted], 3);
    if (s->bias) {
        const int64_t all[] = {s->batch, 1, s->rows, s->keys > 2 ? s->keys - 1 : s->keys}; /* one key less */
        b.bias_keys = all[3];
        t[HONE_CORE_BIAS] = tensor_random(s->dtype, s->bias, all + 4 - s->bias, 4);
        for (int64_t i = 0; i < t[HONE_CORE_BIAS]->count; i += 7) tensor_set(t[HONE_CORE_BIAS], i, -INFINITY);
    }
    if (s->position) t[HONE_CORE_POSITION] = numbers(s->batch, s->keys, 2);
    if (s->first) t[HONE_CORE_FIRST] = numbers(s->batch, 3, 1);
    if (s->end) t[HONE_CORE_END] = numbers(s->batch, s->keys + 1, 3);
    if (s->sink) t[HONE_CORE_SINK] = tensor_random(s->dtype, SHAPE(s->heads), 5);
    hone_core c = {.q_heads = s->counted ? s->heads : 0,
                   .kv_heads = s->counted ? s->kv_heads : 0,
                   .scale = scale_of(s),
                   .softcap = s->softcap,
                   .causal = s->causal,
                   .ahead = s->ahead,
                   .window = s->window,
                   .qk_mode = s->qk_mode};
    for (int i = 0; i < HONE_CORE_INPUTS; i++) {
        if (!t[i]) continue;
        c.in[i] = graph_input(b.g, "x", t[i]->dtype, t[i]->rank, t[i]->dims);
        b.given[b.count++] = t[i];
    }
    hone_node *n = hone_core_emit(b.g, &c);
    for (int o = 0; o < n->output_count; o++) hone_graph_add_output(b.g, n->outputs[o]);
    return b;
}

static void free_built(built *b) {
    for (int i = 0; i < b->count; i++) hone_tensor_free(b->given[i]);
    hone_graph_free(b->g);
}

static double element(const setting *s, const hone_tensor *t, int64_t heads, int64_t b, int64_t h,
                      int64_t row, int64_t rows, int64_t i, int64_t width) {
    return tensor_at(t, s->counted ? (b * rows + row) * heads * width + h * width + i
                                   : ((b * heads + h) * rows + row) * width + i);
}

static int64_t number(const built *b, int i, int64_t batch, int64_t usual) {
    return b->in[i] ? ((const int64_t *)b->in[i]->data)[batch] : usual;
}

static void compare(const setting *s, const char *what, int64_t b, int64_t h, int64_t row, int64_t i,
                    double got, double want) {
    const double bound = (s->dtype == HONE_FLOAT64 ? 1e-11 : 2e-5) * (1 + fabs(want));
    if (got == want || fabs(got - want) <= bound) return;
    fail_msg("%lld rows, %lld keys: %s of batch %lld, head %lld, row %lld, [%lld]: %g, not %g",
             (long long)s->rows, (long long)s->keys, what, (long long)b, (long long)h, (long long)row,
             (long long)i, got, want);
}

static void check_row(const setting *s, const built *b, const hone_tensor *const *out, int64_t batch,
                      int64_t h, int64_t row) {
    const int64_t kv = h / (s->heads / s->kv_heads), at = number(b, HONE_CORE_POSITION, batch, 0) + row;
    double *p = calloc((size_t)s->keys * 2 + 2, sizeof *p), *stage = p + s->keys + 1, sum = 0,
           most = -INFINITY;
    for (int64_t j = 0; j < s->keys; j++) {
        double x = 0;
        for (int64_t i = 0; i < s->d; i++)
            x += element(s, b->in[HONE_CORE_Q], s->heads, batch, h, row, s->rows, i, s->d) *
                 element(s, b->in[HONE_CORE_K], s->kv_heads, batch, kv, j, s->keys, i, s->d);
        x *= scale_of(s);
        if (s->qk_mode == 0) stage[j] = x;
        if (s->softcap > 0) x = s->softcap * tanh(x / s->softcap);
        if (s->qk_mode == 1) stage[j] = x;
        bool seen = j < b->bias_keys && j >= number(b, HONE_CORE_FIRST, batch, 0) &&
                    j < number(b, HONE_CORE_END, batch, s->keys) && !(s->causal && j > at + s->ahead) &&
                    !(s->window > 0 && j <= at - s->window);
        const hone_tensor *bias = b->in[HONE_CORE_BIAS];
        if (bias && seen) {
            int64_t line = s->bias >= 3   ? (s->bias == 4 ? batch * s->rows + row : row)
                           : s->bias == 2 ? row
                                          : 0;
            x += tensor_at(bias, line * b->bias_keys + j);
        }
        p[j] = seen ? x : -INFINITY;
        if (s->qk_mode == 2) stage[j] = p[j];
        most = fmax(most, p[j]);
    }
    bool nothing = most == -INFINITY;
    double sink = s->sink ? tensor_at(b->in[HONE_CORE_SINK], h) : -INFINITY;
    most = fmax(most, sink);
    for (int64_t j = 0; j < s->keys; j++) sum += p[j] = nothing ? 0 : exp(p[j] - most);
    sum += s->sink ? exp(sink - most) : 0;
    for (int64_t j = 0; j < s->keys; j++) p[j] = nothing ? 0 : p[j] / sum;
    for (int64_t i = 0; i < s->dv; i++) {
        double y = 0;
        for (int64_t j = 0; j < s->keys; j++)
            if (p[j] > 0)
                y += p[j] * element(s, b->in[HONE_CORE_V], s->kv_heads, batch, kv, j, s->keys, i, s->dv);
        compare(s, "Y", batch, h, row, i, element(s, out[0], s->heads, batch, h, row, s->rows, i, s->dv), y);
    }
    for (int64_t j = 0; j < s->keys && s->qk_mode >= 0; j++)
        compare(s, "qk", batch, h, row, j,
                tensor_at(out[1], ((batch * s->heads + h) * s->rows + row) * s->keys + j),
                s->qk_mode == 3 ? p[j] : stage[j]);
    free(p);
}

static void check(const setting *s, int threads) {
    built b = build(s);
    const hone_tensor *out[2];
    runner r = runner_make(b.g, NULL, threads);
    runner_run(&r, b.given, out);
    for (int64_t i = 0; i < s->batch * s->heads * s->rows; i++)
        check_row(s, &b, out, i / s->rows / s->heads, i / s->rows % s->heads, i % s->rows);
    runner_free(&r);
    free_built(&b);
}

static const setting settings[] = {
    {2, 3, 3, 5, 7, 6, 4, .qk_mode = -1, .dtype = HONE_FLOAT32},
    {2, 4, 2, 1, 9, 8, 8, .counted = true, .causal = true, .position = true, .qk_mode = -1,
     .dtype = HONE_FLOAT32},
    {2, 6, 2, 3, 70, 16, 5, .bias = 3, .end = true, .qk_mode = -1, .dtype = HONE_FLOAT32},
    {3, 2, 1, 40, 200, 33, 20, .counted = true, .causal = true, .position = true, .window = 9, .bias = 4,
     .softcap = 1.5f, .qk_mode = -1, .dtype = HONE_FLOAT32},
    {2, 4, 4, 70, 70, 16, 16, .causal = true, .first = true, .sink = true, .qk_mode = -1,
     .dtype = HONE_FLOAT32},
    {2, 4, 1, 1, 300, 64, 48, .end = true, .sink = true, .window = 100, .position = true, .qk_mode = -1,
     .dtype = HONE_FLOAT32},
    {2, 2, 2, 6, 50, 7, 3, .causal = true, .bias = 2, .softcap = 0.7f, .qk_mode = 0, .dtype = HONE_FLOAT32},
    {2, 2, 2, 6, 50, 7, 3, .causal = true, .bias = 2, .softcap = 0.7f, .qk_mode = 1, .dtype = HONE_FLOAT32},
    {2, 2, 2, 3, 20, 7, 3, .causal = true, .bias = 4, .softcap = 0.7f, .qk_mode = 2, .dtype = HONE_FLOAT32},
    {2, 4, 2, 1, 20, 7, 3, .causal = true, .bias = 3, .position = true, .sink = true, .qk_mode = 3,
     .dtype = HONE_FLOAT32},
    {2, 4, 2, 9, 30, 5, 6, .counted = true, .causal = true, .position = true, .bias = 1, .window = 5,
     .softcap = 2, .sink = true, .qk_mode = 3, .dtype = HONE_FLOAT64},
    {2, 4, 2, 9, 30, 5, 6, .causal = true, .position = true, .ahead = 4, .window = 3, .qk_mode = -1,
     .dtype = HONE_FLOAT32},
    {1, 1, 1, 3, 4, 1, 1, .qk_mode = -1, .dtype = HONE_FLOAT64},
    /* parts of rows that share V */
    {1, 2, 1, 150, 150, 16, 64, .counted = true, .causal = true, .scale = 0.25f, .qk_mode = -1,
     .dtype = HONE_FLOAT32},
    {2, 1, 1, 70, 90, 9, 20, .end = true, .sink = true, .scale = 0.5f, .qk_mode = -1, .dtype = HONE_FLOAT32},
};

static void test_settings(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(settings); i++) {
        check(&settings[i], 1);
        check(&settings[i], 3);
    }
}

static void test_empty(void **state) {
    (void)state;
    check(&(setting){0, 2, 2, 3, 4, 5, 6, .qk_mode = -1, .dtype = HONE_FLOAT32}, 1);
    check(&(setting){2, 2, 1, 0, 4, 5, 6, .qk_mode = -1, .dtype = HONE_FLOAT32}, 1);
    check(&(setting){2, 2, 1, 3, 0, 5, 6, .qk_mode = -1, .dtype = HONE_FLOAT32}, 1); /* sees nothing: 0 */
    check(&(setting){2, 2, 1, 9, 0, 5, 6, .qk_mode = 3, .dtype = HONE_FLOAT32}, 1);
    check(&(setting){2, 2, 1, 3, 4, 5, 0, .qk_mode = -1, .dtype = HONE_FLOAT32}, 1);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        int64_t q[4], k[4];
    } cases[] = {{{2, 3, 4, 5}, {2, 2, 4, 5}}, {{2, 4, 4, 5}, {2, 2, 4, 6}}, {{2, 4, 4, 5}, {3, 2, 4, 5}}};
    for (int i = 0; i < COUNT(cases); i++) {
        hone_graph *g = hone_graph_new("attention");
        hone_error err;
        hone_value *k = graph_input(g, "k", HONE_FLOAT32, 4, cases[i].k);
        hone_graph_add_output(
            g, graph_op(g, "Attention", graph_input(g, "q", HONE_FLOAT32, 4, cases[i].q), k, k));
        hone_status status = hone_graph_infer(g, &err);
        hone_model *m = NULL;
        if (status == HONE_OK) status = hone_model_compile(g, NULL, &m, &err);
        assert_int_equal(status, HONE_INVALID_ARGUMENT);
        hone_graph_free(g);
    }
}

static void test_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[4000];
        if (!run_at_level(program, "--settings", level_masks[i], output, sizeof output))
            fail_msg("HONE_CPU=%s:\n%s", level_masks[i], output);
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest only_settings[] = {cmocka_unit_test(test_settings)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings), cmocka_unit_test(test_empty),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_at_every_level)};
    if (argc > 1 && strcmp(argv[1], "--settings") == 0)
        return cmocka_run_group_tests(only_settings, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
