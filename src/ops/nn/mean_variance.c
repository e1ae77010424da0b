/* MeanVarianceNormalization: (X - mean) / (deviation + 1e-9), both over axes. */
#include "graph/infer.h"
#include "ops/common/axes.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

static hone_value *mean(hone_graph *g, hone_value *v, const hone_node *n) {
    static const int64_t usual[] = {0, 2, 3};
    size_t count;
    const int64_t *axes = hone_node_ints(n, "axes", &count);
    if (!axes) count = 3;
    return HONE_EMIT(g, "", "ReduceMean", v, hone_graph_ints(g, axes ? axes : usual, (int64_t)count));
}

/* The variance as the mean of squares around the mean, which no rounding makes negative. */
static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[0], *d = HONE_EMIT(g, "", "Sub", x, mean(g, x, n));
    hone_value *deviation = HONE_EMIT(g, "", "Sqrt", mean(g, HONE_EMIT(g, "", "Mul", d, d), n));
    hone_value *least = hone_graph_scalar(g, x->type.dtype, 1e-9);
    hone_graph_replace(g, n->outputs[0],
                       HONE_EMIT(g, "", "Div", d, HONE_EMIT(g, "", "Add", deviation, least)));
    return HONE_OK;
}

const hone_op hone_op_mean_variance_normalization = {.name = "MeanVarianceNormalization",
                                                     .since = 13,
                                                     .oldest = 9,
                                                     .widened = HONE_TYPES_HALF,
                                                     .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}),
                                                     .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                                     .attrs = HONE_ATTRS({"axes", HONE_ATTR_INTS}),
                                                     .infer = hone_infer_same,
                                                     .expand = expand,
                                                     .doc = "X with mean 0 and variance 1 over axes"};
