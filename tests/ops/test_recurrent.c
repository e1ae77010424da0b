/* RNN, GRU and LSTM against their formulas in double, one sequence at a time; at every ISA level. */
#include "ops/each_level.h"

#include "support/graphs.h"

static const char *program;

typedef struct layer {
    const char *op, *direction;
    int64_t steps, batch, in, hidden;
    int lengths; /* 0: none are given; else the longest of sequences of different lengths */
    bool states, peepholes, bias, reset_after, input_forget, batch_first;
    float clip; /* 0: none */
    hone_dtype dtype;
} layer;

enum { X, W, R, B, LENGTHS, H0, C0, P, INPUTS };

typedef struct built {
    hone_graph *g;
    hone_tensor *data[INPUTS]; /* NULL: left out */
    hone_tensor *inputs[INPUTS];
    int count;
} built;

static int gates_of(const layer *l) {
    return l->op[0] == 'L' ? 4 : l->op[0] == 'G' ? 3 : 1;
}
static int directions_of(const layer *l) {
    return l->direction[0] == 'b' ? 2 : 1;
}
static int outputs_of(const layer *l) {
    return l->op[0] == 'L' ? 3 : 2;
}

static int64_t length_of(const layer *l, int64_t i) {
    return l->lengths ? l->lengths - i % (l->lengths + 1) : l->steps;
}

static void make_data(const layer *l, hone_tensor **data) {
    const int64_t d = directions_of(l), g = gates_of(l), h = l->hidden;
    const bool lstm = l->op[0] == 'L';
    int64_t first = l->batch_first ? l->batch : l->steps, second = l->batch_first ? l->steps : l->batch;
    int64_t sd = l->batch_first ? l->batch : d, sb = l->batch_first ? d : l->batch;
    memset(data, 0, INPUTS * sizeof *data);
    data[X] = tensor_random(l->dtype, SHAPE(first, second, l->in), 1);
    data[W] = tensor_random(l->dtype, SHAPE(d, g * h, l->in), 2);
    data[R] = tensor_random(l->dtype, SHAPE(d, g * h, h), 3);
    for (int64_t i = 0; i < data[R]->count; i++)
        tensor_set(data[R], i, tensor_at(data[R], i) / sqrt((double)h));
    if (l->bias) data[B] = tensor_random(l->dtype, SHAPE(d, 2 * g * h), 4);
    if (l->states) data[H0] = tensor_random(l->dtype, SHAPE(sd, sb, h), 5);
    if (l->states && lstm) data[C0] = tensor_random(l->dtype, SHAPE(sd, sb, h), 6);
    if (l->peepholes) data[P] = tensor_random(l->dtype, SHAPE(d, 3 * h), 7);
    if (!l->lengths) return;
    data[LENGTHS] = tensor_make(HONE_INT32, SHAPE(l->batch));
    for (int64_t i = 0; i < l->batch; i++) tensor_set(data[LENGTHS], i, (double)length_of(l, i));
}

/* Weights are constants or inputs. */
static built build(const layer *l, bool constant) {
    built b = {.g = hone_graph_new(l->op)};
    hone_value *in[INPUTS] = {NULL};
    make_data(l, b.data);
    for (int i = 0; i < INPUTS; i++) {
        hone_tensor *t = b.data[i];
        if (!t) continue;
        if (constant && (i == W || i == R || i == B || i == P)) {
            in[i] = hone_graph_add_constant(b.g, "w", t);
            continue;
        }
        in[i] = graph_input(b.g, "x", t->dtype, t->rank, t->dims);
        b.inputs[b.count++] = t;
    }
    hone_node *n = hone_graph_add_node(b.g, hone_op_find("", l->op), "layer", INPUTS, in, outputs_of(l));
    hone_node_set_string(b.g, n, "direction", l->direction);
    hone_node_set_int(b.g, n, "hidden_size", l->hidden);
    if (l->batch_first) hone_node_set_int(b.g, n, "layout", 1);
    if (l->reset_after) hone_node_set_int(b.g, n, "linear_before_reset", 1);
    if (l->input_forget) hone_node_set_int(b.g, n, "input_forget", 1);
    if (l->clip > 0) hone_node_set_float(b.g, n, "clip", l->clip);
    for (int o = 0; o < outputs_of(l); o++) hone_graph_add_output(b.g, n->outputs[o]);
    return b;
}

static void free_built(built *b) {
    for (int i = 0; i < INPUTS; i++) hone_tensor_free(b->data[i]);
    hone_graph_free(b->g);
}

/* --- the formulas --- */

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double held(const layer *l, double x) {
    return l->clip > 0 ? fmax(fmin(x, l->clip), -(double)l->clip) : x;
}

static double at(const hone_tensor *t, int64_t i) {
    return t ? tensor_at(t, i) : 0;
}

/* One sequence in one direction: its Y, Y_h, Y_c against the tensors that came out. */
typedef struct reference {
    const layer *l;
    hone_tensor *const *data;
    const hone_tensor *const *out;
    double tolerance;
    int64_t d, b;
    double *h, *c, *x, *r; /* X W^T and H R^T with their biases, of all gates */
} reference;

static void check(const reference *f, const hone_tensor *t, int64_t i, double want) {
    if (fabs(tensor_at(t, i) - want) > f->tolerance)
        fail_msg("%s %s: direction %lld, sequence %lld, element %lld: %g, not %g", f->l->op, f->l->direction,
                 (long long)f->d, (long long)f->b, (long long)i, tensor_at(t, i), want);
}

static void products(const reference *f, int64_t t, const double *h) {
    const layer *l = f->l;
    const int64_t rows = gates_of(l) * l->hidden,
                  x = l->batch_first ? f->b * l->steps + t : t * l->batch + f->b;
    for (int64_t i = 0; i < rows; i++) {
        f->x[i] = at(f->data[B], f->d * 2 * rows + i);
        f->r[i] = at(f->data[B], f->d * 2 * rows + rows + i);
        for (int64_t k = 0; k < l->in; k++)
            f->x[i] += at(f->data[W], (f->d * rows + i) * l->in + k) * at(f->data[X], x * l->in + k);
        for (int64_t k = 0; k < l->hidden; k++)
            f->r[i] += at(f->data[R], (f->d * rows + i) * l->hidden + k) * h[k];
    }
}

static void rnn_step(const reference *f) {
    for (int64_t i = 0; i < f->l->hidden; i++) f->h[i] = tanh(held(f->l, f->x[i] + f->r[i]));
}

static void gru_step(const reference *f, int64_t t) {
    const int64_t n = f->l->hidden;
    double *z = calloc((size_t)n * 3, sizeof *z), *reset = z + n, *h = z + 2 * n;
    memcpy(h, f->h, (size_t)n * sizeof *h);
    for (int64_t i = 0; i < n; i++) {
        z[i] = sigmoid(held(f->l, f->x[i] + f->r[i]));
        reset[i] = sigmoid(held(f->l, f->x[n + i] + f->r[n + i]));
        f->c[i] = reset[i] * h[i];
    }
    if (!f->l->reset_after) products(f, t, f->c);
    for (int64_t i = 0; i < n; i++) {
        double r = f->l->reset_after ? reset[i] * f->r[2 * n + i] : f->r[2 * n + i];
        f->h[i] = (1 - z[i]) * tanh(held(f->l, f->x[2 * n + i] + r)) + z[i] * h[i];
    }
    free(z);
}

static void lstm_step(const reference *f) {
    const int64_t n = f->l->hidden, p = f->d * 3 * n;
    for (int64_t i = 0; i < n; i++) {
        double a[4], c = f->c[i];
        for (int g = 0; g < 4; g++) a[g] = f->x[g * n + i] + f->r[g * n + i];
        double in = sigmoid(held(f->l, a[0] + at(f->data[P], p + i) * c));
        double forget = sigmoid(held(f->l, a[2] + at(f->data[P], p + 2 * n + i) * c));
        if (f->l->input_forget) forget = 1 - in;
        f->c[i] = forget * c + in * tanh(held(f->l, a[3]));
        f->h[i] = sigmoid(held(f->l, a[1] + at(f->data[P], p + n + i) * f->c[i])) * tanh(f->c[i]);
    }
}

static void check_sequence(const reference *f) {
    const layer *l = f->l;
    const int64_t n = l->hidden, directions = directions_of(l), length = length_of(l, f->b);
    const bool reverse = f->d == 1 || l->direction[0] == 'r', lstm = l->op[0] == 'L';
    int64_t state = (l->batch_first ? f->b * directions + f->d : f->d * l->batch + f->b) * n;
    for (int64_t i = 0; i < n; i++) {
        f->h[i] = at(f->data[H0], state + i);
        f->c[i] = at(f->data[C0], state + i);
    }
    for (int64_t s = 0; s < l->steps; s++) {
        int64_t t = s >= length ? s : reverse ? length - 1 - s : s;
        int64_t y = (l->batch_first ? (f->b * l->steps + t) * directions + f->d
                                    : (t * directions + f->d) * l->batch + f->b) *
                    n;
        if (s < length) {
            products(f, t, f->h);
            if (lstm)
                lstm_step(f);
            else if (l->op[0] == 'G')
                gru_step(f, t);
            else
                rnn_step(f);
        }
        for (int64_t i = 0; i < n; i++) check(f, f->out[0], y + i, s < length ? f->h[i] : 0);
    }
    for (int64_t i = 0; i < n; i++) {
        check(f, f->out[1], state + i, length ? f->h[i] : 0);
        if (lstm) check(f, f->out[2], state + i, length ? f->c[i] : 0);
    }
}

static void check_layer(const layer *l, bool constant, int threads) {
    built b = build(l, constant);
    const hone_tensor *out[3];
    const size_t n = (size_t)l->hidden;
    runner r = runner_make(b.g, NULL, threads);
    runner_run(&r, b.inputs, out);
    reference f = {.l = l,
                   .data = b.data,
                   .out = out,
                   .tolerance = l->dtype == HONE_FLOAT64   ? 1e-12
                                : l->dtype == HONE_FLOAT32 ? 1e-5
                                : l->dtype == HONE_FLOAT16 ? 2e-3
                                                           : 2e-2,
                   .h = calloc(n * 10, sizeof(double))};
    f.c = f.h + n;
    f.x = f.c + n;
    f.r = f.x + 4 * n;
    for (f.d = 0; f.d < directions_of(l); f.d++)
        for (f.b = 0; f.b < l->batch; f.b++) check_sequence(&f);
    free(f.h);
    runner_free(&r);
    free_built(&b);
}

static const layer layers[] = {
    {"RNN", "forward", 3, 2, 4, 5, .dtype = HONE_FLOAT32},
    {"RNN", "bidirectional", 4, 20, 3, 17, 4, true, .bias = true, .dtype = HONE_FLOAT32},
    {"RNN", "reverse", 3, 5, 4, 6, 2, true, .bias = true, .batch_first = true, .dtype = HONE_FLOAT64},
    {"GRU", "forward", 3, 2, 4, 5, .dtype = HONE_FLOAT32},
    {"GRU", "bidirectional", 4, 19, 3, 50, 4, true, .bias = true, .dtype = HONE_FLOAT32},
    {"GRU", "bidirectional", 4, 9, 3, 33, 4, true, .bias = true, .reset_after = true, .dtype = HONE_FLOAT32},
    {"GRU", "reverse", 3, 5, 4, 6, 3, true, .reset_after = true, .batch_first = true, .dtype = HONE_FLOAT64},
    {"GRU", "forward", 3, 5, 4, 6, .bias = true, .batch_first = true, .clip = 0.5f, .dtype = HONE_FLOAT64},
    {"LSTM", "forward", 3, 2, 4, 5, .dtype = HONE_FLOAT32},
    {"LSTM", "bidirectional", 5, 35, 3, 49, 5, true, true, true, .dtype = HONE_FLOAT32},
    {"LSTM", "reverse", 3, 5, 4, 6, 2, true, true, true, .batch_first = true, .dtype = HONE_FLOAT64},
    {"LSTM", "forward", 3, 5, 4, 6, .peepholes = true, .input_forget = true, .clip = 0.3f,
     .dtype = HONE_FLOAT32},
    {"LSTM", "bidirectional", 3, 4, 3, 7, 3, true, true, true, .dtype = HONE_FLOAT16},
    {"GRU", "forward", 3, 4, 3, 7, 3, true, .bias = true, .dtype = HONE_BFLOAT16},
    /* few sequences of many units: cut by units */
    {"LSTM", "forward", 12, 1, 8, 256, .bias = true, .dtype = HONE_FLOAT32},
    {"LSTM", "reverse", 5, 4, 8, 300, 5, true, .batch_first = true, .dtype = HONE_FLOAT32},
    {"GRU", "forward", 9, 1, 8, 256, .bias = true, .reset_after = true, .dtype = HONE_FLOAT32},
    {"LSTM", "bidirectional", 3, 2, 8, 330, 3, true, true, true, .dtype = HONE_FLOAT32},
    {"GRU", "forward", 3, 1, 8, 500, .bias = true, .dtype = HONE_FLOAT32},
    {"GRU", "forward", 3, 2, 8, 500, .bias = true, .reset_after = true, .dtype = HONE_FLOAT64},
};

static void test_layers(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(layers); i++) {
        check_layer(&layers[i], true, 1);
        check_layer(&layers[i], true, 2);
        check_layer(&layers[i], false, 3);
    }
}

/* Nothing in it: no steps, no sequences, no elements of X. */
static void test_empty(void **state) {
    (void)state;
    static const char *const ops[] = {"RNN", "GRU", "LSTM"};
    for (int i = 0; i < 3; i++) {
        check_layer(&(layer){ops[i], "bidirectional", 0, 2, 4, 5, .states = true, .dtype = HONE_FLOAT32,
                             .lengths = 0},
                    true, 1);
        check_layer(&(layer){ops[i], "forward", 3, 0, 4, 5, .states = true, .dtype = HONE_FLOAT32}, true, 1);
        check_layer(&(layer){ops[i], "forward", 3, 2, 0, 5, .bias = true, .dtype = HONE_FLOAT64}, true, 1);
    }
}

static void test_lengths_are_checked(void **state) {
    (void)state;
    const layer l = {"LSTM", "forward", 3, 2, 4, 5, 3, .dtype = HONE_FLOAT32};
    built b = build(&l, true);
    runner r = runner_make(b.g, NULL, 1);
    const int wrong[] = {4, -1};
    for (int i = 0; i < 2; i++) {
        hone_error err;
        tensor_set(b.data[LENGTHS], 1, wrong[i]);
        assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)b.inputs, NULL, &err),
                         HONE_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "length"));
        assert_string_equal(err.node, "layer");
    }
    runner_free(&r);
    free_built(&b);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *attr, *value, *says;
    } cases[] = {{"direction", "sideways", "direction"},
                 {"activations", "Gauss", "activation"},
                 {"activations", "Tanh", "activations"}};
    for (int i = 0; i < COUNT(cases); i++) {
        const layer l = {"GRU", "forward", 3, 2, 4, 5, .dtype = HONE_FLOAT32};
        built b = build(&l, true);
        hone_error err;
        const hone_string s = {(char *)cases[i].value, strlen(cases[i].value)}, both[] = {s, s};
        if (cases[i].attr[0] == 'd')
            hone_node_set_string(b.g, b.g->first, cases[i].attr, cases[i].value);
        else
            hone_node_set_strings(b.g, b.g->first, cases[i].attr, both, i == 1 ? 2 : 1);
        assert_int_equal(hone_graph_infer(b.g, &err), HONE_UNSUPPORTED);
        assert_non_null(strstr(err.message, cases[i].says));
        assert_string_equal(err.node, "layer");
        free_built(&b);
    }
}

/* The default of each activation is that of the operator of its name; lists are drawn from by those that take part. */
static void test_activations(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int alphas, betas;
    } curves[] = {{"Relu", 0, 0},
                  {"Tanh", 0, 0},
                  {"Sigmoid", 0, 0},
                  {"LeakyRelu", 1, 0},
                  {"ThresholdedRelu", 1, 0},
                  {"HardSigmoid", 1, 1},
                  {"Elu", 1, 0},
                  {"Softsign", 0, 0},
                  {"Softplus", 0, 0}};
    for (int i = 0; i < COUNT(curves); i++)
        for (int given = 0; given <= (curves[i].alphas > 0); given++) {
            const layer l = {"RNN", "forward", 1, 3, 4, 40, .dtype = HONE_FLOAT32};
            const float alpha = 0.3f, beta = 0.4f;
            const hone_string name = {(char *)curves[i].name, strlen(curves[i].name)};
            built b = build(&l, true);
            hone_node_set_strings(b.g, b.g->first, "activations", &name, 1);
            if (given) hone_node_set_floats(b.g, b.g->first, "activation_alpha", &alpha, 1);
            if (given && curves[i].betas) hone_node_set_floats(b.g, b.g->first, "activation_beta", &beta, 1);
            /* by themselves: X W^T, then the operator */
            hone_value *w = graph_op(b.g, "Transpose", b.g->first->inputs[W]);
            hone_node_set_ints(b.g, w->producer, "perm", (int64_t[]){0, 2, 1}, 3);
            hone_value *y = graph_op(b.g, curves[i].name, graph_op(b.g, "MatMul", b.g->inputs[0], w));
            if (given) hone_node_set_float(b.g, y->producer, "alpha", alpha);
            if (given && curves[i].betas) hone_node_set_float(b.g, y->producer, "beta", beta);
            hone_graph_add_output(b.g, y);
            const hone_tensor *out[3];
            runner r = runner_make(b.g, NULL, 1);
            runner_run(&r, b.inputs, out);
            for (int64_t k = 0; k < out[2]->count; k++)
                if (fabs(tensor_at(out[0], k) - tensor_at(out[2], k)) > 1e-6)
                    fail_msg("%s: %g, not %g", curves[i].name, tensor_at(out[0], k), tensor_at(out[2], k));
            runner_free(&r);
            free_built(&b);
        }
}

/* A sequence gives the same bits in whatever batch it is, and with however many threads. */
static void test_batches_agree(void **state) {
    (void)state;
    const layer many = {"LSTM",
                        "bidirectional",
                        3,
                        37,
                        8,
                        130,
                        3,
                        true,
                        true,
                        true,
                        .batch_first = true,
                        .dtype = HONE_FLOAT32};
    built b = build(&many, true);
    const hone_tensor *one[3], *three[3];
    runner r = runner_make(b.g, NULL, 1), s = runner_make(b.g, NULL, 3);
    runner_run(&r, b.inputs, one);
    runner_run(&s, b.inputs, three);
    for (int o = 0; o < 3; o++) assert_same_bits(one[o], three[o]);
    layer single = many;
    single.batch = 1;
    for (int64_t i = 0; i < many.batch; i += 9) {
        built alone = build(&single, true);
        const hone_tensor *out[3];
        for (int k = 0; k < alone.count; k++) {
            size_t bytes = alone.inputs[k]->bytes;
            memcpy(alone.inputs[k]->data, (char *)b.inputs[k]->data + (size_t)i * bytes, bytes);
        }
        runner a = runner_make(alone.g, NULL, 1);
        runner_run(&a, alone.inputs, out);
        for (int o = 0; o < 3; o++)
            assert_memory_equal(out[o]->data, (char *)one[o]->data + (size_t)i * out[o]->bytes,
                                out[o]->bytes);
        runner_free(&a);
        free_built(&alone);
    }
    runner_free(&r);
    runner_free(&s);
    free_built(&b);
}

static void test_threads_agree(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(layers); i++) {
        built b = build(&layers[i], true);
        const hone_tensor *one[3], *two[3];
        runner r = runner_make(b.g, NULL, 1), s = runner_make(b.g, NULL, 2);
        for (int run = 0; run < 5; run++) {
            runner_run(&r, b.inputs, one);
            runner_run(&s, b.inputs, two);
            for (int o = 0; o < outputs_of(&layers[i]); o++) assert_same_bits(one[o], two[o]);
        }
        runner_free(&r);
        runner_free(&s);
        free_built(&b);
    }
}

static void test_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[4000];
        if (!run_at_level(program, "--layers", level_masks[i], output, sizeof output))
            fail_msg("HONE_CPU=%s:\n%s", level_masks[i], output);
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest only_layers[] = {cmocka_unit_test(test_layers)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_layers),
                                       cmocka_unit_test(test_empty),
                                       cmocka_unit_test(test_lengths_are_checked),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_activations),
                                       cmocka_unit_test(test_batches_agree),
                                       cmocka_unit_test(test_threads_agree),
                                       cmocka_unit_test(test_at_every_level)};
    if (argc > 1 && strcmp(argv[1], "--layers") == 0) return cmocka_run_group_tests(only_layers, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
