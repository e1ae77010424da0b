/* Nodes that another one stands for while training, and their statistics. */
#include "train/small.h"

#include "graph/train_form.h"
#include "ops/common/axes.h"
#include "ops/engine/elementwise.h"

#include <math.h>

#define FLOATS HONE_TYPES_FLOAT
#define KEEP 0.9 /* share of a running mean that stays at each step */

/* --- Center: X - mean; while training X - its own mean over the batch, of which a running mean is kept --- */

static void map_center(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_map_sub(m, hone_map_in(m, 0), hone_map_in(m, 1)));
}

static void train_center(hone_train_form *ctx) {
    hone_graph *g = ctx->graph;
    hone_value *x = ctx->node->inputs[0], *mean = hone_train_statistic(ctx, 1);
    hone_value *now = HONE_EMIT(g, "", "ReduceMean", x, hone_graph_ints(g, (int64_t[]){0}, 1));
    if (now) hone_node_set_int(g, now->producer, "keepdims", 0);
    hone_graph_replace(g, ctx->node->outputs[0], HONE_EMIT(g, "", "Sub", x, now));
    hone_value *kept = HONE_EMIT(g, "", "Mul", mean, hone_graph_scalar(g, HONE_FLOAT32, KEEP));
    hone_value *added = HONE_EMIT(g, "", "Mul", now, hone_graph_scalar(g, HONE_FLOAT32, 1 - KEEP));
    if (mean) hone_graph_bind(g, HONE_EMIT(g, "", "Add", kept, added), mean);
}

static const hone_op center = {.name = "Center",
                               .since = 1,
                               .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"mean", 'T', FLOATS, 0}),
                               .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                               .infer = hone_infer_elementwise,
                               .axes = hone_axes_broadcast,
                               .prepare = hone_prepare_elementwise,
                               .map = map_center,
                               .train_form = train_center};

SHARED_BLOBS(96, 6, 3)

/* Center, then Gemm. */
static hone_graph *centered(void) {
    hone_graph *g = hone_graph_new("centered");
    hone_value *x = INPUT(g, 6), *in[] = {x, WEIGHT(g, "mean", 3, 6)};
    hone_node *n = hone_graph_add_node(g, &center, "center", 2, in, 1);
    return finished(g,
                    HONE_EMIT(g, "", "Gemm", n->outputs[0], WEIGHT(g, "w", 1, 6, 3), WEIGHT(g, "b", 1, 3)));
}

static hone_train_options options(int epochs) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = epochs;
    o.batch = 96; /* so that every batch has the same mean */
    o.learning_rate = 0.1;
    o.threads = 1;
    return o;
}

static void means_of_data(double *mean) {
    float x[96 * 6];
    read_x(data, 0, 96, x);
    for (int j = 0; j < 6; j++) {
        mean[j] = 0;
        for (int i = 0; i < 96; i++) mean[j] += x[6 * i + j] / 96.0;
    }
}

/* The running mean goes to the data's, step by step, and stands in the trained model. */
static void test_statistics_are_written_back(void **state) {
    (void)state;
    hone_graph *g = centered(), *before = copy_of(g);
    hone_train_options o = options(7);
    double mean[6], share = pow(KEEP, 7);
    means_of_data(mean);
    ok(hone_train(g, data, &o, NULL, &err));
    for (int j = 0; j < 6; j++) {
        double first = ((const float *)weight_of(before, "mean")->data)[j],
               now = ((const float *)weight_of(g, "mean")->data)[j];
        assert_true(fabs(now - (share * first + (1 - share) * mean[j])) < 1e-6);
    }
    assert_false(same_tensor(weight_of(g, "w"), weight_of(before, "w")));
    assert_int_equal(g->node_count, 2); /* the model's own nodes stay */
    assert_ptr_equal(g->first->op, &center);
    hone_graph_free(before);
    hone_graph_free(g);
}

/* BatchNormalization for training keeps running statistics, where they are constants. */
static void test_batch_normalization(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("normalized");
    hone_value *x = INPUT(g, 6), *in[] = {x, WEIGHT(g, "scale", 1, 6), WEIGHT(g, "shift", 1, 6),
                                          WEIGHT(g, "mean", 3, 6), WEIGHT(g, "var", 1, 6)};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "BatchNormalization"), "bn", 5, in, 1);
    hone_node_set_int(g, n, "training_mode", 1);
    g = finished(g, HONE_EMIT(g, "", "Gemm", n->outputs[0], WEIGHT(g, "w", 1, 6, 3), WEIGHT(g, "b", 1, 3)));
    hone_graph *before = copy_of(g);
    hone_train_options o = options(7);
    double mean[6], share = pow(KEEP, 7);
    means_of_data(mean);
    ok(hone_train(g, data, &o, NULL, &err));
    for (int j = 0; j < 6; j++) {
        double first = ((const float *)weight_of(before, "mean")->data)[j],
               now = ((const float *)weight_of(g, "mean")->data)[j];
        assert_true(fabs(now - (share * first + (1 - share) * mean[j])) < 1e-6);
    }
    assert_false(same_tensor(weight_of(g, "var"), weight_of(before, "var")));
    assert_false(same_tensor(weight_of(g, "scale"), weight_of(before, "scale")));
    hone_graph_free(before);
    hone_graph_free(g);
}

typedef struct watch {
    double validation;
    hone_eval_report seen;
    int64_t stop_at;
} watch;

static bool look(void *user, const hone_train_progress *p) {
    watch *w = user;
    w->validation = p->validation_loss;
    if (p->graph) ok(hone_evaluate(p->graph, data, NULL, 1, &w->seen, &err));
    return p->step != w->stop_at;
}

/* Training sees the batch's mean, evaluation the running one. */
static void test_training_and_evaluation_differ(void **state) {
    (void)state;
    hone_graph *g = centered();
    hone_train_options o = options(3);
    hone_train_report r;
    hone_eval_report e;
    watch w = {.stop_at = -1};
    double mean[6], loss = 0;
    float x[96 * 6];
    int64_t y[96];
    const float *weight = weight_of(g, "w")->data, *bias = weight_of(g, "b")->data;
    means_of_data(mean);
    read_x(data, 0, 96, x);
    read_y(data, 0, 96, y);
    for (int i = 0; i < 96; i++) {
        double z[3], sum = 0;
        for (int c = 0; c < 3; c++) {
            z[c] = bias[c];
            for (int k = 0; k < 6; k++) z[c] += (x[6 * i + k] - mean[k]) * weight[3 * k + c];
            sum += exp(z[c]);
        }
        loss += (log(sum) - z[y[i]]) / 96;
    }
    o.epochs = 1;
    hone_graph *once = copy_of(g);
    ok(hone_train(once, data, &o, &r, &err));
    assert_true(fabs(r.loss - loss) < 1e-6);
    ok(hone_evaluate(g, data, NULL, 1, &e, &err));
    assert_true(fabs(e.loss - loss) > 1e-3);
    o.epochs = 3;
    o.validation = data;
    o.keep_best = false;
    o.progress = look;
    o.user = &w;
    ok(hone_train(g, data, &o, NULL, &err));
    ok(hone_evaluate(g, data, NULL, 1, &e, &err));
    assert_true(w.validation == e.loss && w.seen.loss == e.loss);
    hone_graph_free(once);
    hone_graph_free(g);
}

static void test_statistics_are_resumed(void **state) {
    (void)state;
    hone_graph *whole = centered(), *g = centered();
    hone_train_options o = options(9);
    watch w = {.stop_at = 4};
    ok(hone_train(whole, data, &o, NULL, &err));
    o.checkpoint_dir = test_path("ck");
    o.progress = look;
    o.user = &w;
    ok(hone_train(g, data, &o, NULL, &err));
    hone_graph_free(g);
    g = centered();
    o.progress = NULL;
    o.resume_dir = o.checkpoint_dir;
    o.checkpoint_dir = NULL;
    ok(hone_train(g, data, &o, NULL, &err));
    assert_true(same_weights(g, whole));
    hone_graph_free(g);
    hone_graph_free(whole);
}

/* What stays as it is keeps its statistics, too. */
static hone_graph *dropping(void) {
    hone_graph *g = hone_graph_new("dropping");
    hone_value *x = INPUT(g, 6), *y = HONE_EMIT(g, "", "Dropout", x);
    return finished(g, HONE_EMIT(g, "", "Gemm", y, WEIGHT(g, "w", 1, 6, 3), WEIGHT(g, "b", 1, 3)));
}

/* Elements drop while training, other ones at each step, and not in evaluations; what is resumed goes on with the same. */
static void test_dropout(void **state) {
    (void)state;
    hone_graph *whole = dropping(), *g = dropping(), *other = dropping();
    hone_train_options o = options(9);
    hone_eval_report one, two;
    watch w = {.stop_at = 4};
    ok(hone_train(whole, data, &o, NULL, &err));
    o.seed = 77;
    ok(hone_train(other, data, &o, NULL, &err));
    assert_false(same_weights(whole, other)); /* a batch of all samples: only what drops differs */
    o.seed = options(9).seed;
    o.checkpoint_dir = test_path("dropping");
    o.progress = look;
    o.user = &w;
    ok(hone_train(g, data, &o, NULL, &err));
    hone_graph_free(g);
    g = dropping();
    o.progress = NULL;
    o.resume_dir = o.checkpoint_dir;
    o.checkpoint_dir = NULL;
    o.threads = 2;
    ok(hone_train(g, data, &o, NULL, &err));
    assert_true(same_weights(g, whole));
    ok(hone_evaluate(g, data, NULL, 1, &one, &err));
    ok(hone_evaluate(g, data, NULL, 1, &two, &err));
    assert_true(one.loss == two.loss);
    hone_graph_free(whole);
    hone_graph_free(other);
    hone_graph_free(g);
}

static void test_adapters_leave_statistics(void **state) {
    (void)state;
    hone_graph *g = centered(), *before = copy_of(g);
    hone_train_options o = options(3);
    o.lora_rank = 1;
    ok(hone_train(g, data, &o, NULL, &err));
    assert_true(same_tensor(weight_of(g, "mean"), weight_of(before, "mean")));
    assert_false(same_tensor(weight_of(g, "w"), weight_of(before, "w")));
    hone_graph_free(before);
    hone_graph_free(g);
}

static void test_a_statistic_of_two_nodes(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("twice");
    hone_value *mean = WEIGHT(g, "mean", 3, 6), *in[] = {INPUT(g, 6), mean};
    hone_node *n = hone_graph_add_node(g, &center, "first", 2, in, 1);
    in[0] = n->outputs[0];
    n = hone_graph_add_node(g, &center, "second", 2, in, 1);
    finished(g, HONE_EMIT(g, "", "Gemm", n->outputs[0], WEIGHT(g, "w", 1, 6, 3)));
    hone_train_options o = options(1);
    refused(hone_train(g, data, &o, NULL, &err), HONE_INVALID_ARGUMENT,
            "node mean: the variable is bound to two values");
    hone_graph_free(g);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_graph *g = centered(), *before = copy_of(g);
    hone_train_options o = options(1);
    FAIL_EACH_ALLOCATION(hone_train(g, data, &o, NULL, &err), assert_true(same_weights(g, before)));
    assert_false(same_tensor(weight_of(g, "mean"), weight_of(before, "mean")));
    hone_graph_free(before);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statistics_are_written_back),
        cmocka_unit_test(test_batch_normalization),
        cmocka_unit_test(test_training_and_evaluation_differ),
        cmocka_unit_test(test_statistics_are_resumed),
        cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_adapters_leave_statistics),
        cmocka_unit_test(test_a_statistic_of_two_nodes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
