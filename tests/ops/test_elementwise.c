/* Elementwise operators as steps: broadcasting, odd sizes, all dtypes, empty tensors. */
#include "ops/engine/elementwise.h"
#include "support/graphs.h"

enum { MAX_DIMS = 5 };

static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_INT32,   HONE_INT64,
                                    HONE_INT8,    HONE_UINT8,   HONE_INT16,   HONE_UINT16,
                                    HONE_UINT32,  HONE_UINT64,  HONE_FLOAT16, HONE_BFLOAT16};

static bool is_unsigned(hone_dtype dtype) {
    return dtype == HONE_UINT8 || dtype == HONE_UINT16 || dtype == HONE_UINT32 || dtype == HONE_UINT64;
}

/* In [-9, 9], never 0; of unsigned dtypes 1 … 9. */
static hone_tensor *operand(hone_dtype dtype, int rank, const int64_t *dims, uint64_t seed) {
    hone_tensor *t = tensor_make(dtype, rank, dims);
    hone_rng r = hone_rng_make(seed, 7);
    for (int64_t i = 0; i < t->count; i++) {
        int64_t x = 1 + hone_rng_below(&r, 9);
        if (hone_rng_below(&r, 2) && !is_unsigned(dtype)) x = -x;
        tensor_set(t, i, hone_dtype_is_float(dtype) ? (double)x / 4 : (double)x);
    }
    return t;
}

/* Element of `t` that broadcasting puts at position i of `y`. */
static double broadcast_at(const hone_tensor *t, const hone_tensor *y, int64_t i) {
    int64_t at = 0, stride = 1;
    for (int d = y->rank - 1; d >= 0; d--) {
        int e = d - (y->rank - t->rank);
        int64_t position = i % y->dims[d];
        i /= y->dims[d];
        if (e < 0) continue;
        if (t->dims[e] != 1) at += position * stride;
        stride *= t->dims[e];
    }
    return tensor_at(t, at);
}

static double wrap(hone_dtype dtype, double x) {
    switch (dtype) {
    case HONE_INT8: return (int8_t)(int64_t)x;
    case HONE_UINT8: return (uint8_t)(int64_t)x;
    case HONE_INT16: return (int16_t)(int64_t)x;
    case HONE_UINT16: return (uint16_t)(int64_t)x;
    case HONE_UINT32: return (uint32_t)(int64_t)x;
    case HONE_UINT64: return (double)(uint64_t)(int64_t)x;
    case HONE_FLOAT16: return hone_float_of_half(hone_half_of_float((float)x));
    case HONE_BFLOAT16: return hone_float_of_bfloat(hone_bfloat_of_float((float)x));
    default: return x;
    }
}

static double expected(const char *op, hone_dtype dtype, double a, double b) {
    double x = op[0] == 'A' ? a + b : op[0] == 'S' ? a - b : op[0] == 'M' ? a * b : a / b;
    return wrap(dtype, hone_dtype_is_int(dtype) ? trunc(x) : x);
}

static void check_binary(const char *op, hone_dtype dtype, int rank_a, const int64_t *a, int rank_b,
                         const int64_t *b, int threads, uint64_t seed) {
    hone_graph *g = hone_graph_new("binary");
    hone_value *x = graph_input(g, "a", dtype, rank_a, a), *y = graph_input(g, "b", dtype, rank_b, b);
    hone_graph_add_output(g, graph_op(g, op, x, y));
    hone_tensor *in[] = {operand(dtype, rank_a, a, seed), operand(dtype, rank_b, b, seed + 1)};
    const hone_tensor *out;
    runner r = runner_make(g, NULL, threads);
    runner_run(&r, in, &out);
    for (int64_t i = 0; i < out->count; i++) {
        double want = expected(op, dtype, broadcast_at(in[0], out, i), broadcast_at(in[1], out, i)),
               got = tensor_at(out, i);
        double bound = dtype == HONE_FLOAT32   ? 1e-6 * fabs(want)
                       : dtype == HONE_FLOAT64 ? 1e-14 * fabs(want)
                                               : 0;
        if (!(fabs(got - want) <= bound))
            fail_msg("%s of %s [%lld]: %g, not %g", op, hone_dtype_name(dtype), (long long)i, got, want);
    }
    runner_free(&r);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_graph_free(g);
}

static const char *const binary[] = {"Add", "Sub", "Mul", "Div"};

/* Every choice of broadcast dimensions for both operands, for shapes of rank 1 … 4. */
static void test_all_patterns(void **state) {
    (void)state;
    static const int64_t full[] = {3, 2, 5, 7};
    int n = 0;
    for (int rank = 1; rank <= 4; rank++)
        for (int mask_a = 0; mask_a < 1 << rank; mask_a++)
            for (int mask_b = 0; mask_b < 1 << rank; mask_b++) {
                int64_t a[4], b[4];
                for (int d = 0; d < rank; d++) {
                    a[d] = mask_a >> d & 1 ? 1 : full[d];
                    b[d] = mask_b >> d & 1 ? 1 : full[d];
                }
                int drop = 0; /* leading ones need not be written */
                while (n % 2 && drop < rank && b[drop] == 1) drop++;
                check_binary(binary[n % 4], dtypes[n % COUNT(dtypes)], rank, a, rank - drop, b + drop, 1,
                             (uint64_t)n);
                n++;
            }
}

/* Around the sizes of vectors, tiles and chunks. */
static void test_odd_sizes(void **state) {
    (void)state;
    static const int64_t sizes[] = {1,  2,  3,   7,   8,   9,    15,   16,   17,   31,   33,
                                    63, 65, 511, 512, 513, 1023, 1025, 8191, 8192, 8193, 40001};
    for (int i = 0; i < COUNT(sizes); i++) {
        for (int d = 0; d < COUNT(dtypes); d++) {
            int64_t n = sizes[i], one = 1, wide[] = {3, n};
            check_binary(binary[(i + d) % 4], dtypes[d], 1, &n, 1, &n, 2, (uint64_t)i);
            check_binary(binary[(i + d + 1) % 4], dtypes[d], 1, &n, 1, &one, 2, (uint64_t)i);
            if (n < 9000) check_binary(binary[(i + d + 2) % 4], dtypes[d], 2, wide, 1, &n, 2, (uint64_t)i);
        }
    }
}

static void test_random_shapes(void **state) {
    (void)state;
    static const int64_t choice[] = {1, 2, 3, 4, 5, 9, 17};
    for (uint64_t seed = 0; seed < 300; seed++) {
        hone_rng r = hone_rng_make(seed, 2);
        int rank = (int)hone_rng_below(&r, MAX_DIMS + 1);
        int64_t a[MAX_DIMS], b[MAX_DIMS];
        for (int d = 0; d < rank; d++) {
            a[d] = b[d] = choice[hone_rng_below(&r, COUNT(choice))];
            uint32_t kind = hone_rng_below(&r, 4);
            if (kind == 0) a[d] = 1;
            if (kind == 1) b[d] = 1;
        }
        int drop_a = (int)hone_rng_below(&r, (uint32_t)rank + 1),
            drop_b = drop_a ? 0 : (int)hone_rng_below(&r, (uint32_t)rank + 1);
        check_binary(binary[seed % 4], dtypes[seed / 4 % COUNT(dtypes)], rank - drop_a, a + drop_a,
                     rank - drop_b, b + drop_b, 1, seed);
    }
}

/* Rows that tiles are cut at, and rows that repeat within one: operands of which one broadcasts along each axis. */
static void test_long_rows(void **state) {
    (void)state;
    static const int64_t lengths[] = {2, 7, 100, 128, 256, 300, 512, 513, 1100};
    for (int i = 0; i < COUNT(lengths) * 8; i++) {
        int64_t n = lengths[i / 8], a[] = {3, 2, n}, b[] = {3, 2, n};
        for (int d = 0; d < 3; d++)
            if (i >> d & 1) b[d] = 1;
        check_binary(binary[i % 4], dtypes[i % COUNT(dtypes)], 3, a, 3, b, 1, (uint64_t)i);
        check_binary(binary[i % 4], HONE_FLOAT32, 3, b, 3, a, 2, (uint64_t)i);
    }
}

static void test_empty(void **state) {
    (void)state;
    for (int d = 0; d < COUNT(dtypes); d++) {
        check_binary("Add", dtypes[d], SHAPE(0), SHAPE(0), 1, 1);
        check_binary("Sub", dtypes[d], SHAPE(0, 3), SHAPE(3), 1, 1);
        check_binary("Mul", dtypes[d], SHAPE(2, 0, 3), SHAPE(2, 1, 1), 2, 1);
        check_binary("Div", dtypes[d], SHAPE(1), SHAPE(4, 0), 1, 1);
        check_binary("Add", dtypes[d], 0, NULL, 0, NULL, 1, 1);
    }
}

static void test_division_of_integers(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("division");
    hone_value *a = graph_input(g, "a", HONE_INT32, SHAPE(6)), *b = graph_input(g, "b", HONE_INT32, SHAPE(6));
    hone_graph_add_output(g, graph_op(g, "Div", a, b));
    hone_tensor *in[] = {tensor_make(HONE_INT32, SHAPE(6)), tensor_make(HONE_INT32, SHAPE(6))}, *out;
    static const int32_t x[] = {7, -7, 7, 5, INT32_MIN, 0}, y[] = {2, 2, -2, 0, -1, 3},
                         want[] = {3, -3, -3, 0, INT32_MIN, 0};
    memcpy(in[0]->data, x, sizeof x);
    memcpy(in[1]->data, y, sizeof y);
    graph_run(g, NULL, in, &out, 1);
    assert_memory_equal(out->data, want, sizeof want);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_tensor_free(out);
    hone_graph_free(g);
}

static double relu(double x) {
    return x > 0 ? x : 0;
}
static double leaky_relu(double x) {
    return x < 0 ? (double)0.01f * x : x;
}
static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}
static double gelu(double x) {
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}
static double minus(double x) {
    return -x;
}
static double root(double x) {
    return x < 0 ? NAN : sqrt(x);
}

static double reciprocal(double x) {
    return 1 / x;
}
static double logarithm(double x) {
    return x < 0 ? NAN : log(x);
}
static double sign(double x) {
    return (x > 0) - (x < 0);
}

static double softplus(double x) {
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double hard_sigmoid(double x) {
    return fmax(0, fmin(1, (double)0.2f * x + 0.5));
}
static double hard_swish(double x) {
    return x * fmax(0, fmin(1, x / 6 + 0.5));
}

static double elu(double x) {
    return x < 0 ? expm1(x) : x;
}
static double selu(double x) {
    return (double)1.05070102214813232421875f * (x < 0 ? (double)1.67326319217681884765625f * expm1(x) : x);
}
static double softsign(double x) {
    return x / (1 + fabs(x));
}
static double swish(double x) {
    return x * sigmoid(x);
}
static double mish(double x) {
    return x * tanh(softplus(x));
}
static double shrink(double x) {
    return fabs(x) > 0.5 ? x : 0;
}
static double thresholded(double x) {
    return x > 1 ? x : 0;
}

static void test_unary(void **state) {
    (void)state;
    static const struct {
        const char *op;
        double (*f)(double);
    } cases[] = {{"Relu", relu},
                 {"LeakyRelu", leaky_relu},
                 {"Sigmoid", sigmoid},
                 {"Tanh", tanh},
                 {"Gelu", gelu},
                 {"Neg", minus},
                 {"Sqrt", root},
                 {"Exp", exp},
                 {"Softplus", softplus},
                 {"Abs", fabs},
                 {"Sign", sign},
                 {"Floor", floor},
                 {"Ceil", ceil},
                 {"Round", nearbyint},
                 {"Log", logarithm},
                 {"Reciprocal", reciprocal},
                 {"Erf", erf},
                 {"Sin", sin},
                 {"Cos", cos},
                 {"Tan", tan},
                 {"Asin", asin},
                 {"Acos", acos},
                 {"Atan", atan},
                 {"Sinh", sinh},
                 {"Cosh", cosh},
                 {"Asinh", asinh},
                 {"Acosh", acosh},
                 {"Atanh", atanh},
                 {"Elu", elu},
                 {"Selu", selu},
                 {"Celu", elu},
                 {"Softsign", softsign},
                 {"Swish", swish},
                 {"Mish", mish},
                 {"Shrink", shrink},
                 {"ThresholdedRelu", thresholded},
                 {"HardSigmoid", hard_sigmoid},
                 {"HardSwish", hard_swish}};
    static const struct {
        hone_dtype dtype;
        double bound;
    } types[] = {{HONE_FLOAT32, 1e-6}, {HONE_FLOAT64, 1e-13}, {HONE_FLOAT16, 5e-4}, {HONE_BFLOAT16, 4e-3}};
    for (int c = 0; c < COUNT(cases); c++) {
        for (int d = 0; d < COUNT(types); d++) {
            hone_graph *g = hone_graph_new("unary");
            hone_value *x = graph_input(g, "x", types[d].dtype, SHAPE(17, 61));
            hone_graph_add_output(g, graph_op(g, cases[c].op, x));
            hone_tensor *in = tensor_random(types[d].dtype, SHAPE(17, 61), 3), *out;
            for (int64_t i = 0; i < in->count; i++) tensor_set(in, i, 8 * tensor_at(in, i));
            tensor_set(in, 0, 0);
            graph_run(g, NULL, &in, &out, 1);
            for (int64_t i = 0; i < in->count; i++) {
                double want = cases[c].f(tensor_at(in, i)), got = tensor_at(out, i);
                if ((want != want && got != got) || got == want) continue;
                if (!(fabs(got - want) <= types[d].bound * (1 + fabs(want))))
                    fail_msg("%s(%g): %.9g, not %.9g", cases[c].op, tensor_at(in, i), got, want);
            }
            hone_tensor_free(in);
            hone_tensor_free(out);
            hone_graph_free(g);
        }
    }
}

/* Where hardly anything is left: losses of what is surely right. */
static void test_softplus_of_far_negatives(void **state) {
    (void)state;
    for (int d = 0; d < 2; d++) {
        hone_graph *g = hone_graph_new("softplus");
        hone_graph_add_output(g, graph_op(g, "Softplus", graph_input(g, "x", dtypes[d], SHAPE(300))));
        hone_tensor *in = tensor_random(dtypes[d], SHAPE(300), 3), *out;
        for (int64_t i = 0; i < 300; i++) tensor_set(in, i, -0.25 * (double)i);
        graph_run(g, NULL, &in, &out, 1);
        for (int64_t i = 0; i < 300; i++) {
            double want = softplus(-0.25 * (double)i), got = tensor_at(out, i);
            if (!(fabs(got - want) <= (d ? 1e-13 : 1e-6) * want))
                fail_msg("Softplus(%g): %.9g, not %.9g", -0.25 * (double)i, got, want);
        }
        hone_tensor_free(in);
        hone_tensor_free(out);
        hone_graph_free(g);
    }
}

static void test_what_does_not_broadcast(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("wrong");
    hone_value *a = graph_input(g, "a", HONE_FLOAT32, SHAPE(2, HONE_DIM_ANY)),
               *b = graph_input(g, "b", HONE_FLOAT32, SHAPE(HONE_DIM_ANY));
    hone_graph_add_output(g, graph_op(g, "Add", a, b));
    hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(2, 3), 1),
                         tensor_random(HONE_FLOAT32, SHAPE(4), 1)};
    runner r = runner_make(g, NULL, 1);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)in, NULL, &err),
                     HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "[2, 3]"));
    runner_free(&r);
    hone_tensor_free(in[0]);
    hone_tensor_free(in[1]);
    hone_graph_free(g);
}

/* Operators that keep their first input's shape take no other operand than one that fits it. */
static void test_operands_that_do_not_fit(void **state) {
    (void)state;
    hone_error err;
    static const int64_t sizes[][2] = {{3, 4}, {1, 4}, {3, 1}, {1, 1}, {4, 4}, {3, 5}, {3, 0}};
    for (int i = 0; i < COUNT(sizes); i++) {
        hone_graph *g = hone_graph_new("gradient");
        hone_value *dy = graph_input(g, "dy", HONE_FLOAT32, SHAPE(3, 4)),
                   *v = graph_input(g, "v", HONE_FLOAT32, 2, sizes[i]);
        hone_graph_add_output(g, graph_op(g, "ReluGrad", dy, v));
        hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(3, 4), 1),
                             tensor_random(HONE_FLOAT32, 2, sizes[i], 1)};
        runner r = runner_make(g, NULL, 1);
        hone_status status = hone_context_run(r.context, (const hone_tensor *const *)in, NULL, &err);
        assert_int_equal(status, i < 4 ? HONE_OK : HONE_UNSUPPORTED);
        if (i >= 4) assert_string_equal(err.op, "ReluGrad");
        runner_free(&r);
        hone_tensor_free(in[0]);
        hone_tensor_free(in[1]);
        hone_graph_free(g);
    }
}

/* Either of several results may be one that nobody wants. */
static void test_unwanted_results(void **state) {
    (void)state;
    for (int unwanted = 0; unwanted < 2; unwanted++) {
        hone_graph *g = hone_graph_new("unwanted");
        hone_value *in[4];
        for (int i = 0; i < 4; i++)
            in[i] = graph_input(g, NULL, HONE_FLOAT32, 1, (const int64_t[]){i == 3 ? 1 : 700});
        hone_node *n = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "Sgd"), "sgd", 4, in, 2);
        hone_node_set_float(g, n, "momentum", 0.5f);
        n->outputs[unwanted] = NULL;
        hone_graph_add_output(g, n->outputs[1 - unwanted]);
        hone_tensor *x[4], *out;
        for (int i = 0; i < 4; i++) x[i] = tensor_random(HONE_FLOAT32, 1, in[i]->type.dims, (uint64_t)i);
        graph_run(g, NULL, x, &out, 1);
        for (int64_t i = 0; i < 700; i++) {
            double v = 0.5 * tensor_at(x[1], i) + tensor_at(x[2], i),
                   w = tensor_at(x[0], i) - tensor_at(x[3], 0) * v;
            assert_true(fabs(tensor_at(out, i) - (unwanted ? w : v)) < 1e-6);
        }
        for (int i = 0; i < 4; i++) hone_tensor_free(x[i]);
        hone_tensor_free(out);
        hone_graph_free(g);
    }
}

/* What a program computes from scalars alone is there for all of its tiles, on one thread and on several. */
static void test_scalars_of_a_program(void **state) {
    (void)state;
    static const int64_t counts[] = {1, 512, 513, 100003};
    for (int c = 0; c < COUNT(counts) * 2; c++) {
        const int64_t n = counts[c / 2];
        hone_graph *g = hone_graph_new("step");
        hone_value *in[4];
        for (int i = 0; i < 4; i++)
            in[i] = graph_input(g, NULL, HONE_FLOAT64, i == 3 ? 0 : 1, (const int64_t[]){n});
        hone_node *s = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "Sgd"), "sgd", 4, in, 2);
        hone_graph_add_output(g, s->outputs[0]);
        hone_tensor *x[4];
        const hone_tensor *y[1];
        for (int i = 0; i < 4; i++)
            x[i] = tensor_random(HONE_FLOAT64, in[i]->type.rank, in[i]->type.dims, (uint64_t)i);
        runner r = runner_make(g, NULL, 1 + c % 2);
        for (int run = 0; run < 2; run++) {
            tensor_set(x[3], 0, 0.25 * (1 + run)); /* a power of two: no rounding in the product */
            runner_run(&r, x, y);
            for (int64_t i = 0; i < n; i++)
                assert_true(tensor_at(y[0], i) ==
                            tensor_at(x[0], i) - tensor_at(x[3], 0) * tensor_at(x[2], i));
        }
        runner_free(&r);
        for (int i = 0; i < 4; i++) hone_tensor_free(x[i]);
        hone_graph_free(g);
    }
}

/* --- blocks --- */

/* (a strip times a row + a column - a matrix of its own for each batch) > a scalar ? that : the strip, as two results of
 * different dtypes */
static hone_map *block_map(hone_arena *arena) {
    hone_map *m = hone_map_new(arena);
    hone_reg in[5];
    for (int i = 0; i < 5; i++) in[i] = hone_map_input(m, i, i == 3 ? HONE_UINT8 : HONE_FLOAT32);
    hone_reg byte = hone_map_cast(m, in[3], HONE_FLOAT32);
    hone_reg sum = hone_map_add(m, hone_map_mul(m, in[0], in[1]), in[2]), y = hone_map_sub(m, sum, byte);
    hone_map_add_output(m, hone_map_select(m, hone_map_gt(m, y, in[4]), y, in[0]));
    hone_map_add_output(m, hone_map_cast(m, y, HONE_INT16));
    assert_true(hone_map_ok(m));
    return m;
}

enum { BATCH = 2, ROWS = 5, COLUMNS = 1100, ALL = BATCH * ROWS * COLUMNS };

typedef struct block_work {
    hone_elementwise *e;
    hone_tensor *in[5];
    void *scratch;
} block_work;

static void run_blocks(const block_work *w, int64_t rows, int64_t columns, bool strips, float *y,
                       int16_t *z) {
    void *in[5], *out[] = {y, z};
    float strip[ROWS * COLUMNS];
    for (int i = 0; i < 5; i++) in[i] = w->in[i]->data;
    if (strips) in[0] = NULL;
    for (int64_t m0 = 0; m0 < BATCH * ROWS; m0 += rows)
        for (int64_t n0 = 0; n0 < COLUMNS; n0 += columns) {
            hone_block b = {.columns = COLUMNS, .m0 = m0, .m1 = m0 + rows, .n0 = n0, .n1 = n0 + columns};
            if (b.m1 > BATCH * ROWS) b.m1 = BATCH * ROWS;
            if (b.n1 > COLUMNS) b.n1 = COLUMNS;
            for (int64_t i = b.m0; strips && i < b.m1; i++)
                memcpy(strip + (i - b.m0) * (columns + 3), (float *)w->in[0]->data + i * COLUMNS + b.n0,
                       (size_t)(b.n1 - b.n0) * sizeof *strip);
            if (strips) b.strip = strip, b.strip_row = columns + 3;
            hone_elementwise_run_block(w->e, in, out, &b, w->scratch);
        }
}

/* However a matrix is cut into blocks, and wherever the strip lies, each element is what one run over all makes it. */
static void test_blocks(void **state) {
    (void)state;
    static const int64_t cuts[][2] = {{1, 1}, {2, 48}, {5, 512}, {3, 600}, {10, 1099}, {4, COLUMNS}};
    static float want[ALL], got[ALL];
    static int16_t want_whole[ALL], whole[ALL];
    hone_error err;
    block_work w = {
        .in = {tensor_random(HONE_FLOAT32, SHAPE(BATCH, ROWS, COLUMNS), 1),
               tensor_random(HONE_FLOAT32, SHAPE(COLUMNS), 2), tensor_random(HONE_FLOAT32, SHAPE(ROWS, 1), 3),
               tensor_make(HONE_UINT8, SHAPE(BATCH, 1, COLUMNS)), tensor_random(HONE_FLOAT32, SHAPE(1), 5)}};
    for (int i = 0; i < BATCH * COLUMNS; i++) ((uint8_t *)w.in[3]->data)[i] = (uint8_t)(i * 31 % 5);
    hone_type types[5];
    const hone_type *in[5];
    for (int i = 0; i < 5; i++) types[i] = hone_type_of(w.in[i]), in[i] = &types[i];
    hone_arena *arena = hone_arena_new();
    hone_graph *g = hone_graph_new("blocks");
    hone_prepare p = {.node = graph_op(g, "Relu", graph_input(g, "x", HONE_FLOAT32, SHAPE(1)))->producer,
                      .arena = arena};
    check_ok(hone_elementwise_prepare(&p, block_map(arena), in, in[0], &w.e, &err));
    w.scratch = aligned_alloc(64, (hone_elementwise_scratch(w.e) + 63) / 64 * 64);
    void *all[5], *out[] = {want, want_whole};
    for (int i = 0; i < 5; i++) all[i] = w.in[i]->data;
    hone_elementwise_run(w.e, all, out, 0, ALL, w.scratch);
    for (int i = 0; i < ALL; i += 37) { /* the first one is right */
        double x = tensor_at(w.in[0], i), y = x * tensor_at(w.in[1], i % COLUMNS) +
                                              tensor_at(w.in[2], i / COLUMNS % ROWS) -
                                              tensor_at(w.in[3], i / COLUMNS / ROWS * COLUMNS + i % COLUMNS);
        assert_true(fabs(want[i] - (y > tensor_at(w.in[4], 0) ? y : x)) < 1e-6);
        assert_true(fabs(want_whole[i] - trunc(y)) < 1e-6 || fabs(y - round(y)) < 1e-6);
    }
    for (int i = 0; i < 2 * COUNT(cuts); i++) {
        memset(got, 0xff, sizeof got);
        memset(whole, 0xff, sizeof whole);
        run_blocks(&w, cuts[i / 2][0], cuts[i / 2][1],
                   i % 2 && cuts[i / 2][0] * (cuts[i / 2][1] + 3) <= ROWS * COLUMNS, got, whole);
        assert_memory_equal(got, want, sizeof want);
        assert_memory_equal(whole, want_whole, sizeof whole);
    }
    free(w.scratch);
    for (int i = 0; i < 5; i++) hone_tensor_free(w.in[i]);
    hone_graph_free(g);
    hone_arena_free(arena);
}

/* The fused operator is nothing without its program. */
static void test_no_program(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("bare");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(3));
    hone_graph_add_output(g, graph_op(g, "Map", x));
    hone_model *m;
    assert_int_equal(hone_model_compile(g, NULL, &m, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "no program"));
    hone_graph_free(g);
}

/* More operands than a program has registers. */
static void test_many_operands(void **state) {
    (void)state;
    static const char *const ops[] = {"Sum", "Mean", "Max", "Min"};
    enum { MANY = 70 };
    hone_tensor *in[MANY];
    int64_t dims[] = {3};
    for (int i = 0; i < MANY; i++) {
        in[i] = tensor_make(HONE_FLOAT32, 1, dims);
        for (int k = 0; k < 3; k++) ((float *)in[i]->data)[k] = (float)((i * 37 + k * 11) % MANY - 20);
    }
    for (int o = 0; o < COUNT(ops); o++) {
        hone_graph *g = hone_graph_new("many");
        hone_type type = hone_type_make(HONE_FLOAT32, 1, dims);
        hone_value *values[MANY];
        for (int i = 0; i < MANY; i++) values[i] = hone_graph_add_input(g, "x", &type);
        hone_graph_add_output(g, hone_graph_emit(g, "", ops[o], values, MANY));
        hone_error err = {0};
        hone_model *m = NULL;
        hone_session *s = NULL;
        hone_context *c = NULL;
        const hone_tensor *y;
        check_ok(hone_model_compile(g, NULL, &m, &err));
        check_ok(hone_session_create(m, NULL, &s, &err));
        check_ok(hone_context_create(s, &c, &err));
        check_ok(hone_context_run(c, (const hone_tensor *const *)in, &y, &err));
        for (int k = 0; k < 3; k++) {
            double sum = 0, most = -INFINITY, least = INFINITY;
            for (int i = 0; i < MANY; i++) {
                double x = tensor_at(in[i], k);
                sum += x;
                most = fmax(most, x);
                least = fmin(least, x);
            }
            double wanted = o == 0 ? sum : o == 1 ? sum / MANY : o == 2 ? most : least;
            if (!(fabs(tensor_at(y, k) - wanted) < 1e-4))
                fail_msg("%s: %g, not %g", ops[o], tensor_at(y, k), wanted);
        }
        hone_context_free(c);
        hone_session_free(s);
        hone_model_free(m);
        hone_graph_free(g);
    }
    for (int i = 0; i < MANY; i++) hone_tensor_free(in[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_patterns),
        cmocka_unit_test(test_odd_sizes),
        cmocka_unit_test(test_random_shapes),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_division_of_integers),
        cmocka_unit_test(test_unary),
        cmocka_unit_test(test_softplus_of_far_negatives),
        cmocka_unit_test(test_what_does_not_broadcast),
        cmocka_unit_test(test_operands_that_do_not_fit),
        cmocka_unit_test(test_many_operands),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_no_program),
        cmocka_unit_test(test_unwanted_results),
        cmocka_unit_test(test_scalars_of_a_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
