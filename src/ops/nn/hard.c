/* Activations made of straight lines: HardSigmoid, HardSwish. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/curve.h"
#include "ops/common/legacy.h"
#include "ops/engine/elementwise.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define UNARY                                                                                                \
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}), .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),               \
    .infer = hone_infer_same, .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise,              \
    .overwrite = 1, .gradient_kind = HONE_GRADIENT_EXACT, .quantize = HONE_QUANTIZE_TABLE,                   \
    .domain_hint = {.lo = -5, .hi = 5}
/* A private gradient: dX of dY and X. */
#define BACKWARD                                                                                             \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1,                                                               \
    .inputs = HONE_SLOTS({"dY", 'T', FLOATS, 0}, {"X", 'T', FLOATS, 0}),                                     \
    .outputs = HONE_SLOTS({"dX", 'T', FLOATS, 0}), .infer = hone_infer_same, .axes = hone_axes_broadcast,    \
    .prepare = hone_prepare_elementwise, .overwrite = 3

static hone_value *emit_gradient(hone_gradient *ctx, const char *op) {
    hone_value *in[] = {ctx->dout[0], ctx->node->inputs[0]};
    hone_node *n = hone_graph_add_node(ctx->graph, hone_op_find(HONE_PRIVATE_DOMAIN, op), NULL, 2, in, 1);
    if (!n) return NULL;
    hone_node_copy_attrs(ctx->graph, n, ctx->node);
    return n->outputs[0];
}

/* --- HardSigmoid --- */

static hone_reg hard_sigmoid(hone_map *m, const hone_node *n, hone_reg x) {
    return hone_curve_ramp(m, x, hone_node_float(n, "alpha"), hone_node_float(n, "beta"));
}

static void map_hard_sigmoid(hone_map *m, const hone_node *n) {
    hone_map_out(m, 0, hard_sigmoid(m, n, hone_map_in(m, 0)));
}

static void gradient_hard_sigmoid(hone_gradient *ctx) {
    ctx->din[0] = emit_gradient(ctx, "HardSigmoidGrad");
}

static void map_hard_sigmoid_grad(hone_map *m, const hone_node *n) {
    hone_reg r = hard_sigmoid(m, n, hone_map_in(m, 1));
    hone_reg d = hone_map_mul(m, hone_map_in(m, 0), hone_map_const(m, hone_node_float(n, "alpha")));
    hone_map_out(m, 0, hone_curve_inside(m, r, d, hone_map_const(m, 0)));
}

#define LINE                                                                                                 \
    {"alpha", HONE_ATTR_FLOAT, .f = 0.2f}, {                                                                 \
        "beta", HONE_ATTR_FLOAT, .f = 0.5f                                                                   \
    }

static const hone_attr_def hard_sigmoid_1[] = {LINE, {"consumed_inputs", HONE_ATTR_INTS}, {NULL}};
static const hone_op_version older_hard_sigmoid[] = {
    {6, NULL, NULL}, {1, hard_sigmoid_1, hone_lift_consuming}, {0}};

const hone_op hone_op_hard_sigmoid = {.name = "HardSigmoid",
                                      .since = 22,
                                      .oldest = 1,
                                      .older = older_hard_sigmoid,
                                      UNARY,
                                      .attrs = HONE_ATTRS(LINE),
                                      .map = map_hard_sigmoid,
                                      .gradient = gradient_hard_sigmoid,
                                      .doc = "alpha X + beta, held in [0, 1]"};

const hone_op hone_op_hard_sigmoid_grad = {.name = "HardSigmoidGrad",
                                           BACKWARD,
                                           .attrs = HONE_ATTRS(LINE),
                                           .map = map_hard_sigmoid_grad,
                                           .doc = "dY HardSigmoid'(X)"};

/* --- HardSwish --- x (x/6 + 1/2 held in [0, 1]); inside its slope is x/3 + 1/2 */

static void map_hard_swish(hone_map *m, const hone_node *n) {
    (void)n;
    hone_reg x = hone_map_in(m, 0);
    hone_map_out(m, 0, hone_map_mul(m, x, hone_curve_ramp(m, x, 1.0 / 6, 0.5)));
}

static void gradient_hard_swish(hone_gradient *ctx) {
    ctx->din[0] = emit_gradient(ctx, "HardSwishGrad");
}

static void map_hard_swish_grad(hone_map *m, const hone_node *n) {
    (void)n;
    hone_reg x = hone_map_in(m, 1), r = hone_curve_ramp(m, x, 1.0 / 6, 0.5);
    hone_reg slope = hone_map_fma(m, x, hone_map_const(m, 1.0 / 3), hone_map_const(m, 0.5));
    hone_map_out(m, 0, hone_map_mul(m, hone_map_in(m, 0), hone_curve_inside(m, r, slope, r)));
}

const hone_op hone_op_hard_swish = {.name = "HardSwish",
                                    .since = 22,
                                    .oldest = 14,
                                    UNARY,
                                    .map = map_hard_swish,
                                    .gradient = gradient_hard_swish,
                                    .doc = "X times X/6 + 1/2, the latter held in [0, 1]"};

const hone_op hone_op_hard_swish_grad = {
    .name = "HardSwishGrad", BACKWARD, .map = map_hard_swish_grad, .doc = "dY HardSwish'(X)"};
