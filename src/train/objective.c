#include "train/objective.h"

#include "graph/infer.h"
#include "graph/op.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t hone_argmax(const float *x, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static hone_value *mean(hone_graph *g, hone_value *terms) {
    hone_value *m = HONE_EMIT(g, "", "ReduceMean", terms);
    if (m) hone_node_set_int(g, m->producer, "keepdims", 0);
    return m;
}

/* Or not known before it runs. */
static bool is_real(const hone_type *output) {
    return output->dtype == HONE_FLOAT32 || output->dtype == HONE_UNDEFINED;
}

/* --- cross-entropy --- of softmax(output) [batch, classes] and labels [batch] */

static bool labels_for(const hone_type *output, hone_type *target) {
    if (!is_real(output) || (output->rank >= 0 && output->rank != 2)) return false;
    *target = hone_type_make(HONE_INT64, 1, (int64_t[]){output->rank < 0 ? HONE_DIM_ANY : output->dims[0]});
    return true;
}

/* With label smoothing s (Szegedy et al. 2016, arXiv 1512.00567), the targets being 1 - s + s/classes and s/classes:
 * (1 - s) cross-entropy - s mean(log softmax). */
static hone_value *emit_cross_entropy(hone_graph *g, const hone_train_options *o, hone_value *logits,
                                      hone_value *labels) {
    hone_value *in[] = {logits, labels};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "SoftmaxCrossEntropyLoss"), "loss", 2, in, 2);
    if (!n || o->label_smoothing <= 0) return n ? n->outputs[0] : NULL;
    double s = o->label_smoothing;
    hone_value *sharp = HONE_EMIT(g, "", "Mul", n->outputs[0], hone_graph_scalar(g, HONE_FLOAT32, 1 - s));
    hone_value *flat = HONE_EMIT(g, "", "Mul", mean(g, n->outputs[1]), hone_graph_scalar(g, HONE_FLOAT32, s));
    return HONE_EMIT(g, "", "Sub", sharp, flat);
}

static hone_status check_labels(const hone_answers *a, int64_t values, hone_error *err) {
    for (int64_t i = 0; i < a->n * values; i++) {
        int64_t label = ((const int64_t *)a->target)[i];
        if (label < 0)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the data has label %lld; labels are 0 and more",
                             (long long)label);
        if (a->size >= 0 && label >= a->size)
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "the data has label %lld, but the model has %lld outputs", (long long)label,
                             (long long)a->size);
    }
    return HONE_OK;
}

static double count_hits(const hone_answers *a) {
    int64_t hits = 0;
    for (int64_t i = 0; i < a->n; i++)
        hits += hone_argmax(a->output + i * a->size, a->size) == ((const int64_t *)a->target)[i];
    return (double)hits;
}

static void add_cross_entropy(hone_tally *t, const hone_answers *a) {
    for (int64_t i = 0; i < a->n; i++) {
        const float *logits = a->output + i * a->size;
        double max = logits[hone_argmax(logits, a->size)], sum = 0;
        for (int64_t j = 0; j < a->size; j++) sum += exp(logits[j] - max);
        t->loss += log(sum) + max - logits[((const int64_t *)a->target)[i]];
    }
}

/* --- mean squared error --- numbers like the output */

static bool numbers_for(const hone_type *output, hone_type *target) {
    *target = *output;
    target->dtype = HONE_FLOAT32;
    return is_real(output) && output->rank != 0;
}

static hone_value *emit_squared_error(hone_graph *g, const hone_train_options *o, hone_value *output,
                                      hone_value *target) {
    (void)o;
    hone_value *error = HONE_EMIT(g, "", "Sub", output, target);
    return mean(g, HONE_EMIT(g, "", "Mul", error, error));
}

static hone_status check_numbers(const hone_answers *a, int64_t values, hone_error *err) {
    for (int64_t i = 0; i < a->n * values; i++) {
        float x = ((const float *)a->target)[i];
        if (!isfinite(x))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the target has a value that is %g", x);
    }
    return HONE_OK;
}

static double absolute_errors(const hone_answers *a) {
    double sum = 0;
    for (int64_t i = 0; i < a->n * a->size; i++)
        sum += fabs((double)a->output[i] - (double)((const float *)a->target)[i]);
    return sum / (double)a->size;
}

static void add_squared_error(hone_tally *t, const hone_answers *a) {
    const float *target = a->target;
    double squares = 0;
    if (t->samples == 0)
        for (int64_t j = 0; j < a->size; j++) t->shift[j] = target[j];
    for (int64_t i = 0; i < a->n; i++) {
        for (int64_t j = 0; j < a->size; j++) {
            double y = target[i * a->size + j], error = a->output[i * a->size + j] - y,
                   moved = y - t->shift[j];
            squares += error * error;
            t->sum[j] += moved;
            t->sum_of_squares[j] += moved * moved;
        }
    }
    t->squares += squares;
    t->loss += squares / (double)a->size;
}

/* 1 - (squared errors) / (squared distances of the targets from their means) */
static int explained(const hone_tally *t, int64_t size, hone_metric *out) {
    double total = 0, n = (double)t->samples;
    for (int64_t j = 0; j < size; j++) total += t->sum_of_squares[j] - t->sum[j] * t->sum[j] / n;
    *out = (hone_metric){"r2", total > 0 ? 1 - t->squares / total : NAN, false};
    return 1;
}

/* --- binary cross-entropy --- of sigmoid(output) and numbers in [0, 1] */

/* t softplus(-x) + (1 - t) softplus(x): no difference of large numbers, in the gradient neither. */
static hone_value *emit_binary_cross_entropy(hone_graph *g, const hone_train_options *o, hone_value *x,
                                             hone_value *t) {
    (void)o;
    hone_value *one = hone_graph_scalar(g, HONE_FLOAT32, 1);
    hone_value *yes = HONE_EMIT(g, "", "Softplus", HONE_EMIT(g, "", "Neg", x));
    hone_value *no = HONE_EMIT(g, "", "Softplus", x);
    return mean(g, HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "Mul", t, yes),
                             HONE_EMIT(g, "", "Mul", HONE_EMIT(g, "", "Sub", one, t), no)));
}

static hone_status check_shares(const hone_answers *a, int64_t values, hone_error *err) {
    for (int64_t i = 0; i < a->n * values; i++) {
        float x = ((const float *)a->target)[i];
        if (!(x >= 0 && x <= 1))
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "the target has a value that is %g and not in [0, 1]", x);
    }
    return HONE_OK;
}

static double count_sides(const hone_answers *a) {
    int64_t right = 0;
    for (int64_t i = 0; i < a->n * a->size; i++)
        right += (a->output[i] > 0) == (((const float *)a->target)[i] > 0.5f);
    return (double)right / (double)a->size;
}

static void add_binary_cross_entropy(hone_tally *t, const hone_answers *a) {
    double sum = 0;
    for (int64_t i = 0; i < a->n * a->size; i++) {
        double x = a->output[i], y = ((const float *)a->target)[i];
        sum += fmax(x, 0) - x * y + log1p(exp(-fabs(x)));
    }
    t->loss += sum / (double)a->size;
}

/* --- the table --- */

static const hone_objective rows[] = {
    {.name = "cross-entropy",
     .wants = "logits, float32 [batch, classes], and integer labels",
     .target = labels_for,
     .emit = emit_cross_entropy,
     .smoothes = true,
     .link = HONE_LINK_SOFTMAX,
     .check = check_labels,
     .metric = {.name = "accuracy", .share = true},
     .score = count_hits,
     .add = add_cross_entropy},
    {.name = "mean-squared-error",
     .wants = "numbers, float32 [batch, …], and as many targets",
     .target = numbers_for,
     .emit = emit_squared_error,
     .check = check_numbers,
     .metric = {.name = "mean_absolute_error"},
     .score = absolute_errors,
     .add = add_squared_error,
     .more = explained},
    {.name = "binary-cross-entropy",
     .link = HONE_LINK_SIGMOID,
     .wants = "logits, float32 [batch, …], and as many targets in [0, 1]",
     .target = numbers_for,
     .emit = emit_binary_cross_entropy,
     .check = check_shares,
     .metric = {.name = "accuracy", .share = true},
     .score = count_sides,
     .add = add_binary_cross_entropy},
};

static const hone_objective *const objectives[] = {&rows[0], &rows[1], &rows[2], &hone_objective_next_token};
enum { COUNT = sizeof objectives / sizeof *objectives };

const char *hone_objective_name(int index) {
    return index >= 0 && index < COUNT ? objectives[index]->name : NULL;
}

double hone_objective_scale(const hone_graph *g) {
    const char *text = hone_graph_metadata(g, "hone.target_variance");
    double variance = text ? strtod(text, NULL) : 1;
    return variance > 0 && isfinite(1 / variance) ? variance : 1;
}

hone_status hone_objective_find(const char *name, const hone_objective **out, hone_error *err) {
    char list[256] = "";
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(objectives[i]->name, name) == 0) {
            *out = objectives[i];
            return HONE_OK;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", objectives[i]->name);
    }
    return hone_fail(err, HONE_INVALID_ARGUMENT, "no objective '%s'; there are %s", name, list);
}
