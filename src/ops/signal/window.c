/* HannWindow, HammingWindow, BlackmanWindow: sums of cosines, in double until the end. */
#include "graph/infer.h"

#include <math.h>

#define WHOLE HONE_TYPES_INT
#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int64_t dtype = hone_node_int(ctx->node, "output_datatype");
    hone_content c;
    HONE_TRY(hone_infer_one_element(ctx, 0, err));
    if (dtype < 0 || dtype >= HONE_DTYPE_COUNT || !(NUMBERS & HONE_TYPE(dtype)))
        return hone_infer_fail(ctx, err, "a window of dtype %lld", (long long)dtype);
    ctx->out[0].dtype = (hone_dtype)dtype;
    ctx->out[0].rank = 1;
    ctx->out[0].dims[0] = HONE_DIM_ANY;
    if (!hone_infer_items(ctx, 0, &c) || c.count != 1) return HONE_OK;
    if (c.item[0].kind == HONE_ITEM_NUMBER && c.item[0].value < 0)
        return hone_infer_fail(ctx, err, "a window of size %lld", (long long)c.item[0].value);
    ctx->out[0].dims[0] = hone_dim_of_item(c.item[0]);
    return HONE_OK;
}

static hone_value *scalar(hone_graph *g, double x) {
    return hone_graph_scalar(g, HONE_FLOAT64, x);
}
static hone_value *cast_to(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

/* a0 - a1 cos t + a2 cos 2t, t = 2 pi i / N, of i < size; N is size, or of a symmetric window size - 1, at least 1. */
static hone_status expand(hone_graph *g, hone_node *n, double a0, double a1, double a2) {
    hone_value *size =
        cast_to(g, HONE_EMIT(g, "", "Reshape", n->inputs[0], hone_graph_ints(g, NULL, 0)), HONE_INT64);
    hone_value *zero = hone_graph_scalar(g, HONE_INT64, 0), *one = hone_graph_scalar(g, HONE_INT64, 1),
               *whole = size;
    if (!hone_node_int(n, "periodic"))
        whole = HONE_EMIT(g, "", "Max", HONE_EMIT(g, "", "Sub", size, one), one);
    hone_value *t = cast_to(g, HONE_EMIT(g, "", "Range", zero, size, one), HONE_FLOAT64);
    t = HONE_EMIT(g, "", "Div", HONE_EMIT(g, "", "Mul", t, scalar(g, 2 * M_PI)),
                  cast_to(g, whole, HONE_FLOAT64));
    hone_value *y = HONE_EMIT(g, "", "Mul", HONE_EMIT(g, "", "Cos", t), scalar(g, a1));
    y = HONE_EMIT(g, "", "Sub", scalar(g, a0), y);
    if (a2 != 0) {
        hone_value *twice = HONE_EMIT(g, "", "Cos", HONE_EMIT(g, "", "Add", t, t));
        y = HONE_EMIT(g, "", "Add", y, HONE_EMIT(g, "", "Mul", twice, scalar(g, a2)));
    }
    hone_graph_replace(g, n->outputs[0], cast_to(g, y, n->outputs[0]->type.dtype));
    return HONE_OK;
}

static hone_status expand_hann(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    return expand(g, n, 0.5, 0.5, 0);
}
static hone_status expand_hamming(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    return expand(g, n, 25.0 / 46, 21.0 / 46, 0);
}
static hone_status expand_blackman(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    return expand(g, n, 0.42, 0.5, 0.08);
}

#define WINDOW                                                                                               \
    .since = 17, .oldest = 17, .inputs = HONE_SLOTS({"size", 0, WHOLE, HONE_SLOT_SHAPE}),                    \
    .outputs = HONE_SLOTS({"output", 0, NUMBERS, 0}),                                                        \
    .attrs = HONE_ATTRS({"output_datatype", HONE_ATTR_INT, .i = HONE_FLOAT32},                               \
                        {"periodic", HONE_ATTR_INT, .i = 1}),                                                \
    .infer = infer, .gradient_kind = HONE_GRADIENT_ZERO

const hone_op hone_op_hann_window = {
    .name = "HannWindow", WINDOW, .expand = expand_hann, .doc = "0.5 - 0.5 cos t"};

const hone_op hone_op_hamming_window = {
    .name = "HammingWindow", WINDOW, .expand = expand_hamming, .doc = "(25 - 21 cos t) / 46"};

const hone_op hone_op_blackman_window = {
    .name = "BlackmanWindow", WINDOW, .expand = expand_blackman, .doc = "0.42 - 0.5 cos t + 0.08 cos 2t"};
