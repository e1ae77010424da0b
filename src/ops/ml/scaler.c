/* ai.onnx.ml.Scaler: (X - offset) scale, each of one number, or of one for each column. */
#include "graph/infer.h"
#include "ops/common/axes.h"

#define NUMBERS (HONE_TYPES_FLOAT | HONE_TYPES_INT)

static hone_status check_list(const hone_infer *ctx, const char *name, hone_error *err) {
    const hone_attr *a = hone_node_attr(ctx->node, name);
    const hone_type *x = ctx->in[0];
    if (!a || a->count == 1 || x->rank < 1 || x->dims[x->rank - 1] < 0) return HONE_OK;
    if ((int64_t)a->count == x->dims[x->rank - 1]) return HONE_OK;
    return hone_infer_fail(ctx, err, "%s has %zu numbers for %lld columns", name, a->count,
                           (long long)x->dims[x->rank - 1]);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    HONE_TRY(check_list(ctx, "offset", err));
    HONE_TRY(check_list(ctx, "scale", err));
    return hone_infer_same(ctx, err);
}

static bool is_wide(const hone_node *n, const char *name) {
    const hone_attr *a = hone_node_attr(n, name);
    return a && a->count > 1;
}

/* Columns with numbers of their own can't be cut: the numbers are attributes. */
static void axes(const hone_node *n, hone_axes *out) {
    int rank = n->inputs[0]->type.rank, blocked = is_wide(n, "offset") || is_wide(n, "scale");
    for (int a = 0; a < rank - blocked; a++) hone_axes_same(out, 0, a, a);
}

static hone_value *apply(hone_graph *g, const hone_node *n, const char *op, hone_value *v, const char *name) {
    const hone_attr *a = hone_node_attr(n, name);
    return a && a->count ? HONE_EMIT(g, "", op, v, hone_graph_floats(g, a->floats, (int64_t)a->count)) : v;
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *v = HONE_EMIT(g, "", "Cast", n->inputs[0]);
    if (v) hone_node_set_int(g, v->producer, "to", HONE_FLOAT32);
    v = apply(g, n, "Sub", v, "offset");
    hone_graph_replace(g, n->outputs[0], apply(g, n, "Mul", v, "scale"));
    return HONE_OK;
}

const hone_op hone_op_scaler = {.domain = "ai.onnx.ml",
                                .name = "Scaler",
                                .since = 1,
                                .oldest = 1,
                                .inputs = HONE_SLOTS({"X", 0, NUMBERS, 0}),
                                .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_FLOAT32), 0}),
                                .attrs =
                                    HONE_ATTRS({"offset", HONE_ATTR_FLOATS}, {"scale", HONE_ATTR_FLOATS}),
                                .infer = infer,
                                .axes = axes,
                                .expand = expand,
                                .doc = "(X - offset) scale"};
