/* What arithmetic, comparisons and logic give, element by element: signs, wrapping, rounding, NaN, ends of ranges. */
#include "kernels/portable.h"
#include "ops/each_level.h"
#include "support/graphs.h"

enum { COLUMNS = 8 };
#define NO_MORE 12345

/* Operands and results of one dtype, ended by NO_MORE; of one operand: its `b` is empty. */
typedef struct value_case {
    const char *op, *attr; /* an attribute that is set to 1; NULL: none */
    hone_dtype dtype, result;
    double a[COLUMNS], b[COLUMNS], want[COLUMNS];
} value_case;

#define F HONE_FLOAT32
#define B HONE_BOOL

static const value_case cases[] = {
    {"Mod",
     NULL,
     HONE_INT32,
     HONE_INT32,
     {7, -7, 7, -7, 6, 5, NO_MORE},
     {3, 3, -3, -3, 3, 0},
     {1, 2, -2, -1, 0, 0}},
    {"Mod", "fmod", HONE_INT32, HONE_INT32, {7, -7, 7, -7, NO_MORE}, {3, 3, -3, -3}, {1, -1, 1, -1}},
    {"Mod", NULL, HONE_INT8, HONE_INT8, {-128, 127, -128, NO_MORE}, {-1, -128, 127}, {0, -1, 126}},
    {"Mod", NULL, HONE_UINT8, HONE_UINT8, {255, 7, NO_MORE}, {10, 255}, {5, 7}},
    {"Mod", NULL, HONE_UINT64, HONE_UINT64, {0x1p63, 0x1p63, NO_MORE}, {7, 0x1p62}, {1, 0}},
    {"Mod",
     "fmod",
     F,
     F,
     {7.5, -7.5, 7.5, INFINITY, 1, NO_MORE},
     {2, 2, -2, 1, INFINITY},
     {1.5, -1.5, 1.5, NAN, 1}},
    {"Mod", "fmod", F, F, {1e30, 100, NO_MORE}, {7, 0.375f}, {1, 0.25}},
    {"Pow",
     NULL,
     HONE_INT32,
     HONE_INT32,
     {3, -2, 2, 7, 0, -1, NO_MORE},
     {4, 3, 40, 0, 0, -3},
     {81, -8, 0, 1, 1, -1}},
    {"Pow", NULL, HONE_INT64, HONE_INT64, {2, -3, 10, NO_MORE}, {62, 3, 9}, {0x1p62, -27, 1e9}},
    {"Pow",
     NULL,
     F,
     F,
     {2, -2, -8, 0, 0, NO_MORE},
     {0.5, 3, 0.5, 0, -1},
     {1.41421356f, -8, NAN, 1, INFINITY}},
    {"Div", NULL, HONE_UINT64, HONE_UINT64, {0x1p63, 7, NO_MORE}, {2, 0}, {0x1p62, 0}},
    {"Add", NULL, HONE_INT8, HONE_INT8, {127, -128, 100, NO_MORE}, {1, -1, 100}, {-128, 127, -56}},
    {"Mul", NULL, HONE_UINT16, HONE_UINT16, {256, 65535, NO_MORE}, {256, 65535}, {0, 1}},
    {"Sub", NULL, HONE_UINT32, HONE_UINT32, {0, 5, NO_MORE}, {1, 6}, {4294967295, 4294967295}},
    {"Add",
     NULL,
     HONE_FLOAT16,
     HONE_FLOAT16,
     {2048, 65504, 1, NO_MORE},
     {1, 16, 0x1p-11},
     {2048, INFINITY, 1}},
    {"Mul", NULL, HONE_BFLOAT16, HONE_BFLOAT16, {257, 3, NO_MORE}, {1, 1.0078125}, {256, 3.03125}},
    {"Greater", NULL, F, B, {1, 2, 2, NAN, 1, NO_MORE}, {2, 1, 2, 1, NAN}, {0, 1, 0, 0, 0}},
    {"GreaterOrEqual", NULL, F, B, {1, 2, 2, NAN, 0, NO_MORE}, {2, 1, 2, NAN, -0.0}, {0, 1, 1, 0, 1}},
    {"Less", NULL, F, B, {1, 2, 2, NAN, -INFINITY, NO_MORE}, {2, 1, 2, 1, 0}, {1, 0, 0, 0, 1}},
    {"LessOrEqual", NULL, F, B, {1, 2, 2, NAN, NO_MORE}, {2, 1, 2, NAN}, {1, 0, 1, 0}},
    {"Equal", NULL, F, B, {1, 2, NAN, 0, NO_MORE}, {1, 3, NAN, -0.0}, {1, 0, 0, 1}},
    {"Greater", NULL, HONE_UINT64, B, {0x1p63, 1, NO_MORE}, {1, 0x1p63}, {1, 0}},
    {"Less", NULL, HONE_UINT32, B, {4294967295, 1, NO_MORE}, {1, 4294967295}, {0, 1}},
    {"Greater", NULL, HONE_INT8, B, {-1, 1, NO_MORE}, {1, -1}, {0, 1}},
    {"Equal", NULL, B, B, {0, 0, 1, 1, NO_MORE}, {0, 1, 0, 1}, {1, 0, 0, 1}},
    {"And", NULL, B, B, {0, 0, 1, 1, NO_MORE}, {0, 1, 0, 1}, {0, 0, 0, 1}},
    {"Or", NULL, B, B, {0, 0, 1, 1, NO_MORE}, {0, 1, 0, 1}, {0, 1, 1, 1}},
    {"Xor", NULL, B, B, {0, 0, 1, 1, NO_MORE}, {0, 1, 0, 1}, {0, 1, 1, 0}},
    {"Not", NULL, B, B, {0, 1, NO_MORE}, {NO_MORE}, {1, 0}},
    {"Max", NULL, F, F, {1, NAN, 1, NO_MORE}, {2, 1, NAN}, {2, NAN, NAN}},
    {"Min", NULL, HONE_UINT64, HONE_UINT64, {0x1p63, 3, NO_MORE}, {1, 0x1p63}, {1, 3}},
    {"Max", NULL, HONE_INT16, HONE_INT16, {-5, 32767, NO_MORE}, {3, -32768}, {3, 32767}},
    {"Sign", NULL, F, F, {-3, 0, 7, NAN, -INFINITY, NO_MORE}, {NO_MORE}, {-1, 0, 1, NAN, -1}},
    {"Sign", NULL, HONE_UINT8, HONE_UINT8, {0, 200, NO_MORE}, {NO_MORE}, {0, 1}},
    {"Abs", NULL, HONE_INT8, HONE_INT8, {-5, -128, 3, NO_MORE}, {NO_MORE}, {5, -128, 3}},
    {"Neg", NULL, HONE_INT16, HONE_INT16, {-32768, 5, NO_MORE}, {NO_MORE}, {-32768, -5}},
    {"Round", NULL, F, F, {0.5, 1.5, 2.5, -0.5, -1.5, NO_MORE}, {NO_MORE}, {0, 2, 2, 0, -2}},
    {"BitwiseAnd", NULL, HONE_INT8, HONE_INT8, {-1, 12, NO_MORE}, {5, 10}, {5, 8}},
    {"BitwiseXor", NULL, HONE_UINT64, HONE_UINT64, {0x1p63, 12, NO_MORE}, {0x1p62, 10}, {0x1.8p63, 6}},
    {"BitwiseNot", NULL, HONE_UINT8, HONE_UINT8, {0, 200, NO_MORE}, {NO_MORE}, {255, 55}},
    {"BitwiseNot", NULL, HONE_INT16, HONE_INT16, {0, -5, NO_MORE}, {NO_MORE}, {-1, 4}},
    {"BitShift",
     "RIGHT",
     HONE_INT8,
     HONE_INT8,
     {-128, -5, -1, -5, -5, 5, 100, NO_MORE},
     {1, 1, 7, 8, -1, 127, -128},
     {-64, -3, -1, -1, -1, 0, 0}},
    {"BitShift",
     "LEFT",
     HONE_INT8,
     HONE_INT8,
     {1, 3, -1, -1, 1, NO_MORE},
     {7, 7, 1, 8, -1},
     {-128, -128, -2, 0, 0}},
    {"BitShift",
     "RIGHT",
     HONE_INT32,
     HONE_INT32,
     {-0x1p31, -0x1p31, -7, 7, -7, NO_MORE},
     {31, 32, 1, 1, -0x1p31},
     {-1, -1, -4, 3, -1}},
    {"BitShift", "RIGHT", HONE_INT64, HONE_INT64, {-0x1p62, -9, -9, NO_MORE}, {61, 64, 1}, {-2, -1, -5}},
    {"BitShift", "LEFT", HONE_INT64, HONE_INT64, {1, -3, 1, NO_MORE}, {62, 1, 64}, {0x1p62, -6, 0}},
    {"BitShift", "RIGHT", HONE_UINT8, HONE_UINT8, {200, 200, NO_MORE}, {3, 8}, {25, 0}},
    {"IsNaN", NULL, F, B, {0, NAN, INFINITY, NO_MORE}, {NO_MORE}, {0, 1, 0}},
    {"IsInf", NULL, F, B, {0, NAN, INFINITY, -INFINITY, NO_MORE}, {NO_MORE}, {0, 0, 1, 1}},
    {"IsNaN", NULL, HONE_FLOAT16, B, {1, NAN, NO_MORE}, {NO_MORE}, {0, 1}},
    {"PRelu", NULL, HONE_INT32, HONE_INT32, {-3, 3, NO_MORE}, {2, 2}, {-6, 3}},
    {"Shrink", NULL, HONE_INT8, HONE_INT8, {-3, 0, 3, NO_MORE}, {NO_MORE}, {-3, 0, 3}},
    {"Elu", NULL, F, F, {-1e-6f, -200, 3, NAN, NO_MORE}, {NO_MORE}, {-9.9999954e-7f, -1, 3, NAN}},
    {"Mish", NULL, F, F, {100, -200, 0, NO_MORE}, {NO_MORE}, {100, 0, 0}},
    {"Sum", NULL, F, F, {1, 2, NO_MORE}, {3, NAN}, {4, NAN}},
    {"Mean", NULL, F, F, {1, 2, NO_MORE}, {4, 3}, {2.5, 2.5}},
};

static void check(const value_case *c) {
    int64_t n = 0;
    while (c->a[n] != NO_MORE) n++;
    bool unary = c->b[0] == NO_MORE;
    hone_graph *g = hone_graph_new("values");
    hone_value *a = graph_input(g, "a", c->dtype, 1, &n),
               *b = unary ? NULL : graph_input(g, "b", c->dtype, 1, &n);
    hone_value *y = unary ? graph_op(g, c->op, a) : graph_op(g, c->op, a, b);
    if (c->attr && strcmp(c->op, "BitShift") == 0)
        hone_node_set_string(g, y->producer, "direction", c->attr);
    else if (c->attr)
        hone_node_set_int(g, y->producer, c->attr, 1);
    hone_graph_add_output(g, y);
    hone_tensor *in[] = {tensor_make(c->dtype, 1, &n), tensor_make(c->dtype, 1, &n)}, *out;
    for (int64_t i = 0; i < n; i++) {
        tensor_set(in[0], i, c->a[i]);
        if (!unary) tensor_set(in[1], i, c->b[i]);
    }
    graph_run(g, NULL, in, &out, 1);
    assert_int_equal(out->dtype, c->result);
    for (int64_t i = 0; i < n; i++) {
        double got = tensor_at(out, i), want = c->want[i];
        if (!(got == want || (got != got && want != want)))
            fail_msg("%s of %s (%g, %g): %.9g, not %.9g", c->op, hone_dtype_name(c->dtype), c->a[i], c->b[i],
                     got, want);
    }
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_tensor_free(out);
    hone_graph_free(g);
}

static void check_all(void) {
    for (int i = 0; i < COUNT(cases); i++) check(&cases[i]);
}

static void test_values(void **state) {
    (void)state;
    check_all();
}

static const char *program;

static void test_values_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[2000];
        if (!run_at_level(program, "--values", level_masks[i], output, sizeof output))
            fail_msg("at %s: %s", level_masks[i], output);
    }
}

/* A power that is known while compiling costs less and is the same; also of dtypes other than the base's. */
static void test_known_powers(void **state) {
    (void)state;
    static const double powers[] = {1, 2, 3, -1, 0.5, 0, 4, -2, 2.5};
    static const float x[] = {0, -0.0f, 1, 2.5f, -3, 1e-3f, INFINITY, -INFINITY, NAN, 7e3f};
    for (int p = 0; p < COUNT(powers); p++)
        for (int kind = 0; kind < 2; kind++) {
            hone_dtype dtype = kind && powers[p] == floor(powers[p]) ? HONE_INT64 : HONE_FLOAT32;
            hone_graph *g = hone_graph_new("power");
            hone_value *v = graph_input(g, "x", HONE_FLOAT32, SHAPE(COUNT(x)));
            hone_graph_add_output(g, graph_op(g, "Pow", v, hone_graph_scalar(g, dtype, powers[p])));
            hone_tensor *in = tensor_of(SHAPE(COUNT(x)), x), *out;
            graph_run(g, NULL, &in, &out, 1);
            for (int i = 0; i < COUNT(x); i++) {
                double got = tensor_at(out, i), want = (float)pow((double)x[i], powers[p]);
                bool same = got == want ? signbit(got) == signbit(want) : got != got && want != want;
                if (!same && !(fabs(got - want) <= 2e-7 * fabs(want)))
                    fail_msg("%g to the power %g: %.9g, not %.9g", x[i], powers[p], got, want);
            }
            hone_tensor_free(in);
            hone_tensor_free(out);
            hone_graph_free(g);
        }
}

/* A power of another dtype than its base. */
static void test_powers_of_mixed_dtypes(void **state) {
    (void)state;
    static const struct {
        hone_dtype base, power;
        double x, n, want;
    } mixed[] = {
        {HONE_INT32, HONE_FLOAT32, 4, 0.5, 2},    {HONE_INT64, HONE_FLOAT32, 3, 2.5, 15},
        {HONE_INT32, HONE_INT64, 3, 5, 243},      {HONE_FLOAT32, HONE_UINT64, 2, 10, 1024},
        {HONE_FLOAT16, HONE_INT32, 3, 3, 27},     {HONE_FLOAT64, HONE_FLOAT32, 2, 0.25, 1.189207115002721},
        {HONE_INT64, HONE_UINT8, -2, 63, -0x1p63}};
    for (int i = 0; i < COUNT(mixed); i++) {
        hone_graph *g = hone_graph_new("mixed");
        hone_value *x = graph_input(g, "x", mixed[i].base, SHAPE(1)),
                   *n = graph_input(g, "n", mixed[i].power, SHAPE(1));
        hone_graph_add_output(g, graph_op(g, "Pow", x, n));
        hone_tensor *in[] = {tensor_make(mixed[i].base, SHAPE(1)), tensor_make(mixed[i].power, SHAPE(1))},
                    *out;
        tensor_set(in[0], 0, mixed[i].x);
        tensor_set(in[1], 0, mixed[i].n);
        graph_run(g, NULL, in, &out, 1);
        assert_int_equal(out->dtype, mixed[i].base);
        assert_true(tensor_at(out, 0) == mixed[i].want);
        hone_tensor_free(in[0]);
        hone_tensor_free(in[1]);
        hone_tensor_free(out);
        hone_graph_free(g);
    }
}

/* Limits that are constants, that are not, and that are left out; the least integers, too. */
static void test_clip(void **state) {
    (void)state;
    static const struct {
        hone_dtype dtype;
        double low, high, x[4], want[4];
    } clips[] = {{HONE_FLOAT32, -1, 6, {-2, 0.5, 7, NAN}, {-1, 0.5, 6, NAN}},
                 {HONE_FLOAT16, 0, 6, {-2, 0.5, 7, INFINITY}, {0, 0.5, 6, 6}},
                 {HONE_INT8, -3, 100, {-128, 127, 5, -3}, {-3, 100, 5, -3}},
                 {HONE_INT64, -0x1p62, 0x1p62, {-0x1p63, 0x1p62, 9, -9}, {-0x1p62, 0x1p62, 9, -9}},
                 {HONE_UINT64, 5, 0x1p63, {0, 0x1.8p63, 7, 5}, {5, 0x1p63, 7, 5}},
                 {HONE_FLOAT32, 4, 2, {1, 3, 5, 2}, {2, 2, 2, 2}}}; /* the higher limit has the last word */
    for (int i = 0; i < COUNT(clips); i++)
        for (int kind = 0; kind < 4; kind++) { /* constants or not; the low one left out or not */
            hone_graph *g = hone_graph_new("clip");
            hone_value *x = graph_input(g, "x", clips[i].dtype, SHAPE(4)), *limits[2];
            hone_tensor *in[3] = {tensor_make(clips[i].dtype, SHAPE(4))}, *out;
            for (int k = 0; k < 4; k++) tensor_set(in[0], k, clips[i].x[k]);
            for (int l = 0; l < 2; l++) {
                in[1 + l] = tensor_make(clips[i].dtype, 0, NULL);
                tensor_set(in[1 + l], 0, l ? clips[i].high : clips[i].low);
                limits[l] = kind & 1 ? hone_graph_add_constant(g, "limit", in[1 + l])
                                     : graph_input(g, "limit", clips[i].dtype, 0, NULL);
            }
            bool open = kind & 2;
            hone_graph_add_output(g, graph_op(g, "Clip", x, open ? NULL : limits[0], limits[1]));
            graph_run(g, NULL, in, &out, 1);
            for (int k = 0; k < 4; k++) {
                double want = open ? fmin(clips[i].x[k], clips[i].high) : clips[i].want[k],
                       got = tensor_at(out, k);
                if (open && clips[i].x[k] != clips[i].x[k]) want = NAN;
                if (!(got == want || (got != got && want != want)))
                    fail_msg("case %d, %d [%d]: %g, not %g", i, kind, k, got, want);
            }
            for (int k = 0; k < 3; k++) hone_tensor_free(in[k]);
            hone_tensor_free(out);
            hone_graph_free(g);
        }
}

/* All pairs of dtypes: what a number is as another one, also in the middle of a program. */
static void test_casts(void **state) {
    (void)state;
    static const hone_dtype all[] = {HONE_BOOL,    HONE_UINT8,   HONE_INT8,    HONE_UINT16, HONE_INT16,
                                     HONE_INT32,   HONE_UINT32,  HONE_INT64,   HONE_UINT64, HONE_FLOAT16,
                                     HONE_FLOAT32, HONE_FLOAT64, HONE_BFLOAT16};
    static const double numbers[] = {0,    1,   2.75, -1,    -2.75, 100, 200, 255,
                                     -128, 300, -300, 40000, 70000, 3e9, -3e9};
    for (int f = 0; f < COUNT(all); f++)
        for (int t = 0; t < COUNT(all); t++) {
            hone_graph *g = hone_graph_new("cast");
            int64_t n = COUNT(numbers);
            hone_value *x = graph_input(g, "x", all[f], 1, &n);
            hone_value *y = graph_op(g, "Cast", x), *z = graph_op(g, "Cast", y);
            hone_node_set_int(g, y->producer, "to", all[t]);
            hone_node_set_int(g, z->producer, "to", all[f]);
            hone_graph_add_output(g, z);
            hone_tensor *real = tensor_make(HONE_FLOAT64, 1, &n), *in = tensor_make(all[f], 1, &n),
                        *there = tensor_make(all[t], 1, &n), *back = tensor_make(all[f], 1, &n), *out;
            memcpy(real->data, numbers, sizeof numbers);
            hone_cast(HONE_FLOAT64, all[f], real->data, in->data, n);
            hone_cast(all[f], all[t], in->data, there->data, n);
            hone_cast(all[t], all[f], there->data, back->data, n);
            graph_run(g, NULL, &in, &out, 1);
            for (int64_t i = 0; i < n; i++)
                if (tensor_at(out, i) != tensor_at(back, i))
                    fail_msg("%s as %s: %g becomes %g, not %g", hone_dtype_name(all[f]),
                             hone_dtype_name(all[t]), tensor_at(in, i), tensor_at(out, i),
                             tensor_at(back, i));
            hone_tensor_free(real);
            hone_tensor_free(in);
            hone_tensor_free(there);
            hone_tensor_free(back);
            hone_tensor_free(out);
            hone_graph_free(g);
        }
}

/* Floats of 8 bits are what they are as float32. */
static void test_nan_of_eight_bits(void **state) {
    (void)state;
    int64_t n = 3;
    hone_graph *g = hone_graph_new("nan");
    hone_graph_add_output(g, graph_op(g, "IsNaN", graph_input(g, "x", HONE_FLOAT8E5M2, 1, &n)));
    hone_tensor *x = tensor_make(HONE_FLOAT8E5M2, 1, &n), *out;
    memcpy(x->data, (uint8_t[]){0x3c, 0x7f, 0x7c}, 3); /* 1, NaN, infinity */
    graph_run(g, NULL, &x, &out, 1);
    assert_memory_equal(out->data, ((bool[]){false, true, false}), 3);
    hone_tensor_free(x);
    hone_tensor_free(out);
    hone_graph_free(g);
}

int main(int argc, char **argv) {
    const struct CMUnitTest values[] = {cmocka_unit_test(test_nan_of_eight_bits),
                                        cmocka_unit_test(test_values)};
    program = argv[0];
    if (argc > 1) return cmocka_run_group_tests(values, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),       cmocka_unit_test(test_values_at_every_level),
        cmocka_unit_test(test_known_powers), cmocka_unit_test(test_powers_of_mixed_dtypes),
        cmocka_unit_test(test_clip),         cmocka_unit_test(test_casts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
