/* Which columns feed a model, which is the target, and training with them. */
#include "train/small.h"

#include "train/task.h"

#include <math.h>

enum { N = 24 };

/* A column of N samples; the dims are of one sample. */
#define COLUMN(name, dtype, ...)                                                                             \
    make_column(name, dtype, (int)(sizeof((int64_t[]){1, ##__VA_ARGS__}) / sizeof(int64_t)),                 \
                (int64_t[]){N, ##__VA_ARGS__})
static hone_named_tensor make_column(const char *name, hone_dtype dtype, int rank, const int64_t *dims) {
    hone_tensor *t = NULL;
    ok(hone_tensor_new(dtype, rank, dims, &t, &err));
    hone_rng rng = hone_rng_make(1, hone_hash(name, strlen(name)));
    for (int64_t i = 0; i < t->count; i++) {
        if (dtype == HONE_FLOAT32) ((float *)t->data)[i] = hone_rng_uniform(&rng);
        if (dtype == HONE_INT64) ((int64_t *)t->data)[i] = i % 3;
        if (dtype == HONE_UINT8) ((uint8_t *)t->data)[i] = (uint8_t)(i % 2);
    }
    return (hone_named_tensor){name, t};
}

#define DATA(...)                                                                                            \
    make_data((hone_named_tensor[]){__VA_ARGS__},                                                            \
              (int)(sizeof((hone_named_tensor[]){__VA_ARGS__}) / sizeof(hone_named_tensor)))
static hone_dataset *make_data(const hone_named_tensor *columns, int count) {
    hone_dataset *d = NULL;
    ok(hone_dataset_make(columns, count, "table", &d, &err));
    for (int i = 0; i < count; i++) hone_tensor_free(columns[i].tensor);
    return d;
}

static hone_value *named_input(hone_graph *g, const char *name, hone_dtype dtype, int64_t width) {
    int64_t dims[] = {hone_graph_symbol(g, "batch"), width};
    hone_type type = hone_type_make(dtype, 2, dims);
    return hone_graph_add_input(g, name, &type);
}

/* y [batch, 1] = a [batch, 3] wa + b [batch, 2] wb */
static hone_graph *two_inputs(void) {
    hone_graph *g = hone_graph_new("two");
    hone_value *a = named_input(g, "a", HONE_FLOAT32, 3), *b = named_input(g, "b", HONE_FLOAT32, 2);
    hone_value *y = HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "MatMul", a, WEIGHT(g, "wa", 1, 3, 1)),
                              HONE_EMIT(g, "", "MatMul", b, WEIGHT(g, "wb", 1, 2, 1)));
    return finished(g, y);
}

static hone_graph *one_input(int64_t width) {
    hone_graph *g = hone_graph_new("one");
    return finished(g, HONE_EMIT(g, "", "MatMul", INPUT(g, width), WEIGHT(g, "w", 1, width, 1)));
}

/* The names of the columns that feed the inputs, then of the target: "a b > y"; "-": none. */
static const char *wired(const hone_graph *g, const hone_dataset *d, const hone_task *task) {
    static char text[128];
    hone_feed inputs[4];
    int target;
    hone_column c = {.name = "-"};
    text[0] = 0;
    ok(hone_task_wire(g, d, task, inputs, &target, &err));
    for (size_t i = 0; i < g->input_count; i++) {
        hone_dataset_column(d, inputs[i].reading.column, &c);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", c.name);
    }
    c.name = "-";
    hone_dataset_column(d, target, &c);
    snprintf(text + strlen(text), sizeof text - strlen(text), "> %s", c.name);
    return text;
}

static void test_names_decide(void **state) {
    (void)state;
    hone_graph *two = two_inputs(), *one = one_input(3);
    hone_dataset *d =
        DATA(COLUMN("y", HONE_FLOAT32), COLUMN("b", HONE_FLOAT32, 2), COLUMN("a", HONE_FLOAT32, 3));
    assert_string_equal(wired(two, d, NULL), "a b > y");
    hone_dataset_free(d);
    /* one input of another name takes x, or the only one left */
    d = DATA(COLUMN("b", HONE_FLOAT32, 2), COLUMN("y", HONE_FLOAT32), COLUMN("x", HONE_FLOAT32, 3));
    assert_string_equal(wired(one, d, NULL), "x > y");
    hone_dataset_free(d);
    d = DATA(COLUMN("features", HONE_FLOAT32, 3), COLUMN("label", HONE_FLOAT32));
    assert_string_equal(wired(one, d, NULL), "features > label");
    hone_dataset_free(d);
    d = DATA(COLUMN("price", HONE_FLOAT32), COLUMN("a", HONE_FLOAT32, 3), COLUMN("size", HONE_FLOAT32, 2));
    assert_string_equal(wired(two, d, &(hone_task){.target = "price"}), "a size > price");
    hone_dataset_free(d);
    /* of several the one that fits */
    d = DATA(COLUMN("a", HONE_FLOAT32, 3), COLUMN("b", HONE_FLOAT32, 2));
    assert_string_equal(wired(one, d, NULL), "a > b");
    hone_dataset_free(d);
    /* the target is what is left */
    d = DATA(COLUMN("a", HONE_FLOAT32, 3), COLUMN("b", HONE_FLOAT32, 2), COLUMN("price", HONE_FLOAT32));
    assert_string_equal(wired(two, d, NULL), "a b > price");
    hone_dataset_free(d);
    /* without one there is none: calibration needs none */
    d = DATA(COLUMN("x", HONE_FLOAT32, 3));
    assert_string_equal(wired(one, d, NULL), "x > -");
    hone_dataset_free(d);
    hone_graph_free(two);
    hone_graph_free(one);
}

static void test_pairs_decide_before_names(void **state) {
    (void)state;
    hone_graph *two = two_inputs();
    hone_dataset *d =
        DATA(COLUMN("a", HONE_FLOAT32, 3), COLUMN("b", HONE_FLOAT32, 2), COLUMN("c", HONE_FLOAT32, 3),
             COLUMN("y", HONE_FLOAT32), COLUMN("z", HONE_FLOAT32));
    hone_pairing c = {"a", "c"}, wrong = {"q", "a"}, gone = {"a", "q"};
    hone_task task = {.target = "z", .pairings = &c, .pairing_count = 1};
    assert_string_equal(wired(two, d, &task), "c b > z");
    hone_feed inputs[2];
    int target;
    task.pairings = &wrong;
    refused(hone_task_wire(two, d, &task, inputs, &target, &err), HONE_INVALID_ARGUMENT,
            "the model has no input 'q' for column 'a'");
    task.pairings = &gone;
    refused(hone_task_wire(two, d, &task, inputs, &target, &err), HONE_INVALID_ARGUMENT,
            "table (24 samples) has no column 'q'; there are 'a', float32[3]; 'b', float32[2]; ");
    task = (hone_task){.target = "q"};
    refused(hone_task_wire(two, d, &task, inputs, &target, &err), HONE_INVALID_ARGUMENT, "has no column 'q'");
    hone_dataset_free(d);
    hone_graph_free(two);
}

static hone_status check(const hone_graph *g, const hone_dataset *d, const char *objective) {
    return hone_task_check(g, d, &(hone_task){.objective = objective}, &err);
}

/* Errors name the column and the input or the objective. */
static void test_what_does_not_fit(void **state) {
    (void)state;
    hone_graph *two = two_inputs(), *one = one_input(3), *ids = hone_graph_new("ids");
    hone_dataset *d = DATA(COLUMN("x", HONE_FLOAT32, 3), COLUMN("y", HONE_FLOAT32));
    refused(
        check(two, d, "mean-squared-error"), HONE_INVALID_ARGUMENT,
        "which column of table (24 samples) feeds the model's input 'a', float32[batch, 3]? There are 'x', "
        "float32[3]; 'y', float32[]");
    ok(check(one, d, "mean-squared-error"));
    ok(check(one, d, "binary-cross-entropy"));
    refused(check(one, d, "cross-entropy"), HONE_INVALID_ARGUMENT,
            "cross-entropy of the output 'logits', float32[batch, 1], needs logits, float32 [batch, "
            "classes], and "
            "integer labels; column 'y', float32[], is no such target");
    refused(check(one, d, "guessing"), HONE_INVALID_ARGUMENT, "no objective 'guessing'");
    hone_value *v = named_input(ids, "x", HONE_INT64, 3);
    hone_value *cast = HONE_EMIT(ids, "", "Cast", v);
    hone_node_set_int(ids, cast->producer, "to", HONE_FLOAT32);
    finished(ids, HONE_EMIT(ids, "", "MatMul", cast, WEIGHT(ids, "w", 1, 3, 1)));
    refused(check(ids, d, "mean-squared-error"), HONE_INVALID_ARGUMENT,
            "the model's input 'x' is int64[batch, 3], but a sample of table (24 samples) is "
            "[3] (column 'x', float32)");
    hone_dataset_free(d);
    d = DATA(COLUMN("x", HONE_FLOAT32, 3), COLUMN("y", HONE_FLOAT32, 2));
    refused(check(one, d, "mean-squared-error"), HONE_INVALID_ARGUMENT,
            "column 'y', float32[2], is no such target");
    hone_dataset_free(d);
    d = DATA(COLUMN("x", HONE_FLOAT32, 3));
    refused(check(one, d, "mean-squared-error"), HONE_INVALID_ARGUMENT,
            "which column of table (24 samples) is the target? There are 'x', float32[3]");
    hone_dataset_free(d);
    hone_graph_free(two);
    hone_graph_free(one);
    hone_graph_free(ids);
}

/* Axes of 1 may be more or less: the column takes the input's shape. */
static void test_axes_of_one(void **state) {
    (void)state;
    static const struct {
        int64_t column[3], input[4]; /* -1 ends; -2: open */
        bool fits;
    } cases[] = {{{4, 5, -1}, {1, 4, 5, -1}, true},
                 {{4, 5, -1}, {4, 5, -1}, true},
                 {{4, 5, -1}, {4, 1, 5, -1}, true},
                 {{1, 4, -1}, {4, -1}, true},
                 {{4, 1, -1}, {4, -1}, true},
                 {{-1}, {1, -1}, true},
                 {{1, -1}, {-1}, true},
                 {{4, 5, -1}, {20, -1}, false},
                 {{4, 5, -1}, {5, 4, -1}, false},
                 {{4, 5, -1}, {-2, -2, -1}, true},
                 {{4, 5, -1}, {1, -2, 5, -1}, true},
                 {{4, -1}, {-2, -2, -1}, false},
                 {{4, 5, -1}, {4, -1}, false},
                 {{4, -1}, {4, 5, -1}, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rank = 1, columns = 0;
        hone_graph *g = hone_graph_new("shape");
        int64_t dims[8] = {hone_graph_symbol(g, "batch")}, stored[8] = {N};
        for (const int64_t *d = cases[i].input; *d != -1; d++) dims[rank++] = *d == -2 ? HONE_DIM_ANY : *d;
        for (const int64_t *d = cases[i].column; *d != -1; d++) stored[++columns] = *d;
        hone_type type = hone_type_make(HONE_FLOAT32, rank, dims);
        hone_graph_add_input(g, "x", &type);
        hone_named_tensor t = make_column("x", HONE_FLOAT32, columns + 1, stored);
        hone_dataset *data = make_data(&t, 1);
        hone_feed feed;
        int target;
        hone_status status = hone_task_wire(g, data, NULL, &feed, &target, &err);
        if ((status == HONE_OK) != cases[i].fits) fail_msg("case %zu: %s", i, hone_status_name(status));
        int64_t values = 1, wanted = 1;
        for (int k = 0; k < feed.rank; k++) values *= feed.dims[k];
        for (int k = 1; k <= columns; k++) wanted *= stored[k];
        if (cases[i].fits) assert_true(feed.rank == rank - 1 && values == wanted);
        hone_dataset_free(data);
        hone_graph_free(g);
    }
}

/* --- training with them --- */

static hone_train_options options(const char *objective) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.task.objective = objective;
    o.epochs = 400;
    o.batch = 5; /* with a smaller last one */
    o.learning_rate = 0.1;
    o.threads = 1;
    return o;
}

/* Targets that a model of two inputs can hit: it finds the weights. */
static void test_two_inputs_are_trained(void **state) {
    (void)state;
    hone_named_tensor a = COLUMN("a", HONE_FLOAT32, 3), b = COLUMN("b", HONE_FLOAT32, 2),
                      y = COLUMN("y", HONE_FLOAT32);
    const float *pa = a.tensor->data, *pb = b.tensor->data;
    for (int i = 0; i < N; i++)
        ((float *)y.tensor->data)[i] =
            2 * pa[3 * i] - pa[3 * i + 1] + 0.5f * pa[3 * i + 2] - 3 * pb[2 * i] + pb[2 * i + 1];
    hone_dataset *d = DATA(a, b, y);
    hone_graph *g = two_inputs();
    hone_train_options o = options("mean-squared-error");
    hone_train_report r;
    hone_eval_report e;
    o.validation = d;
    ok(hone_train(g, d, &o, &r, &err));
    static const float want[] = {2, -1, 0.5f, -3, 1};
    for (int i = 0; i < 5; i++) {
        float w = ((const float *)weight_of(g, i < 3 ? "wa" : "wb")->data)[i < 3 ? i : i - 3];
        if (!(fabsf(w - want[i]) < 0.01f)) fail_msg("weight %d is %g, not %g", i, w, want[i]);
    }
    assert_string_equal(r.metric.name, "mean_absolute_error");
    assert_true(r.metric.value < 0.01 && r.loss < 1e-4);
    ok(hone_evaluate(g, d, NULL, 1, &e, &err)); /* the model knows what it was trained for */
    assert_string_equal(e.objective, "mean-squared-error");
    assert_true(e.metrics[1].value > 0.999);
    hone_graph_free(g);
    hone_dataset_free(d);
}

static void test_yes_and_no_are_trained(void **state) {
    (void)state;
    hone_named_tensor x = COLUMN("x", HONE_FLOAT32, 2), y = COLUMN("y", HONE_UINT8);
    for (int i = 0; i < N; i++)
        ((uint8_t *)y.tensor->data)[i] =
            ((float *)x.tensor->data)[2 * i] > ((float *)x.tensor->data)[2 * i + 1];
    hone_dataset *d = DATA(x, y);
    hone_graph *g = one_input(2);
    hone_train_options o = options("binary-cross-entropy");
    hone_train_report r;
    ok(hone_train(g, d, &o, &r, &err));
    assert_true(r.metric.value > 0.95 && r.loss < 0.2 && r.metric.share);
    assert_string_equal(hone_graph_metadata(g, "hone.objective"), "binary-cross-entropy");
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* A network of numbers is built and trained from a description alone. */
static void test_numbers_from_a_description(void **state) {
    (void)state;
    hone_dataset *d = DATA(COLUMN("x", HONE_FLOAT32, 2), COLUMN("y", HONE_FLOAT32));
    hone_graph *g = NULL;
    hone_build_options build = HONE_BUILD_OPTIONS_INIT;
    hone_train_options o = options("mean-squared-error");
    hone_train_report r;
    build.task = o.task;
    o.epochs = 3;
    ok(hone_build_model("mlp:2-8-1", d, &build, &g, &err));
    ok(hone_train(g, d, &o, &r, &err));
    assert_true(isfinite(r.loss));
    hone_graph_free(g);
    /* integers are numbers, too: no classes that the width must hold */
    hone_dataset *counts = DATA(COLUMN("x", HONE_FLOAT32, 2), COLUMN("y", HONE_INT64));
    ok(hone_build_model("mlp:2-8-1", counts, &build, &g, &err));
    ok(hone_train(g, counts, &o, &r, &err));
    hone_graph_free(g);
    g = NULL;
    refused(hone_build_model("mlp:2-8-1", counts, NULL, &g, &err), HONE_INVALID_ARGUMENT, "the data needs 3");
    hone_dataset_free(counts);
    hone_dataset_free(d);
}

static void test_a_teacher_wants_classes(void **state) {
    (void)state;
    hone_dataset *d = DATA(COLUMN("x", HONE_FLOAT32, 2), COLUMN("y", HONE_FLOAT32));
    hone_graph *g = one_input(2), *teacher = one_input(2);
    hone_train_options o = options("mean-squared-error");
    o.teacher = teacher;
    refused(hone_train(g, d, &o, NULL, &err), HONE_INVALID_ARGUMENT,
            "a teacher needs the objective cross-entropy");
    hone_graph_free(g);
    hone_graph_free(teacher);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_decide),
        cmocka_unit_test(test_pairs_decide_before_names),
        cmocka_unit_test(test_what_does_not_fit),
        cmocka_unit_test(test_axes_of_one),
        cmocka_unit_test(test_two_inputs_are_trained),
        cmocka_unit_test(test_yes_and_no_are_trained),
        cmocka_unit_test(test_numbers_from_a_description),
        cmocka_unit_test(test_a_teacher_wants_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
