/* Convolution. Y[image, channel] = a window of weights over the channels of the image's group, at each position. */
#include "ops/nn/conv_last.h"
#include "ops/nn/conv_transpose.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

enum { X, W, B };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    return hone_conv_infer(ctx, ctx->in[X], ctx->in[W], ctx->input_count > B ? ctx->in[B] : NULL,
                           &ctx->out[0], err);
}

static void axes(const hone_node *n, hone_axes *out) {
    hone_conv_axes(n, out, X, W, B);
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_conv_multiply_adds(in[W], out);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    hone_product s = HONE_PRODUCT_INIT;
    hone_windows windows;
    s.kind = p->out[0].dtype == HONE_FLOAT64 ? HONE_GEMM_F64 : HONE_GEMM_F32;
    s.a = W;
    s.b = X;
    if (p->in_count > B && (!p->node->map || p->node->map_input > B) && p->in[B]) s.bias = B;
    HONE_TRY(hone_conv_product(p, &s, &windows, err));
    return hone_product_prepare(p, &s, err);
}

static void gradient(hone_gradient *ctx) {
    hone_conv_gradient(ctx, "ConvGradX", "ConvGradW", false);
}

static int weight_channels(const hone_node *n, int *output) {
    (void)n;
    *output = 1;
    return 0;
}

static hone_value *emit_integer(hone_graph *g, const hone_node *n, const hone_integer_operands *q,
                                int *bias) {
    *bias = n->input_count > B && n->inputs[B] ? B : -1;
    if (q->w->rank < 3) return NULL;
    hone_value *y =
        HONE_EMIT(g, "", "ConvInteger", q->x, hone_graph_add_constant(g, q->w_name, q->w), q->x_zero);
    if (y) hone_node_copy_attrs(g, y->producer, n);
    return y;
}

const hone_op hone_op_conv = {
    .name = "Conv",
    .since = 22,
    .oldest = 1,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"W", 'T', FLOATS, HONE_SLOT_WEIGHT},
                         {"B", 'T', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS | HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(HONE_CONV_ATTRS),
    .infer = infer,
    .axes = axes,
    .multiply_adds = multiply_adds,
    .channels_last = hone_conv_channels_last,
    .prefers_last = hone_conv_prefers_last,
    .prepare = prepare,
    .epilogue = true,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .quantize = HONE_QUANTIZE_INTEGER,
    .weight_channels = weight_channels,
    .emit_integer = emit_integer,
    .doc = "windows of weights over images of one to three axes, in groups of channels"};
