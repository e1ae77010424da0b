/* ConvTranspose: the transpose of a convolution with the same attributes. */
#include "ops/nn/conv_transpose.h"
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/walk.h"
#include "ops/engine/transposed.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

enum { X, W, B };

/* --- shapes --- X [N, C, …], W [C, M / group, taps …], B [M], Y [N, M, …] */

/* Output dimensions that the node asks for, a list for all axes or for the spatial ones; NULL: none. */
static hone_status asked(const hone_node *n, const char *name, int axes, int64_t least, const int64_t **out,
                         hone_error *err) {
    size_t count;
    const int64_t *given = hone_node_ints(n, name, &count);
    *out = NULL;
    if (!given || count == 0) return HONE_OK;
    if (count != (size_t)axes && count != (size_t)axes + 2)
        return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n),
                              "%s has %zu numbers for %d axes", name, count, axes);
    *out = given + (count - (size_t)axes);
    for (int i = 0; i < axes; i++)
        if ((*out)[i] < least || (*out)[i] > INT32_MAX)
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n),
                                  "%s can't have %lld", name, (long long)(*out)[i]);
    return HONE_OK;
}

/* The pads of a window whose transpose gives `total` elements fewer than without any. */
static void divide(hone_window *w, int axis, int64_t total, bool upper) {
    int64_t half = total >= 0 ? total / 2 : -((1 - total) / 2);
    w->pad[axis] = upper ? half : total - half;
    w->end[axis] = total - w->pad[axis];
}

hone_status hone_conv_transpose_window(const hone_node *n, const hone_type *x, const hone_type *w,
                                       hone_window *window, int64_t *dims, hone_error *err) {
    int64_t own[HONE_WINDOW_AXES];
    const int64_t *shape, *more;
    if (!dims) dims = own;
    HONE_TRY(hone_window_read(n, w->rank, w->dims + 2, window, err));
    HONE_TRY(asked(n, "output_shape", window->axes, 1, &shape, err));
    HONE_TRY(asked(n, "output_padding", window->axes, 0, &more, err));
    bool upper = window->auto_pad == HONE_PAD_SAME_UPPER;
    bool same = upper || window->auto_pad == HONE_PAD_SAME_LOWER;
    for (int i = 0; i < window->axes; i++) {
        int64_t size = x->rank < 0 ? HONE_DIM_ANY : x->dims[2 + i], taps = window->kernel[i];
        int64_t stride = window->stride[i], rest = (taps - 1) * window->dilation[i] + 1 - stride;
        dims[i] = HONE_DIM_ANY;
        if (taps < 0) continue;
        if (more) rest += more[i]; /* without pads: size * stride + rest */
        if (shape && size >= 0)
            divide(window, i, size * stride + rest - shape[i], upper);
        else if (same && !shape)
            divide(window, i, rest > 0 ? rest : 0, upper);
        int64_t pads = window->pad[i] + window->end[i];
        if (shape)
            dims[i] = shape[i];
        else if (size >= 0)
            dims[i] = size == 0 ? 0 : size * stride + rest - pads;
        else if (stride == 1 && rest == pads)
            dims[i] = size;
        if (size >= 0 && dims[i] < 0)
            return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n),
                                  "pads of %lld leave nothing of an axis of %lld", (long long)pads,
                                  (long long)(size * stride + rest));
    }
    window->auto_pad = HONE_PAD_GIVEN;
    return HONE_OK;
}

static hone_status check_channels(const hone_infer *ctx, int64_t group, const hone_type *x,
                                  const hone_type *w, const hone_type *bias, int64_t m, hone_error *err) {
    int64_t d;
    if (group < 1) return hone_infer_fail(ctx, err, "group %lld", (long long)group);
    if (w->dims[0] >= 0 && w->dims[0] % group != 0)
        return hone_infer_fail(ctx, err, "%lld channels in %lld groups", (long long)w->dims[0],
                               (long long)group);
    if (x->rank > 1) HONE_TRY(hone_infer_same_dim(ctx, x->dims[1], w->dims[0], &d, err));
    if (!bias || bias->rank < 0) return HONE_OK;
    if (bias->rank != 1) return hone_infer_fail(ctx, err, "the bias must be a vector");
    return hone_infer_same_dim(ctx, m, bias->dims[0], &d, err);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X], *w = ctx->in[W], *bias = ctx->input_count > B ? ctx->in[B] : NULL;
    hone_type *y = &ctx->out[0];
    int64_t group = hone_node_int(ctx->node, "group"), dims[HONE_WINDOW_AXES];
    int rank = w->rank >= 0 ? w->rank : x->rank;
    hone_window window;
    if (rank < 0) return HONE_OK;
    if (x->rank >= 0 && x->rank != rank)
        return hone_infer_fail(ctx, err, "weights of rank %d for an input of rank %d", w->rank, x->rank);
    hone_type any = {.rank = rank};
    for (int i = 0; i < rank; i++) any.dims[i] = HONE_DIM_ANY;
    if (w->rank < 0) w = &any;
    HONE_TRY(hone_conv_transpose_window(ctx->node, x, w, &window, dims, err));
    int64_t m = w->dims[1] < 0 ? HONE_DIM_ANY : w->dims[1] * group;
    HONE_TRY(check_channels(ctx, group, x, w, bias, m, err));
    y->rank = rank;
    y->dims[0] = x->rank < 0 ? HONE_DIM_ANY : x->dims[0];
    y->dims[1] = m < 0 && bias && bias->rank == 1 ? bias->dims[0] : m;
    for (int i = 0; i < window.axes; i++) y->dims[2 + i] = dims[i];
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    if (n->outputs[0]->type.rank < 3) return;
    hone_axes_same(out, X, 0, 0);
    if (hone_node_int(n, "group") != 1) return;
    hone_axes_same(out, W, 1, 1);
    hone_axes_contract(out, X, 1, W, 0);
    if (n->input_count > B && n->inputs[B]) hone_axes_same(out, B, 0, 1);
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    (void)out;
    return hone_type_count(in[X]) * hone_dims_product(in[W], 1, in[W]->rank);
}

/* --- running --- */

/* All but what the input's shape decides. */
static hone_transposed transposed_of(const hone_node *n, const hone_type *w) {
    hone_transposed t = {.groups = hone_node_int(n, "group"), .x = X, .weights = W, .bias = -1};
    t.channels = w->dims[0] / t.groups;
    return t;
}

/* Weights in order depend on no dimension of the input. */
static hone_status pack(hone_packer *p, const hone_node *n, hone_error *err) {
    const hone_type *w = &n->inputs[W]->type;
    hone_window window;
    if (!hone_type_is_concrete(w)) return HONE_OK;
    HONE_TRY(hone_window_read(n, w->rank, w->dims + 2, &window, err));
    hone_transposed t = transposed_of(n, w);
    t.w = hone_windows_of(&window, w->dims[1], w, w); /* extents are of no matter */
    return hone_transposed_pack(p, W, &t, w->dtype, err);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[X], *w = p->in[W];
    int64_t dims[HONE_WINDOW_AXES];
    hone_window window;
    HONE_TRY(hone_conv_transpose_window(p->node, x, w, &window, dims, err));
    hone_transposed t = transposed_of(p->node, w);
    t.w = hone_windows_of(&window, w->dims[1], &p->out[0], x);
    t.batch = x->dims[0];
    if (p->in_count > B && p->in[B]) t.bias = B;
    return hone_transposed_prepare(p, &t, err);
}

static void gradient(hone_gradient *ctx) {
    hone_conv_gradient(ctx, "ConvTransposeGradX", "ConvTransposeGradW", true);
}

const hone_op hone_op_conv_transpose = {
    .name = "ConvTranspose",
    .since = 22,
    .oldest = 1,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"W", 'T', FLOATS, HONE_SLOT_WEIGHT},
                         {"B", 'T', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS | HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(HONE_CONV_TRANSPOSE_ATTRS),
    .infer = infer,
    .axes = axes,
    .multiply_adds = multiply_adds,
    .pack = pack,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "the transpose of a convolution: what each window spreads over the output"};
