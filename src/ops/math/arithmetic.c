/* Arithmetic that broadcasts, and the fused form of all elementwise operators. */
#include "ops/engine/elementwise.h"

#include "graph/autodiff.h"
#include "graph/infer.h"
#include "ops/common/axes.h"

#define LATE (HONE_TYPES_BYTE | HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_UINT16)) /* since opset 14 */
#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)
#define BINARY                                                                                               \
    .inputs = HONE_SLOTS({"A", 'T', NUMBERS, 0}, {"B", 'T', NUMBERS, 0}),                                    \
    .outputs = HONE_SLOTS({"C", 'T', NUMBERS, 0}), .late_types = LATE, .infer = hone_infer_elementwise,      \
    .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise, .overwrite = 3,                        \
    .gradient_kind = HONE_GRADIENT_EXACT, .quantize = HONE_QUANTIZE_FLOAT

/* dA (or dB) of a broadcasting operator: `d` has the output's shape. */
static void give(hone_gradient *ctx, int input, hone_value *d) {
    if (ctx->wanted[input])
        ctx->din[input] = hone_gradient_sum_to(ctx, d, ctx->node->outputs[0], ctx->node->inputs[input]);
}

static hone_value *emit(hone_gradient *ctx, const char *op, hone_value *a, hone_value *b) {
    return HONE_EMIT(ctx->graph, "", op, a, b);
}

/* What is known of integers computed from what is known: numbers, and symbols that 0 or 1 leave as they are. */
static hone_item combine(char op, hone_item a, hone_item b) {
    const hone_item unknown = {HONE_ITEM_UNKNOWN, 0};
    bool an = a.kind == HONE_ITEM_NUMBER, bn = b.kind == HONE_ITEM_NUMBER;
    int64_t y = 0;
    if (an && bn) {
        bool lost = op == '+'   ? __builtin_add_overflow(a.value, b.value, &y)
                    : op == '-' ? __builtin_sub_overflow(a.value, b.value, &y)
                    : op == '*' ? __builtin_mul_overflow(a.value, b.value, &y)
                                : b.value == 0 || b.value == -1;
        if (!lost && op == '/') y = a.value / b.value;
        return lost ? unknown : (hone_item){HONE_ITEM_NUMBER, y};
    }
    int64_t neutral = op == '+' || op == '-' ? 0 : 1;
    if (bn && b.value == neutral) return a;
    if (an && a.value == neutral && (op == '+' || op == '*')) return b;
    if (op == '*' && ((an && a.value == 0) || (bn && b.value == 0))) return (hone_item){HONE_ITEM_NUMBER, 0};
    return unknown;
}

/* Operands of the same length, or one of them a single number. */
static bool content_of(const hone_infer *ctx, char op, hone_content *out) {
    hone_content a, b;
    if (ctx->out[0].dtype != HONE_INT64 || ctx->out[0].rank > 1) return false;
    if (!hone_infer_items(ctx, 0, &a) || !hone_infer_items(ctx, 1, &b)) return false;
    if (a.count != b.count && a.count != 1 && b.count != 1) return false;
    out->count = a.count == 1 ? b.count : a.count;
    for (int i = 0; i < out->count; i++)
        out->item[i] = combine(op, a.item[a.count == 1 ? 0 : i], b.item[b.count == 1 ? 0 : i]);
    return true;
}

static bool content_add(const hone_infer *ctx, hone_content *out) {
    return content_of(ctx, '+', out);
}
static bool content_sub(const hone_infer *ctx, hone_content *out) {
    return content_of(ctx, '-', out);
}
static bool content_mul(const hone_infer *ctx, hone_content *out) {
    return content_of(ctx, '*', out);
}
static bool content_div(const hone_infer *ctx, hone_content *out) {
    return content_of(ctx, '/', out);
}

static void map_add(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_map_add(m, hone_map_in(m, 0), hone_map_in(m, 1)));
}

static void gradient_add(hone_gradient *ctx) {
    give(ctx, 0, ctx->dout[0]);
    give(ctx, 1, ctx->dout[0]);
}

const hone_op hone_op_add = {.name = "Add",
                             .since = 14,
                             .oldest = 7,
                             BINARY,
                             .commutes = true,
                             .map = map_add,
                             .content = content_add,
                             .gradient = gradient_add,
                             .doc = "A + B"};

static void map_sub(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_map_sub(m, hone_map_in(m, 0), hone_map_in(m, 1)));
}

static void gradient_sub(hone_gradient *ctx) {
    give(ctx, 0, ctx->dout[0]);
    if (ctx->wanted[1]) give(ctx, 1, HONE_EMIT(ctx->graph, "", "Neg", ctx->dout[0]));
}

const hone_op hone_op_sub = {.name = "Sub",
                             .since = 14,
                             .oldest = 7,
                             BINARY,
                             .map = map_sub,
                             .content = content_sub,
                             .gradient = gradient_sub,
                             .doc = "A - B"};

static void map_mul(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_map_mul(m, hone_map_in(m, 0), hone_map_in(m, 1)));
}

static void gradient_mul(hone_gradient *ctx) {
    hone_value *const *in = ctx->node->inputs;
    if (ctx->wanted[0]) give(ctx, 0, emit(ctx, "Mul", ctx->dout[0], in[1]));
    if (ctx->wanted[1]) give(ctx, 1, emit(ctx, "Mul", ctx->dout[0], in[0]));
}

const hone_op hone_op_mul = {.name = "Mul",
                             .since = 14,
                             .oldest = 7,
                             BINARY,
                             .commutes = true,
                             .map = map_mul,
                             .content = content_mul,
                             .gradient = gradient_mul,
                             .doc = "A * B"};

static void map_div(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_map_div(m, hone_map_in(m, 0), hone_map_in(m, 1)));
}

/* d(a/b) = da/b - (a/b) db/b */
static void gradient_div(hone_gradient *ctx) {
    hone_value *const *in = ctx->node->inputs;
    hone_value *over_b = emit(ctx, "Div", ctx->dout[0], in[1]);
    give(ctx, 0, over_b);
    if (ctx->wanted[1])
        give(ctx, 1, HONE_EMIT(ctx->graph, "", "Neg", emit(ctx, "Mul", over_b, ctx->node->outputs[0])));
}

const hone_op hone_op_div = {.name = "Div",
                             .since = 14,
                             .oldest = 7,
                             BINARY,
                             .map = map_div,
                             .content = content_div,
                             .gradient = gradient_div,
                             .domain_hint = {.lo = 0.5f, .hi = 2},
                             .doc = "A / B; integers round toward zero"};

/* Any number of operands; what it does is the node's map. */
static hone_status infer_map(hone_infer *ctx, hone_error *err) {
    const hone_map *m = ctx->node->map;
    if (!m || m->outputs != ctx->output_count) return hone_infer_fail(ctx, err, "the node has no program");
    HONE_TRY(hone_infer_elementwise(ctx, err));
    for (int o = 0; o < ctx->output_count; o++) {
        ctx->out[o] = ctx->out[0];
        ctx->out[o].dtype = hone_map_output_dtype(m, o);
    }
    return HONE_OK;
}

static void map_map(hone_map *m, const hone_node *n) {
    hone_map_inline(m, n->map, m->operand, m->result);
}

const hone_op hone_op_map = {.domain = HONE_PRIVATE_DOMAIN,
                             .name = "Map",
                             .since = 1,
                             .inputs = HONE_SLOTS({"operands", 0, HONE_TYPES_FIXED, HONE_SLOT_VARIADIC}),
                             .outputs = HONE_SLOTS({"results", 0, HONE_TYPES_FIXED, HONE_SLOT_VARIADIC}),
                             .infer = infer_map,
                             .axes = hone_axes_broadcast,
                             .prepare = hone_prepare_elementwise,
                             .map = map_map,
                             .overwrite = 0xffffffffu,
                             .doc = "several elementwise operators as one vector program"};
