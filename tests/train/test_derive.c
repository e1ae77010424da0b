/* The training graph. */
#include "train/small.h"

#include "runtime/model.h"
#include "train/derive.h"

#include <math.h>

static const hone_train_options plain = HONE_TRAIN_OPTIONS_INIT;

static const hone_objective *objective(const hone_train_options *o) {
    const hone_objective *found = NULL;
    ok(hone_objective_find(o->task.objective ? o->task.objective : "cross-entropy", &found, &err));
    return found;
}

static hone_status derive_with(const hone_graph *g, const hone_train_options *o,
                               const hone_parametrization *p, int count, hone_training *out) {
    hone_derivation d = {.model = g,
                         .options = o,
                         .objective = objective(o),
                         .parametrizations = p,
                         .parametrization_count = count};
    return hone_derive_training(&d, out, &err);
}

static hone_graph *derived(const hone_graph *g, const hone_train_options *o) {
    hone_training t = {NULL};
    ok(derive_with(g, o, NULL, 0, &t));
    assert_null(t.values);
    return t.graph;
}

static hone_status derive(const hone_graph *g, const hone_parametrization *p, int count) {
    hone_training t = {NULL};
    hone_status status = derive_with(g, &plain, p, count, &t);
    assert_true(status == HONE_OK || (!t.graph && !t.values));
    hone_training_free(&t);
    return status;
}

/* Runs a training graph step by step over one batch of its own. */
typedef struct runner {
    hone_variables *variables;
    hone_model *model;
    hone_session *session;
    hone_context *context;
    hone_tensor *x, *labels, *rate, *teacher;
    int64_t n, features, classes;
    float loss;
} runner;

static void fill(hone_tensor *t, uint64_t seed, float scale) {
    hone_rng rng = hone_rng_make(seed, 5);
    for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = scale * (hone_rng_uniform(&rng) - 0.5f);
}

static runner start(const hone_graph *training, int64_t n, int64_t features, int64_t classes) {
    runner r = {.n = n, .features = features, .classes = classes};
    assert_non_null(r.variables = hone_variables_new());
    ok(hone_model_compile_shared(training, NULL, r.variables, &r.model, &err));
    ok(hone_session_create(r.model, NULL, &r.session, &err));
    ok(hone_context_create(r.session, &r.context, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){n, features}, &r.x, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){n, classes}, &r.teacher, &err));
    ok(hone_tensor_new(HONE_INT64, 1, &n, &r.labels, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 0, NULL, &r.rate, &err));
    fill(r.x, 1, 2);
    fill(r.teacher, 2, 12);
    for (int64_t i = 0; i < n; i++) ((int64_t *)r.labels->data)[i] = i * 5 % classes;
    return r;
}

static void run(runner *r, float rate) {
    const hone_tensor *outputs[2];
    *(float *)r->rate->data = rate;
    ok(hone_context_run(r->context, (const hone_tensor *[]){r->x, r->rate, r->labels, r->teacher}, outputs,
                        &err));
    r->loss = *(const float *)outputs[0]->data;
}

static void finish(runner *r) {
    hone_context_free(r->context);
    hone_session_free(r->session);
    hone_model_free(r->model);
    hone_variables_free(r->variables);
    hone_tensor_free(r->x);
    hone_tensor_free(r->teacher);
    hone_tensor_free(r->labels);
    hone_tensor_free(r->rate);
}

static hone_graph *linear(const char *weight, int64_t in, int64_t out) {
    hone_graph *g = hone_graph_new("linear");
    hone_value *x = INPUT(g, in);
    return finished(g, HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, weight, 1, in, out), WEIGHT(g, "b", 1, out)));
}

static void test_interface(void **state) {
    (void)state;
    hone_dataset *d = blobs(10, 8, 4, 1);
    hone_graph *g = mlp("8-6-4", d, 1), *t = derived(g, &plain);
    assert_int_equal(t->input_count, 3);
    assert_string_equal(t->inputs[0]->name, "input");
    assert_int_equal(t->inputs[1]->type.rank, 0);
    assert_int_equal(t->inputs[2]->type.dtype, HONE_INT64);
    assert_int_equal(t->output_count, 2);
    assert_int_equal(t->binding_count, 8); /* two weights and two biases, and a momentum each */
    int trainable = 0;
    for (size_t i = 0; i < t->value_count; i++) trainable += t->values[i] && t->values[i]->trainable;
    assert_int_equal(trainable, 4);
    assert_false(hone_is_trainable(g, hone_graph_find(g, "mean")));
    assert_false(hone_is_trainable(g, hone_graph_find(g, "input")));
    assert_false(hone_is_trainable(g, NULL));
    assert_true(hone_is_trainable(g, hone_graph_find(g, "layer1.weight")));
    assert_true(hone_is_trainable(g, hone_graph_find(g, "layer1.bias")));
    assert_int_equal(hone_graph_find(g, "layer1.weight")->storage, HONE_STORAGE_CONSTANT);
    hone_graph_free(t);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* --- references in double --- */

typedef struct reference {
    int64_t n, k, c;
    double w[64], b[8], vw[64], vb[8];
} reference;

static void log_softmax(const double *x, int64_t n, double *y) {
    double max = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++) max = fmax(max, x[i]);
    for (int64_t i = 0; i < n; i++) sum += exp(x[i] - max);
    for (int64_t i = 0; i < n; i++) y[i] = x[i] - max - log(sum);
}

/* One step of softmax regression with SGD; the loss before it. alpha 0: no teacher. */
static double reference_step(reference *f, const runner *r, const hone_train_options *o, double rate,
                             double alpha) {
    double dw[64] = {0}, db[8] = {0}, loss = 0, t = o->temperature;
    const float *x = r->x->data, *q = r->teacher->data;
    for (int64_t i = 0; i < f->n; i++) {
        double z[8], lp[8], soft[8], lq[8], lt[8], d[8];
        int64_t label = ((const int64_t *)r->labels->data)[i];
        for (int64_t j = 0; j < f->c; j++) {
            z[j] = f->b[j];
            for (int64_t k = 0; k < f->k; k++) z[j] += x[i * f->k + k] * f->w[k * f->c + j];
        }
        log_softmax(z, f->c, lp);
        loss -= (1 - alpha) * lp[label];
        for (int64_t j = 0; j < f->c; j++) d[j] = (1 - alpha) * (exp(lp[j]) - (j == label));
        if (alpha > 0) {
            for (int64_t j = 0; j < f->c; j++) soft[j] = z[j] / t;
            log_softmax(soft, f->c, lq);
            for (int64_t j = 0; j < f->c; j++) soft[j] = q[i * f->c + j] / t;
            log_softmax(soft, f->c, lt);
            for (int64_t j = 0; j < f->c; j++) {
                loss += alpha * t * t * exp(lt[j]) * (lt[j] - lq[j]);
                d[j] += alpha * t * (exp(lq[j]) - exp(lt[j]));
            }
        }
        for (int64_t j = 0; j < f->c; j++) {
            db[j] += d[j] / (double)f->n;
            for (int64_t k = 0; k < f->k; k++) dw[k * f->c + j] += x[i * f->k + k] * d[j] / (double)f->n;
        }
    }
    for (int64_t i = 0; i < f->k * f->c; i++) {
        f->vw[i] = o->momentum * f->vw[i] + dw[i] + o->weight_decay * f->w[i];
        f->w[i] -= rate * f->vw[i];
    }
    for (int64_t i = 0; i < f->c; i++) {
        f->vb[i] = o->momentum * f->vb[i] + db[i];
        f->b[i] -= rate * f->vb[i];
    }
    return loss / (double)f->n;
}

static void compare_with_reference(const char *weight, const hone_train_options *o) {
    hone_graph *g = linear(weight, 6, 5), *t = derived(g, o);
    runner r = start(t, 9, 6, 5);
    reference f = {.n = 9, .k = 6, .c = 5};
    for (int i = 0; i < 30; i++) f.w[i] = ((const float *)weight_of(g, weight)->data)[i];
    for (int i = 0; i < 5; i++) f.b[i] = ((const float *)weight_of(g, "b")->data)[i];
    for (int step = 0; step < 5; step++) {
        double rate = 0.3 / (step + 1),
               want = reference_step(&f, &r, o, (float)rate, o->teacher ? o->alpha : 0);
        run(&r, (float)rate);
        /* T² magnifies the rounding of the differences of two logarithms */
        double tolerance = 2e-6 * fmax(1, want) + (o->teacher ? 2e-7 * o->temperature * o->temperature : 0);
        if (!(fabs(r.loss - want) < tolerance))
            fail_msg("step %d: loss %.9g, not %.9g", step, (double)r.loss, want);
        const float *w = hone_variables_get(r.variables, weight)->data,
                    *b = hone_variables_get(r.variables, "b")->data;
        for (int i = 0; i < 30; i++) assert_true(fabs(w[i] - f.w[i]) < 2e-5);
        for (int i = 0; i < 5; i++) assert_true(fabs(b[i] - f.b[i]) < 2e-5);
    }
    finish(&r);
    hone_graph_free(t);
    hone_graph_free(g);
}

static void test_steps_are_right(void **state) {
    (void)state;
    hone_train_options o = plain;
    compare_with_reference("w", &o);
    o.weight_decay = 0.1;
    compare_with_reference("w", &o);
    o.momentum = 0;
    compare_with_reference("w", &o);
}

static void test_distillation(void **state) {
    (void)state;
    static const double settings[][2] = {{1, 0.5}, {4, 0.7}, {20, 1}, {0.5, 0.1}, {3, 0}};
    hone_graph *teacher = linear("w", 6, 5);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        hone_train_options o = plain;
        o.teacher = teacher;
        o.temperature = settings[i][0];
        o.alpha = settings[i][1];
        compare_with_reference("w", &o);
    }
    hone_graph_free(teacher);
}

/* Names that the training graph would like to have itself. */
static void test_taken_names(void **state) {
    (void)state;
    static const char *const names[] = {"rate", "target", "teacher", "loss", "scalar", "mask"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) compare_with_reference(names[i], &plain);
    hone_graph *g = hone_graph_new("momentum");
    hone_value *x = INPUT(g, 6), *h = HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "w", 1, 6, 5));
    finished(g, HONE_EMIT(g, "", "MatMul", h, WEIGHT(g, "w.momentum", 1, 5, 5)));
    hone_graph *t = derived(g, &plain);
    assert_int_equal(t->binding_count, 4);
    runner r = start(t, 9, 6, 5);
    assert_true(same_tensor(hone_variables_get(r.variables, "w.momentum"), weight_of(g, "w.momentum")));
    finish(&r);
    hone_graph_free(t);
    hone_graph_free(g);
}

/* W stored as its transpose, as other writers do. */
static void test_weight_behind_a_transpose(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("transposed"), *straight = hone_graph_new("straight");
    hone_value *x = INPUT(g, 6), *w = WEIGHT(g, "w", 1, 5, 6);
    finished(g, HONE_EMIT(g, "", "MatMul", x, HONE_EMIT(g, "", "Transpose", w)));
    x = INPUT(straight, 6);
    hone_value *v = WEIGHT(straight, "w", 1, 6, 5);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 6; k++) ((float *)v->data->data)[k * 5 + i] = ((float *)w->data->data)[i * 6 + k];
    finished(straight, HONE_EMIT(straight, "", "MatMul", x, v));
    assert_true(hone_is_trainable(g, hone_graph_find(g, "w")));
    hone_graph *t = derived(g, &plain), *s = derived(straight, &plain);
    runner a = start(t, 9, 6, 5), b = start(s, 9, 6, 5);
    for (int step = 0; step < 3; step++) {
        run(&a, 0.1f);
        run(&b, 0.1f);
        assert_true(fabsf(a.loss - b.loss) < 1e-6f);
    }
    const float *wa = hone_variables_get(a.variables, "w")->data,
                *wb = hone_variables_get(b.variables, "w")->data;
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 6; k++) assert_true(fabsf(wa[i * 6 + k] - wb[k * 5 + i]) < 1e-6f);
    finish(&a);
    finish(&b);
    hone_graph_free(t);
    hone_graph_free(s);
    hone_graph_free(g);
    hone_graph_free(straight);
}

static hone_value *weights_of(hone_graph *g, const char *name, float x) {
    hone_tensor *t = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 1, (int64_t[]){6}, &t, &err));
    for (int i = 0; i < 6; i++) ((float *)t->data)[i] = x + 0.1f * (float)i;
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

/* A normalization as one operator, or as an exporter writes it: where a scale is a weight shows only in the first form. */
static hone_graph *normalized(bool written_out) {
    hone_graph *g = hone_graph_new("normalized");
    hone_value *x = INPUT(g, 6), *scale = weights_of(g, "scale", 0.5f),
               *shift = weights_of(g, "shift", -0.2f), *y;
    if (written_out) {
        int64_t last = -1;
        hone_value *axes = hone_graph_ints(g, &last, 1), *epsilon = hone_graph_scalar(g, HONE_FLOAT32, 1e-5);
        hone_value *d = HONE_EMIT(g, "", "Sub", x, HONE_EMIT(g, "", "ReduceMean", x, axes));
        hone_value *square = HONE_EMIT(g, "", "Pow", d, hone_graph_scalar(g, HONE_FLOAT32, 2));
        hone_value *variance = HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "ReduceMean", square, axes), epsilon);
        y = HONE_EMIT(g, "", "Mul", HONE_EMIT(g, "", "Div", d, HONE_EMIT(g, "", "Sqrt", variance)), scale);
        y = HONE_EMIT(g, "", "Add", y, shift);
    } else {
        y = HONE_EMIT(g, "", "LayerNormalization", x, scale, shift);
    }
    finished(g, HONE_EMIT(g, "", "MatMul", y, WEIGHT(g, "w", 1, 6, 5)));
    return g;
}

static void test_written_out_operators(void **state) {
    (void)state;
    hone_graph *g[2], *t[2];
    runner r[2];
    for (int i = 0; i < 2; i++) {
        t[i] = derived(g[i] = normalized(i == 1), &plain);
        r[i] = start(t[i], 9, 6, 5);
        for (int step = 0; step < 3; step++) run(&r[i], 0.1f);
    }
    assert_true(fabsf(r[0].loss - r[1].loss) < 1e-6f);
    static const char *const names[] = {"scale", "shift", "w"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const hone_tensor *a = hone_variables_get(r[0].variables, names[k]),
                          *b = hone_variables_get(r[1].variables, names[k]);
        if (!a || !b) fail_msg("%s is not trained", names[k]);
        for (int64_t i = 0; i < a->count; i++)
            assert_true(fabsf(((const float *)a->data)[i] - ((const float *)b->data)[i]) < 1e-6f);
    }
    for (int i = 0; i < 2; i++) {
        finish(&r[i]);
        hone_graph_free(t[i]);
        hone_graph_free(g[i]);
    }
}

/* --- memory --- */

/* Bytes of workspace of a training step on 64 samples. */
static size_t workspace_of(const hone_graph *training, int64_t features) {
    hone_variables *variables = hone_variables_new();
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_tensor *x, *rate, *labels;
    const hone_tensor *outputs[2];
    ok(hone_model_compile_shared(training, NULL, variables, &m, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){64, features}, &x, &err));
    ok(hone_tensor_new(HONE_FLOAT32, 0, NULL, &rate, &err));
    ok(hone_tensor_new(HONE_INT64, 1, (int64_t[]){64}, &labels, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_context_run(c, (const hone_tensor *[]){x, rate, labels}, outputs, &err));
    size_t bytes = hone_context_workspace(c);
    hone_context_free(c);
    hone_session_free(s);
    hone_tensor_free(x);
    hone_tensor_free(rate);
    hone_tensor_free(labels);
    hone_model_free(m);
    hone_variables_free(variables);
    return bytes;
}

/* As if all gradients were made first. */
static void move_updates_to_the_end(hone_graph *g) {
    for (size_t i = 0; i < g->binding_count; i++) {
        hone_node *n = g->bindings[i].source->producer;
        if (n == g->last) continue;
        if (n->prev)
            n->prev->next = n->next;
        else
            g->first = n->next;
        n->next->prev = n->prev;
        n->prev = g->last;
        n->next = NULL;
        g->last = g->last->next = n;
    }
}

/* Updates stand where their gradients are made, so these need not lie about until the last one is there. */
static void test_gradients_die_early(void **state) {
    (void)state;
    hone_dataset *d = blobs(10, 256, 4, 1);
    hone_graph *g = mlp("256-256-256-256-256-256-256-256-256-4", d, 1), *t = derived(g, &plain);
    size_t early = workspace_of(t, 256);
    move_updates_to_the_end(t);
    size_t late = workspace_of(t, 256);
    print_message("workspace of a step of 8 hidden layers of 256, batch 64: %zu KB with early updates, %zu "
                  "KB with late\n",
                  early / 1024, late / 1024);
    assert_true(early < late / 2);
    hone_graph_free(t);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* --- parametrizations --- */

static hone_parametrized halve(hone_graph *g, hone_value *w, const void *arg) {
    (void)arg;
    return (hone_parametrized){.value = HONE_EMIT(g, "", "Mul", w, hone_graph_scalar(g, HONE_FLOAT32, 0.5)),
                               .variables = {w},
                               .variable_count = 1};
}

/* One weight read by two nodes: both read what the parametrization makes of it. */
static void test_parametrization_of_a_shared_weight(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("shared"), *half = hone_graph_new("half");
    hone_parametrization p = {"w", halve, NULL};
    for (int i = 0; i < 2; i++) {
        hone_graph *to = i ? half : g;
        hone_value *x = INPUT(to, 5), *w = WEIGHT(to, "w", 1, 5, 5);
        for (int k = 0; i && k < 25; k++) ((float *)w->data->data)[k] *= 0.5f;
        finished(to, HONE_EMIT(to, "", "MatMul", HONE_EMIT(to, "", "MatMul", x, w), w));
    }
    hone_graph *s = derived(half, &plain);
    hone_training t = {NULL};
    ok(derive_with(g, &plain, &p, 1, &t));
    runner a = start(t.graph, 9, 5, 5), b = start(s, 9, 5, 5);
    run(&a, 0.1f);
    run(&b, 0.1f);
    assert_true(a.loss == b.loss);
    const hone_tensor *first = weight_of(g, "w");
    const float *wa = hone_variables_get(a.variables, "w")->data,
                *wb = hone_variables_get(b.variables, "w")->data;
    for (int k = 0; k < 25; k++) { /* d/dw f(w/2) = f'(w/2)/2 */
        float w0 = ((const float *)first->data)[k];
        assert_true(fabsf((wa[k] - w0) - (wb[k] - w0 / 2) / 2) < 1e-6f);
    }
    finish(&a);
    finish(&b);
    hone_training_free(&t);
    hone_graph_free(s);
    hone_graph_free(g);
    hone_graph_free(half);
}

static void test_parametrizations_of_one_weight(void **state) {
    (void)state;
    hone_graph *g = linear("w", 6, 5);
    const hone_parametrization twice[] = {{"w", halve, NULL}, {"w", halve, NULL}};
    refused(derive(g, twice, 2), HONE_INVALID_ARGUMENT, "node w: is parametrized twice");
    hone_graph_free(g);
}

static void test_parametrization_of_nothing(void **state) {
    (void)state;
    hone_graph *g = linear("w", 6, 5);
    refused(derive(g, &(hone_parametrization){"v", halve, NULL}, 1), HONE_INVALID_ARGUMENT,
            "node v: is not a trainable weight");
    refused(derive(g, &(hone_parametrization){"input", halve, NULL}, 1), HONE_INVALID_ARGUMENT,
            "node input: is not a trainable weight");
    hone_graph_free(g);
}

/* --- what cannot be trained --- */

static void test_models_that_cannot_be_trained(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("no weights");
    finished(g, HONE_EMIT(g, "", "Relu", INPUT(g, 5)));
    refused(derive(g, NULL, 0), HONE_INVALID_ARGUMENT, "no trainable weights");
    hone_graph_free(g);

    g = hone_graph_new("rank 3");
    finished(g, HONE_EMIT(g, "", "MatMul", INPUT(g, 3, 5), WEIGHT(g, "w", 1, 5, 5)));
    refused(derive(g, NULL, 0), HONE_INVALID_ARGUMENT,
            "node logits: the first output is float32[batch, 3, 5]; cross-entropy needs logits");
    hone_graph_free(g);

    g = hone_graph_new("no inputs");
    finished(g, HONE_EMIT(g, "", "Relu", WEIGHT(g, "w", 1, 5, 5)));
    refused(derive(g, NULL, 0), HONE_INVALID_ARGUMENT, "has inputs and an output");
    hone_graph_free(g);

    /* output 0 does not depend on the only weight */
    g = hone_graph_new("beside");
    hone_value *x = INPUT(g, 5);
    finished(g, HONE_EMIT(g, "", "Relu", x));
    hone_graph_add_output(g, HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, "w", 1, 5, 5)));
    ok(hone_graph_infer(g, &err));
    refused(derive(g, NULL, 0), HONE_INVALID_ARGUMENT, "no trainable weights");
    hone_graph_free(g);
}

static void test_operators_without_a_gradient_are_listed(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("integers");
    hone_value *x = HONE_EMIT(g, "", "MatMul", INPUT(g, 6), WEIGHT(g, "w", 1, 6, 5));
    hone_node *q = hone_graph_add_node(g, hone_op_find("", "DynamicQuantizeLinear"), "squeeze", 1, &x, 3);
    hone_tensor *t = NULL;
    ok(hone_tensor_new(HONE_INT8, 2, (int64_t[]){5, 5}, &t, &err));
    hone_value *in[] = {q->outputs[0], hone_graph_add_constant(g, "v", t)};
    hone_node *m = hone_graph_add_node(g, hone_op_find("", "MatMulInteger"), "multiply", 2, in, 1);
    hone_tensor_free(t);
    hone_value *y = HONE_EMIT(g, "", "Cast", m->outputs[0]);
    hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
    finished(g, HONE_EMIT(g, "", "MatMul", y, WEIGHT(g, "u", 1, 5, 5)));
    hone_status status = derive(g, NULL, 0);
    if (status != HONE_OK) { /* integers may also stop the gradient: then only what lies behind is trained */
        refused(status, HONE_UNSUPPORTED, "squeeze");
        refused(status, HONE_UNSUPPORTED, "multiply");
    }
    hone_graph_free(g);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_dataset *d = blobs(10, 8, 4, 1);
    hone_graph *g = mlp("8-6-4", d, 1), *before = copy_of(g);
    hone_training t = {NULL};
    hone_train_options o = plain;
    hone_parametrization p = {"layer1.weight", halve, NULL};
    o.teacher = g;
    FAIL_EACH_ALLOCATION(derive_with(g, &o, &p, 1, &t), assert_true(!t.graph && !t.values));
    const hone_graph *out = t.graph;
    assert_int_equal(out->binding_count, 8);
    assert_int_equal(out->output_count, 2);
    assert_int_equal(out->input_count, 4);
    assert_true(same_weights(g, before));
    hone_training_free(&t);
    hone_graph_free(before);
    hone_graph_free(g);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interface),
        cmocka_unit_test(test_steps_are_right),
        cmocka_unit_test(test_distillation),
        cmocka_unit_test(test_taken_names),
        cmocka_unit_test(test_weight_behind_a_transpose),
        cmocka_unit_test(test_written_out_operators),
        cmocka_unit_test(test_gradients_die_early),
        cmocka_unit_test(test_parametrization_of_a_shared_weight),
        cmocka_unit_test(test_parametrizations_of_one_weight),
        cmocka_unit_test(test_parametrization_of_nothing),
        cmocka_unit_test(test_models_that_cannot_be_trained),
        cmocka_unit_test(test_operators_without_a_gradient_are_listed),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
