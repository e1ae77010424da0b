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
    hone_value *in[] = {logits, labels, NULL};
    if (o->class_weights) in[2] = hone_graph_floats(g, o->class_weights, o->class_weight_count);
    hone_node *n =
        hone_graph_add_node(g, hone_op_find("", "SoftmaxCrossEntropyLoss"), "loss", in[2] ? 3 : 2, in, 2);
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

/* --- Huber's --- of errors e in units of the target's deviation s: e^2/2 up to s, s (|e| - s/2) beyond (Huber 1964).
 * With c, e held in [-s, s], that is c e - c^2/2. */

static hone_value *emit_huber(hone_graph *g, const hone_train_options *o, hone_value *output,
                              hone_value *target) {
    (void)o;
    double s = sqrt(hone_objective_scale(g));
    hone_value *e = HONE_EMIT(g, "", "Sub", output, target);
    hone_value *c = HONE_EMIT(g, "", "Clip", e, hone_graph_scalar(g, HONE_FLOAT32, -s),
                              hone_graph_scalar(g, HONE_FLOAT32, s));
    hone_value *half = HONE_EMIT(g, "", "Mul", hone_graph_scalar(g, HONE_FLOAT32, 0.5), c);
    return mean(g, HONE_EMIT(g, "", "Mul", c, HONE_EMIT(g, "", "Sub", e, half)));
}

static void add_huber(hone_tally *t, const hone_answers *a) {
    double s = sqrt(t->scale), sum = 0, before = t->loss;
    for (int64_t i = 0; i < a->n * a->size; i++) {
        double e = (double)a->output[i] - ((const float *)a->target)[i], c = fmax(-s, fmin(s, e));
        sum += c * (e - c / 2);
    }
    add_squared_error(t, a); /* what the other metrics need */
    t->loss = before + sum / (double)a->size;
}

/* --- cosine --- 1 - cos(output, target), of vectors: embeddings like a teacher's */

static hone_value *dot(hone_graph *g, hone_value *a, hone_value *b) {
    int64_t last = -1;
    hone_value *sum =
        HONE_EMIT(g, "", "ReduceSum", HONE_EMIT(g, "", "Mul", a, b), hone_graph_ints(g, &last, 1));
    if (sum) hone_node_set_int(g, sum->producer, "keepdims", 0);
    return sum;
}

static hone_value *emit_cosine(hone_graph *g, const hone_train_options *o, hone_value *output,
                               hone_value *target) {
    (void)o;
    hone_value *squares = HONE_EMIT(g, "", "Mul", dot(g, output, output), dot(g, target, target));
    hone_value *lengths =
        HONE_EMIT(g, "", "Sqrt", HONE_EMIT(g, "", "Add", squares, hone_graph_scalar(g, HONE_FLOAT32, 1e-12)));
    hone_value *cosine = HONE_EMIT(g, "", "Div", dot(g, output, target), lengths);
    return HONE_EMIT(g, "", "Sub", hone_graph_scalar(g, HONE_FLOAT32, 1), mean(g, cosine));
}

static double cosine_of(const float *a, const float *b, int64_t n) {
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * b[i];
        aa += (double)a[i] * a[i];
        bb += (double)b[i] * b[i];
    }
    return ab / sqrt(aa * bb + 1e-12);
}

static double cosines(const hone_answers *a) {
    double sum = 0;
    for (int64_t i = 0; i < a->n; i++)
        sum += cosine_of(a->output + i * a->size, (const float *)a->target + i * a->size, a->size);
    return sum;
}

static void add_cosine(hone_tally *t, const hone_answers *a) {
    t->loss += (double)a->n - cosines(a);
}

static bool vectors_for(const hone_type *output, hone_type *target) {
    return numbers_for(output, target) && (output->rank < 0 || output->rank >= 2);
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
     .scales = true,
     .wants = "numbers, float32 [batch, …], and as many targets",
     .target = numbers_for,
     .emit = emit_squared_error,
     .check = check_numbers,
     .metric = {.name = "mean_absolute_error"},
     .score = absolute_errors,
     .add = add_squared_error,
     .more = explained},
    {.name = "huber",
     .scales = true,
     .wants = "numbers, float32 [batch, …], and as many targets",
     .target = numbers_for,
     .emit = emit_huber,
     .check = check_numbers,
     .metric = {.name = "mean_absolute_error"},
     .score = absolute_errors,
     .add = add_huber,
     .more = explained},
    {.name = "cosine",
     .wants = "vectors, float32 [batch, …, n], and as many targets",
     .target = vectors_for,
     .emit = emit_cosine,
     .check = check_numbers,
     .metric = {.name = "cosine_similarity"},
     .score = cosines,
     .add = add_cosine},
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

static const hone_objective *const objectives[] = {&rows[0],
                                                   &rows[1],
                                                   &rows[2],
                                                   &rows[3],
                                                   &rows[4],
                                                   &hone_objective_next_token,
                                                   &hone_objective_ctc,
                                                   &hone_objective_contrastive,
                                                   &hone_objective_info_nce};
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
