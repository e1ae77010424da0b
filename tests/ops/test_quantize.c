/* QuantizeLinear and DequantizeLinear of all dtypes, shapes of scales and precisions, by their definitions. */
#include "base/bits.h"
#include "base/narrow.h"
#include "kernels/portable.h"

#include "support/graphs.h"

#define ROWS 5
#define COLUMNS 150
#define BLOCK 32 /* 150 are 4 blocks and a shorter one */

typedef enum shape { ONE, ALONG_ROWS, ALONG_COLUMNS, ROW_BLOCKS, COLUMN_BLOCKS, SHAPES } shape;

static const hone_dtype dtypes[] = {
    HONE_UINT8,      HONE_INT8,           HONE_UINT16,    HONE_INT16,        HONE_UINT4,
    HONE_INT4,       HONE_UINT2,          HONE_INT2,      HONE_FLOAT8E4M3FN, HONE_FLOAT8E4M3FNUZ,
    HONE_FLOAT8E5M2, HONE_FLOAT8E5M2FNUZ, HONE_FLOAT4E2M1};

/* How many scales there are, and which belongs to an element. */
static void scale_shape(shape s, int *rank, int64_t *dims, int64_t *axis, int64_t *block) {
    static const int64_t all[SHAPES][2] = {{0}, {ROWS}, {COLUMNS}, {3, COLUMNS}, {ROWS, 5}};
    *rank = s == ONE ? 0 : s <= ALONG_COLUMNS ? 1 : 2;
    memcpy(dims, all[s], 2 * sizeof *dims);
    *axis = s == ALONG_COLUMNS || s == COLUMN_BLOCKS ? -1 : 0;
    *block = s == ROW_BLOCKS ? 2 : s == COLUMN_BLOCKS ? BLOCK : 0;
}

static int64_t scale_of(shape s, int64_t i, int64_t j) {
    switch (s) {
    case ONE: return 0;
    case ALONG_ROWS: return i;
    case ALONG_COLUMNS: return j;
    case ROW_BLOCKS: return i / 2 * COLUMNS + j;
    default: return i * 5 + j / BLOCK;
    }
}

static double number(const hone_tensor *t, int64_t i) {
    double x;
    char bytes[8] = {0};
    const int bits = hone_dtype_bits(t->dtype);
    if (bits < 8)
        bytes[0] = (char)hone_bits_get(t->data, i, bits);
    else
        memcpy(bytes, (const char *)t->data + i * bits / 8, (size_t)bits / 8);
    assert_true(hone_cast(t->dtype, HONE_FLOAT64, bytes, &x, 1));
    return x;
}

static double narrowed(double x, hone_dtype dtype) {
    float f = (float)x;
    if (dtype == HONE_FLOAT16) return hone_float_of_half(hone_half_of_float(f));
    return dtype == HONE_BFLOAT16 ? hone_float_of_bfloat(hone_bfloat_of_float(f)) : f;
}

/* The element nearest to x / scale + zero. */
static double quantized(hone_dtype dtype, double q, double zero, bool saturate) {
    if (!hone_dtype_is_int(dtype)) {
        unsigned code = hone_small_of_float(dtype, (float)q, (hone_small_rounding){saturate, HONE_E8M0_UP});
        return hone_float_of_small(dtype, code);
    }
    const int bits = hone_dtype_bits(dtype);
    bool is_signed = dtype == HONE_INT8 || dtype == HONE_INT16 || dtype == HONE_INT4 || dtype == HONE_INT2;
    double low = is_signed ? -ldexp(1, bits - 1) : 0, high = low + ldexp(1, bits) - 1;
    return fmin(fmax(rint(q) + zero, low), high);
}

typedef struct setting {
    hone_dtype dtype, x, scale, y, precision; /* y: of the real numbers that come back */
    shape shape;
    bool zero, unsaturated;
    const char *domain;
} setting;

static hone_tensor *zeros_of(const setting *s, int rank, const int64_t *dims) {
    hone_tensor *t = tensor_make(s->dtype, rank, dims), *small = tensor_make(HONE_INT32, rank, dims);
    for (int64_t i = 0; i < small->count; i++) ((int32_t *)small->data)[i] = (int32_t)(i * 5 % 7 % 2);
    if (hone_dtype_is_int(s->dtype)) hone_cast(HONE_INT32, s->dtype, small->data, t->data, t->count);
    hone_tensor_free(small);
    return t;
}

static void check(const setting *s) {
    int rank;
    int64_t dims[2], axis, block;
    scale_shape(s->shape, &rank, dims, &axis, &block);
    hone_graph *g = hone_graph_new("quantize");
    hone_tensor *x = tensor_random(s->x, SHAPE(ROWS, COLUMNS), 1), *scale = tensor_make(s->scale, rank, dims),
                *zero = s->zero ? zeros_of(s, rank, dims) : NULL;
    double most = s->dtype == HONE_UINT16 || s->dtype == HONE_INT16 ? 40000 : 20;
    for (int64_t i = 0; i < x->count; i++) tensor_set(x, i, rint(tensor_at(x, i) * most * 64) / 64);
    for (int64_t i = 0; i < scale->count; i++) {
        if (s->scale == HONE_FLOAT8E8M0)
            ((uint8_t *)scale->data)[i] = (uint8_t)(125 + i % 4);
        else
            tensor_set(scale, i, 0.25 + (double)(i % 5) / 3);
    }
    hone_value *in[] = {graph_input(g, "x", s->x, SHAPE(ROWS, COLUMNS)),
                        hone_graph_add_constant(g, "scale", scale),
                        zero ? hone_graph_add_constant(g, "zero", zero) : NULL};
    hone_value *q = hone_graph_emit(g, s->domain, "QuantizeLinear", in, 3);
    hone_value *back[] = {q, in[1], in[2]}, *y = hone_graph_emit(g, s->domain, "DequantizeLinear", back, 3);
    if (axis != 1) hone_node_set_int(g, q->producer, "axis", axis);
    if (axis != 1) hone_node_set_int(g, y->producer, "axis", axis);
    if (block) hone_node_set_int(g, q->producer, "block_size", block);
    if (block) hone_node_set_int(g, y->producer, "block_size", block);
    if (!zero) hone_node_set_int(g, q->producer, "output_dtype", s->dtype);
    if (s->unsaturated) hone_node_set_int(g, q->producer, "saturate", 0);
    if (s->precision) hone_node_set_int(g, q->producer, "precision", s->precision);
    if (s->y != s->scale) hone_node_set_int(g, y->producer, "output_dtype", s->y);
    hone_graph_add_output(g, q);
    hone_graph_add_output(g, y);
    const hone_tensor *out[2];
    runner r = runner_make(g, NULL, 2);
    runner_run(&r, &x, out);
    hone_dtype precision = s->precision                  ? s->precision
                           : s->scale == HONE_FLOAT8E8M0 ? HONE_FLOAT32
                                                         : s->scale;
    assert_int_equal(out[0]->dtype, s->dtype);
    assert_int_equal(out[1]->dtype, s->y);
    for (int64_t i = 0; i < x->count; i++) {
        int64_t k = scale_of(s->shape, i / COLUMNS, i % COLUMNS);
        double sk = number(scale, k), zk = zero ? number(zero, k) : 0;
        double ratio = narrowed(narrowed(tensor_at(x, i), precision) / narrowed(sk, precision), precision);
        double want = quantized(s->dtype, ratio, zk, !s->unsaturated), got = number(out[0], i);
        if (got != want && !(isnan(got) && isnan(want)))
            fail_msg("%s, scales %d: [%lld] is %g, not %g", hone_dtype_name(s->dtype), (int)s->shape,
                     (long long)i, got, want);
        want = narrowed((float)(want - zk) * (float)sk, s->y);
        got = tensor_at(out[1], i);
        if (got != want && !(isnan(got) && isnan(want)))
            fail_msg("%s, scales %d: [%lld] comes back as %g, not %g", hone_dtype_name(s->dtype),
                     (int)s->shape, (long long)i, got, want);
    }
    runner_free(&r);
    hone_tensor_free(x);
    hone_tensor_free(scale);
    hone_tensor_free(zero);
    hone_graph_free(g);
}

static void test_dtypes_and_shapes(void **state) {
    (void)state;
    for (int k = 0; k < COUNT(dtypes); k++)
        for (shape s = ONE; s < SHAPES; s++)
            for (int zero = 0; zero < 2; zero++)
                check(&(setting){dtypes[k], HONE_FLOAT32, HONE_FLOAT32, HONE_FLOAT32, 0, s, zero,
                                 .domain = ""});
}

static void test_precisions(void **state) {
    (void)state;
    static const hone_dtype halves[] = {HONE_FLOAT16, HONE_BFLOAT16};
    for (int k = 0; k < COUNT(dtypes); k++)
        for (int h = 0; h < 2; h++) {
            if (hone_dtype_bits(dtypes[k]) == 16) continue; /* beyond what a half holds */
            check(&(setting){dtypes[k], halves[h], halves[h], halves[h], 0, ONE, true, .domain = ""});
            check(&(setting){dtypes[k], halves[h], halves[h], HONE_FLOAT32, HONE_FLOAT32, COLUMN_BLOCKS,
                             .domain = ""});
            check(&(setting){dtypes[k], HONE_FLOAT32, HONE_FLOAT32, halves[h], halves[h], ALONG_ROWS,
                             .domain = ""});
        }
    check(&(setting){HONE_INT8, HONE_INT32, HONE_FLOAT32, HONE_FLOAT32, 0, ONE, true, .domain = ""});
    check(&(setting){HONE_FLOAT4E2M1, HONE_FLOAT32, HONE_FLOAT8E8M0, HONE_FLOAT32, 0, COLUMN_BLOCKS,
                     .domain = ""});
    check(&(setting){HONE_FLOAT8E4M3FN, HONE_FLOAT32, HONE_FLOAT32, HONE_FLOAT32, 0, ONE, .unsaturated = true,
                     .domain = ""});
}

static void test_microsoft(void **state) {
    (void)state;
    static const hone_dtype given[] = {HONE_UINT8, HONE_INT8, HONE_UINT16, HONE_INT16, HONE_UINT4, HONE_INT4};
    for (int k = 0; k < COUNT(given); k++) {
        check(&(setting){given[k], HONE_FLOAT32, HONE_FLOAT32, HONE_FLOAT32, 0, ONE, true,
                         .domain = "com.microsoft"});
        check(&(setting){given[k], HONE_FLOAT32, HONE_FLOAT32, HONE_FLOAT32, 0, ALONG_ROWS, true,
                         .domain = "com.microsoft"});
    }
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *attr;
        int64_t value;
        hone_status status;
    } cases[] = {{"output_dtype", HONE_INT64, HONE_UNSUPPORTED}, {"precision", HONE_INT8, HONE_UNSUPPORTED},
                 {"output_dtype", 1000, HONE_UNSUPPORTED},       {"block_size", 4, HONE_INVALID_ARGUMENT},
                 {"block_size", -2, HONE_INVALID_ARGUMENT},      {"axis", 7, HONE_INVALID_ARGUMENT}};
    for (int k = 0; k < COUNT(cases); k++) {
        hone_graph *g = hone_graph_new("quantize");
        hone_error err;
        hone_value *y = graph_op(g, "QuantizeLinear", graph_input(g, "x", HONE_FLOAT32, SHAPE(4, 6)),
                                 graph_input(g, "s", HONE_FLOAT32, SHAPE(4, 3)));
        hone_node_set_int(g, y->producer, "block_size", 2);
        hone_node_set_int(g, y->producer, cases[k].attr, cases[k].value);
        hone_graph_add_output(g, y);
        assert_int_equal(hone_graph_infer(g, &err), cases[k].status);
        hone_graph_free(g);
    }
}

/* QLinearMatMul of float8: the product of what they stand for. */
static void test_float8_product(void **state) {
    (void)state;
    const hone_dtype dtype = HONE_FLOAT8E4M3FN;
    hone_graph *g = hone_graph_new("product");
    hone_tensor *data[2] = {tensor_make(dtype, SHAPE(3, 4)), tensor_make(dtype, SHAPE(4, 2))},
                *zero = tensor_make(dtype, 0, NULL);
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < data[k]->count; i++)
            ((uint8_t *)data[k]->data)[i] = (uint8_t)(0x30 + 5 * i + k);
    hone_value *z = graph_constant(g, "zero", zero), *in[8];
    for (int k = 0; k < 2; k++) {
        in[3 * k] = graph_input(g, "x", dtype, 2, data[k]->dims);
        in[3 * k + 1] = hone_graph_scalar(g, HONE_FLOAT16, 0.5 + k);
        in[3 * k + 2] = z;
    }
    in[6] = hone_graph_scalar(g, HONE_FLOAT16, 2);
    in[7] = z;
    hone_graph_add_output(g, hone_graph_emit(g, "", "QLinearMatMul", in, 8));
    const hone_tensor *out;
    runner r = runner_make(g, NULL, 1);
    runner_run(&r, data, &out);
    assert_int_equal(out->dtype, dtype);
    for (int64_t i = 0; i < 3; i++)
        for (int64_t j = 0; j < 2; j++) {
            double sum = 0;
            for (int64_t l = 0; l < 4; l++) sum += number(data[0], i * 4 + l) * number(data[1], l * 2 + j);
            assert_true(number(out, i * 2 + j) == quantized(dtype, sum * 0.5 * 1.5 / 2, 0, true));
        }
    runner_free(&r);
    hone_tensor_free(data[0]);
    hone_tensor_free(data[1]);
    hone_graph_free(g);
}

/* A product of codes of 16 bits is none of bytes. */
static void test_words_stay_real(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("words");
    hone_value *x = graph_input(g, "x", HONE_UINT16, SHAPE(3, 4)),
               *step = hone_graph_scalar(g, HONE_FLOAT32, 0.5);
    hone_value *w = graph_constant(g, "w", tensor_random(HONE_INT8, SHAPE(4, 2), 3));
    hone_graph_add_output(g, graph_op(g, "MatMul", graph_op(g, "DequantizeLinear", x, step),
                                      graph_op(g, "DequantizeLinear", w, step)));
    hone_tensor *data = tensor_make(HONE_UINT16, SHAPE(3, 4)), *plain, *lowered;
    for (int64_t i = 0; i < data->count; i++) tensor_set(data, i, 1000.0 * (double)i);
    graph_run(g, NULL, &data, &lowered, 1);
    graph_run(g, "all", &data, &plain, 1);
    assert_same_bits(lowered, plain);
    assert_true(tensor_at(plain, 0) != 0);
    hone_tensor_free(data);
    hone_tensor_free(plain);
    hone_tensor_free(lowered);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes_and_shapes), cmocka_unit_test(test_precisions),
        cmocka_unit_test(test_microsoft),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_float8_product),    cmocka_unit_test(test_words_stay_real)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
