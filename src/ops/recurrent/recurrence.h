/* Hone's own operators behind RNN, GRU and LSTM, which are functions: X W^T + biases is one product over all time steps, an
 * ordinary MatMul; what is left goes step by step.
 *
 *   Recurrence(gates, R, lengths?, h0?, c0?, P?, Rb?, R_scale?, R_zero?) → Y, Y_h, Y_c, before, C
 *
 *   gates   [T, B, D G H], or [B, T, D G H]: X W^T + biases (GRU with linear_before_reset: but for Rb of h)
 *   R       [D G, H, H]: float, or int8 or uint8 with R_scale and R_zero [D, G H]; then H is quantized at each step, whole
 *   P       [D, 3 H]; Rb [D, H]
 *   before  as gates, C as Y: what gradients ask for. Gates before activations, and all C
 *
 *   RecurrenceGrad(dY?, dY_h?, dY_c?, gates, R, lengths?, h0?, c0?, P?, before, Y, C?)
 *       → d gates, operand, d recurrent, d h0, d c0, d P
 *
 *   operand       [T, B, D N H]: what each step multiplied by R; N is 3 for GRU without linear_before_reset, else 1
 *   d recurrent   as gates, of H R^T: other than d gates for GRU with linear_before_reset only
 *   d P           [T, B, D 3 H], to be summed over T and B
 */
#ifndef HONE_OPS_RECURRENT_RECURRENCE_H
#define HONE_OPS_RECURRENT_RECURRENCE_H

#include "ops/recurrent/cell.h"

/* Inputs and outputs by position. */
enum {
    HONE_RECURRENCE_GATES,
    HONE_RECURRENCE_R,
    HONE_RECURRENCE_LENGTHS,
    HONE_RECURRENCE_H0,
    HONE_RECURRENCE_C0,
    HONE_RECURRENCE_P,
    HONE_RECURRENCE_RB,
    HONE_RECURRENCE_R_SCALE,
    HONE_RECURRENCE_R_ZERO,
    HONE_RECURRENCE_INPUTS
};
enum {
    HONE_RECURRENCE_Y,
    HONE_RECURRENCE_Y_H,
    HONE_RECURRENCE_Y_C,
    HONE_RECURRENCE_BEFORE,
    HONE_RECURRENCE_C,
    HONE_RECURRENCE_OUTPUTS
};
enum {
    HONE_RECURRENCE_GRAD_DY,
    HONE_RECURRENCE_GRAD_DY_H,
    HONE_RECURRENCE_GRAD_DY_C,
    HONE_RECURRENCE_GRAD_GATES,
    HONE_RECURRENCE_GRAD_R,
    HONE_RECURRENCE_GRAD_LENGTHS,
    HONE_RECURRENCE_GRAD_H0,
    HONE_RECURRENCE_GRAD_C0,
    HONE_RECURRENCE_GRAD_P,
    HONE_RECURRENCE_GRAD_BEFORE,
    HONE_RECURRENCE_GRAD_Y,
    HONE_RECURRENCE_GRAD_C,
    HONE_RECURRENCE_GRAD_INPUTS
};
enum {
    HONE_RECURRENCE_D_GATES,
    HONE_RECURRENCE_OPERAND,
    HONE_RECURRENCE_D_RECURRENT,
    HONE_RECURRENCE_D_H0,
    HONE_RECURRENCE_D_C0,
    HONE_RECURRENCE_D_P,
    HONE_RECURRENCE_GRAD_OUTPUTS
};

/* The attributes of both: those of the node they stand for, and which cell it is. */
#define HONE_RECURRENCE_ATTRS                                                                                \
    HONE_ATTRS({"cell", HONE_ATTR_INT, .required = true}, {"direction", HONE_ATTR_STRING, .s = "forward"},   \
               {"layout", HONE_ATTR_INT}, {"clip", HONE_ATTR_FLOAT}, {"activations", HONE_ATTR_STRINGS},     \
               {"activation_alpha", HONE_ATTR_FLOATS}, {"activation_beta", HONE_ATTR_FLOATS},                \
               {"linear_before_reset", HONE_ATTR_INT}, {"input_forget", HONE_ATTR_INT})
/* Sets them on `to`, a node of either. */
void hone_recurrence_copy_attrs(hone_graph *g, hone_node *to, const hone_node *from, hone_cell_kind kind);
/* The dimensions of input i, where it is there: those that are known on both sides agree, and `dims` learns. */
hone_status hone_recurrence_match(const hone_infer *ctx, int i, int rank, int64_t *dims, hone_error *err);
/* The cell of such a node. */
hone_status hone_recurrence_cell(const hone_node *n, hone_cell *c, hone_error *err);

/* Where the gate of that number waits for its products: GRU's h, reset after, apart from what the products give. */
static inline int hone_recurrence_slot(const hone_cell *c, int gate) {
    return c->reset_after && gate == 2 ? 3 : gate;
}
/* Operands that R is multiplied by, for each direction. */
static inline int hone_recurrence_operands(const hone_cell *c) {
    return hone_cell_stages(c) == 2 ? 3 : 1;
}

#endif
