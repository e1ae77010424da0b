/* The training loop: results depend on neither threads nor luck, and a failure leaves the graph as it was. */
#include "train/small.h"

#include "train/parametrize.h"

#include <math.h>

SHARED_BLOBS(200, 16, 5)

static hone_train_options options(void) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = 3;
    o.batch = 32;
    o.learning_rate = 0.1;
    o.threads = 1;
    return o;
}

static hone_status train(hone_graph *g, const hone_train_options *o) {
    return hone_train(g, data, o, NULL, &err);
}

static hone_graph *trained(const char *widths, const hone_train_options *o, hone_train_report *r) {
    hone_graph *g = mlp(widths, data, 1);
    ok(hone_train(g, data, o, r, &err));
    return g;
}

/* --- results --- */

static void test_it_learns(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_train_report r = {0};
    hone_eval_report before, after;
    hone_graph *g = mlp("16-12-5", data, 1);
    ok(hone_evaluate(g, data, NULL, 1, &before, &err));
    o.epochs = 15;
    ok(hone_train(g, data, &o, &r, &err));
    ok(hone_evaluate(g, data, NULL, 1, &after, &err));
    assert_true(after.metrics[0].value > 0.95 && after.loss < before.loss / 3);
    assert_int_equal(r.steps, 15 * 7);
    assert_false(r.stopped);
    assert_true(fabs(r.loss - after.loss) < 0.2 && r.metric.value > 0.9 && r.seconds > 0);
    hone_graph_free(g);
}

/* Wide enough for the pool to share the work. */
static void test_threads_change_no_bit(void **state) {
    (void)state;
    hone_dataset *wide = blobs(300, 256, 10, 2);
    hone_train_options o = options();
    hone_graph *first = NULL;
    o.batch = 128;
    o.epochs = 2;
    for (int threads = 1; threads <= 4; threads *= 2) {
        hone_graph *g = mlp("256-512-128-10", wide, 1);
        o.threads = threads;
        ok(hone_train(g, wide, &o, NULL, &err));
        if (first) assert_true(same_weights(first, g));
        if (first)
            hone_graph_free(g);
        else
            first = g;
    }
    hone_graph_free(first);
    hone_dataset_free(wide);
}

static void test_the_seed_orders_the_samples(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *a = trained("16-12-5", &o, NULL), *b = trained("16-12-5", &o, NULL);
    o.seed = 2;
    hone_graph *c = trained("16-12-5", &o, NULL);
    assert_true(same_weights(a, b));
    assert_false(same_weights(a, c));
    hone_graph_free(a);
    hone_graph_free(b);
    hone_graph_free(c);
}

static void test_some_samples_only(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_train_report r;
    hone_dataset *subset = NULL;
    hone_draw_options draw = HONE_DRAW_OPTIONS_INIT;
    draw.share = 50;
    ok(hone_dataset_draw(data, &draw, &subset, NULL, &err));
    hone_graph *a = mlp("16-12-5", data, 1), *b = mlp("16-12-5", data, 1);
    ok(hone_train(a, subset, &o, NULL, &err));
    o.max_samples = 50;
    ok(hone_train(b, data, &o, &r, &err));
    assert_int_equal(r.steps, 6); /* 32 and 18, three times */
    assert_true(same_weights(a, b));
    o.max_samples = 500; /* more than there are */
    ok(hone_train(b, data, &o, &r, &err));
    assert_int_equal(r.steps, 21);
    hone_graph_free(a);
    hone_graph_free(b);
    hone_dataset_free(subset);
}

/* --- progress --- */

typedef struct watch {
    int calls, epochs, stop_at;
    hone_train_progress last;
    double rates[64], losses[64];
    bool counts_fit, graphs_fit;
    const hone_graph *source;
} watch;

static bool look(void *user, const hone_train_progress *p) {
    watch *w = user;
    if (w->calls == 0) w->counts_fit = w->graphs_fit = true;
    if (w->calls < 64) {
        w->rates[w->calls] = p->learning_rate;
        w->losses[w->calls] = p->loss;
    }
    w->calls++;
    w->epochs += p->epoch_done;
    w->counts_fit &= p->step == w->calls && p->epoch >= 1 && p->epoch <= p->epochs &&
                     p->samples <= p->epoch_samples && p->epoch_done == (p->samples == p->epoch_samples) &&
                     p->metric.value >= 0 && p->metric.value <= 1 && p->data_seconds <= p->seconds + 1;
    w->graphs_fit &= (p->graph != NULL) == p->epoch_done;
    if (p->graph)
        w->graphs_fit &= p->graph != w->source && hone_graph_initializer(p->graph, "layer1.weight") != NULL;
    w->last = *p;
    return w->calls != w->stop_at;
}

static void test_schedules(void **state) {
    (void)state;
    watch w = {0};
    hone_train_options o = options();
    o.progress = look;
    o.user = &w;
    hone_graph_free(trained("16-5", &o, NULL));
    assert_int_equal(w.calls, 21);
    for (int i = 0; i < 21; i++) assert_true(fabs(w.rates[i] - 0.05 * (1 + cos(M_PI * i / 21))) < 1e-15);
    assert_true(w.rates[0] == 0.1 && w.rates[20] > 0 && w.rates[20] < 0.001);
    w = (watch){0};
    o.schedule = HONE_SCHEDULE_CONSTANT;
    hone_graph_free(trained("16-5", &o, NULL));
    for (int i = 0; i < 21; i++) assert_true(w.rates[i] == 0.1);
}

static void test_progress(void **state) {
    (void)state;
    watch w = {0};
    hone_train_options o = options();
    hone_train_report r;
    o.progress = look;
    o.user = &w;
    o.validation = data;
    o.keep_best = false;
    hone_graph *g = trained("16-12-5", &o, &r);
    hone_eval_report after;
    ok(hone_evaluate(g, data, NULL, 1, &after, &err));
    assert_true(w.counts_fit && w.graphs_fit);
    assert_int_equal(w.calls, 21);
    assert_int_equal(w.epochs, 3);
    assert_int_equal(w.last.epoch, 3);
    assert_int_equal(w.last.samples, 200);
    assert_true(w.last.validation_loss == after.loss && w.last.validation_metric == after.metrics[0].value);
    assert_true(w.last.loss == r.loss && w.last.metric.value == r.metric.value);
    w = (watch){0};
    o.validation = NULL;
    hone_graph_free(trained("16-12-5", &o, &r));
    assert_true(isnan(w.last.validation_loss) && isnan(w.last.validation_metric));
    hone_graph_free(g);
}

/* Watching changes nothing. */
static void test_progress_is_only_a_look(void **state) {
    (void)state;
    watch w = {0};
    hone_train_options o = options();
    hone_graph *a = trained("16-12-5", &o, NULL);
    o.progress = look;
    o.user = &w;
    o.validation = data;
    o.keep_best = false;
    hone_graph *b = trained("16-12-5", &o, NULL);
    assert_true(same_weights(a, b));
    hone_graph_free(a);
    hone_graph_free(b);
}

static void test_stopping(void **state) {
    (void)state;
    for (int at = 1; at <= 21; at++) {
        watch w = {.stop_at = at};
        hone_train_options o = options();
        hone_train_report r = {0};
        o.progress = look;
        o.user = &w;
        hone_graph *g = trained("16-5", &o, &r);
        assert_int_equal(r.steps, at);
        assert_int_equal(w.calls, at);
        assert_int_equal(r.stopped, at < 21); /* the last step ends it anyway */
        assert_true(r.loss == w.last.loss && r.metric.value == w.last.metric.value && r.loss > 0);
        hone_graph_free(g);
    }
}

/* --- masks --- */

static hone_parametrized apply_mask(hone_graph *g, hone_value *w, const void *arg) {
    hone_value *mask = hone_graph_add_constant(g, "mask", (hone_tensor *)arg);
    return (hone_parametrized){
        .value = HONE_EMIT(g, "", "Mul", w, mask), .variables = {w}, .variable_count = 1};
}

static bool keeps_zeros(const hone_graph *g, const hone_tensor *mask) {
    const hone_tensor *w = weight_of(g, "layer1.weight");
    for (int64_t i = 0; i < w->count; i++)
        if ((((const float *)w->data)[i] == 0) != (((const float *)mask->data)[i] == 0)) return false;
    return true;
}

typedef struct mask_watch {
    const hone_tensor *mask;
    int epochs;
    bool kept;
} mask_watch;

static bool look_at_mask(void *user, const hone_train_progress *p) {
    mask_watch *w = user;
    if (p->graph) w->kept &= keeps_zeros(p->graph, w->mask);
    w->epochs += p->epoch_done;
    return true;
}

static void test_masks_keep_zeros(void **state) {
    (void)state;
    hone_graph *g = mlp("16-12-5", data, 1), *start = copy_of(g);
    hone_tensor *mask = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){16, 12}, &mask, &err));
    for (int i = 0; i < 16 * 12; i++) ((float *)mask->data)[i] = i % 3 != 0;
    hone_parametrization p = {"layer1.weight", apply_mask, mask};
    mask_watch w = {mask, 0, true};
    hone_train_options o = options();
    o.weight_decay = 0.01;
    o.progress = look_at_mask;
    o.user = &w;
    ok(hone_train_parametrized(g, data, &o, &p, 1, NULL, &err));
    assert_true(keeps_zeros(g, mask));
    assert_true(w.kept && w.epochs == 3);
    assert_false(same_tensor(weight_of(g, "layer1.weight"), weight_of(start, "layer1.weight")));
    hone_tensor_free(mask);
    hone_graph_free(g);
    hone_graph_free(start);
}

/* --- distillation --- */

static void test_distillation(void **state) {
    (void)state;
    hone_train_options o = options();
    o.epochs = 20;
    hone_graph *teacher = trained("16-32-5", &o, NULL), *kept = copy_of(teacher);
    o.teacher = teacher;
    o.alpha = 1; /* the labels count for nothing */
    hone_graph *student = trained("16-8-5", &o, NULL);
    hone_tensor *want = predict(teacher, data, 200), *got = predict(student, data, 200);
    int same = 0;
    for (int i = 0; i < 200; i++) {
        int a = 0, b = 0;
        for (int j = 1; j < 5; j++) {
            if (((float *)want->data)[5 * i + j] > ((float *)want->data)[5 * i + a]) a = j;
            if (((float *)got->data)[5 * i + j] > ((float *)got->data)[5 * i + b]) b = j;
        }
        same += a == b;
    }
    assert_true(same > 190);
    assert_true(same_weights(teacher, kept));
    hone_tensor_free(want);
    hone_tensor_free(got);
    hone_graph_free(student);
    hone_graph_free(teacher);
    hone_graph_free(kept);
}

/* A batch of more than all samples is all samples. */
static void test_batches_larger_than_the_data(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_train_report r;
    o.batch = 200;
    hone_graph *teacher = mlp("16-5", data, 7), *a = trained("16-12-5", &o, NULL);
    o.batch = 2000000000;
    hone_graph *b = trained("16-12-5", &o, &r);
    assert_int_equal(r.steps, 3);
    assert_true(same_weights(a, b));
    o.teacher = teacher;
    hone_graph *c = trained("16-12-5", &o, NULL);
    o.batch = 200;
    hone_graph *d = trained("16-12-5", &o, NULL);
    assert_true(same_weights(c, d));
    hone_graph_free(a);
    hone_graph_free(b);
    hone_graph_free(c);
    hone_graph_free(d);
    hone_graph_free(teacher);
}

static void test_more_outputs(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *a = mlp("16-12-5", data, 1), *b = mlp("16-12-5", data, 1), *teacher = mlp("16-5", data, 7);
    hone_graph *const both[] = {b, teacher};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++)
            hone_graph_add_output(both[i], HONE_EMIT(both[i], "", "Relu", both[i]->outputs[0]));
    o.teacher = teacher;
    ok(train(a, &o));
    ok(train(b, &o));
    assert_true(same_tensor(weight_of(a, "layer2.weight"), weight_of(b, "layer2.weight")));
    assert_int_equal(hone_graph_output_count(b), 4);
    hone_graph_free(a);
    hone_graph_free(b);
    hone_graph_free(teacher);
}

/* --- failures leave the graph as it was --- */

static void fails(const char *widths, const hone_dataset *d, const hone_train_options *o, hone_status wanted,
                  const char *text, int line) {
    hone_graph *g = mlp(widths, data, 1), *before = copy_of(g);
    hone_train_report r = {.steps = -7};
    refused_at(hone_train(g, d, o, &r, &err), wanted, text, line);
    assert_true(same_weights(g, before));
    assert_int_equal(r.steps, -7);
    hone_graph_free(g);
    hone_graph_free(before);
}
#define FAILS(widths, d, o, wanted, text) fails(widths, d, o, wanted, text, __LINE__)

static void test_options_out_of_range(void **state) {
    (void)state;
    hone_graph *teacher = mlp("16-5", data, 7);
#define BAD(assignment, text)                                                                                \
    do {                                                                                                     \
        hone_train_options o = options();                                                                    \
        o.assignment;                                                                                        \
        FAILS("16-5", data, &o, HONE_INVALID_ARGUMENT, text);                                                \
    } while (0)
    BAD(size = 0, "OPTIONS_INIT");
    BAD(size -= 8, "OPTIONS_INIT");
    BAD(epochs = 0, "epoch");
    BAD(epochs = -1, "epoch");
    BAD(batch = 0, "batch");
    BAD(learning_rate = 0, "learning rate 0");
    BAD(learning_rate = -1, "learning rate -1");
    BAD(learning_rate = NAN, "learning rate nan");
    BAD(learning_rate = INFINITY, "learning rate inf");
    BAD(learning_rate = 1e39, "learning rate 1e+39");
    BAD(momentum = -0.1, "momentum -0.1");
    BAD(momentum = 1, "momentum 1");
    BAD(momentum = NAN, "momentum nan");
    BAD(weight_decay = -1, "weight decay -1");
    BAD(weight_decay = NAN, "weight decay nan");
    BAD(weight_decay = INFINITY, "weight decay inf");
    BAD(schedule = (hone_schedule)7, "schedule 7");
    BAD(threads = -1, "threads");
    BAD(max_samples = -1, "max_samples -1");
    BAD(checkpoint_steps = -1, "checkpoint_steps -1");
    BAD(teacher = teacher; o.temperature = 0, "temperature 0");
    BAD(teacher = teacher; o.temperature = NAN, "temperature nan");
    BAD(teacher = teacher; o.temperature = INFINITY, "temperature inf");
    BAD(teacher = teacher; o.alpha = -0.1, "alpha -0.1");
    BAD(teacher = teacher; o.alpha = 1.1, "alpha 1.1");
    BAD(teacher = teacher; o.alpha = NAN, "alpha nan");
    hone_train_options o = options(); /* without a teacher nobody asks */
    o.temperature = o.alpha = NAN;
    hone_graph *g = mlp("16-5", data, 1);
    ok(train(g, &o));
    hone_graph_free(g);
    hone_graph_free(teacher);
}

static void test_labels_beyond_the_classes(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_dataset *more = blobs(200, 16, 9, 1);
    FAILS("16-12-5", more, &o, HONE_INVALID_ARGUMENT, ", but the model has 5 outputs");
    o.batch = 1;
    FAILS("16-12-5", more, &o, HONE_INVALID_ARGUMENT, "outputs");
    /* a subset without the large labels is fine */
    uint32_t indices[200];
    int64_t n = 0, label;
    for (uint32_t i = 0; i < 200; i++) {
        read_y(more, i, 1, &label);
        if (label < 5) indices[n++] = i;
    }
    hone_dataset *fitting = NULL;
    ok(hone_dataset_subset(more, indices, n, &fitting, &err));
    hone_graph *g = mlp("16-12-5", data, 1);
    ok(hone_train(g, fitting, &o, NULL, &err));
    hone_graph_free(g);
    hone_dataset_free(fitting);
    hone_dataset_free(more);
}

/* The number of classes is known only when the model runs. */
static void test_labels_beyond_classes_found_late(void **state) {
    (void)state;
    hone_dataset *more = blobs(200, 16, 9, 1);
    hone_graph *g = hone_graph_new("late");
    hone_value *x = INPUT(g, 16), *y = HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "w", 1, 16, 5));
    hone_value *shape = hone_graph_ints(g, (int64_t[]){0, -1}, 2);
    finished(g, HONE_EMIT(g, "", "Reshape", y, HONE_EMIT(g, "", "Identity", shape)));
    hone_graph *before = copy_of(g);
    hone_train_options o = options();
    refused(hone_train(g, more, &o, NULL, &err), HONE_INVALID_ARGUMENT, "is none of the 5 classes");
    assert_true(same_weights(g, before));
    ok(hone_train(g, data, &o, NULL, &err));
    assert_false(same_weights(g, before));
    hone_graph_free(g);
    hone_graph_free(before);
    hone_dataset_free(more);
}

static void test_teacher_that_does_not_fit(void **state) {
    (void)state;
    hone_dataset *more = blobs(200, 16, 9, 1), *wider = blobs(200, 17, 5, 1);
    hone_graph *classes = mlp("16-9", more, 1), *features = mlp("17-5", wider, 1),
               *two = mlp("16-5", data, 1);
    hone_train_options o = options();
    o.teacher = classes;
    FAILS("16-12-5", data, &o, HONE_INVALID_ARGUMENT, "the teacher has 9 outputs, the student 5");
    o.teacher = features;
    FAILS("16-12-5", data, &o, HONE_INVALID_ARGUMENT, "input");
    hone_graph_add_input(two, "more", &two->inputs[0]->type);
    o.teacher = two;
    FAILS("16-12-5", data, &o, HONE_INVALID_ARGUMENT, "feeds the model's input 'input'");
    hone_graph_free(classes);
    hone_graph_free(features);
    hone_graph_free(two);
    hone_dataset_free(more);
    hone_dataset_free(wider);
}

static void test_losing_its_way(void **state) {
    (void)state;
    hone_train_options o = options();
    o.learning_rate = 1e30;
    FAILS("16-12-5", data, &o, HONE_OUT_OF_RANGE, "a smaller learning rate may help");
    /* only the last update goes wrong: its loss was still fine */
    o.epochs = 1;
    o.batch = 200;
    o.learning_rate = 3e38;
    o.weight_decay = 1e20;
    FAILS("16-12-5", data, &o, HONE_OUT_OF_RANGE, "a smaller learning rate may help");
}

static void test_wrong_input(void **state) {
    (void)state;
    hone_dataset *wider = blobs(50, 17, 5, 1);
    hone_train_options o = options();
    FAILS("16-12-5", wider, &o, HONE_INVALID_ARGUMENT, "input");
    o.checkpoint_dir = "/dev/null/nowhere";
    FAILS("16-12-5", data, &o, HONE_IO, "/dev/null: ");
    o = options();
    o.resume_dir = test_path("nothing");
    FAILS("16-12-5", data, &o, HONE_NOT_FOUND, "there is no checkpoint here");
    hone_dataset_free(wider);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_dataset *few = blobs(40, 16, 5, 1);
    hone_train_options o = options();
    watch w = {0};
    hone_graph *teacher = mlp("16-5", data, 7), *g = mlp("16-6-5", data, 1), *before = copy_of(g),
               *whole = copy_of(g);
    o.epochs = 1;
    o.batch = 16;
    o.teacher = teacher;
    o.max_samples = 36;
    o.progress = look;
    o.user = &w;
    o.validation = few;
    ok(hone_train(whole, few, &o, NULL, &err));
    FAIL_EACH_ALLOCATION(hone_train(g, few, &o, NULL, &err), assert_true(same_weights(g, before)));
    assert_true(same_weights(g, whole));
    hone_graph_free(g);
    hone_graph_free(before);
    hone_graph_free(whole);
    hone_graph_free(teacher);
    hone_dataset_free(few);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_learns),
        cmocka_unit_test(test_threads_change_no_bit),
        cmocka_unit_test(test_the_seed_orders_the_samples),
        cmocka_unit_test(test_some_samples_only),
        cmocka_unit_test(test_schedules),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_progress_is_only_a_look),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_masks_keep_zeros),
        cmocka_unit_test(test_distillation),
        cmocka_unit_test(test_batches_larger_than_the_data),
        cmocka_unit_test(test_more_outputs),
        cmocka_unit_test(test_options_out_of_range),
        cmocka_unit_test(test_labels_beyond_the_classes),
        cmocka_unit_test(test_labels_beyond_classes_found_late),
        cmocka_unit_test(test_teacher_that_does_not_fit),
        cmocka_unit_test(test_losing_its_way),
        cmocka_unit_test(test_wrong_input),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
