/* Strings in runs: borrowed on the way, owned where the caller owns the tensor. */
#include "support/graphs.h"

static hone_tensor *texts(int64_t rows, int64_t columns, const char *mark) {
    hone_error err;
    hone_tensor *t = tensor_make(HONE_STRING, SHAPE(rows, columns));
    for (int64_t i = 0; i < t->count; i++) {
        char text[32];
        int n = snprintf(text, sizeof text, "%s%c%d", mark, 0, (int)i);
        check_ok(hone_tensor_set_string(t, i, text, (size_t)n, &err));
    }
    return t;
}

/* y = Transpose(x), k = Transpose(a constant), all strings of any shape. */
static hone_graph *transposing(void) {
    hone_graph *g = hone_graph_new("strings");
    hone_value *x = graph_input(g, "x", HONE_STRING, SHAPE(HONE_DIM_ANY, HONE_DIM_ANY));
    hone_graph_add_output(g, graph_op(g, "Transpose", x));
    hone_graph_add_output(g, graph_op(g, "Transpose", graph_constant(g, "k", texts(2, 3, "constant"))));
    return g;
}

/* Element i of the transposed one is what it should be. */
static void check_transposed(const hone_tensor *y, int64_t rows, int64_t columns, const char *mark) {
    hone_tensor *x = texts(rows, columns, mark);
    assert_int_equal(y->dims[0], columns);
    for (int64_t i = 0; i < y->count; i++) {
        size_t n, m;
        const char *s = hone_tensor_string(y, i, &n),
                   *r = hone_tensor_string(x, i % rows * columns + i / rows, &m);
        assert_int_equal(n, m);
        assert_memory_equal(s, r, n + 1);
    }
    hone_tensor_free(x);
}

static void test_views(void **state) {
    (void)state;
    hone_graph *g = transposing();
    runner r = runner_make(g, NULL, 1);
    hone_graph_free(g);
    for (int round = 0; round < 3; round++) {
        const hone_tensor *out[2];
        hone_tensor *x = texts(4 + round, 3, "input");
        runner_run(&r, &x, out);
        check_transposed(out[0], 4 + round, 3, "input");
        check_transposed(out[1], 2, 3, "constant");
        hone_error err;
        assert_int_equal(hone_tensor_set_string((hone_tensor *)out[0], 0, "a", 1, &err),
                         HONE_INVALID_ARGUMENT);
        hone_tensor *kept = tensor_copy(out[0]); /* has its own */
        hone_tensor_free(x);
        check_transposed(kept, 4 + round, 3, "input");
        hone_tensor_free(kept);
    }
    runner_free(&r);
}

/* What is bound has its own strings, which outlive the inputs; those of the run before are freed. */
static void test_bound_outputs(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = transposing();
    runner r = runner_make(g, NULL, 1);
    hone_tensor *bound = tensor_make(HONE_STRING, SHAPE(3, 5));
    check_ok(hone_context_bind_output(r.context, 0, bound, &err));
    for (int round = 0; round < 2; round++) {
        const hone_tensor *out[2];
        hone_tensor *x = texts(5, 3, round ? "second" : "first");
        runner_run(&r, &x, out);
        hone_tensor_free(x);
        check_transposed(bound, 5, 3, round ? "second" : "first");
        assert_ptr_equal(out[0]->data, bound->data);
    }
    hone_tensor *x = texts(5, 3, "third");
    hone_alloc_fail_at(1, false);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const[]){x}, NULL, &err),
                     HONE_OUT_OF_MEMORY);
    hone_alloc_fail_at(0, false);
    hone_tensor_free(x);
    runner_free(&r);
    hone_tensor_free(bound);
    hone_graph_free(g);
}

/* Whose would the strings be? */
static void test_variables_of_strings_stay(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("variable");
    hone_value *v = graph_variable(g, "v", texts(2, 2, "before"));
    hone_value *y = graph_op(g, "Transpose", v);
    hone_graph_add_output(g, y);
    hone_graph_bind(g, y, v);
    runner r = runner_make(g, NULL, 1);
    assert_int_equal(hone_context_run(r.context, NULL, NULL, &err), HONE_UNSUPPORTED);
    assert_string_equal(err.node, "v");
    runner_free(&r);
    hone_graph_free(g);
}

/* Equal compares all bytes, zeros, too, and broadcasts. */
static void test_equal(void **state) {
    (void)state;
    static const struct {
        int rank[2];
        int64_t dims[2][3];
    } cases[] = {{{2, 2}, {{2, 3}, {2, 3}}}, {{2, 2}, {{4, 3}, {1, 3}}}, {{3, 2}, {{2, 1, 3}, {4, 1}}},
                 {{0, 2}, {{0}, {2, 3}}},    {{0, 0}, {{0}, {0}}},       {{2, 1}, {{0, 3}, {3}}}};
    for (int k = 0; k < COUNT(cases); k++) {
        hone_graph *g = hone_graph_new("equal");
        hone_tensor *data[2];
        hone_value *in[2];
        for (int i = 0; i < 2; i++) {
            const int64_t *dims = cases[k].dims[i];
            hone_tensor *t = tensor_make(HONE_STRING, cases[k].rank[i], dims);
            for (int64_t e = 0; e < t->count; e++) {
                const char text[4] = {'a', 0, (char)('b' + (e + i) % 2), 'c'};
                hone_error err;
                check_ok(hone_tensor_set_string(t, e, text, e % 3 ? 4 : 3, &err));
            }
            data[i] = t;
            in[i] = graph_input(g, "x", HONE_STRING, t->rank, t->dims);
        }
        hone_graph_add_output(g, graph_op(g, "Equal", in[0], in[1]));
        const hone_tensor *out;
        runner r = runner_make(g, NULL, 1);
        runner_run(&r, data, &out);
        for (int64_t e = 0; e < out->count; e++) {
            int64_t at[2] = {0, 0}, rest = e;
            for (int d = out->rank - 1, stride[2] = {1, 1}; d >= 0; d--) {
                for (int i = 0; i < 2; i++) {
                    int own = d - (out->rank - data[i]->rank);
                    if (own < 0) continue;
                    if (data[i]->dims[own] > 1) at[i] += rest % out->dims[d] * stride[i];
                    stride[i] *= (int)data[i]->dims[own];
                }
                rest /= out->dims[d];
            }
            size_t n, m;
            const char *a = hone_tensor_string(data[0], at[0], &n),
                       *b = hone_tensor_string(data[1], at[1], &m);
            assert_int_equal(((const bool *)out->data)[e], n == m && memcmp(a, b, n) == 0);
        }
        runner_free(&r);
        hone_tensor_free(data[0]);
        hone_tensor_free(data[1]);
        hone_graph_free(g);
    }
}

/* Where takes texts from either side, broadcast. */
static void test_where(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("where");
    hone_value *c = graph_input(g, "c", HONE_BOOL, SHAPE(3, 1)),
               *x = graph_input(g, "x", HONE_STRING, SHAPE(1, 2)),
               *y = graph_input(g, "y", HONE_STRING, SHAPE(3, 2));
    hone_graph_add_output(g, graph_op(g, "Where", c, x, y));
    runner r = runner_make(g, NULL, 1);
    hone_tensor *in[] = {tensor_make(HONE_BOOL, SHAPE(3, 1)), texts(1, 2, "x"), texts(3, 2, "y")};
    memcpy(in[0]->data, (const uint8_t[]){1, 0, 1}, 3);
    const hone_tensor *out;
    runner_run(&r, in, &out);
    for (int64_t i = 0; i < 6; i++) {
        size_t n, m;
        bool first = i / 2 != 1;
        const char *s = hone_tensor_string(out, i, &n),
                   *want = hone_tensor_string(in[first ? 1 : 2], first ? i % 2 : i, &m);
        assert_int_equal(n, m);
        assert_memory_equal(s, want, n);
    }
    for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
    runner_free(&r);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal), cmocka_unit_test(test_views),
                                       cmocka_unit_test(test_bound_outputs), cmocka_unit_test(test_where),
                                       cmocka_unit_test(test_variables_of_strings_stay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
