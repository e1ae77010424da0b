/* ONNX Runtime's products of matrices: ONNX's with operands turned over, scaled, quantized or followed by an activation. */
#include "graph/infer.h"
#include "ops/common/emit.h"

#include <string.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define BYTES HONE_TYPES_BYTE
#define OPTIONAL HONE_SLOT_OPTIONAL
#define MICROSOFT(name_) .domain = "com.microsoft", .name = name_, .since = 1, .oldest = 1

/* --- FusedMatMul --- alpha A' B': transBatch moves axis 0 behind the batch, trans then changes the last two */

/* The axes of t in the order of the product; false: they stay. */
static bool turn(const hone_type *t, bool batch, bool last, int64_t *perm) {
    const int rank = t->rank;
    for (int i = 0; i < rank; i++) perm[i] = i;
    if (rank < 2 || (!batch && !last)) return false;
    if (batch) {
        for (int i = 0; i + 2 < rank; i++) perm[i] = i + 1;
        perm[rank - 2] = 0;
    }
    if (last) {
        int64_t row = perm[rank - 2];
        perm[rank - 2] = perm[rank - 1];
        perm[rank - 1] = row;
    }
    return true;
}

static bool turn_operand(const hone_node *n, const hone_type *t, int i, int64_t *perm) {
    static const char *const batch[] = {"transBatchA", "transBatchB"}, *const last[] = {"transA", "transB"};
    return turn(t, hone_node_int(n, batch[i]) != 0, hone_node_int(n, last[i]) != 0, perm);
}

static hone_status infer_matmul(hone_infer *ctx, hone_error *err) {
    hone_type t[2];
    int64_t k;
    for (int i = 0; i < 2; i++) {
        int64_t perm[HONE_MAX_RANK];
        t[i] = *ctx->in[i];
        if (t[i].rank < 0) return HONE_OK;
        if (t[i].rank == 0) return hone_infer_fail(ctx, err, "a scalar cannot be multiplied as a matrix");
        turn_operand(ctx->node, ctx->in[i], i, perm);
        for (int a = 0; a < t[i].rank; a++) t[i].dims[a] = ctx->in[i]->dims[perm[a]];
    }
    HONE_TRY(hone_infer_same_dim(ctx, t[0].dims[t[0].rank - 1], t[1].dims[t[1].rank > 1 ? t[1].rank - 2 : 0],
                                 &k, err));
    hone_type left = t[0], right = t[1], *y = &ctx->out[0];
    left.rank = t[0].rank > 2 ? t[0].rank - 2 : 0;
    right.rank = t[1].rank > 2 ? t[1].rank - 2 : 0;
    HONE_TRY(hone_infer_broadcast(ctx, &left, &right, y, err));
    if (t[0].rank > 1) y->dims[y->rank++] = t[0].dims[t[0].rank - 2];
    if (t[1].rank > 1) y->dims[y->rank++] = t[1].dims[t[1].rank - 1];
    return HONE_OK;
}

static hone_status expand_matmul(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_dtype dtype = n->inputs[0]->type.dtype;
    hone_value *in[2], *y;
    const float alpha = hone_node_float(n, "alpha");
    bool plain = true;
    for (int i = 0; i < 2; i++) {
        const hone_type *t = &n->inputs[i]->type;
        int64_t perm[HONE_MAX_RANK];
        if (t->rank < 0)
            return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                                  "operands of unknown rank");
        bool turns = turn_operand(n, t, i, perm);
        in[i] = turns ? hone_emit_turned(g, n->inputs[i], perm, t->rank) : n->inputs[i];
        plain = plain && t->rank == 2;
    }
    if (plain && !hone_node_int(n, "transBatchA") && !hone_node_int(n, "transBatchB")) {
        y = HONE_EMIT(g, "", "Gemm", n->inputs[0], n->inputs[1]);
        if (!y) return hone_graph_check(g, err);
        hone_node_set_int(g, y->producer, "transA", hone_node_int(n, "transA"));
        hone_node_set_int(g, y->producer, "transB", hone_node_int(n, "transB"));
        hone_node_set_float(g, y->producer, "alpha", alpha);
    } else {
        y = HONE_EMIT(g, "", "MatMul", in[0], in[1]);
        if (alpha != 1) y = HONE_EMIT(g, "", "Mul", y, hone_graph_scalar(g, dtype, alpha));
    }
    hone_graph_replace(g, n->outputs[0], y);
    return hone_graph_check(g, err);
}

const hone_op hone_op_microsoft_fused_matmul = {
    MICROSOFT("FusedMatMul"),
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"A", 'T', FLOATS, 0}, {"B", 'T', FLOATS, HONE_SLOT_WEIGHT}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs =
        HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 1}, {"transA", HONE_ATTR_INT}, {"transB", HONE_ATTR_INT},
                   {"transBatchA", HONE_ATTR_INT}, {"transBatchB", HONE_ATTR_INT}),
    .infer = infer_matmul,
    .expand = expand_matmul,
    .doc = "matrix product of turned operands, scaled"};

/* --- FusedGemm --- an activation of a Gemm */

static hone_status infer_gemm(hone_infer *ctx, hone_error *err) {
    const hone_type *a = ctx->in[0], *b = ctx->in[ctx->node->op->inputs[3].name ? 3 : 1];
    bool ta = hone_node_int(ctx->node, "transA") != 0, tb = hone_node_int(ctx->node, "transB") != 0;
    int64_t k;
    if (a->rank < 0 || b->rank < 0) return HONE_OK;
    if (a->rank != 2 || b->rank != 2) return hone_infer_fail(ctx, err, "A and B must be matrices");
    HONE_TRY(hone_infer_same_dim(ctx, a->dims[ta ? 0 : 1], b->dims[tb ? 1 : 0], &k, err));
    const int64_t dims[] = {a->dims[ta ? 1 : 0], b->dims[tb ? 0 : 1]};
    ctx->out[0] = hone_type_make(ctx->out[0].dtype, 2, dims);
    return HONE_OK;
}

static void copy_attr(hone_graph *g, hone_value *y, const char *name, const hone_node *from,
                      const char *own) {
    const hone_attr *a = hone_node_attr(from, own);
    if (y && a && hone_attr_find(y->producer->op->attrs, name))
        hone_node_set_float(g, y->producer, name, a->f);
}

static hone_status expand_gemm(hone_graph *g, hone_node *n, hone_error *err) {
    static const char *const gemm[] = {"transA", "transB"}, *const scales[] = {"alpha", "beta"};
    const char *activation = hone_node_string(n, "activation");
    hone_node *y = hone_graph_add_node(g, hone_op_find("", "Gemm"), n->name, n->input_count, n->inputs, 1);
    if (!y) return hone_graph_check(g, err);
    for (int i = 0; i < 2; i++) {
        hone_node_set_int(g, y, gemm[i], hone_node_int(n, gemm[i]));
        hone_node_set_float(g, y, scales[i], hone_node_float(n, scales[i]));
    }
    hone_value *out = y->outputs[0];
    if (activation && *activation) {
        const hone_op *op = hone_op_find("", activation);
        if (!op || !op->inputs || op->inputs[1].name)
            return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n), "activation %.40s",
                                  activation);
        out = HONE_EMIT(g, "", activation, out);
        copy_attr(g, out, "alpha", n, "activation_alpha");
        copy_attr(g, out, "beta", n, "activation_beta");
        copy_attr(g, out, "gamma", n, "activation_gamma");
    }
    hone_graph_replace(g, n->outputs[0], out);
    return hone_graph_check(g, err);
}

const hone_op hone_op_microsoft_fused_gemm = {
    MICROSOFT("FusedGemm"),
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"A", 'T', FLOATS, 0}, {"B", 'T', FLOATS, HONE_SLOT_WEIGHT},
                         {"C", 'T', FLOATS, OPTIONAL | HONE_SLOT_WEIGHT}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 1}, {"beta", HONE_ATTR_FLOAT, .f = 1},
                        {"transA", HONE_ATTR_INT}, {"transB", HONE_ATTR_INT},
                        {"activation", HONE_ATTR_STRING}, {"activation_alpha", HONE_ATTR_FLOAT},
                        {"activation_beta", HONE_ATTR_FLOAT}, {"activation_gamma", HONE_ATTR_FLOAT}),
    .infer = infer_gemm,
    .expand = expand_gemm,
    .doc = "an activation of a Gemm"};

/* --- QGemm --- as products of what the codes stand for, which become integer ones where weights are constants */

enum { GA, GA_SCALE, GA_ZERO, GB, GB_SCALE, GB_ZERO, GC, GY_SCALE, GY_ZERO };

static hone_status infer_qgemm(hone_infer *ctx, hone_error *err) {
    bool quantized = GY_SCALE < ctx->input_count && ctx->in[GY_SCALE];
    const hone_type *zero = GY_ZERO < ctx->input_count ? ctx->in[GY_ZERO] : NULL;
    ctx->out[0].dtype = !quantized ? HONE_FLOAT32 : zero ? zero->dtype : HONE_UINT8;
    return infer_gemm(ctx, err);
}

static hone_value *dequantized(hone_graph *g, hone_value *const *in, int64_t axis) {
    hone_value *y = HONE_EMIT(g, "", "DequantizeLinear", in[0], in[1], in[2]);
    if (y) hone_node_set_int(g, y->producer, "axis", axis);
    return y;
}

static hone_status expand_qgemm(hone_graph *g, hone_node *n, hone_error *err) {
    const bool tb = hone_node_int(n, "transB") != 0;
    const float alpha = hone_node_float(n, "alpha");
    hone_value *in[] = {dequantized(g, n->inputs, 1), dequantized(g, n->inputs + GB, tb ? 0 : 1), NULL};
    if (hone_input(n, GC)) { /* counts in steps of alpha a_scale b_scale */
        hone_value *step = HONE_EMIT(g, "", "Mul", n->inputs[GA_SCALE], n->inputs[GB_SCALE]);
        if (alpha != 1) step = HONE_EMIT(g, "", "Mul", step, hone_graph_scalar(g, HONE_FLOAT32, alpha));
        in[2] = HONE_EMIT(g, "", "DequantizeLinear", n->inputs[GC], step);
        if (in[2]) hone_node_set_int(g, in[2]->producer, "axis", -1);
    }
    hone_node *gemm = hone_graph_add_node(g, hone_op_find("", "Gemm"), n->name, 3, in, 1);
    if (!gemm) return hone_graph_check(g, err);
    hone_node_set_int(g, gemm, "transA", hone_node_int(n, "transA"));
    hone_node_set_int(g, gemm, "transB", tb);
    hone_node_set_float(g, gemm, "alpha", alpha);
    hone_value *y = gemm->outputs[0];
    if (hone_input(n, GY_SCALE))
        y = HONE_EMIT(g, "", "QuantizeLinear", y, n->inputs[GY_SCALE], hone_input(n, GY_ZERO));
    hone_graph_replace(g, n->outputs[0], y);
    return hone_graph_check(g, err);
}

const hone_op hone_op_microsoft_qgemm = {
    MICROSOFT("QGemm"),
    .inputs = HONE_SLOTS({"A", 'A', BYTES, 0}, {"a_scale", 0, FLOAT, 0}, {"a_zero_point", 'A', BYTES, 0},
                         {"B", 'B', BYTES, 0}, {"b_scale", 0, FLOAT, 0}, {"b_zero_point", 'B', BYTES, 0},
                         {"C", 0, HONE_TYPE(HONE_INT32), OPTIONAL}, {"y_scale", 0, FLOAT, OPTIONAL},
                         {"y_zero_point", 0, BYTES, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 0, FLOAT | BYTES, 0}),
    .attrs =
        HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 1}, {"transA", HONE_ATTR_INT}, {"transB", HONE_ATTR_INT}),
    .infer = infer_qgemm,
    .expand = expand_qgemm,
    .doc = "Gemm of quantized matrices, quantized again or not"};

/* --- MatMulIntegerToFloat, DynamicQuantizeMatMul --- products of integers, scaled, with a bias */

static hone_status infer_scaled(hone_infer *ctx, hone_error *err) {
    const hone_type *a = ctx->in[0], *b = ctx->in[1];
    int64_t k;
    if (a->rank < 0 || b->rank < 0) return HONE_OK;
    if (a->rank < 1 || b->rank < 2) return hone_infer_fail(ctx, err, "A must have rows and B be matrices");
    HONE_TRY(hone_infer_same_dim(ctx, a->dims[a->rank - 1], b->dims[b->rank - 2], &k, err));
    hone_type left = *a, right = *b, *y = &ctx->out[0];
    left.rank = a->rank > 2 ? a->rank - 2 : 0;
    right.rank = b->rank - 2;
    HONE_TRY(hone_infer_broadcast(ctx, &left, &right, y, err));
    if (a->rank > 1) y->dims[y->rank++] = a->dims[a->rank - 2];
    y->dims[y->rank++] = b->dims[b->rank - 1];
    return HONE_OK;
}

/* (a, a_scale, a_zero?, b, b_scale, b_zero?, bias?) */
static void give_scaled(hone_graph *g, hone_node *n, hone_value **in) {
    for (int i = 0; i < 7; i++)
        if (i == 1 || i == 4 || i == 6)
            in[i] =
                in[i] && in[i]->type.dtype == HONE_FLOAT16 ? hone_emit_cast(g, in[i], HONE_FLOAT32) : in[i];
    hone_give_output(g, n, 0, hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "IntegerGemm", in, 7), HONE_FLOAT32);
}

static hone_status expand_to_float(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *in[] = {n->inputs[0], n->inputs[2],     hone_input(n, 4), n->inputs[1],
                        n->inputs[3], hone_input(n, 5), hone_input(n, 6)};
    give_scaled(g, n, in);
    return hone_graph_check(g, err);
}

#define SCALES (FLOAT | HONE_TYPE(HONE_FLOAT16))

const hone_op hone_op_microsoft_matmul_integer_to_float = {
    MICROSOFT("MatMulIntegerToFloat"),
    .inputs = HONE_SLOTS({"A", 'A', BYTES, 0}, {"B", 'B', BYTES, 0}, {"a_scale", 'T', SCALES, 0},
                         {"b_scale", 'T', SCALES, 0}, {"a_zero_point", 'A', BYTES, OPTIONAL},
                         {"b_zero_point", 'B', BYTES, OPTIONAL}, {"bias", 'T', SCALES, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', SCALES, 0}),
    .infer = infer_scaled,
    .expand = expand_to_float,
    .doc = "MatMulInteger, scaled, with a bias"};

static hone_status expand_dynamic(hone_graph *g, hone_node *n, hone_error *err) {
    hone_node *q = hone_graph_add_node(g, hone_op_find("", "DynamicQuantizeLinear"), NULL, 1, n->inputs, 3);
    if (!q) return hone_graph_check(g, err);
    hone_value *in[] = {q->outputs[0], q->outputs[1],    q->outputs[2],   n->inputs[1],
                        n->inputs[2],  hone_input(n, 3), hone_input(n, 4)};
    give_scaled(g, n, in);
    return hone_graph_check(g, err);
}

const hone_op hone_op_microsoft_dynamic_quantize_matmul = {
    MICROSOFT("DynamicQuantizeMatMul"),
    .inputs = HONE_SLOTS({"A", 0, FLOAT, 0}, {"B", 'B', BYTES, 0}, {"b_scale", 0, FLOAT, 0},
                         {"b_zero_point", 'B', BYTES, OPTIONAL}, {"bias", 0, FLOAT, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 0, FLOAT, 0}),
    .infer = infer_scaled,
    .expand = expand_dynamic,
    .doc = "product of A, quantized as it comes, with bytes"};
