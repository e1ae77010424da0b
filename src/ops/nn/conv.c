/* Convolution. Y[image, channel] = a window of weights over the channels of the image's group, at each position. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/walk.h"
#include "ops/engine/product.h"
#include "ops/engine/window.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

enum { X, W, B };

/* --- shapes --- X [N, C, …], W [M, C / group, taps …], B [M], Y [N, M, …] */

static hone_status check_channels(const hone_infer *ctx, int64_t group, const hone_type *x,
                                  const hone_type *w, const hone_type *bias, hone_error *err) {
    int64_t m = w->dims[0], each = w->dims[1], d;
    if (group < 1) return hone_infer_fail(ctx, err, "group %lld", (long long)group);
    if (m >= 0 && m % group != 0)
        return hone_infer_fail(ctx, err, "%lld channels in %lld groups", (long long)m, (long long)group);
    if (x->rank > 1 && x->dims[1] >= 0 && each >= 0 && (x->dims[1] % group || x->dims[1] / group != each))
        return hone_infer_fail(ctx, err, "%lld channels for weights of %lld groups of %lld",
                               (long long)x->dims[1], (long long)group, (long long)each);
    if (!bias || bias->rank < 0) return HONE_OK;
    if (bias->rank != 1) return hone_infer_fail(ctx, err, "the bias must be a vector");
    return hone_infer_same_dim(ctx, m, bias->dims[0], &d, err);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X], *w = ctx->in[W], *bias = ctx->input_count > B ? ctx->in[B] : NULL;
    hone_type *y = &ctx->out[0];
    int rank = w->rank >= 0 ? w->rank : x->rank;
    hone_window window;
    if (rank < 0) return HONE_OK;
    if (x->rank >= 0 && x->rank != rank)
        return hone_infer_fail(ctx, err, "weights of rank %d for an input of rank %d", rank, x->rank);
    hone_type any = {.rank = rank};
    for (int i = 0; i < rank; i++) any.dims[i] = HONE_DIM_ANY;
    if (w->rank < 0) w = &any;
    HONE_TRY(hone_window_read(ctx->node, rank, w->dims + 2, &window, err));
    HONE_TRY(check_channels(ctx, hone_node_int(ctx->node, "group"), x, w, bias, err));
    y->rank = rank;
    y->dims[0] = x->rank < 0 ? HONE_DIM_ANY : x->dims[0];
    y->dims[1] = w->dims[0];
    return hone_window_infer(ctx, &window, x, y, err);
}

static void axes(const hone_node *n, hone_axes *out) {
    if (n->outputs[0]->type.rank < 3) return;
    hone_axes_same(out, X, 0, 0);
    if (hone_node_int(n, "group") != 1) return; /* as many channels as before would have to stay */
    hone_axes_same(out, W, 0, 1);
    hone_axes_contract(out, X, 1, W, 1);
    if (n->input_count > B && n->inputs[B]) hone_axes_same(out, B, 0, 1);
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_type_count(out) * hone_dims_product(in[W], 1, in[W]->rank);
}

/* --- running --- */

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[X], *w = p->in[W];
    hone_window window;
    HONE_TRY(hone_window_read(p->node, x->rank, w->dims + 2, &window, err));
    hone_product s = HONE_PRODUCT_INIT;
    hone_windows windows = hone_windows_of(&window, w->dims[1], x, &p->out[0]);
    s.kind = p->out[0].dtype == HONE_FLOAT64 ? HONE_GEMM_F64 : HONE_GEMM_F32;
    s.a = W;
    s.b = X;
    if (p->in_count > B && (!p->node->map || p->node->map_input > B) && p->in[B]) s.bias = B;
    s.patches = &windows;
    s.groups = hone_node_int(p->node, "group");
    s.m = w->dims[0] / s.groups;
    s.k = s.a_row = hone_dims_product(w, 1, w->rank);
    s.a_col = 1;
    s.n = hone_windows_positions(&windows);
    s.batch = x->dims[0] * s.groups;
    return hone_product_prepare(p, &s, err);
}

const hone_op hone_op_conv = {
    .name = "Conv",
    .since = 22,
    .oldest = 1,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"W", 'T', FLOATS, HONE_SLOT_WEIGHT},
                         {"B", 'T', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {"group", HONE_ATTR_INT, .i = 1}),
    .infer = infer,
    .axes = axes,
    .multiply_adds = multiply_adds,
    .prepare = prepare,
    .epilogue = true,
    .doc = "windows of weights over images of one to three axes, in groups of channels"};
