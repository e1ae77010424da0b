/* QuantizeLinear, DequantizeLinear, and the gradient of the first: ONNX's, and com.microsoft's, which are older forms.
 *
 * In training, the cotangent of a quantized value is that of the real number it stands for: QuantizeLinear
 * and DequantizeLinear hand it on as it is, save that nothing flows to what was cut off at the ends of the
 * range. Scales and zero points count as constants. */
#include "ops/quant/quantize.h"
#include "graph/infer.h"
#include "graph/map.h"
#include "ops/common/axes.h"
#include "ops/quant/scales.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define BYTES HONE_TYPES_BYTE
#define INT32 HONE_TYPE(HONE_INT32)
#define REAL (FLOAT | HONE_TYPES_HALF)
#define WORDS (HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_UINT16))
#define NIBBLES (HONE_TYPE(HONE_INT4) | HONE_TYPE(HONE_UINT4))
#define E8M0 HONE_TYPE(HONE_FLOAT8E8M0)
#define CODES (BYTES | WORDS | (HONE_TYPES_FLOAT8 & ~E8M0) | HONE_TYPES_PACKED)

/* --- shapes --- */

static bool has_attr(const hone_node *n, const char *name) {
    return hone_attr_find(n->op->attrs, name) != NULL;
}

static hone_status fail(const hone_infer *ctx, hone_error *err, const char *what, int64_t dtype) {
    return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, hone_node_op_name(ctx->node), "%s %lld",
                          what, (long long)dtype);
}

/* The dtype that an attribute asks for, one of `types`; 0: none. */
static hone_status asked_dtype(const hone_infer *ctx, const char *name, uint32_t types, hone_dtype *out,
                               hone_error *err) {
    int64_t asked = has_attr(ctx->node, name) ? hone_node_int(ctx->node, name) : 0;
    if (asked && (asked < 0 || asked >= HONE_DTYPE_COUNT || !(types & HONE_TYPE(asked))))
        return fail(ctx, err, name, asked);
    *out = (hone_dtype)asked;
    return HONE_OK;
}

static hone_status infer_quantize(hone_infer *ctx, hone_error *err) {
    hone_dtype asked, precision;
    HONE_TRY(asked_dtype(ctx, "output_dtype", CODES, &asked, err));
    HONE_TRY(asked_dtype(ctx, "precision", REAL, &precision, err));
    hone_dtype *dtype = &ctx->out[0].dtype;
    if (asked && *dtype != HONE_UNDEFINED && *dtype != asked)
        return hone_infer_fail(ctx, err, "output_dtype is not the zero point's");
    if (ctx->input_count < 3 || !ctx->in[2]) *dtype = asked ? asked : HONE_UINT8;
    HONE_TRY(hone_infer_same(ctx, err));
    return hone_scales_infer(ctx, 0, err);
}

static hone_status infer_dequantize(hone_infer *ctx, hone_error *err) {
    hone_dtype asked, scale = ctx->in[1]->dtype;
    HONE_TRY(asked_dtype(ctx, "output_dtype", REAL, &asked, err));
    if (!asked && scale != HONE_UNDEFINED && !(REAL & HONE_TYPE(scale)))
        return hone_infer_fail(ctx, err, "scales of %s need an output_dtype", hone_dtype_name(scale));
    ctx->out[0].dtype = asked ? asked : scale;
    HONE_TRY(hone_infer_same(ctx, err));
    return hone_scales_infer(ctx, 0, err);
}

static void axes_linear(const hone_node *n, hone_axes *out) {
    hone_scales_link(n, 0, out);
}

/* --- as maps --- where one scale is for all, so that it broadcasts */

static bool is_of(const hone_value *v, uint32_t types) {
    return (types & HONE_TYPE(v->type.dtype)) != 0;
}

static bool has_one_scale(const hone_node *n) {
    const hone_type *x = &n->inputs[0]->type, *scale = &n->inputs[1]->type;
    bool has_zero = n->input_count > 2 && n->inputs[2];
    bool one = scale->rank == 0 || (scale->rank == 1 && scale->dims[0] == 1 && x->rank > 0);
    if (has_zero && n->inputs[2]->type.rank != scale->rank) one = false;
    return one && (!has_attr(n, "block_size") || hone_node_int(n, "block_size") == 0) &&
           is_of(n->inputs[1], REAL) && hone_scales_axis(n, x, scale) == -1;
}

static bool quantize_has_map(const hone_node *n) {
    return has_one_scale(n) && is_of(n->outputs[0], BYTES);
}

/* int32 is subtracted before it becomes a real number: of float32 only. */
static bool dequantize_has_map(const hone_node *n) {
    bool plain = is_of(n->inputs[1], FLOAT) && is_of(n->outputs[0], FLOAT);
    return has_one_scale(n) && is_of(n->inputs[0], BYTES | WORDS | (plain ? INT32 : 0));
}

static hone_reg zero_point(hone_map *m, const hone_node *n) {
    return n->input_count > 2 && n->inputs[2] ? hone_map_in(m, 2) : -1;
}

static void map_quantize(hone_map *m, const hone_node *n) {
    const hone_dtype precision = hone_quantize_precision(n, n->inputs[1]->type.dtype);
    hone_reg zero = zero_point(m, n), x = hone_map_cast(m, hone_map_in(m, 0), precision);
    hone_reg q = hone_map_div(m, x, hone_map_cast(m, hone_map_in(m, 1), precision));
    zero = zero < 0 ? hone_map_const(m, 0) : hone_map_cast(m, zero, HONE_FLOAT32);
    hone_map_out(m, 0, hone_map_quantize(m, hone_map_cast(m, q, precision), zero, n->outputs[0]->type.dtype));
}

/* Codes of 8 and 16 bits and their differences are exact in float; int32 is subtracted first, and wraps. */
static void map_dequantize(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 0), zero = zero_point(m, n);
    if (n->inputs[0]->type.dtype != HONE_INT32) {
        x = hone_map_cast(m, x, HONE_FLOAT32);
        if (zero >= 0) zero = hone_map_cast(m, zero, HONE_FLOAT32);
    }
    if (zero >= 0) x = hone_map_sub(m, x, zero);
    hone_map_out(m, 0, hone_map_mul(m, hone_map_cast(m, x, HONE_FLOAT32), hone_map_in(m, 1)));
}

/* --- QuantizeLinear --- */

static void gradient_quantize(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[0]) return;
    hone_value *in[] = {ctx->dout[0], n->inputs[0], n->inputs[1], n->input_count > 2 ? n->inputs[2] : NULL};
    hone_value *d = hone_graph_emit(ctx->graph, HONE_PRIVATE_DOMAIN, "QuantizeGrad", in, 4);
    if (!d) return;
    hone_node_set_int(ctx->graph, d->producer, "axis", hone_node_int(n, "axis"));
    if (has_attr(n, "block_size"))
        hone_node_set_int(ctx->graph, d->producer, "block_size", hone_node_int(n, "block_size"));
    hone_node_set_int(ctx->graph, d->producer, "to", n->outputs[0]->type.dtype);
    ctx->din[0] = d;
}

#define AXIS                                                                                                 \
    { "axis", HONE_ATTR_INT, .i = 1 }
#define SATURATE /* of float8 */                                                                             \
    { "saturate", HONE_ATTR_INT, .i = 1 }
#define BLOCK                                                                                                \
    { "block_size", HONE_ATTR_INT }
#define OUTPUT                                                                                               \
    { "output_dtype", HONE_ATTR_INT }
#define OPTIONAL HONE_SLOT_OPTIONAL

static const hone_attr_def none[] = {{NULL}};
static const hone_attr_def quantize_13[] = {AXIS, {NULL}};
static const hone_attr_def quantize_19[] = {AXIS, SATURATE, {NULL}};
static const hone_attr_def quantize_21[] = {AXIS, SATURATE, BLOCK, OUTPUT, {NULL}};
static const hone_op_version older_quantize[] = {{23, NULL, NULL},        {21, quantize_21, NULL},
                                                 {19, quantize_19, NULL}, {13, quantize_13, NULL},
                                                 {10, none, NULL},        {0}};

#define QUANTIZE                                                                                             \
    .role = HONE_ROLE_QUANTIZE, .infer = infer_quantize, .axes = axes_linear,                                \
    .prepare = hone_prepare_quantize, .map = map_quantize, .has_map = quantize_has_map,                      \
    .gradient_kind = HONE_GRADIENT_STRAIGHT_THROUGH, .gradient = gradient_quantize,                          \
    .doc = "round(x / scale) + zero point, held in the range of its type"

const hone_op hone_op_quantize_linear = {
    .name = "QuantizeLinear",
    .since = 25,
    QUANTIZE,
    .oldest = 10,
    .older = older_quantize,
    .late_types = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"x", 0, REAL | INT32, 0}, {"y_scale", 0, REAL | INT32 | E8M0, 0},
                         {"y_zero_point", 'Z', CODES, OPTIONAL}),
    .outputs = HONE_SLOTS({"y", 'Z', CODES, 0}),
    .attrs = HONE_ATTRS(AXIS, SATURATE, BLOCK, OUTPUT, {"precision", HONE_ATTR_INT})};

const hone_op hone_op_microsoft_quantize_linear = {
    .domain = "com.microsoft",
    .name = "QuantizeLinear",
    .since = 1,
    .oldest = 1,
    QUANTIZE,
    .inputs = HONE_SLOTS({"x", 'X', REAL, 0}, {"y_scale", 'X', REAL, 0},
                         {"y_zero_point", 'Z', BYTES | WORDS | NIBBLES, OPTIONAL}),
    .outputs = HONE_SLOTS({"y", 'Z', BYTES | WORDS | NIBBLES, 0}),
    .attrs = HONE_ATTRS(AXIS)};

/* --- DequantizeLinear --- */

static void gradient_dequantize(hone_gradient *ctx) {
    ctx->din[0] = ctx->dout[0];
}

static const hone_attr_def dequantize_21[] = {AXIS, BLOCK, {NULL}};
static const hone_op_version older_dequantize[] = {
    {23, NULL, NULL}, {21, dequantize_21, NULL}, {13, quantize_13, NULL}, {10, none, NULL}, {0}};

#define DEQUANTIZE                                                                                           \
    .role = HONE_ROLE_DEQUANTIZE, .infer = infer_dequantize, .axes = axes_linear,                            \
    .prepare = hone_prepare_dequantize, .map = map_dequantize, .has_map = dequantize_has_map,                \
    .gradient_kind = HONE_GRADIENT_STRAIGHT_THROUGH, .gradient = gradient_dequantize,                        \
    .doc = "(x - zero point) * scale"

const hone_op hone_op_dequantize_linear = {
    .name = "DequantizeLinear",
    .since = 25,
    DEQUANTIZE,
    .oldest = 10,
    .older = older_dequantize,
    .late_types = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"x", 'Z', CODES | INT32, HONE_SLOT_WEIGHT}, {"x_scale", 0, REAL | E8M0, 0},
                         {"x_zero_point", 'Z', CODES | INT32, OPTIONAL}),
    .outputs = HONE_SLOTS({"y", 0, REAL, 0}),
    .attrs = HONE_ATTRS(AXIS, BLOCK, OUTPUT)};

const hone_op hone_op_microsoft_dequantize_linear = {
    .domain = "com.microsoft",
    .name = "DequantizeLinear",
    .since = 1,
    .oldest = 1,
    DEQUANTIZE,
    .inputs =
        HONE_SLOTS({"x", 'Z', BYTES | WORDS | NIBBLES | INT32, HONE_SLOT_WEIGHT}, {"x_scale", 'Y', REAL, 0},
                   {"x_zero_point", 'Z', BYTES | WORDS | NIBBLES | INT32, OPTIONAL}),
    .outputs = HONE_SLOTS({"y", 'Y', REAL, 0}),
    .attrs = HONE_ATTRS(AXIS)};

/* --- QuantizeGrad --- dx of (dy, x, scale[, zero point]); `to` is the dtype that x was quantized to */

static hone_status infer_gradient(hone_infer *ctx, hone_error *err) {
    hone_dtype to;
    HONE_TRY(asked_dtype(ctx, "to", CODES, &to, err));
    return hone_infer_same(ctx, err);
}

static void axes_gradient(const hone_node *n, hone_axes *out) {
    hone_scales_link(n, 1, out);
    int count = out->count; /* dy goes the way of x */
    for (int i = 0; i < count; i++)
        if (out->links[i].input == 1) hone_axes_same(out, 0, out->links[i].axis, out->links[i].output_axis);
}

const hone_op hone_op_quantize_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "QuantizeGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dy", 0, FLOAT, 0}, {"x", 0, FLOAT, 0}, {"scale", 0, FLOAT, 0},
                         {"zero_point", 0, CODES, OPTIONAL}),
    .outputs = HONE_SLOTS({"dx", 0, FLOAT, 0}),
    .attrs = HONE_ATTRS(AXIS, BLOCK, {"to", HONE_ATTR_INT, .required = true}),
    .infer = infer_gradient,
    .axes = axes_gradient,
    .overwrite = 3,
    .prepare = hone_prepare_quantize_grad,
    .doc = "dy where x was inside of the range, else 0"};
