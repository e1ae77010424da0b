/* DeformConv: a convolution whose taps are read elsewhere, between elements: each tap of each position has
 * an offset, and may have a factor. It is the product of its weights and of patches that are sampled:
 *
 *   Y [N, M, …] = W [group, M / group, rows] DeformPatches [N, group, rows, positions] + B
 *
 * Rows are (channel of the group, tap). Offsets [N, offset_group taps rank, …] are by (group, tap, axis). */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/walk.h"
#include "ops/nn/deform.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
enum { X, W, OFFSET, B, MASK };

/* --- shapes --- */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[X], *w = ctx->in[W], *offset = ctx->in[OFFSET];
    const hone_type *bias = ctx->input_count > B ? ctx->in[B] : NULL,
                    *mask = ctx->input_count > MASK ? ctx->in[MASK] : NULL;
    hone_type *y = &ctx->out[0];
    int64_t same, group = hone_node_int(ctx->node, "group"), positions[HONE_WINDOW_AXES];
    hone_window window;
    if (group < 1) return hone_infer_fail(ctx, err, "group %lld", (long long)group);
    if (x->rank < 0 || w->rank < 0) return HONE_OK;
    if (x->rank != w->rank)
        return hone_infer_fail(ctx, err, "weights of rank %d for an input of rank %d", w->rank, x->rank);
    HONE_TRY(hone_window_read(ctx->node, x->rank, w->dims + 2, &window, err));
    HONE_TRY(hone_deform_check(ctx, &window, x, offset, mask, positions, err));
    if (w->dims[0] >= 0 && w->dims[0] % group != 0)
        return hone_infer_fail(ctx, err, "%lld channels in %lld groups", (long long)w->dims[0],
                               (long long)group);
    if (x->dims[1] >= 0) HONE_TRY(hone_infer_same_dim(ctx, x->dims[1] / group, w->dims[1], &same, err));
    if (bias && bias->rank >= 0 && bias->rank != 1)
        return hone_infer_fail(ctx, err, "the bias must be a vector");
    if (bias && bias->rank == 1) HONE_TRY(hone_infer_same_dim(ctx, w->dims[0], bias->dims[0], &same, err));
    y->rank = x->rank;
    y->dims[0] = x->dims[0];
    y->dims[1] = w->dims[0];
    for (int i = 0; i < window.axes; i++) y->dims[2 + i] = positions[i];
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    if (n->outputs[0]->type.rank < 3) return;
    hone_axes_same(out, X, 0, 0);
    hone_axes_same(out, OFFSET, 0, 0);
    if (n->input_count > MASK && n->inputs[MASK]) hone_axes_same(out, MASK, 0, 0);
    if (hone_node_int(n, "group") != 1) return;
    hone_axes_same(out, W, 0, 1);
    if (n->input_count > B && n->inputs[B]) hone_axes_same(out, B, 0, 1);
    if (hone_node_int(n, "offset_group") == 1) hone_axes_contract(out, X, 1, W, 1);
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_type_count(out) * hone_dims_product(in[W], 1, in[W]->rank);
}

/* --- as a product --- */

static hone_value *dims_of(hone_graph *g, hone_value *v, int64_t start, int64_t end) {
    hone_value *y = HONE_EMIT(g, "", "Shape", v);
    if (!y) return NULL;
    hone_node_set_int(g, y->producer, "start", start);
    hone_node_set_int(g, y->producer, "end", end);
    return y;
}

/* `y` [images, group, …, positions] as [images, channels, the positions' dimensions], which the offsets
 * have. */
static hone_value *as_images(hone_graph *g, hone_value *y, int64_t channels, hone_value *offset) {
    int rank = offset->type.rank > 0 ? offset->type.rank : HONE_MAX_RANK;
    hone_value *shape = HONE_EMIT(g, "", "Concat", dims_of(g, offset, 0, 1), hone_graph_ints(g, &channels, 1),
                                  dims_of(g, offset, 2, rank));
    if (shape) hone_node_set_int(g, shape->producer, "axis", 0);
    hone_value *images = HONE_EMIT(g, "", "Reshape", y, shape);
    if (images) hone_node_set_int(g, images->producer, "allowzero", 1);
    return images;
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_type *w = &n->inputs[W]->type;
    hone_value *bias = n->input_count > B ? n->inputs[B] : NULL,
               *mask = n->input_count > MASK ? n->inputs[MASK] : NULL;
    int64_t group = hone_node_int(n, "group");
    if (w->rank < 3 || hone_known_product(w->dims, w->rank) < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "weights of unknown shape");
    hone_node *patches = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "DeformPatches"), n->name,
                                             3, (hone_value *[]){n->inputs[X], n->inputs[OFFSET], mask}, 1);
    if (!patches) return HONE_OK;
    hone_node_copy_attrs(g, patches, n);
    hone_node_set_ints(g, patches, "kernel_shape", w->dims + 2, (size_t)w->rank - 2);
    int64_t rows[] = {group, w->dims[0] / group, hone_known_product(w->dims + 1, w->rank - 1)};
    hone_value *weights = HONE_EMIT(g, "", "Reshape", n->inputs[W], hone_graph_ints(g, rows, 3));
    if (weights) hone_node_set_int(g, weights->producer, "allowzero", 1);
    hone_value *y = HONE_EMIT(g, "", "MatMul", weights, patches->outputs[0]);
    y = as_images(g, y, w->dims[0], n->inputs[OFFSET]);
    if (bias) {
        int64_t axes[HONE_MAX_RANK];
        for (int i = 0; i < w->rank - 2; i++) axes[i] = 1 + i;
        y = HONE_EMIT(g, "", "Add", y,
                      HONE_EMIT(g, "", "Unsqueeze", bias, hone_graph_ints(g, axes, w->rank - 2)));
    }
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

const hone_op hone_op_deform_conv = {
    .name = "DeformConv",
    .since = 22,
    .oldest = 19,
    .inputs = HONE_SLOTS(
        {"X", 'T', FLOATS, 0}, {"W", 'T', FLOATS, HONE_SLOT_WEIGHT}, {"offset", 'T', FLOATS, 0},
        {"B", 'T', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS | HONE_SLOT_OPTIONAL}, {"mask", 'T', FLOATS, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(HONE_DEFORM_ATTRS),
    .infer = infer,
    .axes = axes,
    .multiply_adds = multiply_adds,
    .expand = expand,
    .doc = "a convolution whose taps are read at offsets, between elements"};
