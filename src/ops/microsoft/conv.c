/* ONNX Runtime's convolutions and poolings: ONNX's with an activation behind, or between quantized values. */
#include "ops/engine/conv.h"
#include "graph/infer.h"
#include "ops/common/emit.h"
#include "ops/common/legacy.h"

#include <string.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define BYTES HONE_TYPES_BYTE
#define OPTIONAL HONE_SLOT_OPTIONAL
#define MICROSOFT(name_) .domain = "com.microsoft", .name = name_, .since = 1, .oldest = 1

/* Copies the attributes of n that y's operator has, too. */
static void copy_known(hone_graph *g, hone_node *y, const hone_node *n) {
    hone_node_copy_attrs(g, y, n);
    hone_drop_attributes(y);
}

/* --- FusedConv --- activation(Conv(X, W, B) + Z) */

enum { X, W, B, Z };

static hone_status infer_fused(hone_infer *ctx, hone_error *err) {
    return hone_conv_infer(ctx, ctx->in[X], ctx->in[W], ctx->input_count > B ? ctx->in[B] : NULL,
                           &ctx->out[0], err);
}

/* activation_params of an activation: attributes of ONNX's operator, or its inputs. */
static hone_value *activate(hone_graph *g, const hone_node *n, hone_value *v, const char *name) {
    static const struct {
        const char *name, *first, *second;
    } known[] = {{"LeakyRelu", "alpha", NULL}, {"HardSigmoid", "alpha", "beta"}};
    size_t count = 0;
    const hone_attr *params = hone_node_attr(n, "activation_params");
    if (params) count = params->count;
    if (strcmp(name, "Clip") == 0) {
        hone_value *limit[2] = {NULL, NULL};
        for (size_t i = 0; i < 2 && i < count; i++)
            limit[i] = hone_graph_scalar(g, n->inputs[X]->type.dtype, params->floats[i]);
        return HONE_EMIT(g, "", "Clip", v, limit[0], limit[1]);
    }
    hone_value *y = HONE_EMIT(g, "", name, v);
    for (int i = 0; y && i < 2; i++) {
        if (strcmp(name, known[i].name) != 0) continue;
        if (count > 0) hone_node_set_float(g, y->producer, known[i].first, params->floats[0]);
        if (count > 1 && known[i].second)
            hone_node_set_float(g, y->producer, known[i].second, params->floats[1]);
    }
    return y;
}

static hone_status expand_fused(hone_graph *g, hone_node *n, hone_error *err) {
    const char *name = hone_node_string(n, "activation");
    const hone_op *op = name && *name ? hone_op_find("", name) : NULL;
    if (name && *name && (!op || (strcmp(name, "Clip") != 0 && (!op->inputs || op->inputs[1].name))))
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n), "activation %.40s", name);
    hone_value *in[] = {n->inputs[X], n->inputs[W], n->input_count > B ? n->inputs[B] : NULL};
    hone_node *conv = hone_graph_add_node(g, hone_op_find("", "Conv"), n->name, 3, in, 1);
    if (!conv) return hone_graph_check(g, err);
    copy_known(g, conv, n);
    hone_value *y = conv->outputs[0];
    if (n->input_count > Z && n->inputs[Z]) y = HONE_EMIT(g, "", "Add", y, n->inputs[Z]);
    if (op) y = activate(g, n, y, name);
    hone_graph_replace(g, n->outputs[0], y);
    return hone_graph_check(g, err);
}

const hone_op hone_op_microsoft_fused_conv = {
    MICROSOFT("FusedConv"),
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"W", 'T', FLOATS, HONE_SLOT_WEIGHT},
                         {"B", 'T', FLOATS, HONE_SLOT_WEIGHT | OPTIONAL}, {"Z", 'T', FLOATS, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(HONE_CONV_ATTRS, {"activation", HONE_ATTR_STRING},
                        {"activation_params", HONE_ATTR_FLOATS}),
    .infer = infer_fused,
    .expand = expand_fused,
    .doc = "an activation of a convolution to which something may be added"};

/* --- poolings of quantized images --- X, its scale and zero point, and those of the result; channels are the last axis
 * where `channels_last` says so */

enum { QX, QX_SCALE, QX_ZERO, QY_SCALE, QY_ZERO };

/* Axis 1 goes to the end, or back. */
static hone_value *turn(hone_graph *g, hone_value *v, int rank, bool back) {
    int64_t perm[HONE_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[i] = i == 0 ? 0 : back ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
    hone_value *y = HONE_EMIT(g, "", "Transpose", v);
    if (y) hone_node_set_ints(g, y->producer, "perm", perm, (size_t)rank);
    return y;
}

/* whole: of all of a channel. */
static hone_status expand_pool(hone_graph *g, hone_node *n, bool whole, hone_error *err) {
    hone_value *zero = n->inputs[QX_ZERO], *y_zero = n->input_count > QY_ZERO ? n->inputs[QY_ZERO] : NULL;
    bool last = hone_node_int(n, "channels_last") != 0;
    int rank = n->inputs[QX]->type.rank;
    if (last && rank < 2)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "of a tensor whose rank is not known");
    hone_value *v = HONE_EMIT(g, "", "DequantizeLinear", n->inputs[QX], n->inputs[QX_SCALE], zero);
    if (whole) v = hone_emit_cast(g, v, HONE_FLOAT64); /* summed in the same order at every ISA level */
    if (last) v = turn(g, v, rank, false);
    hone_node *y = hone_graph_add_node(g, hone_op_find("", whole ? "GlobalAveragePool" : "AveragePool"),
                                       n->name, 1, &v, 1);
    if (!y) return hone_graph_check(g, err);
    copy_known(g, y, n);
    v = last ? turn(g, y->outputs[0], rank, true) : y->outputs[0];
    if (whole) v = hone_emit_cast(g, v, HONE_FLOAT32);
    if (!y_zero) y_zero = hone_graph_scalar(g, n->inputs[QX]->type.dtype, 0);
    hone_graph_replace(g, n->outputs[0], HONE_EMIT(g, "", "QuantizeLinear", v, n->inputs[QY_SCALE], y_zero));
    return hone_graph_check(g, err);
}

/* The type with its channels on axis 1. */
static hone_type by_channels(const hone_node *n, const hone_type *t) {
    hone_type out = *t;
    for (int i = 1; hone_node_int(n, "channels_last") && i < t->rank; i++)
        out.dims[i] = t->dims[i == 1 ? t->rank - 1 : i - 1];
    return out;
}

static void set_by_channels(const hone_node *n, const hone_type *from, hone_type *out) {
    out->rank = from->rank;
    for (int i = 0; i < from->rank; i++) out->dims[i] = from->dims[i];
    for (int i = 1; hone_node_int(n, "channels_last") && i < from->rank; i++)
        out->dims[i] = from->dims[i == from->rank - 1 ? 1 : i + 1];
}

static hone_status infer_average(hone_infer *ctx, hone_error *err) {
    if (ctx->in[QX]->rank < 0) return HONE_OK;
    hone_type x = by_channels(ctx->node, ctx->in[QX]), y = x;
    hone_window w;
    HONE_TRY(hone_window_read(ctx->node, x.rank, NULL, &w, err));
    HONE_TRY(hone_window_infer(ctx, &w, &x, &y, err));
    set_by_channels(ctx->node, &y, &ctx->out[0]);
    return HONE_OK;
}

static hone_status infer_global(hone_infer *ctx, hone_error *err) {
    if (ctx->in[QX]->rank < 0) return HONE_OK;
    if (ctx->in[QX]->rank < 2) return hone_infer_fail(ctx, err, "X must have channels");
    hone_type y = by_channels(ctx->node, ctx->in[QX]);
    for (int i = 2; i < y.rank; i++) y.dims[i] = 1;
    set_by_channels(ctx->node, &y, &ctx->out[0]);
    return HONE_OK;
}

static hone_status expand_average(hone_graph *g, hone_node *n, hone_error *err) {
    return expand_pool(g, n, false, err);
}

static hone_status expand_global(hone_graph *g, hone_node *n, hone_error *err) {
    return expand_pool(g, n, true, err);
}

#define POOLED                                                                                               \
    .inputs =                                                                                                \
        HONE_SLOTS({"X", 'T', BYTES, 0}, {"x_scale", 0, FLOAT, 0}, {"x_zero_point", 'T', BYTES, OPTIONAL},   \
                   {"y_scale", 0, FLOAT, 0}, {"y_zero_point", 'T', BYTES, OPTIONAL}),                        \
    .outputs = HONE_SLOTS({"Y", 'T', BYTES, 0})

const hone_op hone_op_microsoft_qlinear_average_pool = {
    MICROSOFT("QLinearAveragePool"),
    POOLED,
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"ceil_mode", HONE_ATTR_INT}, {"count_include_pad", HONE_ATTR_INT},
                        {"channels_last", HONE_ATTR_INT}),
    .infer = infer_average,
    .expand = expand_average,
    .doc = "the mean of each window of a quantized image, quantized again"};

const hone_op hone_op_microsoft_qlinear_global_average_pool = {
    MICROSOFT("QLinearGlobalAveragePool"),
    POOLED,
    .attrs = HONE_ATTRS({"channels_last", HONE_ATTR_INT}),
    .infer = infer_global,
    .expand = expand_global,
    .doc = "the mean of each channel of a quantized image, quantized again"};
