/* ONNX's Attention (23 to 25): caches grow by what is new, then a ScaledDotProduct (core.h). */
#include "graph/infer.h"
#include "ops/attention/core.h"
#include "ops/common/emit.h"

#define REAL (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define MASKS                                                                                                \
    (REAL | HONE_TYPES_INT | HONE_TYPES_BYTE | HONE_TYPE(HONE_BOOL) | HONE_TYPE(HONE_INT16) |                \
     HONE_TYPE(HONE_UINT16) | HONE_TYPE(HONE_UINT32) | HONE_TYPE(HONE_UINT64))

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, END };
enum { Y, PRESENT_KEY, PRESENT_VALUE, QK };

/* --- shapes --- */

static int64_t times(int64_t a, int64_t b) {
    int64_t product;
    return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, &product) ? product : HONE_DIM_ANY;
}

/* Input i as [B, heads, S, width], as far as it is known. */
static hone_status split_heads(const hone_infer *ctx, int i, const char *heads_name, int64_t *dims,
                               hone_error *err) {
    const hone_type *t = ctx->in[i];
    const int64_t heads = hone_node_int(ctx->node, heads_name);
    for (int k = 0; k < 4; k++) dims[k] = t->rank == 4 ? t->dims[k] : HONE_DIM_ANY;
    if (t->rank < 0 || t->rank == 4) return HONE_OK;
    if (t->rank != 3) return hone_infer_fail(ctx, err, "input %d must have rank 3 or 4", i);
    if (heads <= 0) return hone_infer_fail(ctx, err, "of rank 3, %s is needed", heads_name);
    if (t->dims[2] >= 0 && t->dims[2] % heads)
        return hone_infer_fail(ctx, err, "%lld elements make no %lld heads", (long long)t->dims[2],
                               (long long)heads);
    dims[0] = t->dims[0];
    dims[1] = heads;
    dims[2] = t->dims[1];
    dims[3] = t->dims[2] >= 0 ? t->dims[2] / heads : HONE_DIM_ANY;
    return HONE_OK;
}

/* `dims` with what the past has before it. */
static hone_status grow(const hone_infer *ctx, int past, int64_t *dims, hone_error *err) {
    const hone_type *t = past < ctx->input_count ? ctx->in[past] : NULL;
    if (!t) return HONE_OK;
    if (t->rank >= 0 && t->rank != 4) return hone_infer_fail(ctx, err, "a past must have rank 4");
    for (int i = 0; i < 4 && t->rank == 4; i++)
        if (i != 2) HONE_TRY(hone_infer_same_dim(ctx, dims[i], t->dims[i], &dims[i], err));
    dims[2] = t->rank == 4 && t->dims[2] >= 0 && dims[2] >= 0 ? dims[2] + t->dims[2] : HONE_DIM_ANY;
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_node *n = ctx->node;
    const hone_type *q = ctx->in[Q];
    int64_t dq[4], dk[4], dv[4];
    HONE_TRY(split_heads(ctx, Q, "q_num_heads", dq, err));
    HONE_TRY(split_heads(ctx, K, "kv_num_heads", dk, err));
    HONE_TRY(split_heads(ctx, V, "kv_num_heads", dv, err));
    if (q->rank >= 0 && ctx->in[K]->rank >= 0 && q->rank != ctx->in[K]->rank)
        return hone_infer_fail(ctx, err, "Q and K must have one rank");
    bool past = PAST_KEY < ctx->input_count && ctx->in[PAST_KEY];
    if (past != (PAST_VALUE < ctx->input_count && ctx->in[PAST_VALUE]))
        return hone_infer_fail(ctx, err, "past_key and past_value come together");
    HONE_TRY(grow(ctx, PAST_KEY, dk, err));
    HONE_TRY(grow(ctx, PAST_VALUE, dv, err));
    const int64_t mode = hone_node_int(n, "qk_matmul_output_mode");
    if (mode < 0 || mode > 3) return hone_infer_fail(ctx, err, "qk_matmul_output_mode %lld", (long long)mode);
    const int64_t y4[] = {dq[0], dq[1], dq[2], dv[3]}, y3[] = {dq[0], dq[2], times(dq[1], dv[3])},
                  qk[] = {dq[0], dq[1], dq[2], dk[2]};
    const hone_dtype other = ctx->in[V]->dtype;
    hone_type types[] = {hone_type_make(q->dtype, q->rank, q->rank == 3 ? y3 : y4),
                         hone_type_make(q->dtype, 4, dk), hone_type_make(other, 4, dv),
                         hone_type_make(q->dtype, 4, qk)};
    for (int o = 0; o < ctx->output_count; o++) ctx->out[o] = types[o];
    return HONE_OK;
}

/* --- as a function --- */

/* K or V with its past before it, [B, M, S, D]; *heads says how many heads v has, if it is of rank 3 still. */
static hone_value *present(hone_graph *g, hone_node *n, int i, int past, int output, int64_t *heads) {
    hone_value *v = hone_input(n, i), *before = hone_input(n, past);
    if (!before && !hone_output(g, n, output)) return v;
    if (*heads) v = hone_emit_heads(g, v, *heads);
    if (before) v = hone_emit_joined(g, before, v, 2);
    if (hone_output(g, n, output)) hone_graph_replace(g, n->outputs[output], v);
    *heads = 0;
    return v;
}

static hone_value *bias_of(hone_graph *g, hone_value *mask, hone_dtype computes) {
    if (!mask || mask->type.dtype != HONE_BOOL) return hone_emit_wide(g, mask, computes);
    return hone_emit_mask(g, mask, computes);
}

/* Where the first row of Q stands among the keys (int64 [1] or [B]), which are those of a past and then Q's own, or of a cache
 * that others have filled up to `nonpad_kv_seqlen`; NULL: at 0. */
static hone_value *position_of(hone_graph *g, const hone_node *n) {
    hone_value *past = hone_input(n, PAST_KEY), *end = hone_input(n, END), *q = n->inputs[Q];
    if (past) return hone_emit_dim(g, past, 2);
    return end ? HONE_EMIT(g, "", "Sub", end, hone_emit_dim(g, q, q->type.rank - 2)) : NULL;
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_dtype dtype = n->inputs[Q]->type.dtype, computes = hone_wide_dtype(dtype);
    const bool counted = n->inputs[Q]->type.rank == 3;
    if (n->inputs[Q]->type.rank < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n), "Q of unknown rank");
    int64_t k_heads = counted ? hone_node_int(n, "kv_num_heads") : 0, v_heads = k_heads;
    hone_value *k = present(g, n, K, PAST_KEY, PRESENT_KEY, &k_heads);
    hone_value *v = present(g, n, V, PAST_VALUE, PRESENT_VALUE, &v_heads);
    if (k_heads != v_heads) { /* one present was asked for, the other not */
        if (k_heads) k = hone_emit_heads(g, k, k_heads);
        if (v_heads) v = hone_emit_heads(g, v, v_heads);
        k_heads = 0;
    }
    const bool causal = hone_node_int(n, "is_causal") != 0;
    const int64_t left = hone_node_int(n, "left_window_size"), right = hone_node_int(n, "right_window_size");
    hone_core c = {.q_heads = counted ? hone_node_int(n, "q_num_heads") : 0,
                   .kv_heads = k_heads,
                   .scale = hone_node_float(n, "scale"),
                   .softcap = hone_node_float(n, "softcap"),
                   .causal = causal || right >= 0,
                   .ahead = causal || right < 0 ? 0 : right,
                   .window = left < 0           ? 0
                             : left < INT64_MAX ? left + 1
                                                : left,
                   .qk_mode = hone_output(g, n, QK) ? (int)hone_node_int(n, "qk_matmul_output_mode") : -1};
    c.in[HONE_CORE_Q] = hone_emit_wide(g, n->inputs[Q], computes);
    c.in[HONE_CORE_K] = dtype == computes ? k : hone_emit_cast(g, k, computes);
    c.in[HONE_CORE_V] = n->inputs[V]->type.dtype == computes ? v : hone_emit_cast(g, v, computes);
    c.in[HONE_CORE_BIAS] = bias_of(g, hone_input(n, MASK), computes);
    if (c.causal || c.window > 0) c.in[HONE_CORE_POSITION] = position_of(g, n);
    c.in[HONE_CORE_END] = hone_input(n, END);
    hone_node *core = hone_core_emit(g, &c);
    if (!core) return hone_graph_check(g, err);
    hone_give_output(g, n, Y, core->outputs[0], computes);
    if (c.qk_mode >= 0) hone_give_output(g, n, QK, core->outputs[1], computes);
    return hone_graph_check(g, err);
}

#define OPTIONAL HONE_SLOT_OPTIONAL

#define ATTRS                                                                                                \
    {"is_causal", HONE_ATTR_INT}, {"kv_num_heads", HONE_ATTR_INT}, {"q_num_heads", HONE_ATTR_INT},           \
        {"qk_matmul_output_mode", HONE_ATTR_INT}, {"scale", HONE_ATTR_FLOAT}, {"softcap", HONE_ATTR_FLOAT},  \
    {                                                                                                        \
        "softmax_precision", HONE_ATTR_INT                                                                   \
    }

static const hone_attr_def attrs_23[] = {ATTRS, {NULL}};
static const hone_op_version older[] = {{23, attrs_23, NULL}, {0}};

const hone_op hone_op_attention = {
    .name = "Attention",
    .since = 25,
    .oldest = 23,
    .older = older,
    .inputs = HONE_SLOTS({"Q", 'T', REAL, 0}, {"K", 'T', REAL, 0}, {"V", 'U', REAL, 0},
                         {"attn_mask", 0, MASKS, OPTIONAL}, {"past_key", 'T', REAL, OPTIONAL},
                         {"past_value", 'U', REAL, OPTIONAL},
                         {"nonpad_kv_seqlen", 0, HONE_TYPE(HONE_INT64), OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', REAL, 0}, {"present_key", 'T', REAL, OPTIONAL},
                          {"present_value", 'U', REAL, OPTIONAL}, {"qk_matmul_output", 'T', REAL, OPTIONAL}),
    .attrs = HONE_ATTRS(ATTRS, {"left_window_size", HONE_ATTR_INT, .i = -1},
                        {"right_window_size", HONE_ATTR_INT, .i = -1}),
    .infer = infer,
    .expand = expand,
    .doc = "attention of heads of Q to those of K and V, with caches"};
