/* Quantized graphs: what lowering makes of them gives what the graph says (within the step that its float
 * arithmetic rounds differently), is fused as meant, and has equal bits at every ISA level and for any
 * threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/autodiff.h"
#include "graph/infer.h"
#include "ops/each_level.h"
#include "ops/op_cases.h"

static const char *program;

/* --- building --- */

static hone_value *tensor(hone_graph *g, hone_dtype dtype, int rank, int64_t d0, int64_t d1, uint64_t seed) {
    hone_tensor *t = NULL;
    hone_rng rng = hone_rng_make(3, seed);
    assert_int_equal(hone_tensor_new(dtype, rank, (int64_t[]){d0, d1}, &t, NULL), HONE_OK);
    for (int64_t i = 0; i < t->count; i++) {
        if (dtype == HONE_FLOAT32)
            ((float *)t->data)[i] = 0.002f + 0.01f * hone_rng_uniform(&rng);
        else if (dtype == HONE_INT32)
            ((int32_t *)t->data)[i] = (int32_t)hone_rng_below(&rng, 4000) - 2000;
        else
            ((int8_t *)t->data)[i] = (int8_t)hone_rng_u32(&rng);
    }
    hone_value *v = hone_graph_add_constant(g, "c", t);
    hone_tensor_free(t);
    return v;
}

typedef struct layer {
    hone_dtype x, w; /* of the quantized operands */
    bool per_channel, trans_b, gemm, int_bias, relu, requantize;
} layer;

static hone_value *dequantize(hone_graph *g, hone_value *q, hone_value *scale, hone_value *zero, int axis) {
    hone_value *v = HONE_EMIT(g, "", "DequantizeLinear", q, scale, zero);
    hone_node_set_int(g, v->producer, "axis", axis);
    return v;
}

static hone_value *zero_point(hone_graph *g, hone_dtype dtype, int z) {
    return hone_graph_scalar(g, dtype, z);
}

#define X_SCALE 0.02

/* x ─ Q ─ DQ ─ product ─ [Relu] ─ [Q ─ DQ] */
static hone_value *add_layer(hone_graph *g, hone_value *x, const layer *l, int64_t k, int64_t n,
                             uint64_t seed) {
    hone_value *s = hone_graph_scalar(g, HONE_FLOAT32, X_SCALE),
               *z = zero_point(g, l->x, l->x == HONE_INT8 ? -3 : 120);
    hone_value *xd = dequantize(g, HONE_EMIT(g, "", "QuantizeLinear", x, s, z), s, z, 1);
    xd = HONE_EMIT(g, "", "Flatten", xd);
    hone_value *w = tensor(g, l->w, 2, l->trans_b ? n : k, l->trans_b ? k : n, seed);
    hone_value *ws = l->per_channel ? tensor(g, HONE_FLOAT32, 1, n, 0, seed + 1)
                                    : hone_graph_scalar(g, HONE_FLOAT32, 0.007);
    hone_value *wz = l->w == HONE_UINT8 && !l->per_channel ? zero_point(g, HONE_UINT8, 131) : NULL;
    hone_value *wd = dequantize(g, w, ws, wz, l->trans_b ? 0 : 1), *bias;
    if (l->int_bias) {
        /* the step of the products: x scale * w scale */
        hone_tensor *step = NULL;
        const hone_tensor *from = ws->data;
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, from->rank, from->dims, &step, NULL), HONE_OK);
        for (int64_t i = 0; i < step->count; i++)
            ((float *)step->data)[i] = (float)X_SCALE * ((const float *)from->data)[i];
        bias = dequantize(g, tensor(g, HONE_INT32, 1, n, 0, seed + 2), hone_graph_add_constant(g, "s", step),
                          NULL, 0);
        hone_tensor_free(step);
    } else {
        bias = tensor(g, HONE_FLOAT32, 1, n, 0, seed + 2);
    }
    hone_value *y;
    if (l->gemm) {
        y = HONE_EMIT(g, "", "Gemm", xd, wd, bias);
        hone_node_set_int(g, y->producer, "transB", l->trans_b);
    } else {
        y = HONE_EMIT(g, "", "Add",
                      HONE_EMIT(g, "", "MatMul", xd, l->trans_b ? HONE_EMIT(g, "", "Transpose", wd) : wd),
                      bias);
    }
    if (l->relu) y = HONE_EMIT(g, "", "Relu", y);
    if (!l->requantize) return y;
    hone_value *ys = hone_graph_scalar(g, HONE_FLOAT32, 0.05),
               *yz = zero_point(g, l->x, l->x == HONE_INT8 ? -100 : 10);
    return dequantize(g, HONE_EMIT(g, "", "QuantizeLinear", y, ys, yz), ys, yz, 1);
}

#define ROWS 37
#define K 50

static hone_value *float_input(hone_graph *g) {
    hone_type type = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = 3, .dims = {ROWS, 5, K / 5}};
    type.dims[0] = hone_graph_symbol(g, "batch");
    return hone_graph_add_input(g, "x", &type);
}

static hone_tensor *input_data(void) {
    hone_tensor *t = NULL;
    hone_rng rng = hone_rng_make(5, 1);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 3, (int64_t[]){ROWS, 5, K / 5}, &t, NULL), HONE_OK);
    for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = 4 * hone_rng_uniform(&rng) - 2;
    return t;
}

static const layer layers[] = {
    {.x = HONE_UINT8, .w = HONE_INT8, .per_channel = true, .gemm = true, .relu = true, .requantize = true},
    {.x = HONE_INT8,
     .w = HONE_INT8,
     .per_channel = true,
     .trans_b = true,
     .gemm = true,
     .int_bias = true,
     .requantize = true},
    {.x = HONE_INT8, .w = HONE_INT8, .trans_b = true, .relu = true, .requantize = true},
    {.x = HONE_UINT8, .w = HONE_UINT8, .gemm = true, .int_bias = true, .relu = true, .requantize = true},
    {.x = HONE_UINT8, .w = HONE_INT8, .per_channel = true, .int_bias = true},
    {.x = HONE_INT8, .w = HONE_UINT8, .per_channel = true, .gemm = true, .relu = true},
};
#define LAYERS (int)(sizeof layers / sizeof *layers)

static hone_graph *one_layer(int i) {
    hone_graph *g = hone_graph_new("layer");
    hone_graph_add_output(g, add_layer(g, float_input(g), &layers[i], K, 23, 100 + (uint64_t)i * 10));
    assert_int_equal(hone_graph_check(g, NULL), HONE_OK);
    return g;
}

/* A network of two layers of layers[i]'s kind, the second without requantizing. */
static hone_graph *two_layers(int i) {
    hone_graph *g = hone_graph_new("network");
    layer last = layers[i];
    last.requantize = last.relu = false;
    hone_value *y = add_layer(g, float_input(g), &layers[i], K, 23, 100 + (uint64_t)i * 10);
    hone_graph_add_output(g, add_layer(g, y, &last, 23, 7, 500 + (uint64_t)i * 10));
    assert_int_equal(hone_graph_check(g, NULL), HONE_OK);
    return g;
}

/* DynamicQuantizeLinear ─ MatMulInteger ─ Cast ─ Mul ─ Add ─ Relu */
static hone_graph *dynamic_layer(void) {
    hone_graph *g = hone_graph_new("dynamic");
    hone_value *x = HONE_EMIT(g, "", "Flatten", float_input(g));
    hone_node *d = hone_graph_add_node(g, hone_op_find("", "DynamicQuantizeLinear"), NULL, 1, &x, 3);
    hone_value *w = tensor(g, HONE_INT8, 2, K, 23, 900), *ws = tensor(g, HONE_FLOAT32, 1, 23, 0, 901);
    hone_value *y = HONE_EMIT(g, "", "MatMulInteger", d->outputs[0], w, d->outputs[2]);
    y = HONE_EMIT(g, "", "Cast", y);
    hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
    y = HONE_EMIT(g, "", "Mul", y, HONE_EMIT(g, "", "Mul", d->outputs[1], ws));
    y = HONE_EMIT(g, "", "Add", y, tensor(g, HONE_FLOAT32, 1, 23, 0, 902));
    hone_graph_add_output(g, HONE_EMIT(g, "", "Relu", y));
    return g;
}

/* --- running --- */

static hone_tensor *run(const hone_graph *g, const char *disabled, int threads, int *steps) {
    runner r;
    hone_error err;
    const hone_tensor *out;
    hone_tensor *x = input_data(), *y = NULL;
    if (runner_open(g, disabled, threads, &r, &err) != HONE_OK) fail_msg("%s", err.message);
    if (hone_context_run(r.context, (const hone_tensor *const *)&x, &out, &err) != HONE_OK)
        fail_msg("%s", err.message);
    assert_int_equal(hone_tensor_copy_of(out->dtype, out->rank, out->dims, out->data, &y, &err), HONE_OK);
    if (steps) *steps = hone_context_step_count(r.context);
    runner_close(&r);
    hone_tensor_free(x);
    return y;
}

/* Lowered against node by node; `step` is how much one different rounding may make. */
static void compare(const hone_graph *g, double step, int most_steps) {
    int steps;
    hone_tensor *lowered = run(g, NULL, 1, &steps), *wanted = run(g, "all", 1, NULL);
    int64_t different = 0;
    double largest = 0;
    for (int64_t i = 0; i < wanted->count; i++) {
        double d = fabs(tensor_at(lowered, i) - tensor_at(wanted, i)), size = fabs(tensor_at(wanted, i));
        assert_true(d <= step * 1.001 + 1e-4 * size);
        different += d > 1e-5 * fmax(1, size);
        largest = fmax(largest, size);
    }
    assert_true(steps <= most_steps);
    assert_true(different <= wanted->count / 50 + 1);
    assert_true(largest > 0.1);
    hone_tensor_free(lowered);
    hone_tensor_free(wanted);
}

static void test_layers(void **state) {
    (void)state;
    for (int i = 0; i < LAYERS; i++) {
        hone_graph *g = one_layer(i);
        /* quantize, product[, dequantize]: moves are views */
        compare(g, layers[i].requantize ? 0.05 : 0, layers[i].requantize ? 3 : 2);
        hone_graph_free(g);
    }
}

static void test_networks(void **state) {
    (void)state;
    for (int i = 0; i < LAYERS; i++) {
        if (!layers[i].requantize) continue;
        hone_graph *g = two_layers(i);
        /* a rounding that went the other way in the first layer is one step times a weight, summed */
        compare(g, 1.0, 5);
        hone_graph_free(g);
    }
}

static void test_dynamic(void **state) {
    (void)state;
    hone_graph *g = dynamic_layer();
    int steps;
    hone_tensor *lowered = run(g, NULL, 1, &steps), *wanted = run(g, "all", 1, NULL);
    assert_memory_equal(lowered->data, wanted->data, wanted->bytes); /* the same roundings */
    assert_int_equal(steps, 2);
    hone_tensor_free(lowered);
    hone_tensor_free(wanted);
    hone_graph_free(g);
}

/* --- bits --- */

static uint64_t hash_all(int threads) {
    uint64_t hash = 0;
    for (int i = 0; i <= 2 * LAYERS; i++) {
        hone_graph *g = i < LAYERS ? one_layer(i) : i < 2 * LAYERS ? two_layers(i - LAYERS) : dynamic_layer();
        hone_tensor *y = run(g, NULL, threads, NULL);
        hash = hash * 31 + hone_hash(y->data, y->bytes);
        hone_tensor_free(y);
        hone_graph_free(g);
    }
    for (int i = 0; i < OP_CASE_COUNT; i++) { /* and the operators by themselves */
        const hone_op *op = case_op(&op_cases[i]);
        if (op->role == HONE_ROLE_PLAIN && op->quantize != HONE_QUANTIZE_INTEGER) continue;
        if (op->epilogue && !hone_op_is_private(op)) continue; /* float products */
        built_case b;
        runner r;
        hone_error err;
        const hone_tensor *out[CASE_MAX_OUTPUTS];
        assert_true(case_build(&op_cases[i], HONE_FLOAT32, &b));
        if (runner_open(b.g, NULL, threads, &r, &err) != HONE_OK) fail_msg("%s", err.message);
        assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)b.data, out, &err), HONE_OK);
        for (int o = 0; o < op_cases[i].outputs; o++)
            hash = hash * 31 + hone_hash(out[o]->data, out[o]->bytes);
        runner_close(&r);
        case_free(&b);
    }
    return hash;
}

static void test_equal_bits(void **state) {
    (void)state;
    uint64_t here = hash_all(1);
    assert_true(hash_all(2) == here && hash_all(3) == here);
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[200], wanted[40];
        snprintf(wanted, sizeof wanted, "%016llx\n", (unsigned long long)here);
        assert_true(run_at_level(program, "--hash", level_masks[i], output, sizeof output));
        assert_string_equal(output, wanted);
    }
}

/* --- small print --- */

/* A NaN or an infinity in the bias comes out as the graph says, past Relu, too. */
static void compare_not_finite(void) {
    for (int relu = 0; relu < 2; relu++) {
        layer l = {.x = HONE_UINT8, .w = HONE_INT8, .gemm = true, .relu = relu};
        hone_graph *g = hone_graph_new("nan");
        hone_value *y = add_layer(g, float_input(g), &l, K, 23, 700);
        float *bias = (relu ? y->producer->inputs[0] : y)->producer->inputs[2]->data->data;
        bias[3] = NAN;
        bias[5] = INFINITY;
        bias[20] = -INFINITY;
        hone_graph_add_output(g, y);
        int steps;
        hone_tensor *lowered = run(g, NULL, 1, &steps), *wanted = run(g, "all", 1, NULL);
        assert_int_equal(steps, 2);
        assert_true(isnan(tensor_at(wanted, 3)));
        for (int64_t i = 0; i < wanted->count; i++) {
            double a = tensor_at(lowered, i), b = tensor_at(wanted, i);
            if (isfinite(b) ? !(fabs(a - b) < 1e-4) : isnan(b) ? !isnan(a) : a != b)
                fail_msg("%s, column %d: %g, not %g", relu ? "relu" : "plain", (int)(i % 23), a, b);
        }
        hone_tensor_free(lowered);
        hone_tensor_free(wanted);
        hone_graph_free(g);
    }
}

static void test_not_finite(void **state) {
    (void)state;
    compare_not_finite();
}

static void test_not_finite_at_every_level(void **state) {
    (void)state;
    for (int i = 0; i < LEVEL_MASKS; i++) {
        char output[2000];
        if (!run_at_level(program, "--not-finite", level_masks[i], output, sizeof output))
            fail_msg("at %s: %s", level_masks[i], output);
    }
}

static float quantize_one(float x, float scale, hone_dtype dtype, int zero, bool vector) {
    hone_graph *g = hone_graph_new("one");
    hone_type type = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = 2, .dims = {1, 1}};
    runner r;
    hone_error err;
    const hone_tensor *out;
    hone_tensor *t = NULL;
    hone_value *in = hone_graph_add_input(g, "x", &type), *s = hone_graph_scalar(g, HONE_FLOAT32, scale);
    hone_value *z = zero_point(g, dtype, zero);
    if (vector) { /* along the last axis: the kernels with a scale for each element */
        s->data->rank = z->data->rank = s->type.rank = z->type.rank = 1;
        s->data->dims[0] = z->data->dims[0] = s->type.dims[0] = z->type.dims[0] = 1;
    }
    hone_graph_add_output(g, HONE_EMIT(g, "", "QuantizeLinear", in, s, z));
    assert_int_equal(runner_open(g, NULL, 1, &r, &err), HONE_OK);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, type.dims, &t, &err), HONE_OK);
    *(float *)t->data = x;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&t, &out, &err), HONE_OK);
    float y = (float)tensor_at(out, 0);
    hone_tensor_free(t);
    runner_close(&r);
    hone_graph_free(g);
    return y;
}

static void test_rounding(void **state) {
    (void)state;
    static const struct {
        float x, scale;
        hone_dtype dtype;
        int zero;
        float wanted;
    } cases[] = {
        {2.5f, 1, HONE_UINT8, 0, 2},         {3.5f, 1, HONE_UINT8, 0, 4},
        {-2.5f, 1, HONE_INT8, 0, -2},        {300, 1, HONE_UINT8, 0, 255},
        {-300, 1, HONE_INT8, 0, -128},       {127.5f, 1, HONE_INT8, 0, 127},
        {-1, 1, HONE_UINT8, 0, 0},           {1e30f, 1e-30f, HONE_INT8, 5, 127},
        {-INFINITY, 1, HONE_INT8, 5, -128},  {-2.5f, 1, HONE_UINT8, 128, 126},
        {(float)NAN, 1, HONE_UINT8, 7, 0},   {(float)NAN, 1, HONE_INT8, 7, -128},
        {0.3f, 0.1f, HONE_INT8, -128, -125}, {25.5f, 0.1f, HONE_UINT8, 0, 255},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int vector = 0; vector < 2; vector++)
            assert_true(quantize_one(cases[i].x, cases[i].scale, cases[i].dtype, cases[i].zero, vector) ==
                        cases[i].wanted);
}

/* The cotangent passes Q and DQ, but not what was cut off. */
static void test_straight_through(void **state) {
    (void)state;
    static float x[] = {-3, -1.281f, -1.28f, 0, 0.004f, 1.27f, 1.2749f, 1.276f, 5, 0.5f};
    static const float wanted[] = {0, 2, 2, 2, 2, 2, 2, 0, 0, 2};
    for (int per_channel = 0; per_channel < 2; per_channel++) {
        hone_graph *g = hone_graph_new("straight through");
        hone_type type = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = 2, .dims = {2, 5}};
        hone_value *in = hone_graph_add_input(g, "x", &type),
                   *scale = hone_graph_scalar(g, HONE_FLOAT32, 0.01);
        hone_value *zero = zero_point(g, HONE_INT8, 0);
        if (per_channel) {
            hone_tensor *s = NULL, *z = NULL;
            assert_int_equal(hone_tensor_new(HONE_FLOAT32, 1, (int64_t[]){5}, &s, NULL), HONE_OK);
            assert_int_equal(hone_tensor_new(HONE_INT8, 1, (int64_t[]){5}, &z, NULL), HONE_OK);
            for (int i = 0; i < 5; i++) ((float *)s->data)[i] = 0.01f;
            scale = hone_graph_add_constant(g, "s", s);
            zero = hone_graph_add_constant(g, "z", z);
            hone_tensor_free(s);
            hone_tensor_free(z);
        }
        hone_value *q = HONE_EMIT(g, "", "QuantizeLinear", in, scale, zero);
        q = HONE_EMIT(g, "", "Identity", q);
        hone_value *y = HONE_EMIT(g, "", "DequantizeLinear", q, scale, zero), *dx = NULL;
        hone_value *two = hone_graph_scalar(g, HONE_FLOAT32, 2);
        y = HONE_EMIT(g, "", "ReduceSum", HONE_EMIT(g, "", "Mul", y, two));
        hone_value *one = HONE_EMIT(g, "", "Identity", hone_graph_scalar(g, HONE_FLOAT32, 1));
        one = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "BroadcastTo", one, y);
        hone_error err;
        runner r;
        const hone_tensor *out;
        hone_tensor *t = NULL;
        assert_int_equal(hone_graph_infer(g, &err), HONE_OK);
        if (hone_graph_differentiate(g, 1, &y, &one, 1, &in, &dx, &err) != HONE_OK)
            fail_msg("%s", err.message);
        assert_non_null(dx);
        hone_graph_add_output(g, dx);
        if (runner_open(g, NULL, 1, &r, &err) != HONE_OK) fail_msg("%s", err.message);
        assert_int_equal(hone_tensor_wrap(HONE_FLOAT32, 2, type.dims, x, &t, &err), HONE_OK);
        assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&t, &out, &err), HONE_OK);
        assert_memory_equal(out->data, wanted, sizeof wanted);
        hone_tensor_free(t);
        runner_close(&r);
        hone_graph_free(g);
    }
}

/* Products over nothing: every matrix of the result is zeros, whatever lay in its place before. */
static void test_empty_sums(void **state) {
    (void)state;
    for (int constant = 0; constant < 2; constant++) {
        hone_graph *g = hone_graph_new("empty sums");
        hone_type at = hone_type_make(HONE_UINT8, 3, (int64_t[]){3, 2, 0}),
                  zt = hone_type_make(HONE_UINT8, 3, (int64_t[]){3, 2, 1}),
                  bt = hone_type_make(HONE_INT8, 3, (int64_t[]){3, 0, 5});
        hone_value *a = hone_graph_add_input(g, "a", &at), *zero = hone_graph_add_input(g, "zero", &zt);
        hone_tensor *in[3];
        hone_error err;
        assert_int_equal(hone_tensor_new(HONE_UINT8, 3, at.dims, &in[0], &err), HONE_OK);
        assert_int_equal(hone_tensor_new(HONE_UINT8, 3, zt.dims, &in[1], &err), HONE_OK);
        assert_int_equal(hone_tensor_new(HONE_INT8, 3, bt.dims, &in[2], &err), HONE_OK);
        memset(in[1]->data, 7, in[1]->bytes);
        hone_value *b = constant ? hone_graph_add_constant(g, "b", in[2]) : hone_graph_add_input(g, "b", &bt);
        hone_graph_add_output(g, HONE_EMIT(g, "", "MatMulInteger", a, b));
        hone_graph_add_output(g, HONE_EMIT(g, "", "MatMulInteger", a, b, zero));
        runner r;
        const hone_tensor *out[2];
        if (runner_open(g, NULL, 1, &r, &err) != HONE_OK) fail_msg("%s", err.message);
        for (int again = 0; again < 2; again++) {
            if (hone_context_run(r.context, (const hone_tensor *const *)in, out, &err) != HONE_OK)
                fail_msg("%s", err.message);
            for (int o = 0; o < 2; o++) {
                assert_int_equal(out[o]->count, 3 * 2 * 5);
                for (int64_t i = 0; i < out[o]->count; i++)
                    assert_int_equal(((const int32_t *)out[o]->data)[i], 0);
                memset(out[o]->data, 0x55, out[o]->bytes);
            }
        }
        for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
        runner_close(&r);
        hone_graph_free(g);
    }
}

int main(int argc, char **argv) {
    program = argv[0];
    if (argc > 1 && strcmp(argv[1], "--hash") == 0) {
        printf("%016llx\n", (unsigned long long)hash_all(1));
        return 0;
    }
    const struct CMUnitTest of_a_level[] = {cmocka_unit_test(test_not_finite)};
    if (argc > 1) return cmocka_run_group_tests(of_a_level, NULL, NULL);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_finite_at_every_level),
                                       cmocka_unit_test(test_layers),
                                       cmocka_unit_test(test_networks),
                                       cmocka_unit_test(test_dynamic),
                                       cmocka_unit_test(test_equal_bits),
                                       cmocka_unit_test(test_rounding),
                                       cmocka_unit_test(test_straight_through),
                                       cmocka_unit_test(test_empty_sums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
