/* Low-rank adaptation: the weights stay, two factors of each are trained, and their product is added in the end. */
#include "train/small.h"

#include "runtime/model.h"
#include "train/bake.h"
#include "train/lora.h"

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

static hone_training derived(const hone_graph *g, const hone_train_options *o, const hone_lora *l) {
    hone_training t = {NULL};
    hone_derivation d = {.model = g,
                         .options = o,
                         .parametrizations = l->items,
                         .parametrization_count = l->count,
                         .only_parametrized = true};
    ok(hone_objective_find("cross-entropy", &d.objective, &err));
    ok(hone_derive_training(&d, &t, &err));
    return t;
}

/* Some steps over the first samples. */
static void take_steps(const hone_graph *training, hone_variables *variables, int steps) {
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_tensor *x, *rate, *y;
    const hone_tensor *outputs[2];
    ok(hone_model_compile_shared(training, NULL, variables, &m, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){32, 16}, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, (int64_t[]){32}, &y, &err));
    ok(hone_tensor_copy_of(HONE_FLOAT32, 0, NULL, &(float){0.1f}, &rate, &err));
    read_x(data, 0, 32, x->data);
    read_y(data, 0, 32, y->data);
    for (int i = 0; i < steps; i++)
        ok(hone_context_run(c, (const hone_tensor *[]){x, rate, y}, outputs, &err));
    hone_tensor_free(x);
    hone_tensor_free(y);
    hone_tensor_free(rate);
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
}

/* What is written back is W + alpha/rank A B of the factors that were trained. */
static void test_the_merged_weight(void **state) {
    (void)state;
    hone_graph *g = mlp("16-12-5", data, 1), *before = copy_of(g);
    hone_train_options o = options(2);
    hone_variables *variables = hone_variables_new();
    hone_baker *baker = NULL;
    hone_lora l;
    ok(hone_lora_make(g, &o, &l, &err));
    assert_int_equal(l.count, 2);
    hone_training t = derived(g, &o, &l);
    assert_int_equal(t.graph->binding_count, 8); /* two factors of two weights, and a momentum each */
    take_steps(t.graph, variables, 5);
    assert_null(hone_variables_get(variables, "layer1.weight"));
    assert_null(hone_variables_get(variables, "layer1.bias"));
    ok(hone_baker_new(&t, l.items, l.count, variables, 1, &baker, &err));
    hone_tensor **learned = hone_calloc(g->value_count, sizeof(hone_tensor *));
    ok(hone_bake(baker, g, learned, &err));
    int changed = 0;
    for (size_t i = 0; i < g->value_count; i++) {
        if (!learned[i]) continue;
        const char *name = g->values[i]->name;
        const hone_tensor *w = weight_of(g, name);
        char text[64];
        snprintf(text, sizeof text, "%s.lora_a", name);
        const hone_tensor *a = hone_variables_get(variables, text);
        snprintf(text, sizeof text, "%s.lora_b", name);
        const hone_tensor *b = hone_variables_get(variables, text);
        assert_true(a && b && a->dims[1] == 2 && b->dims[0] == 2);
        for (int64_t r = 0; r < w->dims[0]; r++)
            for (int64_t c = 0; c < w->dims[1]; c++) {
                double want = ((const float *)w->data)[r * w->dims[1] + c];
                for (int k = 0; k < 2; k++)
                    want += 1.5 * ((const float *)a->data)[2 * r + k] *
                            ((const float *)b->data)[k * w->dims[1] + c];
                assert_true(fabs(((const float *)learned[i]->data)[r * w->dims[1] + c] - want) < 1e-6);
            }
        assert_false(same_tensor(learned[i], w));
        changed++;
        hone_tensor_free(learned[i]);
    }
    assert_int_equal(changed, 2);
    assert_true(same_weights(g, before)); /* all of it was read only */
    hone_free(learned);
    hone_baker_free(baker);
    hone_variables_free(variables);
    hone_training_free(&t);
    hone_lora_free(&l);
    hone_graph_free(before);
    hone_graph_free(g);
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
    assert_null(hone_graph_initializer(g, "layer1.weight.lora_a"));
    hone_graph_free(g);
    hone_graph_free(start);
}

typedef struct stop {
    int64_t at;
    const hone_graph *start;
    bool changed; /* the model of an epoch's end has the merged weights */
} stop;

static bool stop_at(void *user, const hone_train_progress *p) {
    stop *s = user;
    if (p->graph)
        s->changed = !same_tensor(weight_of(p->graph, "layer1.weight"), weight_of(s->start, "layer1.weight"));
    return p->step != s->at;
}

static void test_resuming_with_adapters(void **state) {
    (void)state;
    hone_graph *start = mlp("16-12-5", data, 1), *whole = copy_of(start), *g = copy_of(start);
    hone_train_options o = options(3);
    stop s = {11, start, false};
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
