/* Clip: numbers held between two limits. */
#include "graph/infer.h"
#include "graph/pattern.h"
#include "ops/common/axes.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/common/reshape.h"
#include "ops/engine/elementwise.h"

#include <math.h>

#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)

/* A limit: where it is a constant that a double has exactly, a part of the code. */
static hone_reg limit(hone_map *m, const hone_node *n, int input) {
    double x = hone_constant_number(n->inputs[input]);
    bool exact = hone_dtype_is_float(n->inputs[input]->type.dtype) || fabs(x) < 0x1p53;
    return !isnan(x) && exact ? hone_map_const(m, x) : hone_map_in(m, input);
}

static bool has(const hone_node *n, int input) {
    return input < n->input_count && n->inputs[input];
}

static void map_clip(hone_map *m, const hone_node *n) {
    hone_reg y = hone_map_in(m, 0);
    if (has(n, 1)) y = hone_map_max(m, y, limit(m, n, 1));
    if (has(n, 2)) y = hone_map_min(m, y, limit(m, n, 2));
    hone_map_out(m, 0, y);
}

static hone_value *where(hone_gradient *ctx, hone_value *mask) {
    return HONE_EMIT(ctx->graph, "", "Where", mask, ctx->dout[0], hone_gradient_scalar(ctx, 0));
}

/* Is Y told by limits, numbers of which the first is less? Then X need not be kept. */
static bool tells(const hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    for (int i = 1; i < 3; i++)
        if (!has(n, i) || ctx->wanted[i] || isnan(hone_constant_number(n->inputs[i]))) return false;
    return hone_constant_number(n->inputs[1]) < hone_constant_number(n->inputs[2]);
}

/* To X where it is the result (by Y: where that is no limit), to a limit where that is: the upper one everywhere if it is
 * below the lower. */
static void gradient_clip(hone_gradient *ctx) {
    hone_value *const *in = ctx->node->inputs, *y = ctx->node->outputs[0], *x = in[0];
    if (ctx->wanted[0] && tells(ctx)) {
        hone_value *inside = hone_gradient_emit(ctx, "And", hone_gradient_emit(ctx, "Greater", y, in[1]),
                                                hone_gradient_emit(ctx, "Less", y, in[2]));
        ctx->din[0] = where(ctx, inside);
        return;
    }
    if (ctx->wanted[0]) ctx->din[0] = where(ctx, hone_gradient_emit(ctx, "Equal", x, y));
    if (has(ctx->node, 1) && ctx->wanted[1])
        hone_gradient_give(
            ctx, 1,
            where(ctx, hone_gradient_emit(ctx, "And", hone_gradient_emit(ctx, "Less", x, in[1]),
                                          hone_gradient_emit(ctx, "Equal", y, in[1]))));
    if (has(ctx->node, 2) && ctx->wanted[2]) {
        if (has(ctx->node, 1)) x = hone_gradient_emit(ctx, "Max", x, in[1]);
        hone_gradient_give(ctx, 2, where(ctx, hone_gradient_emit(ctx, "Greater", x, in[2])));
    }
}

static bool limits_clip(const hone_node *n, double *low, double *high) {
    *low = has(n, 1) ? hone_constant_number(n->inputs[1]) : -INFINITY;
    *high = has(n, 2) ? hone_constant_number(n->inputs[2]) : INFINITY;
    return *low <= *high; /* not if one is no constant */
}

/* Until opset 11 the limits were attributes. */
static hone_status lift_clip(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_attr *low = hone_node_attr(n, "min"), *high = hone_node_attr(n, "max");
    hone_type type;
    if (!hone_lift_type(g, n->inputs[0], &type)) return hone_fail_memory(err);
    if ((low || high) && type.dtype == HONE_UNDEFINED)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, "Clip",
                              "before opset 11, of a tensor whose type is not known");
    g->insert_before = n;
    hone_value *y =
        HONE_EMIT(g, "", "Clip", n->inputs[0], low ? hone_graph_scalar(g, type.dtype, low->f) : NULL,
                  high ? hone_graph_scalar(g, type.dtype, high->f) : NULL);
    g->insert_before = NULL;
    hone_lift_replace(g, n, y);
    return hone_graph_check(g, err);
}

static const hone_attr_def clip_11[] = {{NULL}};
static const hone_attr_def clip_6[] = {{"min", HONE_ATTR_FLOAT}, {"max", HONE_ATTR_FLOAT}, {NULL}};
static const hone_attr_def clip_1[] = {
    {"min", HONE_ATTR_FLOAT}, {"max", HONE_ATTR_FLOAT}, HONE_CONSUMED_INPUTS, {NULL}};
static const hone_op_version older_clip[] = {
    {11, clip_11, NULL}, {6, clip_6, lift_clip}, {1, clip_1, lift_clip}, {0}};

const hone_op hone_op_clip = {
    .name = "Clip",
    .since = 13,
    .oldest = 1,
    .older = older_clip,
    .inputs = HONE_SLOTS({"input", 'T', NUMBERS, 0}, {"min", 'T', NUMBERS, HONE_SLOT_OPTIONAL},
                         {"max", 'T', NUMBERS, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', NUMBERS, 0}),
    .late_types = HONE_TYPES_INT | HONE_TYPES_BYTE | HONE_TYPE(HONE_UINT32) | HONE_TYPE(HONE_UINT64),
    .infer = hone_infer_same,
    .axes = hone_axes_broadcast,
    .prepare = hone_prepare_elementwise,
    .overwrite = 1,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .map = map_clip,
    .gradient = gradient_clip,
    .quantize = HONE_QUANTIZE_TABLE,
    .limits = limits_clip,
    .doc = "X held between two limits"};
