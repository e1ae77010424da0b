/* Products of integer matrices: MatMulInteger, QLinearMatMul, and the one form that quantized graphs are
 * lowered to. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/linear/matmul_shape.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define INT32 HONE_TYPE(HONE_INT32)
#define BYTES HONE_TYPES_BYTE

/* A [..., M, K] and B [..., K, N] (or [N, K]) at inputs a and b, and what runs along rows and columns. */
static void axes_product(const hone_node *n, hone_axes *out, int a, int b, bool b_columns) {
    const hone_type *ta = &n->inputs[a]->type, *tb = &n->inputs[b]->type, *y = &n->outputs[0]->type;
    if (ta->rank < 2 || tb->rank < 2) return;
    for (int i = 0; i + 2 < ta->rank; i++)
        if (ta->dims[i] != 1) hone_axes_same(out, a, i, y->rank - ta->rank + i);
    for (int i = 0; i + 2 < tb->rank; i++)
        if (tb->dims[i] != 1) hone_axes_same(out, b, i, y->rank - tb->rank + i);
    hone_axes_same(out, a, ta->rank - 2, y->rank - 2);
    hone_axes_same(out, b, tb->rank - (b_columns ? 2 : 1), y->rank - 1);
    hone_axes_contract(out, a, ta->rank - 1, b, tb->rank - (b_columns ? 1 : 2));
}

/* Input i, if it is a vector, runs along axis `to` of the output. */
static void axes_vector(const hone_node *n, hone_axes *out, int i, int to) {
    if (i < n->input_count && n->inputs[i] && n->inputs[i]->type.rank == 1 &&
        n->inputs[i]->type.dims[0] != 1 && to >= 0)
        hone_axes_same(out, i, 0, to);
}

static int64_t multiply_adds(const hone_type *a, const hone_type *out) {
    return hone_type_count(out) * (a->rank ? a->dims[a->rank - 1] : 1);
}

/* --- MatMulInteger --- */

static hone_status infer_integer(hone_infer *ctx, hone_error *err) {
    return hone_matmul_infer(ctx, ctx->in[0], ctx->in[1], &ctx->out[0], err);
}

static void axes_integer(const hone_node *n, hone_axes *out) {
    int rank = n->outputs[0]->type.rank;
    axes_product(n, out, 0, 1, false);
    if (out->count == 0) return;
    axes_vector(n, out, 2, rank - 2);
    axes_vector(n, out, 3, rank - 1);
}

static int64_t multiply_adds_integer(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return multiply_adds(in[0], out);
}

static hone_status pack_integer(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_product_pack(p, node, 1, false, err);
}

static hone_status prepare_integer(hone_prepare *p, hone_error *err) {
    hone_product s = HONE_PRODUCT_INIT;
    s.kind = HONE_GEMM_U8S8;
    s.a_zero = p->in_count > 2 ? 2 : -1;
    s.b_zero = p->in_count > 3 ? 3 : -1;
    HONE_TRY(hone_matmul_shape(p, &s, err));
    return hone_product_prepare(p, &s, err);
}

const hone_op hone_op_matmul_integer = {
    .name = "MatMulInteger",
    .since = 10,
    .oldest = 10,
    .inputs = HONE_SLOTS({"A", 'A', BYTES, 0}, {"B", 'B', BYTES, HONE_SLOT_WEIGHT},
                         {"a_zero_point", 'A', BYTES, HONE_SLOT_OPTIONAL},
                         {"b_zero_point", 'B', BYTES, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 0, INT32, 0}),
    .infer = infer_integer,
    .axes = axes_integer,
    .multiply_adds = multiply_adds_integer,
    .pack = pack_integer,
    .prepare = prepare_integer,
    .quantize = HONE_QUANTIZE_INTEGER,
    .doc = "matrix product of 8-bit integers, summed in int32"};

/* --- QLinearMatMul --- */

enum { QA, QA_SCALE, QA_ZERO, QB, QB_SCALE, QB_ZERO, QY_SCALE, QY_ZERO };

static hone_status infer_qlinear(hone_infer *ctx, hone_error *err) {
    const hone_type *scale = ctx->in[QY_SCALE], *zero = ctx->in[QY_ZERO];
    if ((hone_type_is_concrete(scale) && hone_type_count(scale) != 1) ||
        (hone_type_is_concrete(zero) && hone_type_count(zero) != 1))
        return hone_infer_fail(ctx, err, "the result's scale and zero point must be one number each");
    return hone_matmul_infer(ctx, ctx->in[QA], ctx->in[QB], &ctx->out[0], err);
}

static void axes_qlinear(const hone_node *n, hone_axes *out) {
    int rank = n->outputs[0]->type.rank;
    axes_product(n, out, QA, QB, false);
    if (out->count == 0) return;
    axes_vector(n, out, QA_SCALE, rank - 2);
    axes_vector(n, out, QA_ZERO, rank - 2);
    axes_vector(n, out, QB_SCALE, rank - 1);
    axes_vector(n, out, QB_ZERO, rank - 1);
}

static int64_t multiply_adds_qlinear(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return multiply_adds(in[QA], out);
}

static hone_status pack_qlinear(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_product_pack(p, node, QB, false, err);
}

static hone_status prepare_qlinear(hone_prepare *p, hone_error *err) {
    hone_product s = HONE_PRODUCT_INIT;
    s.kind = HONE_GEMM_U8S8;
    s.a = QA;
    s.a_scale = QA_SCALE;
    s.a_zero = QA_ZERO;
    s.b = QB;
    s.b_scale = QB_SCALE;
    s.b_zero = QB_ZERO;
    s.y_scale = QY_SCALE;
    s.y_zero = QY_ZERO;
    HONE_TRY(hone_matmul_shape(p, &s, err));
    return hone_product_prepare(p, &s, err);
}

/* What runs it: bytes, with scales of float32. */
const hone_op hone_op_quantized_matmul = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "QuantizedMatMul",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"a", 'A', BYTES, 0}, {"a_scale", 0, FLOAT, 0}, {"a_zero_point", 'A', BYTES, 0},
                         {"b", 'B', BYTES, 0}, {"b_scale", 0, FLOAT, 0}, {"b_zero_point", 'B', BYTES, 0},
                         {"y_scale", 0, FLOAT, 0}, {"y_zero_point", 'Y', BYTES, 0}),
    .outputs = HONE_SLOTS({"y", 'Y', BYTES, 0}),
    .infer = infer_qlinear,
    .axes = axes_qlinear,
    .multiply_adds = multiply_adds_qlinear,
    .pack = pack_qlinear,
    .prepare = prepare_qlinear,
    .doc = "QLinearMatMul of bytes, with scales of float32"};

static hone_value *to_float(hone_graph *g, hone_value *v) {
    if (v->type.dtype == HONE_FLOAT32) return v;
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", HONE_FLOAT32);
    return y;
}

/* Inputs `i` … i + 2 as real numbers; a vector of scales runs along axis `axis`, from the end. */
static hone_value *dequantized(hone_graph *g, const hone_node *n, int i, int64_t axis) {
    hone_value *y = hone_graph_emit(g, "", "DequantizeLinear", n->inputs + i, 3);
    if (!y) return NULL;
    hone_node_set_int(g, y->producer, "axis", axis);
    hone_node_set_int(g, y->producer, "output_dtype", HONE_FLOAT32);
    return y;
}

static bool is_byte(const hone_value *v) {
    return (BYTES & HONE_TYPE(v->type.dtype)) != 0;
}

/* Of bytes in integers; of float8 as the product of what they stand for. */
static hone_status expand_qlinear(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *in[QY_ZERO + 1], *y;
    for (int i = 0; i <= QY_ZERO; i++) in[i] = n->inputs[i];
    if (is_byte(in[QA]) && is_byte(in[QB]) && is_byte(in[QY_ZERO])) {
        in[QA_SCALE] = to_float(g, in[QA_SCALE]);
        in[QB_SCALE] = to_float(g, in[QB_SCALE]);
        in[QY_SCALE] = to_float(g, in[QY_SCALE]);
        y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "QuantizedMatMul", in, QY_ZERO + 1);
    } else {
        y = HONE_EMIT(g, "", "MatMul", dequantized(g, n, QA, -2), dequantized(g, n, QB, -1));
        y = HONE_EMIT(g, "", "QuantizeLinear", y, in[QY_SCALE], in[QY_ZERO]);
        if (y) hone_node_set_int(g, y->producer, "precision", HONE_FLOAT32);
    }
    hone_graph_replace(g, n->outputs[0], y);
    return hone_graph_check(g, err);
}

#define CODES (BYTES | (HONE_TYPES_FLOAT8 & ~HONE_TYPE(HONE_FLOAT8E8M0)))
#define SCALES (FLOAT | HONE_TYPES_HALF)

const hone_op hone_op_qlinear_matmul = {
    .name = "QLinearMatMul",
    .since = 21,
    .oldest = 10,
    .late_types = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"a", 'A', CODES, 0}, {"a_scale", 'S', SCALES, 0}, {"a_zero_point", 'A', CODES, 0},
                         {"b", 'B', CODES, HONE_SLOT_WEIGHT}, {"b_scale", 'S', SCALES, 0},
                         {"b_zero_point", 'B', CODES, 0}, {"y_scale", 'S', SCALES, 0},
                         {"y_zero_point", 'Y', CODES, 0}),
    .outputs = HONE_SLOTS({"y", 'Y', CODES, 0}),
    .infer = infer_qlinear,
    .axes = axes_qlinear,
    .multiply_adds = multiply_adds_qlinear,
    .expand = expand_qlinear,
    .quantize = HONE_QUANTIZE_INTEGER,
    .doc = "matrix product of quantized matrices, quantized again"};

/* --- IntegerGemm --- Y = quantize(relu(a_scale b_scale (A - a_zero) (B - b_zero) + bias)); an int32 bias
 * counts in steps of a_scale * b_scale. Y is float32 where `to` says so. */

enum { GA, GA_SCALE, GA_ZERO, GB, GB_SCALE, GB_ZERO, GBIAS };

static hone_status infer_gemm(hone_infer *ctx, hone_error *err) {
    const hone_type *a = ctx->in[GA], *b = ctx->in[GB];
    int64_t to = hone_node_int(ctx->node, "to");
    if (to != HONE_FLOAT32 && to != HONE_UINT8 && to != HONE_INT8)
        return hone_infer_fail(ctx, err, "dtype %lld of the result", (long long)to);
    ctx->out[0].dtype = (hone_dtype)to;
    hone_type columns = *b;
    if (hone_node_int(ctx->node, "transB") && b->rank == 2) {
        columns.dims[0] = b->dims[1];
        columns.dims[1] = b->dims[0];
    }
    HONE_TRY(hone_matmul_infer(ctx, a, &columns, &ctx->out[0], err));
    for (int i = GA_SCALE; i <= GA_ZERO && i < ctx->input_count; i++)
        if (ctx->in[i] && hone_type_is_concrete(ctx->in[i]) && hone_type_count(ctx->in[i]) != 1)
            return hone_infer_fail(ctx, err, "scale and zero point of A must be one number each");
    return HONE_OK;
}

static void axes_gemm(const hone_node *n, hone_axes *out) {
    int rank = n->outputs[0]->type.rank;
    axes_product(n, out, GA, GB, hone_node_int(n, "transB") != 0);
    if (out->count == 0) return;
    for (int i = GB_SCALE; i <= GBIAS; i++) axes_vector(n, out, i, rank - 1);
}

static int64_t multiply_adds_gemm(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return multiply_adds(in[GA], out);
}

/* Input i, if it is there and no operand of the node's map. */
static int present(const hone_prepare *p, int i) {
    int own = p->node->map ? p->node->map_input : p->in_count;
    return i < own && p->in[i] ? i : -1;
}

static hone_status pack_gemm(hone_packer *p, const hone_node *node, hone_error *err) {
    return hone_product_pack(p, node, GB, hone_node_int(node, "transB") != 0, err);
}

static hone_status prepare_gemm(hone_prepare *p, hone_error *err) {
    hone_product s = HONE_PRODUCT_INIT;
    s.kind = HONE_GEMM_U8S8;
    s.a = GA;
    s.a_scale = GA_SCALE;
    s.b = GB;
    s.b_scale = GB_SCALE;
    s.a_zero = present(p, GA_ZERO);
    s.b_zero = present(p, GB_ZERO);
    s.bias = present(p, GBIAS);
    s.relu = hone_node_int(p->node, "relu") != 0;
    if (p->out[0].dtype != HONE_FLOAT32) s.y_scale_value = hone_node_float(p->node, "y_scale");
    s.y_zero_value = (int32_t)hone_node_int(p->node, "y_zero_point");
    HONE_TRY(hone_matmul_shape(p, &s, err));
    s.b_columns = hone_node_int(p->node, "transB") != 0;
    if (s.b_columns) s.n = p->in[GB]->dims[0];
    if (s.bias >= 0 && hone_type_count(p->in[s.bias]) != s.n)
        return hone_prepare_fail(p, err, "the bias has not one element for each column");
    return hone_product_prepare(p, &s, err);
}

const hone_op hone_op_integer_gemm = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "IntegerGemm",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"A", 'A', BYTES, 0}, {"a_scale", 0, FLOAT, 0},
                         {"a_zero_point", 'A', BYTES, HONE_SLOT_OPTIONAL}, {"B", 'B', BYTES, 0},
                         {"b_scale", 0, FLOAT, 0}, {"b_zero_point", 'B', BYTES, HONE_SLOT_OPTIONAL},
                         {"bias", 0, FLOAT | INT32, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 0, BYTES | FLOAT, 0}),
    .attrs = HONE_ATTRS({"transB", HONE_ATTR_INT}, {"relu", HONE_ATTR_INT},
                        {"to", HONE_ATTR_INT, .i = HONE_FLOAT32}, {"y_scale", HONE_ATTR_FLOAT, .f = 1},
                        {"y_zero_point", HONE_ATTR_INT}),
    .infer = infer_gemm,
    .axes = axes_gemm,
    .multiply_adds = multiply_adds_gemm,
    .pack = pack_gemm,
    .prepare = prepare_gemm,
    .epilogue = true,
    .quantize = HONE_QUANTIZE_INTEGER,
    .doc = "product of quantized matrices with bias and relu, quantized again or not"};
