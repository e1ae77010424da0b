/* Smooth activations made of others: Softsign, Swish, Mish. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/curve.h"
#include "ops/common/gradient.h"
#include "ops/engine/elementwise.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define UNARY                                                                                                \
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}), .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),               \
    .infer = hone_infer_same, .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise,              \
    .overwrite = 1, .gradient_kind = HONE_GRADIENT_EXACT, .quantize = HONE_QUANTIZE_TABLE,                   \
    .domain_hint = {.lo = -3, .hi = 3}

static hone_value *one_less(hone_gradient *ctx, hone_value *v) {
    return hone_gradient_emit(ctx, "Sub", hone_gradient_scalar(ctx, 1), v);
}

/* --- Softsign --- x / (1 + |x|) */

static void map_softsign(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_curve_softsign(m, hone_map_in(m, 0)));
}

/* dx = dy (1 - |y|)^2 */
static void gradient_softsign(hone_gradient *ctx) {
    hone_value *slope = one_less(ctx, hone_gradient_emit1(ctx, "Abs", ctx->node->outputs[0]));
    slope = hone_gradient_emit(ctx, "Mul", slope, slope);
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", ctx->dout[0], slope);
}

const hone_op hone_op_softsign = {.name = "Softsign",
                                  .since = 22,
                                  .oldest = 1,
                                  UNARY,
                                  .map = map_softsign,
                                  .gradient = gradient_softsign,
                                  .doc = "X / (1 + |X|)"};

/* --- Swish --- x s, s = sigmoid(alpha x); with alpha = 1 also known as SiLU */

static void map_swish(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 0), part = x;
    double alpha = hone_node_float(n, "alpha");
    if (alpha != 1) part = hone_map_mul(m, x, hone_map_const(m, alpha));
    hone_map_out(m, 0, hone_map_mul(m, x, hone_map_sigmoid(m, part)));
}

/* dx = dy (s + alpha y (1 - s)) */
static void gradient_swish(hone_gradient *ctx) {
    hone_value *alpha = hone_gradient_scalar(ctx, hone_node_float(ctx->node, "alpha"));
    hone_value *s =
        hone_gradient_emit1(ctx, "Sigmoid", hone_gradient_emit(ctx, "Mul", ctx->node->inputs[0], alpha));
    hone_value *bend = hone_gradient_emit(ctx, "Mul", ctx->node->outputs[0], one_less(ctx, s));
    hone_value *slope = hone_gradient_emit(ctx, "Add", s, hone_gradient_emit(ctx, "Mul", alpha, bend));
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", ctx->dout[0], slope);
}

const hone_op hone_op_swish = {.name = "Swish",
                               .since = 24,
                               .oldest = 24,
                               UNARY,
                               .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 1}),
                               .map = map_swish,
                               .gradient = gradient_swish,
                               .doc = "X sigmoid(alpha X)"};

/* --- Mish --- x t, t = tanh(log(1 + e^x)) = n / (n + 2), n = e^x (e^x + 2); from 20 on t is 1 */

static void map_mish(hone_map *m, const hone_node *n) {
    (void)n;
    hone_reg x = hone_map_in(m, 0), two = hone_map_const(m, 2);
    hone_reg e = hone_map_exp(m, hone_map_min(m, x, hone_map_const(m, 20)));
    hone_reg k = hone_map_mul(m, e, hone_map_add(m, e, two));
    hone_map_out(m, 0, hone_map_mul(m, x, hone_map_div(m, k, hone_map_add(m, k, two))));
}

/* dx = dy (t + x (1 - t^2) sigmoid(x)) */
static void gradient_mish(hone_gradient *ctx) {
    hone_value *x = ctx->node->inputs[0];
    hone_value *t = hone_gradient_emit1(ctx, "Tanh", hone_gradient_emit1(ctx, "Softplus", x));
    hone_value *bend = hone_gradient_emit(ctx, "Mul", x, hone_gradient_emit1(ctx, "Sigmoid", x));
    bend = hone_gradient_emit(ctx, "Mul", bend, one_less(ctx, hone_gradient_emit(ctx, "Mul", t, t)));
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", ctx->dout[0], hone_gradient_emit(ctx, "Add", t, bend));
}

const hone_op hone_op_mish = {.name = "Mish",
                              .since = 22,
                              .oldest = 18,
                              UNARY,
                              .map = map_mish,
                              .gradient = gradient_mish,
                              .doc = "X tanh(log(1 + exp(X)))"};

/* --- SwiGLU --- Swish(A) B */

static hone_status infer_swiglu(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_same(ctx, err));
    for (int i = 0; ctx->in[1]->rank == ctx->out[0].rank && i < ctx->out[0].rank; i++)
        HONE_TRY(
            hone_infer_same_dim(ctx, ctx->out[0].dims[i], ctx->in[1]->dims[i], &ctx->out[0].dims[i], err));
    if (ctx->in[0]->rank < 0 || ctx->in[1]->rank < 0 || ctx->in[0]->rank == ctx->in[1]->rank) return HONE_OK;
    return hone_infer_fail(ctx, err, "A and B must have one shape");
}

static hone_status expand_swiglu(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *gate = HONE_EMIT(g, "", "Swish", n->inputs[0]);
    if (gate) hone_node_copy_attrs(g, gate->producer, n);
    hone_graph_replace(g, n->outputs[0], HONE_EMIT(g, "", "Mul", gate, n->inputs[1]));
    return hone_graph_check(g, err);
}

const hone_op hone_op_swiglu = {.name = "SwiGLU",
                                .since = 28,
                                .oldest = 28,
                                .inputs = HONE_SLOTS({"A", 'T', FLOATS, 0}, {"B", 'T', FLOATS, 0}),
                                .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 1}),
                                .infer = infer_swiglu,
                                .axes = hone_axes_broadcast,
                                .expand = expand_swiglu,
                                .doc = "A sigmoid(alpha A) B"};
