/* TreeEnsemble, TreeEnsembleRegressor, TreeEnsembleClassifier: functions of TreeScores. */
#include "graph/infer.h"
#include "graph/tensor.h"
#include "ops/common/dictionary.h"
#include "ops/ml/ml.h"
#include "ops/ml/trees.h"

#include <math.h>
#include <string.h>

#define NUMBERS HONE_ML_NUMBERS

static hone_status refuse(const hone_node *n, hone_error *err, const char *what) {
    return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n), "%s", what);
}

/* --- lists of numbers: floats, or a tensor of doubles --- */

typedef struct numbers {
    const float *floats;
    const hone_tensor *tensor;
    size_t count;
} numbers;

static numbers numbers_of(const hone_node *n, const char *floats, const char *tensor) {
    const hone_attr *a = floats ? hone_node_attr(n, floats) : NULL;
    const hone_tensor *t = hone_node_tensor(n, tensor);
    if (t) return (numbers){.tensor = t, .count = (size_t)t->count};
    return (numbers){.floats = a ? a->floats : NULL, .count = a ? a->count : 0};
}

static double number_at(const numbers *x, size_t i) {
    return x->tensor ? hone_tensor_number(x->tensor, (int64_t)i) : (double)x->floats[i];
}

static void *room(hone_graph *g, size_t count, size_t size) {
    void *p = hone_arena_array(g->arena, count + 1, size);
    if (p) memset(p, 0, (count + 1) * size);
    return p;
}

/* --- nodes that know their tree and their number in it --- */

typedef struct ids {
    const int64_t *tree, *node;
    size_t count;
} ids;

static bool ids_of(const hone_node *n, const char *tree, const char *node, ids *out) {
    size_t other;
    out->tree = hone_node_ints(n, tree, &out->count);
    out->node = hone_node_ints(n, node, &other);
    return out->count == other;
}

static int64_t key_of(int64_t tree, int64_t node) {
    return (int64_t)((uint64_t)tree << 32 ^ ((uint64_t)node & 0xFFFFFFFFu));
}

static bool is_small(const ids *x) {
    for (size_t i = 0; i < x->count; i++)
        if (x->tree[i] < 0 || x->tree[i] > INT32_MAX || x->node[i] < 0 || x->node[i] > INT32_MAX)
            return false;
    return true;
}

static bool make_index(hone_graph *g, const ids *x, hone_dictionary *out) {
    int64_t *keys = room(g, x->count, sizeof *keys);
    if (!keys) return false;
    for (size_t i = 0; i < x->count; i++) keys[i] = key_of(x->tree[i], x->node[i]);
    hone_tensor t = {.dtype = HONE_INT64,
                     .rank = 1,
                     .dims = {(int64_t)x->count},
                     .count = (int64_t)x->count,
                     .data = keys};
    return hone_dictionary_make(g->arena, &t, false, out);
}

static int32_t index_of(const hone_dictionary *d, int64_t tree, int64_t node) {
    if (node < 0 || node > INT32_MAX) return -1;
    int64_t key = key_of(tree, node);
    hone_tensor t = {.dtype = HONE_INT64, .rank = 1, .dims = {1}, .count = 1, .data = &key};
    return (int32_t)hone_dictionary_find(d, &t, 0);
}

static int mode_of(const hone_string *s) {
    static const char *const modes[] = {
        [HONE_TREE_LEQ] = "BRANCH_LEQ", [HONE_TREE_LT] = "BRANCH_LT", [HONE_TREE_GTE] = "BRANCH_GTE",
        [HONE_TREE_GT] = "BRANCH_GT",   [HONE_TREE_EQ] = "BRANCH_EQ", [HONE_TREE_NEQ] = "BRANCH_NEQ",
        [HONE_TREE_LEAF] = "LEAF"};
    for (int i = 0; i <= HONE_TREE_LEAF; i++)
        if (modes[i] && s->size == strlen(modes[i]) && memcmp(s->data, modes[i], s->size) == 0) return i;
    return -1;
}

static hone_status add_nodes(hone_graph *g, hone_tree_builder *b, const ids *at, const hone_dictionary *index,
                             hone_error *err) {
    const hone_node *n = b->node;
    size_t features, yes, no, missing;
    const int64_t *feature = hone_node_ints(n, "nodes_featureids", &features),
                  *t = hone_node_ints(n, "nodes_truenodeids", &yes),
                  *f = hone_node_ints(n, "nodes_falsenodeids", &no),
                  *nan = hone_node_ints(n, "nodes_missing_value_tracks_true", &missing);
    const hone_attr *modes = hone_node_attr(n, "nodes_modes");
    numbers values = numbers_of(n, "nodes_values", "nodes_values_as_tensor");
    if (!modes || modes->count != at->count || features != at->count || yes != at->count || no != at->count ||
        values.count != at->count || (missing && missing != at->count) || at->count > INT32_MAX / 2)
        return refuse(n, err, "lists of nodes differ in length");
    b->nodes = room(g, at->count, sizeof *b->nodes);
    if (!b->nodes) return hone_fail_memory(err);
    b->node_count = (int64_t)at->count;
    for (size_t i = 0; i < at->count; i++) {
        int mode = mode_of(&modes->strings[i]);
        if (mode < 0) return refuse(n, err, "a mode of a node is not known");
        bool leaf = mode == HONE_TREE_LEAF;
        b->nodes[i] =
            (hone_tree_node){.value = number_at(&values, i),
                             .mode = (uint8_t)mode,
                             .missing = missing && nan[i],
                             .feature = leaf                                           ? 0
                                        : feature[i] < 0 || feature[i] > INT32_MAX - 1 ? -1
                                                                                       : (int32_t)feature[i],
                             .yes = leaf ? 0 : index_of(index, at->tree[i], t[i]),
                             .no = leaf ? 0 : index_of(index, at->tree[i], f[i])};
    }
    return HONE_OK;
}

/* The first node of each tree. */
static hone_status add_roots(hone_graph *g, hone_tree_builder *b, const ids *at, hone_error *err) {
    hone_dictionary trees;
    hone_tensor t = {.dtype = HONE_INT64,
                     .rank = 1,
                     .dims = {(int64_t)at->count},
                     .count = (int64_t)at->count,
                     .data = (void *)at->tree};
    b->roots = room(g, at->count, sizeof *b->roots);
    if (!b->roots || !hone_dictionary_make(g->arena, &t, false, &trees)) return hone_fail_memory(err);
    for (size_t i = 0; i < at->count; i++)
        if (hone_dictionary_find(&trees, &t, (int64_t)i) == (int64_t)i)
            b->roots[b->root_count++] = (int64_t)i;
    return HONE_OK;
}

/* Votes lie leaf by leaf. */
static hone_status add_votes(hone_graph *g, hone_tree_builder *b, const ids *at, const hone_dictionary *index,
                             const int64_t *targets, const numbers *weights, hone_error *err) {
    int32_t *leaf = room(g, at->count, sizeof *leaf);
    b->votes = room(g, at->count, sizeof *b->votes);
    if (!leaf || !b->votes) return hone_fail_memory(err);
    b->vote_count = (int64_t)at->count;
    for (size_t i = 0; i < at->count; i++) {
        leaf[i] = index_of(index, at->tree[i], at->node[i]);
        if (leaf[i] < 0) return refuse(b->node, err, "there are votes of a node that is none");
        if (b->nodes[leaf[i]].mode == HONE_TREE_LEAF) b->nodes[leaf[i]].yes++;
    }
    int32_t next = 0;
    for (int64_t k = 0; k < b->node_count; k++) {
        if (b->nodes[k].mode != HONE_TREE_LEAF) continue;
        b->nodes[k].feature = next;
        next += b->nodes[k].yes;
        b->nodes[k].yes = 0;
    }
    b->vote_count = next;
    for (size_t i = 0; i < at->count; i++) {
        hone_tree_node *node = &b->nodes[leaf[i]];
        if (node->mode == HONE_TREE_LEAF)
            b->votes[node->feature + node->yes++] = (hone_tree_vote){number_at(weights, i), targets[i]};
    }
    return HONE_OK;
}

/* What is computed in: integers are float64. */
static hone_dtype dtype_of(const hone_value *x) {
    return x->type.dtype == HONE_FLOAT32 || x->type.dtype == HONE_FLOAT16 ? HONE_FLOAT32 : HONE_FLOAT64;
}

/* `prefix`: "class" or "target", whose lists the votes are. */
static hone_status build(hone_graph *g, const hone_node *n, bool classes, int64_t targets,
                         hone_tree_builder *b, hone_error *err) {
    ids nodes, votes;
    hone_dictionary index;
    size_t count;
    *b = (hone_tree_builder){
        .node = n, .dtype = dtype_of(n->inputs[0]), .targets = targets, .sum = HONE_TREE_SUM};
    bool fits = ids_of(n, "nodes_treeids", "nodes_nodeids", &nodes) &&
                ids_of(n, classes ? "class_treeids" : "target_treeids",
                       classes ? "class_nodeids" : "target_nodeids", &votes);
    const int64_t *to = hone_node_ints(n, classes ? "class_ids" : "target_ids", &count);
    numbers weights = classes ? numbers_of(n, "class_weights", "class_weights_as_tensor")
                              : numbers_of(n, "target_weights", "target_weights_as_tensor");
    if (!fits || count != votes.count || weights.count != votes.count || !is_small(&nodes) ||
        !is_small(&votes))
        return refuse(n, err, "lists of nodes or votes differ in length, or ids are out of range");
    if (!make_index(g, &nodes, &index)) return hone_fail_memory(err);
    HONE_TRY(add_nodes(g, b, &nodes, &index, err));
    HONE_TRY(add_roots(g, b, &nodes, err));
    return add_votes(g, b, &votes, &index, to, &weights, err);
}

/* A constant row of base values; NULL: there are none. */
static hone_value *base_of(hone_graph *g, const hone_node *n, int64_t columns) {
    numbers base = numbers_of(n, "base_values", "base_values_as_tensor");
    double *row = room(g, (size_t)columns, sizeof *row);
    if (!row || !base.count) return NULL;
    for (int64_t i = 0; i < columns; i++)
        row[i] = number_at(&base, base.count == (size_t)columns ? (size_t)i : base.count - 1);
    hone_value *v = hone_ml_constant(g, HONE_FLOAT64, 1, &columns, row);
    return hone_ml_cast(g, v, dtype_of(n->inputs[0]));
}

static hone_value *with_base(hone_graph *g, const hone_node *n, hone_value *scores, int64_t columns) {
    hone_value *base = base_of(g, n, columns);
    return base ? HONE_EMIT(g, "", "Add", scores, base) : scores;
}

static hone_status infer_rows(hone_infer *ctx, int64_t columns, hone_error *err) {
    const hone_type *x = ctx->in[0];
    if (columns < 1) return hone_infer_fail(ctx, err, "%lld targets", (long long)columns);
    if (x->rank == 0 || x->rank > 2) return hone_infer_fail(ctx, err, "X must be a row or a list of rows");
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = x->rank == 2 ? x->dims[0] : x->rank == 1 ? 1 : HONE_DIM_ANY;
    ctx->out[0].dims[1] = columns;
    return HONE_OK;
}

/* --- TreeEnsembleRegressor --- */

static bool sum_of(const char *name, hone_tree_sum *out) {
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (hone_tree_sum)i;
            return true;
        }
    return false;
}

static hone_status infer_regressor(hone_infer *ctx, hone_error *err) {
    hone_tree_sum sum;
    if (!sum_of(hone_node_string(ctx->node, "aggregate_function"), &sum) ||
        !hone_ml_transform_known(ctx->node))
        return hone_infer_fail(ctx, err, "aggregate_function or post_transform is not known");
    return infer_rows(ctx, hone_node_int(ctx->node, "n_targets"), err);
}

static hone_status expand_regressor(hone_graph *g, hone_node *n, hone_error *err) {
    hone_tree_builder b;
    hone_value *y;
    int64_t targets = hone_node_int(n, "n_targets");
    HONE_TRY(build(g, n, false, targets, &b, err));
    sum_of(hone_node_string(n, "aggregate_function"), &b.sum);
    HONE_TRY(hone_trees_emit(&b, g, &y, err));
    y = hone_ml_transform(g, with_base(g, n, y, targets), hone_node_string(n, "post_transform"));
    hone_graph_replace(g, n->outputs[0], hone_ml_cast(g, y, HONE_FLOAT32));
    return HONE_OK;
}

#define NODES                                                                                                \
    {"base_values", HONE_ATTR_FLOATS}, {"base_values_as_tensor", HONE_ATTR_TENSOR},                          \
        {"nodes_falsenodeids", HONE_ATTR_INTS}, {"nodes_featureids", HONE_ATTR_INTS},                        \
        {"nodes_hitrates", HONE_ATTR_FLOATS}, {"nodes_hitrates_as_tensor", HONE_ATTR_TENSOR},                \
        {"nodes_missing_value_tracks_true", HONE_ATTR_INTS}, {"nodes_modes", HONE_ATTR_STRINGS},             \
        {"nodes_nodeids", HONE_ATTR_INTS}, {"nodes_treeids", HONE_ATTR_INTS},                                \
        {"nodes_truenodeids", HONE_ATTR_INTS}, {"nodes_values", HONE_ATTR_FLOATS},                           \
        {"nodes_values_as_tensor", HONE_ATTR_TENSOR}, {                                                      \
        "post_transform", HONE_ATTR_STRING, .s = "NONE"                                                      \
    }

const hone_op hone_op_tree_ensemble_regressor = {
    .domain = HONE_ML,
    .name = "TreeEnsembleRegressor",
    .since = 5,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, NUMBERS, 0}),
    .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_FLOAT32), 0}),
    .attrs = HONE_ATTRS(NODES, {"aggregate_function", HONE_ATTR_STRING, .s = "SUM"},
                        {"n_targets", HONE_ATTR_INT, .i = 1}, {"target_ids", HONE_ATTR_INTS},
                        {"target_nodeids", HONE_ATTR_INTS}, {"target_treeids", HONE_ATTR_INTS},
                        {"target_weights", HONE_ATTR_FLOATS}, {"target_weights_as_tensor", HONE_ATTR_TENSOR}),
    .infer = infer_regressor,
    .expand = expand_regressor,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "numbers that an ensemble of trees gives to rows"};

/* --- TreeEnsembleClassifier --- */

#define TEXTS "classlabels_strings"
#define INTEGERS "classlabels_int64s"

static int64_t label_count(const hone_node *n) {
    return (int64_t)(hone_ml_count(n, TEXTS) + hone_ml_count(n, INTEGERS));
}

static hone_status infer_classifier(hone_infer *ctx, hone_error *err) {
    int64_t labels = label_count(ctx->node);
    if (labels < 1) return hone_infer_fail(ctx, err, "has no labels");
    return hone_ml_infer_classes(ctx, TEXTS, INTEGERS, labels, err);
}

/* Do all votes go to one class? */
static bool is_binary(const hone_node *n) {
    size_t count;
    const int64_t *to = hone_node_ints(n, "class_ids", &count);
    for (size_t i = 1; i < count; i++)
        if (to[i] != to[0]) return false;
    return label_count(n) == 2 && count > 0;
}

/* Votes for one of two classes: a score s that is a probability if no vote is negative, else one that is compared with 0. */
static hone_value *both_classes(hone_graph *g, const hone_node *n, const hone_tree_builder *b, hone_value *s,
                                const char *transform) {
    bool plain = strcmp(transform, "NONE") == 0, probability = strcmp(transform, "PROBIT") == 0;
    if (plain) {
        probability = true;
        for (int64_t i = 0; i < b->vote_count; i++) probability &= b->votes[i].weight >= 0;
    }
    hone_value *one = hone_graph_scalar(g, dtype_of(n->inputs[0]), 1);
    hone_value *other = probability ? HONE_EMIT(g, "", "Sub", one, s) : HONE_EMIT(g, "", "Neg", s);
    hone_value *both = HONE_EMIT(g, "", "Concat", other, s);
    if (both) hone_node_set_int(g, both->producer, "axis", 1);
    return both;
}

static hone_status expand_classifier(hone_graph *g, hone_node *n, hone_error *err) {
    hone_tree_builder b;
    hone_value *y, *index;
    const char *transform = hone_node_string(n, "post_transform");
    int64_t labels = label_count(n);
    bool binary = is_binary(n);
    HONE_TRY(build(g, n, true, labels, &b, err));
    for (int64_t i = 0; binary && i < b.vote_count; i++) {
        if (b.votes[i].target < 0 || b.votes[i].target >= labels)
            return refuse(n, err, "a vote for no class");
        b.votes[i].target = 0;
    }
    if (binary) b.targets = 1;
    HONE_TRY(hone_trees_emit(&b, g, &y, err));
    y = with_base(g, n, y, b.targets);
    if (binary) y = both_classes(g, n, &b, y, transform);
    y = hone_ml_transform(g, y, transform);
    if (labels == 1) { /* is its score above 0? */
        hone_value *flat = HONE_EMIT(g, "", "Reshape", y, hone_graph_ints(g, (int64_t[]){-1}, 1));
        index = hone_ml_cast(
            g, HONE_EMIT(g, "", "Greater", flat, hone_graph_scalar(g, dtype_of(n->inputs[0]), 0)),
            HONE_INT64);
    } else {
        index = HONE_EMIT(g, "", "ArgMax", y);
        if (index) hone_node_set_int(g, index->producer, "axis", 1);
        if (index) hone_node_set_int(g, index->producer, "keepdims", 0);
    }
    hone_ml_give_classes(g, n, TEXTS, INTEGERS, index, y);
    return HONE_OK;
}

const hone_op hone_op_tree_ensemble_classifier = {
    .domain = HONE_ML,
    .name = "TreeEnsembleClassifier",
    .since = 5,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, NUMBERS, 0}),
    .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_STRING) | HONE_TYPE(HONE_INT64), 0},
                          {"Z", 0, HONE_TYPE(HONE_FLOAT32), HONE_SLOT_OPTIONAL}),
    .attrs = HONE_ATTRS(NODES, {"class_ids", HONE_ATTR_INTS}, {"class_nodeids", HONE_ATTR_INTS},
                        {"class_treeids", HONE_ATTR_INTS}, {"class_weights", HONE_ATTR_FLOATS},
                        {"class_weights_as_tensor", HONE_ATTR_TENSOR}, {INTEGERS, HONE_ATTR_INTS},
                        {TEXTS, HONE_ATTR_STRINGS}),
    .infer = infer_classifier,
    .expand = expand_classifier,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "the class that an ensemble of trees gives to rows, and the scores"};

/* --- TreeEnsemble --- inner nodes and leaves apart */

static const char *const transforms[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};

static hone_status infer_ensemble(hone_infer *ctx, hone_error *err) {
    int64_t sum = hone_node_int(ctx->node, "aggregate_function"),
            t = hone_node_int(ctx->node, "post_transform");
    if (sum < 0 || sum > HONE_TREE_MAX || t < 0 || t > 4)
        return hone_infer_fail(ctx, err, "aggregate_function or post_transform is not known");
    return infer_rows(ctx, hone_node_int(ctx->node, "n_targets"), err);
}

/* The sets of values of MEMBER nodes, apart by NaNs. */
static hone_status add_members(hone_graph *g, hone_tree_builder *b, int64_t inner, hone_error *err) {
    numbers values = numbers_of(b->node, NULL, "membership_values");
    size_t at = 0;
    b->members = room(g, values.count, sizeof *b->members);
    if (!b->members) return hone_fail_memory(err);
    b->member_count = (int64_t)values.count;
    for (size_t i = 0; i < values.count; i++) b->members[i] = number_at(&values, i);
    for (int64_t i = 0; i < inner; i++) {
        hone_tree_node *node = &b->nodes[i];
        if (node->mode != HONE_TREE_MEMBER) continue;
        if (at > values.count) return refuse(b->node, err, "a node has no set of members");
        node->member = (int32_t)at;
        while (at < values.count && !isnan(b->members[at])) at++;
        node->members = (int32_t)at - node->member;
        at++;
    }
    return HONE_OK;
}

static hone_status build_ensemble(hone_graph *g, const hone_node *n, hone_tree_builder *b, hone_error *err) {
    size_t features, yes, no, yes_leaf, no_leaf, targets, missing, roots;
    const int64_t *feature = hone_node_ints(n, "nodes_featureids", &features),
                  *t = hone_node_ints(n, "nodes_truenodeids", &yes),
                  *f = hone_node_ints(n, "nodes_falsenodeids", &no),
                  *tl = hone_node_ints(n, "nodes_trueleafs", &yes_leaf),
                  *fl = hone_node_ints(n, "nodes_falseleafs", &no_leaf),
                  *target = hone_node_ints(n, "leaf_targetids", &targets),
                  *nan = hone_node_ints(n, "nodes_missing_value_tracks_true", &missing),
                  *root = hone_node_ints(n, "tree_roots", &roots);
    numbers splits = numbers_of(n, NULL, "nodes_splits"), modes = numbers_of(n, NULL, "nodes_modes"),
            weights = numbers_of(n, NULL, "leaf_weights");
    if (yes != features || no != features || yes_leaf != features || no_leaf != features ||
        splits.count != features || modes.count != features || (missing && missing != features) ||
        weights.count != targets || features > INT32_MAX / 4 || targets > INT32_MAX / 4)
        return refuse(n, err, "lists of nodes or leaves differ in length");
    int64_t inner = (int64_t)features, leaves = (int64_t)targets;
    *b = (hone_tree_builder){.node = n,
                             .dtype = dtype_of(n->inputs[0]),
                             .nodes = room(g, features + targets, sizeof *b->nodes),
                             .votes = room(g, targets, sizeof *b->votes),
                             .roots = room(g, roots, sizeof *b->roots),
                             .node_count = inner + leaves,
                             .vote_count = leaves,
                             .root_count = (int64_t)roots,
                             .targets = hone_node_int(n, "n_targets"),
                             .sum = (hone_tree_sum)hone_node_int(n, "aggregate_function")};
    if (!b->nodes || !b->votes || !b->roots) return hone_fail_memory(err);
    if (roots) memcpy(b->roots, root, roots * sizeof *root);
    for (int64_t i = 0; i < leaves; i++) {
        b->nodes[inner + i] = (hone_tree_node){.mode = HONE_TREE_LEAF, .feature = (int32_t)i, .yes = 1};
        b->votes[i] = (hone_tree_vote){number_at(&weights, (size_t)i), target[i]};
    }
    for (int64_t i = 0; i < inner; i++) {
        double mode = number_at(&modes, (size_t)i);
        bool inside = t[i] >= 0 && t[i] < (tl[i] ? leaves : inner) && f[i] >= 0 &&
                      f[i] < (fl[i] ? leaves : inner) && feature[i] >= 0 && feature[i] < INT32_MAX;
        if (!inside || !(mode >= 0 && mode <= HONE_TREE_MEMBER))
            return refuse(n, err, "a node has no such child, feature or mode");
        b->nodes[i] = (hone_tree_node){.value = number_at(&splits, (size_t)i),
                                       .feature = (int32_t)feature[i],
                                       .yes = (int32_t)(t[i] + (tl[i] ? inner : 0)),
                                       .no = (int32_t)(f[i] + (fl[i] ? inner : 0)),
                                       .mode = (uint8_t)mode,
                                       .missing = missing && nan[i]};
    }
    return add_members(g, b, inner, err);
}

static hone_status expand_ensemble(hone_graph *g, hone_node *n, hone_error *err) {
    hone_tree_builder b;
    hone_value *y;
    HONE_TRY(build_ensemble(g, n, &b, err));
    HONE_TRY(hone_trees_emit(&b, g, &y, err));
    y = hone_ml_transform(g, y, transforms[hone_node_int(n, "post_transform")]);
    hone_graph_replace(g, n->outputs[0], hone_ml_cast(g, y, n->outputs[0]->type.dtype));
    return HONE_OK;
}

#define REALS (HONE_TYPES_FLOAT | HONE_TYPE(HONE_FLOAT16))
#define INTS(name)                                                                                           \
    { name, HONE_ATTR_INTS, .required = true }
#define TENSOR(name)                                                                                         \
    { name, HONE_ATTR_TENSOR, .required = true }

const hone_op hone_op_tree_ensemble = {
    .domain = HONE_ML,
    .name = "TreeEnsemble",
    .since = 5,
    .oldest = 5,
    .inputs = HONE_SLOTS({"X", 'T', REALS, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', REALS, 0}),
    .attrs = HONE_ATTRS(
        {"aggregate_function", HONE_ATTR_INT, .i = 1}, INTS("leaf_targetids"), TENSOR("leaf_weights"),
        {"membership_values", HONE_ATTR_TENSOR}, {"n_targets", HONE_ATTR_INT, .i = 1},
        INTS("nodes_falseleafs"), INTS("nodes_falsenodeids"), INTS("nodes_featureids"),
        {"nodes_hitrates", HONE_ATTR_TENSOR}, {"nodes_missing_value_tracks_true", HONE_ATTR_INTS},
        TENSOR("nodes_modes"), TENSOR("nodes_splits"), INTS("nodes_trueleafs"), INTS("nodes_truenodeids"),
        {"post_transform", HONE_ATTR_INT}, INTS("tree_roots")),
    .infer = infer_ensemble,
    .expand = expand_ensemble,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "numbers that an ensemble of trees gives to rows"};
