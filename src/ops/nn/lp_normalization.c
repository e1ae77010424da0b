/* LpNormalization: X divided by its norm along an axis; 0 where that is 0. */
#include "graph/infer.h"
#include "ops/common/axes.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int64_t p = hone_node_int(ctx->node, "p");
    int axis;
    HONE_TRY(hone_infer_same(ctx, err));
    if (p != 1 && p != 2) return hone_infer_fail(ctx, err, "the norm of order %lld", (long long)p);
    if (ctx->in[0]->rank < 0) return HONE_OK;
    return hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), ctx->in[0]->rank, false, &axis, err);
}

static void axes(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[0]->type.rank;
    int64_t axis = hone_node_int(n, "axis");
    if (axis < 0) axis += rank;
    for (int i = 0; i < rank; i++)
        hone_axes_add(out, (hone_axis_link){i == axis ? HONE_AXIS_NORMALIZED : HONE_AXIS_SAME, .axis = i,
                                            .output_axis = i});
}

/* A sum of 0 is made 1 before its root is taken, so that gradients are 0 there, too. */
static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0], *zero = hone_graph_scalar(g, x->type.dtype, 0),
               *one = hone_graph_scalar(g, x->type.dtype, 1);
    bool root = hone_node_int(n, "p") == 2;
    hone_value *sum = HONE_EMIT(g, "", root ? "ReduceSumSquare" : "ReduceL1", x,
                                hone_graph_ints(g, (int64_t[]){hone_node_int(n, "axis")}, 1));
    hone_value *norm = HONE_EMIT(g, "", "Where", HONE_EMIT(g, "", "Equal", sum, zero), one, sum);
    if (root) norm = HONE_EMIT(g, "", "Sqrt", norm);
    hone_graph_replace(g, n->outputs[0], HONE_EMIT(g, "", "Div", x, norm));
    return HONE_OK;
}

const hone_op hone_op_lp_normalization = {
    .name = "LpNormalization",
    .since = 22,
    .oldest = 1,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"input", 'T', FLOATS, 0}),
    .outputs = HONE_SLOTS({"output", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = -1}, {"p", HONE_ATTR_INT, .i = 2}),
    .infer = infer,
    .axes = axes,
    .expand = expand,
    .domain_hint = {.kink_at_zero = true},
    .doc = "X divided by its norm along an axis"};
