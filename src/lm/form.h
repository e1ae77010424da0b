/* The form in which a language model runs: tokens of any number of texts side by side, what is kept of the texts in pages.
 *
 *   Attention(q, k, v, past) → y, present      becomes      PagedAttention(keys, values, q, k, v, …) → keys, values, y
 *
 * with keys and values variables of `pages` pages that the steps write in place (ops/attention/paged.h). Where a text's pages
 * are is data, so one plan serves all steps of as many tokens. Only the wanted rows of logits are computed. */
#ifndef HONE_LM_FORM_H
#define HONE_LM_FORM_H

#include "graph/graph.h"

/* Inputs of the form, all int64: [1, tokens] the first two, then [tokens], [texts, pages of a text] and [wanted]. */
enum { HONE_LM_IDS, HONE_LM_POSITIONS, HONE_LM_TEXT, HONE_LM_TABLES, HONE_LM_ROWS, HONE_LM_INPUTS };
enum { HONE_LM_PAGE = 32 }; /* tokens */

typedef struct hone_lm_form {
    int64_t vocabulary;
    size_t page_bytes; /* of a page, in all variables together */
} hone_lm_form;

/* Positions that the graph's tables of them have; 0: it has none. */
int64_t hone_lm_positions(const hone_graph *g);
/* HONE_UNSUPPORTED: it is not such a model. Types of `g` are inferred then. */
hone_status hone_lm_form_look(hone_graph *g, hone_lm_form *out, hone_error *err);
/* Brings a graph that was looked at into this form. Its only output is logits [1, wanted, vocabulary], or, where no product
 * makes them, of all tokens. HONE_UNSUPPORTED: as above. */
hone_status hone_lm_form_make(hone_graph *g, int64_t pages, hone_error *err);

#endif
