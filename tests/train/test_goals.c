/* Models of several outputs: the sum of losses, what is noted, what is refused. */
#include "train/small.h"

#include <math.h>

enum { N = 48, F = 6, CLASSES = 3 };

/* Columns x, y: a label, size: a number, sure: 0 or 1, as functions of x. */
static hone_dataset *data_of_three(void) {
    hone_tensor *x = NULL, *y = NULL, *size = NULL, *sure = NULL;
    hone_dataset *d = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){N, F}, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, (int64_t[]){N}, &y, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){N, 1}, &size, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){N, 1}, &sure, &err));
    hone_rng rng = hone_rng_make(3, 1);
    for (int i = 0; i < N; i++) {
        float *row = (float *)x->data + (int64_t)i * F;
        for (int j = 0; j < F; j++) row[j] = hone_rng_uniform(&rng) - 0.5f;
        ((int64_t *)y->data)[i] = row[0] > row[1] ? row[0] > row[2] ? 0 : 2 : row[1] > row[2] ? 1 : 2;
        ((float *)size->data)[i] = row[3] - 2 * row[4];
        ((float *)sure->data)[i] = row[5] > 0;
    }
    hone_named_tensor columns[] = {{"x", x}, {"y", y}, {"size", size}, {"sure", sure}};
    ok(hone_dataset_make(columns, 4, "three", &d, &err));
    for (int i = 0; i < 4; i++) hone_tensor_free((hone_tensor *)(uintptr_t)columns[i].tensor);
    return d;
}

/* kind softmax(x a), size x b, sure sigmoid(x c) */
static hone_graph *three(void) {
    hone_graph *g = hone_graph_new("three");
    hone_value *x = INPUT(g, F);
    hone_value *kind =
        HONE_EMIT(g, "", "Softmax", HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "a", 5, F, CLASSES)));
    hone_value *size = HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "b", 5, F, 1));
    hone_value *sure = HONE_EMIT(g, "", "Sigmoid", HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "c", 5, F, 1)));
    hone_value *all[] = {kind, size, sure};
    static const char *const names[] = {"kind", "size", "sure"};
    for (int i = 0; i < 3; i++) {
        hone_graph_rename(g, all[i], names[i]);
        hone_graph_add_output(g, all[i]);
    }
    ok(hone_graph_check(g, &err));
    ok(hone_graph_infer(g, &err));
    return g;
}

static hone_train_options options(void) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = 1;
    o.batch = N;
    o.momentum = 0;
    o.learning_rate = 0.5;
    o.schedule = HONE_SCHEDULE_CONSTANT;
    o.threads = 1;
    return o;
}

/* The weights of one output after a training for it alone, by so much of the learning rate. */
static void alone(const hone_dataset *d, const char *output, const char *objective, const char *target,
                  double rate, const char *weight, float *out, double *loss) {
    hone_graph *g = three();
    hone_train_options o = options();
    hone_train_report r;
    ok(hone_graph_put_first(g, output, &err));
    o.task.objective = objective;
    o.task.target = target;
    o.learning_rate *= rate;
    ok(hone_train(g, d, &o, &r, &err));
    const hone_tensor *w = weight_of(g, weight);
    memcpy(out, w->data, w->bytes);
    *loss = r.loss;
    hone_graph_free(g);
}

/* The outputs share no weight: a step is that of each alone, its gradient times its weight. */
static void test_the_sum(void **state) {
    (void)state;
    hone_dataset *d = data_of_three();
    hone_graph *g = three();
    hone_train_options o = options();
    hone_train_report r;
    const hone_goal goals[] = {{"sure", "binary-cross-entropy", NULL, 0.5},
                               {"size", "mean-squared-error", "size", 0.25}};
    o.goals = goals;
    o.goal_count = 2;
    o.weight = 2;
    ok(hone_train(g, d, &o, &r, &err));
    float a[F * CLASSES], b[F], c[F];
    double losses[3];
    alone(d, "kind", "cross-entropy", "y", 2, "a", a, &losses[0]);
    alone(d, "size", "mean-squared-error", "size", 0.25, "b", b, &losses[1]);
    alone(d, "sure", "binary-cross-entropy", "sure", 0.5, "c", c, &losses[2]);
    assert_true(fabs(r.loss - (2 * losses[0] + 0.25 * losses[1] + 0.5 * losses[2])) < 1e-5);
    for (int i = 0; i < F * CLASSES; i++)
        assert_true(fabsf(((float *)weight_of(g, "a")->data)[i] - a[i]) < 1e-6f);
    for (int i = 0; i < F; i++) {
        assert_true(fabsf(((float *)weight_of(g, "b")->data)[i] - b[i]) < 1e-6f);
        assert_true(fabsf(((float *)weight_of(g, "c")->data)[i] - c[i]) < 1e-6f);
    }
    /* what each was for is noted, and followed by whoever looks at it */
    assert_int_equal(hone_graph_output_count(g), 3);
    assert_string_equal(hone_graph_metadata(g, "hone.objective.size"), "mean-squared-error");
    assert_string_equal(hone_graph_metadata(g, "hone.target.sure"), "sure");
    hone_eval_report e;
    ok(hone_graph_put_first(g, "size", &err));
    ok(hone_evaluate(g, d, NULL, 1, &e, &err));
    assert_string_equal(e.objective, "mean-squared-error");
    ok(hone_graph_put_first(g, "kind", &err));
    ok(hone_evaluate(g, d, &(hone_task){.target = "y"}, 1, &e, &err));
    assert_string_equal(e.objective, "cross-entropy");
    ok(hone_graph_put_first(g, "sure", &err));
    ok(hone_evaluate(g, d, NULL, 1, &e, &err));
    assert_string_equal(e.objective, "binary-cross-entropy");
    hone_graph_free(g);
    hone_dataset_free(d);
}

static void test_they_learn(void **state) {
    (void)state;
    hone_dataset *d = data_of_three();
    hone_graph *g = three();
    hone_train_options o = options();
    hone_eval_report e;
    const hone_goal goals[] = {{"size", "mean-squared-error", NULL, 1},
                               {"sure", "binary-cross-entropy", NULL, 1}};
    o.goals = goals;
    o.goal_count = 2;
    o.epochs = 120;
    o.batch = 16;
    o.accumulate = 2;
    ok(hone_train(g, d, &o, NULL, &err));
    ok(hone_evaluate(g, d, &(hone_task){.target = "y"}, 1, &e, &err));
    assert_true(e.metrics[0].value > 0.9);
    ok(hone_graph_put_first(g, "size", &err));
    ok(hone_evaluate(g, d, NULL, 1, &e, &err));
    assert_true(e.metrics[1].value > 0.99);
    ok(hone_graph_put_first(g, "sure", &err));
    ok(hone_evaluate(g, d, NULL, 1, &e, &err));
    assert_true(e.metrics[0].value > 0.9);
    hone_graph_free(g);
    hone_dataset_free(d);
}

static void refuses(const hone_dataset *d, hone_goal first, hone_goal second, int count, const char *text,
                    int line) {
    hone_graph *g = three(), *before = three();
    hone_train_options o = options();
    const hone_goal goals[] = {first, second};
    o.goals = goals;
    o.goal_count = count;
    hone_status status = hone_train(g, d, &o, NULL, &err);
    if ((status != HONE_INVALID_ARGUMENT && status != HONE_NOT_FOUND) || !strstr(error_text(), text))
        fail_msg("line %d: \"%s\"; wanted \"%s\"", line, status == HONE_OK ? "" : error_text(), text);
    assert_true(same_weights(g, before));
    hone_graph_free(g);
    hone_graph_free(before);
}
#define REFUSES(d, first, second, count, text) refuses(d, first, second, count, text, __LINE__)

static void test_refusals(void **state) {
    (void)state;
    hone_dataset *d = data_of_three();
    hone_goal good = {"size", "mean-squared-error", NULL, 1}, none = {"weight", NULL, NULL, 1},
              first = {"kind", NULL, NULL, 1}, column = {"size", "mean-squared-error", "length", 1},
              minus = {"size", "mean-squared-error", NULL, -1}, word = {"size", "mse", NULL, 1},
              labels = {"size", "cross-entropy", "size", 1},
              shares = {"sure", "binary-cross-entropy", "size", 1};
    REFUSES(d, none, good, 1, "no output 'weight'; there are 'kind', 'size', 'sure'");
    REFUSES(d, first, good, 1, "output 'kind' is the first one");
    REFUSES(d, good, good, 2, "output 'size' has two losses");
    REFUSES(d, column, good, 1, "no column 'length' that output 'size' is compared with");
    REFUSES(d, minus, good, 1, "has the weight -1");
    REFUSES(d, word, good, 1, "no objective 'mse'");
    REFUSES(d, labels, good, 1, "is no such target");
    REFUSES(d, shares, good, 1, "not in [0, 1]");
    hone_graph *g = three();
    refused(hone_graph_put_first(g, "weight", &err), HONE_NOT_FOUND, "no output 'weight'");
    hone_graph_free(g);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_the_sum), cmocka_unit_test(test_they_learn),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
