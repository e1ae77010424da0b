/* Learning which neighbours become one, by how often they stand together: for BPE, and for WordPiece. */
#ifndef HONE_TEXT_PAIRS_H
#define HONE_TEXT_PAIRS_H

#include "text/vocabulary.h"

typedef struct hone_pair {
    int32_t left, right;
} hone_pair;

/* What is learned of: words as symbols of the vocabulary, and how often each comes. */
typedef struct hone_pair_words {
    int32_t *symbols; /* changed by learning */
    size_t *starts;   /* word i: symbols starts[i] … starts[i] + sizes[i] */
    int32_t *sizes;
    const int64_t *counts;
    size_t count;
} hone_pair_words;

/* Adds pieces to `v` until it has `size` of them, the most frequent pair each time (of equals that of the smallest ids),
 * while it comes twice at least; `prefix` of right halves is dropped. The merges, in order, belong to the caller:
 * hone_free(). */
hone_status hone_learn_pairs(hone_vocabulary *v, size_t size, const char *prefix, hone_pair_words *words,
                             hone_pair **merges, size_t *merge_count, hone_error *err);

#endif
