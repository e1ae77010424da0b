/* ONNX Runtime's operators on quantized tensors: what the codes stand for goes through the operator and is quantized again. The
 * three run as one program, or as a table of 256 entries. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/emit.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define BYTES HONE_TYPES_BYTE
#define OPTIONAL HONE_SLOT_OPTIONAL
#define MICROSOFT(name_) .domain = "com.microsoft", .name = name_, .since = 1, .oldest = 1

/* Inputs i … i + 2 of the node as real numbers. */
static hone_value *real(hone_graph *g, const hone_node *n, int i) {
    return HONE_EMIT(g, "", "DequantizeLinear", n->inputs[i], n->inputs[i + 1], hone_input(n, i + 2));
}

/* In double, whose sums are added in the same order at every ISA level: what is rounded to codes is the same
 * then. */
static hone_value *real_to_sum(hone_graph *g, const hone_node *n, int i) {
    return hone_emit_cast(g, real(g, n, i), HONE_FLOAT64);
}

/* y takes the place of the output, quantized by inputs i and i + 1; without a zero point to that of the node's dtype. */
static hone_status give(hone_graph *g, hone_node *n, hone_value *y, int i, hone_error *err) {
    y = HONE_EMIT(g, "", "QuantizeLinear", y, n->inputs[i], hone_input(n, i + 1));
    if (y && !hone_input(n, i + 1))
        hone_node_set_int(g, y->producer, "output_dtype", n->outputs[0]->type.dtype);
    hone_graph_replace(g, n->outputs[0], y);
    return hone_graph_check(g, err);
}

/* --- of two operands --- (A, scale, zero?, B, scale, zero?, C_scale, C_zero?) */

static hone_status infer_two(hone_infer *ctx, hone_error *err) {
    return hone_infer_broadcast(ctx, ctx->in[0], ctx->in[3], &ctx->out[0], err);
}

static hone_status expand_add(hone_graph *g, hone_node *n, hone_error *err) {
    return give(g, n, HONE_EMIT(g, "", "Add", real(g, n, 0), real(g, n, 3)), 6, err);
}
static hone_status expand_mul(hone_graph *g, hone_node *n, hone_error *err) {
    return give(g, n, HONE_EMIT(g, "", "Mul", real(g, n, 0), real(g, n, 3)), 6, err);
}

#define TWO                                                                                                  \
    .inputs =                                                                                                \
        HONE_SLOTS({"A", 'T', BYTES, 0}, {"A_scale", 0, FLOAT, 0}, {"A_zero_point", 'T', BYTES, OPTIONAL},   \
                   {"B", 'T', BYTES, 0}, {"B_scale", 0, FLOAT, 0}, {"B_zero_point", 'T', BYTES, OPTIONAL},   \
                   {"C_scale", 0, FLOAT, 0}, {"C_zero_point", 'T', BYTES, OPTIONAL}),                        \
    .outputs = HONE_SLOTS({"C", 'T', BYTES, 0}), .infer = infer_two

const hone_op hone_op_microsoft_qlinear_add = {MICROSOFT("QLinearAdd"), TWO, .expand = expand_add,
                                               .doc = "A + B of quantized tensors, quantized again"};
const hone_op hone_op_microsoft_qlinear_mul = {MICROSOFT("QLinearMul"), TWO, .expand = expand_mul,
                                               .doc = "A B of quantized tensors, quantized again"};

/* --- of one --- (X, scale, zero?, Y_scale, Y_zero?) */

static hone_status expand_sigmoid(hone_graph *g, hone_node *n, hone_error *err) {
    return give(g, n, HONE_EMIT(g, "", "Sigmoid", real(g, n, 0)), 3, err);
}

static hone_status expand_leaky_relu(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *y = HONE_EMIT(g, "", "LeakyRelu", real(g, n, 0));
    if (y) hone_node_set_float(g, y->producer, "alpha", hone_node_float(n, "alpha"));
    return give(g, n, y, 3, err);
}

/* Before opset 13 all axes from `axis` on are one. */
static hone_status expand_softmax(hone_graph *g, hone_node *n, hone_error *err) {
    const bool flat = hone_node_int(n, "opset") < 13;
    const int64_t axis = hone_node_int(n, "axis");
    hone_value *x = real_to_sum(g, n, 0), *y = x;
    if (flat) {
        y = HONE_EMIT(g, "", "Flatten", x);
        if (y) hone_node_set_int(g, y->producer, "axis", axis);
    }
    y = HONE_EMIT(g, "", "Softmax", y);
    if (y) hone_node_set_int(g, y->producer, "axis", flat ? -1 : axis);
    if (flat) y = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "ReshapeLike", y, x);
    return give(g, n, hone_emit_cast(g, y, HONE_FLOAT32), 3, err);
}

#define ONE                                                                                                  \
    .inputs =                                                                                                \
        HONE_SLOTS({"X", 'T', BYTES, 0}, {"X_scale", 0, FLOAT, 0}, {"X_zero_point", 'T', BYTES, OPTIONAL},   \
                   {"Y_scale", 0, FLOAT, 0}, {"Y_zero_point", 'T', BYTES, OPTIONAL}),                        \
    .outputs = HONE_SLOTS({"Y", 'T', BYTES, 0})

const hone_op hone_op_microsoft_qlinear_sigmoid = {MICROSOFT("QLinearSigmoid"), ONE, .infer = hone_infer_same,
                                                   .expand = expand_sigmoid,
                                                   .doc = "Sigmoid of a quantized tensor, quantized again"};
const hone_op hone_op_microsoft_qlinear_leaky_relu = {
    MICROSOFT("QLinearLeakyRelu"),
    ONE,
    .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 0.01f}),
    .infer = hone_infer_same,
    .expand = expand_leaky_relu,
    .doc = "LeakyRelu of a quantized tensor, quantized again"};
const hone_op hone_op_microsoft_qlinear_softmax = {
    MICROSOFT("QLinearSoftmax"),
    ONE,
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = -1}, {"opset", HONE_ATTR_INT, .i = 13}),
    .infer = hone_infer_same,
    .expand = expand_softmax,
    .doc = "Softmax of a quantized tensor, quantized again"};

/* --- QLinearReduceMean --- */

static hone_status infer_mean(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    size_t count;
    const int64_t *axes = hone_node_ints(ctx->node, "axes", &count);
    bool reduced[HONE_MAX_RANK] = {false};
    if (x->rank < 0) return HONE_OK;
    for (size_t i = 0; i < count; i++) {
        int axis;
        HONE_TRY(hone_infer_axis(ctx, axes[i], x->rank, false, &axis, err));
        reduced[axis] = true;
    }
    y->rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (!reduced[i] && count)
            y->dims[y->rank++] = x->dims[i];
        else if (hone_node_int(ctx->node, "keepdims"))
            y->dims[y->rank++] = 1;
    }
    return HONE_OK;
}

static hone_status expand_mean(hone_graph *g, hone_node *n, hone_error *err) {
    size_t count;
    const int64_t *axes = hone_node_ints(n, "axes", &count);
    hone_value *y = HONE_EMIT(g, "", "ReduceMean", real_to_sum(g, n, 0),
                              count ? hone_graph_ints(g, axes, (int64_t)count) : NULL);
    if (y) hone_node_set_int(g, y->producer, "keepdims", hone_node_int(n, "keepdims"));
    return give(g, n, hone_emit_cast(g, y, HONE_FLOAT32), 3, err);
}

const hone_op hone_op_microsoft_qlinear_reduce_mean = {
    MICROSOFT("QLinearReduceMean"),
    ONE,
    .attrs = HONE_ATTRS({"axes", HONE_ATTR_INTS}, {"keepdims", HONE_ATTR_INT, .i = 1}),
    .infer = infer_mean,
    .expand = expand_mean,
    .doc = "ReduceMean of a quantized tensor, quantized again"};

/* --- QLinearWhere --- (condition, X, scale, zero, Y, scale, zero, Z_scale, Z_zero) */

static hone_status infer_where(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_broadcast(ctx, ctx->in[0], ctx->in[1], &ctx->out[0], err));
    return hone_infer_broadcast(ctx, &ctx->out[0], ctx->in[4], &ctx->out[0], err);
}

static hone_status expand_where(hone_graph *g, hone_node *n, hone_error *err) {
    return give(g, n, HONE_EMIT(g, "", "Where", n->inputs[0], real(g, n, 1), real(g, n, 4)), 7, err);
}

const hone_op hone_op_microsoft_qlinear_where = {
    MICROSOFT("QLinearWhere"),
    .inputs = HONE_SLOTS({"condition", 0, HONE_TYPE(HONE_BOOL), 0}, {"X", 'T', BYTES, 0},
                         {"x_scale", 0, FLOAT, 0}, {"x_zero_point", 'T', BYTES, 0}, {"Y", 'T', BYTES, 0},
                         {"y_scale", 0, FLOAT, 0}, {"y_zero_point", 'T', BYTES, 0}, {"z_scale", 0, FLOAT, 0},
                         {"z_zero_point", 'T', BYTES, 0}),
    .outputs = HONE_SLOTS({"Z", 'T', BYTES, 0}),
    .infer = infer_where,
    .expand = expand_where,
    .doc = "Where of quantized tensors, quantized again"};

/* --- QLinearConcat --- (Y_scale, Y_zero, then X, scale, zero of each) */

static hone_status infer_concat(hone_infer *ctx, hone_error *err) {
    hone_type *y = &ctx->out[0];
    int axis;
    y->dtype = ctx->in[1]->dtype;
    if (ctx->input_count < 5 || (ctx->input_count - 2) % 3)
        return hone_infer_fail(ctx, err, "each part needs a scale and a zero point");
    for (int i = 2; i < ctx->input_count; i += 3) {
        const hone_type *x = ctx->in[i];
        if (!x || x->rank < 0) {
            y->rank = HONE_RANK_ANY;
            return HONE_OK;
        }
        HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "axis"), x->rank, false, &axis, err));
        if (i > 2 && x->rank != y->rank) return hone_infer_fail(ctx, err, "parts of different ranks");
        for (int d = 0; d < x->rank; d++) {
            int64_t before = i == 2 ? x->dims[d] : y->dims[d];
            if (d != axis) HONE_TRY(hone_infer_same_dim(ctx, before, x->dims[d], &y->dims[d], err));
            if (d == axis)
                y->dims[d] = i == 2                           ? x->dims[d]
                             : before >= 0 && x->dims[d] >= 0 ? before + x->dims[d]
                                                              : HONE_DIM_ANY;
        }
        y->rank = x->rank;
    }
    return HONE_OK;
}

static hone_status expand_concat(hone_graph *g, hone_node *n, hone_error *err) {
    const int count = (n->input_count - 2) / 3;
    hone_value **parts = hone_arena_array(g->arena, (size_t)count + 1, sizeof(hone_value *));
    for (int i = 0; i < count && parts; i++) parts[i] = real(g, n, 2 + 3 * i);
    hone_value *y = parts ? hone_graph_emit(g, "", "Concat", parts, count) : NULL;
    if (!parts) hone_graph_out_of_memory(g);
    if (y) hone_node_set_int(g, y->producer, "axis", hone_node_int(n, "axis"));
    return give(g, n, y, 0, err);
}

const hone_op hone_op_microsoft_qlinear_concat = {
    MICROSOFT("QLinearConcat"),
    .inputs = HONE_SLOTS({"Y_scale", 0, FLOAT, 0}, {"Y_zero_point", 0, BYTES, 0},
                         {"inputs", 0, BYTES | FLOAT, HONE_SLOT_VARIADIC}),
    .outputs = HONE_SLOTS({"Y", 0, BYTES, 0}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .required = true}),
    .infer = infer_concat,
    .expand = expand_concat,
    .doc = "quantized tensors one after the other, with one scale"};
