/* Convolution of images whose channels are last: X [N, spatial axes ..., C], Y [N, spatial axes ..., M].
 *
 *   ConvLast        W [M, taps * C], a window's elements as they lie: a product whose rows are positions, or, of windows of
 *                   3 x 3, Winograd's convolution in tiles of `winograd` positions either way
 *   DepthwiseLast   W [taps, C]: each channel by itself */
#include "ops/nn/conv_last.h"

#include "graph/infer.h"
#include "ops/common/channels_last.h"
#include "ops/common/walk.h"
#include "ops/engine/conv.h"
#include "ops/nn/conv_back.h"

#include <string.h>

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define FEW 8 /* channels that don't fill the lanes of a product */
/* From end to end of a window or of pads, in elements, which are copied as they lie. */
#define FAR ((int64_t)1 << 16)

enum { X, W, B };

/* --- the operators --- */

hone_status hone_conv_last_infer(hone_infer *ctx, int weights, int bias, bool depthwise, hone_error *err) {
    const hone_type *x = ctx->in[X], *w = ctx->in[weights],
                    *b = ctx->input_count > bias ? ctx->in[bias] : NULL;
    const int channels = depthwise ? 1 : 0, taps_axis = depthwise ? 0 : 1;
    hone_window window;
    int64_t d;
    if (x->rank < 0) return HONE_OK;
    if (x->rank < 3 || w->rank != 2) return hone_infer_fail(ctx, err, "weights or images of a wrong rank");
    HONE_TRY(hone_window_read(ctx->node, x->rank, NULL, &window, err));
    hone_type first = hone_type_channels_first(x), y = first;
    int64_t depth = w->dims[taps_axis], taps = 1;
    for (int i = 0; i < window.axes; i++) taps *= window.kernel[i];
    if (taps_axis == 1)
        HONE_TRY(hone_infer_same_dim(ctx, first.dims[1] < 0 ? HONE_DIM_ANY : first.dims[1] * taps, depth, &d,
                                     err));
    else
        HONE_TRY(hone_infer_same_dim(ctx, first.dims[1], w->dims[1], &d, err));
    y.dims[1] = w->dims[channels];
    if (b && b->rank == 1) HONE_TRY(hone_infer_same_dim(ctx, y.dims[1], b->dims[0], &d, err));
    HONE_TRY(hone_window_infer(ctx, &window, &first, &y, err));
    hone_dtype dtype = ctx->out[0].dtype;
    ctx->out[0] = hone_type_channels_last(&y);
    ctx->out[0].dtype = dtype;
    return HONE_OK;
}

static hone_status infer_conv(hone_infer *ctx, hone_error *err) {
    return hone_conv_last_infer(ctx, W, B, false, err);
}

static hone_status infer_depthwise(hone_infer *ctx, hone_error *err) {
    return hone_conv_last_infer(ctx, W, B, true, err);
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
    const int tile = (int)hone_node_int(node, "winograd");
    if (tile && !hone_product_by_bf16(p)) return hone_product_pack_winograd(p, node, W, tile, err);
    return hone_product_pack(p, node, W, true, err);
}

hone_status hone_conv_last_product(const hone_prepare *p, hone_product *s, bool depthwise,
                                   hone_windows *windows, hone_error *err) {
    const hone_type x = hone_type_channels_first(p->in[X]), y = hone_type_channels_first(&p->out[0]);
    hone_window window;
    HONE_TRY(hone_window_read(p->node, x.rank, NULL, &window, err));
    *windows = hone_windows_of(&window, x.dims[1], &x, &y);
    s->a = X;
    s->b_columns = !depthwise;
    s->depthwise = depthwise;
    s->a_windows = windows;
    s->m = hone_windows_positions(windows);
    s->k = p->in[s->b]->dims[depthwise ? 0 : 1];
    s->n = y.dims[1];
    s->batch = x.dims[0];
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, bool depthwise, hone_error *err) {
    hone_product s = HONE_PRODUCT_INIT;
    hone_windows windows;
    s.b = W;
    if (p->in_count > B && (!p->node->map || p->node->map_input > B) && p->in[B]) s.bias = B;
    if (!depthwise) s.winograd = (int)hone_node_int(p->node, "winograd");
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
    .inputs = HONE_SLOTS({"X", 'T', FLOAT, 0}, {"W", 'T', FLOAT, 0}, {"B", 'T', FLOAT, HONE_SLOT_OPTIONAL}), \
    .outputs = HONE_SLOTS({"Y", 'T', FLOAT, 0}), .epilogue = true

const hone_op hone_op_conv_last = {
    .name = "ConvLast",
    CONVOLUTION,
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {"winograd", HONE_ATTR_INT}),
    .infer = infer_conv,
    .multiply_adds = multiply_adds_conv,
    .pack = pack,
    .prepare = prepare_conv,
    .doc = "convolution of images whose channels are last"};

const hone_op hone_op_depthwise_last = {
    .name = "DepthwiseLast",
    CONVOLUTION,
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}),
    .infer = infer_depthwise,
    .multiply_adds = multiply_adds_depthwise,
    .prepare = prepare_depthwise,
    .doc = "convolution of each channel by itself, of images whose channels are last"};

/* --- Conv in this form --- */

bool hone_conv_is_depthwise(const hone_node *n, int weights) {
    const hone_type *w = &n->inputs[weights]->type;
    int64_t group = hone_node_int(n, "group");
    return group > 1 && w->dims[1] == 1 && w->dims[0] == group;
}

/* Are taps, or pads, so far apart that copies of what a line of windows sees would be mostly zeros? */
static bool is_far(const hone_node *n, int weights) {
    const hone_type *w = &n->inputs[weights]->type;
    hone_window window;
    int64_t all = 1;
    if (hone_window_read(n, w->rank, w->dims + 2, &window, NULL) != HONE_OK) return true;
    for (int i = 0; i < window.axes && all <= FAR; i++) {
        const int64_t span = (window.kernel[i] - 1) * window.dilation[i] + 1,
                      pads = window.pad[i] + window.end[i];
        all *= span > pads ? span : pads;
    }
    return all > FAR;
}

bool hone_conv_last_fits(const hone_node *n, int weights) {
    const hone_type *w = &n->inputs[weights]->type;
    return (w->rank == 3 || w->rank == 4) && hone_type_is_concrete(w) && hone_type_count(w) > 0 &&
           n->inputs[X]->type.rank == w->rank && !n->map &&
           (hone_node_int(n, "group") == 1 || hone_conv_is_depthwise(n, weights)) && !is_far(n, weights);
}

bool hone_conv_last_takes(const hone_node *n, int weights, int bias) {
    const hone_value *b = n->input_count > bias ? n->inputs[bias] : NULL;
    return hone_value_constant(n->inputs[weights]) && (!b || b->type.rank == 1) &&
           hone_conv_last_fits(n, weights);
}

static bool takes(const hone_node *n) {
    const hone_value *b = n->input_count > B ? n->inputs[B] : NULL;
    return n->inputs[W]->type.dtype == HONE_FLOAT32 && (!b || b->type.rank == 1) && hone_conv_last_fits(n, W);
}

bool hone_conv_prefers_last(const hone_node *n) {
    return takes(n) && n->inputs[W]->type.dims[0] >= FEW;
}

/* [M, C, taps] as [M, taps, C]. */
static void move_channels(const float *w, int64_t m, int64_t c, int64_t taps, float *out) {
    for (int64_t i = 0; i < m; i++, w += c * taps, out += c * taps)
        hone_kernels_get()->transpose_32((const uint32_t *)(const void *)w, c, taps, taps,
                                         (uint32_t *)(void *)out, c);
}

/* The same of weights that are nobody else's, in their place. */
static hone_status move_own(hone_tensor *w, const int64_t *dims, hone_tensor **out) {
    const int64_t m = w->dims[0], c = w->dims[1], taps = dims[1] / c, row = dims[1];
    float *one = taps > 1 ? hone_alloc((size_t)row * sizeof *one) : NULL, *at = w->data;
    if (taps > 1 && !one) return HONE_OUT_OF_MEMORY;
    for (int64_t i = 0; i < m && taps > 1; i++, at += row) {
        memcpy(one, at, (size_t)row * sizeof *one);
        move_channels(one, 1, c, taps, at);
    }
    hone_free(one);
    return hone_tensor_take(w, 2, dims, out, NULL);
}

static hone_status moved(const hone_graph *g, const hone_value *w, bool depthwise, hone_tensor **out) {
    hone_tensor *t = w->data;
    const int64_t taps = hone_dims_product(&w->type, 2, w->type.rank), m = t->dims[0], c = t->dims[1];
    const int64_t dims[2] = {depthwise ? taps : m, depthwise ? m : taps * c};
    if (!depthwise && w->use_count == 1 && !hone_graph_is_output(g, w) && hone_tensor_is_own(t))
        return move_own(t, dims, out);
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, dims, out, NULL));
    if (depthwise)
        move_channels(t->data, 1, m, taps, (*out)->data);
    else
        move_channels(t->data, m, c, taps, (*out)->data);
    return HONE_OK;
}

/* After this the node must go: its weights may have. */
static hone_value *weights(hone_graph *g, hone_value *w, bool depthwise) {
    if (!hone_value_constant(w)) return hone_conv_weights_last(g, w, depthwise);
    hone_tensor *laid = NULL;
    if (moved(g, w, depthwise, &laid) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *v = hone_graph_add_constant(g, w->name, laid);
    hone_tensor_free(laid);
    return v;
}

void hone_conv_last_window(hone_graph *g, const hone_node *n, int weights, hone_node *y) {
    static const char *const kept[] = {"strides", "pads", "dilations"};
    const hone_type *w = &n->inputs[weights]->type;
    for (size_t i = 0, count; i < sizeof kept / sizeof *kept; i++) {
        const int64_t *list = hone_node_ints(n, kept[i], &count);
        if (list && count) hone_node_set_ints(g, y, kept[i], list, count);
    }
    const char *pad = hone_node_string(n, "auto_pad");
    if (pad) hone_node_set_string(g, y, "auto_pad", pad);
    hone_node_set_ints(g, y, "kernel_shape", w->dims + 2, (size_t)w->rank - 2);
}

hone_value *hone_conv_channels_last(hone_channels_last *ctx) {
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    if (!takes(n)) return NULL;
    hone_value *w = n->inputs[W];
    const bool depthwise = hone_conv_is_depthwise(n, W);
    hone_value *in[3] = {hone_value_channels_last(g, n->inputs[X]), weights(g, w, depthwise),
                         n->input_count > B ? n->inputs[B] : NULL};
    if (!in[X] || !in[W]) return NULL;
    hone_node *y = hone_graph_add_node(g, depthwise ? &hone_op_depthwise_last : &hone_op_conv_last, n->name,
                                       in[B] ? 3 : 2, in, 1);
    if (!y) return NULL;
    hone_conv_last_window(g, n, W, y);
    return y->outputs[0];
}

/* --- its gradients in this form --- of dY, W, X; of dY, X, W */

static bool gradient_takes(const hone_node *n, int weights) {
    const hone_type *w = &n->inputs[weights]->type;
    hone_window window;
    if (w->dtype != HONE_FLOAT32 || !hone_conv_last_fits(n, weights) ||
        hone_window_read(n, w->rank, w->dims + 2, &window, NULL) != HONE_OK)
        return false;
    for (int i = 0; i < window.axes; i++)
        if (window.stride[i] > HONE_BACK_PHASES || (window.stride[i] != 1 && window.dilation[i] != 1))
            return false;
    return true;
}

static hone_value *emit_gradient(hone_channels_last *ctx, int weights, const char *op,
                                 hone_value *const *in) {
    if (!in[0] || !in[1] || !in[2]) return NULL;
    hone_node *y =
        hone_graph_add_node(ctx->graph, hone_op_find(HONE_PRIVATE_DOMAIN, op), ctx->node->name, 3, in, 1);
    if (!y) return NULL;
    hone_conv_last_window(ctx->graph, ctx->node, weights, y);
    return y->outputs[0];
}

hone_value *hone_conv_grad_x_channels_last(hone_channels_last *ctx) {
    enum { DY, WEIGHTS, LIKE };
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    if (!gradient_takes(n, WEIGHTS)) return NULL;
    const bool depthwise = hone_conv_is_depthwise(n, WEIGHTS);
    hone_value *in[] = {hone_value_channels_last(g, n->inputs[DY]),
                        hone_conv_weights_last(g, n->inputs[WEIGHTS], depthwise),
                        hone_value_channels_last(g, n->inputs[LIKE])};
    return emit_gradient(ctx, WEIGHTS, depthwise ? "DepthwiseLastGradX" : "ConvLastGradX", in);
}

hone_value *hone_conv_grad_w_channels_last(hone_channels_last *ctx) {
    enum { DY, IMAGE, LIKE };
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    if (!gradient_takes(n, LIKE)) return NULL;
    const bool depthwise = hone_conv_is_depthwise(n, LIKE);
    hone_value *in[] = {hone_value_channels_last(g, n->inputs[DY]),
                        hone_value_channels_last(g, n->inputs[IMAGE]), n->inputs[LIKE]};
    ctx->first = true;
    return emit_gradient(ctx, LIKE, depthwise ? "DepthwiseLastGradW" : "ConvLastGradW", in);
}

bool hone_conv_grad_x_prefers_last(const hone_node *n) {
    return gradient_takes(n, 1) && n->inputs[1]->type.dims[0] >= FEW;
}

bool hone_conv_grad_w_prefers_last(const hone_node *n) {
    return gradient_takes(n, 2) && n->inputs[2]->type.dims[0] >= FEW;
}
