/* LabelEncoder, CategoryMapper, OneHotEncoder: functions of where keys stand in a list. */
#include "graph/infer.h"
#include "graph/run.h"
#include "graph/tensor.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/dictionary.h"
#include "ops/common/reshape.h"
#include "ops/ml/ml.h"

#include <string.h>

#define KEYS                                                                                                 \
    (HONE_TYPE(HONE_STRING) | HONE_TYPES_INT | HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_INT8) |                \
     HONE_TYPE(HONE_UINT8) | HONE_TYPE(HONE_UINT16) | HONE_TYPE(HONE_UINT32) | HONE_TYPES_FLOAT)
#define LABELS (HONE_TYPE(HONE_STRING) | HONE_TYPE(HONE_INT64))

/* --- FindKey --- */

static hone_status infer_find(hone_infer *ctx, hone_error *err) {
    ctx->out[0].dtype = HONE_INT64;
    if (ctx->in[1]->rank >= 0 && ctx->in[1]->rank != 1) return hone_infer_fail(ctx, err, "keys are a vector");
    return hone_infer_same(ctx, err);
}

typedef struct params {
    hone_dictionary keys;
    int64_t count;
    hone_dtype dtype;
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    hone_tensor x;
    int64_t *y;
} job;

static void find_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    for (int64_t i = begin; i < end; i++) {
        int64_t at = hone_dictionary_find(&j->p->keys, &j->x, i);
        j->y[i] = at < 0 ? j->p->keys.keys.count : at;
    }
}

static hone_status run_find(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p, .y = hone_step_out(step, frame, 0)};
    j.x = (hone_tensor){.dtype = p->dtype,
                        .rank = 1,
                        .dims = {p->count},
                        .count = p->count,
                        .data = hone_step_in(step, frame, 0)};
    hone_cut_run(&p->cut, frame, find_range, &j);
    return HONE_OK;
}

static hone_status prepare_find(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    if (!p->constant[1]) return hone_prepare_fail(p, err, "keys are not known");
    q->count = hone_type_count(p->in[0]);
    q->dtype = p->in[0]->dtype;
    q->cut = hone_cut_make(q->count, 50, 1);
    if (!hone_dictionary_make(p->arena, p->constant[1], hone_node_int(p->node, "last"), &q->keys))
        return hone_fail_memory(err);
    p->params = q;
    p->run = run_find;
    p->kernel = "find";
    return HONE_OK;
}

const hone_op hone_op_find_key = {.domain = HONE_PRIVATE_DOMAIN,
                                  .name = "FindKey",
                                  .since = 1,
                                  .oldest = 1,
                                  .inputs = HONE_SLOTS({"X", 'T', KEYS, 0}, {"keys", 'T', KEYS, 0}),
                                  .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_INT64), 0}),
                                  .attrs = HONE_ATTRS({"last", HONE_ATTR_INT}),
                                  .infer = infer_find,
                                  .prepare = prepare_find,
                                  .gradient_kind = HONE_GRADIENT_ZERO,
                                  .doc = "where elements stand in a list of keys; its length for others"};

/* values[i] for the i-th key, `other` for what is none. */
static hone_value *look_up(hone_graph *g, hone_value *x, hone_value *keys, hone_value *values,
                           hone_value *other, bool last) {
    hone_value *all = HONE_EMIT(g, "", "Concat", values, other);
    if (all) hone_node_set_int(g, all->producer, "axis", 0);
    return HONE_EMIT(g, "", "Gather", all, hone_ml_find(g, x, keys, last));
}

static hone_value *one_text(hone_graph *g, const hone_node *n, const char *name) {
    const hone_attr *a = hone_node_attr(n, name);
    const char *text = hone_node_string(n, name);
    hone_string s = a ? a->s : (hone_string){(char *)text, strlen(text)};
    return hone_ml_constant(g, HONE_STRING, 1, (int64_t[]){1}, &s);
}

/* --- LabelEncoder --- */

/* Which list of keys or values a node has: the dtype of its elements, and how many there are. */
typedef struct list {
    const char *name;
    hone_dtype dtype;
    int64_t count;
} list;

static bool find_list(const hone_node *n, const char *const names[4], list *out) {
    static const hone_dtype dtypes[] = {HONE_STRING, HONE_INT64, HONE_FLOAT32};
    int found = 0;
    for (int i = 0; i < 3; i++) {
        const hone_attr *a = hone_node_attr(n, names[i]);
        if (!a) continue;
        *out = (list){names[i], dtypes[i], (int64_t)a->count};
        found++;
    }
    const hone_tensor *t = hone_node_tensor(n, names[3]);
    if (t) *out = (list){names[3], t->dtype, t->count};
    return found + (t != NULL) == 1;
}

static const char *const key_names[] = {"keys_strings", "keys_int64s", "keys_floats", "keys_tensor"},
                         *const value_names[] = {"values_strings", "values_int64s", "values_floats",
                                                 "values_tensor"};

static hone_status infer_labels(hone_infer *ctx, hone_error *err) {
    list keys, values;
    const hone_tensor *other = hone_node_tensor(ctx->node, "default_tensor");
    if (!find_list(ctx->node, key_names, &keys) || !find_list(ctx->node, value_names, &values))
        return hone_infer_fail(ctx, err, "needs one list of keys and one of values");
    if (keys.count != values.count)
        return hone_infer_fail(ctx, err, "%lld keys for %lld values", (long long)keys.count,
                               (long long)values.count);
    if (ctx->in[0]->dtype != HONE_UNDEFINED && ctx->in[0]->dtype != keys.dtype)
        return hone_infer_fail(ctx, err, "the keys are %s, X is %s", hone_dtype_name(keys.dtype),
                               hone_dtype_name(ctx->in[0]->dtype));
    if (other && (other->dtype != values.dtype || other->count != 1))
        return hone_infer_fail(ctx, err, "default_tensor is no single %s", hone_dtype_name(values.dtype));
    ctx->out[0].dtype = values.dtype;
    return hone_infer_same(ctx, err);
}

static hone_value *list_of(hone_graph *g, const hone_node *n, const list *l) {
    hone_tensor *t = hone_node_tensor(n, l->name);
    if (!t) return hone_ml_list(g, n, l->name);
    return HONE_EMIT(g, "", "Reshape", hone_graph_add_constant(g, NULL, t),
                     hone_graph_ints(g, (int64_t[]){-1}, 1));
}

/* Until opset 4 default_* of the values' type alone; -0 for numbers that are no integers. */
static hone_value *other_of(hone_graph *g, const hone_node *n, hone_dtype dtype) {
    hone_tensor *t = hone_node_tensor(n, "default_tensor");
    hone_value *y;
    if (t)
        y = hone_graph_add_constant(g, NULL, t);
    else if (dtype == HONE_STRING)
        y = one_text(g, n, "default_string");
    else if (dtype == HONE_FLOAT32 || dtype == HONE_FLOAT64)
        y = hone_graph_scalar(g, dtype, hone_node_float(n, "default_float"));
    else
        y = hone_graph_scalar(g, HONE_INT64, (double)hone_node_int(n, "default_int64"));
    y = HONE_EMIT(g, "", "Reshape", y, hone_graph_ints(g, (int64_t[]){1}, 1));
    return t || dtype == HONE_STRING ? y : hone_ml_cast(g, y, dtype);
}

static hone_status expand_labels(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    list keys, values;
    find_list(n, key_names, &keys);
    find_list(n, value_names, &values);
    hone_value *y = look_up(g, n->inputs[0], list_of(g, n, &keys), list_of(g, n, &values),
                            other_of(g, n, values.dtype), true);
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

/* Opset 1 had classes_strings: texts to their places, or places to texts. */
static hone_status lift_classes(hone_graph *g, hone_node *n, hone_error *err) {
    size_t count = hone_ml_count(n, "classes_strings");
    const hone_attr *classes = hone_node_attr(n, "classes_strings"),
                    *text = hone_node_attr(n, "default_string"), *number = hone_node_attr(n, "default_int64");
    bool to_text = text && !number;
    hone_type x;
    if (!hone_lift_type(g, n->inputs[0], &x)) return hone_fail_memory(err);
    if (x.dtype != HONE_UNDEFINED) to_text = x.dtype != HONE_STRING;
    int64_t *places = hone_arena_array(g->arena, count + 1, sizeof *places);
    if (!places) return hone_fail_memory(err);
    for (size_t i = 0; i < count; i++) places[i] = (int64_t)i;
    g->insert_before = n;
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, 1, n->inputs, 1);
    if (newest) {
        hone_node_set_ints(g, newest, to_text ? "keys_int64s" : "values_int64s", places, count);
        hone_node_set_strings(g, newest, to_text ? "values_strings" : "keys_strings",
                              classes ? classes->strings : NULL, count);
        if (text) hone_node_set_bytes(g, newest, "default_string", text->s.data, text->s.size);
        if (number) hone_node_set_int(g, newest, "default_int64", number->i);
    }
    g->insert_before = NULL;
    if (newest) hone_lift_replace(g, n, newest->outputs[0]);
    return hone_graph_check(g, err);
}

#define DEFAULTS                                                                                             \
    {"default_float", HONE_ATTR_FLOAT, .f = -0.0f}, {"default_int64", HONE_ATTR_INT, .i = -1}, {             \
        "default_string", HONE_ATTR_STRING, .s = "_Unused"                                                   \
    }
static const hone_attr_def label_1[] = {{"classes_strings", HONE_ATTR_STRINGS},
                                        {"default_int64", HONE_ATTR_INT, .i = -1},
                                        {"default_string", HONE_ATTR_STRING, .s = "_Unused"},
                                        {NULL}};
static const hone_op_version older_label[] = {{2, NULL, NULL}, {1, label_1, lift_classes}, {0}};

const hone_op hone_op_label_encoder = {
    .domain = HONE_ML,
    .name = "LabelEncoder",
    .since = 4,
    .oldest = 1,
    .older = older_label,
    .inputs = HONE_SLOTS({"X", 0, KEYS, 0}),
    .outputs = HONE_SLOTS({"Y", 0, KEYS, 0}),
    .attrs = HONE_ATTRS({"keys_floats", HONE_ATTR_FLOATS}, {"keys_int64s", HONE_ATTR_INTS},
                        {"keys_strings", HONE_ATTR_STRINGS}, {"keys_tensor", HONE_ATTR_TENSOR},
                        {"values_floats", HONE_ATTR_FLOATS}, {"values_int64s", HONE_ATTR_INTS},
                        {"values_strings", HONE_ATTR_STRINGS}, {"values_tensor", HONE_ATTR_TENSOR}, DEFAULTS,
                        {"default_tensor", HONE_ATTR_TENSOR}),
    .infer = infer_labels,
    .expand = expand_labels,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "each element's value in a list of keys and values"};

/* --- CategoryMapper --- */

static hone_status infer_mapper(hone_infer *ctx, hone_error *err) {
    if (hone_ml_count(ctx->node, "cats_int64s") != hone_ml_count(ctx->node, "cats_strings"))
        return hone_infer_fail(ctx, err, "cats_int64s and cats_strings differ in length");
    if (ctx->in[0]->dtype != HONE_UNDEFINED)
        ctx->out[0].dtype = ctx->in[0]->dtype == HONE_STRING ? HONE_INT64 : HONE_STRING;
    return hone_infer_same(ctx, err);
}

static hone_status expand_mapper(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *texts = hone_ml_list(g, n, "cats_strings"), *numbers = hone_ml_list(g, n, "cats_int64s");
    bool to_number = n->inputs[0]->type.dtype == HONE_STRING;
    int64_t other = hone_node_int(n, "default_int64");
    hone_value *y =
        look_up(g, n->inputs[0], to_number ? texts : numbers, to_number ? numbers : texts,
                to_number ? hone_graph_ints(g, &other, 1) : one_text(g, n, "default_string"), false);
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

const hone_op hone_op_category_mapper = {.domain = HONE_ML,
                                         .name = "CategoryMapper",
                                         .since = 1,
                                         .oldest = 1,
                                         .inputs = HONE_SLOTS({"X", 0, LABELS, 0}),
                                         .outputs = HONE_SLOTS({"Y", 0, LABELS, 0}),
                                         .attrs =
                                             HONE_ATTRS({"cats_int64s", HONE_ATTR_INTS, .required = true},
                                                        {"cats_strings", HONE_ATTR_STRINGS, .required = true},
                                                        {"default_int64", HONE_ATTR_INT, .i = -1},
                                                        {"default_string", HONE_ATTR_STRING, .s = "_Unused"}),
                                         .infer = infer_mapper,
                                         .expand = expand_mapper,
                                         .gradient_kind = HONE_GRADIENT_ZERO,
                                         .doc = "texts to numbers, or numbers to texts, of two lists"};

/* --- OneHotEncoder --- */

static hone_status infer_one_hot(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    size_t texts = hone_ml_count(ctx->node, "cats_strings"),
           numbers = hone_ml_count(ctx->node, "cats_int64s");
    if (!texts == !numbers) return hone_infer_fail(ctx, err, "needs either cats_strings or cats_int64s");
    if (x->dtype != HONE_UNDEFINED && (x->dtype == HONE_STRING) != (texts > 0))
        return hone_infer_fail(ctx, err, "the categories are of another dtype than X");
    if (x->rank >= HONE_MAX_RANK) return hone_infer_fail(ctx, err, "X has too many axes for one more");
    HONE_TRY(hone_infer_same(ctx, err));
    if (x->rank >= 0) ctx->out[0].dims[ctx->out[0].rank++] = (int64_t)(texts + numbers);
    return HONE_OK;
}

/* Y = (place == 0, 1, 2, …); a place beyond the list, where zeros are not wanted, is looked up in it and so fails. */
static hone_status expand_one_hot(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0], *keys = hone_ml_list(g, n, "cats_strings");
    if (!keys) keys = hone_ml_list(g, n, "cats_int64s");
    if (x->type.dtype != HONE_STRING) x = hone_ml_cast(g, x, HONE_INT64);
    size_t count = hone_ml_count(n, "cats_strings") + hone_ml_count(n, "cats_int64s");
    hone_value *place = hone_ml_find(g, x, keys, false);
    hone_value *range =
        HONE_EMIT(g, "", "Range", hone_graph_scalar(g, HONE_INT64, 0),
                  hone_graph_scalar(g, HONE_INT64, (double)count), hone_graph_scalar(g, HONE_INT64, 1));
    if (!hone_node_int(n, "zeros")) place = HONE_EMIT(g, "", "Gather", range, place);
    hone_value *column = HONE_EMIT(g, "", "Unsqueeze", place, hone_graph_ints(g, (int64_t[]){-1}, 1));
    hone_graph_replace(g, n->outputs[0],
                       hone_ml_cast(g, HONE_EMIT(g, "", "Equal", column, range), HONE_FLOAT32));
    return HONE_OK;
}

const hone_op hone_op_one_hot_encoder = {
    .domain = HONE_ML,
    .name = "OneHotEncoder",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, HONE_ML_NUMBERS | HONE_TYPE(HONE_STRING), 0}),
    .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_FLOAT32), 0}),
    .attrs = HONE_ATTRS({"cats_int64s", HONE_ATTR_INTS}, {"cats_strings", HONE_ATTR_STRINGS},
                        {"zeros", HONE_ATTR_INT, .i = 1}),
    .infer = infer_one_hot,
    .expand = expand_one_hot,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "1 at the place of an element in a list, else 0"};
