/* STFT: Fourier transforms of frames of a signal, a function of Gather, Mul and DFT. */
#include "graph/infer.h"

#include <string.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

enum { SIGNAL, STEP, WINDOW, LENGTH };

static bool is_given(const hone_infer *ctx, int i) {
    return i < ctx->input_count && ctx->in[i];
}

/* The number that input i holds; HONE_DIM_ANY: it is not known. */
static int64_t number_of(const hone_infer *ctx, int i) {
    const hone_tensor *t = ctx->constant[i];
    return t && t->count == 1 ? hone_tensor_int(t, 0) : HONE_DIM_ANY;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[SIGNAL], *window = is_given(ctx, WINDOW) ? ctx->in[WINDOW] : NULL;
    hone_type *y = &ctx->out[0];
    int64_t signal = HONE_DIM_ANY, length = HONE_DIM_ANY, step = number_of(ctx, STEP);
    bool onesided = hone_node_int(ctx->node, "onesided") != 0;
    HONE_TRY(hone_infer_one_element(ctx, STEP, err));
    HONE_TRY(hone_infer_one_element(ctx, LENGTH, err));
    if (x->rank >= 0 && x->rank != 3)
        return hone_infer_fail(ctx, err, "the signal has %d axes, not 3", x->rank);
    if (x->rank == 3) signal = x->dims[1];
    if (x->rank == 3 && x->dims[2] >= 0 && x->dims[2] != 1 && (x->dims[2] != 2 || onesided))
        return hone_infer_fail(ctx, err, "elements of %lld parts", (long long)x->dims[2]);
    if (window && window->rank >= 0 && window->rank != 1)
        return hone_infer_fail(ctx, err, "the window has %d axes, not 1", window->rank);
    if (is_given(ctx, LENGTH)) length = number_of(ctx, LENGTH);
    if (window && window->rank == 1)
        HONE_TRY(hone_infer_same_dim(ctx, length, window->dims[0], &length, err));
    if (!window && !is_given(ctx, LENGTH)) length = signal;
    if (length == 0 || (step != HONE_DIM_ANY && step < 1) || (length >= 0 && signal >= 0 && length > signal))
        return hone_infer_fail(ctx, err, "frames of %lld, one every %lld, of a signal of %lld",
                               (long long)length, (long long)step, (long long)signal);
    y->rank = 4;
    y->dims[0] = x->rank == 3 ? x->dims[0] : HONE_DIM_ANY;
    y->dims[1] = length >= 0 && signal >= 0 && step > 0 ? (signal - length) / step + 1 : HONE_DIM_ANY;
    y->dims[2] = !onesided ? length : length >= 0 ? length / 2 + 1 : HONE_DIM_ANY;
    y->dims[3] = 2;
    return HONE_OK;
}

static hone_value *emit(hone_graph *g, const char *op, hone_value *a, hone_value *b) {
    return HONE_EMIT(g, "", op, a, b);
}
static hone_value *scalar(hone_graph *g, int64_t x) {
    return hone_graph_scalar(g, HONE_INT64, (double)x);
}

/* v as an int64 scalar */
static hone_value *whole(hone_graph *g, hone_value *v) {
    hone_value *y = HONE_EMIT(g, "", "Cast", emit(g, "Reshape", v, hone_graph_ints(g, NULL, 0)));
    if (y) hone_node_set_int(g, y->producer, "to", HONE_INT64);
    return y;
}

/* The length of axis `axis` as a scalar: a constant where it is known. */
static hone_value *size_of(hone_graph *g, hone_value *v, int axis) {
    if (v->type.rank > axis && v->type.dims[axis] >= 0) return scalar(g, v->type.dims[axis]);
    hone_value *shape = HONE_EMIT(g, "", "Shape", v);
    if (!shape) return NULL;
    hone_node_set_int(g, shape->producer, "start", axis);
    hone_node_set_int(g, shape->producer, "end", axis + 1);
    return HONE_EMIT(g, "", "Squeeze", shape);
}

static hone_value *range(hone_graph *g, hone_value *count) {
    return HONE_EMIT(g, "", "Range", scalar(g, 0), count, scalar(g, 1));
}
static hone_value *column(hone_graph *g, hone_value *v) {
    return emit(g, "Unsqueeze", v, hone_graph_ints(g, (int64_t[]){1}, 1));
}

/* frame f, sample i: signal[f step + i] window[i] */
static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *x = n->inputs[SIGNAL], *window = n->input_count > WINDOW ? n->inputs[WINDOW] : NULL,
               *given = n->input_count > LENGTH ? n->inputs[LENGTH] : NULL;
    hone_value *signal = size_of(g, x, 1), *step = whole(g, n->inputs[STEP]);
    const hone_tensor *known = hone_value_constant(given);
    hone_value *length = known    ? scalar(g, hone_tensor_int(known, 0))
                         : given  ? whole(g, given)
                         : window ? size_of(g, window, 0)
                                  : signal;
    const hone_type *y_type = &n->outputs[0]->type;
    hone_value *frames =
        y_type->dims[1] >= 0
            ? scalar(g, y_type->dims[1])
            : emit(g, "Add", emit(g, "Div", emit(g, "Sub", signal, length), step), scalar(g, 1));
    hone_value *starts = column(g, emit(g, "Mul", range(g, frames), step));
    hone_value *cut = emit(g, "Gather", x, emit(g, "Add", starts, range(g, length)));
    if (!cut) return HONE_OK;
    hone_node_set_int(g, cut->producer, "axis", 1);
    if (window) cut = emit(g, "Mul", cut, column(g, window));
    hone_value *y = HONE_EMIT(g, "", "DFT", cut);
    if (!y) return HONE_OK;
    hone_node_set_int(g, y->producer, "onesided", hone_node_int(n, "onesided"));
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

const hone_op hone_op_stft = {
    .name = "STFT",
    .since = 17,
    .oldest = 17,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"signal", 'T', FLOATS, 0}, {"frame_step", 'L', HONE_TYPES_INT, HONE_SLOT_SHAPE},
                         {"window", 'T', FLOATS, HONE_SLOT_OPTIONAL},
                         {"frame_length", 'L', HONE_TYPES_INT, HONE_SLOT_OPTIONAL | HONE_SLOT_SHAPE}),
    .outputs = HONE_SLOTS({"output", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"onesided", HONE_ATTR_INT, .i = 1}),
    .infer = infer,
    .expand = expand,
    .doc = "Fourier transforms of the frames of a signal, times a window"};
