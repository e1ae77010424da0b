/* Sizes that are cut into many tasks: equal bits for any threads, and right against plain loops. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/infer.h"
#include "ops/op_cases.h"

static const op_case large[] = {
    {"Transpose", "R300,500", "", 1},
    {"Transpose", "U130,7,260", "perm=2,1,0", 1},
    {"Transpose", "R20,30,40,5", "perm=1,0,2,3", 1},
    {"Cast", "R100001", "to=7", 1},
    {"Cast", "U70000", "to=1", 1},
    {"ReduceSum", "R70,5000", "", 1},
    {"ReduceSum", "R7,5000 S=-1", "", 1},
    {"ReduceSum", "R500,2100 S=0", "", 1},
    {"ReduceMean", "R30,40,50,3 S=0,2", "", 1},
    {"ReduceMean", "R30,40,51 S=1", "keepdims=0", 1},
    {"SumTo", "R64,3000 R3000", "", 1},
    {"BroadcastTo", "R300,1 R300,500", "mean=1", 1},
    {"Softmax", "R3000,10", "", 1},
    {"Softmax", "R5,33,700", "axis=1", 1},
    {"LogSoftmax", "R64,1000", "", 1},
    {"SoftmaxCrossEntropyLoss", "R2000,10 I2000<10", "", 2},
    {"QuantizeLinear", "F70000 k C", "", 1},
    {"QuantizeLinear", "F300,200 k200", "axis=1", 1},
    {"QuantizeLinear", "F3,40000 k3 C3", "axis=0", 1},
    {"DequantizeLinear", "C300,200 k200", "axis=1", 1},
    {"DynamicQuantizeLinear", "F300,300", "", 3},
    {"MatMulInteger", "C150,70 U70,90 C150 U90", "", 1},
    {"QLinearMatMul", "U150,70 k U C70,300 k300 C300 k U", "", 1},
    {"IntegerGemm", "C150,70 k C C300,70 k300 _ F300", "to=2 transB=1 y_scale=0.01", 1},
};

static void run_case(const op_case *c, hone_dtype real, int threads, hone_tensor **out) {
    hone_error err;
    built_case b;
    runner r;
    const hone_tensor *result[CASE_MAX_OUTPUTS];
    if (!case_build(c, real, &b)) fail_msg("case %s %s cannot be built", c->op, c->inputs);
    if (runner_open(b.g, NULL, threads, &r, &err) != HONE_OK)
        fail_msg("%s %s: %s", c->op, c->inputs, err.message);
    if (hone_context_run(r.context, (const hone_tensor *const *)b.data, result, &err) != HONE_OK)
        fail_msg("%s %s: %s", c->op, c->inputs, err.message);
    for (int o = 0; o < c->outputs; o++)
        assert_int_equal(hone_tensor_copy_of(result[o]->dtype, result[o]->rank, result[o]->dims,
                                             result[o]->data, &out[o], &err),
                         HONE_OK);
    runner_close(&r);
    case_free(&b);
}

static void free_all(hone_tensor **t, int n) {
    for (int i = 0; i < n; i++) hone_tensor_free(t[i]);
}

static void test_threads(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        hone_tensor *one[CASE_MAX_OUTPUTS], *more[CASE_MAX_OUTPUTS];
        run_case(&large[i], HONE_FLOAT32, 1, one);
        for (int threads = 2; threads <= 4; threads += 2) {
            run_case(&large[i], HONE_FLOAT32, threads, more);
            for (int o = 0; o < large[i].outputs; o++)
                if (memcmp(one[o]->data, more[o]->data, one[o]->bytes) != 0)
                    fail_msg("%s %s: other bits with %d threads", large[i].op, large[i].inputs, threads);
            free_all(more, large[i].outputs);
        }
        free_all(one, large[i].outputs);
    }
}

static void test_float_against_double(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        if (large[i].inputs[0] != 'R') continue;
        hone_tensor *narrow[CASE_MAX_OUTPUTS], *wide[CASE_MAX_OUTPUTS];
        run_case(&large[i], HONE_FLOAT32, 2, narrow);
        run_case(&large[i], HONE_FLOAT64, 1, wide);
        for (int o = 0; o < large[i].outputs; o++)
            for (int64_t k = 0; k < wide[o]->count; k++) {
                double x = tensor_at(narrow[o], k), y = tensor_at(wide[o], k);
                if (fabs(x - y) > 1e-4 * fmax(1, fabs(y)))
                    fail_msg("%s %s: output %d [%lld] is %g in float, %g in double", large[i].op,
                             large[i].inputs, o, (long long)k, x, y);
            }
        free_all(narrow, large[i].outputs);
        free_all(wide, large[i].outputs);
    }
}

/* One node over given inputs, of given dtype: its first output; NULL, and why, if the run fails. */
static hone_tensor *try_apply(const char *op, const char *attrs, int count, hone_tensor *const *in,
                              hone_error *why) {
    hone_error err;
    runner r;
    const hone_tensor *out;
    hone_tensor *copy = NULL;
    built_case b = {.g = hone_graph_new("one")};
    hone_value *values[CASE_MAX_INPUTS];
    for (int i = 0; i < count; i++) {
        hone_type type = hone_type_of(in[i]);
        values[i] = hone_graph_add_input(b.g, "x", &type);
    }
    b.node = hone_graph_add_node(b.g, hone_op_find("", op), "node", count, values, 1);
    case_attrs(&b, attrs);
    hone_graph_add_output(b.g, b.node->outputs[0]);
    if (runner_open(b.g, NULL, 2, &r, &err) != HONE_OK) fail_msg("%s: %s", op, err.message);
    if (hone_context_run(r.context, (const hone_tensor *const *)in, &out, why) == HONE_OK)
        assert_int_equal(hone_tensor_copy_of(out->dtype, out->rank, out->dims, out->data, &copy, &err),
                         HONE_OK);
    runner_close(&r);
    hone_graph_free(b.g);
    return copy;
}

static hone_tensor *apply(const char *op, const char *attrs, int count, hone_tensor *const *in) {
    hone_error why;
    hone_tensor *y = try_apply(op, attrs, count, in, &why);
    if (!y) fail_msg("%s: %s", op, why.message);
    return y;
}

/* Every element size and many permutations against index arithmetic. */
static void test_transpose(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_UINT8, HONE_FLOAT16, HONE_FLOAT32, HONE_INT64};
    static const int64_t shape[] = {3, 17, 1, 35};
    for (int d = 0; d < 4; d++)
        for (int code = 0; code < 256; code++) {
            int perm[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
            if ((1 << perm[0] | 1 << perm[1] | 1 << perm[2] | 1 << perm[3]) != 15) continue;
            hone_tensor *x = NULL;
            char attrs[40];
            snprintf(attrs, sizeof attrs, "perm=%d,%d,%d,%d", perm[0], perm[1], perm[2], perm[3]);
            assert_int_equal(hone_tensor_new(dtypes[d], 4, shape, &x, NULL), HONE_OK);
            size_t size = hone_dtype_size(dtypes[d]);
            for (size_t i = 0; i < x->bytes; i++) ((uint8_t *)x->data)[i] = (uint8_t)(i * 7 + (i >> 8));
            hone_tensor *y = apply("Transpose", attrs, 1, &x);
            for (int64_t i = 0; i < x->count; i++) {
                int64_t at[4], rest = i, to = 0;
                for (int a = 3; a >= 0; a--) {
                    at[a] = rest % shape[a];
                    rest /= shape[a];
                }
                for (int a = 0; a < 4; a++) to = to * shape[perm[a]] + at[perm[a]];
                assert_memory_equal((char *)y->data + (size_t)to * size, (char *)x->data + (size_t)i * size,
                                    size);
            }
            hone_tensor_free(x);
            hone_tensor_free(y);
        }
}

static hone_tensor *of(hone_dtype dtype, int64_t n, const void *data) {
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_copy_of(dtype, 1, &n, data, &t, NULL), HONE_OK);
    return t;
}

/* The corners of Cast: ends of ranges, NaN, halves. */
static void test_cast(void **state) {
    (void)state;
    const float reals[] = {NAN,   INFINITY, -INFINITY, 1e30f, -1e30f, 2.9f,
                           -2.9f, 255.5f,   256,       -0.5f, -129,   127.9f};
    const uint8_t u8[] = {0, 255, 0, 255, 0, 2, 0, 255, 255, 0, 0, 127};
    const int8_t s8[] = {0, 127, -128, 127, -128, 2, -2, 127, 127, 0, -128, 127};
    const int64_t s64[] = {0, INT64_MAX, INT64_MIN, INT64_MAX, INT64_MIN, 2, -2, 255, 256, 0, -129, 127};
    const uint8_t truth[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    hone_tensor *x = of(HONE_FLOAT32, 12, reals), *y;
    y = apply("Cast", "to=2", 1, &x);
    assert_memory_equal(y->data, u8, sizeof u8);
    hone_tensor_free(y);
    y = apply("Cast", "to=3", 1, &x);
    assert_memory_equal(y->data, s8, sizeof s8);
    hone_tensor_free(y);
    y = apply("Cast", "to=7", 1, &x);
    assert_memory_equal(y->data, s64, sizeof s64);
    hone_tensor_free(y);
    y = apply("Cast", "to=9", 1, &x);
    assert_memory_equal(y->data, truth, sizeof truth);
    hone_tensor_free(y);
    hone_tensor_free(x);
    /* float16: ties to even, subnormals, overflow; a double rounded once, not by way of float */
    const double wide[] = {1,
                           1.00048828125,
                           1.00146484375,
                           65519.9,
                           65520,
                           5.9604644775390625e-8,
                           2.98023223876953125e-8,
                           2.9802322387695316e-8,
                           1.000488281250001,
                           -1.5,
                           NAN};
    const uint16_t half[] = {0x3c00, 0x3c00, 0x3c02, 0x7bff, 0x7c00, 1, 0, 1, 0x3c01, 0xbe00, 0x7e00};
    x = of(HONE_FLOAT64, 11, wide);
    y = apply("Cast", "to=10", 1, &x);
    assert_memory_equal(y->data, half, sizeof half);
    hone_tensor *back = apply("Cast", "to=11", 1, &y);
    for (int i = 0; i < 10; i++)
        assert_true(wide[i] > 65519.95 || fabs(tensor_at(back, i) - wide[i]) <= fabs(wide[i]) / 1024 + 3e-8);
    hone_tensor_free(back);
    hone_tensor_free(y);
    y = apply("Cast", "to=16", 1, &x);
    assert_int_equal(((uint16_t *)y->data)[3], 0x4780); /* 65536 */
    hone_tensor_free(y);
    hone_tensor_free(x);
}

/* A label that is no class fails the run, with the node, the label and where it is. */
static void test_labels_out_of_range(void **state) {
    (void)state;
    static const char *const reductions[] = {"reduction=none", "reduction=sum", "reduction=mean"};
    const float scores[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const int64_t labels[] = {2, 3, INT64_MIN};
    for (int wide = 0; wide < 2; wide++)
        for (int i = 0; i < 3; i++) {
            hone_error why;
            hone_tensor *in[2] = {NULL};
            char attrs[80];
            const int32_t narrow[] = {2, 3, -1};
            assert_int_equal(hone_tensor_copy_of(HONE_FLOAT32, 2, (int64_t[]){3, 3}, scores, &in[0], NULL),
                             HONE_OK);
            in[1] = wide ? of(HONE_INT64, 3, labels) : of(HONE_INT32, 3, narrow);
            assert_null(try_apply("SoftmaxCrossEntropyLoss", reductions[i], 2, in, &why));
            assert_int_equal(why.code, HONE_INVALID_ARGUMENT);
            assert_string_equal(why.node, "node");
            assert_string_equal(why.op, "SoftmaxCrossEntropyLoss");
            assert_non_null(strstr(why.message, "label 3 at position 1"));
            snprintf(attrs, sizeof attrs, "%s ignore_index=3", reductions[i]);
            assert_null(try_apply("SoftmaxCrossEntropyLoss", attrs, 2, in, &why));
            assert_non_null(strstr(why.message, wide ? "label -9223372036854775808" : "label -1"));
            hone_tensor_free(in[1]);
            in[1] = of(HONE_INT64, 3, (int64_t[]){2, 3, 3});
            hone_tensor *y = apply("SoftmaxCrossEntropyLoss", attrs, 2, in);
            assert_true(fabs(tensor_at(y, 0) - 0.407605964) < 1e-6);
            if (i == 0) assert_true(tensor_at(y, 1) == 0 && tensor_at(y, 2) == 0);
            hone_tensor_free(y);
            hone_tensor_free(in[0]);
            hone_tensor_free(in[1]);
        }
}

/* Tensors without elements. */
static void test_empty(void **state) {
    (void)state;
    static const op_case cases[] = {
        {"Transpose", "R0,3", "", 1},
        {"ReduceSum", "R0,3 S=0", "", 1},
        {"ReduceSum", "R3,0", "", 1},
        {"ReduceMean", "R0,3 S=1", "", 1},
        {"Softmax", "R0,3", "", 1},
        {"Softmax", "R2,0,3", "axis=1", 1},
        {"Cast", "R0", "to=6", 1},
        {"Flatten", "R0,3,4", "", 1},
        {"Reshape", "R0,3 S=0,-1", "", 1},
        {"MatMulInteger", "U0,4 C4,5", "", 1},
        {"MatMulInteger", "U3,0 C0,5", "", 1},
        {"QuantizeLinear", "F0,3 k3", "", 1},
        {"DynamicQuantizeLinear", "F0", "", 3},
        {"SoftmaxCrossEntropyLoss", "R0,3 I0<3", "reduction=sum", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_tensor *out[CASE_MAX_OUTPUTS];
        run_case(&cases[i], HONE_FLOAT32, 2, out);
        for (int64_t k = 0; k < out[0]->count; k++) assert_true(tensor_at(out[0], k) == 0);
        free_all(out, cases[i].outputs);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads),
                                       cmocka_unit_test(test_float_against_double),
                                       cmocka_unit_test(test_transpose),
                                       cmocka_unit_test(test_cast),
                                       cmocka_unit_test(test_labels_out_of_range),
                                       cmocka_unit_test(test_empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
