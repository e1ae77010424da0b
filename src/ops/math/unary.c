/* Functions of one number. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/engine/elementwise.h"

#include <math.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)
#define SIGNED                                                                                               \
    (FLOATS | HONE_TYPES_INT | HONE_TYPE(HONE_INT8) | HONE_TYPE(HONE_INT16)) /* those with negative numbers */
#define UNARY(types)                                                                                         \
    .inputs = HONE_SLOTS({"X", 'T', types, 0}), .outputs = HONE_SLOTS({"Y", 'T', types, 0}),                 \
    .infer = hone_infer_same, .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise,              \
    .overwrite = 1, .quantize = HONE_QUANTIZE_TABLE
#define EXACT(rule) .gradient_kind = HONE_GRADIENT_EXACT, .gradient = rule
#define STEPS .gradient_kind = HONE_GRADIENT_ZERO /* constant between its steps */

/* The map of one operand, x. */
#define MAP(id, expression)                                                                                  \
    static void map_##id(hone_map *m, const hone_node *n) {                                                  \
        (void)n;                                                                                             \
        hone_reg x = hone_map_in(m, 0);                                                                      \
        hone_map_out(m, 0, expression);                                                                      \
    }

/* --- signs --- */

MAP(neg, hone_map_neg(m, x))

static void gradient_neg(hone_gradient *ctx) {
    ctx->din[0] = hone_gradient_emit1(ctx, "Neg", ctx->dout[0]);
}

const hone_op hone_op_neg = {.name = "Neg",
                             .since = 13,
                             .oldest = 1,
                             .older = hone_older_consuming,
                             UNARY(SIGNED),
                             .map = map_neg,
                             EXACT(gradient_neg),
                             .doc = "-X"};

MAP(abs, hone_map_abs(m, x))

static void gradient_abs(hone_gradient *ctx) {
    hone_value *sign = hone_gradient_emit1(ctx, "Sign", ctx->node->inputs[0]);
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", ctx->dout[0], sign);
}

const hone_op hone_op_abs = {.name = "Abs",
                             .since = 13,
                             .oldest = 1,
                             .older = hone_older_consuming,
                             UNARY(NUMBERS),
                             .map = map_abs,
                             EXACT(gradient_abs),
                             .domain_hint = {.kink_at_zero = true},
                             .doc = "|X|"};

/* 0 and NaN are their own signs. */
static void map_sign(hone_map *m, const hone_node *n) {
    (void)n;
    hone_reg x = hone_map_in(m, 0), zero = hone_map_const(m, 0);
    hone_reg rest = hone_map_select(m, hone_map_gt(m, zero, x), hone_map_const(m, -1), x);
    hone_map_out(m, 0, hone_map_select(m, hone_map_gt(m, x, zero), hone_map_const(m, 1), rest));
}

const hone_op hone_op_sign = {
    .name = "Sign", .since = 13, .oldest = 9, UNARY(NUMBERS), .map = map_sign, STEPS, .doc = "-1, 0 or 1"};

/* --- whole numbers --- */

#define WHOLE(id)                                                                                            \
    MAP(id, hone_map_##id(m, x))                                                                             \
    const hone_op hone_op_##id

WHOLE(floor) = {.name = "Floor",
                .since = 13,
                .oldest = 1,
                .older = hone_older_consuming,
                UNARY(FLOATS),
                .map = map_floor,
                STEPS,
                .doc = "the whole number at or below X"};

WHOLE(ceil) = {.name = "Ceil",
               .since = 13,
               .oldest = 1,
               .older = hone_older_consuming,
               UNARY(FLOATS),
               .map = map_ceil,
               STEPS,
               .doc = "the whole number at or above X"};

WHOLE(round) = {.name = "Round",
                .since = 22,
                .oldest = 11,
                UNARY(FLOATS),
                .map = map_round,
                STEPS,
                .doc = "the nearest whole number, of two the even one"};

/* --- powers --- */

MAP(sqrt, hone_map_sqrt(m, x))

/* dx = dy / (2 y) */
static void gradient_sqrt(hone_gradient *ctx) {
    hone_value *y = ctx->node->outputs[0];
    ctx->din[0] = hone_gradient_emit(ctx, "Div", ctx->dout[0], hone_gradient_emit(ctx, "Add", y, y));
}

const hone_op hone_op_sqrt = {.name = "Sqrt",
                              .since = 13,
                              .oldest = 1,
                              .older = hone_older_consuming,
                              UNARY(FLOATS),
                              .map = map_sqrt,
                              EXACT(gradient_sqrt),
                              .domain_hint = {.lo = 0.5f, .hi = 2},
                              .doc = "square root"};

MAP(reciprocal, hone_map_div(m, hone_map_const(m, 1), x))

/* dx = -dy y^2 */
static void gradient_reciprocal(hone_gradient *ctx) {
    hone_value *y = ctx->node->outputs[0];
    hone_value *d = hone_gradient_emit(ctx, "Mul", ctx->dout[0], hone_gradient_emit(ctx, "Mul", y, y));
    ctx->din[0] = hone_gradient_emit1(ctx, "Neg", d);
}

const hone_op hone_op_reciprocal = {.name = "Reciprocal",
                                    .since = 13,
                                    .oldest = 1,
                                    .older = hone_older_consuming,
                                    UNARY(FLOATS),
                                    .map = map_reciprocal,
                                    EXACT(gradient_reciprocal),
                                    .domain_hint = {.lo = 0.5f, .hi = 2},
                                    .doc = "1 / X"};

/* --- exponential functions --- */

MAP(exp, hone_map_exp(m, x))

static void gradient_exp(hone_gradient *ctx) {
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", ctx->dout[0], ctx->node->outputs[0]);
}

const hone_op hone_op_exp = {.name = "Exp",
                             .since = 13,
                             .oldest = 1,
                             .older = hone_older_consuming,
                             UNARY(FLOATS),
                             .map = map_exp,
                             EXACT(gradient_exp),
                             .doc = "exp(X)"};

MAP(log, hone_map_log(m, x))

static void gradient_log(hone_gradient *ctx) {
    ctx->din[0] = hone_gradient_emit(ctx, "Div", ctx->dout[0], ctx->node->inputs[0]);
}

const hone_op hone_op_log = {.name = "Log",
                             .since = 13,
                             .oldest = 1,
                             .older = hone_older_consuming,
                             UNARY(FLOATS),
                             .map = map_log,
                             EXACT(gradient_log),
                             .domain_hint = {.lo = 0.5f, .hi = 2},
                             .doc = "natural logarithm"};

MAP(erf, hone_map_erf(m, x))

/* dx = dy 2/sqrt(pi) e^(-x^2) */
static void gradient_erf(hone_gradient *ctx) {
    hone_value *x = ctx->node->inputs[0];
    hone_value *e = hone_gradient_emit1(
        ctx, "Exp", hone_gradient_emit1(ctx, "Neg", hone_gradient_emit(ctx, "Mul", x, x)));
    hone_value *slope = hone_gradient_emit(ctx, "Mul", e, hone_gradient_scalar(ctx, M_2_SQRTPI));
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", ctx->dout[0], slope);
}

const hone_op hone_op_erf = {.name = "Erf",
                             .since = 13,
                             .oldest = 9,
                             UNARY(FLOATS),
                             .map = map_erf,
                             EXACT(gradient_erf),
                             .doc = "the error function"};
