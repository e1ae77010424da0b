/* RNN, GRU and LSTM: functions of one product over all time steps and of a Recurrence (recurrence.h).
 *
 *   X [T, B, I] (layout 1: [B, T, I]), W [D, G H, I], R [D, G H, H], B [D, 2 G H], P [D, 3 H] → Y, Y_h, Y_c
 *
 * Biases of W and of R are one, but for GRU's h with linear_before_reset. */
#include "ops/recurrent/recurrent.h"
#include "graph/infer.h"
#include "ops/common/legacy.h"
#include "ops/recurrent/recurrence.h"

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define INT32 HONE_TYPE(HONE_INT32)

enum { X, W, R, B, LENGTHS, H0, C0, P };

/* --- shapes --- */

static int64_t times(int64_t n, int64_t dim) {
    return dim >= 0 ? n * dim : HONE_DIM_ANY;
}

hone_status hone_recurrent_infer(hone_infer *ctx, hone_cell_kind kind, int64_t hidden, hone_error *err) {
    hone_cell c;
    HONE_TRY(hone_cell_read(ctx->node, kind, &c, err));
    const hone_type *x = ctx->in[X];
    int64_t d = c.directions, in[] = {HONE_DIM_ANY, HONE_DIM_ANY, HONE_DIM_ANY};
    HONE_TRY(hone_recurrence_match(ctx, X, 3, in, err));
    int64_t steps = in[c.batch_first], batch = in[!c.batch_first], lengths[] = {batch};
    HONE_TRY(hone_recurrence_match(ctx, LENGTHS, 1, lengths, err));
    batch = lengths[0];
    int64_t state[] = {c.batch_first ? batch : d, c.batch_first ? d : batch, hidden};
    HONE_TRY(hone_recurrence_match(ctx, H0, 3, state, err));
    if (kind == HONE_CELL_LSTM) HONE_TRY(hone_recurrence_match(ctx, C0, 3, state, err));
    int64_t bias[] = {d, times(2 * c.gates, state[2])}, p[] = {d, times(3, state[2])};
    HONE_TRY(hone_recurrence_match(ctx, B, 2, bias, err));
    if (kind == HONE_CELL_LSTM) HONE_TRY(hone_recurrence_match(ctx, P, 2, p, err));
    batch = state[!c.batch_first];
    const int64_t y[2][4] = {{steps, d, batch, state[2]}, {batch, steps, d, state[2]}};
    for (int o = 0; o < ctx->output_count; o++)
        ctx->out[o] =
            o == 0 ? hone_type_make(x->dtype, 4, y[c.batch_first]) : hone_type_make(x->dtype, 3, state);
    return HONE_OK;
}

/* H: of the attribute, or of R. */
static hone_status infer(hone_infer *ctx, hone_cell_kind kind, hone_error *err) {
    hone_cell c;
    HONE_TRY(hone_cell_read(ctx->node, kind, &c, err));
    int64_t hidden = hone_node_int(ctx->node, "hidden_size"), d = c.directions;
    int64_t in[] = {HONE_DIM_ANY, HONE_DIM_ANY, HONE_DIM_ANY};
    if (hidden <= 0) hidden = HONE_DIM_ANY;
    HONE_TRY(hone_recurrence_match(ctx, X, 3, in, err));
    int64_t r[] = {d, times(c.gates, hidden), hidden};
    HONE_TRY(hone_recurrence_match(ctx, R, 3, r, err));
    if (r[2] >= 0) HONE_TRY(hone_infer_same_dim(ctx, r[1], c.gates * r[2], &r[1], err));
    int64_t w[] = {d, r[1], in[2]};
    HONE_TRY(hone_recurrence_match(ctx, W, 3, w, err));
    return hone_recurrent_infer(ctx, kind, r[2], err);
}

static hone_status infer_rnn(hone_infer *ctx, hone_error *err) {
    return infer(ctx, HONE_CELL_RNN, err);
}
static hone_status infer_gru(hone_infer *ctx, hone_error *err) {
    return infer(ctx, HONE_CELL_GRU, err);
}
static hone_status infer_lstm(hone_infer *ctx, hone_error *err) {
    return infer(ctx, HONE_CELL_LSTM, err);
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    (void)out;
    return in[X]->dims[0] * in[X]->dims[1] * (hone_type_count(in[W]) + hone_type_count(in[R]));
}

/* --- as a function --- */

hone_value *hone_recurrent_cast(hone_graph *g, hone_value *v, hone_dtype to) {
    if (!v || v->type.dtype == to) return v;
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", to);
    return y;
}

static hone_value *input_of(const hone_node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}

hone_value *hone_recurrent_columns(hone_graph *g, hone_value *w, const int64_t *perm) {
    hone_value *y = HONE_EMIT(g, "", "Transpose", w);
    if (y) hone_node_set_ints(g, y->producer, "perm", perm, 3);
    return HONE_EMIT(g, "", "Flatten", y);
}

hone_value *hone_recurrent_reshape(hone_graph *g, hone_value *v, const int64_t *shape, int rank) {
    return HONE_EMIT(g, "", "Reshape", v, hone_graph_ints(g, shape, rank));
}

/* b [D, 2, G, H] summed over some of its axes; of GRU's R part of h alone, or of all else. */
static hone_value *sum_biases(hone_graph *g, hone_value *b, hone_dtype dtype, const float *mask, int count) {
    static const int64_t shape[] = {2, 3, 1}, axes[] = {1, 2};
    if (mask) {
        hone_value *m = hone_recurrent_cast(g, hone_graph_floats(g, mask, 6), dtype);
        b = HONE_EMIT(g, "", "Mul", b, hone_recurrent_reshape(g, m, shape, 3));
    }
    hone_value *sum = HONE_EMIT(g, "", "ReduceSum", b, hone_graph_ints(g, axes, count));
    if (sum) hone_node_set_int(g, sum->producer, "keepdims", 0);
    return sum;
}

hone_value *hone_recurrent_bias(hone_graph *g, const hone_cell *c, hone_value *b, hone_dtype dtype,
                                int64_t hidden, hone_value **apart) {
    static const float with[] = {1, 1, 1, 1, 1, 0}, only[] = {0, 0, 0, 0, 0, 1};
    const int64_t shape[] = {c->directions, 2, c->gates, hidden}, flat[] = {-1};
    const bool splits = c->kind == HONE_CELL_GRU && c->reset_after;
    b = hone_recurrent_reshape(g, b, shape, 4);
    *apart = splits ? sum_biases(g, b, dtype, only, 2) : NULL;
    return hone_recurrent_reshape(g, sum_biases(g, b, dtype, splits ? with : NULL, 1), flat, 1);
}

hone_status hone_recurrent_steps(hone_graph *g, hone_node *n, hone_cell_kind kind, hone_value *const *in,
                                 hone_dtype narrow) {
    hone_node *steps = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "Recurrence"), n->name,
                                           HONE_RECURRENCE_INPUTS, in, n->output_count);
    hone_recurrence_copy_attrs(g, steps, n, kind);
    for (int o = 0; steps && o < n->output_count; o++) {
        hone_value *y = steps->outputs[o];
        if (!n->outputs[o]) continue;
        if (narrow != HONE_UNDEFINED) y = hone_recurrent_cast(g, y, narrow);
        hone_graph_replace(g, n->outputs[o], y);
    }
    return HONE_OK;
}

static hone_status expand(hone_graph *g, hone_node *n, hone_cell_kind kind, hone_error *err) {
    static const int64_t perm[] = {2, 0, 1};
    hone_cell c;
    hone_value *in[P + 1], *apart = NULL;
    HONE_TRY(hone_cell_read(n, kind, &c, err));
    const hone_dtype dtype = n->inputs[X]->type.dtype,
                     computes = dtype == HONE_FLOAT64 ? dtype : HONE_FLOAT32;
    for (int i = X; i <= P; i++) {
        in[i] = input_of(n, i);
        if (i != LENGTHS) in[i] = hone_recurrent_cast(g, in[i], computes);
    }
    const hone_type *r = &n->inputs[R]->type;
    int64_t hidden = r->rank == 3 && r->dims[2] >= 0 ? r->dims[2] : hone_node_int(n, "hidden_size");
    if (hidden <= 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "the hidden size is not known");
    const int64_t shape[] = {c.directions * c.gates, hidden, hidden};
    hone_value *gates = HONE_EMIT(g, "", "MatMul", in[X], hone_recurrent_columns(g, in[W], perm));
    if (in[B])
        gates = HONE_EMIT(g, "", "Add", gates, hone_recurrent_bias(g, &c, in[B], computes, hidden, &apart));
    hone_value *operands[HONE_RECURRENCE_INPUTS] = {
        gates, hone_recurrent_reshape(g, in[R], shape, 3), in[LENGTHS], in[H0], in[C0], in[P], apart};
    return hone_recurrent_steps(g, n, kind, operands, dtype == computes ? HONE_UNDEFINED : dtype);
}

static hone_status expand_rnn(hone_graph *g, hone_node *n, hone_error *err) {
    return expand(g, n, HONE_CELL_RNN, err);
}
static hone_status expand_gru(hone_graph *g, hone_node *n, hone_error *err) {
    return expand(g, n, HONE_CELL_GRU, err);
}
static hone_status expand_lstm(hone_graph *g, hone_node *n, hone_error *err) {
    return expand(g, n, HONE_CELL_LSTM, err);
}

/* --- descriptors --- */

#define OPTIONAL HONE_SLOT_OPTIONAL
#define COMMON                                                                                               \
    {"hidden_size", HONE_ATTR_INT}, {"direction", HONE_ATTR_STRING, .s = "forward"},                         \
        {"clip", HONE_ATTR_FLOAT}, {"activations", HONE_ATTR_STRINGS},                                       \
        {"activation_alpha", HONE_ATTR_FLOATS}, {                                                            \
        "activation_beta", HONE_ATTR_FLOATS                                                                  \
    }
#define LAYOUT                                                                                               \
    { "layout", HONE_ATTR_INT }
#define OUTPUT_SEQUENCE /* said whether Y is there, which its name says, too */                              \
    { "output_sequence", HONE_ATTR_INT }
#define INPUT_FORGET                                                                                         \
    { "input_forget", HONE_ATTR_INT }
#define RESET_AFTER                                                                                          \
    { "linear_before_reset", HONE_ATTR_INT }

#define INPUTS                                                                                               \
    {"X", 'T', FLOATS, 0}, {"W", 'T', FLOATS, HONE_SLOT_WEIGHT}, {"R", 'T', FLOATS, HONE_SLOT_WEIGHT},       \
        {"B", 'T', FLOATS, OPTIONAL | HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS}, {"sequence_lens", 0, INT32, OPTIONAL}, {            \
        "initial_h", 'T', FLOATS, OPTIONAL                                                                   \
    }
#define RECURRENT .since = 22, .oldest = 1, .multiply_adds = multiply_adds

static const hone_attr_def rnn_7[] = {COMMON, {NULL}}, rnn_1[] = {COMMON, OUTPUT_SEQUENCE, {NULL}};
static const hone_op_version older_rnn[] = {
    {14, NULL, NULL}, {7, rnn_7, NULL}, {1, rnn_1, hone_lift_attributes}, {0}};

const hone_op hone_op_rnn = {.name = "RNN",
                             RECURRENT,
                             .older = older_rnn,
                             .inputs = HONE_SLOTS(INPUTS),
                             .outputs =
                                 HONE_SLOTS({"Y", 'T', FLOATS, OPTIONAL}, {"Y_h", 'T', FLOATS, OPTIONAL}),
                             .attrs = HONE_ATTRS(COMMON, LAYOUT),
                             .infer = infer_rnn,
                             .expand = expand_rnn,
                             .doc = "a simple recurrent layer"};

static const hone_attr_def gru_7[] = {COMMON, RESET_AFTER, {NULL}},
                           gru_3[] = {COMMON, RESET_AFTER, OUTPUT_SEQUENCE, {NULL}};
static const hone_op_version older_gru[] = {{14, NULL, NULL},
                                            {7, gru_7, NULL},
                                            {3, gru_3, hone_lift_attributes},
                                            {1, rnn_1, hone_lift_attributes},
                                            {0}};

const hone_op hone_op_gru = {.name = "GRU",
                             RECURRENT,
                             .older = older_gru,
                             .inputs = HONE_SLOTS(INPUTS),
                             .outputs =
                                 HONE_SLOTS({"Y", 'T', FLOATS, OPTIONAL}, {"Y_h", 'T', FLOATS, OPTIONAL}),
                             .attrs = HONE_ATTRS(COMMON, RESET_AFTER, LAYOUT),
                             .infer = infer_gru,
                             .expand = expand_gru,
                             .doc = "a layer of gated recurrent units"};

static const hone_attr_def lstm_7[] = {COMMON, INPUT_FORGET, {NULL}},
                           lstm_1[] = {COMMON, INPUT_FORGET, OUTPUT_SEQUENCE, {NULL}};
static const hone_op_version older_lstm[] = {
    {14, NULL, NULL}, {7, lstm_7, NULL}, {1, lstm_1, hone_lift_attributes}, {0}};

const hone_op hone_op_lstm = {.name = "LSTM",
                              RECURRENT,
                              .older = older_lstm,
                              .inputs = HONE_SLOTS(INPUTS, {"initial_c", 'T', FLOATS, OPTIONAL},
                                                   {"P", 'T', FLOATS, OPTIONAL | HONE_SLOT_WEIGHT}),
                              .outputs =
                                  HONE_SLOTS({"Y", 'T', FLOATS, OPTIONAL}, {"Y_h", 'T', FLOATS, OPTIONAL},
                                             {"Y_c", 'T', FLOATS, OPTIONAL}),
                              .attrs = HONE_ATTRS(COMMON, INPUT_FORGET, LAYOUT),
                              .infer = infer_lstm,
                              .expand = expand_lstm,
                              .doc = "a layer of long short-term memory"};
