/* SequenceMap: a subgraph runs once for each item of a sequence. */
#include "graph/infer.h"

#include "base/memory.h"

/* What the body gets of each input: an item of a sequence, a tensor as it is. */
static hone_status infer_body(hone_infer *ctx, hone_graph *body, hone_type *in, hone_type *out,
                              hone_error *err) {
    if (body->input_count != (size_t)ctx->input_count)
        return hone_infer_fail(ctx, err, "the body has %zu inputs and needs %d", body->input_count,
                               ctx->input_count);
    if (body->output_count != (size_t)ctx->output_count)
        return hone_infer_fail(ctx, err, "the body gives %zu outputs, the node has %d", body->output_count,
                               ctx->output_count);
    for (int i = 0; i < ctx->input_count; i++)
        in[i] = ctx->in[i]->kind == HONE_KIND_SEQUENCE ? *hone_type_any(ctx->in[i]->dtype) : *ctx->in[i];
    HONE_TRY(hone_infer_subgraph(ctx, body, in, out, err));
    for (int o = 0; o < ctx->output_count; o++) {
        if (out[o].kind != HONE_KIND_TENSOR)
            return hone_infer_fail(ctx, err, "output %d of the body is no tensor", o);
        ctx->out[o] = *hone_type_any_sequence(out[o].dtype);
    }
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    hone_graph *body = hone_node_graph(ctx->node, ctx->node->op->attrs[0].name);
    if (!body) return hone_infer_fail(ctx, err, "the body is missing");
    hone_type *types = hone_calloc((size_t)ctx->input_count + body->output_count + 1, sizeof *types);
    if (!types) return hone_fail_memory(err);
    hone_status status = infer_body(ctx, body, types, types + ctx->input_count, err);
    hone_free(types);
    return status;
}

const hone_op hone_op_sequence_map = {
    .name = "SequenceMap",
    .since = 17,
    .oldest = 17,
    .role = HONE_ROLE_ITEMS,
    .inputs = HONE_SLOTS({"input_sequence", 0, HONE_TYPES_ALL, 0, HONE_KIND(HONE_KIND_SEQUENCE)},
                         {"additional_inputs", 0, HONE_TYPES_ALL, HONE_SLOT_VARIADIC | HONE_SLOT_OPTIONAL,
                          HONE_KIND(HONE_KIND_SEQUENCE) | HONE_KIND(HONE_KIND_TENSOR)}),
    .outputs =
        HONE_SLOTS({"out_sequence", 0, HONE_TYPES_ALL, HONE_SLOT_VARIADIC, HONE_KIND(HONE_KIND_SEQUENCE)}),
    .attrs = HONE_ATTRS({"body", HONE_ATTR_GRAPH, .required = true}),
    .infer = infer,
    .doc = "runs a subgraph for each item of a sequence"};
