/* Optimizers, schedules, clipping and averages: whole trainings against the same written out in double. */
#include "train/small.h"

#include "train/optimizer.h"

#include <math.h>

enum { N = 48, F = 6, STEPS = 7 };

static hone_dataset *data;

/* y = x · (1, -2, 0.5, 0, 3, -1) + 0.3 */
static int make_data(void **state) {
    (void)state;
    static const float w[F] = {1, -2, 0.5f, 0, 3, -1};
    hone_tensor *x = NULL, *y = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){N, F}, &x, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){N, 1}, &y, &err));
    hone_rng rng = hone_rng_make(3, 1);
    for (int i = 0; i < N; i++) {
        float sum = 0.3f;
        for (int j = 0; j < F; j++) {
            float v = hone_rng_uniform(&rng) - 0.5f;
            ((float *)x->data)[i * F + j] = v;
            sum += v * w[j];
        }
        ((float *)y->data)[i] = sum;
    }
    data = dataset_of("a plane", x, y);
    return 0;
}

static int free_data(void **state) {
    (void)state;
    hone_dataset_free(data);
    return 0;
}

static hone_train_options options(void) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.task.objective = "mean-squared-error";
    o.epochs = STEPS;
    o.batch = N;
    o.threads = 1;
    o.learning_rate = 0.05;
    o.momentum = 0;
    o.schedule = HONE_SCHEDULE_CONSTANT;
    o.keep_best = false;
    return o;
}

static hone_graph *plane(void) {
    hone_graph *g = hone_graph_new("plane");
    hone_value *in[] = {INPUT(g, F), WEIGHT(g, "w", 5, F, 1), WEIGHT(g, "b", 5, 1)};
    return finished(g, hone_graph_emit(g, "", "Gemm", in, 3));
}

/* --- the same in double --- w[F] is the bias */

typedef struct reference {
    double w[F + 1], first[F + 1], second[F + 1], average[F + 1];
} reference;

static void gradients(const reference *r, double *g) {
    float x[N * F], y[N];
    read_x(data, 0, N, x);
    hone_reading reading = {hone_dataset_find(data, "y"), HONE_FLOAT32, false};
    ok(hone_dataset_read(data, &reading, NULL, 0, N, y, &err));
    for (int j = 0; j <= F; j++) g[j] = 0;
    for (int i = 0; i < N; i++) {
        double e = r->w[F] - y[i];
        for (int j = 0; j < F; j++) e += r->w[j] * x[i * F + j];
        for (int j = 0; j <= F; j++) g[j] += 2 * e / N * (j < F ? x[i * F + j] : 1);
    }
}

static void clip(const hone_train_options *o, double *g) {
    double norm = 0;
    for (int j = 0; j <= F; j++) {
        if (o->clip_value > 0) g[j] = fmax(-o->clip_value, fmin(o->clip_value, g[j]));
        norm += g[j] * g[j];
    }
    norm = sqrt(norm);
    for (int j = 0; j <= F && o->clip_norm > 0 && norm > o->clip_norm; j++) g[j] *= o->clip_norm / norm;
}

static void update(const hone_train_options *o, reference *r, int j, double g, int t) {
    double rate = hone_setting_value(o, HONE_SETTING_RATE, t, STEPS, 1), decay = j < F ? o->weight_decay : 0,
           *w = &r->w[j], *m = &r->first[j], *v = &r->second[j];
    switch (o->optimizer) {
    case HONE_OPTIMIZER_SGD:
        g += decay * *w;
        *m = o->momentum * *m + g;
        *w -= rate * (o->nesterov ? g + o->momentum * *m : *m);
        break;
    case HONE_OPTIMIZER_ADAM: g += decay * *w; /* fall through */
    case HONE_OPTIMIZER_ADAMW:
        if (o->optimizer == HONE_OPTIMIZER_ADAMW) *w *= 1 - rate * decay;
        *m = o->beta1 * *m + (1 - o->beta1) * g;
        *v = o->beta2 * *v + (1 - o->beta2) * g * g;
        *w -= rate * (*m / (1 - pow(o->beta1, t + 1))) / (sqrt(*v / (1 - pow(o->beta2, t + 1))) + o->epsilon);
        break;
    case HONE_OPTIMIZER_LION: {
        double c = o->beta1 * *m + (1 - o->beta1) * g;
        *w -= rate * ((c > 0) - (c < 0) + decay * *w);
        *m = o->beta2 * *m + (1 - o->beta2) * g;
        break;
    }
    case HONE_OPTIMIZER_RMSPROP:
        g += decay * *w;
        *v = o->beta2 * *v + (1 - o->beta2) * g * g;
        *m = o->momentum * *m + g / (sqrt(*v) + o->epsilon);
        *w -= rate * *m;
    }
}

static void compare(const char *what, const hone_train_options *o) {
    hone_graph *g = plane();
    reference r = {0};
    const float *w = weight_of(g, "w")->data, *b = weight_of(g, "b")->data;
    for (int j = 0; j <= F; j++) r.w[j] = r.average[j] = j < F ? w[j] : *b;
    for (int t = 0; t < STEPS; t++) {
        double d[F + 1];
        gradients(&r, d);
        clip(o, d);
        for (int j = 0; j <= F; j++) {
            update(o, &r, j, d[j], t);
            double stays = fmin(o->average, (t + 1.0) / (t + 10));
            r.average[j] = stays * r.average[j] + (1 - stays) * r.w[j];
        }
    }
    ok(hone_train(g, data, o, NULL, &err));
    w = weight_of(g, "w")->data, b = weight_of(g, "b")->data;
    for (int j = 0; j <= F; j++) {
        double wanted = o->average > 0 ? r.average[j] : r.w[j], is = j < F ? w[j] : *b;
        if (!(fabs(is - wanted) < 2e-5)) fail_msg("%s: %d is %.7g, not %.7g", what, j, is, wanted);
    }
    hone_graph_free(g);
}

static void test_optimizers(void **state) {
    (void)state;
    static const struct {
        const char *name;
        hone_optimizer kind;
        double rate;
    } kinds[] = {{"sgd", HONE_OPTIMIZER_SGD, 0.1},
                 {"adamw", HONE_OPTIMIZER_ADAMW, 0.05},
                 {"adam", HONE_OPTIMIZER_ADAM, 0.05},
                 {"lion", HONE_OPTIMIZER_LION, 0.03},
                 {"rmsprop", HONE_OPTIMIZER_RMSPROP, 0.01}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int decay = 0; decay < 2; decay++)
            for (int momentum = 0; momentum < 3; momentum++) {
                hone_train_options o = options();
                o.optimizer = kinds[i].kind;
                o.learning_rate = kinds[i].rate;
                o.weight_decay = decay ? 0.1 : 0;
                o.momentum = momentum ? 0.8 : 0;
                o.nesterov = momentum == 2;
                o.beta2 = 0.95;
                compare(kinds[i].name, &o);
            }
}

static void test_clipping(void **state) {
    (void)state;
    hone_train_options o = options();
    o.learning_rate = 0.3;
    o.clip_norm = 0.5;
    compare("clip_norm", &o);
    o.clip_value = 0.1;
    compare("both", &o);
    o.clip_norm = 0;
    compare("clip_value", &o);
    o.clip_norm = 1e6;
    compare("never reached", &o);
}

static void test_averages(void **state) {
    (void)state;
    hone_train_options o = options();
    o.average = 0.9;
    compare("0.9", &o);
    o.average = 0.3;
    o.optimizer = HONE_OPTIMIZER_ADAMW;
    compare("0.3", &o);
}

/* A weight may be called what the average of another would be. */
static void test_names_of_averages(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *g = hone_graph_new("two"), *once = NULL;
    hone_value *h = HONE_EMIT(g, "", "MatMul", INPUT(g, F), WEIGHT(g, "w", 5, F, 6));
    finished(g, HONE_EMIT(g, "", "MatMul", h, WEIGHT(g, "w.average", 6, 6, 1)));
    once = copy_of(g);
    o.average = 1e-9; /* the average is the weight */
    ok(hone_train(g, data, &o, NULL, &err));
    o.average = 0;
    ok(hone_train(once, data, &o, NULL, &err));
    for (int k = 0; k < 2; k++) {
        const hone_tensor *a = weight_of(g, k ? "w.average" : "w"),
                          *b = weight_of(once, k ? "w.average" : "w");
        for (int64_t i = 0; i < a->count; i++)
            assert_true(fabsf(((const float *)a->data)[i] - ((const float *)b->data)[i]) < 1e-5f);
    }
    hone_graph_free(g);
    hone_graph_free(once);
}

/* --- schedules --- */

static double rate_at(const hone_train_options *o, int64_t step, int64_t steps) {
    return hone_setting_value(o, HONE_SETTING_RATE, step, steps, 1);
}

static void test_schedules(void **state) {
    (void)state;
    hone_train_options o = options();
    o.learning_rate = 2;
    assert_true(rate_at(&o, 0, 100) == 2 && rate_at(&o, 99, 100) == 2);
    o.schedule = HONE_SCHEDULE_LINEAR;
    o.floor = 0.1;
    assert_true(fabs(rate_at(&o, 0, 100) - 2) < 1e-12 && fabs(rate_at(&o, 50, 100) - 1.1) < 1e-12);
    o.schedule = HONE_SCHEDULE_STEP;
    assert_true(rate_at(&o, 49, 100) == 2 && fabs(rate_at(&o, 50, 100) - 0.2) < 1e-12 &&
                fabs(rate_at(&o, 75, 100) - 0.02) < 1e-12);
    o.schedule = HONE_SCHEDULE_COSINE;
    o.floor = 0;
    assert_true(fabs(rate_at(&o, 50, 100) - 1) < 1e-12 && rate_at(&o, 99, 100) < 0.01);
    o.cycles = 2;
    assert_true(fabs(rate_at(&o, 25, 100) - 1) < 1e-12 && fabs(rate_at(&o, 50, 100) - 2) < 1e-12);
    o.cycles = 1;
    o.warmup = 10; /* steps */
    assert_true(fabs(rate_at(&o, 0, 100) - 2.0 / 11) < 1e-12 &&
                fabs(rate_at(&o, 9, 100) - 20.0 / 11) < 1e-12);
    assert_true(fabs(rate_at(&o, 10, 100) - 2) < 1e-12 && fabs(rate_at(&o, 55, 100) - 1) < 1e-12);
    o.warmup = 0.1; /* a share */
    assert_true(fabs(rate_at(&o, 55, 100) - 1) < 1e-12);
    assert_true(fabs(hone_setting_value(&o, HONE_SETTING_RATE, 55, 100, 1.0 / 3) - 1.0 / 3) < 1e-12);
}

/* --- epochs --- */

typedef struct look {
    double loss[64];
    double rate[64];
} look;

static bool remember(void *user, const hone_train_progress *p) {
    look *l = user;
    if (p->epoch_done) l->loss[p->epoch] = p->validation_loss;
    l->rate[p->epoch] = p->learning_rate;
    return true;
}

/* Swings through the best point, so that some epochs are worse than those before. */
static hone_train_options swinging(look *l) {
    hone_train_options o = options();
    o.learning_rate = 0.1;
    o.momentum = 1 - 1e-9;
    o.epochs = 60;
    o.keep_best = true;
    o.validation = data;
    o.progress = remember;
    o.user = l;
    return o;
}

/* With a rate that is too large the loss grows from the first epoch on: that one's model is kept. */
static void test_best_epoch(void **state) {
    (void)state;
    hone_train_report r;
    hone_eval_report e;
    look l = {0};
    hone_train_options o = swinging(&l);
    hone_graph *g = plane();
    o.epochs = 40;
    ok(hone_train(g, data, &o, &r, &err));
    int best = 1;
    for (int i = 2; i <= 40; i++)
        if (l.loss[i] < l.loss[best]) best = i;
    assert_true(best < 40);
    assert_int_equal(r.best_epoch, best);
    ok(hone_evaluate(g, data, &o.task, 1, &e, &err));
    assert_true(e.loss == l.loss[best]);
    hone_graph_free(g);
}

static void test_patience(void **state) {
    (void)state;
    hone_train_report r;
    look l = {0};
    hone_train_options o = swinging(&l);
    hone_graph *g = plane();
    o.patience = 3;
    ok(hone_train(g, data, &o, &r, &err));
    assert_true(r.early && !r.stopped && r.best_epoch > 0);
    assert_int_equal(r.steps, r.best_epoch + 3);
    hone_graph_free(g);
}

static void test_plateau(void **state) {
    (void)state;
    hone_train_report r;
    look l = {0};
    hone_train_options o = swinging(&l);
    hone_graph *g = plane();
    o.schedule = HONE_SCHEDULE_PLATEAU;
    o.plateau = 2;
    ok(hone_train(g, data, &o, &r, &err));
    int best = 1, cut = 0;
    for (int i = 2; i <= 60 && !cut; i++) {
        if (l.loss[i] < l.loss[best]) best = i;
        if (l.rate[i] < 0.099) cut = i;
    }
    assert_true(cut > 0 && fabs(l.rate[cut] - 0.1 / 3) < 1e-9);
    hone_graph_free(g);
}

static void test_bad_options(void **state) {
    (void)state;
    hone_graph *g = plane();
    for (int i = 0; i < 12; i++) {
        hone_train_options o = options();
        if (i == 0) o.beta1 = 1;
        if (i == 1) o.beta2 = NAN;
        if (i == 2) o.label_smoothing = -0.1;
        if (i == 3) o.average = 1;
        if (i == 4) o.floor = 2;
        if (i == 5) o.warmup = -1;
        if (i == 6) o.clip_norm = NAN;
        if (i == 7) o.epsilon = 0;
        if (i == 8) o.optimizer = 77;
        if (i == 9) o.schedule = -3;
        if (i == 10) o.augment = "turn:3";
        if (i == 11) o.label_smoothing = 0.1; /* of numbers */
        assert_int_equal(hone_train(g, data, &o, NULL, &err), HONE_INVALID_ARGUMENT);
    }
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optimizers),  cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_averages),    cmocka_unit_test(test_names_of_averages),
        cmocka_unit_test(test_schedules),   cmocka_unit_test(test_best_epoch),
        cmocka_unit_test(test_patience),    cmocka_unit_test(test_plateau),
        cmocka_unit_test(test_bad_options),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
