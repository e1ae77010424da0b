/* Convolution against sums in double: shapes, groups, strides, dilations, pads, and what stands behind; the same bits whatever
 * cuts the work. */
#include "support/graphs.h"

#include "ops/each_level.h"

static const char *program;

typedef enum behind { NOTHING, RELU, RESIDUAL, GELU, HARD_SWISH, BEHIND } behind;

typedef struct conv_case {
    int axes;
    int64_t x[5], w[5], group; /* x [N, C, …], w [M, C / group, …] */
    int64_t stride[3], dilation[3], pads[6];
    const char *auto_pad;
} conv_case;

#define ONES                                                                                                 \
    { 1, 1, 1 }

#define FAR ((int64_t)1 << 30)

static const conv_case cases[] = {
    {2, {1, 3, 5, 5}, {4, 3, 3, 3}, 1, ONES, ONES, {1, 1, 1, 1}},
    {2, {2, 16, 20, 23}, {37, 16, 3, 3}, 1, ONES, ONES, {1, 1, 1, 1}},
    {2, {1, 64, 30, 30}, {130, 64, 3, 3}, 1, ONES, ONES, {1, 1, 1, 1}},
    {2, {1, 7, 21, 34}, {5, 7, 5, 2}, 1, {2, 1}, {1, 3}, {0, 4, 3, 1}},
    {2, {1, 7, 21, 34}, {5, 7, 3, 3}, 1, {2, 2}, ONES, {0, 1, 1, 0}},
    {2, {1, 3, 50, 61}, {20, 3, 7, 7}, 1, {3, 3}, ONES, {3, 3, 3, 3}},
    {2, {1, 3, 30, 31}, {8, 3, 11, 11}, 1, {4, 4}, ONES, {2, 2, 2, 2}},
    {2, {3, 40, 17, 9}, {33, 40, 1, 1}, 1, ONES, ONES, {0}},
    {2, {1, 100, 14, 14}, {200, 100, 1, 1}, 1, ONES, ONES, {0}},
    {2, {1, 20, 15, 15}, {30, 20, 1, 1}, 1, {2, 2}, ONES, {0}},
    {2, {1, 6, 9, 9}, {6, 1, 3, 3}, 6, ONES, ONES, {1, 1, 1, 1}},
    {2, {2, 5, 40, 41}, {10, 1, 3, 3}, 5, {2, 2}, ONES, {1, 1, 1, 1}},
    {2, {1, 33, 7, 7}, {33, 1, 5, 5}, 33, ONES, {1, 1}, {2, 2, 2, 2}},
    {2, {1, 4, 30, 30}, {4, 1, 3, 3}, 4, {1, 1}, {2, 4}, {2, 4, 2, 4}},
    {2, {2, 12, 11, 13}, {18, 4, 3, 3}, 3, ONES, ONES, {1, 1, 1, 1}},
    {2, {1, 3, 10, 10}, {2, 3, 1, 5}, 1, ONES, ONES, {0, 2, 0, 2}},
    {2, {1, 3, 40, 6}, {2, 3, 3, 1}, 1, ONES, {2, 1}, {2, 0, 2, 0}},
    {2, {1, 3, 9, 1}, {2, 3, 3, 1}, 1, {2, 1}, ONES, {1, 0, 1, 0}},
    {2, {1, 2, 10, 11}, {3, 2, 3, 4}, 1, {2, 3}, ONES, {0}, "SAME_UPPER"},
    {2, {1, 2, 10, 11}, {3, 2, 4, 2}, 1, {2, 3}, ONES, {0}, "SAME_LOWER"},
    {2, {1, 2, 10, 11}, {3, 2, 4, 2}, 1, {2, 3}, {2, 1}, {0}, "VALID"},
    {2, {1, 2, 3, 3}, {3, 2, 2, 2}, 1, {3, 3}, ONES, {4, 4, 4, 4}}, /* windows that are all outside */
    {1, {2, 9, 70}, {11, 9, 5}, 1, ONES, ONES, {2, 2}},
    {1, {1, 1, 1000}, {30, 1, 400}, 1, {160}, ONES, {200, 200}},
    {1, {1, 6, 33}, {6, 1, 4}, 6, {2}, {3}, {5, 0}},
    {1, {1, 5, 1}, {4, 5, 1}, 1, ONES, ONES, {0}},
    {3, {1, 3, 6, 7, 8}, {4, 3, 3, 2, 3}, 1, {1, 2, 1}, {2, 1, 1}, {2, 0, 1, 0, 1, 1}},
    {3, {2, 4, 5, 6, 7}, {4, 1, 3, 3, 3}, 4, ONES, ONES, {1, 1, 1, 1, 1, 1}},
    {3, {1, 2, 5, 4, 4}, {3, 2, 3, 1, 1}, 1, {2, 1, 1}, ONES, {1, 0, 0, 1, 0, 0}},
    /* taps so far apart that no memory holds what lies between them */
    {2, {1, 1, 3, 3}, {1, 1, 2, 2}, 1, ONES, {FAR, 1}, {FAR, 0, 0, 0}},
    {2, {1, 1, 3, 3}, {1, 1, 2, 2}, 1, ONES, {1, FAR}, {0, FAR, 0, 0}},
    /* empty in each way */
    {2, {0, 3, 5, 5}, {4, 3, 3, 3}, 1, ONES, ONES, {1, 1, 1, 1}},
    {2, {1, 0, 5, 5}, {4, 0, 3, 3}, 1, ONES, ONES, {1, 1, 1, 1}},
    {2, {1, 3, 5, 5}, {0, 3, 3, 3}, 1, ONES, ONES, {1, 1, 1, 1}},
    {2, {1, 3, 0, 5}, {4, 3, 3, 3}, 1, ONES, ONES, {0, 0, 0, 0}},
    {1, {2, 64, 1000}, {9, 64, 5}, 1, ONES, {3}, {4, 7}}, /* lines that are cut */
    {1, {2, 20, 301}, {20, 1, 4}, 20, {2}, {3}, {3, 12}},
};

/* Inputs x, w, bias, z: what is added behind, of y's shape. */
static hone_graph *build(const conv_case *c, hone_dtype dtype, bool constant, bool bias, behind what,
                         hone_tensor **in) {
    hone_graph *g = hone_graph_new("conv");
    hone_error err;
    int rank = c->axes + 2;
    in[0] = tensor_random(dtype, rank, c->x, 1);
    in[1] = tensor_random(dtype, rank, c->w, 2);
    in[2] = tensor_random(dtype, 1, c->w, 3);
    hone_value *x = graph_input(g, "x", dtype, rank, c->x), *w = graph_input(g, "w", dtype, rank, c->w),
               *b = graph_input(g, "b", dtype, 1, c->w);
    if (constant) w = hone_graph_add_constant(g, "weights", in[1]);
    hone_value *y = graph_op(g, "Conv", x, w, bias ? b : NULL);
    size_t axes = (size_t)c->axes;
    hone_node_set_int(g, y->producer, "group", c->group);
    hone_node_set_ints(g, y->producer, "strides", c->stride, axes);
    hone_node_set_ints(g, y->producer, "dilations", c->dilation, axes);
    if (c->auto_pad)
        hone_node_set_string(g, y->producer, "auto_pad", c->auto_pad);
    else
        hone_node_set_ints(g, y->producer, "pads", c->pads, 2 * axes);
    check_ok(hone_graph_infer(g, &err));
    in[3] = tensor_random(dtype, rank, y->type.dims, 4);
    hone_value *z = graph_input(g, "z", dtype, rank, y->type.dims);
    if (what == RELU) y = graph_op(g, "Relu", y);
    if (what == GELU) y = graph_op(g, "Gelu", y);
    if (what == RESIDUAL) y = graph_op(g, "Relu", graph_op(g, "Add", z, y));
    if (what == HARD_SWISH) y = graph_op(g, "HardSwish", graph_op(g, "Relu", y));
    hone_graph_add_output(g, y);
    check_ok(hone_graph_check(g, &err));
    return g;
}

static void free_all(hone_graph *g, hone_tensor **in) {
    for (int i = 0; i < 4; i++) hone_tensor_free(in[i]);
    hone_graph_free(g);
}

/* --- against sums --- */

/* Elements before the first one along an axis. */
static int64_t pad_of(const conv_case *c, const hone_tensor *y, int axis) {
    if (!c->auto_pad) return c->pads[axis];
    if (strcmp(c->auto_pad, "VALID") == 0) return 0;
    int64_t span = (c->w[2 + axis] - 1) * c->dilation[axis] + 1;
    int64_t all = (y->dims[2 + axis] - 1) * c->stride[axis] + span - c->x[2 + axis];
    if (all < 0) all = 0;
    return strcmp(c->auto_pad, "SAME_UPPER") == 0 ? all / 2 : all - all / 2;
}

/* Coordinates of element i; returns the first two as one. */
static void coordinates(int rank, const int64_t *dims, int64_t i, int64_t *at) {
    for (int d = rank - 1; d >= 0; d--) {
        at[d] = i % dims[d];
        i /= dims[d];
    }
}

static double sum_at(const conv_case *c, hone_tensor *const *in, const hone_tensor *y, int64_t i,
                     double *size) {
    int rank = c->axes + 2;
    int64_t to[5], tap[5], each = c->w[1], taps = 1;
    double sum = 0;
    coordinates(rank, y->dims, i, to);
    for (int a = 1; a < rank; a++) taps *= c->w[a];
    int64_t first = to[1] / (c->w[0] / c->group) * each;
    *size = 0;
    for (int64_t t = 0; t < taps; t++) {
        int64_t from = to[0] * c->x[1];
        bool inside = true;
        coordinates(rank, c->w, t, tap);
        from += first + tap[1];
        for (int a = 0; a < c->axes; a++) {
            int64_t at = to[2 + a] * c->stride[a] - pad_of(c, y, a) + tap[2 + a] * c->dilation[a];
            inside &= at >= 0 && at < c->x[2 + a];
            from = from * c->x[2 + a] + at;
        }
        if (!inside) continue;
        double product = tensor_at(in[0], from) * tensor_at(in[1], to[1] * taps + t);
        sum += product;
        *size += fabs(product);
    }
    return sum;
}

static void check_sums(const conv_case *c, int number, hone_dtype dtype, bool constant, bool bias) {
    hone_tensor *in[4];
    const hone_tensor *y;
    double epsilon = dtype == HONE_FLOAT32 ? 2e-7 : 1e-15;
    hone_graph *g = build(c, dtype, constant, bias, NOTHING, in);
    runner r = runner_make(g, NULL, 2);
    runner_run(&r, in, &y);
    for (int64_t i = 0; i < y->count; i += 1 + y->count / 1500) { /* of large results, some */
        double size, want = sum_at(c, in, y, i, &size);
        if (bias) {
            int64_t at[5];
            coordinates(y->rank, y->dims, i, at);
            want += tensor_at(in[2], at[1]);
        }
        if (!(fabs(tensor_at(y, i) - want) <= epsilon * (size * 4 + 4)))
            fail_msg("case %d [%lld]: %.9g, not %.9g", number, (long long)i, tensor_at(y, i), want);
    }
    runner_free(&r);
    free_all(g, in);
}

static void test_sums(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++)
        for (int k = 0; k < 2; k++) check_sums(&cases[i], i, k ? HONE_FLOAT64 : HONE_FLOAT32, i & 2, i & 1);
}

static void test_sums_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[4000];
        if (!run_at_level(program, "--sums", level_masks[i], output, sizeof output))
            fail_msg("HONE_CPU=%s:\n%s", level_masks[i], output);
    }
}

/* --- the same bits --- whatever runs it, and whether it is one step or several */

static hone_tensor *run_with(const hone_graph *g, const char *disable, int threads, hone_tensor *const *in,
                             int *steps) {
    const hone_tensor *y;
    runner r = runner_make(g, disable, threads);
    runner_run(&r, in, &y);
    hone_tensor *copy = tensor_copy(y);
    *steps = hone_context_step_count(r.context);
    runner_free(&r);
    return copy;
}

static void test_same_bits(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++)
        for (int what = 0; what < BEHIND; what++) {
            hone_tensor *in[4];
            int fused, steps;
            hone_graph *g = build(&cases[i], HONE_FLOAT32, i & 1, i & 2, (behind)what, in);
            hone_tensor *y = run_with(g, NULL, 1, in, &fused), *other = run_with(g, NULL, 5, in, &steps),
                        *apart = run_with(g, "fuse-elementwise,fuse-epilogue", 1, in, &steps);
            /* x, y and what is added may be transposed, and weights that are no constant laid anew */
            if (fused > (what == RESIDUAL ? 5 : 4))
                fail_msg("case %d, %d behind: %d steps", i, what, fused);
            assert_true(steps > 1 || what == NOTHING);
            assert_same_bits(other, y);
            assert_same_bits(apart, y);
            hone_tensor_free(y);
            hone_tensor_free(other);
            hone_tensor_free(apart);
            free_all(g, in);
        }
}

/* An image's result is the same in a batch as alone. */
static void test_batches(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++) {
        conv_case many = cases[i], one = cases[i];
        if (one.x[0] == 0) continue;
        many.x[0] = 3;
        one.x[0] = 1;
        hone_tensor *in[4], *alone[4];
        int steps;
        hone_graph *g = build(&many, HONE_FLOAT32, false, true, NOTHING, in),
                   *single = build(&one, HONE_FLOAT32, false, true, NOTHING, alone);
        memcpy(alone[0]->data, (char *)in[0]->data + 2 * alone[0]->bytes, alone[0]->bytes);
        hone_tensor *y = run_with(g, NULL, 2, in, &steps), *want = run_with(single, NULL, 2, alone, &steps);
        if (want->bytes) assert_memory_equal((char *)y->data + 2 * want->bytes, want->data, want->bytes);
        hone_tensor_free(y);
        hone_tensor_free(want);
        free_all(g, in);
        free_all(single, alone);
    }
}

/* --- what is refused --- */

static void test_wrong(void **state) {
    (void)state;
    static const struct {
        conv_case c;
        const char *message;
    } wrong[] = {
        {{2, {1, 3, 5, 5}, {4, 2, 3, 3}, 1, ONES, ONES, {0}}, "3 channels for weights of 1 groups of 2"},
        {{2, {1, 4, 5, 5}, {3, 2, 3, 3}, 2, ONES, ONES, {0}}, "3 channels in 2 groups"},
        {{2, {1, 4, 5, 5}, {3, 4, 3, 3}, 0, ONES, ONES, {0}}, "group 0"},
        {{2, {1, 4, 2, 5}, {3, 4, 3, 3}, 1, ONES, ONES, {0}}, "a window of 3 does not fit into 2 elements"},
        {{2, {1, 4, 5, 5}, {3, 4, 3, 3}, 1, {0, 1}, ONES, {0}}, "strides can't have 0"},
        {{2, {1, 4, 5, 5}, {3, 4, 3, 3}, 1, ONES, {1, -1}, {0}}, "dilations can't have -1"},
        {{2, {1, 4, 5, 5}, {3, 4, 3, 3}, 1, ONES, ONES, {0, -1, 0, 0}}, "pads can't have -1"},
        {{2, {1, 4, 5, 5}, {3, 4, 0, 3}, 1, ONES, ONES, {0}}, "the weights have no taps"},
        {{2, {1, 4, 5, 5}, {3, 4, 3, 3}, 1, ONES, ONES, {0}, "SAME"}, "auto_pad \"SAME\" is unknown"},
    };
    for (int i = 0; i < COUNT(wrong); i++) {
        const conv_case *c = &wrong[i].c;
        hone_error err;
        hone_graph *g = hone_graph_new("wrong");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, 4, c->x),
                   *w = graph_input(g, "w", HONE_FLOAT32, 4, c->w);
        hone_node *n = graph_op(g, "Conv", x, w)->producer;
        hone_node_set_int(g, n, "group", c->group);
        hone_node_set_ints(g, n, "strides", c->stride, 2);
        hone_node_set_ints(g, n, "dilations", c->dilation, 2);
        hone_node_set_ints(g, n, "pads", c->pads, 4);
        if (c->auto_pad) hone_node_set_string(g, n, "auto_pad", c->auto_pad);
        assert_int_not_equal(hone_graph_infer(g, &err), HONE_OK);
        if (!strstr(err.message, wrong[i].message)) fail_msg("%d: %s", i, err.message);
        assert_string_equal(err.op, "Conv");
        hone_graph_free(g);
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest sums[] = {cmocka_unit_test(test_sums)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums_at_every_level),
                                       cmocka_unit_test(test_same_bits), cmocka_unit_test(test_batches),
                                       cmocka_unit_test(test_wrong)};
    if (argc > 1 && strcmp(argv[1], "--sums") == 0) return cmocka_run_group_tests(sums, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
