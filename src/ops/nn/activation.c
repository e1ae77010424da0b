/* Activations, and those of their gradients that want code of their own. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/curve.h"
#include "ops/common/gradient.h"
#include "ops/common/legacy.h"
#include "ops/engine/elementwise.h"

#include <math.h>
#include <string.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define SIGNED (HONE_TYPES_INT | HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_INT8))
#define UNARY                                                                                                \
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}), .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),               \
    .infer = hone_infer_same, .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise,              \
    .overwrite = 1, .gradient_kind = HONE_GRADIENT_EXACT, .quantize = HONE_QUANTIZE_TABLE

/* A private gradient: dX of dY and one forward value. */
#define BACKWARD                                                                                             \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1,                                                               \
    .inputs = HONE_SLOTS({"dY", 'T', FLOATS, 0}, {"V", 'T', FLOATS, 0}),                                     \
    .outputs = HONE_SLOTS({"dX", 'T', FLOATS, 0}), .infer = hone_infer_same, .axes = hone_axes_broadcast,    \
    .prepare = hone_prepare_elementwise, .overwrite = 3

/* A private gradient of dY and X that has the forward node's attributes. */
static hone_value *emit_with_attrs(hone_gradient *ctx, const char *op) {
    hone_value *in[] = {ctx->dout[0], ctx->node->inputs[0]};
    hone_node *n = hone_graph_add_node(ctx->graph, hone_op_find(HONE_PRIVATE_DOMAIN, op), NULL, 2, in, 1);
    if (!n) return NULL;
    hone_node_copy_attrs(ctx->graph, n, ctx->node);
    return n->outputs[0];
}

/* --- Relu --- max(x, 0); the gradient needs the output only */

static void map_relu(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_map_max(m, hone_map_in(m, 0), hone_map_const(m, 0)));
}

static void gradient_relu(hone_gradient *ctx) {
    ctx->din[0] = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "ReluGrad", ctx->dout[0], ctx->node->outputs[0]);
}

static bool limits_relu(const hone_node *n, double *low, double *high) {
    (void)n;
    *low = 0;
    *high = INFINITY;
    return true;
}

const hone_op hone_op_relu = {.name = "Relu",
                              .since = 14,
                              .oldest = 1,
                              .older = hone_older_consuming,
                              .inputs = HONE_SLOTS({"X", 'T', FLOATS | SIGNED, 0}),
                              .outputs = HONE_SLOTS({"Y", 'T', FLOATS | SIGNED, 0}),
                              .infer = hone_infer_same,
                              .axes = hone_axes_broadcast,
                              .prepare = hone_prepare_elementwise,
                              .overwrite = 1,
                              .gradient_kind = HONE_GRADIENT_EXACT,
                              .quantize = HONE_QUANTIZE_TABLE,
                              .limits = limits_relu,
                              .scaling = HONE_SCALING_INPUTS,
                              .map = map_relu,
                              .gradient = gradient_relu,
                              .domain_hint = {.kink_at_zero = true},
                              .doc = "max(X, 0)"};

static void map_relu_grad(hone_map *m, const hone_node *n) {
    (void)n;
    hone_reg zero = hone_map_const(m, 0);
    hone_map_out(m, 0, hone_map_select(m, hone_map_gt(m, hone_map_in(m, 1), zero), hone_map_in(m, 0), zero));
}

const hone_op hone_op_relu_grad = {
    .name = "ReluGrad", BACKWARD, .map = map_relu_grad, .doc = "V > 0 ? dY : 0"};

/* --- LeakyRelu --- x < 0 ? alpha x : x */

static void map_leaky_relu(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 0), zero = hone_map_const(m, 0);
    hone_reg small = hone_map_mul(m, x, hone_map_const(m, hone_node_float(n, "alpha")));
    hone_map_out(m, 0, hone_map_select(m, hone_map_gt(m, zero, x), small, x));
}

static void gradient_leaky_relu(hone_gradient *ctx) {
    ctx->din[0] = emit_with_attrs(ctx, "LeakyReluGrad");
}

static const hone_attr_def leaky_relu_1[] = {
    {"alpha", HONE_ATTR_FLOAT, .f = 0.01f}, HONE_CONSUMED_INPUTS, {NULL}};
static const hone_op_version older_leaky_relu[] = {
    {6, NULL, NULL}, {1, leaky_relu_1, hone_lift_consuming}, {0}};

const hone_op hone_op_leaky_relu = {.name = "LeakyRelu",
                                    .since = 16,
                                    .oldest = 1,
                                    .older = older_leaky_relu,
                                    UNARY,
                                    .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 0.01f}),
                                    .map = map_leaky_relu,
                                    .scaling = HONE_SCALING_INPUTS,
                                    .gradient = gradient_leaky_relu,
                                    .domain_hint = {.kink_at_zero = true},
                                    .doc = "X < 0 ? alpha X : X"};

static void map_leaky_relu_grad(hone_map *m, const hone_node *n) {
    hone_reg dy = hone_map_in(m, 0), zero = hone_map_const(m, 0);
    hone_reg small = hone_map_mul(m, dy, hone_map_const(m, hone_node_float(n, "alpha")));
    hone_map_out(m, 0, hone_map_select(m, hone_map_gt(m, zero, hone_map_in(m, 1)), small, dy));
}

const hone_op hone_op_leaky_relu_grad = {.name = "LeakyReluGrad",
                                         BACKWARD,
                                         .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 0.01f}),
                                         .map = map_leaky_relu_grad,
                                         .doc = "V < 0 ? alpha dY : dY"};

/* --- Sigmoid --- dx = dy y (1 - y) */

static void map_sigmoid(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_map_sigmoid(m, hone_map_in(m, 0)));
}

static void gradient_sigmoid(hone_gradient *ctx) {
    hone_value *y = ctx->node->outputs[0];
    hone_value *slope =
        hone_gradient_emit(ctx, "Mul", y, hone_gradient_emit(ctx, "Sub", hone_gradient_scalar(ctx, 1), y));
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", ctx->dout[0], slope);
}

static hone_link link_sigmoid(const hone_node *n) {
    (void)n;
    return HONE_LINK_SIGMOID;
}

const hone_op hone_op_sigmoid = {.name = "Sigmoid",
                                 .since = 13,
                                 .oldest = 1,
                                 .older = hone_older_consuming,
                                 UNARY,
                                 .map = map_sigmoid,
                                 .link = link_sigmoid,
                                 .gradient = gradient_sigmoid,
                                 .doc = "1 / (1 + exp(-X))"};

/* --- Tanh --- dx = dy (1 - y^2) */

static void map_tanh(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_map_tanh(m, hone_map_in(m, 0)));
}

static void gradient_tanh(hone_gradient *ctx) {
    hone_value *y = ctx->node->outputs[0];
    hone_value *slope =
        hone_gradient_emit(ctx, "Sub", hone_gradient_scalar(ctx, 1), hone_gradient_emit(ctx, "Mul", y, y));
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", ctx->dout[0], slope);
}

const hone_op hone_op_tanh = {.name = "Tanh",
                              .since = 13,
                              .oldest = 1,
                              .older = hone_older_consuming,
                              UNARY,
                              .map = map_tanh,
                              .gradient = gradient_tanh,
                              .doc = "tanh(X)"};

/* --- Softplus --- log(1 + e^x); its slope is the sigmoid */

static void map_softplus(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_curve_softplus(m, hone_map_in(m, 0)));
}

static void gradient_softplus(hone_gradient *ctx) {
    hone_value *slope = HONE_EMIT(ctx->graph, "", "Sigmoid", ctx->node->inputs[0]);
    ctx->din[0] = hone_gradient_emit(ctx, "Mul", ctx->dout[0], slope);
}

const hone_op hone_op_softplus = {.name = "Softplus",
                                  .since = 22,
                                  .oldest = 1,
                                  UNARY,
                                  .map = map_softplus,
                                  .gradient = gradient_softplus,
                                  .doc = "log(1 + exp(X))"};

/* --- Gelu --- x/2 (1 + erf(x/sqrt 2)), or with approximate = "tanh": x/2 (1 + tanh(sqrt(2/pi)(x + 0.044715
 * x^3))) */

#define SQRT_2_OVER_PI 0.7978845608028654
#define CUBIC 0.044715

static bool is_tanh_form(const hone_node *n) {
    const char *form = hone_node_string(n, "approximate");
    return form && strcmp(form, "tanh") == 0;
}

/* tanh's argument */
static hone_reg inner(hone_map *m, hone_reg x) {
    hone_reg x2 = hone_map_mul(m, x, x);
    hone_reg k =
        hone_map_fma(m, x2, hone_map_const(m, SQRT_2_OVER_PI * CUBIC), hone_map_const(m, SQRT_2_OVER_PI));
    return hone_map_mul(m, x, k);
}

/* 1 + erf or 1 + tanh, halved: the share of x that passes. */
static hone_reg share(hone_map *m, const hone_node *n, hone_reg x) {
    hone_reg half = hone_map_const(m, 0.5);
    hone_reg t = is_tanh_form(n) ? hone_map_tanh(m, inner(m, x))
                                 : hone_map_erf(m, hone_map_mul(m, x, hone_map_const(m, M_SQRT1_2)));
    return hone_map_fma(m, t, half, half);
}

static void map_gelu(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 0);
    hone_map_out(m, 0, hone_map_mul(m, x, share(m, n, x)));
}

static void gradient_gelu(hone_gradient *ctx) {
    ctx->din[0] = emit_with_attrs(ctx, "GeluGrad");
}

const hone_op hone_op_gelu = {.name = "Gelu",
                              .since = 20,
                              .oldest = 20,
                              UNARY,
                              .attrs = HONE_ATTRS({"approximate", HONE_ATTR_STRING, .s = "none"}),
                              .map = map_gelu,
                              .gradient = gradient_gelu,
                              .doc = "X times the normal distribution function of X"};

/* share + x share'; share' is the normal density, or its tanh counterpart (1 - t^2)/2 inner'. */
static void map_gelu_grad(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 1), p = share(m, n, x), slope;
    hone_reg x2 = hone_map_mul(m, x, x);
    if (is_tanh_form(n)) {
        hone_reg t = hone_map_tanh(m, inner(m, x));
        hone_reg d = hone_map_fma(m, x2, hone_map_const(m, 3 * SQRT_2_OVER_PI * CUBIC),
                                  hone_map_const(m, SQRT_2_OVER_PI));
        hone_reg one_less = hone_map_sub(m, hone_map_const(m, 1), hone_map_mul(m, t, t));
        slope = hone_map_mul(m, hone_map_mul(m, one_less, d), hone_map_const(m, 0.5));
    } else {
        hone_reg e = hone_map_exp(m, hone_map_mul(m, x2, hone_map_const(m, -0.5)));
        slope = hone_map_mul(m, e, hone_map_const(m, 0.3989422804014327)); /* 1 / sqrt(2 pi) */
    }
    hone_map_out(m, 0, hone_map_mul(m, hone_map_in(m, 0), hone_map_fma(m, x, slope, p)));
}

const hone_op hone_op_gelu_grad = {.name = "GeluGrad",
                                   BACKWARD,
                                   .attrs = HONE_ATTRS({"approximate", HONE_ATTR_STRING, .s = "none"}),
                                   .map = map_gelu_grad,
                                   .doc = "dY Gelu'(V)"};
