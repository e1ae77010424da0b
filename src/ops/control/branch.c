/* If: one of two subgraphs runs. */
#include "graph/infer.h"

/* The branch that will run, where that is known; -1: it is not. */
static int taken(const hone_infer *ctx) {
    const hone_tensor *cond = ctx->constant[0];
    return cond && cond->count == 1 ? !*(const uint8_t *)cond->data : -1;
}

/* What holds for both branches, or for the one that can run: a branch whose shapes don't fit is one for other shapes, and
 * fails when it is taken. */
static hone_status join_outputs(hone_infer *ctx, hone_graph *const *branch, hone_type *types,
                                hone_error *err) {
    size_t count = branch[0]->output_count;
    hone_error why[2];
    hone_status status[2];
    int only = taken(ctx);
    for (int i = 0; i < 2; i++) {
        status[i] = hone_infer_subgraph(ctx, branch[i], NULL, types + (size_t)i * count, &why[i]);
        if (status[i] == HONE_OK || (status[i] == HONE_INVALID_ARGUMENT && only != i)) continue;
        if (err) *err = why[i];
        return status[i];
    }
    if (status[0] != HONE_OK && status[1] != HONE_OK) {
        if (err) *err = why[0];
        return status[0];
    }
    if (only < 0 && status[0] != status[1]) only = status[0] != HONE_OK;
    for (int i = 0; i < ctx->output_count; i++) {
        hone_type *a = &types[i], *b = &types[count + (size_t)i];
        ctx->out[i] = only == 1 ? *b : *a;
        if (only >= 0 || hone_type_join(&ctx->out[i], b)) continue;
        char ta[96], tb[96];
        return hone_infer_fail(ctx, err, "output %d is %s of one branch and %s of the other", i,
                               hone_type_format(branch[0], a, ta, sizeof ta),
                               hone_type_format(branch[1], b, tb, sizeof tb));
    }
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    hone_graph *branch[2];
    HONE_TRY(hone_infer_one_element(ctx, 0, err));
    for (int i = 0; i < 2; i++) {
        branch[i] = hone_node_graph(ctx->node, ctx->node->op->attrs[i].name);
        if (!branch[i]) return hone_infer_fail(ctx, err, "%s is missing", ctx->node->op->attrs[i].name);
        if (branch[i]->input_count)
            return hone_infer_fail(ctx, err, "%s has inputs; a branch has none",
                                   ctx->node->op->attrs[i].name);
    }
    size_t count = branch[0]->output_count;
    if (count != branch[1]->output_count || (size_t)ctx->output_count > count)
        return hone_infer_fail(ctx, err, "the branches give %zu and %zu outputs, the node has %d", count,
                               branch[1]->output_count, ctx->output_count);
    hone_type *types = hone_calloc(2 * count + 1, sizeof *types);
    if (!types) return hone_fail_memory(err);
    hone_status status = join_outputs(ctx, branch, types, err);
    hone_free(types);
    return status;
}

const hone_op hone_op_if = {
    .name = "If",
    .since = 25,
    .oldest = 1,
    .role = HONE_ROLE_BRANCH,
    .inputs = HONE_SLOTS({"cond", 0, HONE_TYPE(HONE_BOOL), 0}),
    .outputs = HONE_SLOTS({"outputs", 0, HONE_TYPES_ALL, HONE_SLOT_VARIADIC, HONE_KINDS_ALL}),
    .attrs = HONE_ATTRS({"then_branch", HONE_ATTR_GRAPH, .required = true},
                        {"else_branch", HONE_ATTR_GRAPH, .required = true}),
    .infer = infer,
    .doc = "runs one of two subgraphs"};
