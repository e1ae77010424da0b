/* com.microsoft DynamicQuantizeLSTM: LSTM with W and R in bytes; X is quantized to uint8 once, as a whole, and H at each
 * step. W [D, I, 4 H] and R [D, H, 4 H] lie as factors of X and H; scales and zero points are [D] or [D, 4 H]. */
#include "graph/infer.h"
#include "ops/recurrent/recurrent.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define BYTES HONE_TYPES_BYTE

enum { X, W, R, B, LENGTHS, H0, C0, P, W_SCALE, W_ZERO, R_SCALE, R_ZERO };
enum { GATES = 4 };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    hone_cell c;
    HONE_TRY(hone_cell_read(ctx->node, HONE_CELL_LSTM, &c, err));
    const hone_type *x = ctx->in[X], *w = ctx->in[W], *r = ctx->in[R];
    int64_t hidden = hone_node_int(ctx->node, "hidden_size"), d, all;
    if (hidden <= 0) hidden = HONE_DIM_ANY;
    if ((w->rank >= 0 && w->rank != 3) || (r->rank >= 0 && r->rank != 3))
        return hone_infer_fail(ctx, err, "W and R must have rank 3");
    if (r->rank == 3) {
        HONE_TRY(hone_infer_same_dim(ctx, r->dims[1], hidden, &hidden, err));
        all = hidden >= 0 ? GATES * hidden : HONE_DIM_ANY;
        HONE_TRY(hone_infer_same_dim(ctx, r->dims[0], c.directions, &d, err));
        HONE_TRY(hone_infer_same_dim(ctx, r->dims[2], all, &all, err));
        if (w->rank == 3) HONE_TRY(hone_infer_same_dim(ctx, w->dims[2], all, &all, err));
    }
    if (w->rank == 3) HONE_TRY(hone_infer_same_dim(ctx, w->dims[0], c.directions, &d, err));
    if (w->rank == 3 && x->rank == 3) HONE_TRY(hone_infer_same_dim(ctx, w->dims[1], x->dims[2], &d, err));
    return hone_recurrent_infer(ctx, HONE_CELL_LSTM, hidden, err);
}

/* One for each direction, or for each of its columns: [D, 4 H]. */
static hone_value *for_columns(hone_graph *g, hone_value *v, int64_t directions, int64_t hidden) {
    const int64_t rows[] = {directions, -1}, all[] = {directions, GATES * hidden};
    if (!v) return NULL;
    return HONE_EMIT(g, "", "Expand", hone_recurrent_reshape(g, v, rows, 2), hone_graph_ints(g, all, 2));
}

/* R as matrices of each gate, of which each column is a row. */
static hone_value *by_gate(hone_graph *g, hone_value *r, int64_t directions, int64_t hidden) {
    const int64_t parts[] = {directions, hidden, GATES, hidden}, perm[] = {0, 2, 3, 1},
                  whole[] = {directions * GATES, hidden, hidden};
    hone_value *y = HONE_EMIT(g, "", "Transpose", hone_recurrent_reshape(g, r, parts, 4));
    if (y) hone_node_set_ints(g, y->producer, "perm", perm, 4);
    return hone_recurrent_reshape(g, y, whole, 3);
}

static hone_value *input_of(const hone_node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    static const int64_t perm[] = {1, 0, 2}, flat[] = {-1};
    hone_cell c;
    HONE_TRY(hone_cell_read(n, HONE_CELL_LSTM, &c, err));
    const hone_type *r = &n->inputs[R]->type;
    const int64_t hidden = r->rank == 3 && r->dims[1] >= 0 ? r->dims[1] : hone_node_int(n, "hidden_size");
    if (hidden <= 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "the hidden size is not known");
    hone_value *in[R_ZERO + 1], *apart;
    for (int i = X; i <= R_ZERO; i++) in[i] = input_of(n, i);
    hone_node *x = hone_graph_add_node(g, hone_op_find("", "DynamicQuantizeLinear"), n->name, 1, &in[X], 3);
    if (!x) return hone_graph_check(g, err);
    for (int i = W_SCALE; i <= R_ZERO; i++) in[i] = for_columns(g, in[i], c.directions, hidden);
    hone_value *product[] = {x->outputs[0],
                             x->outputs[1],
                             x->outputs[2],
                             hone_recurrent_columns(g, in[W], perm),
                             hone_recurrent_reshape(g, in[W_SCALE], flat, 1),
                             in[W_ZERO] ? hone_recurrent_reshape(g, in[W_ZERO], flat, 1) : NULL,
                             in[B] ? hone_recurrent_bias(g, &c, in[B], HONE_FLOAT32, hidden, &apart) : NULL};
    hone_value *steps[HONE_RECURRENCE_INPUTS] = {
        [HONE_RECURRENCE_GATES] = hone_graph_emit(g, HONE_PRIVATE_DOMAIN, "IntegerGemm", product, 7),
        [HONE_RECURRENCE_R] = by_gate(g, in[R], c.directions, hidden),
        [HONE_RECURRENCE_LENGTHS] = in[LENGTHS],
        [HONE_RECURRENCE_H0] = in[H0],
        [HONE_RECURRENCE_C0] = in[C0],
        [HONE_RECURRENCE_P] = in[P],
        [HONE_RECURRENCE_R_SCALE] = in[R_SCALE],
        [HONE_RECURRENCE_R_ZERO] = in[R_ZERO]};
    return hone_recurrent_steps(g, n, HONE_CELL_LSTM, steps, HONE_UNDEFINED);
}

#define OPTIONAL HONE_SLOT_OPTIONAL

const hone_op hone_op_microsoft_dynamic_quantize_lstm = {
    .domain = "com.microsoft",
    .name = "DynamicQuantizeLSTM",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'T', FLOAT, 0}, {"W", 'W', BYTES, 0}, {"R", 'W', BYTES, 0},
                         {"B", 'T', FLOAT, OPTIONAL}, {"sequence_lens", 0, HONE_TYPE(HONE_INT32), OPTIONAL},
                         {"initial_h", 'T', FLOAT, OPTIONAL}, {"initial_c", 'T', FLOAT, OPTIONAL},
                         {"P", 'T', FLOAT, OPTIONAL}, {"W_scale", 'T', FLOAT, 0},
                         {"W_zero_point", 'W', BYTES, OPTIONAL}, {"R_scale", 'T', FLOAT, 0},
                         {"R_zero_point", 'W', BYTES, OPTIONAL}),
    .outputs =
        HONE_SLOTS({"Y", 'T', FLOAT, OPTIONAL}, {"Y_h", 'T', FLOAT, OPTIONAL}, {"Y_c", 'T', FLOAT, OPTIONAL}),
    .attrs = HONE_ATTRS({"hidden_size", HONE_ATTR_INT}, {"direction", HONE_ATTR_STRING, .s = "forward"},
                        {"clip", HONE_ATTR_FLOAT}, {"activations", HONE_ATTR_STRINGS},
                        {"activation_alpha", HONE_ATTR_FLOATS}, {"activation_beta", HONE_ATTR_FLOATS},
                        {"input_forget", HONE_ATTR_INT}),
    .infer = infer,
    .expand = expand,
    .doc = "LSTM with weights in bytes, and X and H quantized as they come"};
