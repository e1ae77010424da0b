/* Operators that give the same bytes another shape: Flatten, Reshape, Identity. */
#include "ops/common/reshape.h"

#include "graph/infer.h"
#include "ops/common/axes.h"

#include <string.h>

/* Links of in[i0, i1), which together are out axis `to`: alone it is that axis, the first of several is a
 * factor. */
static void link_group(hone_axes *out, const hone_type *x, int i0, int i1, int to) {
    int first = i0;
    int64_t inner = 1;
    while (first < i1 && x->dims[first] == 1) first++;
    if (first == i1) return;
    for (int i = first + 1; i < i1; i++) {
        if (x->dims[i] < 1) return; /* unknown, or runs of nothing */
        inner *= x->dims[i];
    }
    hone_axes_add(out, (hone_axis_link){inner == 1 ? HONE_AXIS_SAME : HONE_AXIS_FACTORED, .axis = first,
                                        .output_axis = to, .inner = inner});
}

#define MOVES .quantize = HONE_QUANTIZE_BITS, .view = hone_view_whole, .gradient_kind = HONE_GRADIENT_EXACT

static void gradient_reshape(hone_gradient *ctx) {
    hone_value *x = ctx->node->inputs[0];
    if (ctx->wanted[0]) ctx->din[0] = hone_emit_reshape(ctx->graph, ctx->dout[0], &x->type, x);
}

/* --- Identity --- */

static void gradient_identity(hone_gradient *ctx) {
    ctx->din[0] = ctx->dout[0];
}

const hone_op hone_op_identity = {.name = "Identity",
                                  .since = 13,
                                  .oldest = 1,
                                  .inputs = HONE_SLOTS({"input", 'V', HONE_TYPES_ALL, 0, HONE_KINDS_ALL}),
                                  .outputs = HONE_SLOTS({"output", 'V', HONE_TYPES_ALL, 0, HONE_KINDS_ALL}),
                                  .infer = hone_infer_same,
                                  .axes = hone_axes_broadcast,
                                  .gradient = gradient_identity,
                                  MOVES,
                                  .doc = "the input as it is"};

/* --- Flatten --- [d0 … dr] → [d0*…*d(axis-1), d(axis)*…*dr] */

/* The product of some dimensions; a symbol lives on if the others are 1. */
static int64_t product(const hone_type *t, int from, int to) {
    int64_t known = 1, unknown = 0;
    int unknowns = 0;
    for (int i = from; i < to; i++) {
        if (t->dims[i] >= 0)
            known *= t->dims[i];
        else {
            unknown = t->dims[i];
            unknowns++;
        }
    }
    if (unknowns == 0 || known == 0) return known;
    return unknowns == 1 && known == 1 ? unknown : HONE_DIM_ANY;
}

static hone_status infer_flatten(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = ctx->out[0].dims[1] = HONE_DIM_ANY;
    if (x->rank < 0) return HONE_OK;
    int axis;
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, true, &axis, err));
    ctx->out[0].dims[0] = product(x, 0, axis);
    ctx->out[0].dims[1] = product(x, axis, x->rank);
    return HONE_OK;
}

static void axes_flatten(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type;
    if (x->rank < 0) return;
    int64_t axis = hone_node_int(n, "axis");
    if (axis < 0) axis += x->rank;
    link_group(out, x, 0, (int)axis, 0);
    link_group(out, x, (int)axis, x->rank, 1);
}

const hone_op hone_op_flatten = {.name = "Flatten",
                                 .since = 13,
                                 .oldest = 1,
                                 .inputs = HONE_SLOTS({"input", 'T', HONE_TYPES_ALL, 0}),
                                 .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
                                 .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = 1}),
                                 .infer = infer_flatten,
                                 .axes = axes_flatten,
                                 .gradient = gradient_reshape,
                                 MOVES,
                                 .doc = "all axes before and from `axis` on as one each"};

/* --- Reshape --- */

/* The dimension that -1 stands for: what is left of the input's after the others. Symbols that both sides
 * have cancel out. */
static hone_status infer_rest(hone_infer *ctx, const hone_type *x, hone_type *y, int rest, hone_error *err) {
    int64_t in = 1, out = 1, left = 0;
    int unmatched = 0;
    bool used[HONE_MAX_RANK] = {false}, any = false;
    for (int i = 0; i < y->rank; i++) {
        if (i == rest) continue;
        if (y->dims[i] >= 0) {
            out *= y->dims[i];
            continue;
        }
        int k = 0;
        while (k < x->rank && (used[k] || x->dims[k] != y->dims[i])) k++;
        if (k < x->rank)
            used[k] = true;
        else
            any = true;
    }
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[i] >= 0)
            in *= x->dims[i];
        else if (!used[i]) {
            left = x->dims[i];
            unmatched++;
        }
    }
    y->dims[rest] = HONE_DIM_ANY;
    if (any || unmatched > 1 || out == 0) {
        if (out == 0 && unmatched == 0 && in != 0)
            return hone_infer_fail(ctx, err, "no dimension fits -1 beside a 0");
        if (out == 0 && unmatched == 0) y->dims[rest] = 0;
        return HONE_OK;
    }
    if (unmatched == 1) {
        if (in == out) y->dims[rest] = left;
        return HONE_OK;
    }
    if (in % out != 0)
        return hone_infer_fail(ctx, err, "%lld elements do not divide by %lld", (long long)in,
                               (long long)out);
    y->dims[rest] = in / out;
    return HONE_OK;
}

static hone_status infer_reshape(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *shape_type = ctx->in[1];
    hone_content shape;
    hone_type *y = &ctx->out[0];
    if (shape_type->rank >= 0 && shape_type->rank != 1)
        return hone_infer_fail(ctx, err, "shape has %d dimensions where 1 is needed", shape_type->rank);
    if (shape_type->rank == 1 && shape_type->dims[0] > HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "shape asks for more than %d dimensions", HONE_MAX_RANK);
    if (shape_type->rank == 1 && shape_type->dims[0] >= 0) {
        y->rank = (int)shape_type->dims[0];
        for (int i = 0; i < y->rank; i++) y->dims[i] = HONE_DIM_ANY;
    }
    if (!hone_infer_items(ctx, 1, &shape) || shape.count != y->rank) return HONE_OK;
    bool allow_zero = hone_node_int(ctx->node, "allowzero") != 0;
    int rest = -1;
    int64_t count = 1;
    for (int i = 0; i < y->rank; i++) {
        if (shape.item[i].kind != HONE_ITEM_NUMBER) { /* a symbol, or nothing */
            y->dims[i] = hone_dim_of_item(shape.item[i]);
            continue;
        }
        int64_t d = shape.item[i].value;
        if (d < -1 || (d == -1 && rest >= 0))
            return hone_infer_fail(ctx, err, "shape has %s", d < -1 ? "a negative dimension" : "two -1");
        if (d == -1) rest = i;
        if (d == 0 && !allow_zero && x->rank >= 0 && i >= x->rank)
            return hone_infer_fail(ctx, err, "shape copies dimension %d of a tensor that has %d", i, x->rank);
        if (d == 0 && !allow_zero) d = x->rank >= 0 ? x->dims[i] : HONE_DIM_ANY;
        y->dims[i] = d;
        if (d > 0 && count > 0 && count > INT64_MAX / d)
            return hone_infer_fail(ctx, err, "shape is too large");
        if (d >= 0) count *= d;
    }
    if (x->rank < 0) return HONE_OK;
    if (rest >= 0 && y->dims[rest] < 0) return infer_rest(ctx, x, y, rest, err);
    if (hone_type_is_concrete(x) && hone_type_is_concrete(y) && hone_type_count(x) != count)
        return hone_infer_fail(ctx, err, "%lld elements can't take a shape of %lld",
                               (long long)hone_type_count(x), (long long)count);
    return HONE_OK;
}

/* Walks both shapes and links the groups of axes that have the same product. */
static void axes_reshape(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    for (int i = 0, j = 0; i < x->rank && j < y->rank;) {
        if (x->dims[i] == y->dims[j] && x->dims[i] != HONE_DIM_ANY) {
            hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .axis = i++, .output_axis = j++});
            continue;
        }
        int i0 = i, j0 = j, wide = 0, last = j;
        int64_t a = 1, b = 1;
        do {
            bool step_in = i < x->rank && (a <= b || j == y->rank);
            if (!step_in && j == y->rank) return;
            int64_t d = step_in ? x->dims[i++] : y->dims[j++];
            if (d <= 0) return; /* an unknown: nothing beyond it can be told */
            if (step_in)
                a *= d;
            else {
                b *= d;
                if (d > 1) last = j - 1;
                wide += d > 1;
            }
        } while (a != b || a == 1);
        if (wide == 1 && j > j0) link_group(out, x, i0, i, last);
    }
}

static const hone_attr_def reshape_5[] = {{NULL}};
static const hone_attr_def reshape_1[] = {
    {"shape", HONE_ATTR_INTS, .required = true}, {"consumed_inputs", HONE_ATTR_INTS}, {NULL}};

static hone_status lift_reshape_1(hone_graph *g, hone_node *n, hone_error *err) {
    size_t count;
    const int64_t *shape = hone_node_ints(n, "shape", &count);
    g->insert_before = n;
    hone_value *y = HONE_EMIT(g, "", "Reshape", n->inputs[0], hone_graph_ints(g, shape, (int64_t)count));
    g->insert_before = NULL;
    hone_lift_replace(g, n, y);
    return hone_graph_check(g, err);
}

static const hone_op_version older_reshape[] = {{5, reshape_5, NULL}, {1, reshape_1, lift_reshape_1}, {0}};

const hone_op hone_op_reshape = {.name = "Reshape",
                                 .since = 14,
                                 .oldest = 1,
                                 .older = older_reshape,
                                 .inputs = HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, 0},
                                                      {"shape", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE}),
                                 .outputs = HONE_SLOTS({"reshaped", 'T', HONE_TYPES_ALL, 0}),
                                 .attrs = HONE_ATTRS({"allowzero", HONE_ATTR_INT}),
                                 .infer = infer_reshape,
                                 .axes = axes_reshape,
                                 .gradient = gradient_reshape,
                                 MOVES,
                                 .doc = "another shape with the same elements"};
