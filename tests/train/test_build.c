/* Built-in architectures. */
#include "train/small.h"

#include <math.h>

static hone_dataset *images;

static hone_status build(const char *text, double mean, double deviation, uint64_t seed, hone_graph **out) {
    hone_build_options o = HONE_BUILD_OPTIONS_INIT;
    o.mean = mean;
    o.deviation = deviation;
    o.seed = seed;
    return hone_build_model(text, images, &o, out, &err);
}

static hone_graph *built(const char *text, uint64_t seed) {
    hone_graph *g = NULL;
    ok(build(text, 0.4, 0.5, seed, &g));
    return g;
}

/* 12 images of 3 × 4 bytes with 5 classes. */
static int make_images(void **state) {
    (void)state;
    int64_t dims[] = {12, 3, 4};
    hone_tensor *x = NULL, *y = NULL;
    ok(hone_tensor_new(HONE_UINT8, 3, dims, &x, &err));
    ok(hone_tensor_new(HONE_UINT8, 1, dims, &y, &err));
    for (int i = 0; i < 144; i++) ((uint8_t *)x->data)[i] = (uint8_t)(i * 37);
    for (int i = 0; i < 12; i++) ((uint8_t *)y->data)[i] = (uint8_t)(i % 5);
    images = dataset_of("images", x, y);
    return 0;
}

static int free_images(void **state) {
    (void)state;
    hone_dataset_free(images);
    return 0;
}

static void test_signature(void **state) {
    (void)state;
    hone_graph *g = built("mlp:12-7-5", 1);
    hone_value_info in, out;
    assert_int_equal(hone_graph_input_count(g), 1);
    assert_int_equal(hone_graph_output_count(g), 1);
    assert_true(hone_graph_input(g, 0, &in) && hone_graph_output(g, 0, &out));
    assert_string_equal(in.name, "input");
    assert_int_equal(in.rank, 4);
    assert_string_equal(hone_graph_dim_name(g, in.dims[0]), "batch");
    assert_memory_equal(in.dims + 1, ((int64_t[]){1, 3, 4}), 3 * sizeof(int64_t));
    assert_string_equal(out.name, "logits");
    assert_int_equal(out.rank, 2);
    assert_string_equal(hone_graph_dim_name(g, out.dims[0]), "batch");
    assert_int_equal(out.dims[1], 5);
    assert_memory_equal(weight_of(g, "layer1.weight")->dims, ((int64_t[]){12, 7}), 2 * sizeof(int64_t));
    assert_int_equal(weight_of(g, "layer1.bias")->dims[0], 7);
    assert_memory_equal(weight_of(g, "layer2.weight")->dims, ((int64_t[]){7, 5}), 2 * sizeof(int64_t));
    assert_null(hone_graph_metadata(g, "hone.classes"));
    hone_graph_free(g);
}

static void test_class_names_are_kept(void **state) {
    (void)state;
    static const char *const names[] = {"cat", "dog", "an owl", "bee", "ant"};
    images->class_names = names;
    images->class_name_count = 5;
    hone_graph *g = built("mlp:12-5", 1);
    assert_string_equal(hone_graph_metadata(g, "hone.classes"), "cat\ndog\nan owl\nbee\nant");
    hone_graph_free(g);
    images->class_name_count = 4; /* one lacks a name: none is told */
    g = built("mlp:12-5", 1);
    assert_null(hone_graph_metadata(g, "hone.classes"));
    hone_graph_free(g);
    images->class_name_count = 0;
    images->class_names = NULL;
}

static void test_initial_weights(void **state) {
    (void)state;
    hone_graph *g = built("mlp:12-400-400-400-5", 3), *same = built("mlp:12-400-400-400-5", 3),
               *other = built("mlp:12-400-400-400-5", 4);
    assert_true(same_weights(g, same));
    assert_false(same_weights(g, other));
    assert_false(same_tensor(weight_of(g, "layer2.weight"), weight_of(g, "layer3.weight")));
    const hone_tensor *w = weight_of(g, "layer2.weight");
    double sum = 0, squares = 0, most = 0, bound = 1 / sqrt(400);
    for (int64_t i = 0; i < w->count; i++) {
        double x = ((const float *)w->data)[i];
        sum += x;
        squares += x * x;
        most = fmax(most, fabs(x));
    }
    /* uniform in ±bound: variance bound²/3; 160,000 of them */
    assert_true(most <= bound * (1 + 1e-6) && most > 0.999 * bound);
    assert_true(fabs(sum / (double)w->count) < 4 * bound / sqrt(3) / 400);
    assert_true(fabs(squares / (double)w->count / (bound * bound / 3) - 1) < 0.01);
    for (int i = 0; i < 400; i++)
        assert_true(fabsf(((const float *)weight_of(g, "layer2.bias")->data)[i]) <= bound);
    hone_graph_free(g);
    hone_graph_free(same);
    hone_graph_free(other);
}

/* What the network computes, in double. */
static void test_outputs(void **state) {
    (void)state;
    hone_graph *g = built("mlp:12-7-5", 1);
    hone_tensor *y = predict(g, images, 12);
    const float *w1 = weight_of(g, "layer1.weight")->data, *b1 = weight_of(g, "layer1.bias")->data,
                *w2 = weight_of(g, "layer2.weight")->data, *b2 = weight_of(g, "layer2.bias")->data;
    float x[12];
    for (int i = 0; i < 12; i++) {
        double hidden[7];
        read_x(images, i, 1, x);
        for (int j = 0; j < 7; j++) {
            hidden[j] = b1[j];
            for (int k = 0; k < 12; k++) hidden[j] += (x[k] - 0.4) / 0.5 * w1[k * 7 + j];
            if (hidden[j] < 0) hidden[j] = 0;
        }
        for (int j = 0; j < 5; j++) {
            double want = b2[j];
            for (int k = 0; k < 7; k++) want += hidden[k] * w2[k * 5 + j];
            assert_true(fabs(((const float *)y->data)[i * 5 + j] - want) < 1e-5);
        }
    }
    hone_tensor_free(y);
    hone_graph_free(g);
}

static void test_bad_descriptions(void **state) {
    (void)state;
    static const char *const bad[] = {
        "mlp:",      "mlp:x",      "mlp:12-",      "mlp:-5",           "mlp:12--5",
        "mlp:12-x",  "mlp:12-5x",  "mlp:12-0-5",   "mlp:12-+7-5",      "mlp: 12-5",
        "mlp:12- 5", "mlp:12-5\n", "mlp:12-7.5-5", "mlp:12-1000001-5", "mlp:12-99999999999999999999-5",
        "gnn:12-5",  "",           "mlp"};
    hone_graph *g = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_status status = build(bad[i], 0, 1, 1, &g);
        if (status != HONE_INVALID_ARGUMENT) fail_msg("\"%s\": %s", bad[i], hone_status_name(status));
    }
    char deep[512] = "mlp:12";
    for (int i = 0; i < 128; i++) strcat(deep, "-5");
    refused(build(deep, 0, 1, 1, &g), HONE_INVALID_ARGUMENT, "more than 128 layers");
    assert_null(g);
}

/* "12-12" would leave nothing between input and output: with fewer classes both are hidden layers. */
static void test_two_hidden_layers(void **state) {
    (void)state;
    hone_graph *g = NULL;
    ok(build("mlp:12-12", 0, 1, 1, &g));
    assert_int_equal(g->outputs[0]->type.dims[1], 5);
    assert_int_equal(weight_of(g, "layer3.weight")->dims[0], 12);
    hone_graph_free(g);
}

static void test_what_does_not_fit(void **state) {
    (void)state;
    hone_graph *g = NULL;
    refused(build("mlp:13-5", 0, 1, 1, &g), HONE_INVALID_ARGUMENT, "takes 13 values, but a sample has 12");
    refused(build("mlp:12-4", 0, 1, 1, &g), HONE_INVALID_ARGUMENT, "has 4 outputs");
    double bad[][2] = {{0, -1},       {NAN, 1},   {0, NAN},  {INFINITY, 1},
                       {0, INFINITY}, {0, 1e-60}, {0, 1e60}, {1e60, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(build("mlp:12-5", bad[i][0], bad[i][1], 1, &g), HONE_INVALID_ARGUMENT,
                "cannot be standardized");
    assert_null(g);
}

static void test_out_of_memory(void **state) {
    (void)state;
    static const char *const names[] = {"cat", "dog", "an owl", "bee", "ant"};
    images->class_names = names;
    images->class_name_count = 5;
    hone_graph *whole = built("mlp:12-7-5", 1), *g = NULL;
    FAIL_EACH_ALLOCATION(build("mlp:12-7-5", 0.4, 0.5, 1, &g), assert_null(g));
    assert_true(same_weights(g, whole));
    assert_int_equal(hone_graph_output_count(g), 1);
    assert_string_equal(g->outputs[0]->name, "logits");
    assert_int_equal(g->node_count, whole->node_count);
    hone_graph_free(g);
    hone_graph_free(whole);
    images->class_name_count = 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature),         cmocka_unit_test(test_class_names_are_kept),
        cmocka_unit_test(test_initial_weights),   cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_bad_descriptions),  cmocka_unit_test(test_two_hidden_layers),
        cmocka_unit_test(test_what_does_not_fit), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_images, free_images);
}
