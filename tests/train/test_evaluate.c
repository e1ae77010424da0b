/* Running a classifier over a data set. */
#include "train/small.h"

#include "train/evaluate.h"

#include <math.h>

static void test_argmax(void **state) {
    (void)state;
    assert_int_equal(hone_argmax((float[]){1, 3, 2}, 3), 1);
    assert_int_equal(hone_argmax((float[]){2, 3, 3}, 3), 1); /* the first of equals */
    assert_int_equal(hone_argmax((float[]){-5}, 1), 0);
    assert_int_equal(hone_argmax((float[]){-INFINITY, -1}, 2), 1);
}

static void test_accuracy_and_loss(void **state) {
    (void)state;
    hone_dataset *d = blobs(613, 8, 4, 1);
    hone_graph *g = mlp("8-6-4", d, 1);
    hone_tensor *y = predict(g, d, 613);
    int64_t labels[613], correct = 0;
    double loss = 0;
    read_y(d, 0, 613, labels);
    for (int i = 0; i < 613; i++) {
        const float *row = (const float *)y->data + 4 * i;
        double sum = 0;
        int best = 0;
        for (int j = 0; j < 4; j++) {
            sum += exp(row[j]);
            if (row[j] > row[best]) best = j;
        }
        loss += log(sum) - row[labels[i]];
        correct += best == labels[i];
    }
    hone_eval_report r[3];
    for (int i = 0; i < 3; i++) {
        ok(hone_evaluate(g, d, NULL, 1 << i, &r[i], &err));
        assert_int_equal(r[i].samples, 613);
        assert_true(r[i].metrics[0].value == (double)correct / 613);
        assert_true(fabs(r[i].loss - loss / 613) < 1e-6);
        assert_true(r[i].loss == r[0].loss);
        assert_true(r[i].seconds >= 0 && r[i].seconds < 60);
    }
    hone_tensor_free(y);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* The second and third outputs are not the classifier's business. */
static void test_more_outputs(void **state) {
    (void)state;
    hone_dataset *d = blobs(300, 8, 4, 1);
    hone_graph *g = mlp("8-6-4", d, 1);
    hone_eval_report one, three;
    ok(hone_evaluate(g, d, NULL, 1, &one, &err));
    hone_graph_add_output(g, HONE_EMIT(g, "", "Relu", g->outputs[0]));
    hone_graph_add_output(g, HONE_EMIT(g, "", "Tanh", g->outputs[0]));
    ok(hone_graph_infer(g, &err));
    ok(hone_evaluate(g, d, NULL, 1, &three, &err));
    assert_true(one.loss == three.loss && one.metrics[0].value == three.metrics[0].value);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* Files made with one fixed batch: the last batch is filled up. */
static void test_fixed_batch(void **state) {
    (void)state;
    hone_dataset *d = blobs(301, 8, 4, 1);
    hone_graph *any = mlp("8-6-4", d, 1);
    hone_eval_report want, got;
    ok(hone_evaluate(any, d, NULL, 1, &want, &err));
    int64_t batches[] = {1, 7, 100, 400};
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        hone_graph *g = mlp("8-6-4", d, 1);
        for (size_t k = 0; k < g->value_count; k++)
            if (g->values[k]->storage == HONE_STORAGE_INTERMEDIATE) g->values[k]->type.rank = HONE_RANK_ANY;
        g->inputs[0]->type.dims[0] = batches[i];
        ok(hone_graph_infer(g, &err));
        ok(hone_evaluate(g, d, NULL, 1, &got, &err));
        assert_true(got.metrics[0].value == want.metrics[0].value && fabs(got.loss - want.loss) < 1e-6);
        hone_graph_free(g);
    }
    hone_graph_free(any);
    hone_dataset_free(d);
}

static void test_labels_beyond_the_outputs(void **state) {
    (void)state;
    hone_dataset *d = blobs(20, 8, 4, 1), *more = blobs(20, 8, 7, 1);
    hone_graph *g = mlp("8-4", d, 1);
    hone_eval_report r = {.samples = -1};
    refused(hone_evaluate(g, more, NULL, 1, &r, &err), HONE_INVALID_ARGUMENT, "but the model has 4 outputs");
    assert_int_equal(r.samples, -1);
    hone_graph_free(g);
    hone_dataset_free(d);
    hone_dataset_free(more);
}

static void test_no_classifier(void **state) {
    (void)state;
    hone_dataset *d = blobs(20, 8, 4, 1);
    hone_eval_report r;
    hone_graph *g = hone_graph_new("flat");
    hone_value *x = INPUT(g, 8);
    finished(g, HONE_EMIT(g, "", "ReduceSum", x));
    refused(hone_evaluate(g, d, NULL, 1, &r, &err), HONE_INVALID_ARGUMENT,
            "the first output must be float32 [batch, …]");
    hone_graph_free(g);
    g = hone_graph_new("two inputs");
    x = INPUT(g, 8);
    finished(g, HONE_EMIT(g, "", "Add", x, hone_graph_add_input(g, "more", &x->type)));
    refused(hone_evaluate(g, d, NULL, 1, &r, &err), HONE_INVALID_ARGUMENT,
            "which column of blobs (20 samples) feeds the model's input 'input', float32[batch, 8]? There "
            "are 'x', "
            "float32[8]; 'y', int64[]");
    hone_graph_free(g);
    g = hone_graph_new("wider");
    x = INPUT(g, 9);
    finished(g, HONE_EMIT(g, "", "Relu", x));
    refused(hone_evaluate(g, d, NULL, 1, &r, &err), HONE_INVALID_ARGUMENT,
            "the model's input 'input' is float32[batch, 9], but a sample of blobs (20 samples) is "
            "[8] (column 'x', float32)");
    hone_graph_free(g);
    hone_dataset_free(d);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_dataset *d = blobs(300, 8, 4, 1);
    hone_graph *g = mlp("8-6-4", d, 1);
    hone_eval_report want, r = {.samples = -1};
    ok(hone_evaluate(g, d, NULL, 1, &want, &err));
    FAIL_EACH_ALLOCATION(hone_evaluate(g, d, NULL, 1, &r, &err), assert_int_equal(r.samples, -1));
    assert_true(r.loss == want.loss);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* A model whose outputs are its inputs. */
static hone_graph *identity(int64_t values) {
    hone_graph *g = hone_graph_new("identity");
    hone_type type = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){hone_graph_symbol(g, "batch"), values});
    hone_graph_add_output(g, HONE_EMIT(g, "", "Identity", hone_graph_add_input(g, "x", &type)));
    ok(hone_graph_infer(g, &err));
    return g;
}

static hone_dataset *answers(int64_t n, int64_t values, const float *x, const int64_t *y) {
    hone_tensor *t[2];
    ok(hone_tensor_copy_of(HONE_FLOAT32, 2, (int64_t[]){n, values}, x, &t[0], &err));
    ok(hone_tensor_copy_of(HONE_INT64, 1, &n, y, &t[1], &err));
    return dataset_of("answers", t[0], t[1]);
}

static hone_status details_of(const hone_graph *g, const hone_dataset *d, const hone_eval_options *o,
                              hone_eval_report *r, hone_eval_details **out) {
    hone_model *m = NULL;
    hone_status status = hone_model_compile(g, NULL, &m, &err);
    *out = NULL;
    if (status == HONE_OK) status = hone_evaluate_details(m, d, NULL, o, r, out, &err);
    hone_model_free(m);
    return status;
}

static void test_details_of_classes(void **state) {
    (void)state;
    const float x[] = {3, 2, 1, /**/ 3, 2, 1, /**/ 1, 2, 3, /**/ 2, 3, 1, /**/ 2, 3, 1};
    const int64_t y[] = {0, 1, 2, 1, 0};
    hone_dataset *d = answers(5, 3, x, y);
    hone_graph *g = identity(3);
    hone_eval_options o = HONE_EVAL_OPTIONS_INIT;
    hone_eval_report r;
    hone_eval_details *e;
    o.top = 2;
    ok(details_of(g, d, &o, &r, &e));
    assert_memory_equal(e->confusion, ((int64_t[]){1, 1, 0, 1, 1, 0, 0, 0, 1}), 9 * sizeof(int64_t));
    assert_true(e->classes == 3 && e->top == 2 && e->top_accuracy == 1 && isnan(e->auc));
    assert_true(e->scores[0].precision == 0.5 && e->scores[0].recall == 0.5 && e->scores[0].f1 == 0.5);
    assert_true(e->scores[2].precision == 1 && e->scores[2].f1 == 1 && e->scores[2].samples == 1);
    assert_true(fabs(e->macro_f1 - 2.0 / 3) < 1e-15 && fabs(e->balanced_accuracy - 2.0 / 3) < 1e-15);
    hone_eval_details_free(e);
    o.top = 1;
    ok(details_of(g, d, &o, &r, &e));
    assert_true(e->top_accuracy == r.metrics[0].value && r.metrics[0].value == 0.6);
    hone_eval_details_free(e);
    o.top = 3;
    ok(details_of(g, d, &o, &r, &e));
    assert_int_equal(e->top, 0);
    hone_eval_details_free(e);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* Scores 1, 2, 2, 3 of the classes 0, 0, 1, 1: 3.5 of 4 pairs are in order. */
static void test_area_under_the_curve(void **state) {
    (void)state;
    hone_dataset *d = answers(4, 2, (float[]){0, 1, 0, 2, 1, 3, -1, 2}, (int64_t[]){0, 0, 1, 1});
    hone_graph *g = identity(2);
    hone_eval_report r;
    hone_eval_details *e;
    ok(details_of(g, d, NULL, &r, &e));
    assert_true(e->auc == 0.875);
    hone_eval_details_free(e);
    hone_dataset_free(d);
    d = answers(2, 2, (float[]){0, 1, 0, 2}, (int64_t[]){1, 1});
    ok(details_of(g, d, NULL, &r, &e));
    assert_true(isnan(e->auc) && isnan(e->scores[0].recall) && e->scores[1].recall == 1);
    hone_eval_details_free(e);
    hone_dataset_free(d);
    hone_graph_free(g);
}

typedef struct seen {
    int64_t samples;
    bool labels;
} seen;

static bool look(void *user, const hone_prediction *p) {
    seen *s = user;
    assert_int_equal(p->first, s->samples);
    s->samples += p->n;
    s->labels = p->labels != NULL;
    return s->samples < 1000;
}

static void test_predictions(void **state) {
    (void)state;
    hone_dataset *d = blobs(613, 8, 4, 1);
    hone_graph *g = mlp("8-6-4", d, 1);
    seen s = {0, false};
    hone_eval_options o = HONE_EVAL_OPTIONS_INIT;
    hone_eval_report r;
    hone_eval_details *e;
    o.prediction = look;
    o.user = &s;
    ok(details_of(g, d, &o, &r, &e));
    assert_true(s.samples == 613 && s.labels && e);
    hone_eval_details_free(e);
    s.samples = 1000;
    hone_dataset *x = NULL;
    hone_tensor *t = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){5, 8}, &t, &err));
    ok(hone_dataset_make(&(hone_named_tensor){"x", t}, 1, "unlabeled", &x, &err));
    hone_tensor_free(t);
    s.samples = 0;
    ok(details_of(g, x, &o, &r, &e));
    assert_true(s.samples == 5 && !s.labels && !e && r.samples == 5 && r.metric_count == 0);
    o.prediction = NULL;
    refused(details_of(g, x, &o, &r, &e), HONE_INVALID_ARGUMENT, "is the target");
    hone_dataset_free(x);
    hone_graph_free(g);
    hone_dataset_free(d);
}

static void test_answers_that_are_no_numbers(void **state) {
    (void)state;
    hone_dataset *d = answers(3, 2, (float[]){0, 1, 0, 2, NAN, 3}, (int64_t[]){0, 0, 1});
    hone_graph *g = identity(2);
    hone_eval_report r;
    refused(hone_evaluate(g, d, NULL, 1, &r, &err), HONE_INVALID_ARGUMENT,
            "column 'x' has a value in sample 2 that is no number");
    hone_graph_free(g);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_argmax),
        cmocka_unit_test(test_accuracy_and_loss),
        cmocka_unit_test(test_more_outputs),
        cmocka_unit_test(test_fixed_batch),
        cmocka_unit_test(test_labels_beyond_the_outputs),
        cmocka_unit_test(test_no_classifier),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_details_of_classes),
        cmocka_unit_test(test_area_under_the_curve),
        cmocka_unit_test(test_predictions),
        cmocka_unit_test(test_answers_that_are_no_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
