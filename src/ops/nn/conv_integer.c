/* Convolutions of integers: ConvInteger, QLinearConv, and the one form that quantized graphs are lowered to. */
#include "ops/engine/conv.h"

#include "ops/common/axes.h"
#include "ops/nn/conv_last.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define INT32 HONE_TYPE(HONE_INT32)
#define BYTES HONE_TYPES_BYTE

static const hone_type *type_of(const hone_infer *ctx, int i) {
    return i < ctx->input_count ? ctx->in[i] : NULL;
}

/* Input i, if it is there and no operand of the node's map. */
static int present(const hone_prepare *p, int i) {
    int own = p->node->map ? p->node->map_input : p->in_count;
    return i < own && p->in[i] ? i : -1;
}

/* Scales and zero points: one number, or (of the weights) one for each channel. */
static hone_status check_counts(const hone_infer *ctx, const int *inputs, int count, int per_channel,
                                const hone_type *w, hone_error *err) {
    for (int i = 0; i < count; i++) {
        const hone_type *t = type_of(ctx, inputs[i]);
        if (!t || !hone_type_is_concrete(t) || hone_type_count(t) == 1) continue;
        bool channels = i >= per_channel && w->rank > 0;
        if (!channels || (w->dims[0] >= 0 && hone_type_count(t) != w->dims[0]))
            return hone_infer_fail(ctx, err, "input %d has %lld elements", inputs[i],
                                   (long long)hone_type_count(t));
    }
    return HONE_OK;
}

/* --- ConvInteger --- */

enum { X, W, X_ZERO, W_ZERO };

static hone_status infer_integer(hone_infer *ctx, hone_error *err) {
    HONE_TRY(check_counts(ctx, (int[]){X_ZERO, W_ZERO}, 2, 1, ctx->in[W], err));
    return hone_conv_infer(ctx, ctx->in[X], ctx->in[W], NULL, &ctx->out[0], err);
}

static void axes_integer(const hone_node *n, hone_axes *out) {
    bool wide = n->input_count > W_ZERO && n->inputs[W_ZERO] && n->inputs[W_ZERO]->type.rank == 1 &&
                n->inputs[W_ZERO]->type.dims[0] != 1;
    hone_conv_axes(n, out, X, W, wide ? W_ZERO : -1);
}

static int64_t multiply_adds_integer(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_conv_multiply_adds(in[W], out);
}

static hone_status pack_integer(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_product_pack_channels(p, node, W, hone_node_int(node, "group"), err);
}

static hone_status prepare_integer(hone_prepare *p, hone_error *err) {
    hone_product s = HONE_PRODUCT_INIT;
    hone_windows windows;
    s.kind = HONE_GEMM_U8S8;
    s.a = W;
    s.b = X;
    s.a_zero = present(p, W_ZERO);
    s.b_zero = present(p, X_ZERO);
    HONE_TRY(hone_conv_product(p, &s, &windows, err));
    return hone_product_prepare(p, &s, err);
}

const hone_op hone_op_conv_integer = {.name = "ConvInteger",
                                      .since = 10,
                                      .oldest = 10,
                                      .inputs = HONE_SLOTS({"x", 'X', BYTES, 0},
                                                           {"w", 'W', BYTES, HONE_SLOT_WEIGHT},
                                                           {"x_zero_point", 'X', BYTES, HONE_SLOT_OPTIONAL},
                                                           {"w_zero_point", 'W', BYTES, HONE_SLOT_OPTIONAL}),
                                      .outputs = HONE_SLOTS({"y", 0, INT32, 0}),
                                      .attrs = HONE_ATTRS(HONE_CONV_ATTRS),
                                      .infer = infer_integer,
                                      .axes = axes_integer,
                                      .multiply_adds = multiply_adds_integer,
                                      .channels_last = hone_conv_integer_channels_last,
                                      .prefers_last = hone_conv_integer_prefers_last,
                                      .pack = pack_integer,
                                      .prepare = prepare_integer,
                                      .quantize = HONE_QUANTIZE_INTEGER,
                                      .doc = "convolution of 8-bit integers, summed in int32"};

/* --- QLinearConv --- */

enum { QX, QX_SCALE, QX_ZERO, QW, QW_SCALE, QW_ZERO, QY_SCALE, QY_ZERO, QB };

static hone_status infer_qlinear(hone_infer *ctx, hone_error *err) {
    HONE_TRY(check_counts(ctx, (int[]){QX_SCALE, QX_ZERO, QY_SCALE, QY_ZERO, QW_SCALE, QW_ZERO}, 6, 4,
                          ctx->in[QW], err));
    return hone_conv_infer(ctx, ctx->in[QX], ctx->in[QW], type_of(ctx, QB), &ctx->out[0], err);
}

static void axes_qlinear(const hone_node *n, hone_axes *out) {
    hone_conv_axes(n, out, QX, QW, QB);
    for (int i = QW_SCALE; i <= QW_ZERO && out->count > 1; i++)
        if (n->inputs[i]->type.rank == 1 && n->inputs[i]->type.dims[0] != 1) hone_axes_same(out, i, 0, 1);
}

static int64_t multiply_adds_qlinear(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_conv_multiply_adds(in[QW], out);
}

static hone_status pack_qlinear(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_product_pack_channels(p, node, QW, hone_node_int(node, "group"), err);
}

static hone_status prepare_qlinear(hone_prepare *p, hone_error *err) {
    hone_product s = HONE_PRODUCT_INIT;
    hone_windows windows;
    s.kind = HONE_GEMM_U8S8;
    s.a = QW;
    s.a_scale = QW_SCALE;
    s.a_zero = QW_ZERO;
    s.b = QX;
    s.b_scale = QX_SCALE;
    s.b_zero = QX_ZERO;
    s.y_scale = QY_SCALE;
    s.y_zero = QY_ZERO;
    s.bias = present(p, QB);
    HONE_TRY(hone_conv_product(p, &s, &windows, err));
    return hone_product_prepare(p, &s, err);
}

const hone_op hone_op_qlinear_conv = {
    .name = "QLinearConv",
    .since = 10,
    .oldest = 10,
    .inputs = HONE_SLOTS({"x", 'X', BYTES, 0}, {"x_scale", 0, FLOAT, 0}, {"x_zero_point", 'X', BYTES, 0},
                         {"w", 'W', BYTES, HONE_SLOT_WEIGHT}, {"w_scale", 0, FLOAT, 0},
                         {"w_zero_point", 'W', BYTES, 0}, {"y_scale", 0, FLOAT, 0},
                         {"y_zero_point", 'Y', BYTES, 0}, {"B", 0, INT32, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"y", 'Y', BYTES, 0}),
    .attrs = HONE_ATTRS(HONE_CONV_ATTRS),
    .infer = infer_qlinear,
    .axes = axes_qlinear,
    .multiply_adds = multiply_adds_qlinear,
    .channels_last = hone_qlinear_conv_channels_last,
    .prefers_last = hone_qlinear_conv_prefers_last,
    .pack = pack_qlinear,
    .prepare = prepare_qlinear,
    .quantize = HONE_QUANTIZE_INTEGER,
    .doc = "convolution of quantized images by quantized weights, quantized again"};

/* --- IntegerConv --- Y = quantize(relu(x_scale w_scale sum of (X - x_zero) (W - w_zero) + bias)); an int32 bias counts in
 * steps of x_scale * w_scale. Y is float32 where `to` says so. */

enum { IX, IX_SCALE, IX_ZERO, IW, IW_SCALE, IW_ZERO, IB };

static hone_status infer_lowered(hone_infer *ctx, hone_error *err) {
    int64_t to = hone_node_int(ctx->node, "to");
    if (to != HONE_FLOAT32 && to != HONE_UINT8 && to != HONE_INT8)
        return hone_infer_fail(ctx, err, "dtype %lld of the result", (long long)to);
    ctx->out[0].dtype = (hone_dtype)to;
    HONE_TRY(check_counts(ctx, (int[]){IX_SCALE, IX_ZERO, IW_SCALE, IW_ZERO}, 4, 2, ctx->in[IW], err));
    return hone_conv_infer(ctx, ctx->in[IX], ctx->in[IW], type_of(ctx, IB), &ctx->out[0], err);
}

static void axes_lowered(const hone_node *n, hone_axes *out) {
    hone_conv_axes(n, out, IX, IW, IB);
    for (int i = IW_SCALE; i <= IW_ZERO && out->count > 1; i++)
        if (i < n->input_count && n->inputs[i] && n->inputs[i]->type.rank == 1 &&
            n->inputs[i]->type.dims[0] != 1)
            hone_axes_same(out, i, 0, 1);
}

static hone_status pack_lowered(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_product_pack_channels(p, node, IW, hone_node_int(node, "group"), err);
}

static hone_status prepare_lowered(hone_prepare *p, hone_error *err) {
    hone_product s = HONE_PRODUCT_INIT;
    hone_windows windows;
    s.kind = HONE_GEMM_U8S8;
    s.a = IW;
    s.a_scale = IW_SCALE;
    s.a_zero = present(p, IW_ZERO);
    s.b = IX;
    s.b_scale = IX_SCALE;
    s.b_zero = present(p, IX_ZERO);
    s.bias = present(p, IB);
    s.relu = hone_node_int(p->node, "relu") != 0;
    if (p->out[0].dtype != HONE_FLOAT32) s.y_scale_value = hone_node_float(p->node, "y_scale");
    s.y_zero_value = (int32_t)hone_node_int(p->node, "y_zero_point");
    HONE_TRY(hone_conv_product(p, &s, &windows, err));
    return hone_product_prepare(p, &s, err);
}

const hone_op hone_op_integer_conv = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "IntegerConv",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'X', BYTES, 0}, {"x_scale", 0, FLOAT, 0},
                         {"x_zero_point", 'X', BYTES, HONE_SLOT_OPTIONAL}, {"W", 'W', BYTES, 0},
                         {"w_scale", 0, FLOAT, 0}, {"w_zero_point", 'W', BYTES, HONE_SLOT_OPTIONAL},
                         {"bias", 0, FLOAT | INT32, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 0, BYTES | FLOAT, 0}),
    .attrs = HONE_ATTRS(HONE_CONV_ATTRS, {"relu", HONE_ATTR_INT}, {"to", HONE_ATTR_INT, .i = HONE_FLOAT32},
                        {"y_scale", HONE_ATTR_FLOAT, .f = 1}, {"y_zero_point", HONE_ATTR_INT}),
    .infer = infer_lowered,
    .axes = axes_lowered,
    .multiply_adds = multiply_adds_qlinear,
    .channels_last = hone_integer_conv_channels_last,
    .prefers_last = hone_integer_conv_prefers_last,
    .pack = pack_lowered,
    .prepare = prepare_lowered,
    .epilogue = true,
    .quantize = HONE_QUANTIZE_INTEGER,
    .doc = "convolution of quantized images with bias and relu, quantized again or not"};
