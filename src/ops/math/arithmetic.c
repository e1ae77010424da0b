/* Arithmetic of two operands. */
#include "ops/engine/elementwise.h"

#include "graph/infer.h"
#include "graph/pattern.h"
#include "ops/common/axes.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"

#include <math.h>

#define LATE (HONE_TYPES_BYTE | HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_UINT16)) /* since opset 14 */
#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)
#define BINARY                                                                                               \
    .inputs = HONE_SLOTS({"A", 'T', NUMBERS, 0}, {"B", 'T', NUMBERS, 0}),                                    \
    .outputs = HONE_SLOTS({"C", 'T', NUMBERS, 0}), .late_types = LATE, .infer = hone_infer_elementwise,      \
    .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise, .overwrite = 3,                        \
    .gradient_kind = HONE_GRADIENT_EXACT, .quantize = HONE_QUANTIZE_FLOAT

/* The map of two operands, a and b. */
#define MAP(id, expression)                                                                                  \
    static void map_##id(hone_map *m, const hone_node *n) {                                                  \
        (void)n;                                                                                             \
        hone_reg a = hone_map_in(m, 0), b = hone_map_in(m, 1);                                               \
        hone_map_out(m, 0, expression);                                                                      \
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

MAP(add, hone_map_add(m, a, b))

static void gradient_add(hone_gradient *ctx) {
    hone_gradient_give(ctx, 0, ctx->dout[0]);
    hone_gradient_give(ctx, 1, ctx->dout[0]);
}

const hone_op hone_op_add = {.name = "Add",
                             .since = 14,
                             .oldest = 1,
                             .older = hone_older_broadcasting,
                             BINARY,
                             .commutes = true,
                             .map = map_add,
                             .scaling = HONE_SCALING_INPUTS,
                             .content = content_add,
                             .gradient = gradient_add,
                             .doc = "A + B"};

MAP(sub, hone_map_sub(m, a, b))

static void gradient_sub(hone_gradient *ctx) {
    hone_gradient_give(ctx, 0, ctx->dout[0]);
    if (ctx->wanted[1]) hone_gradient_give(ctx, 1, hone_gradient_emit1(ctx, "Neg", ctx->dout[0]));
}

const hone_op hone_op_sub = {.name = "Sub",
                             .since = 14,
                             .oldest = 1,
                             .older = hone_older_broadcasting,
                             BINARY,
                             .map = map_sub,
                             .scaling = HONE_SCALING_INPUTS,
                             .content = content_sub,
                             .gradient = gradient_sub,
                             .doc = "A - B"};

MAP(mul, hone_map_mul(m, a, b))

static void gradient_mul(hone_gradient *ctx) {
    hone_value *const *in = ctx->node->inputs;
    if (ctx->wanted[0]) hone_gradient_give(ctx, 0, hone_gradient_emit(ctx, "Mul", ctx->dout[0], in[1]));
    if (ctx->wanted[1]) hone_gradient_give(ctx, 1, hone_gradient_emit(ctx, "Mul", ctx->dout[0], in[0]));
}

const hone_op hone_op_mul = {.name = "Mul",
                             .since = 14,
                             .oldest = 1,
                             .older = hone_older_broadcasting,
                             BINARY,
                             .commutes = true,
                             .map = map_mul,
                             .content = content_mul,
                             .gradient = gradient_mul,
                             .doc = "A * B"};

MAP(div, hone_map_div(m, a, b))

/* d(a/b) = da/b - (a/b) db/b */
static void gradient_div(hone_gradient *ctx) {
    hone_value *const *in = ctx->node->inputs;
    hone_value *over_b = hone_gradient_emit(ctx, "Div", ctx->dout[0], in[1]);
    hone_gradient_give(ctx, 0, over_b);
    if (ctx->wanted[1])
        hone_gradient_give(
            ctx, 1,
            hone_gradient_emit1(ctx, "Neg", hone_gradient_emit(ctx, "Mul", over_b, ctx->node->outputs[0])));
}

const hone_op hone_op_div = {.name = "Div",
                             .since = 14,
                             .oldest = 1,
                             .older = hone_older_broadcasting,
                             BINARY,
                             .map = map_div,
                             .content = content_div,
                             .gradient = gradient_div,
                             .domain_hint = {.lo = 0.5f, .hi = 2},
                             .doc = "A / B; integers round toward zero"};

/* --- Mod --- the remainder: with fmod a's sign, else b's */

static void map_mod(hone_map *m, const hone_node *n) {
    hone_reg a = hone_map_in(m, 0), b = hone_map_in(m, 1), r = hone_map_rem(m, a, b);
    if (!hone_node_int(n, "fmod")) {
        hone_reg zero = hone_map_const(m, 0);
        hone_reg differ = hone_map_ne(m, hone_map_gt(m, zero, r), hone_map_gt(m, zero, b));
        differ = hone_map_min(m, differ, hone_map_ne(m, r, zero));
        r = hone_map_select(m, differ, hone_map_add(m, r, b), r);
    }
    hone_map_out(m, 0, r);
}

/* a - b q: the quotient q, (a - y) / b, is constant between steps */
static void gradient_mod(hone_gradient *ctx) {
    hone_value *const *in = ctx->node->inputs;
    hone_gradient_give(ctx, 0, ctx->dout[0]);
    if (!ctx->wanted[1]) return;
    hone_value *q =
        hone_gradient_emit(ctx, "Div", hone_gradient_emit(ctx, "Sub", ctx->node->outputs[0], in[0]), in[1]);
    hone_gradient_give(ctx, 1, hone_gradient_emit(ctx, "Mul", ctx->dout[0], q));
}

const hone_op hone_op_mod = {.name = "Mod",
                             .since = 13,
                             .oldest = 10,
                             BINARY,
                             .attrs = HONE_ATTRS({"fmod", HONE_ATTR_INT}),
                             .map = map_mod,
                             .gradient = gradient_mod,
                             .doc = "the remainder of A / B, of B's sign, or of A's"};

/* --- Pow --- in the base's type, integers to a power of floats in float64 */

/* What a power that is known costs less as; < 0: nothing. */
static hone_reg known_power(hone_map *m, hone_reg x, double power) {
    if (power == 1) return x;
    if (power == 2) return hone_map_mul(m, x, x);
    if (power == 3) return hone_map_mul(m, hone_map_mul(m, x, x), x);
    if (power == -1) return hone_map_div(m, hone_map_const(m, 1), x);
    if (power != 0.5) return -1;
    hone_reg root = hone_map_sqrt(m, hone_map_add(m, x, hone_map_const(m, 0))); /* of -0: 0 */
    hone_reg least = hone_map_eq(m, x, hone_map_const(m, -INFINITY));
    return hone_map_select(m, least, hone_map_const(m, INFINITY), root);
}

static void map_pow(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 0), power = hone_map_in(m, 1);
    hone_dtype base = n->inputs[0]->type.dtype, exponent = n->inputs[1]->type.dtype, type = base;
    if (hone_dtype_is_int(base)) type = hone_dtype_is_int(exponent) ? HONE_INT64 : HONE_FLOAT64;
    hone_reg y = type == base ? known_power(m, x, hone_constant_number(n->inputs[1])) : -1;
    if (y < 0) {
        hone_dtype computes = hone_map_computes(type);
        y = hone_map_pow(m, hone_map_cast(m, x, computes), hone_map_cast(m, power, computes));
    }
    hone_map_out(m, 0, type == base ? y : hone_map_cast(m, y, base));
}

/* dx = dy n x^(n-1); dn = dy y ln x, 0 where x is */
static void gradient_pow(hone_gradient *ctx) {
    hone_value *x = ctx->node->inputs[0], *power = ctx->node->inputs[1], *y = ctx->node->outputs[0];
    if (ctx->wanted[0]) {
        hone_value *exponent = power;
        if (power->type.dtype != y->type.dtype) {
            exponent = hone_gradient_emit1(ctx, "Cast", power);
            if (exponent) hone_node_set_int(ctx->graph, exponent->producer, "to", y->type.dtype);
        }
        hone_value *less = hone_gradient_emit(ctx, "Sub", exponent, hone_gradient_scalar(ctx, 1));
        hone_value *slope = hone_gradient_emit(ctx, "Mul", exponent, hone_gradient_emit(ctx, "Pow", x, less));
        hone_gradient_give(ctx, 0, hone_gradient_emit(ctx, "Mul", ctx->dout[0], slope));
    }
    if (ctx->wanted[1]) {
        hone_value *zero = hone_gradient_emit(ctx, "Equal", x, hone_gradient_scalar(ctx, 0));
        hone_value *log = hone_gradient_emit1(
            ctx, "Log", HONE_EMIT(ctx->graph, "", "Where", zero, hone_gradient_scalar(ctx, 1), x));
        hone_value *slope = hone_gradient_emit(ctx, "Mul", y, log);
        hone_gradient_give(ctx, 1, hone_gradient_emit(ctx, "Mul", ctx->dout[0], slope));
    }
}

#define POWERS (FLOATS | HONE_TYPES_INT)

const hone_op hone_op_pow = {.name = "Pow",
                             .since = 15,
                             .oldest = 1,
                             .older = hone_older_broadcasting,
                             .inputs = HONE_SLOTS({"X", 'T', POWERS, 0}, {"Y", 0, NUMBERS, 0}),
                             .outputs = HONE_SLOTS({"Z", 'T', POWERS, 0}),
                             .infer = hone_infer_elementwise,
                             .axes = hone_axes_broadcast,
                             .prepare = hone_prepare_elementwise,
                             .overwrite = 1,
                             .gradient_kind = HONE_GRADIENT_EXACT,
                             .map = map_pow,
                             .gradient = gradient_pow,
                             .domain_hint = {.lo = 0.5f, .hi = 2},
                             .doc = "X to the power Y"};
