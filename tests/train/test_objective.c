/* Objectives: each one's loss and its gradient against double precision, its metrics, and targets that can't be. */
#include "train/small.h"

#include "runtime/model.h"
#include "train/derive.h"

#include <math.h>

enum { N = 7, IN = 4, OUT = 3 };

/* y = x w + b, and what it is compared with */
typedef struct problem {
    float x[N * IN], target[N * OUT];
    int64_t labels[N];
    double w[IN * OUT], b[OUT];
} problem;

static problem random_problem(const char *objective, uint64_t seed) {
    problem p;
    hone_rng rng = hone_rng_make(seed, 3);
    bool shares = strcmp(objective, "binary-cross-entropy") == 0;
    for (int i = 0; i < N * IN; i++) p.x[i] = 4 * hone_rng_uniform(&rng) - 2;
    for (int i = 0; i < N; i++) p.labels[i] = hone_rng_below(&rng, OUT);
    for (int i = 0; i < N * OUT; i++) {
        float u = hone_rng_uniform(&rng);
        p.target[i] = !shares ? 6 * u - 3 : u < 0.3f ? 0 : u > 0.7f ? 1 : u;
    }
    for (int i = 0; i < IN * OUT; i++) p.w[i] = (float)(2 * hone_rng_uniform(&rng) - 1);
    for (int i = 0; i < OUT; i++) p.b[i] = (float)hone_rng_uniform(&rng);
    return p;
}

static void outputs_of(const problem *p, double *y) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < OUT; j++) {
            y[i * OUT + j] = p->b[j];
            for (int k = 0; k < IN; k++) y[i * OUT + j] += p->x[i * IN + k] * p->w[k * OUT + j];
        }
}

/* What one_step() trains with, beside the objective. */
static double smoothing;
static const float *class_weights;

static double cosine_of(const double *a, const double *b) {
    double ab = 0, aa = 0, bb = 0;
    for (int j = 0; j < OUT; j++) {
        ab += a[j] * b[j];
        aa += a[j] * a[j];
        bb += b[j] * b[j];
    }
    return ab / sqrt(aa * bb + 1e-12);
}

/* 1 - cos of sample i. */
static double cosine_distance(const double *y, const float *t) {
    double target[OUT];
    for (int j = 0; j < OUT; j++) target[j] = t[j];
    return 1 - cosine_of(y, target);
}

/* Each sample against all others of its batch. */
static double contrastive_loss(const problem *p, const double *y) {
    double loss = 0;
    for (int i = 0; i < N; i++) {
        double all = 0, sum = 0;
        int positives = 0;
        for (int a = 0; a < N; a++)
            if (a != i) all += exp(cosine_of(y + i * OUT, y + a * OUT) / 0.1);
        for (int a = 0; a < N; a++) {
            if (a == i || p->labels[a] != p->labels[i]) continue;
            sum += log(all) - cosine_of(y + i * OUT, y + a * OUT) / 0.1;
            positives++;
        }
        loss += positives ? sum / positives / N : 0;
    }
    return loss;
}

/* Each sample and its target against all others, from both sides. */
static double info_nce_loss(const problem *p, const double *y) {
    double t[N * OUT], loss = 0;
    for (int i = 0; i < N * OUT; i++) t[i] = p->target[i];
    for (int i = 0; i < N; i++) {
        double row = 0, column = 0;
        for (int a = 0; a < N; a++) {
            row += exp(cosine_of(y + i * OUT, t + a * OUT) / 0.1);
            column += exp(cosine_of(y + a * OUT, t + i * OUT) / 0.1);
        }
        loss += ((log(row) + log(column)) / 2 - cosine_of(y + i * OUT, t + i * OUT) / 0.1) / N;
    }
    return loss;
}

static double reference_loss(const problem *p, const char *objective) {
    double y[N * OUT], loss = 0, counted = 0, flat = 0;
    outputs_of(p, y);
    if (strcmp(objective, "contrastive") == 0) return contrastive_loss(p, y);
    if (strcmp(objective, "info-nce") == 0) return info_nce_loss(p, y);
    for (int i = 0; i < N; i++) {
        if (strcmp(objective, "cross-entropy") == 0 || strcmp(objective, "next-token") == 0) {
            double sum = 0, count = class_weights ? class_weights[p->labels[i]] : 1;
            for (int j = 0; j < OUT; j++) sum += exp(y[i * OUT + j]);
            loss += count * (log(sum) - y[i * OUT + p->labels[i]]);
            for (int j = 0; j < OUT; j++) flat += (log(sum) - y[i * OUT + j]) / OUT / N;
            counted += count;
            continue;
        }
        if (strcmp(objective, "cosine") == 0) {
            loss += cosine_distance(y + i * OUT, p->target + i * OUT);
            continue;
        }
        for (int j = 0; j < OUT; j++) {
            double o = y[i * OUT + j], t = p->target[i * OUT + j], s = 1 / (1 + exp(-o));
            if (strcmp(objective, "mean-squared-error") == 0)
                loss += (o - t) * (o - t) / OUT;
            else if (strcmp(objective, "huber") == 0)
                loss += (fabs(o - t) <= 1 ? (o - t) * (o - t) / 2 : fabs(o - t) - 0.5) / OUT;
            else
                loss -= (t * log(s) + (1 - t) * log(1 - s)) / OUT;
        }
    }
    if (counted > 0) return (1 - smoothing) * loss / counted + smoothing * flat;
    return loss / N;
}

static hone_graph *linear(const problem *p, bool places) {
    hone_graph *g = hone_graph_new("linear");
    hone_value *x = INPUT(g, IN), *w = WEIGHT(g, "w", 1, IN, OUT), *b = WEIGHT(g, "b", 1, OUT);
    for (int i = 0; i < IN * OUT; i++) ((float *)w->data->data)[i] = (float)p->w[i];
    for (int i = 0; i < OUT; i++) ((float *)b->data->data)[i] = (float)p->b[i];
    hone_value *y = HONE_EMIT(g, "", "Gemm", x, w, b);
    int64_t middle = 1;
    return finished(g, places ? HONE_EMIT(g, "", "Unsqueeze", y, hone_graph_ints(g, &middle, 1)) : y);
}

/* One step of the training graph at learning rate 1 without momentum: the loss; *w and *b the new weights. */
static float one_step(const problem *p, const hone_objective *o, float *w, float *b) {
    hone_train_options options = HONE_TRAIN_OPTIONS_INIT;
    bool places = strcmp(o->name, "next-token") == 0;
    hone_graph *g = linear(p, places);
    hone_training training = {NULL};
    hone_derivation derivation = {.model = g, .options = &options, .objective = o};
    hone_variables *variables = hone_variables_new();
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    const hone_tensor *outputs[2];
    hone_tensor *x, *rate, *target;
    bool labels = places || strcmp(o->name, "cross-entropy") == 0 || strcmp(o->name, "contrastive") == 0;
    options.momentum = 0;
    options.label_smoothing = smoothing;
    options.class_weights = class_weights;
    options.class_weight_count = class_weights ? OUT : 0;
    ok(hone_derive_training(&derivation, &training, &err));
    ok(hone_model_compile_shared(training.graph, NULL, variables, &m, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_tensor_copy_of(HONE_FLOAT32, 2, (int64_t[]){N, IN}, p->x, &x, &err));
    ok(hone_tensor_copy_of(HONE_FLOAT32, 0, NULL, &(float){1}, &rate, &err));
    if (labels)
        ok(hone_tensor_copy_of(HONE_INT64, places ? 2 : 1, (int64_t[]){N, 1}, p->labels, &target, &err));
    else
        ok(hone_tensor_copy_of(HONE_FLOAT32, 2, (int64_t[]){N, OUT}, p->target, &target, &err));
    ok(hone_context_run(c, (const hone_tensor *[]){x, rate, target}, outputs, &err));
    float loss = *(const float *)outputs[0]->data;
    memcpy(w, hone_variables_get(variables, "w")->data, IN * OUT * sizeof *w);
    memcpy(b, hone_variables_get(variables, "b")->data, OUT * sizeof *b);
    hone_tensor_free(x);
    hone_tensor_free(rate);
    hone_tensor_free(target);
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    hone_variables_free(variables);
    hone_training_free(&training);
    hone_graph_free(g);
    return loss;
}

static const hone_objective *find(const char *name) {
    const hone_objective *o = NULL;
    ok(hone_objective_find(name, &o, &err));
    return o;
}

/* The step goes along the central differences of the loss. */
static void compare_losses(const char *only) {
    const double h = 1e-5;
    const char *name;
    for (int k = 0; (name = hone_objective_name(k)); k++) {
        if (only && strcmp(name, only) != 0) continue;
        if (strcmp(name, "ctc") == 0) continue; /* tests/ops/test_ctc.c, test_sequences.c */
        for (uint64_t seed = 1; seed <= 5; seed++) {
            problem p = random_problem(name, seed);
            float w[IN * OUT], b[OUT];
            double want = reference_loss(&p, name), loss = one_step(&p, find(name), w, b);
            if (!(fabs(loss - want) < 2e-6 * fmax(1, want)))
                fail_msg("%s: loss %.9g, not %.9g", name, loss, want);
            for (int i = 0; i < IN * OUT + OUT; i++) {
                double *at = i < IN * OUT ? &p.w[i] : &p.b[i - IN * OUT], kept = *at;
                *at = kept + h;
                double up = reference_loss(&p, name);
                *at = kept - h;
                double slope = (up - reference_loss(&p, name)) / (2 * h);
                *at = kept;
                double moved = kept - (i < IN * OUT ? w[i] : b[i - IN * OUT]);
                if (!(fabs(moved - slope) < 5e-6 * fmax(1, fabs(slope))))
                    fail_msg("%s: gradient %d is %.9g, not %.9g", name, i, moved, slope);
            }
        }
    }
}

static void test_losses_and_gradients(void **state) {
    (void)state;
    compare_losses(NULL);
}

static void test_smoothing_and_weights(void **state) {
    (void)state;
    float weights[OUT];
    for (int j = 0; j < OUT; j++) weights[j] = 0.5f + (float)j;
    smoothing = 0.2;
    compare_losses("cross-entropy");
    class_weights = weights;
    compare_losses("cross-entropy");
    smoothing = 0;
    compare_losses("cross-entropy");
    class_weights = NULL;
}

/* Logits far from 0: the loss and its gradient stay finite, and what is surely right costs next to nothing. */
static void test_binary_cross_entropy_is_stable(void **state) {
    (void)state;
    const hone_objective *o = find("binary-cross-entropy");
    problem p = {.b = {1000, -1000, 30}};
    float w[IN * OUT], b[OUT];
    for (int i = 0; i < N; i++) p.target[i * OUT] = p.target[i * OUT + 2] = 1;
    float loss = one_step(&p, o, w, b);
    assert_true(loss > 0 && fabs(loss - log1p(exp(-30)) / 3) < 1e-6 * loss);
    assert_true(b[0] == 1000 && b[1] == -1000);
    for (int i = 0; i < N; i++) {
        p.target[i * OUT] = p.target[i * OUT + 2] = 0;
        p.target[i * OUT + 1] = 1;
    }
    loss = one_step(&p, o, w, b);
    assert_true(fabs(loss - (1000 + 1000 + 30) / 3.0) < 1e-3);
    assert_true(fabsf(b[0] - (1000 - 1 / 3.0f)) < 1e-4 && fabsf(b[1] - (1 / 3.0f - 1000)) < 1e-4);
}

/* --- metrics --- */

static hone_dataset *columns_of(const float *x, const void *y, hone_dtype y_type, int y_rank) {
    hone_tensor *a = NULL, *b = NULL;
    ok(hone_tensor_copy_of(HONE_FLOAT32, 2, (int64_t[]){N, IN}, x, &a, &err));
    ok(hone_tensor_copy_of(y_type, y_rank, (int64_t[]){N, OUT}, y, &b, &err));
    return dataset_of("numbers", a, b);
}

static void test_metrics_of_numbers(void **state) {
    (void)state;
    problem p = random_problem("mean-squared-error", 9);
    hone_dataset *d = columns_of(p.x, p.target, HONE_FLOAT32, 2);
    hone_graph *g = linear(&p, false);
    hone_eval_report r;
    hone_task task = {.objective = "mean-squared-error"};
    double y[N * OUT], absolute = 0, squares = 0, total = 0;
    outputs_of(&p, y);
    for (int j = 0; j < OUT; j++) {
        double mean = 0;
        for (int i = 0; i < N; i++) mean += p.target[i * OUT + j] / N;
        for (int i = 0; i < N; i++) {
            double t = p.target[i * OUT + j], e = y[i * OUT + j] - t;
            absolute += fabs(e);
            squares += e * e;
            total += (t - mean) * (t - mean);
        }
    }
    ok(hone_evaluate(g, d, &task, 1, &r, &err));
    assert_true(r.samples == N && r.metric_count == 2 && strcmp(r.objective, "mean-squared-error") == 0);
    assert_true(fabs(r.loss - squares / (N * OUT)) < 1e-5);
    assert_string_equal(r.metrics[0].name, "mean_absolute_error");
    assert_true(fabs(r.metrics[0].value - absolute / (N * OUT)) < 1e-6 && !r.metrics[0].share);
    assert_string_equal(r.metrics[1].name, "r2");
    assert_true(fabs(r.metrics[1].value - (1 - squares / total)) < 1e-5);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* Bytes of 0 and 1, several for each sample: they are taken as they are, not as parts of 255. */
static void test_metrics_of_yes_and_no(void **state) {
    (void)state;
    problem p = random_problem("binary-cross-entropy", 9);
    uint8_t bytes[N * OUT];
    double y[N * OUT];
    int right = 0;
    outputs_of(&p, y);
    for (int i = 0; i < N * OUT; i++) {
        bytes[i] = p.target[i] > 0.5f;
        p.target[i] = bytes[i];
        right += (y[i] > 0) == bytes[i];
    }
    hone_dataset *d = columns_of(p.x, bytes, HONE_UINT8, 2);
    hone_graph *g = linear(&p, false);
    hone_eval_report r;
    ok(hone_evaluate(g, d, &(hone_task){.objective = "binary-cross-entropy"}, 1, &r, &err));
    assert_true(fabs(r.loss - reference_loss(&p, "binary-cross-entropy")) < 1e-6);
    assert_true(r.metric_count == 1 && strcmp(r.metrics[0].name, "accuracy") == 0 && r.metrics[0].share);
    assert_true(fabs(r.metrics[0].value - (double)right / (N * OUT)) < 1e-12);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* Balanced classes count like a data set in which each class has as many samples. */
static void test_balance(void **state) {
    (void)state;
    problem p = random_problem("cross-entropy", 4);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    float weights[OUT] = {0};
    for (int i = 0; i < N; i++) weights[p.labels[i]]++;
    for (int j = 0; j < OUT; j++) weights[j] = weights[j] > 0 ? (float)((double)N / OUT / weights[j]) : 1;
    hone_dataset *d = columns_of(p.x, p.labels, HONE_INT64, 1);
    hone_graph *a = linear(&p, false), *b = copy_of(a);
    o.epochs = 2;
    o.threads = 1;
    o.balance = true;
    ok(hone_train(a, d, &o, NULL, &err));
    o.balance = false;
    o.class_weights = weights;
    o.class_weight_count = OUT;
    ok(hone_train(b, d, &o, NULL, &err));
    assert_true(same_weights(a, b));
    o.class_weight_count = OUT - 1;
    refused(hone_train(b, d, &o, NULL, &err), HONE_INVALID_ARGUMENT, "weights of classes, but the model has");
    o.class_weight_count = OUT;
    weights[1] = -1;
    refused(hone_train(b, d, &o, NULL, &err), HONE_INVALID_ARGUMENT, "the weight of class 1 is -1");
    o.task.objective = "mean-squared-error";
    hone_dataset *numbers = columns_of(p.x, p.target, HONE_FLOAT32, 2);
    refused(hone_train(b, numbers, &o, NULL, &err), HONE_INVALID_ARGUMENT,
            "need the objective cross-entropy");
    hone_dataset_free(numbers);
    hone_dataset_free(d);
    hone_graph_free(a);
    hone_graph_free(b);
}

/* --- targets that can't be --- */

static void test_targets_that_cannot_be(void **state) {
    (void)state;
    problem p = random_problem("mean-squared-error", 2);
    hone_graph *g = linear(&p, false), *before = copy_of(g);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    static const struct {
        const char *objective;
        float value;
        const char *text;
    } bad[] = {{"mean-squared-error", NAN, "the target has a value that is nan"},
               {"mean-squared-error", INFINITY, "the target has a value that is inf"},
               {"binary-cross-entropy", 1.5f, "the target has a value that is 1.5 and not in [0, 1]"},
               {"binary-cross-entropy", -0.1f, "not in [0, 1]"},
               {"binary-cross-entropy", NAN, "not in [0, 1]"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_eval_report r;
        for (int k = 0; k < N * OUT; k++) p.target[k] = 0.5f;
        p.target[N * OUT - 1] = bad[i].value;
        hone_dataset *d = columns_of(p.x, p.target, HONE_FLOAT32, 2);
        o.task.objective = bad[i].objective;
        refused(hone_train(g, d, &o, NULL, &err), HONE_INVALID_ARGUMENT, bad[i].text);
        refused(hone_evaluate(g, d, &o.task, 1, &r, &err), HONE_INVALID_ARGUMENT, bad[i].text);
        hone_dataset_free(d);
    }
    p.labels[3] = -1;
    hone_dataset *d = columns_of(p.x, p.labels, HONE_INT64, 1);
    o.task.objective = "cross-entropy";
    refused(hone_train(g, d, &o, NULL, &err), HONE_INVALID_ARGUMENT, "label -1; labels are 0 and more");
    assert_true(same_weights(g, before));
    hone_dataset_free(d);
    hone_graph_free(before);
    hone_graph_free(g);
}

static void test_names(void **state) {
    (void)state;
    const hone_objective *o = NULL;
    refused(hone_objective_find("mse", &o, &err), HONE_INVALID_ARGUMENT,
            "no objective 'mse'; there are cross-entropy, mean-squared-error, huber, cosine, "
            "binary-cross-entropy, next-token, ctc, contrastive, info-nce");
    assert_null(o);
    assert_null(hone_objective_name(-1));
    assert_null(hone_objective_name(9));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_and_gradients),
        cmocka_unit_test(test_smoothing_and_weights),
        cmocka_unit_test(test_balance),
        cmocka_unit_test(test_binary_cross_entropy_is_stable),
        cmocka_unit_test(test_metrics_of_numbers),
        cmocka_unit_test(test_metrics_of_yes_and_no),
        cmocka_unit_test(test_targets_that_cannot_be),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
