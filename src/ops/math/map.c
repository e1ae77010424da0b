/* The fused form of all elementwise operators. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/engine/elementwise.h"

/* Any number of operands; what it does is the node's map. */
static hone_status infer_map(hone_infer *ctx, hone_error *err) {
    const hone_map *m = ctx->node->map;
    if (!m || m->outputs != ctx->output_count) return hone_infer_fail(ctx, err, "the node has no program");
    HONE_TRY(hone_infer_elementwise(ctx, err));
    for (int o = 0; o < ctx->output_count; o++) {
        ctx->out[o] = ctx->out[0];
        ctx->out[o].dtype = hone_map_output_dtype(m, o);
    }
    return HONE_OK;
}

static void map_map(hone_map *m, const hone_node *n) {
    hone_map_inline(m, n->map, m->operand, m->result);
}

const hone_op hone_op_map = {.domain = HONE_PRIVATE_DOMAIN,
                             .name = "Map",
                             .since = 1,
                             .inputs = HONE_SLOTS({"operands", 0, HONE_TYPES_FIXED, HONE_SLOT_VARIADIC}),
                             .outputs = HONE_SLOTS({"results", 0, HONE_TYPES_FIXED, HONE_SLOT_VARIADIC}),
                             .infer = infer_map,
                             .axes = hone_axes_broadcast,
                             .prepare = hone_prepare_elementwise,
                             .map = map_map,
                             .overwrite = 0xffffffffu,
                             .doc = "several elementwise operators as one vector program"};
