/* SVMRegressor, SVMClassifier: functions of products with support vectors, of their distances, and of decisions between each
 * two classes. */
#include "kernels/svm.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "graph/tensor.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/ml/ml.h"

#include <string.h>

#define FLOATS HONE_TYPES_FLOAT
#define NUMBERS HONE_ML_NUMBERS

/* --- rows of X to rows of Y --- */

typedef struct params {
    hone_dtype dtype;
    int64_t given, wanted; /* of a row */
    int64_t classes;
    hone_cut rows;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *x;
    const void *second, *third;
    char *y;
} job;

static hone_status run_rows(const hone_step *step, hone_frame *frame, hone_range_fn *fn) {
    const params *p = step->params;
    job j = {.p = p,
             .step = step,
             .frame = frame,
             .x = hone_step_in(step, frame, 0),
             .second = hone_step_in(step, frame, 1),
             .third = hone_step_in(step, frame, 2),
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&p->rows, frame, fn, &j);
    return HONE_OK;
}

static params *prepare_rows(hone_prepare *p, hone_run_fn *run, double cost, const char *kernel) {
    const hone_type *x = p->in[0], *y = &p->out[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return NULL;
    *q = (params){.dtype = x->dtype,
                  .given = x->dims[1],
                  .wanted = y->dims[1],
                  .classes = hone_node_int(p->node, "classes"),
                  .rows = hone_cut_make(x->dims[0], cost, 1)};
    p->params = q;
    p->run = run;
    p->kernel = kernel;
    return q;
}

/* --- SquaredDistance --- */

static hone_status infer_distance(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *s = ctx->in[1];
    int64_t d;
    if (x->rank < 0 || s->rank < 0) return HONE_OK;
    if (x->rank != 2 || s->rank != 2) return hone_infer_fail(ctx, err, "both must be matrices");
    HONE_TRY(hone_infer_same_dim(ctx, x->dims[1], s->dims[1], &d, err));
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = x->dims[0];
    ctx->out[0].dims[1] = s->dims[0];
    return HONE_OK;
}

static void distance_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin; i < end; i++)
        if (p->dtype == HONE_FLOAT64)
            hone_squared_distances_f64((const double *)j->x + i * p->given, j->second, p->wanted, p->given,
                                       (double *)j->y + i * p->wanted);
        else
            hone_squared_distances_f32((const float *)j->x + i * p->given, j->second, p->wanted, p->given,
                                       (float *)j->y + i * p->wanted);
}

static hone_status run_distance(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    return run_rows(step, frame, distance_range);
}

static hone_status prepare_distance(hone_prepare *p, hone_error *err) {
    double cost = 0.3 * (double)p->in[0]->dims[1] * (double)p->in[1]->dims[0] + 5;
    return prepare_rows(p, run_distance, cost, "distance") ? HONE_OK : hone_fail_memory(err);
}

const hone_op hone_op_squared_distance = {.domain = HONE_PRIVATE_DOMAIN,
                                          .name = "SquaredDistance",
                                          .since = 1,
                                          .oldest = 1,
                                          .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"S", 'T', FLOATS, 0}),
                                          .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                          .infer = infer_distance,
                                          .prepare = prepare_distance,
                                          .doc = "squared distances between the rows of two matrices"};

/* --- SvmVotes, SvmProbabilities --- of decisions between each two classes */

static hone_status infer_decisions(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int64_t classes = hone_node_int(ctx->node, "classes"), pairs = classes * (classes - 1) / 2;
    if (x->rank >= 0 && (x->rank != 2 || (x->dims[1] >= 0 && x->dims[1] != pairs)))
        return hone_infer_fail(ctx, err, "there must be %lld decisions", (long long)pairs);
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = x->rank == 2 ? x->dims[0] : HONE_DIM_ANY;
    ctx->out[0].dims[1] = classes;
    return HONE_OK;
}

static void decision_range(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    size_t size = hone_dtype_size(p->dtype);
    double *decisions = hone_step_worker_scratch(j->step, j->frame, worker), *results = decisions + p->given,
           *scratch = results + p->classes;
    for (int64_t i = begin; i < end; i++) {
        hone_cast(p->dtype, HONE_FLOAT64, j->x + (size_t)(i * p->given) * size, decisions, p->given);
        if (j->second)
            hone_svm_probabilities(decisions, j->second, j->third, p->classes, results, scratch);
        else
            hone_svm_votes(decisions, p->classes, results);
        hone_cast(HONE_FLOAT64, p->dtype, results, j->y + (size_t)(i * p->classes) * size, p->classes);
    }
}

static hone_status run_decisions(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    return run_rows(step, frame, decision_range);
}

static hone_status prepare_decisions(hone_prepare *p, hone_error *err) {
    const params *q = prepare_rows(p, run_decisions, 20 * (double)p->in[0]->dims[1] + 20, "decisions");
    if (!q) return hone_fail_memory(err);
    p->worker_scratch = (size_t)(q->given + 2 * q->classes + q->classes * q->classes) * sizeof(double);
    return HONE_OK;
}

#define DECISIONS                                                                                            \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1, .oldest = 1, .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),    \
    .attrs = HONE_ATTRS({"classes", HONE_ATTR_INT}), .infer = infer_decisions, .prepare = prepare_decisions

const hone_op hone_op_svm_votes = {.name = "SvmVotes",
                                   DECISIONS,
                                   .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),
                                   .gradient_kind = HONE_GRADIENT_ZERO,
                                   .doc = "how many decisions between two classes each class wins"};

const hone_op hone_op_svm_probabilities = {
    .name = "SvmProbabilities",
    DECISIONS,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"a", 0, HONE_TYPE(HONE_FLOAT64), 0},
                         {"b", 0, HONE_TYPE(HONE_FLOAT64), 0}),
    .doc = "probabilities of classes that decisions between each two of them give"};

/* --- kernels of the machines --- */

static hone_value *emit(hone_graph *g, const char *op, hone_value *a, hone_value *b) {
    return HONE_EMIT(g, "", op, a, b);
}

static hone_dtype dtype_of(const hone_node *n) {
    return n->inputs[0]->type.dtype == HONE_FLOAT64 ? HONE_FLOAT64 : HONE_FLOAT32;
}

/* The attribute's numbers as [rows, …], of the dtype that is computed in; transposed if `turned`. */
static hone_value *matrix(hone_graph *g, const hone_node *n, const char *name, int64_t rows, bool turned) {
    const hone_attr *a = hone_node_attr(n, name);
    hone_value *v =
        hone_ml_constant(g, HONE_FLOAT32, 2, (int64_t[]){rows, (int64_t)a->count / rows}, a->floats);
    v = hone_ml_cast(g, v, dtype_of(n));
    if (!turned) return v;
    hone_value *t = HONE_EMIT(g, "", "Transpose", v);
    if (t) hone_node_set_ints(g, t->producer, "perm", (int64_t[]){1, 0}, 2);
    return t;
}

static bool is_kernel(const hone_node *n, const char *name) {
    return strcmp(hone_node_string(n, "kernel_type"), name) == 0;
}

static hone_status check_kernel(const hone_infer *ctx, int64_t supports, hone_error *err) {
    const hone_node *n = ctx->node;
    const hone_type *x = ctx->in[0];
    size_t settings = hone_ml_count(n, "kernel_params"), vectors = hone_ml_count(n, "support_vectors");
    if (!is_kernel(n, "LINEAR") && !is_kernel(n, "POLY") && !is_kernel(n, "RBF") && !is_kernel(n, "SIGMOID"))
        return hone_infer_fail(ctx, err, "kernel_type %s is not known", hone_node_string(n, "kernel_type"));
    if (settings && settings < 3) return hone_infer_fail(ctx, err, "kernel_params are three numbers");
    if (!hone_ml_transform_known(n))
        return hone_infer_fail(ctx, err, "post_transform %s is not known",
                               hone_node_string(n, "post_transform"));
    if (x->rank == 0 || x->rank > 2) return hone_infer_fail(ctx, err, "X must be a row or a list of rows");
    if (supports <= 0) return HONE_OK;
    if (vectors == 0 || vectors % (size_t)supports)
        return hone_infer_fail(ctx, err, "%zu numbers are no %lld support vectors", vectors,
                               (long long)supports);
    int64_t columns = x->rank > 0 ? x->dims[x->rank - 1] : HONE_DIM_ANY;
    if (columns >= 0 && columns != (int64_t)vectors / supports)
        return hone_infer_fail(ctx, err, "%lld features where support vectors have %lld", (long long)columns,
                               (long long)vectors / supports);
    return HONE_OK;
}

/* [N, supports]: the kernel of each row and support vector. */
static hone_value *kernel_of(hone_graph *g, const hone_node *n, hone_value *x, int64_t supports) {
    const hone_attr *a = hone_node_attr(n, "kernel_params");
    double gamma = a ? a->floats[0] : 0, coef0 = a ? a->floats[1] : 0, degree = a ? a->floats[2] : 0;
    hone_dtype dtype = dtype_of(n);
    if (is_kernel(n, "RBF")) {
        hone_value *d = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "SquaredDistance", x,
                                  matrix(g, n, "support_vectors", supports, false));
        return HONE_EMIT(g, "", "Exp", emit(g, "Mul", d, hone_graph_scalar(g, dtype, -gamma)));
    }
    hone_value *k = emit(g, "MatMul", x, matrix(g, n, "support_vectors", supports, true));
    if (is_kernel(n, "LINEAR")) return k;
    k = emit(g, "Add", emit(g, "Mul", k, hone_graph_scalar(g, dtype, gamma)),
             hone_graph_scalar(g, dtype, coef0));
    if (is_kernel(n, "SIGMOID")) return HONE_EMIT(g, "", "Tanh", k);
    return emit(g, "Pow", k, hone_graph_scalar(g, dtype, degree));
}

static hone_value *rho_of(hone_graph *g, const hone_node *n, bool all) {
    const hone_attr *a = hone_node_attr(n, "rho");
    return hone_ml_cast(g, hone_graph_floats(g, a->floats, all ? (int64_t)a->count : 1), dtype_of(n));
}

/* --- SVMRegressor --- */

static hone_status infer_regressor(hone_infer *ctx, hone_error *err) {
    const hone_node *n = ctx->node;
    const hone_type *x = ctx->in[0];
    int64_t supports = hone_node_int(n, "n_supports");
    size_t coefficients = hone_ml_count(n, "coefficients");
    HONE_TRY(check_kernel(ctx, supports, err));
    if (hone_ml_count(n, "rho") < 1 || coefficients < 1 ||
        (supports > 0 && (int64_t)coefficients != supports))
        return hone_infer_fail(ctx, err, "%zu coefficients and %zu rho for %lld support vectors",
                               coefficients, hone_ml_count(n, "rho"), (long long)supports);
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = x->rank == 2 ? x->dims[0] : x->rank == 1 ? 1 : HONE_DIM_ANY;
    ctx->out[0].dims[1] = 1;
    return HONE_OK;
}

static hone_status expand_regressor(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    int64_t supports = hone_node_int(n, "n_supports");
    hone_dtype dtype = dtype_of(n);
    hone_value *x = hone_ml_rows(g, n->inputs[0], dtype);
    if (supports > 0) x = kernel_of(g, n, x, supports);
    hone_value *y =
        emit(g, "Add", emit(g, "MatMul", x, matrix(g, n, "coefficients", 1, true)), rho_of(g, n, false));
    if (hone_node_int(n, "one_class")) {
        hone_value *above = emit(g, "Greater", y, hone_graph_scalar(g, dtype, 0));
        y = HONE_EMIT(g, "", "Where", above, hone_graph_scalar(g, dtype, 1), hone_graph_scalar(g, dtype, -1));
    }
    y = hone_ml_transform(g, y, hone_node_string(n, "post_transform"));
    hone_graph_replace(g, n->outputs[0], hone_ml_cast(g, y, HONE_FLOAT32));
    return HONE_OK;
}

#define MACHINE                                                                                              \
    {"coefficients", HONE_ATTR_FLOATS}, {"kernel_params", HONE_ATTR_FLOATS},                                 \
        {"kernel_type", HONE_ATTR_STRING, .s = "LINEAR"}, {"post_transform", HONE_ATTR_STRING, .s = "NONE"}, \
        {"rho", HONE_ATTR_FLOATS}, {                                                                         \
        "support_vectors", HONE_ATTR_FLOATS                                                                  \
    }

const hone_op hone_op_svm_regressor = {.domain = HONE_ML,
                                       .name = "SVMRegressor",
                                       .since = 1,
                                       .oldest = 1,
                                       .inputs = HONE_SLOTS({"X", 0, NUMBERS, 0}),
                                       .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_FLOAT32), 0}),
                                       .attrs = HONE_ATTRS(MACHINE, {"n_supports", HONE_ATTR_INT},
                                                           {"n_targets", HONE_ATTR_INT, .i = 1},
                                                           {"one_class", HONE_ATTR_INT}),
                                       .infer = infer_regressor,
                                       .expand = expand_regressor,
                                       .doc = "what a support vector machine gives to rows"};

/* --- SVMClassifier --- */

#define TEXTS "classlabels_strings"
#define INTEGERS "classlabels_ints"

static int64_t class_count(const hone_node *n) {
    int64_t labels = (int64_t)(hone_ml_count(n, TEXTS) + hone_ml_count(n, INTEGERS));
    return labels ? labels : 1;
}

/* 0: there are none, and each class has a product of its own. */
static int64_t vector_count(const hone_node *n) {
    size_t count;
    int64_t sum = 0;
    const int64_t *of_class = hone_node_ints(n, "vectors_per_class", &count);
    for (size_t i = 0; i < count; i++) sum = of_class[i] < 0 || sum < 0 ? -1 : sum + of_class[i];
    return sum;
}

static bool has_probabilities(const hone_node *n) {
    return hone_ml_count(n, "prob_a") > 0 && vector_count(n) > 0;
}

static hone_status infer_classifier(hone_infer *ctx, hone_error *err) {
    const hone_node *n = ctx->node;
    int64_t classes = class_count(n), vectors = vector_count(n), pairs = classes * (classes - 1) / 2;
    size_t coefficients = hone_ml_count(n, "coefficients"), rho = hone_ml_count(n, "rho"),
           a = hone_ml_count(n, "prob_a"), b = hone_ml_count(n, "prob_b");
    HONE_TRY(check_kernel(ctx, vectors, err));
    bool fits = vectors > 0
                    ? classes > 1 && hone_ml_count(n, "vectors_per_class") == (size_t)classes &&
                          (int64_t)coefficients == vectors * (classes - 1) && (int64_t)rho == pairs &&
                          (!a || ((int64_t)a == pairs && (int64_t)b == pairs))
                    : vectors == 0 && coefficients > 0 && coefficients % (size_t)classes == 0 && rho > 0;
    if (!fits)
        return hone_infer_fail(ctx, err, "coefficients, rho or probabilities do not fit %lld classes",
                               (long long)classes);
    int64_t columns = vectors == 0 || has_probabilities(n) ? classes : pairs == 1 ? 2 : pairs;
    return hone_ml_infer_classes(ctx, TEXTS, INTEGERS, columns, err);
}

/* Coefficients of all decisions, [vectors, pairs]: that between classes i and j has row j - 1 of the attribute for the
 * vectors of i, and row i for those of j. */
static hone_value *decision_weights(hone_graph *g, const hone_node *n, int64_t classes, int64_t vectors) {
    size_t count;
    const int64_t *of_class = hone_node_ints(n, "vectors_per_class", &count);
    const hone_attr *a = hone_node_attr(n, "coefficients");
    int64_t pairs = classes * (classes - 1) / 2, dims[] = {vectors, pairs}, pair = 0, first_i = 0;
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, 2, dims, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    float *w = t->data;
    memset(w, 0, t->bytes);
    for (int64_t i = 0; i < classes; first_i += of_class[i++]) {
        int64_t first_j = first_i + of_class[i];
        for (int64_t j = i + 1; j < classes; first_j += of_class[j++], pair++) {
            for (int64_t k = 0; k < of_class[i]; k++)
                w[(first_i + k) * pairs + pair] = a->floats[(j - 1) * vectors + first_i + k];
            for (int64_t k = 0; k < of_class[j]; k++)
                w[(first_j + k) * pairs + pair] = a->floats[i * vectors + first_j + k];
        }
    }
    hone_value *v = hone_ml_cast(g, hone_graph_add_constant(g, NULL, t), dtype_of(n));
    hone_tensor_free(t);
    return v;
}

static hone_value *doubles(hone_graph *g, const hone_node *n, const char *name) {
    return hone_ml_cast(g, hone_ml_list(g, n, name), HONE_FLOAT64);
}

static hone_value *of_decisions(hone_graph *g, const char *op, hone_value *const *in, int count,
                                int64_t classes) {
    hone_value *y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, op, in, count);
    if (y) hone_node_set_int(g, y->producer, "classes", classes);
    return y;
}

static hone_value *largest(hone_graph *g, hone_value *scores) {
    hone_value *index = HONE_EMIT(g, "", "ArgMax", scores);
    if (!index) return NULL;
    hone_node_set_int(g, index->producer, "axis", 1);
    hone_node_set_int(g, index->producer, "keepdims", 0);
    return index;
}

static hone_status expand_classifier(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    int64_t classes = class_count(n), vectors = vector_count(n);
    hone_value *x = hone_ml_rows(g, n->inputs[0], dtype_of(n)), *scores, *index;
    if (vectors == 0) {
        scores = emit(g, "Add", emit(g, "MatMul", x, matrix(g, n, "coefficients", classes, true)),
                      rho_of(g, n, false));
        index = largest(g, scores);
        if (classes == 1) { /* is the score above 0? */
            hone_value *flat = emit(g, "Reshape", scores, hone_graph_ints(g, (int64_t[]){-1}, 1));
            index = hone_ml_cast(g, emit(g, "Greater", flat, hone_graph_scalar(g, dtype_of(n), 0)), HONE_INT64);
        }
    } else {
        hone_value *d =
            emit(g, "MatMul", kernel_of(g, n, x, vectors), decision_weights(g, n, classes, vectors));
        d = emit(g, "Add", d, rho_of(g, n, true));
        index = largest(g, of_decisions(g, "SvmVotes", &d, 1, classes));
        scores = d;
        if (has_probabilities(n)) {
            hone_value *in[] = {d, doubles(g, n, "prob_a"), doubles(g, n, "prob_b")};
            scores = of_decisions(g, "SvmProbabilities", in, 3, classes);
        } else if (classes == 2) {
            scores = emit(g, "Concat", HONE_EMIT(g, "", "Neg", d), d);
            if (scores) hone_node_set_int(g, scores->producer, "axis", 1);
        }
    }
    scores = hone_ml_transform(g, scores, hone_node_string(n, "post_transform"));
    hone_ml_give_classes(g, n, TEXTS, INTEGERS, index, scores);
    return HONE_OK;
}

const hone_op hone_op_svm_classifier = {
    .domain = HONE_ML,
    .name = "SVMClassifier",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, NUMBERS, 0}),
    .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_STRING) | HONE_TYPE(HONE_INT64), 0},
                          {"Z", 0, HONE_TYPE(HONE_FLOAT32), HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS(MACHINE, {INTEGERS, HONE_ATTR_INTS}, {TEXTS, HONE_ATTR_STRINGS},
                        {"prob_a", HONE_ATTR_FLOATS}, {"prob_b", HONE_ATTR_FLOATS},
                        {"vectors_per_class", HONE_ATTR_INTS}),
    .infer = infer_classifier,
    .expand = expand_classifier,
    .doc = "the class that a support vector machine gives to rows, and the scores"};
