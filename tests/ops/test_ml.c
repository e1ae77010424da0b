/* Operators of ai.onnx.ml: what they give, and what is wrong with a model of them. */
#include "graph/tensor.h"
#include "kernels/portable.h"
#include "kernels/svm.h"
#include "support/graphs.h"

static hone_error err;

static hone_node *ml_node(hone_graph *g, const char *op, hone_value *x, int outputs) {
    const hone_op *found = hone_op_find("ai.onnx.ml", op);
    if (!found) fail_msg("there is no %s", op);
    hone_node *n = hone_graph_add_node(g, found, "node", 1, &x, outputs);
    for (int o = 0; o < outputs; o++) hone_graph_add_output(g, n->outputs[o]);
    return n;
}

static void set_texts(hone_graph *g, hone_node *n, const char *name, int count, const char *const *texts) {
    hone_string s[8];
    for (int i = 0; i < count; i++) s[i] = (hone_string){(char *)texts[i], strlen(texts[i])};
    hone_node_set_strings(g, n, name, s, (size_t)count);
}

static hone_tensor *texts_of(int count, const char *const *texts) {
    hone_tensor *t = tensor_make(HONE_STRING, SHAPE(count));
    for (int i = 0; i < count; i++) check_ok(hone_tensor_set_string(t, i, texts[i], strlen(texts[i]), &err));
    return t;
}

static void expect(const hone_tensor *t, int count, const double *want, double bound) {
    assert_int_equal(t->count, count);
    for (int i = 0; i < count; i++)
        if (!(fabs(tensor_at(t, i) - want[i]) <= bound || tensor_at(t, i) == want[i]))
            fail_msg("[%d]: %g, not %g", i, tensor_at(t, i), want[i]);
}

/* Runs a graph of one input, which it frees, and compares output 0. */
static void expect_run(hone_graph *g, hone_tensor *in, int count, const double *want) {
    hone_tensor *out;
    graph_run(g, NULL, &in, &out, 1);
    expect(out, count, want, 1e-5);
    hone_tensor_free(in);
    hone_tensor_free(out);
    hone_graph_free(g);
}

/* --- encoders --- */

static void test_label_encoder(void **state) {
    (void)state;
    static const char *const keys[] = {"a", "b", "a"}, *const x[] = {"b", "a", "", "c"};
    hone_graph *g = hone_graph_new("labels");
    hone_node *n = ml_node(g, "LabelEncoder", graph_input(g, "x", HONE_STRING, SHAPE(4)), 1);
    set_texts(g, n, "keys_strings", 3, keys);
    hone_node_set_ints(g, n, "values_int64s", (int64_t[]){1, 2, 3}, 3);
    expect_run(g, texts_of(4, x), 4, (double[]){2, 3, -1, -1}); /* of equal keys the last */

    g = hone_graph_new("numbers");
    n = ml_node(g, "LabelEncoder", graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 2)), 1);
    hone_node_set_floats(g, n, "keys_floats", (float[]){1.5f, NAN, 0}, 3);
    hone_node_set_floats(g, n, "values_floats", (float[]){10, 20, 30}, 3);
    hone_node_set_float(g, n, "default_float", 7);
    expect_run(g, tensor_of(SHAPE(2, 2), (float[]){NAN, 1.5f, -0.0f, 2}), 4, (double[]){20, 10, 30, 7});

    g = hone_graph_new("tensors");
    n = ml_node(g, "LabelEncoder", graph_input(g, "x", HONE_INT16, SHAPE(3)), 1);
    hone_tensor *k = tensor_make(HONE_INT16, SHAPE(2)), *v = tensor_make(HONE_FLOAT64, SHAPE(2)),
                *other = tensor_make(HONE_FLOAT64, SHAPE(1)), *in = tensor_make(HONE_INT16, SHAPE(3));
    for (int i = 0; i < 2; i++) {
        tensor_set(k, i, 100 * i - 1);
        tensor_set(v, i, 0.5 + i);
    }
    tensor_set(other, 0, -9);
    for (int i = 0; i < 3; i++) tensor_set(in, i, (double[]){99, 4, -1}[i]);
    hone_node_set_tensor(g, n, "keys_tensor", k);
    hone_node_set_tensor(g, n, "values_tensor", v);
    hone_node_set_tensor(g, n, "default_tensor", other);
    hone_tensor_free(k);
    hone_tensor_free(v);
    hone_tensor_free(other);
    expect_run(g, in, 3, (double[]){1.5, -9, 0.5});
}

static void test_one_hot_encoder(void **state) {
    (void)state;
    for (int zeros = 0; zeros < 2; zeros++) {
        hone_graph *g = hone_graph_new("one hot");
        hone_node *n = ml_node(g, "OneHotEncoder", graph_input(g, "x", HONE_FLOAT32, SHAPE(2)), 1);
        hone_node_set_ints(g, n, "cats_int64s", (int64_t[]){4, 7, 9}, 3);
        hone_node_set_int(g, n, "zeros", zeros);
        runner r = runner_make(g, NULL, 1);
        hone_tensor *in = tensor_of(SHAPE(2), (float[]){7, 4}), *odd = tensor_of(SHAPE(2), (float[]){7, 5});
        const hone_tensor *out;
        runner_run(&r, &in, &out);
        assert_int_equal(out->rank, 2);
        expect(out, 6, (double[]){0, 1, 0, 1, 0, 0}, 0);
        hone_status status = hone_context_run(r.context, (const hone_tensor *const *)&odd, &out, &err);
        assert_int_equal(status, zeros ? HONE_OK : HONE_INVALID_ARGUMENT);
        if (zeros) expect(out, 6, (double[]){0, 1, 0, 0, 0, 0}, 0);
        runner_free(&r);
        hone_tensor_free(in);
        hone_tensor_free(odd);
        hone_graph_free(g);
    }
}

/* --- features --- */

static void test_features(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("vectorizer");
    hone_value *in[] = {graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3)), NULL};
    in[1] = in[0];
    hone_node *n = hone_graph_add_node(g, hone_op_find("ai.onnx.ml", "FeatureVectorizer"), "node", 2, in, 1);
    hone_node_set_ints(g, n, "inputdimensions", (int64_t[]){2, 4}, 2);
    hone_graph_add_output(g, n->outputs[0]);
    expect_run(g, tensor_of(SHAPE(2, 3), (float[]){1, 2, 3, 4, 5, 6}), 12,
               (double[]){1, 2, 1, 2, 3, 0, 4, 5, 4, 5, 6, 0});

    static const double want[3][6] = {
        {0.5, -0.5, 1, 0, 0, 0}, {0.25, -0.25, 0.5, 0, 0, 0}, {0.408248, -0.408248, 0.816497, 0, 0, 0}};
    for (int i = 0; i < 3; i++) {
        g = hone_graph_new("normalizer");
        n = ml_node(g, "Normalizer", graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 3)), 1);
        hone_node_set_string(g, n, "norm", (const char *[]){"MAX", "L1", "L2"}[i]);
        expect_run(g, tensor_of(SHAPE(2, 3), (float[]){2, -2, 4, 0, 0, 0}), 6, want[i]);
    }

    g = hone_graph_new("imputer");
    n = ml_node(g, "Imputer", graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 2)), 1);
    hone_node_set_floats(g, n, "imputed_value_floats", (float[]){7, 8}, 2);
    hone_node_set_float(g, n, "replaced_value_float", NAN);
    expect_run(g, tensor_of(SHAPE(2, 2), (float[]){NAN, 1, 2, NAN}), 4, (double[]){7, 1, 2, 8});
}

/* --- scores --- */

static void test_scores(void **state) {
    (void)state;
    double x[] = {0, 0.5, 0.975, 1, 0.1, 1e-9, 1.5}, y[7];
    hone_probit(x, y, 7);
    assert_true(y[0] == -INFINITY && y[1] == 0 && y[3] == INFINITY && y[6] != y[6]);
    for (int i = 0; i < 6; i++) /* and back */
        if (i != 0 && i != 3) assert_true(fabs(0.5 * erfc(-y[i] / sqrt(2)) - x[i]) < 1e-14);
    hone_softmax_zero((double[]){1, 0, 2}, y, 3);
    assert_true(y[1] == 0 && fabs(y[0] + y[2] - 1) < 1e-15 && fabs(y[0] / y[2] - exp(-1)) < 1e-15);
    hone_softmax_zero((double[]){0, 0}, y, 2);
    assert_true(y[0] == 0.5);
}

static void test_linear_classifier(void **state) {
    (void)state;
    static const struct {
        const char *transform;
        double want[4];
    } cases[] = {{"NONE", {-1, 1, 2, -2}},
                 {"LOGISTIC", {0.26894142, 0.73105858, 0.88079708, 0.11920292}},
                 {"SOFTMAX", {0.11920292, 0.88079708, 0.98201379, 0.01798621}}};
    for (int c = 0; c < COUNT(cases); c++) {
        hone_graph *g = hone_graph_new("binary");
        hone_node *n = ml_node(g, "LinearClassifier", graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 1)), 2);
        static const char *const labels[] = {"no", "yes"};
        hone_node_set_floats(g, n, "coefficients", (float[]){1}, 1);
        hone_node_set_floats(g, n, "intercepts", (float[]){0}, 1);
        hone_node_set_string(g, n, "post_transform", cases[c].transform);
        set_texts(g, n, "classlabels_strings", 2, labels);
        hone_tensor *in = tensor_of(SHAPE(2, 1), (float[]){1, -2}), *out[2];
        graph_run(g, NULL, &in, out, 2);
        assert_string_equal(hone_tensor_string(out[0], 0, NULL), "yes");
        assert_string_equal(hone_tensor_string(out[0], 1, NULL), "no");
        expect(out[1], 4, cases[c].want, 1e-6);
        hone_tensor_free(in);
        hone_tensor_free(out[0]);
        hone_tensor_free(out[1]);
        hone_graph_free(g);
    }
}

static void test_svm(void **state) {
    (void)state;
    float y[2];
    hone_squared_distances_f32((float[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, (float[20]){0}, 2, 10, y);
    assert_true(y[0] == 385 && y[1] == 385);
    double votes[3], p[3], scratch[12];
    hone_svm_votes((double[]){1, -1, 2}, 3, votes); /* 0 beats 1, 2 beats 0, 1 beats 2 */
    for (int i = 0; i < 3; i++) assert_true(votes[i] == 1);
    hone_svm_probabilities((double[]){2, 3, 1}, (double[]){-1, -1, -1}, (double[]){0, 0, 0}, 3, p, scratch);
    assert_true(fabs(p[0] + p[1] + p[2] - 1) < 1e-12 && p[0] > p[1] && p[1] > p[2]);
    hone_svm_probabilities((double[]){2}, (double[]){-1}, (double[]){0.5}, 2, p, scratch);
    assert_true(fabs(p[0] - 1 / (1 + exp(-1.5))) < 1e-3);
}

/* --- trees --- */

/* x[0] <= 1 ? (x[1] > 0 ? leaf 3 : leaf 4) : leaf 2 */
static const int64_t tree_of[] = {0, 0, 0, 0, 0}, node_of[] = {0, 1, 2, 3, 4}, feature_of[] = {0, 1, 0, 0, 0},
                     yes_of[] = {1, 3, 0, 0, 0}, no_of[] = {2, 4, 0, 0, 0}, missing_of[] = {0, 1, 0, 0, 0},
                     leaves[] = {2, 3, 4};
static const float value_of[] = {1, 0, 0, 0, 0}, weight_of[] = {10, 20, 30};

static hone_graph *tree_graph_of(const int64_t *yes, const int64_t *target, const int64_t *feature,
                                 int64_t features, const char *sum) {
    static const char *const modes[] = {"BRANCH_LEQ", "BRANCH_GT", "LEAF", "LEAF", "LEAF"};
    hone_graph *g = hone_graph_new("trees");
    hone_node *n =
        ml_node(g, "TreeEnsembleRegressor", graph_input(g, "x", HONE_FLOAT32, SHAPE(4, features)), 1);
    hone_node_set_ints(g, n, "nodes_treeids", tree_of, 5);
    hone_node_set_ints(g, n, "nodes_nodeids", node_of, 5);
    hone_node_set_ints(g, n, "nodes_featureids", feature, 5);
    hone_node_set_ints(g, n, "nodes_truenodeids", yes, 5);
    hone_node_set_ints(g, n, "nodes_falsenodeids", no_of, 5);
    hone_node_set_ints(g, n, "nodes_missing_value_tracks_true", missing_of, 5);
    hone_node_set_floats(g, n, "nodes_values", value_of, 5);
    set_texts(g, n, "nodes_modes", 5, modes);
    hone_node_set_int(g, n, "n_targets", 2);
    hone_node_set_ints(g, n, "target_treeids", tree_of, 3);
    hone_node_set_ints(g, n, "target_nodeids", leaves, 3);
    hone_node_set_ints(g, n, "target_ids", target, 3);
    hone_node_set_floats(g, n, "target_weights", weight_of, 3);
    hone_node_set_floats(g, n, "base_values", (float[]){0.5f, 1.5f}, 2);
    hone_node_set_string(g, n, "aggregate_function", sum);
    return g;
}

static hone_graph *tree_graph(const int64_t *yes, const int64_t *target, int64_t features, const char *sum) {
    return tree_graph_of(yes, target, feature_of, features, sum);
}

static void test_trees(void **state) {
    (void)state;
    static const int64_t targets[] = {0, 1, 1};
    static const float x[] = {2, 0, 1, 5, 0, -1, 0, NAN};
    static const char *const sums[] = {"SUM", "AVERAGE", "MIN", "MAX"};
    for (int i = 0; i < 4; i++)
        expect_run(tree_graph(yes_of, targets, 2, sums[i]), tensor_of(SHAPE(4, 2), x), 8,
                   (double[]){10.5, 1.5, 0.5, 21.5, 0.5, 31.5, 0.5, 21.5});
}

static void test_wrong_trees(void **state) {
    (void)state;
    static const int64_t good[] = {0, 1, 1}, beyond[] = {0, 1, 2}, cycle[] = {1, 0, 0, 0, 0},
                         itself[] = {0, 3, 0, 0, 0}, nobody[] = {1, 9, 0, 0, 0},
                         far[] = {1, 3 + ((int64_t)1 << 32), 0, 0, 0}, below[] = {0, INT64_MIN, 0, 0, 0};
    hone_graph *wrong[] = {tree_graph(cycle, good, 2, "SUM"),  tree_graph(itself, good, 2, "SUM"),
                           tree_graph(nobody, good, 2, "SUM"), tree_graph(yes_of, beyond, 2, "SUM"),
                           tree_graph(yes_of, good, 1, "SUM"), tree_graph(yes_of, good, 2, "PRODUCT"),
                           tree_graph(far, good, 2, "SUM"),    tree_graph_of(yes_of, good, below, 2, "SUM")};
    for (int i = 0; i < COUNT(wrong); i++) {
        hone_model *model = NULL;
        if (hone_model_compile(wrong[i], NULL, &model, &err) != HONE_INVALID_ARGUMENT)
            fail_msg("case %d is taken", i);
        hone_graph_free(wrong[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label_encoder),
        cmocka_unit_test(test_one_hot_encoder),
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_linear_classifier),
        cmocka_unit_test(test_svm),
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_wrong_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
