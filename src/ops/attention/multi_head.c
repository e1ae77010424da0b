/* com.microsoft MultiHeadAttention: Q, K and V are given. */
#include "graph/infer.h"
#include "ops/attention/microsoft.h"
#include "ops/common/emit.h"

#define REAL (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define INT32 HONE_TYPE(HONE_INT32)

enum { Q, K, V, BIAS, MASK, SCORE_BIAS, PAST_KEY, PAST_VALUE, PAST_LENGTH, INDIRECTION };
enum { Y, PRESENT_KEY, PRESENT_VALUE, QK };

static const hone_type *type_of(const hone_infer *ctx, int i) {
    return i < ctx->input_count ? ctx->in[i] : NULL;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *q = ctx->in[Q], *k = type_of(ctx, K), *v = type_of(ctx, V),
                    *past = type_of(ctx, PAST_KEY);
    const int64_t heads = hone_node_int(ctx->node, "num_heads");
    if (heads <= 0) return hone_infer_fail(ctx, err, "num_heads %lld", (long long)heads);
    for (int o = 1; o < ctx->output_count; o++) ctx->out[o].dtype = q->dtype;
    if (q->rank < 0) return HONE_OK;
    if (!k || !v || q->rank != 3)
        return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, hone_node_op_name(ctx->node),
                              "Q, K and V in one tensor");
    if (k->rank < 0 || v->rank < 0) return HONE_OK;
    if (k->rank != v->rank || (k->rank != 3 && k->rank != 4))
        return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, hone_node_op_name(ctx->node),
                              "K of rank %d and V of rank %d", k->rank, v->rank);
    bool counted = k->rank == 3;
    int64_t keys = k->dims[counted ? 1 : 2], width = v->dims[counted ? 2 : 3], all = keys;
    if (q->dims[2] >= 0 && q->dims[2] % heads)
        return hone_infer_fail(ctx, err, "%lld elements make no %lld heads", (long long)q->dims[2],
                               (long long)heads);
    if (counted && width >= 0) width /= heads;
    if (past) all = past->rank == 4 ? hone_microsoft_sum(past->dims[2], keys) : HONE_DIM_ANY;
    const int64_t y[] = {q->dims[0], q->dims[1], width >= 0 ? width * heads : HONE_DIM_ANY},
                  key[] = {q->dims[0], heads, all, q->dims[2] >= 0 ? q->dims[2] / heads : HONE_DIM_ANY},
                  value[] = {q->dims[0], heads, all, width}, qk[] = {q->dims[0], heads, q->dims[1], all};
    const hone_type types[] = {hone_type_make(q->dtype, 3, y), hone_type_make(q->dtype, 4, key),
                               hone_type_make(q->dtype, 4, value), hone_type_make(q->dtype, 4, qk)};
    for (int o = 0; o < ctx->output_count; o++) ctx->out[o] = types[o];
    return HONE_OK;
}

/* Part [from, to) of the bias is added to v. */
static hone_value *biased(hone_graph *g, hone_value *v, hone_value *bias, int64_t from, int64_t to) {
    return bias ? HONE_EMIT(g, "", "Add", v, hone_emit_part(g, bias, 0, from, to)) : v;
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_type *q = &n->inputs[Q]->type, *k = &n->inputs[K]->type;
    const hone_dtype computes = hone_wide_dtype(q->dtype);
    hone_value *bias = hone_emit_wide(g, hone_input(n, BIAS), computes);
    if (hone_input(n, INDIRECTION) || hone_input(n, PAST_LENGTH))
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n), "caches that are shared");
    if (q->rank < 0 || k->rank < 0 || (bias && q->dims[2] < 0))
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "operands of unknown size");
    const int64_t hidden = q->dims[2];
    hone_microsoft a = {.n = n,
                        .computes = computes,
                        .q = biased(g, hone_emit_wide(g, n->inputs[Q], computes), bias, 0, hidden),
                        .k = hone_emit_wide(g, n->inputs[K], computes),
                        .v = hone_emit_wide(g, n->inputs[V], computes),
                        .counted = k->rank == 3,
                        .heads = hone_node_int(n, "num_heads"),
                        .past_key = hone_emit_wide(g, hone_input(n, PAST_KEY), computes),
                        .past_value = hone_emit_wide(g, hone_input(n, PAST_VALUE), computes),
                        .mask = hone_input(n, MASK),
                        .bias = hone_emit_wide(g, hone_input(n, SCORE_BIAS), computes),
                        .causal = hone_node_int(n, "unidirectional") != 0,
                        .keep_scores = hone_output(g, n, QK) != NULL};
    if (a.counted) {
        a.k = biased(g, a.k, bias, hidden, 2 * hidden);
        a.v = biased(g, a.v, bias, 2 * hidden, INT32_MAX);
    }
    HONE_TRY(hone_microsoft_attend(g, &a, hone_output(g, n, PRESENT_KEY) || hone_output(g, n, PRESENT_VALUE),
                                   err));
    hone_give_output(g, n, Y, a.y, computes);
    hone_give_output(g, n, PRESENT_KEY, a.key, computes);
    hone_give_output(g, n, PRESENT_VALUE, a.value, computes);
    if (a.keep_scores) hone_give_output(g, n, QK, a.scores, computes);
    return hone_graph_check(g, err);
}

#define OPTIONAL HONE_SLOT_OPTIONAL

const hone_op hone_op_microsoft_multi_head_attention = {
    .domain = "com.microsoft",
    .name = "MultiHeadAttention",
    .since = 1,
    .oldest = 1,
    .inputs =
        HONE_SLOTS({"query", 'T', REAL, 0}, {"key", 'T', REAL, OPTIONAL}, {"value", 'T', REAL, OPTIONAL},
                   {"bias", 'T', REAL, OPTIONAL}, {"key_padding_mask", 0, INT32, OPTIONAL},
                   {"attention_bias", 'T', REAL, OPTIONAL}, {"past_key", 'T', REAL, OPTIONAL},
                   {"past_value", 'T', REAL, OPTIONAL}, {"past_sequence_length", 0, INT32, OPTIONAL},
                   {"cache_indirection", 0, INT32, OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', REAL, 0}, {"present_key", 'T', REAL, OPTIONAL},
                          {"present_value", 'T', REAL, OPTIONAL}, {"qk", 'T', REAL, OPTIONAL}),
    .attrs =
        HONE_ATTRS({"num_heads", HONE_ATTR_INT, .required = true}, {"scale", HONE_ATTR_FLOAT},
                   {"mask_filter_value", HONE_ATTR_FLOAT, .f = -10000}, {"unidirectional", HONE_ATTR_INT}),
    .infer = infer,
    .expand = expand,
    .doc = "attention of heads of Q to those of K and V, with biases, masks and caches"};
