/* Weights of few different numbers: how many, near to what they were, trained; zeros stay. */
#include "train/small.h"

#include <hone/compress.h>
#include <math.h>

enum { FEATURES = 20, SAMPLES = 300 };
SHARED_BLOBS(SAMPLES, FEATURES, 4)

static hone_quantize_options clusters(int count) {
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    o.mode = HONE_QUANTIZE_CLUSTERS;
    o.clusters = count;
    o.threads = 1;
    return o;
}

/* Different numbers of a weight, zero not among them. */
static int kinds_of(const hone_tensor *t) {
    float seen[300];
    int count = 0;
    for (int64_t i = 0; i < t->count; i++) {
        const float x = ((const float *)t->data)[i];
        bool found = x == 0;
        for (int k = 0; k < count && !found; k++) found = seen[k] == x;
        if (!found && count < 300) seen[count++] = x;
    }
    return count;
}

static double error_of(const hone_tensor *a, const hone_tensor *b) {
    double off = 0, size = 0;
    for (int64_t i = 0; i < a->count; i++) {
        const double x = ((const float *)a->data)[i], y = ((const float *)b->data)[i];
        off += (x - y) * (x - y);
        size += x * x;
    }
    return sqrt(off / size);
}

static void test_numbers(void **state) {
    (void)state;
    hone_graph *g = mlp("20-40-4", data, 1);
    double last = 1;
    for (int count = 2; count <= 64; count *= 2) {
        const hone_quantize_options o = clusters(count);
        hone_quantize_report r;
        hone_graph *q = NULL;
        ok(hone_quantize(g, data, &o, &q, &r, &err));
        const hone_tensor *w = weight_of(q, "layer1.weight");
        assert_true(kinds_of(w) <= count && kinds_of(w) > count / 2);
        const double error = error_of(weight_of(g, "layer1.weight"), w);
        if (!(error < 1.3 / count && error < last)) fail_msg("%d clusters: off by %g", count, error);
        last = error;
        assert_true(r.quantized_nodes >= 1);
        assert_true(same_tensor(weight_of(g, "layer2.bias"),
                                weight_of(q, "layer2.bias"))); /* 4 numbers: not worth it */
        hone_graph_free(q);
    }
    hone_graph_free(g);
}

static double loss_of(const hone_graph *g) {
    hone_eval_report r;
    ok(hone_evaluate(g, data, NULL, 1, &r, &err));
    return r.loss;
}

/* Zeros stay, members of a cluster stay together, and the numbers that they share are learned. */
static void test_training(void **state) {
    (void)state;
    hone_graph *g = mlp("20-40-4", data, 1), *sparse = NULL, *plain = NULL, *trained = NULL;
    hone_train_options t = HONE_TRAIN_OPTIONS_INIT;
    t.epochs = 20;
    t.batch = 20;
    t.threads = 1;
    ok(hone_train(g, data, &t, NULL, &err));
    hone_prune_options p = HONE_PRUNE_OPTIONS_INIT;
    p.sparsity = 0.6;
    p.finetune.epochs = 3;
    p.finetune.batch = 20;
    p.finetune.threads = 1;
    ok(hone_prune(g, data, &p, &sparse, NULL, &err));
    hone_quantize_options o = clusters(3);
    ok(hone_quantize(sparse, data, &o, &plain, NULL, &err));
    hone_train_options finetune = HONE_FINETUNE_OPTIONS_INIT(5);
    finetune.batch = 20;
    finetune.threads = 1;
    o.finetune = &finetune;
    ok(hone_quantize(sparse, data, &o, &trained, NULL, &err));
    const hone_tensor *w = weight_of(sparse, "layer1.weight"), *a = weight_of(plain, "layer1.weight"),
                      *b = weight_of(trained, "layer1.weight");
    assert_true(kinds_of(a) <= 3 && kinds_of(b) <= 3);
    assert_false(same_tensor(a, b));
    for (int64_t i = 0; i < w->count; i++) {
        assert_true((((float *)w->data)[i] == 0) == (((float *)a->data)[i] == 0));
        assert_true((((float *)w->data)[i] == 0) == (((float *)b->data)[i] == 0));
        for (int64_t k = 0; k < i; k++)
            if (((float *)a->data)[i] == ((float *)a->data)[k])
                assert_true(((float *)b->data)[i] == ((float *)b->data)[k]);
    }
    if (!(loss_of(trained) < loss_of(plain)))
        fail_msg("loss %g, trained %g", loss_of(plain), loss_of(trained));
    hone_graph_free(trained);
    hone_graph_free(plain);
    hone_graph_free(sparse);
    hone_graph_free(g);
}

static void test_refused(void **state) {
    (void)state;
    hone_graph *g = mlp("20-40-4", data, 1), *q = NULL;
    hone_quantize_options o = clusters(1);
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT,
            "1 clusters: there are 2 to 256");
    o = clusters(256);
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_UNSUPPORTED, "nothing in the model");
    o = clusters(8);
    o.equalize = true;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_INVALID_ARGUMENT, "clusters have no use");
    o = clusters(8);
    ((float *)hone_graph_find(g, "layer1.weight")->data->data)[5] = NAN;
    refused(hone_quantize(g, data, &o, &q, NULL, &err), HONE_OUT_OF_RANGE, "layer1.weight");
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_training),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, make_data, free_data);
}
