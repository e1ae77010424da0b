/* Convolutions of integers over images whose channels are last (conv_last.c), and what becomes one of them.
 *
 *   IntegerConvLast         W [M, taps * C]
 *   IntegerDepthwiseLast    W [taps, C]: each channel by itself
 *
 * Y = quantize(relu(x_scale w_scale sum of (X - x_zero) (W - w_zero) + bias)); an int32 bias counts in steps of
 * x_scale * w_scale. Y is float32, or the sums themselves, where `to` says so. */
#include "ops/common/channels_last.h"
#include "ops/common/walk.h"
#include "ops/engine/window.h"
#include "ops/nn/conv_last.h"

#include <string.h>

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define INT32 HONE_TYPE(HONE_INT32)
#define BYTES HONE_TYPES_BYTE
#define FEW 8 /* channels that don't fill the lanes of a product */

enum { X, X_SCALE, X_ZERO, W, W_SCALE, B, W_ZERO };

/* --- the operators --- */

static const hone_type *type_of(const hone_infer *ctx, int i) {
    return i < ctx->input_count ? ctx->in[i] : NULL;
}

/* One number, or one for each of `channels`. */
static hone_status check_count(const hone_infer *ctx, int i, int64_t channels, hone_error *err) {
    const hone_type *t = type_of(ctx, i);
    if (!t || !hone_type_is_concrete(t) || hone_type_count(t) == 1 || hone_type_count(t) == channels)
        return HONE_OK;
    return hone_infer_fail(ctx, err, "input %d has %lld elements", i, (long long)hone_type_count(t));
}

static hone_status infer(hone_infer *ctx, bool depthwise, hone_error *err) {
    const int64_t to = hone_node_int(ctx->node, "to");
    const hone_type *w = ctx->in[W];
    if (to != HONE_FLOAT32 && to != HONE_UINT8 && to != HONE_INT8 && to != HONE_INT32)
        return hone_infer_fail(ctx, err, "dtype %lld of the result", (long long)to);
    if (to != HONE_INT32 && !(type_of(ctx, X_SCALE) && type_of(ctx, W_SCALE)))
        return hone_infer_fail(ctx, err, "no scales");
    ctx->out[0].dtype = (hone_dtype)to;
    const int64_t channels = w->rank == 2 ? w->dims[depthwise ? 1 : 0] : 1;
    HONE_TRY(check_count(ctx, X_SCALE, 1, err));
    HONE_TRY(check_count(ctx, X_ZERO, 1, err));
    HONE_TRY(check_count(ctx, W_SCALE, channels, err));
    HONE_TRY(check_count(ctx, W_ZERO, channels, err));
    return hone_conv_last_infer(ctx, W, B, depthwise, err);
}

static hone_status infer_conv(hone_infer *ctx, hone_error *err) {
    return infer(ctx, false, err);
}

static hone_status infer_depthwise(hone_infer *ctx, hone_error *err) {
    return infer(ctx, true, err);
}

static int64_t multiply_adds_conv(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_type_count(out) * in[W]->dims[1];
}

static int64_t multiply_adds_depthwise(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_type_count(out) * in[W]->dims[0];
}

static hone_status pack(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_product_pack(p, node, W, true, err);
}

/* Input i, if it is there and no operand of the node's map. */
static int present(const hone_prepare *p, int i) {
    int own = p->node->map ? p->node->map_input : p->in_count;
    return i < own && p->in[i] ? i : -1;
}

static hone_status prepare(hone_prepare *p, bool depthwise, hone_error *err) {
    hone_product s = HONE_PRODUCT_INIT;
    hone_windows windows;
    s.kind = HONE_GEMM_U8S8;
    s.a_scale = present(p, X_SCALE);
    s.a_zero = present(p, X_ZERO);
    s.b = W;
    s.b_scale = present(p, W_SCALE);
    s.b_zero = present(p, W_ZERO);
    s.bias = present(p, B);
    s.relu = hone_node_int(p->node, "relu") != 0;
    if (p->out[0].dtype == HONE_INT32) s.a_scale = s.b_scale = -1;
    if (HONE_TYPE(p->out[0].dtype) & BYTES) s.y_scale_value = hone_node_float(p->node, "y_scale");
    s.y_zero_value = (int32_t)hone_node_int(p->node, "y_zero_point");
    HONE_TRY(hone_conv_last_product(p, &s, depthwise, &windows, err));
    return hone_product_prepare(p, &s, err);
}

static hone_status prepare_conv(hone_prepare *p, hone_error *err) {
    return prepare(p, false, err);
}

static hone_status prepare_depthwise(hone_prepare *p, hone_error *err) {
    return prepare(p, true, err);
}

#define CONVOLUTION                                                                                          \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1, .oldest = 1,                                                  \
    .outputs = HONE_SLOTS({"Y", 0, BYTES | FLOAT | INT32, 0}),                                               \
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {"relu", HONE_ATTR_INT},           \
                        {"to", HONE_ATTR_INT, .i = HONE_FLOAT32}, {"y_scale", HONE_ATTR_FLOAT, .f = 1},      \
                        {"y_zero_point", HONE_ATTR_INT}),                                                    \
    .epilogue = true

#define INPUTS(weights)                                                                                      \
    {"X", 'X', BYTES, 0}, {"x_scale", 0, FLOAT, HONE_SLOT_OPTIONAL},                                         \
        {"x_zero_point", 'X', BYTES, HONE_SLOT_OPTIONAL}, {"W", 'W', weights, 0},                            \
        {"w_scale", 0, FLOAT, HONE_SLOT_OPTIONAL}, {                                                         \
        "bias", 0, FLOAT | INT32, HONE_SLOT_OPTIONAL                                                         \
    }

const hone_op hone_op_integer_conv_last = {
    .name = "IntegerConvLast",
    CONVOLUTION,
    .inputs = HONE_SLOTS(INPUTS(BYTES), {"w_zero_point", 'W', BYTES, HONE_SLOT_OPTIONAL}),
    .infer = infer_conv,
    .multiply_adds = multiply_adds_conv,
    .pack = pack,
    .prepare = prepare_conv,
    .doc = "convolution of quantized images whose channels are last"};

const hone_op hone_op_integer_depthwise_last = {
    .name = "IntegerDepthwiseLast",
    CONVOLUTION,
    .inputs = HONE_SLOTS(INPUTS(HONE_TYPE(HONE_INT8))),
    .infer = infer_depthwise,
    .multiply_adds = multiply_adds_depthwise,
    .prepare = prepare_depthwise,
    .doc = "convolution of each channel by itself, of quantized images whose channels are last"};

/* --- other convolutions in this form --- */

/* Where a convolution has its inputs, by our names; -1: nowhere. */
typedef struct inputs {
    int x_scale, x_zero, w, w_scale, w_zero, bias;
} inputs;

static const inputs of_integer = {-1, 2, 1, -1, 3, -1}, of_qlinear = {1, 2, 3, 4, 5, 8},
                    of_lowered = {1, 2, 3, 4, 5, 6};

static hone_value *input(const hone_node *n, int i) {
    return i >= 0 && i < n->input_count ? n->inputs[i] : NULL;
}

/* Are all zero points those that int8 weights have? */
static bool is_centred(const hone_node *n, const inputs *at) {
    const hone_value *zero = input(n, at->w_zero);
    const bool is_unsigned = n->inputs[at->w]->type.dtype == HONE_UINT8;
    const hone_tensor *t = zero ? hone_value_constant(zero) : NULL;
    if (!t) return !zero && !is_unsigned;
    for (int64_t i = 0; i < t->count; i++)
        if (hone_tensor_int(t, i) != (is_unsigned ? 128 : 0)) return false;
    return true;
}

static bool takes(const hone_node *n, const inputs *at) {
    const int bias = at->bias < 0 ? n->input_count : at->bias;
    return hone_conv_last_takes(n, at->w, bias) && (!hone_conv_is_depthwise(n, at->w) || is_centred(n, at));
}

static bool prefers(const hone_node *n, const inputs *at) {
    return takes(n, at) && n->inputs[at->w]->type.dims[0] >= FEW;
}

bool hone_conv_integer_prefers_last(const hone_node *n) {
    return prefers(n, &of_integer);
}

bool hone_integer_conv_prefers_last(const hone_node *n) {
    return prefers(n, &of_lowered);
}

/* [rows, taps] as [taps, rows]. */
static void transpose(const uint8_t *w, int64_t rows, int64_t taps, uint8_t flip, uint8_t *out) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t tap = 0; tap < taps; tap++) out[tap * rows + i] = w[i * taps + tap] ^ flip;
}

static hone_value *weights(hone_graph *g, const hone_value *w, bool depthwise) {
    const hone_tensor *t = w->data;
    const int64_t taps = hone_dims_product(&w->type, 2, w->type.rank), m = t->dims[0], c = t->dims[1];
    const int64_t dims[2] = {depthwise ? taps : m, depthwise ? m : taps * c};
    const uint8_t *from = t->data, flip = depthwise && t->dtype == HONE_UINT8 ? 0x80 : 0;
    hone_tensor *laid = NULL;
    if (hone_tensor_new(depthwise ? HONE_INT8 : t->dtype, 2, dims, &laid, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    uint8_t *to = laid->data;
    if (depthwise)
        transpose(from, m, taps, flip, to);
    else
        for (int64_t i = 0; i < m; i++) transpose(from + i * c * taps, c, taps, 0, to + i * c * taps);
    hone_value *v = hone_graph_add_constant(g, w->name, laid);
    hone_tensor_free(laid);
    return v;
}

/* The result's dtype, scale and zero point. */
typedef struct result {
    int64_t to, zero, relu;
    float scale;
} result;

static hone_value *emit(hone_channels_last *ctx, const inputs *at, result y) {
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    const bool depthwise = hone_conv_is_depthwise(n, at->w);
    hone_value *in[] = {[X] = hone_value_channels_last(g, n->inputs[X]),
                        [X_SCALE] = input(n, at->x_scale),
                        [X_ZERO] = input(n, at->x_zero),
                        [W] = weights(g, n->inputs[at->w], depthwise),
                        [W_SCALE] = input(n, at->w_scale),
                        [B] = input(n, at->bias),
                        [W_ZERO] = input(n, at->w_zero)};
    if (!in[X] || !in[W]) return NULL;
    hone_node *made = depthwise ? hone_graph_add_node(g, &hone_op_integer_depthwise_last, n->name, 6, in, 1)
                                : hone_graph_add_node(g, &hone_op_integer_conv_last, n->name, 7, in, 1);
    if (!made) return NULL;
    hone_conv_last_window(g, n, at->w, made);
    hone_node_set_int(g, made, "to", y.to);
    hone_node_set_int(g, made, "relu", y.relu);
    hone_node_set_float(g, made, "y_scale", y.scale);
    hone_node_set_int(g, made, "y_zero_point", y.zero);
    return made->outputs[0];
}

hone_value *hone_conv_integer_channels_last(hone_channels_last *ctx) {
    if (!takes(ctx->node, &of_integer)) return NULL;
    return emit(ctx, &of_integer, (result){.to = HONE_INT32, .scale = 1});
}

hone_value *hone_integer_conv_channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    if (!takes(n, &of_lowered)) return NULL;
    return emit(ctx, &of_lowered,
                (result){.to = hone_node_int(n, "to"),
                         .zero = hone_node_int(n, "y_zero_point"),
                         .relu = hone_node_int(n, "relu"),
                         .scale = hone_node_float(n, "y_scale")});
}

/* Its result's scale and zero point become attributes. */
enum { Y_SCALE = 6, Y_ZERO };

static bool takes_qlinear(const hone_node *n) {
    const hone_tensor *scale = hone_value_constant(n->inputs[Y_SCALE]),
                      *zero = hone_value_constant(n->inputs[Y_ZERO]);
    return scale && zero && scale->count == 1 && zero->count == 1 && takes(n, &of_qlinear);
}

bool hone_qlinear_conv_prefers_last(const hone_node *n) {
    return takes_qlinear(n) && prefers(n, &of_qlinear);
}

hone_value *hone_qlinear_conv_channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    if (!takes_qlinear(n)) return NULL;
    const hone_tensor *scale = hone_value_constant(n->inputs[Y_SCALE]),
                      *zero = hone_value_constant(n->inputs[Y_ZERO]);
    return emit(
        ctx, &of_qlinear,
        (result){.to = zero->dtype, .zero = hone_tensor_int(zero, 0), .scale = *(float *)scale->data});
}
