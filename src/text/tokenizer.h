/* The inside of hone_tokenizer.
 *
 *   text ──► added tokens cut out ──► normalizers ──► added tokens of normalized text ──► splitters ──► model ──► ids
 *   ids ──► pieces ──► decoders ──► text */
#ifndef HONE_TEXT_TOKENIZER_H
#define HONE_TEXT_TOKENIZER_H

#include "text/model.h"
#include "text/normalize.h"
#include "text/split.h"

#include <hone/text.h>

#include <stdatomic.h>

/* A token that is found in texts before the model sees them. */
typedef struct hone_added {
    hone_piece content; /* as it is looked for */
    int32_t id;
    bool special, single_word, left, right; /* alone as a word; with the white space on its left, its right */
} hone_added;

/* Of one kind: looked for in the text as it is, or in normalized text. */
typedef struct hone_added_set {
    hone_added *items; /* by first byte, then the longest first */
    size_t count, capacity;
    uint32_t first[257]; /* items whose first byte is b: first[b] … first[b + 1] */
} hone_added_set;

enum hone_decoder_kind {
    HONE_DECODE_BYTES,
    HONE_DECODE_WORDPIECE,
    HONE_DECODE_SUFFIX,
    HONE_DECODE_REPLACE,
    HONE_DECODE_FALLBACK,
    HONE_DECODE_FUSE,
    HONE_DECODE_STRIP,
    HONE_DECODE_METASPACE
};

typedef struct hone_decoder {
    enum hone_decoder_kind kind;
    const char
        *text; /* WORDPIECE: prefix; SUFFIX; REPLACE: content; STRIP; METASPACE: what stands for a space */
    bool cleanup, prepend; /* WORDPIECE; METASPACE */
    int start, stop;       /* STRIP: at most so many */
    hone_normalizer replace;
    struct hone_decoder *next;
} hone_decoder;

struct hone_tokenizer {
    atomic_int references;
    hone_arena *arena;
    hone_bytes json;
    hone_added_set raw, normalized;
    hone_vocabulary added; /* all added tokens as the file has them */
    bool *special;         /* for each id of `added` */
    hone_normalizer *normalizers;
    hone_splitter *splitters;
    hone_token_model model;
    hone_ids before, after; /* the template */
    hone_decoder *decoders;
    int32_t pad;
    hone_charset space, word;
};

/* Where special tokens are text: parts that come from outside, in order. */
typedef struct hone_hidden {
    bool all;
    const hone_span *parts;
    size_t count;
} hone_hidden;

/* Sorts; needed before it is searched. */
void hone_added_sort(hone_added_set *s);
/* The first token at or behind `at`; `*end` and `*start` include what is stripped, but nothing before `at`. NULL: none.
 * The text begins at byte `base` of the one whose parts are hidden. */
const hone_added *hone_added_find(const hone_tokenizer *t, const hone_added_set *s, const hone_hidden *hidden,
                                  size_t base, const char *text, size_t size, size_t at, size_t *start,
                                  size_t *end);
/* Has a part of [start, end) come from outside? */
bool hone_is_hidden(const hone_hidden *hidden, size_t start, size_t end);
/* Runs the chain of normalizers: `*out` is `a` or `b`, which are emptied. */
hone_status hone_normalize_all(const hone_normalizer *n, hone_matcher *m, const char *text, size_t size,
                               hone_bytes *a, hone_bytes *b, hone_bytes **out, hone_error *err);
/* Texts of pieces, in place: `*tokens` and `*other` may be exchanged. */
hone_status hone_decode_all(const hone_decoder *d, hone_matcher *m, hone_spans **tokens, hone_spans **other,
                            hone_error *err);

/* A text normalized and parted, as the model sees it, without added tokens. Valid until the encoder's next call. */
hone_status hone_encoder_words(hone_encoder *e, const char *text, size_t size, const hone_spans **words,
                               hone_error *err);

/* Has the chain of decoders such a step? */
bool hone_token_decodes(const hone_tokenizer *t, enum hone_decoder_kind kind);

/* How parts of tokenizer.json become chains, where `json` is a part's object or null. */
typedef struct json_t json_t;
hone_status hone_read_normalizer(hone_tokenizer *t, const json_t *json, hone_normalizer **chain,
                                 hone_error *err);
hone_status hone_read_splitter(hone_tokenizer *t, const json_t *json, hone_splitter **chain, hone_error *err);
hone_status hone_read_decoder(hone_tokenizer *t, const json_t *json, hone_decoder **chain, hone_error *err);
hone_status hone_read_model(hone_tokenizer *t, const json_t *json, hone_error *err);

#endif
