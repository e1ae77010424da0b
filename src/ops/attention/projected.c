/* com.microsoft Attention and QAttention: Q, K and V are products of X and W [I, H + H + G], of numbers or of bytes. */
#include "graph/infer.h"
#include "ops/attention/microsoft.h"
#include "ops/common/emit.h"

#define REAL (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define INT32 HONE_TYPE(HONE_INT32)
#define BYTES HONE_TYPES_BYTE

enum { X, W, BIAS };

/* --- shapes --- */

/* Widths of Q, K and V; 0: not known. */
static void widths_of(const hone_node *n, const hone_type *w, int64_t *widths) {
    size_t count = 0;
    const int64_t *given = hone_attr_find(n->op->attrs, "qkv_hidden_sizes")
                               ? hone_node_ints(n, "qkv_hidden_sizes", &count)
                               : NULL;
    for (int i = 0; i < 3; i++)
        widths[i] = count == 3 ? given[i] : w->rank == 2 && w->dims[1] > 0 ? w->dims[1] / 3 : 0;
}

static hone_status infer(hone_infer *ctx, int past_input, hone_error *err) {
    const hone_type *x = ctx->in[X], *w = ctx->in[W],
                    *past = past_input < ctx->input_count ? ctx->in[past_input] : NULL;
    const int64_t heads = hone_node_int(ctx->node, "num_heads");
    int64_t widths[3], d;
    if (heads <= 0) return hone_infer_fail(ctx, err, "num_heads %lld", (long long)heads);
    if (x->rank < 0) return HONE_OK;
    if (x->rank != 3 || (w->rank >= 0 && w->rank != 2))
        return hone_infer_fail(ctx, err, "X must have rank 3, W 2");
    if (w->rank == 2) HONE_TRY(hone_infer_same_dim(ctx, x->dims[2], w->dims[0], &d, err));
    widths_of(ctx->node, w, widths);
    for (int i = 0; i < 3; i++)
        if (widths[i] < 0 || widths[i] % heads)
            return hone_infer_fail(ctx, err, "%lld elements make no %lld heads", (long long)widths[i],
                                   (long long)heads);
    const int64_t y[] = {x->dims[0], x->dims[1], widths[2] ? widths[2] : HONE_DIM_ANY},
                  present[] = {2, x->dims[0], heads,
                               past ? past->rank == 5 ? hone_microsoft_sum(past->dims[3], x->dims[1])
                                                      : HONE_DIM_ANY
                                    : x->dims[1],
                               widths[2] ? widths[2] / heads : HONE_DIM_ANY};
    const hone_dtype dtype = ctx->out[0].dtype;
    ctx->out[0] = hone_type_make(dtype, 3, y);
    if (ctx->output_count > 1) ctx->out[1] = hone_type_make(dtype, 5, present);
    return HONE_OK;
}

/* --- as functions --- */

/* Keys (0) or values (1) of a past [2, B, N, P, D]. */
static hone_value *half_of(hone_graph *g, hone_value *past, int which) {
    return past ? HONE_EMIT(g, "", "Gather", past, hone_graph_scalar(g, HONE_INT64, which)) : NULL;
}

static hone_value *stacked(hone_graph *g, hone_value *key, hone_value *value) {
    hone_value *axis = hone_graph_ints(g, (int64_t[]){0}, 1);
    return hone_emit_joined(g, HONE_EMIT(g, "", "Unsqueeze", key, axis),
                            HONE_EMIT(g, "", "Unsqueeze", value, axis), 0);
}

/* Attends, `a` having all but heads and past. */
static hone_status attend(hone_graph *g, hone_microsoft *a, int past_input, hone_error *err) {
    hone_value *past = hone_emit_wide(g, hone_input(a->n, past_input), a->computes);
    a->counted = true;
    a->heads = hone_node_int(a->n, "num_heads");
    a->past_key = half_of(g, past, 0);
    a->past_value = half_of(g, past, 1);
    a->causal = hone_node_int(a->n, "unidirectional") != 0;
    HONE_TRY(hone_microsoft_attend(g, a, hone_output(g, a->n, 1) != NULL, err));
    hone_give_output(g, a->n, 0, a->y, a->computes);
    if (hone_output(g, a->n, 1)) hone_give_output(g, a->n, 1, stacked(g, a->key, a->value), a->computes);
    return hone_graph_check(g, err);
}

static hone_status check_attrs(const hone_node *n, hone_error *err) {
    if (hone_node_int(n, "do_rotary") || hone_node_int(n, "past_present_share_buffer"))
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "rotary embeddings, and caches that are shared");
    return HONE_OK;
}

enum { MASK = 3, PAST, SCORE_BIAS, PAST_LENGTH };

static hone_status infer_attention(hone_infer *ctx, hone_error *err) {
    return infer(ctx, PAST, err);
}

/* Columns [from, from + width) of W, with their bias. */
static hone_value *product(hone_graph *g, hone_value *x, hone_value *w, hone_value *bias, int64_t from,
                           int64_t width) {
    hone_value *y = HONE_EMIT(g, "", "MatMul", x, hone_emit_part(g, w, 1, from, from + width));
    return bias ? HONE_EMIT(g, "", "Add", y, hone_emit_part(g, bias, 0, from, from + width)) : y;
}

static hone_status expand_attention(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_dtype computes = hone_wide_dtype(n->inputs[X]->type.dtype);
    hone_value *x = hone_emit_wide(g, n->inputs[X], computes), *w = hone_emit_wide(g, n->inputs[W], computes),
               *bias = hone_emit_wide(g, hone_input(n, BIAS), computes);
    int64_t widths[3];
    HONE_TRY(check_attrs(n, err));
    widths_of(n, &n->inputs[W]->type, widths);
    if (!widths[0] || n->inputs[X]->type.rank < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "operands of unknown size");
    hone_microsoft a = {.n = n,
                        .computes = computes,
                        .q = product(g, x, w, bias, 0, widths[0]),
                        .k = product(g, x, w, bias, widths[0], widths[1]),
                        .v = product(g, x, w, bias, widths[0] + widths[1], widths[2]),
                        .mask = hone_input(n, MASK),
                        .bias = hone_emit_wide(g, hone_input(n, SCORE_BIAS), computes)};
    return attend(g, &a, PAST, err);
}

#define OPTIONAL HONE_SLOT_OPTIONAL
#define COMMON                                                                                               \
    {"num_heads", HONE_ATTR_INT, .required = true}, {"scale", HONE_ATTR_FLOAT},                              \
        {"mask_filter_value", HONE_ATTR_FLOAT, .f = -10000}, {"unidirectional", HONE_ATTR_INT},              \
        {"do_rotary", HONE_ATTR_INT}, {                                                                      \
        "past_present_share_buffer", HONE_ATTR_INT                                                           \
    }

const hone_op hone_op_microsoft_attention = {
    .domain = "com.microsoft",
    .name = "Attention",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"input", 'T', REAL, 0}, {"weights", 'T', REAL, HONE_SLOT_WEIGHT},
                         {"bias", 'T', REAL, OPTIONAL | HONE_SLOT_WEIGHT}, {"mask_index", 0, INT32, OPTIONAL},
                         {"past", 'T', REAL, OPTIONAL}, {"attention_bias", 'T', REAL, OPTIONAL},
                         {"past_sequence_length", 0, INT32, OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', REAL, 0}, {"present", 'T', REAL, OPTIONAL}),
    .attrs =
        HONE_ATTRS(COMMON, {"qkv_hidden_sizes", HONE_ATTR_INTS}, {"rotary_embedding_dim", HONE_ATTR_INT}),
    .infer = infer_attention,
    .expand = expand_attention,
    .doc = "attention of heads of products of X, with masks and a cache"};

/* --- QAttention --- */

enum { X_SCALE = 3, W_SCALE, Q_MASK, X_ZERO, W_ZERO, Q_PAST };

static hone_status infer_qattention(hone_infer *ctx, hone_error *err) {
    return infer(ctx, Q_PAST, err);
}

static hone_status expand_qattention(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *in[] = {n->inputs[X],
                        hone_emit_wide(g, n->inputs[X_SCALE], HONE_FLOAT32),
                        hone_input(n, X_ZERO),
                        n->inputs[W],
                        hone_emit_wide(g, n->inputs[W_SCALE], HONE_FLOAT32),
                        hone_input(n, W_ZERO),
                        hone_emit_wide(g, n->inputs[BIAS], HONE_FLOAT32)};
    HONE_TRY(check_attrs(n, err));
    if (n->inputs[X]->type.rank < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "operands of unknown size");
    hone_value *all = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "IntegerGemm", in, 7);
    hone_node *parts = hone_graph_add_node(g, hone_op_find("", "Split"), NULL, 1, &all, 3);
    if (!parts) return hone_graph_check(g, err);
    hone_node_set_int(g, parts, "axis", 2);
    hone_node_set_int(g, parts, "num_outputs", 3);
    hone_microsoft a = {.n = n,
                        .computes = HONE_FLOAT32,
                        .q = parts->outputs[0],
                        .k = parts->outputs[1],
                        .v = parts->outputs[2],
                        .mask = hone_input(n, Q_MASK)};
    return attend(g, &a, Q_PAST, err);
}

#define SCALES (HONE_TYPE(HONE_FLOAT32) | HONE_TYPE(HONE_FLOAT16))

const hone_op hone_op_microsoft_qattention = {
    .domain = "com.microsoft",
    .name = "QAttention",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"input", 'X', BYTES, 0}, {"weight", 'W', BYTES, 0}, {"bias", 'T', SCALES, 0},
                         {"input_scale", 'T', SCALES, 0}, {"weight_scale", 'T', SCALES, 0},
                         {"mask_index", 0, INT32, OPTIONAL}, {"input_zero_point", 'X', BYTES, OPTIONAL},
                         {"weight_zero_point", 'W', BYTES, OPTIONAL}, {"past", 'T', SCALES, OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', SCALES, 0}, {"present", 'T', SCALES, OPTIONAL}),
    .attrs = HONE_ATTRS(COMMON),
    .infer = infer_qattention,
    .expand = expand_qattention,
    .doc = "Attention whose products are of bytes"};
