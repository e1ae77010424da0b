/* Convolutions of integers against sums in int64, exactly, at every level: all signs, zero points, scales of channels, groups. */
#include "support/graphs.h"

#include "ops/each_level.h"

static const char *program;

typedef struct integer_case {
    int64_t x[4], w[4], group, stride[2], dilation[2], pads[4];
} integer_case;

static const integer_case cases[] = {
    {{1, 3, 9, 10}, {5, 3, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {{2, 70, 12, 13}, {37, 70, 3, 3}, 1, {1, 1}, {1, 1}, {1, 0, 2, 1}},
    {{1, 40, 14, 14}, {64, 40, 1, 1}, 1, {1, 1}, {1, 1}, {0}},
    {{1, 40, 15, 15}, {9, 40, 1, 1}, 1, {2, 2}, {1, 1}, {0}},
    {{1, 5, 70, 90}, {12, 5, 2, 5}, 1, {2, 2}, {1, 1}, {0, 2, 1, 2}},
    {{1, 5, 20, 21}, {12, 5, 3, 3}, 1, {3, 3}, {2, 2}, {2, 2, 2, 2}},
    {{2, 9, 20, 35}, {9, 1, 3, 3}, 9, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {{1, 9, 20, 35}, {18, 1, 5, 3}, 9, {2, 2}, {1, 1}, {2, 1, 2, 1}},
    {{1, 9, 7, 7}, {9, 1, 3, 3}, 9, {1, 1}, {2, 2}, {2, 2, 2, 2}},
    {{1, 12, 11, 12}, {30, 4, 3, 3}, 3, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {{1, 300, 6, 6}, {4, 300, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}}, /* too many taps for floats */
    {{0, 3, 9, 10}, {5, 3, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}},
    {{1, 0, 9, 10}, {5, 0, 3, 3}, 1, {1, 1}, {1, 1}, {1, 1, 1, 1}},
};

static hone_tensor *random_bytes(hone_dtype dtype, int rank, const int64_t *dims, uint64_t seed) {
    hone_tensor *t = tensor_make(dtype, rank, dims);
    hone_rng r = hone_rng_make(seed, 3);
    for (int64_t i = 0; i < t->count; i++) ((uint8_t *)t->data)[i] = (uint8_t)hone_rng_below(&r, 256);
    return t;
}

/* Sum of (x - x_zero) (w - w_zero) for element i of y; a w_zero for each channel. */
static int64_t sum_at(const integer_case *c, const hone_tensor *x, const hone_tensor *w, int64_t x_zero,
                      const hone_tensor *w_zero, const hone_tensor *y, int64_t i) {
    int64_t column = i % y->dims[3], row = i / y->dims[3] % y->dims[2],
            channel = i / y->dims[3] / y->dims[2] % c->w[0], image = i / y->dims[3] / y->dims[2] / c->w[0];
    int64_t first = channel / (c->w[0] / c->group) * c->w[1], sum = 0;
    int64_t zero = hone_tensor_int(w_zero, w_zero->count == 1 ? 0 : channel);
    for (int64_t k = 0; k < c->w[1]; k++)
        for (int64_t a = 0; a < c->w[2]; a++)
            for (int64_t b = 0; b < c->w[3]; b++) {
                int64_t h = row * c->stride[0] - c->pads[0] + a * c->dilation[0],
                        v = column * c->stride[1] - c->pads[1] + b * c->dilation[1];
                if (h < 0 || h >= c->x[2] || v < 0 || v >= c->x[3]) continue;
                int64_t from = ((image * c->x[1] + first + k) * c->x[2] + h) * c->x[3] + v;
                sum += (hone_tensor_int(x, from) - x_zero) *
                       (hone_tensor_int(w, ((channel * c->w[1] + k) * c->w[2] + a) * c->w[3] + b) - zero);
            }
    return sum;
}

static void set_attrs(hone_graph *g, hone_node *n, const integer_case *c) {
    hone_node_set_int(g, n, "group", c->group);
    hone_node_set_ints(g, n, "strides", c->stride, 2);
    hone_node_set_ints(g, n, "dilations", c->dilation, 2);
    hone_node_set_ints(g, n, "pads", c->pads, 4);
}

/* Inputs or constants, at most so many. */
typedef struct operands {
    hone_graph *g;
    bool constant;
    hone_tensor *in[10];
    int count;
} operands;

static hone_value *operand(operands *o, hone_tensor *t) {
    if (o->constant) return graph_constant(o->g, "c", tensor_copy(t));
    o->in[o->count++] = t;
    return graph_input(o->g, "x", t->dtype, t->rank, t->dims);
}

static hone_tensor *run(operands *o, hone_value *y, int threads) {
    const hone_tensor *out;
    hone_graph_add_output(o->g, y);
    runner r = runner_make(o->g, NULL, threads);
    runner_run(&r, o->in, &out);
    hone_tensor *copy = tensor_copy(out);
    runner_free(&r);
    hone_graph_free(o->g);
    return copy;
}

static void check_integer(const integer_case *c, int number, hone_dtype x_dtype, hone_dtype w_dtype,
                          bool constant) {
    operands o = {.g = hone_graph_new("integer")};
    hone_tensor *x = random_bytes(x_dtype, 4, c->x, 1), *w = random_bytes(w_dtype, 4, c->w, 2),
                *x_zero = random_bytes(x_dtype, 0, NULL, 3), *w_zero = random_bytes(w_dtype, 1, c->w, 4);
    hone_value *in = operand(&o, x);
    o.constant = constant;
    hone_value *v =
        graph_op(o.g, "ConvInteger", in, operand(&o, w), operand(&o, x_zero), operand(&o, w_zero));
    set_attrs(o.g, v->producer, c);
    hone_tensor *y = run(&o, v, 3);
    for (int64_t i = 0; i < y->count; i++) {
        int64_t want = sum_at(c, x, w, hone_tensor_int(x_zero, 0), w_zero, y, i);
        if (((int32_t *)y->data)[i] != want)
            fail_msg("case %d [%lld]: %d, not %lld", number, (long long)i, ((int32_t *)y->data)[i],
                     (long long)want);
    }
    hone_tensor *all[] = {x, w, x_zero, w_zero, y};
    for (int i = 0; i < COUNT(all); i++) hone_tensor_free(all[i]);
}

static hone_tensor *scales(int64_t count) {
    hone_tensor *t = tensor_make(HONE_FLOAT32, 1, &count);
    for (int64_t i = 0; i < count; i++) ((float *)t->data)[i] = 0.001f + 0.0007f * (float)(i % 11);
    return t;
}

static hone_tensor *scalar(hone_dtype dtype, double x) {
    hone_tensor *t = tensor_make(dtype, 0, NULL);
    tensor_set(t, 0, x);
    return t;
}

static void check_qlinear(const integer_case *c, int number, hone_dtype x_dtype, hone_dtype y_dtype,
                          bool wide, bool constant) {
    operands o = {.g = hone_graph_new("qlinear")};
    int64_t one = 1, channels = wide ? c->w[0] : one;
    hone_tensor *x = random_bytes(x_dtype, 4, c->x, 1), *w = random_bytes(HONE_INT8, 4, c->w, 2),
                *x_scale = scalar(HONE_FLOAT32, 0.02), *x_zero = scalar(x_dtype, 57),
                *w_scale = scales(channels), *w_zero = tensor_make(HONE_INT8, 1, &channels),
                *y_scale = scalar(HONE_FLOAT32, 0.3), *y_zero = scalar(y_dtype, 100),
                *b = tensor_make(HONE_INT32, 1, c->w);
    for (int64_t i = 0; i < channels; i++) ((int8_t *)w_zero->data)[i] = (int8_t)(number % 2 ? 0 : i - 3);
    for (int64_t i = 0; i < b->count; i++) ((int32_t *)b->data)[i] = (int32_t)(i * 977 % 9001 - 4000);
    hone_value *in = operand(&o, x);
    o.constant = constant;
    hone_value *v = graph_op(o.g, "QLinearConv", in, operand(&o, x_scale), operand(&o, x_zero),
                             operand(&o, w), operand(&o, w_scale), operand(&o, w_zero), operand(&o, y_scale),
                             operand(&o, y_zero), operand(&o, b));
    set_attrs(o.g, v->producer, c);
    hone_tensor *y = run(&o, v, 2);
    for (int64_t i = 0; i < y->count; i++) {
        int64_t channel = i / y->dims[3] / y->dims[2] % c->w[0];
        int64_t sum = sum_at(c, x, w, 57, w_zero, y, i) + ((int32_t *)b->data)[channel];
        float scale = 0.02f * ((float *)w_scale->data)[wide ? channel : 0] / 0.3f;
        double q = rint((double)((float)(int32_t)sum * scale)) + 100;
        double least = y_dtype == HONE_UINT8 ? 0 : -128;
        q = fmin(fmax(q, least), least + 255);
        if (tensor_at(y, i) != q)
            fail_msg("case %d [%lld]: %g, not %g", number, (long long)i, tensor_at(y, i), q);
    }
    hone_tensor *all[] = {x, w, x_scale, x_zero, w_scale, w_zero, y_scale, y_zero, b, y};
    for (int i = 0; i < COUNT(all); i++) hone_tensor_free(all[i]);
}

static void test_sums(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_UINT8, HONE_INT8};
    for (int i = 0; i < COUNT(cases); i++)
        for (int k = 0; k < 4; k++) {
            check_integer(&cases[i], i, dtypes[k & 1], dtypes[k >> 1], (i ^ k) & 1);
            check_qlinear(&cases[i], i, dtypes[k & 1], dtypes[k & 1 ? 1 : k >> 1], k >> 1, (i ^ k) & 2);
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

/* Sums that no float holds, of bytes at their ends. */
static void test_extremes(void **state) {
    (void)state;
    enum { C = 258 };
    for (int k = 0; k < 2; k++) {
        int64_t channels = k ? 1 : C;
        operands o = {.g = hone_graph_new("extremes")};
        hone_tensor *x = tensor_make(HONE_UINT8, SHAPE(1, channels, 1, 300)),
                    *w = tensor_make(HONE_UINT8, SHAPE(1, channels, 1, k ? C : 1));
        memset(x->data, 255, x->bytes);
        memset(w->data, 255, w->bytes);
        hone_value *v = graph_op(o.g, "ConvInteger", operand(&o, x), operand(&o, w));
        hone_tensor *y = run(&o, v, 1);
        assert_int_equal(y->count, k ? 300 - C + 1 : 300);
        for (int64_t i = 0; i < y->count; i++) assert_int_equal(((int32_t *)y->data)[i], C * 255 * 255);
        hone_tensor_free(x);
        hone_tensor_free(w);
        hone_tensor_free(y);
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    const struct CMUnitTest sums[] = {cmocka_unit_test(test_sums), cmocka_unit_test(test_extremes)};
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sums_at_every_level)};
    if (argc > 1 && strcmp(argv[1], "--sums") == 0) return cmocka_run_group_tests(sums, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
