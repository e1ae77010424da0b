/* Pooling against plain loops in double, at every level, of every dtype. */
#include "support/graphs.h"

#include "kernels/image.h"
#include "ops/each_level.h"

static const char *program;

typedef struct pool_case {
    const char *op;
    int axes;
    int64_t x[5], kernel[3], stride[3], dilation[3], pads[6];
    bool ceil, count_pads, by_columns;
    int64_t power;
} pool_case;

#define ONES                                                                                                 \
    { 1, 1, 1 }

static const pool_case cases[] = {
    {"MaxPool", 2, {2, 3, 20, 23}, {3, 3}, {2, 2}, ONES, {1, 1, 1, 1}},
    {"MaxPool", 2, {2, 3, 20, 40}, {2, 2}, {2, 2}, ONES, {0}},
    {"MaxPool", 2, {1, 2, 13, 13}, {13, 13}, ONES, ONES, {6, 6, 6, 6}},
    {"MaxPool", 2, {1, 4, 7, 9}, {3, 2}, {1, 3}, {2, 3}, {1, 0, 1, 1}},
    {"MaxPool", 2, {1, 4, 8, 9}, {3, 3}, {2, 2}, ONES, {0}, .ceil = true},
    {"MaxPool", 2, {1, 1, 2, 2}, {1, 1}, {2, 2}, ONES, {0}, .ceil = true},
    {"MaxPool", 2, {1, 2, 4, 3}, {5, 3}, {2, 3}, {1, 2}, {0}, .ceil = true}, /* none is full */
    {"MaxPool", 1, {2, 3, 100}, {5}, {3}, {2}, {2, 1}},
    {"MaxPool", 3, {2, 2, 6, 7, 8}, {2, 3, 2}, {1, 2, 2}, {1, 1, 2}, {1, 1, 0, 0, 1, 1}, .by_columns = true},
    {"MaxPool", 2, {1, 3, 12, 5}, {3, 1}, ONES, ONES, {1, 0, 1, 0}, .by_columns = true},
    {"MaxPool", 2, {0, 3, 12, 5}, {3, 1}, ONES, ONES, {1, 0, 1, 0}},
    {"AveragePool", 2, {2, 3, 20, 23}, {3, 3}, {2, 2}, ONES, {1, 1, 1, 1}},
    {"AveragePool", 2, {2, 3, 20, 23}, {3, 3}, {2, 2}, ONES, {1, 0, 2, 1}, .count_pads = true},
    {"AveragePool", 2, {1, 3, 8, 9}, {3, 3}, {3, 3}, ONES, {1, 1, 1, 1}, .ceil = true, .count_pads = true},
    {"AveragePool", 2, {1, 3, 8, 9}, {3, 3}, {3, 3}, {2, 2}, {1, 1, 1, 1}, .ceil = true},
    {"AveragePool", 2, {1, 2, 4, 3}, {5, 3}, {2, 3}, {1, 2}, {0}, .ceil = true},
    {"AveragePool", 1, {2, 3, 50}, {4}, {1}, ONES, {3, 3}},
    {"AveragePool", 3, {1, 2, 5, 6, 7}, {2, 2, 3}, {1, 2, 1}, {2, 1, 1}, {1, 0, 1, 1, 1, 1}},
    {"LpPool", 2, {2, 3, 20, 23}, {3, 3}, {2, 2}, ONES, {1, 1, 1, 1}, .power = 2},
    {"LpPool", 2, {1, 3, 8, 9}, {2, 3}, {1, 2}, {2, 1}, {1, 1, 1, 1}, .power = 1},
    {"LpPool", 1, {1, 3, 40}, {3}, {2}, ONES, {1, 1}, .power = 3},
};

static bool is(const pool_case *c, const char *op) {
    return strcmp(c->op, op) == 0;
}

static hone_graph *build(const pool_case *c, hone_dtype dtype, bool index, hone_tensor **x) {
    hone_graph *g = hone_graph_new("pool");
    hone_error err;
    size_t axes = (size_t)c->axes;
    *x = tensor_random(dtype, c->axes + 2, c->x, 1);
    hone_value *in = graph_input(g, "x", dtype, c->axes + 2, c->x);
    hone_node *n = hone_graph_add_node(g, hone_op_find("", c->op), "pool", 1, &in, index ? 2 : 1);
    hone_node_set_ints(g, n, "kernel_shape", c->kernel, axes);
    hone_node_set_ints(g, n, "strides", c->stride, axes);
    hone_node_set_ints(g, n, "dilations", c->dilation, axes);
    hone_node_set_ints(g, n, "pads", c->pads, 2 * axes);
    hone_node_set_int(g, n, "ceil_mode", c->ceil);
    if (c->count_pads) hone_node_set_int(g, n, "count_include_pad", 1);
    if (c->by_columns) hone_node_set_int(g, n, "storage_order", 1);
    if (c->power) hone_node_set_int(g, n, "p", c->power);
    for (int i = 0; i <= index; i++) hone_graph_add_output(g, n->outputs[i]);
    check_ok(hone_graph_check(g, &err));
    return g;
}

/* The element of x at a tap, if it is inside; counts those that count. */
typedef struct window {
    int64_t at[5]; /* image, channel, and position of the element */
    bool inside, counts;
} window;

static window look(const pool_case *c, const int64_t *to, int64_t tap) {
    window w = {.at = {to[0], to[1]}, .inside = true, .counts = true};
    for (int a = c->axes - 1; a >= 0; a--) {
        int64_t i = to[2 + a] * c->stride[a] - c->pads[a] + tap % c->kernel[a] * c->dilation[a];
        tap /= c->kernel[a];
        w.at[2 + a] = i;
        w.inside &= i >= 0 && i < c->x[2 + a];
        w.counts &= i >= -c->pads[a] && i < c->x[2 + a] + c->pads[c->axes + a];
    }
    return w;
}

static int64_t index_of(const pool_case *c, const window *w, bool by_columns) {
    int64_t i = w->at[0] * c->x[1] + w->at[1], plane = 1, in = 0;
    for (int a = 0; a < c->axes; a++) plane *= c->x[2 + a];
    for (int k = 0; k < c->axes; k++) {
        int a = by_columns ? c->axes - 1 - k : k;
        in = in * c->x[2 + a] + w->at[2 + a];
    }
    return i * plane + in;
}

static double pooled(const pool_case *c, const hone_tensor *x, const int64_t *to, int64_t *where) {
    double result = is(c, "MaxPool") ? -INFINITY : 0;
    int64_t taps = 1, count = 0;
    for (int a = 0; a < c->axes; a++) taps *= c->kernel[a];
    *where = -1;
    for (int64_t tap = 0; tap < taps; tap++) {
        window w = look(c, to, tap);
        count += c->count_pads ? w.counts : w.inside;
        if (!w.inside) continue;
        double v = tensor_at(x, index_of(c, &w, false));
        if (!is(c, "MaxPool")) {
            result += is(c, "LpPool") ? pow(fabs(v), (double)c->power) : v;
        } else if (v > result) {
            result = v;
            *where = index_of(c, &w, c->by_columns);
        }
    }
    if (is(c, "LpPool")) return pow(result, 1.0 / (double)c->power);
    return is(c, "AveragePool") ? result / (double)count : result;
}

static void check(const pool_case *c, int number, hone_dtype dtype, bool index) {
    hone_tensor *x;
    const hone_tensor *y[2];
    hone_graph *g = build(c, dtype, index, &x);
    runner r = runner_make(g, NULL, 3);
    runner_run(&r, &x, y);
    for (int64_t i = 0; i < y[0]->count; i++) {
        int64_t to[5], rest = i, where;
        for (int d = y[0]->rank - 1; d >= 0; d--) {
            to[d] = rest % y[0]->dims[d];
            rest /= y[0]->dims[d];
        }
        double want = pooled(c, x, to, &where), got = tensor_at(y[0], i);
        double tolerance = dtype == HONE_FLOAT16 ? 1e-3 : dtype == HONE_BFLOAT16 ? 1e-2 : 2e-6;
        if (!(fabs(got - want) <= tolerance * (1 + fabs(want))))
            fail_msg("case %d [%lld]: %.9g, not %.9g", number, (long long)i, got, want);
        if (index) assert_int_equal(((const int64_t *)y[1]->data)[i], where);
    }
    runner_free(&r);
    hone_tensor_free(x);
    hone_graph_free(g);
}

static void test_values(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_FLOAT32,  HONE_FLOAT64, HONE_FLOAT16,
                                        HONE_BFLOAT16, HONE_UINT8,   HONE_INT8};
    for (int i = 0; i < COUNT(cases); i++)
        for (int d = 0; d < COUNT(dtypes); d++) {
            bool max = is(&cases[i], "MaxPool");
            if (d > 3 && !max) continue;
            check(&cases[i], i, dtypes[d], false);
            if (max) check(&cases[i], i, dtypes[d], true);
        }
}

static void test_values_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[4000];
        if (!run_at_level(program, "--values", level_masks[i], output, sizeof output))
            fail_msg("HONE_CPU=%s:\n%s", level_masks[i], output);
    }
}

/* Of all elements of a channel, of lengths around those of vectors. */
static void test_global(void **state) {
    (void)state;
    static const char *const ops[] = {"GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"};
    static const int64_t widths[] = {1, 3, 4, 7, 16, 31, 100};
    for (int i = 0; i < COUNT(ops) * COUNT(widths) * 2; i++) {
        const char *op = ops[i % COUNT(ops)];
        int64_t dims[] = {2, 5, 3, widths[i / 6]}, plane = dims[2] * dims[3];
        hone_dtype dtype = i / 3 & 1 ? HONE_FLOAT64 : HONE_FLOAT32;
        hone_tensor *x = tensor_random(dtype, 4, dims, 1), *y;
        for (int64_t k = 0; k < x->count && i % 3 == 0; k++) tensor_set(x, k, tensor_at(x, k) - 2);
        hone_graph *g = hone_graph_new("global");
        hone_graph_add_output(g, graph_op(g, op, graph_input(g, "x", dtype, 4, dims)));
        graph_run(g, NULL, &x, &y, 1);
        assert_int_equal(y->count, 10);
        for (int64_t c = 0; c < 10; c++) {
            double most = -INFINITY, sum = 0, squares = 0;
            for (int64_t k = 0; k < plane; k++) {
                double v = tensor_at(x, c * plane + k);
                most = fmax(most, v);
                sum += v;
                squares += v * v;
            }
            double want = i % 3 == 0 ? most : i % 3 == 1 ? sum / (double)plane : sqrt(squares);
            assert_true(fabs(tensor_at(y, c) - want) <= 1e-6 * (1 + fabs(want)));
        }
        hone_tensor_free(x);
        hone_tensor_free(y);
        hone_graph_free(g);
    }
}

/* Gradients of a window that lies in the pads alone. */
static void test_a_window_of_nothing(void **state) {
    (void)state;
    const hone_windows w = {.channels = 1,
                            .plane = 1,
                            .in = {1, 1, 1},
                            .out = {1, 1, 1},
                            .kernel = {1, 1, 2},
                            .stride = {1, 1, 1},
                            .dilation = {1, 1, 2},
                            .pad = {0, 0, 1},
                            .end = {0, 0, 1}};
    const hone_pool mean = {.w = w, .kind = HONE_POOL_MEAN};
    const float dy[] = {1, 2}, x[] = {3, 4};
    float dx[] = {-1, -1, -1}, room[128];
    assert_true(hone_pool_room(&mean) + 1 <= 128);
    hone_max_spread_f32(&w, dy, x, dx, 0, 2);
    assert_true(dx[0] == 0 && dx[1] == 0 && dx[2] == -1);
    dx[0] = dx[1] = -1;
    hone_pool_spread_f32(&mean, dy, dx, 0, 2, room);
    assert_true(dx[0] == 0 && dx[1] == 0 && dx[2] == -1);
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest values[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_global)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values_at_every_level),
                                       cmocka_unit_test(test_a_window_of_nothing)};
    if (argc > 1 && strcmp(argv[1], "--values") == 0) return cmocka_run_group_tests(values, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
