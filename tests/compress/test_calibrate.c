/* The ranges that values take on data. */
#include "train/small.h"

#include "compress/calibrate.h"

#include <math.h>

static const hone_calibration minmax = {HONE_CALIBRATE_MINMAX, 0};
static hone_dataset *data; /* 257 samples: the last batch is a smaller one */
static hone_graph *graph;
static const char *hidden; /* the value behind the activation */

static int set_up(void **state) {
    (void)state;
    data = blobs(257, 8, 4, 1);
    graph = mlp("8-6-4", data, 1);
    for (const hone_node *n = graph->first; n; n = n->next)
        if (strcmp(n->op->name, "Relu") == 0) hidden = n->outputs[0]->name;
    return hidden ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    hone_graph_free(graph);
    hone_dataset_free(data);
    return 0;
}

static hone_range range_of(const float *x, int64_t n) {
    hone_range r = {x[0], x[0]};
    for (int64_t i = 0; i < n; i++) {
        r.min = fminf(r.min, x[i]);
        r.max = fmaxf(r.max, x[i]);
    }
    return r;
}

static void test_ranges(void **state) {
    (void)state;
    static const int64_t samples[] = {0, 1, 99, 100, 101, 250, 257, 5000};
    const char *names[] = {"logits", "input", hidden};
    float x[257 * 8];
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        hone_range r[3];
        int64_t n = samples[i] > 0 && samples[i] < 257 ? samples[i] : 257;
        ok(hone_calibrate(graph, data, NULL, samples[i], 1 + (int)(i % 2), names, 3, &minmax, r, &err));
        hone_dataset *drawn = NULL;
        hone_draw_options draw = HONE_DRAW_OPTIONS_INIT;
        draw.share = (double)n;
        if (n < 257) ok(hone_dataset_draw(data, &draw, &drawn, NULL, &err));
        read_x(drawn ? drawn : data, 0, n, x);
        hone_tensor *y = predict(graph, drawn ? drawn : data, n);
        hone_dataset_free(drawn);
        hone_range logits = range_of(y->data, y->count), input = range_of(x, n * 8);
        assert_true(fabsf(r[0].min - logits.min) < 1e-5f && fabsf(r[0].max - logits.max) < 1e-5f);
        assert_true(r[1].min == input.min && r[1].max == input.max);
        assert_true(r[2].min >= 0 && r[2].max > 0);
        hone_tensor_free(y);
    }
}

/* A model for one batch size sees no more than the samples. */
static void test_fixed_batch(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("fixed");
    hone_type type = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){64, 8});
    finished(g, HONE_EMIT(g, "", "Neg", hone_graph_add_input(g, "input", &type)));
    hone_range r;
    float x[257 * 8];
    read_x(data, 0, 257, x);
    ok(hone_calibrate(g, data, NULL, 0, 1, (const char *[]){"logits"}, 1, &minmax, &r, &err));
    hone_range want = range_of(x, 257 * 8);
    assert_true(r.min == -want.max && r.max == -want.min);
    hone_graph_free(g);
}

static void test_what_is_not_finite(void **state) {
    (void)state;
    static const char *const text[] = {"node logits: is nan", "node logits: is inf", "node logits: is -inf"};
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 3; i++) {
        hone_graph *g = mlp("8-6-4", data, 1);
        ((float *)weight_of(g, "layer2.bias")->data)[3] = bad[i];
        hone_range r[2];
        const char *names[] = {"input", "logits"};
        refused(hone_calibrate(g, data, NULL, 0, 1, names, 2, &minmax, r, &err), HONE_OUT_OF_RANGE, text[i]);
        hone_graph_free(g);
    }
}

static void test_what_cannot_be_calibrated(void **state) {
    (void)state;
    hone_range r[2];
    const char *names[] = {"input", "nothing"};
    refused(hone_calibrate(graph, data, NULL, 0, 1, names, 2, &minmax, r, &err), HONE_NOT_FOUND,
            "node nothing: ");
    hone_graph *g = mlp("8-6-4", data, 1);
    hone_graph_add_input(g, "more", &g->inputs[0]->type);
    refused(hone_calibrate(g, data, NULL, 0, 1, names, 1, &minmax, r, &err), HONE_INVALID_ARGUMENT,
            "which column of blobs (257 samples) feeds the model's input 'input', float32[batch, 8]?");
    hone_graph_free(g);
}

static void test_out_of_memory(void **state) {
    (void)state;
    const char *names[] = {"logits", "input"};
    hone_range r[2], want[2];
    ok(hone_calibrate(graph, data, NULL, 0, 1, names, 2, &minmax, want, &err));
    FAIL_EACH_ALLOCATION(hone_calibrate(graph, data, NULL, 0, 1, names, 2, &minmax, r, &err), (void)0);
    assert_memory_equal(r, want, sizeof r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_fixed_batch),
        cmocka_unit_test(test_what_is_not_finite),
        cmocka_unit_test(test_what_cannot_be_calibrated),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
