/* Optimizers are pure nodes: the new weight and the new state are outputs, bound to their variables by the
 * training graph; numbers that change are inputs. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/engine/elementwise.h"

#define FLOATS HONE_TYPES_FLOAT

static hone_status infer_sgd(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_same(ctx, err));
    if (ctx->output_count > 1) ctx->out[1] = ctx->out[0];
    return HONE_OK;
}

/* Momentum as in Sutskever et al. 2013 in PyTorch's form: v' = momentum v + g + decay w, w' = w - rate v'. */
static void map_sgd(hone_map *m, const hone_node *n) {
    hone_reg w = hone_map_in(m, 0), v = hone_map_in(m, 1), g = hone_map_in(m, 2), rate = hone_map_in(m, 3);
    float momentum = hone_node_float(n, "momentum"), decay = hone_node_float(n, "weight_decay");
    if (decay != 0) g = hone_map_fma(m, w, hone_map_const(m, decay), g);
    hone_reg v_new = hone_map_fma(m, v, hone_map_const(m, momentum), g);
    hone_map_out(m, 1, v_new);
    hone_map_out(m, 0, hone_map_fma(m, hone_map_neg(m, rate), v_new, w));
}

const hone_op hone_op_sgd = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "Sgd",
    .since = 1,
    .inputs = HONE_SLOTS({"W", 'T', FLOATS, 0}, {"V", 'T', FLOATS, 0}, {"G", 'T', FLOATS, 0},
                         {"rate", 'T', FLOATS, 0}),
    .outputs = HONE_SLOTS({"W_new", 'T', FLOATS, 0}, {"V_new", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"momentum", HONE_ATTR_FLOAT, .f = 0}, {"weight_decay", HONE_ATTR_FLOAT, .f = 0}),
    .infer = infer_sgd,
    .axes = hone_axes_broadcast,
    .prepare = hone_prepare_elementwise,
    .map = map_sgd,
    .overwrite = 3,
    .doc = "stochastic gradient descent with momentum and weight decay"};
