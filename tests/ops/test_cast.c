/* Cast of small types as a node: its attributes, many elements on threads, and what it refuses. The numbers themselves
 * are checked in kernels/test_cast.c. */
#include "kernels/portable.h"
#include "support/graphs.h"

static hone_graph *cast_graph(hone_dtype from, hone_dtype to, int saturate, const char *round_mode) {
    hone_graph *g = hone_graph_new("cast");
    hone_type type = hone_type_make(from, SHAPE(HONE_DIM_ANY));
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *y = graph_op(g, "Cast", x);
    hone_node_set_int(g, y->producer, "to", to);
    if (saturate >= 0) hone_node_set_int(g, y->producer, "saturate", saturate);
    if (round_mode) hone_node_set_string(g, y->producer, "round_mode", round_mode);
    hone_graph_add_output(g, y);
    return g;
}

static void check_codes(hone_dtype to, int saturate, const char *round_mode, const float *x,
                        const uint8_t *want) {
    hone_graph *g = cast_graph(HONE_FLOAT32, to, saturate, round_mode);
    hone_tensor *in = tensor_of(SHAPE(4), x), *out;
    graph_run(g, NULL, &in, &out, 1);
    assert_int_equal(out->dtype, to);
    assert_memory_equal(out->data, want, 4);
    hone_tensor_free(in);
    hone_tensor_free(out);
    hone_graph_free(g);
}

static void attributes_choose(void **state) {
    (void)state;
    const float x[] = {1000, -INFINITY, 1.25f, 0};
    check_codes(HONE_FLOAT8E4M3FN, -1, NULL, x, (uint8_t[]){0x7e, 0xfe, 0x3a, 0});
    check_codes(HONE_FLOAT8E4M3FN, 0, NULL, x, (uint8_t[]){0x7f, 0xff, 0x3a, 0});
    check_codes(HONE_FLOAT8E8M0, -1, NULL, x, (uint8_t[]){137, 0, 128, 0});
    check_codes(HONE_FLOAT8E8M0, 1, "down", x, (uint8_t[]){136, 0, 127, 0});
    check_codes(HONE_FLOAT8E8M0, 0, "nearest", x, (uint8_t[]){137, 255, 127, 255});
}

/* Cut in pieces that begin with whole bytes. */
static void many_elements(void **state) {
    (void)state;
    static const hone_dtype small[] = {HONE_INT4, HONE_UINT2, HONE_FLOAT4E2M1, HONE_FLOAT8E5M2};
    enum { MANY = 1000003 };
    hone_tensor *x = tensor_make(HONE_FLOAT32, SHAPE(MANY));
    for (int64_t i = 0; i < MANY; i++) ((float *)x->data)[i] = (float)(i * 7 % 11 % 4);
    for (int d = 0; d < COUNT(small); d++) {
        hone_graph *g = cast_graph(HONE_FLOAT32, small[d], -1, NULL),
                   *back = cast_graph(small[d], HONE_FLOAT32, -1, NULL);
        const hone_tensor *out, *again;
        runner r = runner_make(g, NULL, 3), s = runner_make(back, NULL, 3);
        runner_run(&r, &x, &out);
        assert_int_equal(out->bytes, ((size_t)MANY * (size_t)hone_dtype_bits(small[d]) + 7) / 8);
        runner_run(&s, (hone_tensor *[]){(hone_tensor *)out}, &again);
        assert_same_bits(again, x);
        runner_free(&r);
        runner_free(&s);
        hone_graph_free(g);
        hone_graph_free(back);
    }
    hone_tensor_free(x);
}

static void wrong_attributes(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = cast_graph(HONE_FLOAT32, HONE_FLOAT8E8M0, 1, "sideways");
    assert_int_equal(hone_graph_infer(g, &err), HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "sideways"));
    hone_graph_free(g);
    static const hone_dtype none[] = {HONE_UNDEFINED, HONE_COMPLEX64, HONE_DTYPE_COUNT, (hone_dtype)-1};
    for (int i = 0; i < COUNT(none); i++) {
        g = cast_graph(HONE_FLOAT32, none[i], -1, NULL);
        assert_int_equal(hone_graph_infer(g, &err), HONE_UNSUPPORTED);
        hone_graph_free(g);
    }
}

/* CastLike stands for a Cast to what its operand is known to be, though that came of one, too. */
static void like_one_another(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("like");
    hone_value *half = graph_input(g, "half", HONE_FLOAT16, SHAPE(2)),
               *x = graph_input(g, "x", HONE_INT32, SHAPE(3));
    hone_value *first = HONE_EMIT(g, "", "CastLike", x, half);
    hone_graph_add_output(g, HONE_EMIT(g, "", "CastLike", x, first));
    hone_tensor *in[] = {tensor_make(HONE_FLOAT16, SHAPE(2)), tensor_make(HONE_INT32, SHAPE(3))};
    const hone_tensor *out;
    runner r = runner_make(g, NULL, 1);
    runner_run(&r, in, &out);
    assert_int_equal(out->dtype, HONE_FLOAT16);
    for (int i = 0; i < 2; i++) hone_tensor_free(in[i]);
    runner_free(&r);
    hone_graph_free(g);
}

/* --- texts --- */

static hone_status cast_strings(const char *const *texts, const hone_dtype to, hone_tensor **out,
                                hone_error *err) {
    hone_graph *g = hone_graph_new("texts");
    int64_t count = 0;
    while (texts[count]) count++;
    hone_tensor *x = tensor_make(HONE_STRING, SHAPE(count));
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(hone_tensor_set_string(x, i, texts[i], strlen(texts[i]), err), HONE_OK);
    hone_value *y = graph_op(g, "Cast", graph_input(g, "x", HONE_STRING, SHAPE(HONE_DIM_ANY)));
    hone_node_set_int(g, y->producer, "to", to);
    hone_graph_add_output(g, y);
    runner r = runner_make(g, NULL, 1);
    const hone_tensor *result;
    hone_status status = hone_context_run(r.context, (const hone_tensor *const *)&x, &result, err);
    if (status == HONE_OK) *out = tensor_copy(result);
    hone_tensor_free(x);
    runner_free(&r);
    hone_graph_free(g);
    return status;
}

static void test_numbers_of_texts(void **state) {
    (void)state;
    static const struct {
        const char *text;
        hone_dtype to;
        double wanted;
    } cases[] = {{"3.25", HONE_FLOAT32, 3.25},
                 {" -1e-3 ", HONE_FLOAT64, -1e-3},
                 {"INF", HONE_FLOAT32, INFINITY},
                 {"-inf", HONE_FLOAT16, -INFINITY},
                 {"12", HONE_INT64, 12},
                 {"-3.9", HONE_INT32, -3},
                 {"9007199254740993", HONE_INT64, 9007199254740993.0},
                 {"300", HONE_UINT8, 44},
                 {"-1", HONE_INT8, -1},
                 {"2", HONE_BOOL, 1},
                 {"0", HONE_BOOL, 0},
                 {"65504", HONE_FLOAT16, 65504},
                 {"1.5", HONE_BFLOAT16, 1.5},
                 {"18446744073709551615", HONE_UINT64, 0x1p64}};
    static const char *const bad[] = {"", "x", "1,5", "3 4", "1e", "--1", "0x"};
    for (int i = 0; i < COUNT(cases); i++) {
        hone_error err;
        hone_tensor *y = NULL;
        check_ok(cast_strings((const char *[]){cases[i].text, NULL}, cases[i].to, &y, &err));
        assert_true(tensor_at(y, 0) == cases[i].wanted);
        hone_tensor_free(y);
    }
    for (int i = 0; i < COUNT(bad); i++) {
        hone_error err;
        hone_tensor *y = NULL;
        assert_int_equal(cast_strings((const char *[]){"1", bad[i], NULL}, HONE_FLOAT32, &y, &err),
                         HONE_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "element 1"));
    }
}

/* What is written reads as the same number. */
static void test_texts_of_numbers(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_FLOAT16,
                                        HONE_INT64,   HONE_UINT8,   HONE_BOOL};
    static const double x[] = {0, 1, -0.5, 1.0 / 3, 1e-30, 123456789, 0.60484552, 65504};
    static const char *const wanted[] = {"0",         "1",    "-0.5", "0.33333334", "1e-30", "1.2345679e+08",
                                         "0.6048455", "65504"};
    for (int d = 0; d < COUNT(dtypes); d++) {
        hone_error err;
        hone_graph *g = hone_graph_new("texts");
        hone_value *y = graph_op(g, "Cast", graph_input(g, "x", dtypes[d], SHAPE(COUNT(x))));
        hone_node_set_int(g, y->producer, "to", HONE_STRING);
        hone_graph_add_output(g, y);
        runner r = runner_make(g, NULL, 1);
        hone_tensor *given = tensor_make(dtypes[d], SHAPE(COUNT(x))), *back = NULL;
        bool whole = hone_dtype_is_int(dtypes[d]);
        for (int i = 0; i < COUNT(x); i++) tensor_set(given, i, whole ? (double)(i * 7 % 2) : x[i]);
        const hone_tensor *out;
        runner_run(&r, &given, &out);
        const char *texts[COUNT(x) + 1] = {NULL};
        for (int i = 0; i < COUNT(x); i++) texts[i] = hone_tensor_string(out, i, NULL);
        for (int i = 0; d == 0 && i < COUNT(x); i++) assert_string_equal(texts[i], wanted[i]);
        check_ok(cast_strings(texts, dtypes[d], &back, &err));
        assert_memory_equal(back->data, given->data, given->bytes);
        hone_tensor_free(back);
        hone_tensor_free(given);
        runner_free(&r);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_choose),     cmocka_unit_test(many_elements),
        cmocka_unit_test(like_one_another),      cmocka_unit_test(wrong_attributes),
        cmocka_unit_test(test_numbers_of_texts), cmocka_unit_test(test_texts_of_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
