/* Embeddings: vectors that lie near each other, by their cosines s, where what they stand for belongs together, and far where it
 * does not. All others of the batch are what they are told apart from, by softmax of s / t, t = 0.1.
 *
 *   contrastive   samples of one label belong together (Khosla et al. 2020, arXiv 2004.11362):
 *                 -mean over i of the mean over positives p of log softmax over a != i of (s_ia / t) at p
 *   info-nce      a sample and its target, a vector, belong together (van den Oord et al. 2018, arXiv 1807.03748), from both
 *                 sides (Radford et al. 2021, arXiv 2103.00020): cross-entropy of s / t by rows and by columns
 *
 * The score is how often the nearest of the batch is one that belongs to it. */
#include "train/objective.h"

#include "base/memory.h"
#include "graph/infer.h"
#include "graph/op.h"

#include <math.h>

static const double temperature = 0.1;

static hone_value *number(hone_graph *g, double x) {
    return hone_graph_scalar(g, HONE_FLOAT32, x);
}

/* Over one axis. */
static hone_value *sums(hone_graph *g, hone_value *x, int64_t axis, bool keeps) {
    hone_value *y = HONE_EMIT(g, "", "ReduceSum", x, hone_graph_ints(g, &axis, 1));
    if (y) hone_node_set_int(g, y->producer, "keepdims", keeps);
    return y;
}

static hone_value *log_sums(hone_graph *g, hone_value *x, int64_t axis) {
    hone_value *y = HONE_EMIT(g, "", "ReduceLogSumExp", x, hone_graph_ints(g, &axis, 1));
    if (y) hone_node_set_int(g, y->producer, "keepdims", 0);
    return y;
}

static hone_value *mean(hone_graph *g, hone_value *x) {
    hone_value *y = HONE_EMIT(g, "", "ReduceMean", x);
    if (y) hone_node_set_int(g, y->producer, "keepdims", 0);
    return y;
}

/* Of length 1. */
static hone_value *unit(hone_graph *g, hone_value *x) {
    hone_value *square = sums(g, HONE_EMIT(g, "", "Mul", x, x), 1, true);
    return HONE_EMIT(g, "", "Div", x,
                     HONE_EMIT(g, "", "Sqrt", HONE_EMIT(g, "", "Add", square, number(g, 1e-12))));
}

/* [batch, batch]: s / t of unit vectors. */
static hone_value *similarities(hone_graph *g, hone_value *a, hone_value *b) {
    hone_value *s = HONE_EMIT(g, "", "MatMul", a, HONE_EMIT(g, "", "Transpose", b));
    return HONE_EMIT(g, "", "Mul", s, number(g, 1 / temperature));
}

static bool is_vectors(const hone_type *output) {
    bool real = output->dtype == HONE_FLOAT32 || output->dtype == HONE_UNDEFINED;
    return real && (output->rank < 0 || output->rank == 2);
}

/* --- contrastive --- */

static bool labels_for(const hone_type *output, hone_type *target) {
    *target = hone_type_make(HONE_INT64, 1, (int64_t[]){output->rank < 0 ? HONE_DIM_ANY : output->dims[0]});
    return is_vectors(output);
}

static hone_value *unsqueeze(hone_graph *g, hone_value *x, int64_t axis) {
    return HONE_EMIT(g, "", "Unsqueeze", x, hone_graph_ints(g, &axis, 1));
}

static hone_value *emit_contrastive(hone_graph *g, const hone_train_options *o, hone_value *output,
                                    hone_value *labels) {
    (void)o;
    hone_value *u = unit(g, output),
               *same = HONE_EMIT(g, "", "Equal", unsqueeze(g, labels, 0), unsqueeze(g, labels, 1));
    same = HONE_EMIT(g, "", "Cast", same);
    if (same) hone_node_set_int(g, same->producer, "to", HONE_FLOAT32);
    hone_value *self = HONE_EMIT(g, "", "EyeLike", same);
    hone_value *positives = HONE_EMIT(g, "", "Sub", same, self);
    hone_value *others =
        HONE_EMIT(g, "", "Sub", similarities(g, u, u), HONE_EMIT(g, "", "Mul", self, number(g, 1e9)));
    hone_value *log_p = HONE_EMIT(g, "", "LogSoftmax", others);
    hone_value *sum = sums(g, HONE_EMIT(g, "", "Mul", positives, log_p), 1, false);
    hone_value *count = HONE_EMIT(g, "", "Max", sums(g, positives, 1, false), number(g, 1));
    return HONE_EMIT(g, "", "Neg", mean(g, HONE_EMIT(g, "", "Div", sum, count)));
}

static hone_status check_labels(const hone_answers *a, int64_t values, hone_error *err) {
    (void)a, (void)values, (void)err;
    return HONE_OK;
}

/* --- info-nce --- */

static bool vectors_for(const hone_type *output, hone_type *target) {
    *target = *output;
    target->dtype = HONE_FLOAT32;
    return is_vectors(output);
}

static hone_value *emit_info_nce(hone_graph *g, const hone_train_options *o, hone_value *output,
                                 hone_value *target) {
    (void)o;
    hone_value *a = unit(g, output), *b = unit(g, target), *s = similarities(g, a, b);
    hone_value *own = sums(g, HONE_EMIT(g, "", "Mul", a, b), 1, false);
    own = mean(g, HONE_EMIT(g, "", "Mul", own, number(g, 1 / temperature)));
    hone_value *both = HONE_EMIT(g, "", "Add", mean(g, log_sums(g, s, 1)), mean(g, log_sums(g, s, 0)));
    return HONE_EMIT(g, "", "Sub", HONE_EMIT(g, "", "Mul", both, number(g, 0.5)), own);
}

static hone_status check_vectors(const hone_answers *a, int64_t values, hone_error *err) {
    for (int64_t i = 0; i < a->n * values; i++)
        if (!isfinite(((const float *)a->target)[i]))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the target has a value that is %g",
                             (double)((const float *)a->target)[i]);
    return HONE_OK;
}

/* --- measures --- */

static double cosine(const float *a, const float *b, int64_t n) {
    double ab = 0, aa = 1e-12, bb = 1e-12;
    for (int64_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

static double log_sum(const double *x, int64_t n, int64_t step) {
    double most = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++) most = fmax(most, x[i * step]);
    if (most == -INFINITY) return 0;
    for (int64_t i = 0; i < n; i++) sum += exp(x[i * step] - most);
    return most + log(sum);
}

/* [n, n]: s / t; of labels, -infinity of a sample and itself. hone_free() it; NULL: no memory. */
static double *compare(const hone_answers *a, bool labels) {
    double *s = hone_alloc((size_t)(a->n * a->n) * sizeof *s);
    const float *other = labels ? a->output : a->target;
    for (int64_t i = 0; i < a->n && s; i++)
        for (int64_t k = 0; k < a->n; k++)
            s[i * a->n + k] =
                labels && i == k
                    ? -INFINITY
                    : cosine(a->output + i * a->size, other + k * a->size, a->size) / temperature;
    return s;
}

static bool belongs(const hone_answers *a, bool labels, int64_t i, int64_t k) {
    const int64_t *label = a->target;
    return labels ? i != k && label[i] == label[k] : i == k;
}

/* How often the nearest one belongs to it. */
static double count_near(const hone_answers *a, bool labels) {
    double *s = compare(a, labels);
    int64_t right = 0;
    for (int64_t i = 0; i < a->n && s; i++) {
        int64_t best = 0;
        for (int64_t k = 1; k < a->n; k++)
            if (s[i * a->n + k] > s[i * a->n + best]) best = k;
        right += belongs(a, labels, i, best);
    }
    hone_free(s);
    return (double)right;
}

static double count_contrastive(const hone_answers *a) {
    return count_near(a, true);
}
static double count_info_nce(const hone_answers *a) {
    return count_near(a, false);
}

static void add_contrastive(hone_tally *t, const hone_answers *a) {
    double *s = compare(a, true);
    if (!s) t->loss = NAN;
    for (int64_t i = 0; i < a->n && s; i++) {
        double all = log_sum(s + i * a->n, a->n, 1), sum = 0, count = 0;
        for (int64_t k = 0; k < a->n; k++) {
            if (!belongs(a, true, i, k)) continue;
            sum += s[i * a->n + k] - all;
            count++;
        }
        t->loss -= sum / fmax(count, 1);
    }
    hone_free(s);
}

static void add_info_nce(hone_tally *t, const hone_answers *a) {
    double *s = compare(a, false);
    if (!s) t->loss = NAN;
    for (int64_t i = 0; i < a->n && s; i++)
        t->loss += (log_sum(s + i * a->n, a->n, 1) + log_sum(s + i, a->n, a->n)) / 2 - s[i * a->n + i];
    hone_free(s);
}

const hone_objective hone_objective_contrastive = {
    .name = "contrastive",
    .wants = "vectors, float32 [batch, n], and an integer for each: those "
             "of equal ones belong together",
    .target = labels_for,
    .emit = emit_contrastive,
    .embeds = true,
    .check = check_labels,
    .metric = {.name = "retrieval_accuracy", .share = true},
    .score = count_contrastive,
    .add = add_contrastive};

const hone_objective hone_objective_info_nce = {.name = "info-nce",
                                                .wants = "vectors, float32 [batch, n], and as many targets",
                                                .target = vectors_for,
                                                .emit = emit_info_nce,
                                                .embeds = true,
                                                .check = check_vectors,
                                                .metric = {.name = "retrieval_accuracy", .share = true},
                                                .score = count_info_nce,
                                                .add = add_info_nce};
