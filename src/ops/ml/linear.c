/* LinearRegressor, LinearClassifier: functions of a product of matrices. */
#include "graph/infer.h"
#include "ops/ml/ml.h"

#include <string.h>

#define NUMBERS HONE_ML_NUMBERS

/* [rows, C] of the attribute `coefficients` as a constant [C, rows]. */
static hone_value *weights(hone_graph *g, const hone_node *n, int64_t rows) {
    const hone_attr *a = hone_node_attr(n, "coefficients");
    int64_t columns = (int64_t)a->count / rows;
    hone_value *w = hone_ml_constant(g, HONE_FLOAT32, 2, (int64_t[]){rows, columns}, a->floats);
    hone_value *t = HONE_EMIT(g, "", "Transpose", w);
    if (t) hone_node_set_ints(g, t->producer, "perm", (int64_t[]){1, 0}, 2);
    return t;
}

/* X W + intercepts; float64 features are computed as such. */
static hone_value *linear(hone_graph *g, const hone_node *n, int64_t rows) {
    hone_dtype dtype = n->inputs[0]->type.dtype == HONE_FLOAT64 ? HONE_FLOAT64 : HONE_FLOAT32;
    hone_value *y = HONE_EMIT(g, "", "MatMul", hone_ml_rows(g, n->inputs[0], dtype),
                              hone_ml_cast(g, weights(g, n, rows), dtype));
    hone_value *b = hone_ml_list(g, n, "intercepts");
    return b ? HONE_EMIT(g, "", "Add", y, hone_ml_cast(g, b, dtype)) : y;
}

static hone_status check(const hone_infer *ctx, int64_t rows, hone_error *err) {
    const hone_type *x = ctx->in[0];
    size_t count = hone_ml_count(ctx->node, "coefficients"),
           intercepts = hone_ml_count(ctx->node, "intercepts");
    if (rows < 1 || count == 0 || count % (size_t)rows || (intercepts && (int64_t)intercepts != rows))
        return hone_infer_fail(ctx, err, "%zu coefficients and %zu intercepts for %lld results", count,
                               intercepts, (long long)rows);
    int64_t columns = (int64_t)count / rows;
    if (x->rank > 0 && x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != columns)
        return hone_infer_fail(ctx, err, "%lld features, of which there are coefficients for %lld",
                               (long long)x->dims[x->rank - 1], (long long)columns);
    return HONE_OK;
}

/* --- LinearRegressor --- */

static hone_status infer_regressor(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int64_t targets = hone_node_int(ctx->node, "targets");
    HONE_TRY(check(ctx, targets, err));
    if (!hone_ml_transform_known(ctx->node))
        return hone_infer_fail(ctx, err, "post_transform %s is not known",
                               hone_node_string(ctx->node, "post_transform"));
    if (x->rank == 0 || x->rank > 2) return hone_infer_fail(ctx, err, "X must be a row or a list of rows");
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = x->rank == 2 ? x->dims[0] : x->rank == 1 ? 1 : HONE_DIM_ANY;
    ctx->out[0].dims[1] = targets;
    return HONE_OK;
}

static hone_status expand_regressor(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *y = linear(g, n, hone_node_int(n, "targets"));
    y = hone_ml_transform(g, y, hone_node_string(n, "post_transform"));
    hone_graph_replace(g, n->outputs[0], hone_ml_cast(g, y, HONE_FLOAT32));
    return HONE_OK;
}

#define TRANSFORM                                                                                            \
    { "post_transform", HONE_ATTR_STRING, .s = "NONE" }

const hone_op hone_op_linear_regressor = {.domain = HONE_ML,
                                          .name = "LinearRegressor",
                                          .since = 1,
                                          .oldest = 1,
                                          .inputs = HONE_SLOTS({"X", 0, NUMBERS, 0}),
                                          .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_FLOAT32), 0}),
                                          .attrs = HONE_ATTRS({"coefficients", HONE_ATTR_FLOATS},
                                                              {"intercepts", HONE_ATTR_FLOATS}, TRANSFORM,
                                                              {"targets", HONE_ATTR_INT, .i = 1}),
                                          .infer = infer_regressor,
                                          .expand = expand_regressor,
                                          .doc = "X times coefficients, plus intercepts"};

/* --- LinearClassifier --- */

#define TEXTS "classlabels_strings"
#define INTEGERS "classlabels_ints"

static int64_t label_count(const hone_node *n) {
    return (int64_t)(hone_ml_count(n, TEXTS) + hone_ml_count(n, INTEGERS));
}

/* Rows of coefficients: one for each class, or one for two of them. */
static int64_t rows_of(const hone_node *n) {
    int64_t rows = (int64_t)hone_ml_count(n, "intercepts");
    return rows ? rows : label_count(n);
}

static hone_status infer_classifier(hone_infer *ctx, hone_error *err) {
    int64_t rows = rows_of(ctx->node), labels = label_count(ctx->node);
    HONE_TRY(check(ctx, rows, err));
    if (labels && rows != labels && !(rows == 1 && labels <= 2))
        return hone_infer_fail(ctx, err, "%lld labels for %lld scores", (long long)labels, (long long)rows);
    return hone_ml_infer_classes(ctx, TEXTS, INTEGERS, rows == 1 && labels == 2 ? 2 : rows, err);
}

/* The largest score; of one score s for two classes those of -s and s; alone, is it 0 or more? */
static hone_status expand_classifier(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    int64_t rows = rows_of(n), labels = label_count(n);
    hone_value *s = linear(g, n, rows), *index;
    if (rows == 1 && labels == 2) {
        s = HONE_EMIT(g, "", "Concat", HONE_EMIT(g, "", "Neg", s), s);
        if (s) hone_node_set_int(g, s->producer, "axis", 1);
    }
    bool alone = rows == 1 && labels != 2;
    if (alone) {
        hone_value *flat = HONE_EMIT(g, "", "Reshape", s, hone_graph_ints(g, (int64_t[]){-1}, 1));
        hone_value *zero =
            hone_ml_cast(g, hone_graph_scalar(g, HONE_FLOAT64, 0),
                         n->inputs[0]->type.dtype == HONE_FLOAT64 ? HONE_FLOAT64 : HONE_FLOAT32);
        index = hone_ml_cast(g, HONE_EMIT(g, "", "GreaterOrEqual", flat, zero), HONE_INT64);
    } else {
        index = HONE_EMIT(g, "", "ArgMax", s);
        if (index) hone_node_set_int(g, index->producer, "axis", 1);
        if (index) hone_node_set_int(g, index->producer, "keepdims", 0);
    }
    s = hone_ml_transform(g, s, hone_node_string(n, "post_transform"));
    hone_ml_give_classes(g, n, TEXTS, INTEGERS, index, s);
    return HONE_OK;
}

const hone_op hone_op_linear_classifier = {
    .domain = HONE_ML,
    .name = "LinearClassifier",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, NUMBERS, 0}),
    .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_STRING) | HONE_TYPE(HONE_INT64), 0},
                          {"Z", 0, HONE_TYPE(HONE_FLOAT32), HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS({INTEGERS, HONE_ATTR_INTS}, {TEXTS, HONE_ATTR_STRINGS},
                        {"coefficients", HONE_ATTR_FLOATS, .required = true},
                        {"intercepts", HONE_ATTR_FLOATS}, {"multi_class", HONE_ATTR_INT}, TRANSFORM),
    .infer = infer_classifier,
    .expand = expand_classifier,
    .doc = "the class whose linear score is the largest, and the scores"};
