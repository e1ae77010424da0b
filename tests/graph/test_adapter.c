/* Adapters in graphs: where branches are put, that they are found again, and that merging keeps what is computed. */
#include "graph/adapter.h"
#include "support/graphs.h"

static hone_error err;

enum { ROWS = 3, IN = 5, OUT = 4 };

static hone_value *matrix(hone_graph *g, const char *name, int64_t rows, int64_t columns, float by) {
    hone_tensor *t = tensor_make(HONE_FLOAT32, SHAPE(rows, columns));
    for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = by * (float)((i * 7 + 3) % 11 - 5);
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

static hone_value *gemm(hone_graph *g, hone_value *x, hone_value *w, bool transposed) {
    hone_value *y = HONE_EMIT(g, "", "Gemm", x, w);
    if (transposed) hone_node_set_int(g, y->producer, "transB", 1);
    return y;
}

/* Four products, each with a weight stored in another way; the last one of codes. */
static hone_graph *products(void) {
    hone_graph *g = hone_graph_new("products");
    const hone_type type = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){ROWS, IN});
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *w2 = HONE_EMIT(g, "", "Transpose", matrix(g, "two.weight", OUT, IN, 0.2f));
    hone_tensor *codes = tensor_make(HONE_INT8, SHAPE(IN, OUT));
    for (int i = 0; i < IN * OUT; i++) ((int8_t *)codes->data)[i] = (int8_t)(i - 9);
    hone_value *w4 = HONE_EMIT(g, "", "DequantizeLinear", hone_graph_add_constant(g, "four.weight", codes),
                               hone_graph_scalar(g, HONE_FLOAT32, 0.1));
    hone_tensor_free(codes);
    hone_graph_add_output(g, HONE_EMIT(g, "", "MatMul", x, matrix(g, "one.weight", IN, OUT, 0.1f)));
    hone_graph_add_output(g, HONE_EMIT(g, "", "Relu", HONE_EMIT(g, "", "MatMul", x, w2)));
    hone_graph_add_output(g, gemm(g, x, matrix(g, "three", OUT, IN, 0.3f), true));
    hone_graph_add_output(g, HONE_EMIT(g, "", "MatMul", x, w4));
    check_ok(hone_graph_check(g, &err));
    return g;
}

static bool all(const void *arg, const char *weight) {
    (void)arg;
    (void)weight;
    return true;
}

static bool not_one(const void *arg, const char *weight) {
    (void)arg;
    return strcmp(weight, "one.weight") != 0;
}

/* B of an adapter begins at zero: something else. */
static void learn(hone_graph *g) {
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        if (!v || !strstr(v->name, "lora_B")) continue;
        for (int64_t k = 0; k < v->data->count; k++) ((float *)v->data->data)[k] = 0.01f * (float)(k % 5 - 2);
    }
}

static void run_products(hone_graph *g, float out[4][ROWS * OUT]) {
    hone_tensor *x = tensor_make(HONE_FLOAT32, SHAPE(ROWS, IN));
    const hone_tensor *results[4];
    for (int i = 0; i < ROWS * IN; i++) ((float *)x->data)[i] = (float)(i % 7) - 3;
    runner r = runner_make(g, NULL, 1);
    runner_run(&r, &x, results);
    for (int k = 0; k < 4; k++) memcpy(out[k], results[k]->data, sizeof out[k]);
    runner_free(&r);
    hone_tensor_free(x);
}

static float farthest(float a[4][ROWS * OUT], float b[4][ROWS * OUT]) {
    float most = 0;
    for (int k = 0; k < 4; k++)
        for (int i = 0; i < ROWS * OUT; i++) most = fmaxf(most, fabsf(a[k][i] - b[k][i]));
    return most;
}

static int branches(const hone_graph *g) {
    int count = 0;
    hone_adapter_branch b;
    for (hone_node *n = g->first; n; n = n->next) count += hone_adapter_branch_of(n, &b);
    return count;
}

static void test_merging(void **state) {
    (void)state;
    hone_graph *g = products();
    float before[4][ROWS * OUT], fresh[4][ROWS * OUT], learned[4][ROWS * OUT], merged[4][ROWS * OUT];
    int count, left;
    run_products(g, before);
    check_ok(hone_graph_add_adapter(g, 2, 8, 1, all, NULL, &count, &err));
    assert_int_equal(count, 4);
    assert_int_equal(branches(g), 4);
    assert_non_null(hone_graph_find(g, "two.lora_A.weight"));
    assert_non_null(hone_graph_find(g, "three.lora_B.weight"));
    run_products(g, fresh);
    assert_true(farthest(before, fresh) == 0);
    learn(g);
    run_products(g, learned);
    assert_true(farthest(before, learned) > 0.01f);
    check_ok(hone_graph_merge_adapter(g, &left, &err));
    assert_int_equal(left, 1); /* codes are not rounded again */
    assert_int_equal(branches(g), 1);
    assert_null(hone_graph_find(g, "one.lora_A.weight"));
    run_products(g, merged);
    assert_true(farthest(learned, merged) < 1e-5f);
    hone_graph_free(g);
}

/* What two products read is merged once, and both have it. */
static void test_a_shared_weight(void **state) {
    (void)state;
    hone_graph *g = products();
    float learned[4][ROWS * OUT], merged[4][ROWS * OUT];
    int count, left;
    hone_value *w = hone_graph_find(g, "one.weight");
    hone_graph_replace(g, g->outputs[3],
                       HONE_EMIT(g, "", "MatMul", g->inputs[0], w)); /* in the place of the one of codes */
    hone_graph_prune(g);
    check_ok(hone_graph_add_adapter(g, 1, 1, 1, all, NULL, &count, &err));
    assert_int_equal(count, 4);
    learn(g);
    run_products(g, learned);
    check_ok(hone_graph_merge_adapter(g, &left, &err));
    assert_int_equal(left, 0);
    run_products(g, merged);
    assert_true(farthest(learned, merged) < 1e-5f);
    hone_graph_free(g);
}

static void test_what_gets_none(void **state) {
    (void)state;
    hone_graph *g = products();
    const hone_type ids = hone_type_make(HONE_INT64, 1, (int64_t[]){2});
    int count;
    hone_value *table = hone_graph_find(g, "three"); /* read as a table, too */
    hone_graph_add_output(g, HONE_EMIT(g, "", "Gather", table, hone_graph_add_input(g, "ids", &ids)));
    hone_graph_add_output(g, HONE_EMIT(g, "", "MatMul", g->inputs[0],
                                       HONE_EMIT(g, "", "Transpose", g->inputs[0]))); /* no weight */
    check_ok(hone_graph_add_adapter(g, 2, 8, 1, not_one, NULL, &count, &err));
    assert_int_equal(count, 2);
    assert_null(hone_graph_find(g, "three.lora_A.weight"));
    assert_null(hone_graph_find(g, "one.lora_A.weight"));
    hone_graph_free(g);
}

static void test_swapping(void **state) {
    (void)state;
    hone_graph *a = products(), *b = hone_graph_new("other");
    hone_graph_swap(a, b);
    assert_string_equal(a->name, "other");
    assert_int_equal(b->output_count, 4);
    assert_int_equal(a->output_count, 0);
    hone_graph_free(a);
    float out[4][ROWS * OUT];
    run_products(b, out);
    hone_graph_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_a_shared_weight),
        cmocka_unit_test(test_what_gets_none),
        cmocka_unit_test(test_swapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
