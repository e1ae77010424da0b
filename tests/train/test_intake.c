/* What stands before a network: standardized features and channels, tables of numbers and texts. */
#include "train/small.h"

#include <math.h>

static hone_tensor *floats(int rank, const int64_t *dims, const float *x) {
    hone_tensor *t = NULL;
    ok(hone_tensor_copy_of(HONE_FLOAT32, rank, dims, x, &t, &err));
    return t;
}

static hone_tensor *labels(int64_t n, int classes) {
    hone_tensor *t = NULL;
    ok(hone_tensor_new(HONE_INT64, 1, &n, &t, &err));
    for (int64_t i = 0; i < n; i++) ((int64_t *)t->data)[i] = i % classes;
    return t;
}

static hone_tensor *texts(int64_t n, const char *const *x) {
    hone_tensor *t = NULL;
    ok(hone_tensor_new(HONE_STRING, 1, &n, &t, &err));
    for (int64_t i = 0; i < n; i++) ok(hone_tensor_set_string(t, i, x[i], strlen(x[i]), &err));
    return t;
}

static const float *constant(const hone_graph *g, const char *name) {
    const hone_tensor *t = hone_graph_initializer(g, name);
    if (!t) fail_msg("no constant %s", name);
    return hone_tensor_data(t);
}

static void test_features_have_their_own_moments(void **state) {
    (void)state;
    const float x[] = {1, 1000, 5, 3, 3000, 5, 5, 5000, 5, 7, 7000, 5};
    hone_dataset *d = dataset_of("t", floats(2, (int64_t[]){4, 3}, x), labels(4, 2));
    hone_graph *g = NULL;
    ok(hone_build_model("mlp:3-2", d, NULL, &g, &err));
    const float *mean = constant(g, "mean"), *scale = constant(g, "scale");
    const float want_mean[] = {4, 4000, 5}, want_scale[] = {1 / sqrtf(5), 1 / sqrtf(5e6f), 1};
    for (int i = 0; i < 3; i++) {
        assert_true(mean[i] == want_mean[i]);
        assert_true(fabsf(scale[i] / want_scale[i] - 1) < 1e-6f);
    }
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* [n, height, width, 3] becomes [n, 3, height, width], each channel with moments of its own. */
static void test_channels(void **state) {
    (void)state;
    float x[2 * 2 * 2 * 3];
    for (int i = 0; i < 24; i++) x[i] = (float)(i % 3 * 100 + i / 3);
    hone_dataset *d = dataset_of("t", floats(4, (int64_t[]){2, 2, 2, 3}, x), labels(2, 2));
    hone_graph *g = NULL;
    ok(hone_build_model("mlp:12-2", d, NULL, &g, &err));
    const float *mean = constant(g, "mean"), *scale = constant(g, "scale");
    for (int c = 0; c < 3; c++) {
        assert_true(fabsf(mean[c] - (100 * (float)c + 3.5f)) < 1e-4f);
        assert_true(fabsf(scale[c] * sqrtf(5.25f) - 1) < 1e-5f);
    }
    hone_graph_free(g);
    hone_dataset_free(d);
}

static void test_what_is_no_number_is_named(void **state) {
    (void)state;
    const float x[] = {1, 2, 3, NAN, 5, 6};
    hone_dataset *d = dataset_of("t", floats(2, (int64_t[]){3, 2}, x), labels(3, 2));
    hone_graph *g = NULL;
    refused(hone_build_model("mlp:2-2", d, NULL, &g, &err), HONE_INVALID_ARGUMENT,
            "column 'x' has a value that is no number (NaN or infinite): sample 1, value 1");
    hone_dataset_free(d);
}

/* Six samples: two numbers, of which one is missing; a text; a price. */
static hone_dataset *table(void) {
    static const char *const colours[] = {"red", "blue", "red", "green", "blue", "red"};
    const float size[] = {1, 2, 3, 4, 5, 6}, age[] = {10, NAN, 30, 20, NAN, 20},
                price[] = {100, 200, 300, 400, 500, 600};
    int64_t n = 6;
    hone_tensor *t[] = {floats(1, &n, size), floats(1, &n, age), texts(n, colours), floats(1, &n, price)};
    hone_dataset *d = NULL;
    ok(hone_dataset_make(
        (hone_named_tensor[]){{"size", t[0]}, {"age", t[1]}, {"colour", t[2]}, {"price", t[3]}}, 4, "table",
        &d, &err));
    for (int i = 0; i < 4; i++) hone_tensor_free(t[i]);
    d->table = true;
    snprintf(d->target, sizeof d->target, "price");
    return d;
}

/* The answer of a model for one raw sample. */
static float answer(const hone_graph *g, float size, float age, const char *colour) {
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    int64_t dims[] = {1, 1};
    hone_tensor *text = NULL;
    ok(hone_tensor_new(HONE_STRING, 2, dims, &text, &err));
    ok(hone_tensor_set_string(text, 0, colour, strlen(colour), &err));
    hone_tensor *in[] = {text, floats(2, dims, &size), floats(2, dims, &age)};
    const hone_tensor *given[3], *out[1];
    for (int i = 0; i < 3; i++) {
        hone_value_info info;
        assert_true(hone_graph_input(g, i, &info));
        given[i] = strcmp(info.name, "colour") == 0 ? in[0] : strcmp(info.name, "size") == 0 ? in[1] : in[2];
    }
    ok(hone_model_compile(g, NULL, &m, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_context_run(c, given, out, &err));
    float y = *(const float *)hone_tensor_data(out[0]);
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
    return y;
}

static void test_tables_are_made_ready_inside_of_the_model(void **state) {
    (void)state;
    hone_dataset *d = table();
    hone_graph *g = NULL;
    ok(hone_build_model("mlp:6-1", d, NULL, &g, &err)); /* size, age, age is missing, three colours */
    assert_int_equal(hone_graph_input_count(g), 3);
    assert_string_equal(hone_graph_metadata(g, "hone.objective"), "mean-squared-error");
    assert_string_equal(hone_graph_metadata(g, "hone.target"), "price");
    float *w = (float *)(void *)constant(g, "layer1.weight"),
          *b = (float *)(void *)constant(g, "layer1.bias");
    *b = 0;
    double mean = 350, deviation = sqrt(35e4 / 12); /* of the price */
    /* Parts in the order of the graph: texts first, colours by name; then numbers, and which of them are missing. */
    const double want[] = {0, 1, 0, -1.5 / sqrt(35.0 / 12 + 0.25), 0, 1}; /* x / sqrt(1 + (x/3)^2) */
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 6; k++) w[k] = k == i;
        assert_true(fabs((answer(g, 2, NAN, "green") - mean) / deviation - want[i]) < 1e-4);
    }
    for (int k = 0; k < 6; k++) w[k] = 1;
    double known = (answer(g, 3.5f, 20, "red") - mean) / deviation,
           unknown = (answer(g, 3.5f, 20, "pink") - mean) / deviation,
           missing = (answer(g, 3.5f, NAN, "pink") - mean) / deviation;
    assert_true(fabs(known - 1) < 1e-5 && fabs(unknown) < 1e-5 && fabs(missing - 1) < 1e-5);
    hone_graph_free(g);
    hone_dataset_free(d);
}

static void test_a_table_trains(void **state) {
    (void)state;
    hone_dataset *d = table();
    hone_graph *g = NULL;
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    hone_eval_report r;
    o.epochs = 300;
    o.learning_rate = 0.05; /* whatever the units of the price are */
    o.threads = 1;
    ok(hone_build_model("mlp:6-1", d, NULL, &g, &err));
    ok(hone_train(g, d, &o, NULL, &err));
    ok(hone_evaluate(g, d, NULL, 1, &r, &err));
    assert_string_equal(r.objective, "mean-squared-error");
    assert_true(r.metrics[1].value > 0.99);
    hone_graph_free(g);
    hone_dataset_free(d);
}

static hone_status build_table(const hone_dataset *d, hone_graph **g) {
    return hone_build_model("mlp:6-1", d, NULL, g, &err);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_dataset *d = table();
    hone_graph *g = NULL;
    FAIL_EACH_ALLOCATION(build_table(d, &g), assert_null(g));
    hone_graph_free(g);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features_have_their_own_moments),
        cmocka_unit_test(test_channels),
        cmocka_unit_test(test_what_is_no_number_is_named),
        cmocka_unit_test(test_tables_are_made_ready_inside_of_the_model),
        cmocka_unit_test(test_a_table_trains),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
