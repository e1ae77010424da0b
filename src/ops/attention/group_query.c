/* com.microsoft GroupQueryAttention: rotary embeddings, a cache that each sequence fills at its own place, and heads of Q that
 * share those of K and V. */
#include "graph/infer.h"
#include "ops/attention/cache.h"
#include "ops/attention/core.h"
#include "ops/attention/rotary.h"
#include "ops/common/emit.h"

#include <string.h>

#define REAL (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define INT32 HONE_TYPE(HONE_INT32)

enum {
    Q,
    K,
    V,
    PAST_KEY,
    PAST_VALUE,
    LENGTHS, /* of each sequence with its past, less 1 */
    TOTAL,
    COS,
    SIN,
    POSITIONS,
    BIAS,
    SINK,
    K_SCALE,
    V_SCALE,
    Q_NORM,
    K_NORM,
    QUERY_LENGTHS
};
enum { Y, PRESENT_KEY, PRESENT_VALUE, QK };

static const hone_type *type_of(const hone_infer *ctx, int i) {
    return i < ctx->input_count ? ctx->in[i] : NULL;
}

/* D, given the width of Q (packed: of all three); HONE_DIM_ANY: not known. */
static int64_t head_size(const hone_node *n, int64_t width, bool packed) {
    const int64_t heads = hone_node_int(n, "num_heads"), kv = hone_node_int(n, "kv_num_heads");
    return width < 0 ? HONE_DIM_ANY : width / (packed ? heads + 2 * kv : heads);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_node *n = ctx->node;
    const hone_type *q = ctx->in[Q], *past = type_of(ctx, PAST_KEY);
    const int64_t heads = hone_node_int(n, "num_heads"), kv = hone_node_int(n, "kv_num_heads");
    if (heads <= 0 || kv <= 0 || heads % kv)
        return hone_infer_fail(ctx, err, "%lld heads can't share %lld", (long long)heads, (long long)kv);
    if (q->rank < 0) return HONE_OK;
    if (q->rank != 3) return hone_infer_fail(ctx, err, "the query must have rank 3");
    const bool packed = !type_of(ctx, K);
    const int64_t d = head_size(n, q->dims[2], packed), parts = packed ? heads + 2 * kv : heads;
    if (q->dims[2] >= 0 && q->dims[2] % parts)
        return hone_infer_fail(ctx, err, "%lld elements make no %lld heads", (long long)q->dims[2],
                               (long long)parts);
    HONE_TRY(hone_infer_one_element(ctx, TOTAL, err));
    hone_content total;
    int64_t least = past ? past->rank == 4 ? past->dims[2] : HONE_DIM_ANY : q->dims[1], all = HONE_DIM_ANY;
    if (hone_infer_items(ctx, TOTAL, &total) && total.count == 1) {
        int64_t asked = hone_dim_of_item(total.item[0]);
        if (asked >= 0 && least >= 0) all = asked > least ? asked : least;
        if (asked == least || least == 0) all = asked;
    }
    const int64_t y[] = {q->dims[0], q->dims[1], d >= 0 ? heads * d : HONE_DIM_ANY},
                  present[] = {q->dims[0], kv, all, d}, qk[] = {q->dims[0], heads, q->dims[1], all};
    const hone_type types[] = {hone_type_make(q->dtype, 3, y), hone_type_make(q->dtype, 4, present),
                               hone_type_make(q->dtype, 4, present), hone_type_make(q->dtype, 4, qk)};
    for (int o = 0; o < ctx->output_count; o++) ctx->out[o] = types[o];
    return HONE_OK;
}

/* --- as a function --- */

static hone_value *op2(hone_graph *g, const char *op, hone_value *a, hone_value *b) {
    return HONE_EMIT(g, "", op, a, b);
}

static hone_status check(const hone_node *n, hone_error *err) {
    const char *what = NULL;
    if (hone_input(n, K_SCALE) || hone_input(n, V_SCALE) ||
        strcmp(hone_node_string(n, "k_quant_type"), "NONE") != 0 ||
        strcmp(hone_node_string(n, "v_quant_type"), "NONE") != 0)
        what = "a quantized cache";
    if (hone_node_int(n, "sliding_window_cache")) what = "a cache of a window";
    if (hone_input(n, QUERY_LENGTHS)) what = "query_seqlens";
    if (n->inputs[Q]->type.rank < 0 || n->inputs[Q]->type.dims[2] < 0) what = "operands of unknown size";
    return what ? hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n), "%s", what) : HONE_OK;
}

static hone_dtype computes_in(const hone_node *n) {
    return hone_wide_dtype(n->inputs[Q]->type.dtype);
}

/* Heads of v [B, T, heads D], each brought to a mean square of 1 and scaled. */
static hone_value *normalized(hone_graph *g, const hone_node *n, hone_value *v, int64_t heads, int64_t d,
                              int norm, const char *own) {
    const int64_t split[] = {0, 0, heads, d}, back[] = {0, 0, heads * d};
    const hone_attr *epsilon = hone_node_attr(n, own);
    if (!hone_input(n, norm)) return v;
    hone_value *scale = hone_emit_wide(g, hone_input(n, norm), computes_in(n));
    hone_value *y = op2(g, "RMSNormalization", hone_emit_shaped(g, v, split, 4), scale);
    if (y)
        hone_node_set_float(g, y->producer, "epsilon",
                            epsilon ? epsilon->f : hone_node_float(n, "qk_norm_epsilon"));
    return hone_emit_shaped(g, y, back, 3);
}

static hone_value *turned(hone_graph *g, const hone_node *n, hone_value *v, int64_t heads, int64_t d,
                          hone_value *position) {
    if (!hone_node_int(n, "do_rotary")) return v;
    const hone_type *cos = &n->inputs[COS]->type;
    int64_t half = cos->rank == 2 && cos->dims[1] > 0 ? cos->dims[1] : d / 2;
    return hone_rotation_emit(g, &(hone_rotation){v, hone_emit_wide(g, n->inputs[COS], computes_in(n)),
                                                  hone_emit_wide(g, n->inputs[SIN], computes_in(n)), position,
                                                  heads, 2 * half < d ? 2 * half : 0,
                                                  hone_node_int(n, "rotary_interleaved") != 0});
}

/* A denominator that counts one key of score 0 without a value. */
static hone_value *sink_of(hone_graph *g, const hone_node *n, int64_t heads) {
    if (hone_input(n, SINK)) return hone_emit_wide(g, hone_input(n, SINK), computes_in(n));
    if (hone_node_int(n, "smooth_softmax") <= 0) return NULL;
    return HONE_EMIT(g, "", "Expand", hone_graph_scalar(g, computes_in(n), 0), hone_graph_ints(g, &heads, 1));
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    HONE_TRY(check(n, err));
    const int64_t heads = hone_node_int(n, "num_heads"), kv = hone_node_int(n, "kv_num_heads");
    const int64_t d = head_size(n, n->inputs[Q]->type.dims[2], !hone_input(n, K));
    const hone_dtype computes = computes_in(n);
    hone_value *q = hone_emit_wide(g, n->inputs[Q], computes), *k, *v;
    if (hone_input(n, K)) {
        k = hone_emit_wide(g, n->inputs[K], computes);
        v = hone_emit_wide(g, n->inputs[V], computes);
    } else {
        hone_value *all = q;
        q = hone_emit_part(g, all, 2, 0, heads * d);
        k = hone_emit_part(g, all, 2, heads * d, (heads + kv) * d);
        v = hone_emit_part(g, all, 2, (heads + kv) * d, (heads + 2 * kv) * d);
    }
    /* each sequence's keys, and how many of them came before: none if there is padding beyond a first prompt */
    hone_value *one = hone_graph_scalar(g, HONE_INT64, 1), *zero = hone_graph_scalar(g, HONE_INT64, 0);
    hone_value *end = op2(g, "Add", hone_emit_cast(g, n->inputs[LENGTHS], HONE_INT64), one);
    hone_value *position = op2(g, "Max", op2(g, "Sub", end, hone_emit_dim(g, n->inputs[Q], 1)), zero);
    hone_value *at = hone_input(n, POSITIONS) ? hone_input(n, POSITIONS) : position;
    q = turned(g, n, normalized(g, n, q, heads, d, Q_NORM, "q_norm_epsilon"), heads, d, at);
    k = turned(g, n, normalized(g, n, k, kv, d, K_NORM, "k_norm_epsilon"), kv, d, at);
    k = hone_cache_emit(g, hone_emit_wide(g, hone_input(n, PAST_KEY), computes), hone_emit_heads(g, k, kv),
                        position, n->inputs[TOTAL]);
    v = hone_cache_emit(g, hone_emit_wide(g, hone_input(n, PAST_VALUE), computes), hone_emit_heads(g, v, kv),
                        position, n->inputs[TOTAL]);
    const int64_t window = hone_node_int(n, "local_window_size"), mode = hone_node_int(n, "qk_output");
    hone_core c = {.in = {q, k, v, hone_emit_wide(g, hone_input(n, BIAS), computes), position, NULL, end,
                          sink_of(g, n, heads)},
                   .q_heads = heads,
                   .scale = hone_node_float(n, "scale"),
                   .softcap = hone_node_float(n, "softcap"),
                   .causal = hone_node_int(n, "causal") != 0,
                   .window = window > 0 ? window : 0,
                   .qk_mode = hone_output(g, n, QK) ? mode == 2 ? 3 : 2 : -1};
    hone_node *core = hone_core_emit(g, &c);
    if (!core) return hone_graph_check(g, err);
    hone_give_output(g, n, Y, core->outputs[0], computes);
    hone_give_output(g, n, PRESENT_KEY, k, computes);
    hone_give_output(g, n, PRESENT_VALUE, v, computes);
    if (hone_output(g, n, QK)) hone_give_output(g, n, QK, core->outputs[1], computes);
    return hone_graph_check(g, err);
}

#define OPTIONAL HONE_SLOT_OPTIONAL

const hone_op hone_op_microsoft_group_query_attention = {
    .domain = "com.microsoft",
    .name = "GroupQueryAttention",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS(
        {"query", 'T', REAL, 0}, {"key", 'T', REAL, OPTIONAL}, {"value", 'T', REAL, OPTIONAL},
        {"past_key", 'C', REAL, OPTIONAL}, {"past_value", 'C', REAL, OPTIONAL}, {"seqlens_k", 0, INT32, 0},
        {"total_sequence_length", 0, HONE_TYPES_INT, HONE_SLOT_SHAPE}, {"cos_cache", 'T', REAL, OPTIONAL},
        {"sin_cache", 'T', REAL, OPTIONAL}, {"position_ids", 0, HONE_TYPE(HONE_INT64), OPTIONAL},
        {"attention_bias", 'T', REAL, OPTIONAL}, {"head_sink", 'T', REAL, OPTIONAL},
        {"k_scale", 0, HONE_TYPE(HONE_FLOAT32), OPTIONAL}, {"v_scale", 0, HONE_TYPE(HONE_FLOAT32), OPTIONAL},
        {"q_norm_weight", 'T', REAL, OPTIONAL}, {"k_norm_weight", 'T', REAL, OPTIONAL},
        {"query_seqlens", 0, INT32, OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', REAL, 0}, {"present_key", 'T', REAL, OPTIONAL},
                          {"present_value", 'T', REAL, OPTIONAL}, {"output_qk", 'T', REAL, OPTIONAL}),
    .attrs = HONE_ATTRS(
        {"num_heads", HONE_ATTR_INT, .required = true}, {"kv_num_heads", HONE_ATTR_INT, .required = true},
        {"scale", HONE_ATTR_FLOAT}, {"softcap", HONE_ATTR_FLOAT}, {"do_rotary", HONE_ATTR_INT},
        {"rotary_interleaved", HONE_ATTR_INT}, {"local_window_size", HONE_ATTR_INT, .i = -1},
        {"causal", HONE_ATTR_INT, .i = 1}, {"smooth_softmax", HONE_ATTR_INT, .i = -1},
        {"sliding_window_cache", HONE_ATTR_INT}, {"qk_output", HONE_ATTR_INT},
        {"qk_norm_epsilon", HONE_ATTR_FLOAT, .f = 1e-6f}, {"q_norm_epsilon", HONE_ATTR_FLOAT},
        {"k_norm_epsilon", HONE_ATTR_FLOAT}, {"kv_cache_bit_width", HONE_ATTR_INT},
        {"k_quant_type", HONE_ATTR_STRING, .s = "NONE"}, {"v_quant_type", HONE_ATTR_STRING, .s = "NONE"}),
    .infer = infer,
    .expand = expand,
    .doc = "attention of heads that share keys and values, with rotary embeddings and a cache"};
