/* ONNX Runtime's relatives of Gelu: ONNX's, which came later. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/emit.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define UNARY                                                                                                \
    .domain = "com.microsoft", .since = 1, .oldest = 1, .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),         \
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}), .infer = hone_infer_same, .axes = hone_axes_broadcast
#define BIASED(flags)                                                                                        \
    .domain = "com.microsoft", .since = 1, .oldest = 1,                                                      \
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"bias", 'T', FLOATS, (flags) | HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS}),          \
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}), .infer = hone_infer_same, .axes = hone_axes_broadcast

static hone_status expand_gelu(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_graph_replace(g, n->outputs[0], HONE_EMIT(g, "", "Gelu", n->inputs[0]));
    return HONE_OK;
}

const hone_op hone_op_microsoft_gelu = {UNARY, .name = "Gelu", .expand = expand_gelu,
                                        .doc = "X times the normal distribution function of X"};

/* Gelu(X + bias) */
static hone_value *biased(hone_graph *g, const hone_node *n) {
    hone_value *bias = hone_input(n, 1);
    return HONE_EMIT(g, "", "Gelu", bias ? HONE_EMIT(g, "", "Add", n->inputs[0], bias) : n->inputs[0]);
}

static hone_status expand_bias_gelu(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_graph_replace(g, n->outputs[0], biased(g, n));
    return HONE_OK;
}

const hone_op hone_op_microsoft_bias_gelu = {BIASED(0), .name = "BiasGelu", .expand = expand_bias_gelu,
                                             .doc = "Gelu of X + bias"};

static hone_status expand_fast_gelu(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *y = biased(g, n);
    if (y) hone_node_set_string(g, y->producer, "approximate", "tanh");
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

const hone_op hone_op_microsoft_fast_gelu = {BIASED(HONE_SLOT_OPTIONAL), .name = "FastGelu",
                                             .expand = expand_fast_gelu,
                                             .doc = "Gelu of X + bias, approximated by tanh"};

static hone_status expand_quick_gelu(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *y = HONE_EMIT(g, "", "Swish", n->inputs[0]);
    if (y) hone_node_set_float(g, y->producer, "alpha", hone_node_float(n, "alpha"));
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

const hone_op hone_op_microsoft_quick_gelu = {UNARY, .name = "QuickGelu",
                                              .attrs = HONE_ATTRS({"alpha", HONE_ATTR_FLOAT, .f = 1.702f}),
                                              .expand = expand_quick_gelu, .doc = "X sigmoid(alpha X)"};
