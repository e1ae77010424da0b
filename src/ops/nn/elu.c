/* Activations that are exponential below 0: Elu, Selu, Celu. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/curve.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/engine/elementwise.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define UNARY                                                                                                \
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}), .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),               \
    .infer = hone_infer_same, .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise,              \
    .overwrite = 1, .gradient_kind = HONE_GRADIENT_EXACT, .quantize = HONE_QUANTIZE_TABLE,                   \
    .domain_hint = {.lo = -3, .hi = 3, .kink_at_zero = true}

/* x > 0 ? slope x : scale (e^(x / alpha) - 1) */
static void map(hone_map *m, double slope, double scale, double alpha) {
    hone_reg x = hone_map_in(m, 0), zero = hone_map_const(m, 0), part = x, line = x;
    if (alpha != 1) part = hone_map_div(m, x, hone_map_const(m, alpha));
    hone_reg e = hone_map_mul(m, hone_curve_exp_minus_1(m, part), hone_map_const(m, scale));
    if (slope != 1) line = hone_map_mul(m, x, hone_map_const(m, slope));
    hone_map_out(m, 0, hone_map_select(m, hone_map_gt(m, zero, x), e, line));
}

/* x > 0: slope dy, else (y + scale) dy / alpha */
static void gradient(hone_gradient *ctx, double slope, double scale, double alpha) {
    hone_value *y = ctx->node->outputs[0], *dy = ctx->dout[0];
    hone_value *above =
        hone_gradient_emit(ctx, "Greater", ctx->node->inputs[0], hone_gradient_scalar(ctx, 0));
    hone_value *below = hone_gradient_emit(ctx, "Add", y, hone_gradient_scalar(ctx, scale));
    if (alpha != 1) below = hone_gradient_emit(ctx, "Div", below, hone_gradient_scalar(ctx, alpha));
    hone_value *d = HONE_EMIT(ctx->graph, "", "Where", above, hone_gradient_scalar(ctx, slope), below);
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", dy, d);
}

/* --- Elu --- alpha (e^x - 1) below 0 */

static void map_elu(hone_map *m, const hone_node *n) {
    map(m, 1, hone_node_float(n, "alpha"), 1);
}

static void gradient_elu(hone_gradient *ctx) {
    gradient(ctx, 1, hone_node_float(ctx->node, "alpha"), 1);
}

#define ALPHA(x)                                                                                             \
    { "alpha", HONE_ATTR_FLOAT, .f = x }

static const hone_attr_def elu_1[] = {ALPHA(1), HONE_CONSUMED_INPUTS, {NULL}};
static const hone_op_version older_elu[] = {{6, NULL, NULL}, {1, elu_1, hone_lift_consuming}, {0}};

const hone_op hone_op_elu = {.name = "Elu",
                             .since = 22,
                             .oldest = 1,
                             .older = older_elu,
                             UNARY,
                             .attrs = HONE_ATTRS(ALPHA(1)),
                             .map = map_elu,
                             .gradient = gradient_elu,
                             .doc = "X < 0 ? alpha (exp(X) - 1) : X"};

/* --- Selu --- gamma times Elu */

static void map_selu(hone_map *m, const hone_node *n) {
    double gamma = hone_node_float(n, "gamma");
    map(m, gamma, gamma * hone_node_float(n, "alpha"), 1);
}

static void gradient_selu(hone_gradient *ctx) {
    double gamma = hone_node_float(ctx->node, "gamma");
    gradient(ctx, gamma, gamma * hone_node_float(ctx->node, "alpha"), 1);
}

/* Opset 1 had other defaults. */
#define SELU(alpha_, gamma_)                                                                                 \
    ALPHA(alpha_), {                                                                                         \
        "gamma", HONE_ATTR_FLOAT, .f = gamma_                                                                \
    }
static const hone_attr_def selu_1[] = {SELU(1.6732f, 1.0507f), HONE_CONSUMED_INPUTS, {NULL}};

static hone_status lift_selu(hone_graph *g, hone_node *n, hone_error *err) {
    if (!hone_node_attr(n, "alpha")) hone_node_set_float(g, n, "alpha", 1.6732f);
    if (!hone_node_attr(n, "gamma")) hone_node_set_float(g, n, "gamma", 1.0507f);
    return hone_lift_consuming(g, n, err);
}

static const hone_op_version older_selu[] = {{6, NULL, NULL}, {1, selu_1, lift_selu}, {0}};

const hone_op hone_op_selu = {.name = "Selu",
                              .since = 22,
                              .oldest = 1,
                              .older = older_selu,
                              UNARY,
                              .attrs =
                                  HONE_ATTRS(SELU(1.67326319217681884765625f, 1.05070102214813232421875f)),
                              .map = map_selu,
                              .gradient = gradient_selu,
                              .doc = "gamma (X < 0 ? alpha (exp(X) - 1) : X)"};

/* --- Celu --- alpha (e^(x / alpha) - 1) below 0 */

static void map_celu(hone_map *m, const hone_node *n) {
    double alpha = hone_node_float(n, "alpha");
    map(m, 1, alpha, alpha);
}

static void gradient_celu(hone_gradient *ctx) {
    double alpha = hone_node_float(ctx->node, "alpha");
    gradient(ctx, 1, alpha, alpha);
}

const hone_op hone_op_celu = {.name = "Celu",
                              .since = 12,
                              .oldest = 12,
                              UNARY,
                              .attrs = HONE_ATTRS(ALPHA(1)),
                              .map = map_celu,
                              .gradient = gradient_celu,
                              .doc = "X < 0 ? alpha (exp(X / alpha) - 1) : X"};
