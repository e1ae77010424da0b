/* Steps of several batches: what one batch of all of them gives. */
#include "train/small.h"

#include <math.h>

SHARED_BLOBS(200, 16, 5)

static hone_train_options options(int batch, int accumulate) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = 3;
    o.batch = batch;
    o.accumulate = accumulate;
    o.learning_rate = 0.1;
    o.threads = 1;
    return o;
}

static double distance(const hone_graph *a, const hone_graph *b) {
    const char *name;
    double most = 0;
    for (int i = 0; (name = hone_graph_initializer_name(a, i)); i++) {
        const hone_tensor *x = weight_of(a, name), *y = weight_of(b, name);
        for (int64_t k = 0; x->dtype == HONE_FLOAT32 && k < x->count; k++)
            most = fmax(most, fabs((double)((float *)x->data)[k] - (double)((float *)y->data)[k]));
    }
    return most;
}

static void compare(const hone_train_options *whole, const hone_train_options *parts) {
    hone_train_report a, b;
    hone_graph *g = mlp("16-12-5", data, 1), *h = mlp("16-12-5", data, 1), *start = mlp("16-12-5", data, 1);
    ok(hone_train(g, data, whole, &a, &err));
    ok(hone_train(h, data, parts, &b, &err));
    assert_int_equal(a.steps, b.steps);
    assert_true(fabs(a.loss - b.loss) < 1e-5 && fabs(a.metric.value - b.metric.value) < 0.011);
    assert_true(distance(g, start) > 0.01);
    assert_true(distance(g, h) < 2e-5);
    hone_graph_free(g);
    hone_graph_free(h);
    hone_graph_free(start);
}

/* 200 samples: the last step of an epoch has 8 of them, in one batch; or 60, of which the last batch has 4. */
static void test_as_one_batch(void **state) {
    (void)state;
    static const int sizes[][2] = {{8, 4}, {7, 10}, {64, 2}, {300, 3}, {1, 32}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        hone_train_options whole = options(sizes[i][0] * sizes[i][1], 1),
                           parts = options(sizes[i][0], sizes[i][1]);
        compare(&whole, &parts);
    }
}

static void test_with_all_that_follows(void **state) {
    (void)state;
    hone_train_options whole = options(32, 1), parts = options(8, 4);
    hone_train_options *const both[] = {&whole, &parts};
    for (int i = 0; i < 2; i++) {
        both[i]->optimizer = HONE_OPTIMIZER_SGD;
        both[i]->nesterov = true;
        both[i]->weight_decay = 0.01;
        both[i]->clip_norm = 0.5;
        both[i]->average = 0.9;
        both[i]->label_smoothing = 0.1;
    }
    compare(&whole, &parts);
}

/* Adapters are gathered as weights are. */
static void test_adapters(void **state) {
    (void)state;
    hone_train_options whole = options(32, 1), parts = options(8, 4);
    whole.lora_rank = parts.lora_rank = 2;
    whole.learning_rate = parts.learning_rate = 0.01;
    compare(&whole, &parts);
}

typedef struct stop {
    int64_t at;
} stop;

static bool stops(void *user, const hone_train_progress *p) {
    return p->step != ((const stop *)user)->at;
}

/* A run that is stopped goes on to the same bits; what it gathers is in no checkpoint. */
static void test_resuming(void **state) {
    (void)state;
    char dir[] = "ck";
    hone_train_options o = options(8, 4);
    hone_graph *g = mlp("16-12-5", data, 1), *h = mlp("16-12-5", data, 1);
    ok(hone_train(g, data, &o, NULL, &err));
    for (int64_t at = 2; at < 21; at += 5) {
        stop s = {at};
        hone_train_options first = o, second = o;
        hone_graph *part = mlp("16-12-5", data, 1);
        first.checkpoint_dir = second.resume_dir = second.checkpoint_dir = test_path(dir);
        first.progress = stops;
        first.user = &s;
        ok(hone_train(part, data, &first, NULL, &err));
        hone_graph *rest = mlp("16-12-5", data, 1);
        ok(hone_train(rest, data, &second, NULL, &err));
        assert_true(same_weights(g, rest));
        hone_graph_free(part);
        hone_graph_free(rest);
    }
    o.accumulate = 2;
    o.resume_dir = test_path(dir);
    refused(hone_train(h, data, &o, NULL, &err), HONE_FAILED_PRECONDITION, "batches a step");
    o.accumulate = 0;
    refused(hone_train(h, data, &o, NULL, &err), HONE_INVALID_ARGUMENT, "0 batches a step");
    hone_graph_free(g);
    hone_graph_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_one_batch),
                                       cmocka_unit_test(test_with_all_that_follows),
                                       cmocka_unit_test(test_adapters), cmocka_unit_test(test_resuming)};
    return cmocka_run_group_tests(tests, make_data, free_data);
}
