/* Texts as columns: ids of a tokenizer. */
#ifndef HONE_DATA_TEXT_H
#define HONE_DATA_TEXT_H

#include "data/corpus.h"
#include "data/dataset.h"

#include <hone/text.h>

/* Target of a place in a window of a language model that has none. */
#define HONE_NO_TOKEN (-100)

/* The tokenizer for a corpus: read from a file (FILE.json), or made of the corpus ("bpe:4096"). */
hone_status hone_text_tokenizer(const char *description, const hone_corpus *c, hone_tokenizer **out,
                                hone_error *err);

/* One sample a document: input_ids [tokens], filled up with the tokenizer's pad, attention_mask and token_type_ids of the
 * same shape, and y, the label's number, if there are labels. Longer texts are cut. `tokens` 0: as many as 95 % of the
 * documents have, rounded up to 8, at most 512. `classes` (may be NULL): names in order, one a line. */
hone_status hone_text_columns(const hone_corpus *c, const hone_tokenizer *t, int64_t tokens,
                              const char *classes, hone_dataset **out, hone_error *err);

/* One sample a window of `tokens` tokens (0: 128) of a document: input_ids, y (the next token at each place, HONE_NO_TOKEN
 * behind the document's end) and text_bytes, how many bytes of text the tokens of y stand for. A document is its ids
 * between two of the tokenizer's end token; windows do not overlap, and none has parts of two documents. */
hone_status hone_text_windows(const hone_corpus *c, const hone_tokenizer *t, int64_t tokens,
                              hone_dataset **out, hone_error *err);

#endif
