/* The objective ctc: what networks of it look like, what is measured, and that they learn. */
#include "train/small.h"

#include "train/objective_ctc.h"

#include <math.h>

static const hone_objective *ctc(void) {
    const hone_objective *o = NULL;
    ok(hone_objective_find("ctc", &o, &err));
    return o;
}

/* --- reading --- */

static void test_reading(void **state) {
    (void)state;
    /* places: a a - a b b - - c, as the largest of four */
    static const int classes[] = {1, 1, 0, 1, 2, 2, 0, 0, 3};
    float x[9 * 4] = {0};
    int64_t out[9];
    for (int t = 0; t < 9; t++) x[4 * t + classes[t]] = 1;
    assert_int_equal(hone_ctc_read(x, 9, 4, out), 4);
    static const int64_t wanted[] = {1, 1, 2, 3};
    assert_memory_equal(out, wanted, sizeof wanted);
    assert_int_equal(hone_ctc_read(x + 8, 1, 4, out), 0);
}

/* --- measures --- */

/* [places, classes] that say these symbols for sure. */
static void say(float *x, int places, int classes, const int *symbols, int n) {
    for (int i = 0; i < places * classes; i++) x[i] = 0;
    for (int t = 0; t < places; t++) x[t * classes + (t % 2 || t / 2 >= n ? 0 : symbols[t / 2])] = 30;
}

static void test_error_rates(void **state) {
    (void)state;
    enum { PLACES = 12, CLASSES = 5, MOST = 6 };
    static const int said[3][5] = {{2, 1, 3, 2, 4}, {2, 2, 2, 2, 0}, {3, 0, 0, 0, 0}};
    static const int counts[] = {5, 4, 1};
    static const int64_t meant[3][MOST] = {
        {2, 1, 3, 2, 4, -1}, /* right */
        {2, 1, 2, 1, 2, 3},  /* "2222" for "2 2 23": two separators are missing, one symbol is another */
        {-1, -1, -1, -1, -1, -1}};
    float x[3 * PLACES * CLASSES];
    for (int i = 0; i < 3; i++) say(x + i * PLACES * CLASSES, PLACES, CLASSES, said[i], counts[i]);
    hone_answers a = {x, meant, 3, PLACES * CLASSES, MOST, CLASSES};
    hone_tally t = {.separator = 1};
    hone_metric more[2];
    ctc()->add(&t, &a);
    assert_true(t.reached == 0 + 3 + 1 && t.weight == 5 + 6);
    assert_int_equal(ctc()->more(&t, a.size, more), 1);
    assert_string_equal(more[0].name, "word_error_rate");
    /* "2", "324" are right; one word for three; one for none */
    assert_true(fabs(more[0].value - (0.0 + 3 + 1) / (2 + 3)) < 1e-12);
    /* rates of samples: 0, 3/6, and 1 for something where nothing is meant */
    assert_true(fabs(ctc()->score(&a) - (3.0 / 6 + 1)) < 1e-12);
    t = (hone_tally){0};
    ctc()->add(&t, &a);
    assert_int_equal(ctc()->more(&t, a.size, more), 0);
}

/* --- training --- */

enum { N = 240, TIME = 16, FEATURES = 4, MOST = 4 };

/* One to four symbols of 1 … 3, each as two or three places with its feature up, and one or two without. */
static hone_dataset *sequences(void) {
    hone_tensor *x = NULL, *y = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 3, (int64_t[]){N, TIME, FEATURES}, &x, &err));
    ok(hone_tensor_new(HONE_INT32, 2, (int64_t[]){N, MOST}, &y, &err));
    hone_rng rng = hone_rng_make(3, 1);
    for (int i = 0; i < N; i++) {
        float *to = (float *)x->data + (int64_t)i * TIME * FEATURES;
        int32_t *symbols = (int32_t *)y->data + (int64_t)i * MOST;
        for (int k = 0; k < TIME * FEATURES; k++) to[k] = 0.2f * hone_rng_uniform(&rng);
        int at = 0, n = 1 + (int)hone_rng_below(&rng, MOST);
        for (int s = 0; s < MOST; s++) {
            symbols[s] = -1;
            int longest = 2 + (int)hone_rng_below(&rng, 2), pause = 1 + (int)hone_rng_below(&rng, 2);
            if (s >= n || at + longest > TIME) continue;
            symbols[s] = 1 + (int32_t)hone_rng_below(&rng, 3);
            for (int k = 0; k < longest; k++) to[at++ * FEATURES + symbols[s]] += 1;
            at += pause;
        }
        for (int s = 0; s < MOST; s++)
            if (symbols[s] < 0)
                for (int r = s; r < MOST; r++) symbols[r] = -1;
    }
    return dataset_of("sequences", x, y);
}

static hone_graph *built(const char *spec, const hone_dataset *d, const char *objective) {
    hone_graph *g = NULL;
    hone_build_options o = HONE_BUILD_OPTIONS_INIT;
    o.task.objective = objective;
    o.seed = 2;
    ok(hone_build_model(spec, d, &o, &g, &err));
    return g;
}

static hone_train_options options(void) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.optimizer = HONE_OPTIMIZER_ADAMW;
    o.learning_rate = 0.02;
    o.batch = 20;
    o.epochs = 12;
    o.threads = 1;
    o.task.objective = "ctc";
    return o;
}

static void test_it_learns(void **state) {
    (void)state;
    hone_dataset *d = sequences();
    static const char *const specs[] = {"gru:12b", "lstm:12"};
    for (int i = 0; i < 2; i++) {
        hone_graph *g = built(specs[i], d, "ctc");
        hone_train_options o = options();
        hone_eval_report before, after;
        hone_train_report r;
        assert_true(g->outputs[0]->type.rank == 3 && g->outputs[0]->type.dims[1] == TIME &&
                    g->outputs[0]->type.dims[2] == 4);
        ok(hone_evaluate(g, d, &(hone_task){.objective = "ctc"}, 1, &before, &err));
        ok(hone_train(g, d, &o, &r, &err));
        ok(hone_evaluate(g, d, NULL, 1, &after, &err)); /* the model knows what it is for */
        assert_string_equal(after.objective, "ctc");
        assert_string_equal(after.metrics[0].name, "character_error_rate");
        if (!(after.metrics[0].value < 0.05 && after.loss < before.loss / 10))
            fail_msg("%s: %g, loss %g", specs[i], after.metrics[0].value, after.loss);
        assert_int_equal(after.metric_count, 1);
        hone_graph_free(g);
    }
    hone_dataset_free(d);
}

/* The loss of the first step is what evaluation makes of the same samples. */
static void test_one_loss(void **state) {
    (void)state;
    hone_dataset *d = sequences();
    hone_graph *g = built("gru:6", d, "ctc");
    hone_train_options o = options();
    hone_train_report r;
    hone_eval_report e;
    ok(hone_evaluate(g, d, &o.task, 1, &e, &err));
    o.batch = N;
    o.epochs = 1;
    ok(hone_train(g, d, &o, &r, &err));
    assert_true(fabs(r.loss - e.loss) < 1e-5 && r.loss > 0.5);
    hone_graph_free(g);
    hone_dataset_free(d);
}

static void test_refusals(void **state) {
    (void)state;
    hone_dataset *d = sequences();
    hone_graph *g = NULL;
    hone_build_options o = HONE_BUILD_OPTIONS_INIT;
    o.task.objective = "ctc";
    refused(hone_build_model("mlp:8", d, &o, &g, &err), HONE_INVALID_ARGUMENT,
            "one answer for a sample; gru:96b");
    g = built("gru:6", d, "ctc");
    static const int64_t bad[] = {1, 0, 2, 9};
    hone_answers a = {NULL, bad, 1, -1, 4, 4};
    refused(ctc()->check(&a, 4, &err), HONE_INVALID_ARGUMENT, "symbol 0, which stands for the blank");
    a.target = bad + 2;
    refused(ctc()->check(&a, 2, &err), HONE_INVALID_ARGUMENT, "symbol 9, but the model has 4 classes");
    static const int64_t long_ones[] = {1, 2, 2, 3, 3, -1, 1, 2, 3, -1};
    a = (hone_answers){NULL, long_ones, 2, 6 * 4, 5, 4}; /* six places */
    refused(ctc()->check(&a, 5, &err), HONE_INVALID_ARGUMENT,
            "a sequence of 5 symbols needs 7 places, but the model has 6");
    a.size = 7 * 4;
    ok(ctc()->check(&a, 5, &err));
    hone_train_options t = options();
    t.label_smoothing = 0.1;
    refused(hone_train(g, d, &t, NULL, &err), HONE_INVALID_ARGUMENT, "label smoothing");
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* --- what is said --- */

typedef struct seen {
    int samples, right;
} seen;

static bool look(void *user, const hone_prediction *p) {
    seen *s = user;
    assert_non_null(p->said);
    assert_true(p->places == TIME && p->symbol_count == MOST && p->first == s->samples);
    for (int64_t i = 0; i < p->n; i++) {
        bool same = true;
        for (int k = 0; k < MOST; k++) same = same && p->said[i * TIME + k] == p->symbols[i * MOST + k];
        s->right += same && p->said[i * TIME + MOST] < 0;
        s->samples++;
    }
    return true;
}

static void test_predictions(void **state) {
    (void)state;
    hone_dataset *d = sequences();
    hone_graph *g = built("gru:12b", d, "ctc");
    hone_train_options o = options();
    hone_model *m = NULL;
    hone_eval_options e = HONE_EVAL_OPTIONS_INIT;
    hone_eval_report r;
    hone_eval_details *details = NULL;
    seen s = {0};
    ok(hone_train(g, d, &o, NULL, &err));
    ok(hone_model_compile(g, NULL, &m, &err));
    e.prediction = look;
    e.user = &s;
    ok(hone_evaluate_details(m, d, NULL, &e, &r, &details, &err));
    assert_int_equal(s.samples, N);
    assert_true(s.right > N * 9 / 10);
    hone_eval_details_free(details);
    hone_model_free(m);
    hone_graph_free(g);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reading),   cmocka_unit_test(test_error_rates),
                                       cmocka_unit_test(test_it_learns), cmocka_unit_test(test_one_loss),
                                       cmocka_unit_test(test_refusals),  cmocka_unit_test(test_predictions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
