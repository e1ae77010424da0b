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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(attributes_choose), cmocka_unit_test(many_elements),
                                       cmocka_unit_test(wrong_attributes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
