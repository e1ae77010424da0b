/* The form in which a language model runs: what is kept of a text lies in variables of a fixed number of rows.
 *
 *   Attention(q, k, v, past) → y, present        becomes   Attention(q, TensorScatter(keys, k, at), …, end) → y
 *
 * with keys and values [1, rows, heads · width] variables that the steps write in place. Their true length is data, so one
 * plan serves all steps of as many tokens. Where logits are of all tokens, only the wanted rows are computed. */
#ifndef HONE_LM_FORM_H
#define HONE_LM_FORM_H

#include "graph/graph.h"

/* Inputs of the form; [1, tokens] the first two, then int64 [1], [1] and [wanted]. */
enum { HONE_LM_IDS, HONE_LM_POSITIONS, HONE_LM_AT, HONE_LM_END, HONE_LM_ROWS, HONE_LM_INPUTS };

typedef struct hone_lm_form {
    int64_t vocabulary;
    int64_t context;   /* positions that the model knows; 0: no limit found */
    size_t past_bytes; /* of all variables */
} hone_lm_form;

/* Positions that the graph's tables of them have; 0: it has none. */
int64_t hone_lm_positions(const hone_graph *g);
/* Brings `g` into this form, with `rows` rows. Its only output is logits [1, wanted, vocabulary]. HONE_UNSUPPORTED: it is
 * not such a model. */
hone_status hone_lm_form_make(hone_graph *g, int64_t rows, hone_lm_form *out, hone_error *err);

#endif
