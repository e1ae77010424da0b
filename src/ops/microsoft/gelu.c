/* ONNX Runtime's Gelu and FastGelu: ONNX's, which came later. */
#include "graph/infer.h"
#include "ops/common/axes.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

static hone_status expand_gelu(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_graph_replace(g, n->outputs[0], HONE_EMIT(g, "", "Gelu", n->inputs[0]));
    return HONE_OK;
}

const hone_op hone_op_microsoft_gelu = {.domain = "com.microsoft",
                                        .name = "Gelu",
                                        .since = 1,
                                        .oldest = 1,
                                        .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),
                                        .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                        .infer = hone_infer_same,
                                        .axes = hone_axes_broadcast,
                                        .expand = expand_gelu,
                                        .doc = "X times the normal distribution function of X"};

/* --- FastGelu --- Gelu(X + bias), by tanh */

static hone_status expand_fast_gelu(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0];
    if (n->input_count > 1) x = HONE_EMIT(g, "", "Add", x, n->inputs[1]);
    hone_value *y = HONE_EMIT(g, "", "Gelu", x);
    if (y) hone_node_set_string(g, y->producer, "approximate", "tanh");
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

const hone_op hone_op_microsoft_fast_gelu = {
    .domain = "com.microsoft",
    .name = "FastGelu",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"bias", 'T', FLOATS, HONE_SLOT_OPTIONAL | HONE_SLOT_WEIGHT}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .infer = hone_infer_same,
    .axes = hone_axes_broadcast,
    .expand = expand_fast_gelu,
    .doc = "Gelu of X + bias, approximated by tanh"};
