/* com.microsoft MatMulNBits and GatherBlockQuantized, which are functions of nbits.c's operators and of DequantizeLinear. */
#include "ops/common/emit.h"
#include "ops/common/walk.h"
#include "ops/quant/nbits.h"

#define REAL (HONE_TYPE(HONE_FLOAT32) | HONE_TYPES_HALF)
#define UINT8 HONE_TYPE(HONE_UINT8)
#define NIBBLES (HONE_TYPE(HONE_INT4) | HONE_TYPE(HONE_UINT4))
#define FLOAT8                                                                                               \
    (HONE_TYPE(HONE_FLOAT8E4M3FN) | HONE_TYPE(HONE_FLOAT8E4M3FNUZ) | HONE_TYPE(HONE_FLOAT8E5M2) |            \
     HONE_TYPE(HONE_FLOAT8E5M2FNUZ) | HONE_TYPE(HONE_FLOAT4E2M1))
#define OPTIONAL HONE_SLOT_OPTIONAL

/* Rows of scales or of zero points, whatever shape they came in: [rows, -1]. */
static hone_value *as_rows(hone_graph *g, hone_value *v, int64_t rows) {
    const int64_t shape[] = {rows, -1};
    return hone_emit_shaped(g, v, shape, 2);
}

/* Zero points are bytes, packed, or numbers. */
static hone_value *zeros_of(hone_graph *g, hone_value *v) {
    return v && v->type.dtype != HONE_UINT8 ? hone_emit_wide(g, v, HONE_FLOAT32) : v;
}

/* --- MatMulNBits --- */

enum { A, B, SCALES, ZEROS, GROUPS, BIAS };
#define IN_INT8 4 /* the accuracy level at which A may be rounded to int8, block by block */

static hone_status infer_product(hone_infer *ctx, hone_error *err) {
    const hone_type *a = ctx->in[A];
    int64_t d, rows = hone_node_int(ctx->node, "N");
    HONE_TRY(hone_bits_check(ctx, err));
    if (rows < 1) return hone_infer_fail(ctx, err, "%lld rows of weights", (long long)rows);
    HONE_TRY(hone_infer_same(ctx, err));
    if (a->rank == 0) return hone_infer_fail(ctx, err, "A must have rows");
    if (a->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_same_dim(ctx, a->dims[a->rank - 1], hone_node_int(ctx->node, "K"), &d, err));
    ctx->out[0].dims[a->rank - 1] = rows;
    return HONE_OK;
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)in;
    return hone_type_count(out) * hone_node_int(n, "K");
}

static hone_status expand_product(hone_graph *g, hone_node *n, hone_error *err) {
    const int64_t rows = hone_node_int(n, "N");
    if (hone_input(n, GROUPS) || hone_node_int(n, "weight_prepacked"))
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "g_idx, and weights that are packed otherwise");
    hone_value *in[] = {hone_emit_wide(g, n->inputs[A], HONE_FLOAT32), as_rows(g, n->inputs[B], rows),
                        as_rows(g, hone_emit_wide(g, n->inputs[SCALES], HONE_FLOAT32), rows),
                        as_rows(g, zeros_of(g, hone_input(n, ZEROS)), rows),
                        hone_emit_wide(g, hone_input(n, BIAS), HONE_FLOAT32)};
    hone_value *y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "BitsProduct", in, 5);
    const char *const names[] = {"bits", "block_size", "K", "N"};
    for (int i = 0; y && i < 4; i++) hone_node_set_int(g, y->producer, names[i], hone_node_int(n, names[i]));
    if (y) hone_node_set_int(g, y->producer, "integers", hone_node_int(n, "accuracy_level") == IN_INT8);
    hone_give_output(g, n, 0, y, HONE_FLOAT32);
    return hone_graph_check(g, err);
}

const hone_op hone_op_microsoft_matmul_nbits = {
    .domain = "com.microsoft",
    .name = "MatMulNBits",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"A", 'T', REAL, 0}, {"B", 0, UINT8, 0}, {"scales", 'T', REAL, 0},
                         {"zero_points", 0, REAL | UINT8, OPTIONAL},
                         {"g_idx", 0, HONE_TYPE(HONE_INT32), OPTIONAL}, {"bias", 'T', REAL, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', REAL, 0}),
    .attrs = HONE_ATTRS({"K", HONE_ATTR_INT, .required = true}, {"N", HONE_ATTR_INT, .required = true},
                        {"bits", HONE_ATTR_INT, .i = 4}, {"block_size", HONE_ATTR_INT, .required = true},
                        {"accuracy_level", HONE_ATTR_INT}, {"weight_prepacked", HONE_ATTR_INT}),
    .infer = infer_product,
    .multiply_adds = multiply_adds,
    .expand = expand_product,
    .doc = "the product with weights of 2, 4 or 8 bits, in blocks"};

/* --- GatherBlockQuantized --- */

enum { DATA, INDICES, G_SCALES, G_ZEROS };

static bool is_packed(const hone_node *n) {
    return n->inputs[DATA]->type.dtype == HONE_UINT8;
}

static hone_status infer_gather(hone_infer *ctx, hone_error *err) {
    const hone_type *data = ctx->in[DATA], *indices = ctx->in[INDICES], *scales = ctx->in[G_SCALES];
    hone_type *y = &ctx->out[0];
    int gather, quantize;
    y->dtype = scales->dtype;
    if (data->rank < 0 || indices->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_axis(ctx, hone_node_int(ctx->node, "gather_axis"), data->rank, false, &gather, err));
    HONE_TRY(
        hone_infer_axis(ctx, hone_node_int(ctx->node, "quantize_axis"), data->rank, false, &quantize, err));
    if (gather == quantize) return hone_infer_fail(ctx, err, "blocks can't be gathered along");
    if (data->rank - 1 + indices->rank > HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "a result of more than %d dimensions", HONE_MAX_RANK);
    const int64_t bits = hone_node_int(ctx->node, "bits");
    if (data->dtype == HONE_UINT8 && bits != 2 && bits != 4 && bits != 8)
        return hone_infer_fail(ctx, err, "weights of %lld bits", (long long)bits);
    const int64_t each = data->dtype == HONE_UINT8 ? 8 / bits : 1;
    y->rank = 0;
    for (int i = 0; i < data->rank; i++) {
        int64_t d = data->dims[i];
        if (d >= 0 && i == data->rank - 1 && __builtin_mul_overflow(d, each, &d))
            return hone_infer_fail(ctx, err, "rows of %lld bytes", (long long)data->dims[i]);
        if (i != gather) y->dims[y->rank++] = d;
        for (int k = 0; i == gather && k < indices->rank; k++) y->dims[y->rank++] = indices->dims[k];
    }
    return HONE_OK;
}

static hone_value *gathered(hone_graph *g, hone_value *v, hone_value *indices, int64_t axis) {
    hone_value *y = v ? HONE_EMIT(g, "", "Gather", v, indices) : NULL;
    if (y) hone_node_set_int(g, y->producer, "axis", axis);
    return y;
}

/* Codes, scales and zero points are gathered, then become numbers; what an index out of range asks for becomes 0. */
static hone_status expand_gather(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_type *data = &n->inputs[DATA]->type, *indices = &n->inputs[INDICES]->type;
    if (data->rank < 0 || indices->rank < 0 || data->dims[data->rank - 1] < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "operands of unknown shape");
    int64_t axis = hone_node_int(n, "gather_axis"), along = hone_node_int(n, "quantize_axis"),
            block = hone_node_int(n, "block_size");
    if (axis < 0) axis += data->rank;
    if (along < 0) along += data->rank;
    if (is_packed(n) && along != data->rank - 1)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "bytes whose blocks run along another axis");
    hone_value *at = hone_emit_cast(g, n->inputs[INDICES], HONE_INT64),
               *zero = hone_graph_scalar(g, HONE_INT64, 0);
    hone_value *count = hone_emit_shaped(g, hone_emit_dim(g, n->inputs[DATA], axis), NULL, 0),
               *none = HONE_EMIT(g, "", "Neg", count);
    hone_value *inside = HONE_EMIT(g, "", "And", HONE_EMIT(g, "", "GreaterOrEqual", at, none),
                                   HONE_EMIT(g, "", "Less", at, count));
    at = HONE_EMIT(g, "", "Where", inside, at, zero);
    hone_value *codes = gathered(g, n->inputs[DATA], at, axis),
               *scales = gathered(g, n->inputs[G_SCALES], at, axis),
               *zeros = gathered(g, hone_input(n, G_ZEROS), at, axis), *y;
    if (is_packed(n)) {
        hone_value *in[] = {codes, hone_emit_cast(g, scales, HONE_FLOAT32), zeros};
        y = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "UnpackBits", in, 3);
        if (y) {
            hone_node_set_int(g, y->producer, "bits", hone_node_int(n, "bits"));
            hone_node_set_int(g, y->producer, "block_size", block);
            hone_node_set_int(g, y->producer, "K",
                              data->dims[data->rank - 1] * (8 / hone_node_int(n, "bits")));
        }
    } else {
        y = HONE_EMIT(g, "", "DequantizeLinear", codes, hone_emit_cast(g, scales, HONE_FLOAT32), zeros);
        if (y) {
            hone_node_set_int(g, y->producer, "axis", along > axis ? along - 1 + indices->rank : along);
            hone_node_set_int(g, y->producer, "block_size", block ? block : data->dims[along]);
        }
    }
    /* an axis for each of those behind the gathered one */
    int64_t after[HONE_MAX_RANK];
    for (int i = 0; i < data->rank - 1 - axis; i++) after[i] = indices->rank + i;
    if (axis < data->rank - 1)
        inside = HONE_EMIT(g, "", "Unsqueeze", inside, hone_graph_ints(g, after, data->rank - 1 - axis));
    y = HONE_EMIT(g, "", "Where", inside, y, hone_graph_scalar(g, HONE_FLOAT32, 0));
    hone_give_output(g, n, 0, y, HONE_FLOAT32);
    return hone_graph_check(g, err);
}

const hone_op hone_op_microsoft_gather_block_quantized = {
    .domain = "com.microsoft",
    .name = "GatherBlockQuantized",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"data", 'D', UINT8 | NIBBLES | FLOAT8, 0}, {"indices", 0, HONE_TYPES_INT, 0},
                         {"scales", 'T', REAL, 0}, {"zero_points", 'D', UINT8 | NIBBLES, OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', REAL, 0}),
    .attrs = HONE_ATTRS({"bits", HONE_ATTR_INT, .i = 4}, {"block_size", HONE_ATTR_INT, .i = 128},
                        {"gather_axis", HONE_ATTR_INT}, {"quantize_axis", HONE_ATTR_INT, .i = 1}),
    .infer = infer_gather,
    .expand = expand_gather,
    .doc = "rows of quantized blocks, by index, as numbers; 0 where there is none"};
