/* Optimizers are pure nodes: the new weight and the new state are outputs, bound to their variables by the
 * training graph; numbers that change are inputs. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/engine/elementwise.h"

#define FLOATS HONE_TYPES_FLOAT
/* Of a table of which rows are gathered: those without a gradient, and their state, may stay as they are. */
#define LAZY                                                                                                 \
    { "lazy", HONE_ATTR_INT }

static hone_status infer_optimizer(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_same(ctx, err));
    for (int o = 1; o < ctx->output_count; o++) ctx->out[o] = ctx->out[0];
    return HONE_OK;
}

static hone_reg number(hone_map *m, const hone_node *n, const char *attr) {
    return hone_map_const(m, hone_node_float(n, attr));
}

/* a x + (1 - a) y */
static hone_reg mean(hone_map *m, double a, hone_reg x, hone_reg y) {
    return hone_map_fma(m, x, hone_map_const(m, a), hone_map_mul(m, y, hone_map_const(m, 1 - a)));
}

/* w - rate (step + decay w) */
static hone_reg stepped(hone_map *m, const hone_node *n, hone_reg w, hone_reg step, hone_reg rate) {
    if (hone_node_float(n, "weight_decay") != 0)
        step = hone_map_fma(m, w, number(m, n, "weight_decay"), step);
    return hone_map_fma(m, hone_map_neg(m, rate), step, w);
}

/* --- stochastic gradient descent --- */

/* Momentum as in Sutskever et al. 2013 in PyTorch's form: v' = momentum v + g + decay w, w' = w - rate v'; Nesterov's:
 * w' = w - rate (g + decay w + momentum v'). */
static void map_sgd(hone_map *m, const hone_node *n) {
    hone_reg w = hone_map_in(m, 0), v = hone_map_in(m, 1), g = hone_map_in(m, 2), rate = hone_map_in(m, 3);
    float momentum = hone_node_float(n, "momentum"), decay = hone_node_float(n, "weight_decay");
    if (decay != 0) g = hone_map_fma(m, w, hone_map_const(m, decay), g);
    hone_reg v_new = hone_map_fma(m, v, hone_map_const(m, momentum), g);
    hone_map_out(m, 1, v_new);
    hone_reg step =
        hone_node_int(n, "nesterov") ? hone_map_fma(m, v_new, hone_map_const(m, momentum), g) : v_new;
    hone_map_out(m, 0, hone_map_fma(m, hone_map_neg(m, rate), step, w));
}

const hone_op hone_op_sgd = {.domain = HONE_PRIVATE_DOMAIN,
                             .name = "Sgd",
                             .since = 1,
                             .inputs = HONE_SLOTS({"W", 'T', FLOATS, 0}, {"V", 'T', FLOATS, 0},
                                                  {"G", 'T', FLOATS, 0}, {"rate", 'T', FLOATS, 0}),
                             .outputs = HONE_SLOTS({"W_new", 'T', FLOATS, 0}, {"V_new", 'T', FLOATS, 0}),
                             .attrs = HONE_ATTRS(LAZY, {"momentum", HONE_ATTR_FLOAT, .f = 0},
                                                 {"weight_decay", HONE_ATTR_FLOAT, .f = 0},
                                                 {"nesterov", HONE_ATTR_INT}),
                             .infer = infer_optimizer,
                             .axes = hone_axes_broadcast,
                             .prepare = hone_prepare_elementwise,
                             .map = map_sgd,
                             .overwrite = 3,
                             .doc = "stochastic gradient descent with momentum and weight decay"};

/* --- Adam --- */

/* Kingma and Ba 2014 (arXiv 1412.6980); the decay apart from the gradient as Loshchilov and Hutter 2017
 * (arXiv 1711.05101), or, `coupled`, a part of it. `first` and `second` are what bias correction multiplies the moments
 * by: 1 / (1 - beta^t). */
static void map_adam(hone_map *m, const hone_node *n) {
    hone_reg w = hone_map_in(m, 0), first = hone_map_in(m, 1), second = hone_map_in(m, 2),
             g = hone_map_in(m, 3);
    double decay = hone_node_float(n, "weight_decay");
    bool coupled = hone_node_int(n, "coupled") != 0;
    if (coupled && decay != 0) g = hone_map_fma(m, w, hone_map_const(m, decay), g);
    first = mean(m, hone_node_float(n, "beta1"), first, g);
    second = mean(m, hone_node_float(n, "beta2"), second, hone_map_mul(m, g, g));
    hone_reg size = hone_map_add(m, hone_map_sqrt(m, hone_map_mul(m, second, hone_map_in(m, 6))),
                                 number(m, n, "epsilon"));
    hone_reg step = hone_map_div(m, hone_map_mul(m, first, hone_map_in(m, 5)), size),
             rate = hone_map_in(m, 4);
    hone_map_out(m, 1, first);
    hone_map_out(m, 2, second);
    hone_map_out(m, 0,
                 coupled ? hone_map_fma(m, hone_map_neg(m, rate), step, w) : stepped(m, n, w, step, rate));
}

const hone_op hone_op_adam_step = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "AdamStep",
    .since = 1,
    .inputs =
        HONE_SLOTS({"W", 'T', FLOATS, 0}, {"M", 'T', FLOATS, 0}, {"V", 'T', FLOATS, 0}, {"G", 'T', FLOATS, 0},
                   {"rate", 'T', FLOATS, 0}, {"first", 'T', FLOATS, 0}, {"second", 'T', FLOATS, 0}),
    .outputs = HONE_SLOTS({"W_new", 'T', FLOATS, 0}, {"M_new", 'T', FLOATS, 0}, {"V_new", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(LAZY, {"beta1", HONE_ATTR_FLOAT, .f = 0.9f}, {"beta2", HONE_ATTR_FLOAT, .f = 0.999f},
                        {"epsilon", HONE_ATTR_FLOAT, .f = 1e-8f}, {"weight_decay", HONE_ATTR_FLOAT, .f = 0},
                        {"coupled", HONE_ATTR_INT}),
    .infer = infer_optimizer,
    .axes = hone_axes_broadcast,
    .prepare = hone_prepare_elementwise,
    .map = map_adam,
    .overwrite = 7,
    .doc = "Adam and AdamW: a step by running means of gradients and of their squares"};

/* --- Lion --- */

static hone_reg sign(hone_map *m, hone_reg x) {
    hone_reg zero = hone_map_const(m, 0), one = hone_map_const(m, 1);
    hone_reg below = hone_map_select(m, hone_map_gt(m, zero, x), hone_map_const(m, -1), zero);
    return hone_map_select(m, hone_map_gt(m, x, zero), one, below);
}

/* Chen et al. 2023 (arXiv 2302.06675). */
static void map_lion(hone_map *m, const hone_node *n) {
    hone_reg w = hone_map_in(m, 0), v = hone_map_in(m, 1), g = hone_map_in(m, 2);
    hone_reg step = sign(m, mean(m, hone_node_float(n, "beta1"), v, g));
    hone_map_out(m, 1, mean(m, hone_node_float(n, "beta2"), v, g));
    hone_map_out(m, 0, stepped(m, n, w, step, hone_map_in(m, 3)));
}

const hone_op hone_op_lion_step = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "LionStep",
    .since = 1,
    .inputs = HONE_SLOTS({"W", 'T', FLOATS, 0}, {"V", 'T', FLOATS, 0}, {"G", 'T', FLOATS, 0},
                         {"rate", 'T', FLOATS, 0}),
    .outputs = HONE_SLOTS({"W_new", 'T', FLOATS, 0}, {"V_new", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(LAZY, {"beta1", HONE_ATTR_FLOAT, .f = 0.9f}, {"beta2", HONE_ATTR_FLOAT, .f = 0.99f},
                        {"weight_decay", HONE_ATTR_FLOAT, .f = 0}),
    .infer = infer_optimizer,
    .axes = hone_axes_broadcast,
    .prepare = hone_prepare_elementwise,
    .map = map_lion,
    .overwrite = 3,
    .doc = "Lion: a step by the sign of a running mean of gradients"};

/* --- RMSProp --- */

/* Tieleman and Hinton 2012, in PyTorch's form: s' = alpha s + (1 - alpha) g^2, v' = momentum v + g / (sqrt(s') + epsilon),
 * w' = w - rate v', g with decay w. */
static void map_rmsprop(hone_map *m, const hone_node *n) {
    hone_reg w = hone_map_in(m, 0), v = hone_map_in(m, 1), squares = hone_map_in(m, 2), g = hone_map_in(m, 3);
    double decay = hone_node_float(n, "weight_decay");
    if (decay != 0) g = hone_map_fma(m, w, hone_map_const(m, decay), g);
    squares = mean(m, hone_node_float(n, "alpha"), squares, hone_map_mul(m, g, g));
    hone_reg size = hone_map_add(m, hone_map_sqrt(m, squares), number(m, n, "epsilon"));
    v = hone_map_fma(m, v, number(m, n, "momentum"), hone_map_div(m, g, size));
    hone_map_out(m, 1, v);
    hone_map_out(m, 2, squares);
    hone_map_out(m, 0, hone_map_fma(m, hone_map_neg(m, hone_map_in(m, 4)), v, w));
}

const hone_op hone_op_rmsprop_step = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "RmsPropStep",
    .since = 1,
    .inputs = HONE_SLOTS({"W", 'T', FLOATS, 0}, {"V", 'T', FLOATS, 0}, {"S", 'T', FLOATS, 0},
                         {"G", 'T', FLOATS, 0}, {"rate", 'T', FLOATS, 0}),
    .outputs = HONE_SLOTS({"W_new", 'T', FLOATS, 0}, {"V_new", 'T', FLOATS, 0}, {"S_new", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(LAZY, {"alpha", HONE_ATTR_FLOAT, .f = 0.99f}, {"momentum", HONE_ATTR_FLOAT, .f = 0},
                        {"epsilon", HONE_ATTR_FLOAT, .f = 1e-8f}, {"weight_decay", HONE_ATTR_FLOAT, .f = 0}),
    .infer = infer_optimizer,
    .axes = hone_axes_broadcast,
    .prepare = hone_prepare_elementwise,
    .map = map_rmsprop,
    .overwrite = 7,
    .doc = "RMSProp: a step by gradients divided by the root of a running mean of their squares"};
