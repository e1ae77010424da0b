/* Gradients of convolutions: private operators, which have the attributes of what they are gradients of.
 *
 *   Conv Y(X, W):            dX = the transpose of the convolution, dW = a product of patches
 *   ConvTranspose Y(X, W):   dX = a convolution of dY, dW = the same product, its operands exchanged */
#include "graph/infer.h"
#include "ops/engine/conv.h"
#include "ops/engine/conv_weights.h"
#include "ops/engine/transposed.h"
#include "ops/nn/conv_last.h"
#include "ops/nn/conv_transpose.h"

#include <string.h>

#define FLOATS HONE_TYPES_FLOAT

enum { FIRST, SECOND, LIKE };

/* The result is as input 2, whose content nobody reads. */
static hone_status infer(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = ctx->in[LIKE]->rank;
    memcpy(ctx->out[0].dims, ctx->in[LIKE]->dims, sizeof ctx->out[0].dims);
    return HONE_OK;
}

#define BACKWARD(name_, first, second, like)                                                                 \
    .domain = HONE_PRIVATE_DOMAIN, .name = name_, .since = 1, .oldest = 1,                                   \
    .inputs = HONE_SLOTS({first, 'T', FLOATS, 0}, {second, 'T', FLOATS, 0}, {like, 'T', FLOATS, 0}),         \
    .outputs = HONE_SLOTS({"D", 'T', FLOATS, 0}), .infer = infer

/* --- ConvGradX --- of dY, W, as X */

static hone_status prepare_x(hone_prepare *p, hone_error *err) {
    const hone_type *dy = p->in[FIRST], *w = p->in[SECOND], *x = p->in[LIKE];
    hone_window window;
    HONE_TRY(hone_window_read(p->node, x->rank, w->dims + 2, &window, err));
    int64_t groups = hone_node_int(p->node, "group");
    hone_transposed t = {.w = hone_windows_of(&window, w->dims[1], x, dy),
                         .batch = x->dims[0],
                         .groups = groups,
                         .channels = w->dims[0] / groups,
                         .x = FIRST,
                         .weights = SECOND,
                         .bias = -1};
    return hone_transposed_prepare(p, &t, err);
}

static int64_t multiply_adds_x(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    (void)out;
    return hone_conv_multiply_adds(in[SECOND], in[FIRST]);
}

const hone_op hone_op_conv_grad_x = {BACKWARD("ConvGradX", "dY", "W", "X"),
                                     .attrs = HONE_ATTRS(HONE_CONV_ATTRS),
                                     .multiply_adds = multiply_adds_x,
                                     .channels_last = hone_conv_grad_x_channels_last,
                                     .prefers_last = hone_conv_grad_x_prefers_last,
                                     .prepare = prepare_x,
                                     .doc = "gradient of a convolution to its input"};

/* --- ConvGradW --- of dY, X, as W */

static hone_status prepare_w(hone_prepare *p, hone_error *err) {
    const hone_type *dy = p->in[FIRST], *x = p->in[SECOND], *w = p->in[LIKE];
    hone_window window;
    HONE_TRY(hone_window_read(p->node, x->rank, w->dims + 2, &window, err));
    int64_t groups = hone_node_int(p->node, "group");
    hone_conv_weights c = {.w = hone_windows_of(&window, w->dims[1], x, dy),
                           .batch = x->dims[0],
                           .groups = groups,
                           .outputs = w->dims[0] / groups,
                           .dy = FIRST,
                           .x = SECOND};
    return hone_conv_weights_prepare(p, &c, err);
}

static int64_t multiply_adds_w(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_conv_multiply_adds(out, in[FIRST]);
}

const hone_op hone_op_conv_grad_w = {BACKWARD("ConvGradW", "dY", "X", "W"),
                                     .attrs = HONE_ATTRS(HONE_CONV_ATTRS),
                                     .multiply_adds = multiply_adds_w,
                                     .channels_last = hone_conv_grad_w_channels_last,
                                     .prefers_last = hone_conv_grad_w_prefers_last,
                                     .prepare = prepare_w,
                                     .doc = "gradient of a convolution to its weights"};

/* --- ConvTransposeGradX --- of dY, W, as X: a convolution of as many positions as X has */

static hone_status prepare_transpose_x(hone_prepare *p, hone_error *err) {
    const hone_type *dy = p->in[FIRST], *w = p->in[SECOND], *x = p->in[LIKE];
    hone_window window;
    HONE_TRY(hone_conv_transpose_window(p->node, x, w, &window, NULL, err));
    hone_windows windows = hone_windows_of(&window, w->dims[1], dy, x);
    hone_product s = HONE_PRODUCT_INIT;
    s.kind = p->out[0].dtype == HONE_FLOAT64 ? HONE_GEMM_F64 : HONE_GEMM_F32;
    s.a = SECOND;
    s.b = FIRST;
    hone_conv_product_of(&s, &windows, hone_node_int(p->node, "group"), w, dy->dims[0]);
    return hone_product_prepare(p, &s, err);
}

static int64_t multiply_adds_transpose(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_conv_multiply_adds(in[SECOND], out);
}

const hone_op hone_op_conv_transpose_grad_x = {
    BACKWARD("ConvTransposeGradX", "dY", "W", "X"), .attrs = HONE_ATTRS(HONE_CONV_TRANSPOSE_ATTRS),
    .multiply_adds = multiply_adds_transpose, .prepare = prepare_transpose_x,
    .doc = "gradient of a transposed convolution to its input"};

/* --- ConvTransposeGradW --- of X, dY, as W */

static hone_status prepare_transpose_w(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[FIRST], *dy = p->in[SECOND], *w = p->in[LIKE];
    hone_window window;
    HONE_TRY(hone_conv_transpose_window(p->node, x, w, &window, NULL, err));
    int64_t groups = hone_node_int(p->node, "group");
    hone_conv_weights c = {.w = hone_windows_of(&window, w->dims[1], dy, x),
                           .batch = x->dims[0],
                           .groups = groups,
                           .outputs = w->dims[0] / groups,
                           .dy = FIRST,
                           .x = SECOND};
    return hone_conv_weights_prepare(p, &c, err);
}

const hone_op hone_op_conv_transpose_grad_w = {
    BACKWARD("ConvTransposeGradW", "X", "dY", "W"), .attrs = HONE_ATTRS(HONE_CONV_TRANSPOSE_ATTRS),
    .multiply_adds = multiply_adds_w, .prepare = prepare_transpose_w,
    .doc = "gradient of a transposed convolution to its weights"};

/* --- the rules --- */

static hone_value *emit(hone_gradient *ctx, const char *op, hone_value *a, hone_value *b, hone_value *like) {
    hone_value *y = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, op, a, b, like);
    if (y) hone_node_copy_attrs(ctx->graph, y->producer, ctx->node);
    return y;
}

/* Of all positions of all images. */
static hone_value *sum_channels(hone_gradient *ctx, hone_value *dy) {
    int64_t axes[HONE_MAX_RANK], count = 0;
    for (int i = 0; i < ctx->node->outputs[0]->type.rank; i++)
        if (i != 1) axes[count++] = i;
    hone_value *y = HONE_EMIT(ctx->graph, "", "ReduceSum", dy, hone_graph_ints(ctx->graph, axes, count));
    if (y) hone_node_set_int(ctx->graph, y->producer, "keepdims", 0);
    return y;
}

void hone_conv_gradient(hone_gradient *ctx, const char *grad_x, const char *grad_w, bool transposed) {
    const hone_node *n = ctx->node;
    hone_value *x = n->inputs[0], *w = n->inputs[1], *dy = ctx->dout[0];
    if (ctx->wanted[0]) ctx->din[0] = emit(ctx, grad_x, dy, w, x);
    if (ctx->wanted[1]) ctx->din[1] = transposed ? emit(ctx, grad_w, x, dy, w) : emit(ctx, grad_w, dy, x, w);
    if (n->input_count > 2 && ctx->wanted[2]) ctx->din[2] = sum_channels(ctx, dy);
}
