/* What recurrent operators are expanded with. */
#ifndef HONE_OPS_RECURRENT_RECURRENT_H
#define HONE_OPS_RECURRENT_RECURRENT_H

#include "ops/recurrent/recurrence.h"

/* Infers the outputs of a node whose inputs 0 (X) and 3 (B) on are LSTM's, of that hidden size, if it is known. */
hone_status hone_recurrent_infer(hone_infer *ctx, hone_cell_kind kind, int64_t hidden, hone_error *err);

/* As another dtype; NULL stays. */
hone_value *hone_recurrent_cast(hone_graph *g, hone_value *v, hone_dtype to);
hone_value *hone_recurrent_reshape(hone_graph *g, hone_value *v, const int64_t *shape, int rank);
/* W, whose axes come in the order `perm` as I, D, G H: [I, D G H], to multiply X by for all directions at once. */
hone_value *hone_recurrent_columns(hone_graph *g, hone_value *w, const int64_t *perm);
/* B [D, 2 G H] as what X W^T gets, [D G H]. Where GRU resets after its product, the part of R's h is *apart, [D, H]. */
hone_value *hone_recurrent_bias(hone_graph *g, const hone_cell *c, hone_value *b, hone_dtype dtype,
                                int64_t hidden, hone_value **apart);
/* A Recurrence of those inputs in the place of n, its outputs made narrow if `narrow` is a dtype. */
hone_status hone_recurrent_steps(hone_graph *g, hone_node *n, hone_cell_kind kind, hone_value *const *in,
                                 hone_dtype narrow);

#endif
