/* Functions that prepare features: ArrayFeatureExtractor, Binarizer, FeatureVectorizer, Imputer, Normalizer. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/ml/ml.h"

#include <string.h>

#define NUMBERS HONE_ML_NUMBERS
#define ONE_INPUT(types) .inputs = HONE_SLOTS({"X", 'T', types, 0})
#define FLOATS_OUT .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_FLOAT32), 0})

/* --- ArrayFeatureExtractor --- columns by index */

static hone_status infer_extractor(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *index = ctx->in[1];
    hone_type *y = &ctx->out[0];
    if (x->rank == 0) return hone_infer_fail(ctx, err, "X has no axis");
    if (x->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_same(ctx, err));
    if (x->rank == 1) {
        y->rank = 2;
        y->dims[0] = 1;
    }
    y->dims[y->rank - 1] = hone_type_is_concrete(index) ? hone_type_count(index)
                           : index->rank == 1           ? index->dims[0]
                                                        : HONE_DIM_ANY;
    return HONE_OK;
}

static hone_status expand_extractor(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0], *flat = hone_graph_ints(g, (int64_t[]){-1}, 1);
    if (x->type.rank < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "of a tensor whose rank is not known");
    if (x->type.rank == 1) x = HONE_EMIT(g, "", "Unsqueeze", x, hone_graph_ints(g, (int64_t[]){0}, 1));
    hone_value *y = HONE_EMIT(g, "", "Gather", x, HONE_EMIT(g, "", "Reshape", n->inputs[1], flat));
    if (!y) return HONE_OK;
    hone_node_set_int(g, y->producer, "axis", -1);
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

const hone_op hone_op_array_feature_extractor = {
    .domain = HONE_ML,
    .name = "ArrayFeatureExtractor",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'T', NUMBERS | HONE_TYPE(HONE_STRING), 0}, {"Y", 0, HONE_TYPE(HONE_INT64), 0}),
    .outputs = HONE_SLOTS({"Z", 'T', NUMBERS | HONE_TYPE(HONE_STRING), 0}),
    .infer = infer_extractor,
    .expand = expand_extractor,
    .doc = "columns of X by their indices"};

/* --- Binarizer --- */

static hone_status expand_binarizer(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0];
    hone_dtype dtype = x->type.dtype, compared = dtype == HONE_FLOAT32 ? HONE_FLOAT32 : HONE_FLOAT64;
    hone_value *threshold = hone_graph_scalar(g, compared, hone_node_float(n, "threshold"));
    hone_value *above = HONE_EMIT(g, "", "Greater", hone_ml_cast(g, x, compared), threshold);
    hone_graph_replace(g, n->outputs[0], hone_ml_cast(g, above, dtype));
    return HONE_OK;
}

const hone_op hone_op_binarizer = {.domain = HONE_ML,
                                   .name = "Binarizer",
                                   .since = 1,
                                   .oldest = 1,
                                   ONE_INPUT(NUMBERS),
                                   .outputs = HONE_SLOTS({"Y", 'T', NUMBERS, 0}),
                                   .attrs = HONE_ATTRS({"threshold", HONE_ATTR_FLOAT}),
                                   .infer = hone_infer_same,
                                   .axes = hone_axes_broadcast,
                                   .expand = expand_binarizer,
                                   .gradient_kind = HONE_GRADIENT_ZERO,
                                   .doc = "1 above a threshold, else 0"};

/* --- Imputer --- */

static hone_status infer_imputer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    size_t floats = hone_ml_count(ctx->node, "imputed_value_floats"),
           integers = hone_ml_count(ctx->node, "imputed_value_int64s"), count = floats + integers;
    if (!floats == !integers) return hone_infer_fail(ctx, err, "needs imputed values, floats or integers");
    if (count > 1 && x->rank > 0 && x->dims[x->rank - 1] >= 0 && x->dims[x->rank - 1] != (int64_t)count)
        return hone_infer_fail(ctx, err, "%zu imputed values for %lld columns", count,
                               (long long)x->dims[x->rank - 1]);
    return hone_infer_same(ctx, err);
}

static hone_status expand_imputer(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0], *replaced;
    hone_dtype dtype = x->type.dtype;
    bool real = HONE_TYPES_FLOAT & HONE_TYPE(dtype);
    float number = hone_node_float(n, "replaced_value_float");
    hone_value *values = hone_ml_list(
        g, n, hone_ml_count(n, "imputed_value_floats") ? "imputed_value_floats" : "imputed_value_int64s");
    if (real && number != number)
        replaced = HONE_EMIT(g, "", "IsNaN", x);
    else if (real)
        replaced = HONE_EMIT(g, "", "Equal", x, hone_graph_scalar(g, dtype, number));
    else {
        int64_t whole = hone_node_int(n, "replaced_value_int64");
        replaced = HONE_EMIT(g, "", "Equal", x, hone_ml_cast(g, hone_graph_ints(g, &whole, 1), dtype));
    }
    hone_graph_replace(g, n->outputs[0],
                       HONE_EMIT(g, "", "Where", replaced, hone_ml_cast(g, values, dtype), x));
    return HONE_OK;
}

const hone_op hone_op_imputer = {
    .domain = HONE_ML,
    .name = "Imputer",
    .since = 1,
    .oldest = 1,
    ONE_INPUT(NUMBERS),
    .outputs = HONE_SLOTS({"Y", 'T', NUMBERS, 0}),
    .attrs = HONE_ATTRS({"imputed_value_floats", HONE_ATTR_FLOATS}, {"imputed_value_int64s", HONE_ATTR_INTS},
                        {"replaced_value_float", HONE_ATTR_FLOAT}, {"replaced_value_int64", HONE_ATTR_INT}),
    .infer = infer_imputer,
    .expand = expand_imputer,
    .doc = "other values in the place of one"};

/* --- Normalizer --- */

static hone_status infer_normalizer(hone_infer *ctx, hone_error *err) {
    const char *norm = hone_node_string(ctx->node, "norm");
    if (strcmp(norm, "MAX") != 0 && strcmp(norm, "L1") != 0 && strcmp(norm, "L2") != 0)
        return hone_infer_fail(ctx, err, "norm %s is not known", norm);
    if (ctx->in[0]->rank == 0 || ctx->in[0]->rank > 2)
        return hone_infer_fail(ctx, err, "X must be a row or a list of rows");
    return hone_infer_same(ctx, err);
}

/* X itself where the norm is 0. */
static hone_status expand_normalizer(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    const char *norm = hone_node_string(n, "norm");
    hone_value *x = hone_ml_cast(g, n->inputs[0], HONE_FLOAT32),
               *axis = hone_graph_ints(g, (int64_t[]){-1}, 1);
    hone_value *size = HONE_EMIT(g, "",
                                 norm[0] == 'M'   ? "ReduceMax"
                                 : norm[1] == '1' ? "ReduceL1"
                                                  : "ReduceL2",
                                 x, axis);
    hone_value *is_zero = HONE_EMIT(g, "", "Equal", size, hone_graph_scalar(g, HONE_FLOAT32, 0));
    size = HONE_EMIT(g, "", "Where", is_zero, hone_graph_scalar(g, HONE_FLOAT32, 1), size);
    hone_graph_replace(g, n->outputs[0], HONE_EMIT(g, "", "Div", x, size));
    return HONE_OK;
}

const hone_op hone_op_normalizer = {.domain = HONE_ML,
                                    .name = "Normalizer",
                                    .since = 1,
                                    .oldest = 1,
                                    ONE_INPUT(NUMBERS),
                                    FLOATS_OUT,
                                    .attrs = HONE_ATTRS({"norm", HONE_ATTR_STRING, .s = "MAX"}),
                                    .infer = infer_normalizer,
                                    .expand = expand_normalizer,
                                    .doc = "rows divided by their maximum, or by a norm"};

/* --- FeatureVectorizer --- rows of all inputs side by side, each of inputdimensions[i] columns: cut, or filled with 0 */

static int64_t columns_of(const hone_infer *ctx, int i) {
    size_t count;
    const int64_t *given = hone_node_ints(ctx->node, "inputdimensions", &count);
    const hone_type *x = ctx->in[i];
    if (given && (size_t)i < count) return given[i];
    return x->rank > 0 ? x->dims[x->rank - 1] : HONE_DIM_ANY;
}

static hone_status infer_vectorizer(hone_infer *ctx, hone_error *err) {
    hone_type *y = &ctx->out[0];
    int64_t sum = 0;
    y->rank = 2;
    y->dims[0] = HONE_DIM_ANY;
    for (int i = 0; i < ctx->input_count; i++) {
        const hone_type *x = ctx->in[i];
        int64_t columns = columns_of(ctx, i), rows;
        if (x->rank == 0 || x->rank > 2)
            return hone_infer_fail(ctx, err, "input %d is neither a row nor rows", i);
        rows = x->rank == 1 ? 1 : x->rank == 2 ? x->dims[0] : HONE_DIM_ANY;
        HONE_TRY(hone_infer_same_dim(ctx, y->dims[0], rows, &y->dims[0], err));
        if (columns > INT32_MAX ||
            (columns < 0 && columns != HONE_DIM_ANY && hone_node_attr(ctx->node, "inputdimensions")))
            return hone_infer_fail(ctx, err, "input %d is to have %lld columns", i, (long long)columns);
        sum = sum < 0 || columns < 0 ? HONE_DIM_ANY : sum + columns;
    }
    y->dims[1] = sum;
    return HONE_OK;
}

static hone_status expand_vectorizer(hone_graph *g, hone_node *n, hone_error *err) {
    size_t count;
    const int64_t *given = hone_node_ints(n, "inputdimensions", &count);
    hone_value **parts = hone_arena_array(g->arena, (size_t)n->input_count + 1, sizeof *parts);
    if (!parts) return hone_fail_memory(err);
    for (int i = 0; i < n->input_count; i++) {
        const hone_type *x = &n->inputs[i]->type;
        hone_value *v = hone_ml_rows(g, n->inputs[i], HONE_FLOAT32);
        bool fits = !given || (size_t)i >= count || (x->rank > 0 && x->dims[x->rank - 1] == given[i]);
        if (!fits) { /* CenterCropPad would center: cut, then pad by what is missing, if anything is */
            hone_value *wanted = hone_graph_ints(g, &given[i], 1),
                       *zero = hone_graph_ints(g, (int64_t[]){0}, 1);
            v = HONE_EMIT(g, "", "Slice", v, zero, wanted, hone_graph_ints(g, (int64_t[]){1}, 1));
            hone_value *shape = HONE_EMIT(g, "", "Shape", v);
            if (shape) hone_node_set_int(g, shape->producer, "start", 1);
            hone_value *missing = HONE_EMIT(g, "", "Sub", wanted, shape);
            hone_value *pads = HONE_EMIT(g, "", "Concat", zero, missing);
            if (pads) hone_node_set_int(g, pads->producer, "axis", 0);
            hone_value *in[] = {v, pads, NULL, hone_graph_ints(g, (int64_t[]){1}, 1)};
            v = hone_graph_emit(g, "", "Pad", in, 4);
        }
        parts[i] = v;
    }
    hone_value *y = hone_graph_emit(g, "", "Concat", parts, n->input_count);
    if (!y) return HONE_OK;
    hone_node_set_int(g, y->producer, "axis", 1);
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

const hone_op hone_op_feature_vectorizer = {.domain = HONE_ML,
                                            .name = "FeatureVectorizer",
                                            .since = 1,
                                            .oldest = 1,
                                            .inputs = HONE_SLOTS({"X", 0, NUMBERS, HONE_SLOT_VARIADIC}),
                                            FLOATS_OUT,
                                            .attrs = HONE_ATTRS({"inputdimensions", HONE_ATTR_INTS}),
                                            .infer = infer_vectorizer,
                                            .expand = expand_vectorizer,
                                            .doc = "the columns of all inputs side by side"};
