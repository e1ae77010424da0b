/* Other shapes for the same bytes, for gradients. */
#include "graph/infer.h"

#include <string.h>

#define ANY HONE_TYPES_ALL

static hone_status infer_reshape_like(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = ctx->in[1]->rank;
    memcpy(ctx->out[0].dims, ctx->in[1]->dims, sizeof ctx->out[0].dims);
    return HONE_OK;
}

const hone_op hone_op_reshape_like = {.domain = HONE_PRIVATE_DOMAIN,
                                      .name = "ReshapeLike",
                                      .since = 1,
                                      .inputs = HONE_SLOTS({"X", 'T', ANY, 0}, {"like", 0, ANY, 0}),
                                      .outputs = HONE_SLOTS({"Y", 'T', ANY, 0}),
                                      .infer = infer_reshape_like,
                                      .view = hone_view_whole,
                                      .quantize = HONE_QUANTIZE_BITS,
                                      .doc = "X in the shape of another tensor with as many elements"};

static hone_status infer_insert_axis(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    int axis;
    if (x->rank < 0) return HONE_OK;
    if (x->rank == HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "a tensor cannot have more than %d axes", HONE_MAX_RANK);
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, true, &axis, err));
    y->rank = x->rank + 1;
    for (int i = 0; i < y->rank; i++) y->dims[i] = i == axis ? 1 : x->dims[i < axis ? i : i - 1];
    return HONE_OK;
}

const hone_op hone_op_insert_axis = {.domain = HONE_PRIVATE_DOMAIN,
                                     .name = "InsertAxis",
                                     .since = 1,
                                     .inputs = HONE_SLOTS({"X", 'T', ANY, 0}),
                                     .outputs = HONE_SLOTS({"Y", 'T', ANY, 0}),
                                     .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = 0}),
                                     .infer = infer_insert_axis,
                                     .view = hone_view_whole,
                                     .quantize = HONE_QUANTIZE_BITS,
                                     .doc = "X with an axis of size 1 more"};
