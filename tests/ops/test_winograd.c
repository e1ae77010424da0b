/* Convolutions in Winograd's tiles: near the sums in double, and the same bits whatever runs them. */
#include "ops/each_level.h"
#include "support/graphs.h"

static const char *program;

typedef enum behind { NOTHING, RELU, GELU, RESIDUAL, HARD_SWISH } behind;

typedef struct conv_case {
    int64_t n, c, h, w, m, pads[4];
    behind behind;
} conv_case;

static const conv_case cases[] = {
    {1, 16, 16, 16, 16, {1, 1, 1, 1}, NOTHING},  /* tiles of 4, all whole */
    {2, 16, 17, 19, 33, {1, 1, 1, 1}, RELU},     /* parts of tiles, lanes that are no channels */
    {1, 37, 18, 14, 20, {0, 0, 0, 0}, GELU},     /* no pads */
    {1, 64, 15, 22, 16, {2, 0, 1, 3}, RESIDUAL}, /* pads of all kinds */
    {3, 16, 10, 10, 18, {1, 1, 1, 1}, GELU},     /* tiles of 2 */
    {1, 21, 9, 11, 16, {1, 2, 0, 1}, RESIDUAL},   {1, 24, 12, 13, 40, {1, 1, 1, 1}, HARD_SWISH},
    {1, 70, 60, 50, 24, {1, 1, 1, 1}, GELU},  /* several blocks of tiles, and of channels */
    {1, 128, 14, 13, 96, {1, 1, 1, 1}, GELU}, /* one block, which threads share */
    {2, 96, 14, 14, 128, {1, 1, 1, 1}, RESIDUAL},
};

static hone_graph *build(const conv_case *c, hone_dtype dtype, hone_tensor **in) {
    hone_graph *g = hone_graph_new("winograd");
    hone_error err;
    const hone_tensor *f32[3] = {tensor_random(HONE_FLOAT32, SHAPE(c->n, c->c, c->h, c->w), 1),
                                 tensor_random(HONE_FLOAT32, SHAPE(c->m, c->c, 3, 3), 2),
                                 tensor_random(HONE_FLOAT32, SHAPE(c->m), 3)};
    hone_tensor *t[3];
    for (int i = 0; i < 3; i++) {
        t[i] = tensor_make(dtype, f32[i]->rank, f32[i]->dims);
        for (int64_t k = 0; k < t[i]->count; k++) tensor_set(t[i], k, tensor_at(f32[i], k));
        hone_tensor_free((hone_tensor *)f32[i]);
    }
    hone_value *x = graph_input(g, "x", dtype, t[0]->rank, t[0]->dims);
    hone_value *y = graph_op(g, "Conv", x, graph_constant(g, "w", t[1]), graph_constant(g, "b", t[2]));
    hone_node_set_ints(g, y->producer, "pads", c->pads, 4);
    check_ok(hone_graph_infer(g, &err));
    in[0] = t[0];
    in[1] = NULL;
    if (c->behind == RELU) y = graph_op(g, "Relu", y);
    if (c->behind == GELU) y = graph_op(g, "Gelu", y);
    if (c->behind == HARD_SWISH) y = graph_op(g, "HardSwish", y);
    if (c->behind == RESIDUAL) {
        in[1] = tensor_make(dtype, y->type.rank, y->type.dims);
        for (int64_t k = 0; k < in[1]->count; k++) tensor_set(in[1], k, (double)(k % 7) / 8);
        y = graph_op(g, "Relu",
                     graph_op(g, "Add", y, graph_input(g, "z", dtype, y->type.rank, y->type.dims)));
    }
    hone_graph_add_output(g, y);
    return g;
}

static hone_tensor *run_with(const hone_graph *g, const char *disable, int threads, hone_tensor *const *in) {
    const hone_tensor *y;
    runner r = runner_make(g, disable, threads);
    int tiles = 0;
    for (const hone_node *n = r.model->bodies[0].graph->first; n; n = n->next)
        tiles += hone_node_attr(n, "winograd") != NULL;
    assert_int_equal(tiles, disable || g->inputs[0]->type.dtype == HONE_FLOAT64 ? 0 : 1);
    runner_run(&r, in, &y);
    hone_tensor *copy = tensor_copy(y);
    runner_free(&r);
    return copy;
}

static void free_inputs(hone_tensor **in) {
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
}

/* Largest difference, by the largest number. */
static double distance(const hone_tensor *y, const hone_tensor *want) {
    double most = 0, largest = 0;
    for (int64_t i = 0; i < y->count; i++) {
        const double w = tensor_at(want, i), d = fabs(tensor_at(y, i) - w);
        if (!(d <= most)) most = d;
        if (fabs(w) > largest) largest = fabs(w);
    }
    return most / largest;
}

static void test_sums(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++) {
        hone_tensor *in[2], *wide[2];
        hone_graph *g = build(&cases[i], HONE_FLOAT32, in), *exact = build(&cases[i], HONE_FLOAT64, wide);
        hone_tensor *y = run_with(g, NULL, 2, in), *plain = run_with(g, "winograd", 2, in),
                    *want = run_with(exact, NULL, 2, wide);
        const double far = distance(y, want), near = distance(plain, want);
        if (!(far <= 3e-6)) fail_msg("case %d: %g of the largest, %g by plain sums", i, far, near);
        hone_tensor_free(y);
        hone_tensor_free(plain);
        hone_tensor_free(want);
        free_inputs(in);
        free_inputs(wide);
        hone_graph_free(g);
        hone_graph_free(exact);
    }
}

static void test_sums_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[4000];
        if (!run_at_level(program, "--sums", level_masks[i], output, sizeof output))
            fail_msg("HONE_CPU=%s:\n%s", level_masks[i], output);
    }
}

/* However the work is cut, and in a batch as alone. */
static void test_same_bits(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++) {
        conv_case one = cases[i];
        hone_tensor *in[2], *alone[2];
        hone_graph *g = build(&cases[i], HONE_FLOAT32, in);
        hone_tensor *y = run_with(g, NULL, 1, in), *two = run_with(g, NULL, 2, in),
                    *other = run_with(g, NULL, 5, in);
        assert_same_bits(two, y);
        assert_same_bits(other, y);
        hone_tensor_free(two);
        one.n = 1;
        hone_graph *single = build(&one, HONE_FLOAT32, alone);
        const int64_t last = cases[i].n - 1;
        for (int k = 0; k < 2; k++)
            if (alone[k])
                memcpy(alone[k]->data, (char *)in[k]->data + (size_t)last * alone[k]->bytes, alone[k]->bytes);
        hone_tensor *lone = run_with(single, NULL, 1, alone);
        assert_memory_equal((char *)y->data + (size_t)last * lone->bytes, lone->data, lone->bytes);
        hone_tensor_free(y);
        hone_tensor_free(other);
        hone_tensor_free(lone);
        free_inputs(in);
        free_inputs(alone);
        hone_graph_free(g);
        hone_graph_free(single);
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest sums[] = {cmocka_unit_test(test_sums)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums_at_every_level),
                                       cmocka_unit_test(test_same_bits)};
    if (argc > 1 && strcmp(argv[1], "--sums") == 0) return cmocka_run_group_tests(sums, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
