/* Reductions over axes that a kernel makes: sums, means, products, extremes. reduce_functions.c has those that are
 * functions of these. */
#include "ops/math/reduce.h"

#include "graph/infer.h"
#include "graph/run.h"
#include "ops/common/axes.h"
#include "ops/common/channels_last.h"
#include "ops/common/gradient.h"
#include "ops/common/reshape.h"
#include "ops/engine/reduce.h"

#include <string.h>

/* --- axes --- */

/* Which axes of a tensor of that rank are reduced; false if they are not known (and *mask is all false). */
static bool axes_mask(const hone_node *n, int rank, const hone_tensor *axes, bool *mask, bool *bad) {
    bool noop = hone_node_int(n, "noop_with_empty_axes") != 0;
    bool given = n->input_count > 1 && n->inputs[1];
    memset(mask, 0, (size_t)HONE_MAX_RANK);
    *bad = false;
    if (given && !axes) return false;
    int64_t count = given ? axes->count : 0;
    for (int i = 0; i < rank && count == 0; i++) mask[i] = !noop;
    for (int64_t i = 0; i < count; i++) {
        int64_t a = hone_tensor_int(axes, i);
        if (a < -rank || a >= rank) {
            *bad = true;
            return false;
        }
        mask[a < 0 ? a + rank : a] = true;
    }
    return true;
}

hone_status hone_reduce_infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    bool keep = hone_node_int(ctx->node, "keepdims") != 0, mask[HONE_MAX_RANK], bad;
    if (x->rank < 0) return HONE_OK;
    bool known = axes_mask(ctx->node, x->rank, ctx->input_count > 1 ? ctx->constant[1] : NULL, mask, &bad);
    if (bad) return hone_infer_fail(ctx, err, "an axis is outside of a tensor of rank %d", x->rank);
    if (!known) { /* shapes come with the content of `axes` */
        y->rank = keep ? x->rank : HONE_RANK_ANY;
        for (int i = 0; i < x->rank; i++) y->dims[i] = HONE_DIM_ANY;
        return HONE_OK;
    }
    y->rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (!mask[i] || keep) y->dims[y->rank++] = mask[i] ? 1 : x->dims[i];
    return HONE_OK;
}

static const hone_tensor *constant_axes(const hone_node *n) {
    const hone_value *v = n->input_count > 1 ? n->inputs[1] : NULL;
    return v && v->storage == HONE_STORAGE_CONSTANT ? v->data : NULL;
}

void hone_reduce_axes(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type;
    bool keep = hone_node_int(n, "keepdims") != 0, mask[HONE_MAX_RANK], bad;
    if (x->rank < 0 || !axes_mask(n, x->rank, constant_axes(n), mask, &bad)) return;
    for (int i = 0, to = 0; i < x->rank; i++) {
        if (mask[i])
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_CONTRACTED, .axis = i, .output = -1, .input2 = -1});
        else
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .axis = i, .output_axis = to});
        to += !mask[i] || keep;
    }
}

hone_value *hone_reduce_channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    const int rank = n->inputs[0]->type.rank;
    bool mask[HONE_MAX_RANK], bad;
    if (!axes_mask(n, rank, constant_axes(n), mask, &bad)) return NULL;
    if (!hone_node_int(n, "keepdims")) {
        for (int i = 2; i < rank; i++)
            if (!mask[1] && !mask[i]) return NULL;
        ctx->first = true;
    }
    if (n->input_count < 2 || !n->inputs[1] || constant_axes(n)->count == 0) return NULL;
    return hone_last_by_axes(ctx, 1, rank);
}

/* Older forms have the axes as an attribute. */
hone_status hone_reduce_lift(hone_graph *g, hone_node *n, hone_error *err) {
    size_t count;
    const int64_t *axes = hone_node_ints(n, "axes", &count);
    g->insert_before = n;
    hone_value *inputs[] = {n->inputs[0], count ? hone_graph_ints(g, axes, (int64_t)count) : NULL};
    hone_node *newest = hone_graph_add_node(g, n->op, n->name, 2, inputs, 1);
    if (newest) hone_node_set_int(g, newest, "keepdims", hone_node_int(n, "keepdims"));
    g->insert_before = NULL;
    if (newest) hone_lift_replace(g, n, newest->outputs[0]);
    return hone_graph_check(g, err);
}

const hone_attr_def hone_reduce_attrs_1[] = {
    {"axes", HONE_ATTR_INTS}, {"keepdims", HONE_ATTR_INT, .i = 1}, {NULL}};
const hone_op_version hone_reduce_older[] = {{1, hone_reduce_attrs_1, hone_reduce_lift}, {0}};

/* --- running --- */

static hone_status prepare(hone_prepare *p, hone_fold fold, bool mean, hone_error *err) {
    bool mask[HONE_MAX_RANK], bad;
    if (!axes_mask(p->node, p->in[0]->rank, p->in_count > 1 ? p->constant[1] : NULL, mask, &bad))
        return hone_prepare_fail(p, err, "axes are not known");
    return hone_reduce_prepare(p, p->in[0], mask, fold, mean, err);
}

static hone_status prepare_sum(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_FOLD_SUM, false, err);
}
static hone_status prepare_mean(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_FOLD_SUM, true, err);
}
static hone_status prepare_product(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_FOLD_PRODUCT, false, err);
}
static hone_status prepare_max(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_FOLD_MAX, false, err);
}
static hone_status prepare_min(hone_prepare *p, hone_error *err) {
    return prepare(p, HONE_FOLD_MIN, false, err);
}

/* --- gradients --- */

hone_value *hone_reduce_spread(hone_gradient *ctx, hone_value *v) {
    const hone_node *n = ctx->node;
    int rank = n->inputs[0]->type.rank;
    bool mask[HONE_MAX_RANK], bad;
    if (hone_node_int(n, "keepdims")) return v;
    bool given = n->input_count > 1 && n->inputs[1];
    if (rank < 0 && !given) return v; /* a scalar, or all of the input */
    if (rank < 0 || !axes_mask(n, rank, constant_axes(n), mask, &bad))
        return hone_gradient_emit(ctx, "Unsqueeze", v, n->inputs[1]);
    for (int i = 0; i < rank; i++) {
        if (!mask[i]) continue;
        v = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "InsertAxis", v);
        if (v) hone_node_set_int(ctx->graph, v->producer, "axis", i);
    }
    return v;
}

/* dX = dY along all of X (divided by the number of terms). */
static void gradient_of_sum(hone_gradient *ctx, bool mean) {
    hone_value *x = ctx->node->inputs[0];
    ctx->din[0] =
        HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "BroadcastTo", hone_reduce_spread(ctx, ctx->dout[0]), x);
    if (mean && ctx->din[0]) hone_node_set_int(ctx->graph, ctx->din[0]->producer, "mean", 1);
}

static void gradient_sum(hone_gradient *ctx) {
    gradient_of_sum(ctx, false);
}
static void gradient_mean(hone_gradient *ctx) {
    gradient_of_sum(ctx, true);
}

static hone_value *sum_like(hone_gradient *ctx, hone_value *v, hone_value *like) {
    return HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "SumTo", v, like);
}

static void gradient_extreme(hone_gradient *ctx) {
    hone_value *y = hone_reduce_spread(ctx, ctx->node->outputs[0]),
               *dy = hone_reduce_spread(ctx, ctx->dout[0]);
    ctx->din[0] = hone_gradient_to_extremes(ctx, y, dy);
}

static hone_value *where(hone_gradient *ctx, hone_value *condition, hone_value *a, hone_value *b) {
    return HONE_EMIT(ctx->graph, "", "Where", condition, a, b);
}

/* dX = dY times the product of all others. With R, the product of what is not 0, and z, how many zeros there are:
 *   x != 0:  z = 0 ? R / x : 0        x = 0:  z = 1 ? R : 0 */
static void gradient_product(hone_gradient *ctx) {
    hone_value *x = ctx->node->inputs[0], *dy = hone_reduce_spread(ctx, ctx->dout[0]);
    hone_value *zero = hone_gradient_scalar(ctx, 0), *one = hone_gradient_scalar(ctx, 1);
    hone_value *is_zero = hone_gradient_emit(ctx, "Equal", x, zero);
    hone_value *z = sum_like(ctx, hone_gradient_number(ctx, is_zero), dy),
               *rest = where(ctx, is_zero, one, x);
    hone_value *in[] = {rest, ctx->node->input_count > 1 ? ctx->node->inputs[1] : NULL};
    hone_value *product = hone_graph_emit(ctx->graph, "", "ReduceProd", in, 2);
    if (!product) return;
    hone_node_copy_attrs(ctx->graph, product->producer, ctx->node);
    product = hone_gradient_emit(ctx, "Mul", dy, hone_reduce_spread(ctx, product));
    hone_value *of_rest = where(ctx, hone_gradient_emit(ctx, "Equal", z, zero), product, zero);
    hone_value *of_zero = where(ctx, hone_gradient_emit(ctx, "Equal", z, one), product, zero);
    ctx->din[0] = where(ctx, is_zero, of_zero, hone_gradient_emit(ctx, "Div", of_rest, rest));
}

/* --- descriptors --- */

#define EXACT(rule) .gradient_kind = HONE_GRADIENT_EXACT, .gradient = rule

const hone_op hone_op_reduce_sum = {.name = "ReduceSum",
                                    .scaling = HONE_SCALING_INPUTS,
                                    .since = 13,
                                    .older = hone_reduce_older,
                                    HONE_REDUCE(HONE_REDUCE_NUMBERS),
                                    .prepare = prepare_sum,
                                    EXACT(gradient_sum),
                                    .doc = "the sum over axes"};

const hone_op hone_op_reduce_mean = {.name = "ReduceMean",
                                     .scaling = HONE_SCALING_INPUTS,
                                     .since = 18,
                                     .older = hone_reduce_older,
                                     HONE_REDUCE(HONE_REDUCE_NUMBERS),
                                     .prepare = prepare_mean,
                                     EXACT(gradient_mean),
                                     .doc = "the mean over axes"};

const hone_op hone_op_reduce_prod = {.name = "ReduceProd",
                                     .since = 18,
                                     .older = hone_reduce_older,
                                     HONE_REDUCE(HONE_REDUCE_NUMBERS),
                                     .prepare = prepare_product,
                                     EXACT(gradient_product),
                                     .doc = "the product over axes"};

/* Opset 20 has bool. */
static const hone_op_version older_extreme[] = {
    {18, NULL, NULL}, {1, hone_reduce_attrs_1, hone_reduce_lift}, {0}};
#define EXTREME                                                                                              \
    .since = 20, .older = older_extreme, .late_types = HONE_TYPE(HONE_BOOL),                                 \
    HONE_REDUCE(HONE_REDUCE_NUMBERS | HONE_TYPES_BYTE | HONE_TYPE(HONE_BOOL)), EXACT(gradient_extreme)

const hone_op hone_op_reduce_max = {.name = "ReduceMax",
                                    EXTREME,
                                    .scaling = HONE_SCALING_INPUTS,
                                    .prepare = prepare_max,
                                    .doc = "the largest over axes; NaN if one is"};

const hone_op hone_op_reduce_min = {.name = "ReduceMin",
                                    EXTREME,
                                    .scaling = HONE_SCALING_INPUTS,
                                    .prepare = prepare_min,
                                    .doc = "the smallest over axes; NaN if one is"};
