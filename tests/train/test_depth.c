/* Stochastic depth: which additions have a branch, and what becomes of it. */
#include "train/small.h"

#include "graph/train_form.h"
#include "train/depth.h"

#include <math.h>

enum { F = 6, N = 400 };

static hone_value *branch(hone_graph *g, hone_value *x, const char *weight) {
    return HONE_EMIT(g, "", "Relu",
                     HONE_EMIT(g, "", "MatMul", x, add_weight(g, weight, 2, (int64_t[]){F, F}, 3)));
}

static hone_graph *residual(int blocks) {
    char name[16];
    hone_graph *g = hone_graph_new("residual");
    hone_value *x = INPUT(g, F);
    for (int i = 0; i < blocks; i++) {
        snprintf(name, sizeof name, "w%d", i);
        hone_value *more = branch(g, x, name);
        x = i % 2 ? HONE_EMIT(g, "", "Add", x, more) : HONE_EMIT(g, "", "Add", more, x);
    }
    return finished(g, x);
}

/* Outputs of one block for N samples of ones: with the branch, made larger, or without. */
static void test_a_branch_is_there_or_not(void **state) {
    (void)state;
    hone_graph *g = residual(1), *plain = residual(1);
    hone_tensor *x = NULL, *y = NULL, *ones = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){N, F}, &x, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){N, 1}, &ones, &err));
    for (int i = 0; i < N * F; i++) ((float *)x->data)[i] = 1;
    hone_dataset *d = dataset_of("ones", x, ones);
    ok(hone_drop_branches(g, 0.25, &err));
    ok(hone_graph_train_form(g, false, &err));
    y = predict(g, d, N);
    hone_tensor *full = predict(plain, d, N);
    int kept = 0;
    for (int i = 0; i < N; i++) {
        const float *row = (float *)y->data + (int64_t)i * F, *whole = (float *)full->data + (int64_t)i * F;
        bool is = false;
        for (int j = 0; j < F; j++) is = is || row[j] != 1;
        kept += is;
        for (int j = 0; j < F; j++)
            assert_true(fabsf(row[j] - (is ? 1 + (whole[j] - 1) / 0.75f : 1)) < 1e-5f);
    }
    assert_in_range(kept, 265, 335);
    hone_tensor_free(y);
    hone_tensor_free(full);
    hone_graph_free(g);
    hone_graph_free(plain);
    hone_dataset_free(d);
}

/* x + 0.04 x^3 and x + bias have no weights on the way. */
static void test_what_is_no_branch(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("plain");
    hone_value *x = HONE_EMIT(g, "", "MatMul", INPUT(g, F), WEIGHT(g, "w", 1, F, F));
    hone_value *cube = HONE_EMIT(g, "", "Mul", x, HONE_EMIT(g, "", "Mul", x, x));
    hone_value *y = HONE_EMIT(g, "", "Add", x, cube);
    y = HONE_EMIT(g, "", "Add", y, WEIGHT(g, "b", 1, F));
    hone_value *side = HONE_EMIT(g, "", "MatMul", g->inputs[0], WEIGHT(g, "v", 1, F, F));
    finished(g, HONE_EMIT(g, "", "Add", y, side));
    refused(hone_drop_branches(g, 0.2, &err), HONE_INVALID_ARGUMENT, "no residual branches");
    ok(hone_drop_branches(g, 0, &err));
    hone_graph_free(g);
}

/* The model that is trained has no trace of it, and a network of residual blocks learns. */
static void test_training(void **state) {
    (void)state;
    hone_dataset *d = blobs(200, F, F, 4);
    hone_graph *g = residual(3);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    hone_eval_report before, after;
    int nodes = 0, still = 0;
    for (hone_node *n = g->first; n; n = n->next) nodes++;
    ok(hone_evaluate(g, d, NULL, 1, &before, &err));
    o.stochastic_depth = 0.2;
    o.learning_rate = 0.05;
    o.batch = 16;
    o.threads = 1;
    ok(hone_train(g, d, &o, NULL, &err));
    for (hone_node *n = g->first; n; n = n->next) still++;
    ok(hone_evaluate(g, d, NULL, 1, &after, &err));
    assert_int_equal(nodes, still);
    assert_true(after.loss < before.loss / 2);
    hone_graph_free(g);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_a_branch_is_there_or_not),
                                       cmocka_unit_test(test_what_is_no_branch),
                                       cmocka_unit_test(test_training)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
