/* Recurrent cells: what RNN, GRU and LSTM do at one time step, as maps over matrices [batch, hidden].
 *
 *   gates   a[g] = X W[g]^T + H R[g]^T + biases, in ONNX's order: RNN i; GRU z, r, h; LSTM i, o, f, c
 *
 *   RNN     H' = f(a)
 *   GRU     z = f(a[z]), r = f(a[r]), H' = (1 - z) g(a[h]) + z H, where the recurrent part of a[h] is
 *           (r H) R[h]^T, or r (H R[h]^T + bias) if the reset comes behind the product
 *   LSTM    i = f(a[i] + P[i] C), f = f(a[f] + P[f] C), C' = f C + i g(a[c]), o = f(a[o] + P[o] C'), H' = o h(C')
 *
 * A step has stages: products of some gates, then a map. Maps read and write buffers that the step keeps, each named
 * here; one that an output shares with the input of the same index is written in place. */
#ifndef HONE_OPS_RECURRENT_CELL_H
#define HONE_OPS_RECURRENT_CELL_H

#include "graph/map.h"

typedef enum hone_cell_kind { HONE_CELL_RNN, HONE_CELL_GRU, HONE_CELL_LSTM } hone_cell_kind;

/* An activation of ONNX's list with its scale and shift. */
typedef struct hone_cell_curve {
    int kind; /* a row of cell.c's table */
    double alpha, beta;
} hone_cell_curve;

#define HONE_CELL_GATES 4
#define HONE_CELL_CURVES 3 /* f, g, h */

typedef struct hone_cell {
    hone_cell_kind kind;
    int gates, curves, directions;
    bool reverse[2]; /* which directions go from the end */
    bool reset_after, input_forget;
    bool batch_first; /* layout 1 */
    double clip;      /* of what f and g get; infinite: none */
    hone_cell_curve curve[2][HONE_CELL_CURVES];
} hone_cell;

/* The cell of a node with the attributes of LSTM, GRU or RNN; HONE_UNSUPPORTED names what it does not know. */
hone_status hone_cell_read(const hone_node *n, hone_cell_kind kind, hone_cell *c, hone_error *err);

/* --- stages --- */

typedef enum hone_cell_buffer {
    HONE_CELL_GATE,                                           /* and those behind it: gate 0 … 3 */
    HONE_CELL_INPUT_H = HONE_CELL_GATE + HONE_CELL_GATES - 1, /* GRU, reset after: X W[h]^T */
    HONE_CELL_H = HONE_CELL_GATE + HONE_CELL_GATES,           /* before the step */
    HONE_CELL_NEXT,                                           /* H' */
    HONE_CELL_C,                                              /* before the step, then C' */
    HONE_CELL_RESET,                                          /* r H; backward its cotangent, then itself */
    HONE_CELL_P,                                              /* and those behind it: i, o, f; rows */
    HONE_CELL_DY = HONE_CELL_P + 3,                           /* backward: of this step's output */
    HONE_CELL_DH,                                             /* of H', then of H */
    HONE_CELL_DC,                                             /* of C', then of C */
    HONE_CELL_DP,                                             /* and those behind it: i, o, f */
    HONE_CELL_BUFFERS = HONE_CELL_DP + 3
} hone_cell_buffer;

#define HONE_CELL_OPERANDS 12
typedef struct hone_cell_stage {
    int inputs, outputs;
    int in[HONE_CELL_OPERANDS], out[HONE_MAP_MAX_OUTPUTS]; /* buffers */
} hone_cell_stage;

int hone_cell_stages(const hone_cell *c); /* forward as backward: 1 or 2 */
/* Emits the map of a stage of one direction, of elements of `dtype`, and says what it reads and writes. */
void hone_cell_forward(const hone_cell *c, int direction, int stage, bool peepholes, hone_dtype dtype,
                       hone_map *m, hone_cell_stage *out);
/* The same of the gradient. Gates hold what they were before their activations (LSTM: without peepholes; GRU, reset
 * after: H R[h]^T + bias) and become cotangents, in GRU INPUT_H that of X W[h]^T. DH becomes what reaches H other than
 * by the products. */
void hone_cell_backward(const hone_cell *c, int direction, int stage, bool peepholes, hone_dtype dtype,
                        hone_map *m, hone_cell_stage *out);

#endif
