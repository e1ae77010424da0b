/* Hone's own PagedAttention: attention of tokens of many texts, each over its own keys and values, which lie in pages.
 *
 *   keys      [P, M, D, 32]   page, head, element, key      float32
 *   values    [P, M, 32, E]
 *   Q, K, V   [1, T, N D], [1, T, M D], [1, T, M E]: tokens side by side, those of a text that follow each other in order
 *   position  int64 [1, T]: where a token stands in its text
 *   text      int64 [T]: the row of `tables` that is its text's; -1: the token stands for nothing
 *   tables    int64 [S, C]: the pages of each text, in order; only those that hold a position up to the largest one are read
 *
 * First K and V are written where the tokens stand, then token t sees its text's keys up to its own, with `window` W > 0 the
 * last W of them. Outputs: keys and values as they are then, which take the place of the old ones, and Y [1, T, N E], 0 for
 * what stands for nothing. The bits of a row of Y depend on what its text is alone: on no other token of the run, nor on
 * which runs have brought the text so far. */
#ifndef HONE_OPS_ATTENTION_PAGED_H
#define HONE_OPS_ATTENTION_PAGED_H

enum {
    HONE_PAGED_KEYS,
    HONE_PAGED_VALUES,
    HONE_PAGED_Q,
    HONE_PAGED_K,
    HONE_PAGED_V,
    HONE_PAGED_POSITION,
    HONE_PAGED_TEXT,
    HONE_PAGED_TABLES
};

#endif
