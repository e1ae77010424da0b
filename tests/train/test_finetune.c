/* Training models that are there already: ends in softmax and sigmoid, heads, frozen weights. */
#include "train/small.h"

#include "train/task.h"

#include <math.h>

SHARED_BLOBS(200, 16, 5)

static hone_train_options options(void) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = 3;
    o.batch = 32;
    o.threads = 1;
    return o;
}

/* `g` with `op` behind its output. */
static hone_graph *ended(const hone_graph *g, const char *op) {
    hone_graph *e = copy_of(g);
    hone_value *y = HONE_EMIT(e, "", op, e->outputs[0]); /* builder's: any operator of one input */
    e->output_count = 0;
    hone_graph_rename(e, y, "shares");
    hone_graph_add_output(e, y);
    ok(hone_graph_check(e, &err));
    ok(hone_graph_infer(e, &err));
    return e;
}

/* --- links --- */

static void test_softmax_goes_into_the_loss(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *plain = mlp("16-12-5", data, 1), *e = ended(plain, "Softmax");
    hone_eval_report a, b;
    ok(hone_evaluate(plain, data, NULL, 1, &a, &err));
    ok(hone_evaluate(e, data, NULL, 1, &b, &err));
    assert_true(fabs(a.loss - b.loss) < 1e-5 && a.metrics[0].value == b.metrics[0].value);
    ok(hone_train(plain, data, &o, NULL, &err));
    ok(hone_train(e, data, &o, NULL, &err));
    assert_true(same_weights(plain, e));
    assert_string_equal(e->outputs[0]->name, "shares"); /* it comes back */
    hone_tensor *y = predict(e, data, 4);
    for (int i = 0; i < 4; i++) {
        double sum = 0;
        for (int k = 0; k < 5; k++) sum += ((float *)y->data)[5 * i + k];
        assert_true(fabs(sum - 1) < 1e-5);
    }
    hone_tensor_free(y);
    hone_graph_free(plain);
    hone_graph_free(e);
}

static void test_a_teacher_that_ends_in_softmax(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *teacher = mlp("16-12-5", data, 1), *a = mlp("16-6-5", data, 2), *b = copy_of(a);
    ok(hone_train(teacher, data, &o, NULL, &err));
    hone_graph *e = ended(teacher, "Softmax");
    o.teacher = teacher;
    ok(hone_train(a, data, &o, NULL, &err));
    o.teacher = e;
    ok(hone_train(b, data, &o, NULL, &err));
    const hone_tensor *wa = weight_of(a, "layer1.weight"), *wb = weight_of(b, "layer1.weight");
    for (int64_t i = 0; i < wa->count; i++)
        assert_true(fabsf(((const float *)wa->data)[i] - ((const float *)wb->data)[i]) < 1e-4f);
    hone_graph_free(teacher);
    hone_graph_free(e);
    hone_graph_free(a);
    hone_graph_free(b);
}

/* A column of zeros and ones: is it class 0? */
static hone_dataset *yes_or_no(void) {
    hone_tensor *x = NULL, *y = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){200, 16}, &x, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){200, 1}, &y, &err));
    read_x(data, 0, 200, x->data);
    int64_t labels[200];
    read_y(data, 0, 200, labels);
    for (int i = 0; i < 200; i++) ((float *)y->data)[i] = labels[i] == 0;
    return dataset_of("yes or no", x, y);
}

static void test_sigmoid_goes_into_the_loss(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_dataset *d = yes_or_no();
    hone_eval_report a, b;
    hone_build_options build = HONE_BUILD_OPTIONS_INIT;
    hone_graph *plain = NULL;
    o.task.objective = build.task.objective = "binary-cross-entropy";
    ok(hone_build_model("mlp:8", d, &build, &plain, &err));
    hone_graph *e = ended(plain, "Sigmoid");
    ok(hone_train(plain, d, &o, NULL, &err));
    o.task.objective = NULL; /* the sigmoid says it */
    ok(hone_train(e, d, &o, NULL, &err));
    assert_true(same_weights(plain, e));
    ok(hone_evaluate(plain, d, &(hone_task){.objective = "binary-cross-entropy"}, 1, &a, &err));
    ok(hone_evaluate(e, d, NULL, 1, &b, &err));
    assert_true(fabs(a.loss - b.loss) < 1e-4 && a.metrics[0].value == b.metrics[0].value);
    hone_graph_free(plain);
    hone_graph_free(e);
    hone_dataset_free(d);
}

static void test_links_that_do_not_suit(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *plain = mlp("16-12-5", data, 1), *e = ended(plain, "Sigmoid");
    o.task.objective = "cross-entropy";
    refused(hone_train(e, data, &o, NULL, &err), HONE_INVALID_ARGUMENT, "ends in a sigmoid");
    hone_eval_report r;
    refused(hone_evaluate(e, data, &o.task, 1, &r, &err), HONE_INVALID_ARGUMENT, "ends in a sigmoid");
    hone_graph_free(plain);
    hone_graph_free(e);
}

/* --- fixed batches --- */

/* input [1, 16] → Reshape [1, 4, 4] → Reshape [1, 16] → a layer */
static hone_graph *of_one(bool through_constants) {
    hone_graph *g = hone_graph_new("of one");
    hone_type type = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){1, 16});
    hone_value *x = hone_graph_add_input(g, "input", &type), *y = x;
    int64_t there[] = {1, 4, 4}, back[] = {1, -1}, wrong[] = {4, 4};
    if (through_constants) {
        y = HONE_EMIT(g, "", "Reshape", y, hone_graph_ints(g, there, 3));
        y = HONE_EMIT(g, "", "Reshape", y, hone_graph_ints(g, back, 2));
    } else { /* the batch is lost in it */
        y = HONE_EMIT(g, "", "Reshape", y, hone_graph_ints(g, wrong, 2));
    }
    return finished(g, HONE_EMIT(g, "", "MatMul", y, WEIGHT(g, "w", 1, through_constants ? 16 : 4, 5)));
}

static void test_fixed_batches(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *g = of_one(true), *open = hone_graph_new("open");
    finished(open, HONE_EMIT(open, "", "MatMul", INPUT(open, 16), WEIGHT(open, "w", 1, 16, 5)));
    ok(hone_train(g, data, &o, NULL, &err));
    ok(hone_train(open, data, &o, NULL, &err));
    assert_true(same_tensor(weight_of(g, "w"), weight_of(open, "w")));
    assert_int_equal(g->inputs[0]->type.dims[0], 1); /* the model stays what it is */
    hone_graph_free(g);
    hone_graph_free(open);
    g = of_one(false);
    refused(hone_train(g, data, &o, NULL, &err), HONE_UNSUPPORTED, "fixes the batch's size");
    hone_graph_free(g);
}

/* --- frozen weights --- */

static void test_frozen_weights_stay(void **state) {
    (void)state;
    static const struct {
        const char *freeze, *train;
        bool changes[4]; /* layer1.weight, layer1.bias, layer2.weight, layer2.bias */
    } cases[] = {{"layer1.*", NULL, {false, false, true, true}},
                 {"*", "layer2.bias", {false, false, false, true}},
                 {"*.weight", NULL, {false, true, false, true}},
                 {"nothing,layer2.weight", NULL, {true, true, false, true}}};
    static const char *const names[] = {"layer1.weight", "layer1.bias", "layer2.weight", "layer2.bias"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_train_options o = options();
        hone_graph *g = mlp("16-12-5", data, 1), *before = copy_of(g);
        o.freeze = cases[i].freeze;
        o.train = cases[i].train;
        ok(hone_train(g, data, &o, NULL, &err));
        for (int k = 0; k < 4; k++)
            assert_int_equal(!same_tensor(weight_of(g, names[k]), weight_of(before, names[k])),
                             cases[i].changes[k]);
        hone_graph_free(g);
        hone_graph_free(before);
    }
    hone_train_options o = options();
    hone_graph *g = mlp("16-12-5", data, 1);
    o.freeze = "*";
    refused(hone_train(g, data, &o, NULL, &err), HONE_INVALID_ARGUMENT, "no trainable weights");
    hone_graph_free(g);
}

static void test_adapters_beside_what_is_trained(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *g = mlp("16-12-5", data, 1), *before = copy_of(g);
    o.lora_rank = 2;
    o.train = "layer2.*";
    ok(hone_train(g, data, &o, NULL, &err));
    assert_false(same_tensor(weight_of(g, "layer1.weight"), weight_of(before, "layer1.weight")));
    assert_true(same_tensor(weight_of(g, "layer1.bias"), weight_of(before, "layer1.bias")));
    assert_false(same_tensor(weight_of(g, "layer2.bias"), weight_of(before, "layer2.bias")));
    hone_graph_free(g);
    hone_graph_free(before);
}

/* --- heads --- */

static hone_graph *headed(const hone_graph *g, hone_head_kind kind, const char *output) {
    hone_graph *h = copy_of(g);
    hone_head_options o = HONE_HEAD_OPTIONS_INIT;
    o.kind = kind;
    o.output = output;
    ok(hone_graph_set_head(h, data, &o, &err));
    return h;
}

static void test_heads(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *g = mlp("16-12-9", data, 1), *soft = ended(g, "Softmax");
    hone_graph *replaced = headed(g, HONE_HEAD_REPLACE, NULL), *added = headed(g, HONE_HEAD_ADD, NULL),
               *behind = headed(soft, HONE_HEAD_REPLACE, NULL);
    hone_graph *all[] = {replaced, added, behind};
    for (int i = 0; i < 3; i++) {
        hone_graph *h = all[i];
        assert_int_equal(h->output_count, 1);
        assert_int_equal(h->outputs[0]->type.dims[1], 5);
        assert_int_equal(weight_of(h, "head.weight")->dims[0], i == 1 ? 9 : 12);
        assert_int_equal(hone_graph_find(h, "layer2.weight") != NULL, i == 1);
        o.epochs = 20;
        o.learning_rate = 0.1;
        hone_train_report r;
        ok(hone_train(h, data, &o, &r, &err));
        assert_true(r.metric.value > 0.8);
        hone_graph_free(h);
    }
    hone_graph_free(g);
    hone_graph_free(soft);
}

/* [batch, places, features] and a mask: the mean over the places that count. */
static void test_masked_mean(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("places");
    hone_type ids = hone_type_make(HONE_INT64, 2, (int64_t[]){hone_graph_symbol(g, "batch"), 16});
    hone_value *x = hone_graph_add_input(g, "x", &ids),
               *mask = hone_graph_add_input(g, "attention_mask", &ids);
    (void)mask;
    finished(g, HONE_EMIT(g, "", "Gather", WEIGHT(g, "table", 1, 7, 3), x));
    hone_graph *h = headed(g, HONE_HEAD_ADD, NULL);
    assert_int_equal(h->input_count, 2);
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_tensor *in[2] = {NULL};
    const hone_tensor *out[1];
    for (int i = 0; i < 2; i++) ok(hone_tensor_new(HONE_INT64, 2, (int64_t[]){1, 16}, &in[i], &err));
    int64_t *id = in[0]->data, *one = in[1]->data;
    for (int i = 0; i < 16; i++) id[i] = i % 7, one[i] = i == 2 || i == 5;
    ok(hone_model_compile(h, NULL, &m, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_context_run(c, (const hone_tensor *const *)in, out, &err));
    const float *table = weight_of(g, "table")->data, *w = weight_of(h, "head.weight")->data;
    for (int k = 0; k < 5; k++) {
        double wanted = 0;
        for (int j = 0; j < 3; j++) wanted += (table[2 * 3 + j] + table[5 * 3 + j]) / 2 * w[j * 5 + k];
        assert_true(fabs(((const float *)out[0]->data)[k] - wanted) < 1e-5);
    }
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    for (int i = 0; i < 2; i++) hone_tensor_free(in[i]);
    hone_graph_free(h);
    hone_graph_free(g);
}

static void test_heads_that_cannot_be(void **state) {
    (void)state;
    hone_head_options o = HONE_HEAD_OPTIONS_INIT;
    hone_graph *g = mlp("16-12-9", data, 1), *h = copy_of(g);
    o.output = "nowhere";
    refused(hone_graph_set_head(h, data, &o, &err), HONE_NOT_FOUND, "nowhere");
    hone_graph_free(h);
    h = hone_graph_new("no layer");
    finished(h, HONE_EMIT(h, "", "Relu", INPUT(h, 16)));
    o.output = NULL;
    refused(hone_graph_set_head(h, data, &o, &err), HONE_UNSUPPORTED,
            "does not come from a fully connected layer");
    hone_graph_free(h);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax_goes_into_the_loss),
        cmocka_unit_test(test_a_teacher_that_ends_in_softmax),
        cmocka_unit_test(test_sigmoid_goes_into_the_loss),
        cmocka_unit_test(test_links_that_do_not_suit),
        cmocka_unit_test(test_fixed_batches),
        cmocka_unit_test(test_frozen_weights_stay),
        cmocka_unit_test(test_adapters_beside_what_is_trained),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_masked_mean),
        cmocka_unit_test(test_heads_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, make_data, free_data);
}
