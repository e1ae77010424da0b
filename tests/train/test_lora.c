/* Low-rank adaptation: the weights stay, two factors of each are trained, and their product is added in the end. */
#include "train/small.h"

#include <hone/adapter.h>

#include <math.h>

SHARED_BLOBS(200, 16, 5)

static hone_train_options options(int rank) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = 4;
    o.batch = 32;
    o.learning_rate = 0.03;
    o.threads = 1;
    o.lora_rank = rank;
    o.lora_alpha = 3;
    return o;
}

/* Apart, the graph has A and B beside its weights; merged it has W + alpha/rank (B A) transposed, and nothing else is
 * changed. */
static void test_the_merged_weight(void **state) {
    (void)state;
    hone_graph *before = mlp("16-12-5", data, 1), *apart = copy_of(before), *merged = copy_of(before);
    hone_train_options o = options(2);
    ok(hone_train(merged, data, &o, NULL, &err));
    o.lora_apart = true;
    ok(hone_train(apart, data, &o, NULL, &err));
    assert_int_equal(hone_adapter_count(apart), 2);
    assert_int_equal(hone_adapter_count(merged), 0);
    assert_null(hone_graph_initializer(merged, "layer1.lora_A.weight"));
    const char *const layers[] = {"layer1", "layer2"};
    for (int i = 0; i < 2; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.weight", layers[i]);
        const hone_tensor *w = weight_of(before, name), *now = weight_of(merged, name);
        assert_true(same_tensor(weight_of(apart, name), w));
        assert_false(same_tensor(now, w));
        snprintf(name, sizeof name, "%s.lora_A.weight", layers[i]);
        const hone_tensor *a = weight_of(apart, name);
        snprintf(name, sizeof name, "%s.lora_B.weight", layers[i]);
        const hone_tensor *b = weight_of(apart, name);
        const int64_t in = w->dims[0], out = w->dims[1];
        assert_true(a->dims[0] == 2 && a->dims[1] == in && b->dims[0] == out && b->dims[1] == 2);
        for (int64_t r = 0; r < in; r++)
            for (int64_t c = 0; c < out; c++) {
                double want = ((const float *)w->data)[r * out + c];
                for (int k = 0; k < 2; k++)
                    want += 1.5 * ((const float *)a->data)[k * in + r] * ((const float *)b->data)[c * 2 + k];
                assert_true(fabs(((const float *)now->data)[r * out + c] - want) < 1e-6);
            }
        snprintf(name, sizeof name, "%s.bias", layers[i]);
        assert_true(same_tensor(weight_of(merged, name), weight_of(before, name)));
    }
    ok(hone_adapter_merge(apart, NULL, &err));
    assert_true(same_weights(apart, merged));
    hone_graph_free(before);
    hone_graph_free(apart);
    hone_graph_free(merged);
}

/* The rank of the difference of two matrices, by elimination with the largest pivot. */
static int rank_of_change(const hone_tensor *a, const hone_tensor *b) {
    int64_t rows = a->dims[0], columns = a->dims[1];
    double *m = hone_alloc((size_t)a->count * sizeof *m);
    int rank = 0;
    for (int64_t i = 0; i < a->count; i++)
        m[i] = (double)((const float *)a->data)[i] - (double)((const float *)b->data)[i];
    for (;; rank++) {
        int64_t best = 0;
        for (int64_t i = 0; i < a->count; i++)
            if (fabs(m[i]) > fabs(m[best])) best = i;
        if (fabs(m[best]) < 1e-5) break;
        int64_t r = best / columns, c = best % columns;
        double pivot = m[best];
        for (int64_t i = 0; i < rows; i++) {
            double share = i == r ? 0 : m[i * columns + c] / pivot;
            for (int64_t j = 0; j < columns; j++) m[i * columns + j] -= share * m[r * columns + j];
        }
        for (int64_t j = 0; j < columns; j++) m[r * columns + j] = 0;
    }
    hone_free(m);
    return rank;
}

static void test_training_with_adapters(void **state) {
    (void)state;
    hone_graph *start = mlp("16-12-5", data, 1);
    hone_train_options o = options(2);
    hone_train_report r;
    hone_eval_report first, last;
    o.epochs = 60;
    hone_graph *g = copy_of(start);
    ok(hone_evaluate(g, data, NULL, 1, &first, &err));
    ok(hone_train(g, data, &o, &r, &err));
    ok(hone_evaluate(g, data, NULL, 1, &last, &err));
    assert_true(last.loss < first.loss / 2 && last.metrics[0].value > 0.75);
    assert_int_equal(rank_of_change(weight_of(g, "layer1.weight"), weight_of(start, "layer1.weight")), 2);
    assert_int_equal(rank_of_change(weight_of(g, "layer2.weight"), weight_of(start, "layer2.weight")), 2);
    assert_true(same_tensor(weight_of(g, "layer1.bias"), weight_of(start, "layer1.bias")));
    assert_null(hone_graph_initializer(g, "layer1.lora_A.weight"));
    hone_graph_free(g);
    hone_graph_free(start);
}

typedef struct stop {
    int64_t at;
    bool changed; /* the model of an epoch's end has what was learned */
} stop;

static bool stop_at(void *user, const hone_train_progress *p) {
    stop *s = user;
    if (p->graph) {
        const hone_tensor *b = weight_of(p->graph, "layer1.lora_B.weight");
        for (int64_t i = 0; i < b->count; i++) s->changed |= ((const float *)b->data)[i] != 0;
    }
    return p->step != s->at;
}

static void test_resuming_with_adapters(void **state) {
    (void)state;
    hone_graph *start = mlp("16-12-5", data, 1), *whole = copy_of(start), *g = copy_of(start);
    hone_train_options o = options(3);
    stop s = {11, false};
    ok(hone_train(whole, data, &o, NULL, &err));
    o.checkpoint_dir = test_path("ck");
    o.progress = stop_at;
    o.user = &s;
    ok(hone_train(g, data, &o, NULL, &err));
    assert_true(s.changed);
    hone_graph_free(g);
    g = copy_of(start);
    o.resume_dir = o.checkpoint_dir;
    o.checkpoint_dir = NULL;
    o.progress = NULL;
    ok(hone_train(g, data, &o, NULL, &err));
    assert_true(same_weights(g, whole));
    o.lora_rank = 2;
    refused(hone_train(g, data, &o, NULL, &err), HONE_FAILED_PRECONDITION, "adapters of rank 3, not 2");
    o.lora_rank = 0;
    refused(hone_train(g, data, &o, NULL, &err), HONE_FAILED_PRECONDITION, "adapters of rank 3, not 0");
    hone_graph_free(g);
    hone_graph_free(whole);
    hone_graph_free(start);
}

static void test_what_is_refused(void **state) {
    (void)state;
    hone_graph *g = mlp("16-5", data, 1), *flat = hone_graph_new("flat"), *before = copy_of(g);
    hone_train_options o = options(-1);
    refused(hone_train(g, data, &o, NULL, &err), HONE_INVALID_ARGUMENT, "adapters of rank -1");
    o.lora_rank = 2;
    o.lora_alpha = NAN;
    refused(hone_train(g, data, &o, NULL, &err), HONE_INVALID_ARGUMENT, "alpha nan");
    finished(flat, HONE_EMIT(flat, "", "Relu", INPUT(flat, 16)));
    o.lora_alpha = 1;
    refused(hone_train(flat, data, &o, NULL, &err), HONE_INVALID_ARGUMENT, "no trainable matrix to adapt");
    o.epochs = 1;
    FAIL_EACH_ALLOCATION(hone_train(g, data, &o, NULL, &err), assert_true(same_weights(g, before)));
    assert_false(same_weights(g, before));
    hone_graph_free(g);
    hone_graph_free(before);
    hone_graph_free(flat);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_merged_weight),
        cmocka_unit_test(test_training_with_adapters),
        cmocka_unit_test(test_resuming_with_adapters),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
