/* Circular and hyperbolic functions and their inverses. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/gradient.h"
#include "ops/engine/elementwise.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

/* Gradients are written for x, an input, y, the output, and dy. */
#define EMIT1(op, a) hone_gradient_emit1(ctx, op, a)
#define EMIT(op, a, b) hone_gradient_emit(ctx, op, a, b)
#define ONE hone_gradient_scalar(ctx, 1)

#define FUNCTION(id, label, first, dx, meaning, ...)                                                         \
    static void map_##id(hone_map *m, const hone_node *n) {                                                  \
        (void)n;                                                                                             \
        hone_map_out(m, 0, hone_map_##id(m, hone_map_in(m, 0)));                                             \
    }                                                                                                        \
    static void gradient_##id(hone_gradient *ctx) {                                                          \
        hone_value *x = ctx->node->inputs[0], *y = ctx->node->outputs[0], *dy = ctx->dout[0];                \
        (void)x, (void)y;                                                                                    \
        ctx->din[0] = dx;                                                                                    \
    }                                                                                                        \
    const hone_op hone_op_##id = {.name = label,                                                             \
                                  .since = 22,                                                               \
                                  .oldest = first,                                                           \
                                  .inputs = HONE_SLOTS({"input", 'T', FLOATS, 0}),                           \
                                  .outputs = HONE_SLOTS({"output", 'T', FLOATS, 0}),                         \
                                  .infer = hone_infer_same,                                                  \
                                  .axes = hone_axes_broadcast,                                               \
                                  .prepare = hone_prepare_elementwise,                                       \
                                  .overwrite = 1,                                                            \
                                  .quantize = HONE_QUANTIZE_TABLE,                                           \
                                  .map = map_##id,                                                           \
                                  .gradient_kind = HONE_GRADIENT_EXACT,                                      \
                                  .gradient = gradient_##id,                                                 \
                                  .doc = meaning,                                                            \
                                  __VA_ARGS__}

/* --- circular --- */

FUNCTION(sin, "Sin", 7, EMIT("Mul", dy, EMIT1("Cos", x)), "sine");
FUNCTION(cos, "Cos", 7, EMIT("Mul", dy, EMIT1("Neg", EMIT1("Sin", x))), "cosine");
FUNCTION(tan, "Tan", 7, EMIT("Mul", dy, EMIT("Add", EMIT("Mul", y, y), ONE)), "tangent");

/* 1 - x^2 as (1 - x)(1 + x), which is exact near 1 */
static hone_value *below_one(hone_gradient *ctx, hone_value *x) {
    return EMIT("Mul", EMIT("Sub", ONE, x), EMIT("Add", ONE, x));
}

FUNCTION(asin, "Asin", 7, EMIT("Div", dy, EMIT1("Sqrt", below_one(ctx, x))), "inverse sine",
         .domain_hint = {.lo = -0.9f, .hi = 0.9f});
FUNCTION(acos, "Acos", 7, EMIT1("Neg", EMIT("Div", dy, EMIT1("Sqrt", below_one(ctx, x)))), "inverse cosine",
         .domain_hint = {.lo = -0.9f, .hi = 0.9f});
FUNCTION(atan, "Atan", 7, EMIT("Div", dy, EMIT("Add", EMIT("Mul", x, x), ONE)), "inverse tangent");

/* --- hyperbolic --- */

FUNCTION(sinh, "Sinh", 9, EMIT("Mul", dy, EMIT1("Cosh", x)), "hyperbolic sine");
FUNCTION(cosh, "Cosh", 9, EMIT("Mul", dy, EMIT1("Sinh", x)), "hyperbolic cosine");
FUNCTION(asinh, "Asinh", 9, EMIT("Div", dy, EMIT1("Sqrt", EMIT("Add", EMIT("Mul", x, x), ONE))),
         "inverse hyperbolic sine");
FUNCTION(acosh, "Acosh", 9,
         EMIT("Div", dy, EMIT1("Sqrt", EMIT("Mul", EMIT("Sub", x, ONE), EMIT("Add", x, ONE)))),
         "inverse hyperbolic cosine", .domain_hint = {.lo = 1.1f, .hi = 3});
FUNCTION(atanh, "Atanh", 9, EMIT("Div", dy, below_one(ctx, x)), "inverse hyperbolic tangent",
         .domain_hint = {.lo = -0.9f, .hi = 0.9f});
