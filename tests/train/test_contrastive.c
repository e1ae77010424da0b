/* The objectives contrastive and info-nce: their losses in double, what they measure, and that they learn. */
#include "train/small.h"

#include "train/objective.h"

#include <math.h>

enum { N = 7, D = 5 };

static const hone_objective *named(const char *name) {
    const hone_objective *o = NULL;
    ok(hone_objective_find(name, &o, &err));
    return o;
}

static double cosine(const float *a, const float *b) {
    double ab = 0, aa = 0, bb = 0;
    for (int i = 0; i < D; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

static void random_vectors(float *x, uint64_t seed) {
    hone_rng rng = hone_rng_make(seed, 1);
    for (int i = 0; i < N * D; i++) x[i] = 2 * hone_rng_uniform(&rng) - 1;
}

static const int64_t labels[N] = {4, -1, 4, 9, -1, 4, 7}; /* 9 and 7 are alone */

/* By the formula, sample by sample. */
static double supervised(const float (*z)[D], int i) {
    double all = 0, sum = 0;
    int positives = 0;
    for (int a = 0; a < N; a++)
        if (a != i) all += exp(cosine(z[i], z[a]) / 0.1);
    for (int p = 0; p < N; p++) {
        if (p == i || labels[p] != labels[i]) continue;
        sum -= log(exp(cosine(z[i], z[p]) / 0.1) / all);
        positives++;
    }
    return positives ? sum / positives : 0;
}

static double paired(const float (*z)[D], const float (*t)[D], int i) {
    double row = 0, column = 0, own = exp(cosine(z[i], t[i]) / 0.1);
    for (int k = 0; k < N; k++) {
        row += exp(cosine(z[i], t[k]) / 0.1);
        column += exp(cosine(z[k], t[i]) / 0.1);
    }
    return (-log(own / row) - log(own / column)) / 2;
}

static void test_losses(void **state) {
    (void)state;
    float z[N][D], t[N][D];
    double wanted[2] = {0};
    random_vectors(z[0], 3);
    random_vectors(t[0], 4);
    for (int i = 0; i < N; i++) {
        wanted[0] += supervised(z, i);
        wanted[1] += paired(z, t, i);
    }
    const void *targets[] = {labels, t};
    static const char *const names[] = {"contrastive", "info-nce"};
    for (int k = 0; k < 2; k++) {
        hone_tally tally = {0};
        hone_answers a = {z[0], targets[k], N, D, k ? D : 1, D};
        named(names[k])->add(&tally, &a);
        assert_true(fabs(tally.loss - wanted[k]) < 1e-6);
    }
}

/* The loss of the training graph is evaluation's. */
static void test_one_loss(void **state) {
    (void)state;
    hone_dataset *d = blobs(60, 8, 4, 3);
    hone_tensor *vectors = NULL, *x = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){60, 64}, &vectors, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){60, 8}, &x, &err));
    hone_rng rng = hone_rng_make(1, 1);
    for (int i = 0; i < 60 * 64; i++) ((float *)vectors->data)[i] = hone_rng_uniform(&rng) - 0.5f;
    read_x(d, 0, 60, x->data);
    hone_dataset *pairs = dataset_of("pairs", x, vectors);
    const hone_dataset *data[] = {d, pairs};
    static const char *const names[] = {"contrastive", "info-nce"};
    for (int k = 0; k < 2; k++) {
        hone_graph *g = NULL;
        hone_build_options b = HONE_BUILD_OPTIONS_INIT;
        hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
        hone_train_report r;
        hone_eval_report e;
        b.task.objective = o.task.objective = names[k];
        ok(hone_build_model("mlp:16", data[k], &b, &g, &err));
        assert_int_equal(g->outputs[0]->type.dims[1], 64);
        ok(hone_evaluate(g, data[k], &o.task, 1, &e, &err));
        o.batch = 60;
        o.epochs = 1;
        o.threads = 1;
        ok(hone_train(g, data[k], &o, &r, &err));
        if (!(fabs(r.loss - e.loss) < 1e-4 && e.loss > 0.1)) fail_msg("%s: %g, %g", names[k], r.loss, e.loss);
        assert_true(fabs(r.metric.value - e.metrics[0].value) < 1e-9);
        hone_graph_free(g);
    }
    hone_dataset_free(d);
    hone_dataset_free(pairs);
}

/* Vectors of five classes come to lie by class; a network finds the vectors of another one. */
static void test_they_learn(void **state) {
    (void)state;
    hone_dataset *d = blobs(200, 6, 5, 9);
    hone_graph *g = NULL;
    hone_build_options b = HONE_BUILD_OPTIONS_INIT;
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    hone_eval_report before, after;
    b.task.objective = o.task.objective = "contrastive";
    ok(hone_build_model("mlp:16", d, &b, &g, &err));
    ok(hone_evaluate(g, d, &o.task, 1, &before, &err));
    o.optimizer = HONE_OPTIMIZER_ADAMW;
    o.learning_rate = 0.01;
    o.batch = 50;
    o.threads = 1;
    ok(hone_train(g, d, &o, NULL, &err));
    ok(hone_evaluate(g, d, NULL, 1, &after, &err));
    assert_string_equal(after.objective, "contrastive");
    assert_true(after.metrics[0].value > 0.98 && after.loss < before.loss - 0.2);
    hone_graph_free(g);
    hone_dataset_free(d);
}

static bool look(void *user, const hone_prediction *p) {
    assert_true(!p->labels && !p->numbers && p->size == 64);
    *(int64_t *)user += p->n;
    return true;
}

/* Labels are no classes of the output: nobody counts them as such. */
static void test_details(void **state) {
    (void)state;
    hone_dataset *d = blobs(30, 6, 5, 9);
    hone_graph *g = NULL;
    hone_model *m = NULL;
    hone_build_options b = HONE_BUILD_OPTIONS_INIT;
    hone_eval_options e = HONE_EVAL_OPTIONS_INIT;
    hone_eval_report r;
    hone_eval_details *details = NULL;
    int64_t seen = 0;
    b.task.objective = "contrastive";
    ok(hone_build_model("mlp:16", d, &b, &g, &err));
    ok(hone_model_compile(g, NULL, &m, &err));
    e.prediction = look;
    e.user = &seen;
    ok(hone_evaluate_details(m, d, &b.task, &e, &r, &details, &err));
    assert_true(seen == 30 && details->classes == 0);
    hone_eval_details_free(details);
    hone_model_free(m);
    hone_graph_free(g);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_losses), cmocka_unit_test(test_one_loss),
                                       cmocka_unit_test(test_they_learn), cmocka_unit_test(test_details)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
