/* BitCast: the same bits as elements of another type of the same size. */
#include "graph/infer.h"
#include "ops/common/axes.h"

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int64_t to = hone_node_int(ctx->node, "to");
    hone_dtype from = ctx->in[0]->dtype;
    if (to < 0 || to >= HONE_DTYPE_COUNT || !(HONE_TYPES_STORED & HONE_TYPE(to)))
        return hone_infer_fail(ctx, err, "to dtype %lld is not supported", (long long)to);
    if (from != HONE_UNDEFINED && hone_dtype_bits(from) != hone_dtype_bits((hone_dtype)to))
        return hone_infer_fail(ctx, err, "elements of %d bits cannot be %s", hone_dtype_bits(from),
                               hone_dtype_name((hone_dtype)to));
    HONE_TRY(hone_infer_same(ctx, err));
    ctx->out[0].dtype = (hone_dtype)to;
    return HONE_OK;
}

const hone_op hone_op_bit_cast = {.name = "BitCast",
                                  .since = 26,
                                  .oldest = 26,
                                  .inputs = HONE_SLOTS({"input", 0, HONE_TYPES_STORED, 0}),
                                  .outputs = HONE_SLOTS({"output", 0, HONE_TYPES_STORED, 0}),
                                  .attrs = HONE_ATTRS({"to", HONE_ATTR_INT, .required = true}),
                                  .infer = infer,
                                  .axes = hone_axes_broadcast,
                                  .view = hone_view_whole,
                                  .doc = "the same bits as elements of another type"};
