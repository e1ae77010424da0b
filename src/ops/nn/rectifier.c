/* Activations that bend where a number is passed: PRelu, ThresholdedRelu, Shrink. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/common/reshape.h"
#include "ops/engine/elementwise.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define NUMBERS (FLOATS | HONE_TYPES_INT | HONE_TYPE(HONE_UINT32) | HONE_TYPE(HONE_UINT64)) /* of PRelu */
#define SHARED                                                                                               \
    .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise, .overwrite = 1,                        \
    .gradient_kind = HONE_GRADIENT_EXACT

static hone_value *where(hone_gradient *ctx, hone_value *mask, hone_value *a, hone_value *b) {
    return HONE_EMIT(ctx->graph, "", "Where", mask, a, b);
}

/* --- PRelu --- x < 0 ? slope x : x; the slope broadcasts to x */

static void map_prelu(hone_map *m, const hone_node *n) {
    (void)n;
    hone_reg x = hone_map_in(m, 0), below = hone_map_gt(m, hone_map_const(m, 0), x);
    hone_map_out(m, 0, hone_map_select(m, below, hone_map_mul(m, x, hone_map_in(m, 1)), x));
}

static void gradient_prelu(hone_gradient *ctx) {
    hone_value *x = ctx->node->inputs[0], *slope = ctx->node->inputs[1], *dy = ctx->dout[0];
    hone_value *zero = hone_gradient_scalar(ctx, 0), *below = hone_gradient_emit(ctx, "Less", x, zero);
    if (ctx->wanted[0]) ctx->din[0] = where(ctx, below, hone_gradient_emit(ctx, "Mul", dy, slope), dy);
    if (ctx->wanted[1])
        hone_gradient_give(ctx, 1, where(ctx, below, hone_gradient_emit(ctx, "Mul", dy, x), zero));
}

/* Until opset 7 a slope of one axis ran along the channels, x's second axis. */
static hone_status lift_prelu(hone_graph *g, hone_node *n, hone_error *err) {
    hone_type x, slope;
    if (!hone_lift_type(g, n->inputs[0], &x) || !hone_lift_type(g, n->inputs[1], &slope))
        return hone_fail_memory(err);
    if (x.rank < 0 || slope.rank < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, "PRelu",
                              "before opset 7, of a tensor whose rank is not known");
    hone_value *v = n->inputs[1];
    g->insert_before = n;
    if (slope.rank == 1 && slope.dims[0] != 1)
        for (; slope.rank < x.rank - 1; slope.rank++) slope.dims[slope.rank] = 1;
    if (slope.rank > 1) v = hone_emit_reshape(g, v, &slope, NULL);
    hone_value *y = HONE_EMIT(g, "", "PRelu", n->inputs[0], v);
    g->insert_before = NULL;
    hone_lift_replace(g, n, y);
    return hone_graph_check(g, err);
}

static const hone_attr_def prelu_7[] = {{NULL}}, prelu_1[] = {HONE_CONSUMED_INPUTS, {NULL}};
static const hone_op_version older_prelu[] = {{7, prelu_7, NULL}, {1, prelu_1, lift_prelu}, {0}};

const hone_op hone_op_prelu = {
    .name = "PRelu",
    .since = 16,
    .oldest = 1,
    .older = older_prelu,
    .inputs = HONE_SLOTS({"X", 'T', NUMBERS, 0}, {"slope", 'T', NUMBERS, HONE_SLOT_WEIGHT}),
    .outputs = HONE_SLOTS({"Y", 'T', NUMBERS, 0}),
    .infer = hone_infer_same,
    SHARED,
    .map = map_prelu,
    .gradient = gradient_prelu,
    .domain_hint = {.kink_at_zero = true},
    .doc = "X < 0 ? slope X : X"};

/* --- ThresholdedRelu --- x > alpha ? x : 0 */

static void map_thresholded(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 0), alpha = hone_map_const(m, hone_node_float(n, "alpha"));
    hone_map_out(m, 0, hone_map_select(m, hone_map_gt(m, x, alpha), x, hone_map_const(m, 0)));
}

static void gradient_thresholded(hone_gradient *ctx) {
    hone_value *alpha = hone_gradient_scalar(ctx, hone_node_float(ctx->node, "alpha"));
    hone_value *above = hone_gradient_emit(ctx, "Greater", ctx->node->inputs[0], alpha);
    ctx->din[0] = where(ctx, above, ctx->dout[0], hone_gradient_scalar(ctx, 0));
}

const hone_op hone_op_thresholded_relu = {.name = "ThresholdedRelu",
                                          .since = 22,
                                          .oldest = 10,
                                          .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),
                                          .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                          .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 1}),
                                          .infer = hone_infer_same,
                                          SHARED,
                                          .map = map_thresholded,
                                          .gradient = gradient_thresholded,
                                          .quantize = HONE_QUANTIZE_TABLE,
                                          .domain_hint = {.lo = -3, .hi = 3},
                                          .doc = "X > alpha ? X : 0"};

/* --- Shrink --- toward 0 by a bias, 0 inside of [-lambd, lambd]; integers are computed in double */

static void map_shrink(hone_map *m, const hone_node *n) {
    hone_dtype dtype = n->inputs[0]->type.dtype;
    double limit = hone_node_float(n, "lambd");
    hone_reg x = hone_map_in(m, 0), bias = hone_map_const(m, hone_node_float(n, "bias"));
    if (hone_dtype_is_int(dtype)) x = hone_map_cast(m, x, HONE_FLOAT64);
    hone_reg above = hone_map_gt(m, x, hone_map_const(m, limit)),
             below = hone_map_gt(m, hone_map_const(m, -limit), x);
    hone_reg y = hone_map_select(m, above, hone_map_sub(m, x, bias), hone_map_const(m, 0));
    y = hone_map_select(m, below, hone_map_add(m, x, bias), y);
    hone_map_out(m, 0, hone_dtype_is_int(dtype) ? hone_map_cast(m, y, dtype) : y);
}

static void gradient_shrink(hone_gradient *ctx) {
    hone_value *size = hone_gradient_emit1(ctx, "Abs", ctx->node->inputs[0]);
    hone_value *limit = hone_gradient_scalar(ctx, hone_node_float(ctx->node, "lambd"));
    ctx->din[0] = where(ctx, hone_gradient_emit(ctx, "Greater", size, limit), ctx->dout[0],
                        hone_gradient_scalar(ctx, 0));
}

const hone_op hone_op_shrink = {
    .name = "Shrink",
    .since = 9,
    .oldest = 9,
    .inputs = HONE_SLOTS({"input", 'T', HONE_TYPES_NUMBER | HONE_TYPES_HALF, 0}),
    .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_NUMBER | HONE_TYPES_HALF, 0}),
    .attrs = HONE_ATTRS({"bias", HONE_ATTR_FLOAT}, {"lambd", HONE_ATTR_FLOAT, .f = 0.5f}),
    .infer = hone_infer_same,
    SHARED,
    .map = map_shrink,
    .gradient = gradient_shrink,
    .quantize = HONE_QUANTIZE_TABLE,
    .doc = "X nearer to 0 by a bias; 0 inside of [-lambd, lambd]"};
