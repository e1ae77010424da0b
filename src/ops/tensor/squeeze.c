/* Squeeze and Unsqueeze: axes of size 1 go, or come. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/reshape.h"

#include <string.h>

/* The axes that input 1 lists, of a tensor of `rank`; false: not known. */
static hone_status mask_of(const hone_infer *ctx, int rank, bool *mask, bool *known, hone_error *err) {
    hone_content c;
    memset(mask, 0, HONE_MAX_RANK * sizeof *mask);
    *known = hone_infer_items(ctx, 1, &c) && hone_content_is_known(&c);
    for (int i = 0; *known && i < c.count; i++) {
        int axis;
        HONE_TRY(hone_infer_axis(ctx, c.item[i].value, rank, false, &axis, err));
        if (mask[axis]) return hone_infer_fail(ctx, err, "axis %d is there twice", axis);
        mask[axis] = true;
    }
    return HONE_OK;
}

static hone_status infer_squeeze(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    bool mask[HONE_MAX_RANK], known, all = ctx->input_count < 2 || !ctx->in[1];
    if (x->rank < 0) return HONE_OK;
    if (!all) {
        HONE_TRY(mask_of(ctx, x->rank, mask, &known, err));
        if (!known) return HONE_OK;
    }
    for (int i = 0; i < x->rank && all; i++) {
        if (x->dims[i] < 0) return HONE_OK; /* it may be 1 */
        mask[i] = x->dims[i] == 1;
    }
    y->rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (mask[i] && x->dims[i] >= 0 && x->dims[i] != 1)
            return hone_infer_fail(ctx, err, "axis %d has %lld elements, not 1", i, (long long)x->dims[i]);
        if (!mask[i]) y->dims[y->rank++] = x->dims[i];
    }
    return HONE_OK;
}

static hone_status infer_unsqueeze(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *axes = ctx->in[1];
    hone_type *y = &ctx->out[0];
    bool mask[HONE_MAX_RANK], known;
    if (x->rank < 0 || axes->rank < 0) return HONE_OK;
    int64_t more = axes->rank == 0 ? 1 : axes->dims[0];
    if (more < 0) return HONE_OK;
    if (more > HONE_MAX_RANK - x->rank)
        return hone_infer_fail(ctx, err, "a tensor cannot have more than %d axes", HONE_MAX_RANK);
    int rank = x->rank + (int)more, from = 0;
    HONE_TRY(mask_of(ctx, rank, mask, &known, err));
    y->rank = rank;
    for (int i = 0; i < rank; i++) y->dims[i] = !known ? HONE_DIM_ANY : mask[i] ? 1 : x->dims[from++];
    return HONE_OK;
}

/* Axes that are no ones follow one another in both. */
static void axes_of(const hone_node *n, hone_axes *out) {
    const hone_type *x = &n->inputs[0]->type, *y = &n->outputs[0]->type;
    for (int i = 0, j = 0; i < x->rank && y->rank >= 0; i++) {
        if (x->dims[i] == 1) continue;
        while (j < y->rank && y->dims[j] == 1) j++;
        if (j == y->rank || x->dims[i] != y->dims[j] || x->dims[i] == HONE_DIM_ANY) return;
        hone_axes_same(out, 0, i, j++);
    }
}

static void gradient(hone_gradient *ctx) {
    hone_value *x = ctx->node->inputs[0];
    if (ctx->wanted[0]) ctx->din[0] = hone_emit_reshape(ctx->graph, ctx->dout[0], &x->type, x);
}

/* Before opset 13 the axes were an attribute. */
static hone_status lift_axes(hone_graph *g, hone_node *n, hone_error *err) {
    size_t count;
    const int64_t *axes = hone_node_ints(n, "axes", &count);
    g->insert_before = n;
    if (count) hone_node_set_input(g, n, 1, hone_graph_ints(g, axes, (int64_t)count));
    g->insert_before = NULL;
    return hone_graph_check(g, err);
}

static const hone_attr_def axes_1[] = {{"axes", HONE_ATTR_INTS}, {NULL}};

#define COMMON                                                                                               \
    .oldest = 1, .older = (const hone_op_version[]){{13, NULL, NULL}, {1, axes_1, lift_axes}, {0}},          \
    .outputs = HONE_SLOTS({"out", 'T', HONE_TYPES_ALL, 0}), .axes = axes_of, .view = hone_view_whole,        \
    .gradient_kind = HONE_GRADIENT_EXACT, .gradient = gradient, .quantize = HONE_QUANTIZE_BITS

const hone_op hone_op_squeeze = {
    .name = "Squeeze",
    .since = 25,
    COMMON,
    .inputs = HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, 0},
                         {"axes", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}),
    .infer = infer_squeeze,
    .doc = "without axes of size 1: all of them, or those listed"};

const hone_op hone_op_unsqueeze = {.name = "Unsqueeze",
                                   .since = 25,
                                   COMMON,
                                   .inputs = HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, 0},
                                                        {"axes", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_SHAPE}),
                                   .infer = infer_unsqueeze,
                                   .doc = "with axes of size 1 at the places listed"};
