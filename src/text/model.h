/* Models of tokenizers: how one piece of text becomes ids. */
#ifndef HONE_TEXT_MODEL_H
#define HONE_TEXT_MODEL_H

#include "text/vocabulary.h"

enum hone_token_model_kind { HONE_TOKENS_BPE, HONE_TOKENS_WORDPIECE, HONE_TOKENS_WORDS, HONE_TOKENS_UNIGRAM };

/* Two neighbours become one. */
typedef struct hone_merge {
    int32_t left, right, rank, id; /* left HONE_NO_ID: empty */
} hone_merge;

typedef struct hone_token_model {
    enum hone_token_model_kind kind;
    hone_vocabulary pieces;
    int32_t unknown; /* HONE_NO_ID: what is unknown is left out */
    /* BPE */
    hone_merge *merges;
    size_t slot_count, merge_count; /* a power of two */
    const char *prefix, *suffix;    /* of pieces that go on a word, and that end it; NULL: none */
    bool fuse_unknown, byte_fallback, ignore_merges;
    int32_t bytes[256]; /* "<0x00>" …, for byte_fallback */
    /* WORDPIECE */
    int64_t longest_word; /* characters */
    /* UNIGRAM */
    double *scores; /* log probabilities, one for each id */
    double least;
} hone_token_model;

typedef struct hone_ids {
    int32_t *items;
    size_t count, capacity;
} hone_ids;

/* Scratch of a model, kept from piece to piece; zeros at first. */
typedef struct hone_symbol {
    int32_t id, previous, next; /* neighbours; -1: none */
    bool gone;
} hone_symbol;
typedef struct hone_candidate {
    int32_t rank, at, left, right;
} hone_candidate;
typedef struct hone_model_scratch {
    hone_symbol *symbols;
    size_t symbol_count, symbol_capacity;
    hone_candidate *heap;
    size_t heap_count, heap_capacity;
    struct hone_viterbi *best;
    size_t best_capacity;
    hone_ids path;
} hone_model_scratch;

bool hone_ids_add(hone_ids *ids, int32_t id);
void hone_model_scratch_free(hone_model_scratch *s);

/* Makes room for `count` merges; then each is added: HONE_ALREADY_EXISTS if it is there (the first one counts). */
hone_status hone_merges_reserve(hone_token_model *m, size_t count, hone_error *err);
void hone_merges_add(hone_token_model *m, hone_merge merge);
/* Merges into ids of which `hidden` holds are no more. */
void hone_merges_hide(hone_token_model *m, const bool *hidden, size_t count);
const hone_merge *hone_merges_find(const hone_token_model *m, int32_t left, int32_t right);

/* Adds the ids of one piece. Out of memory is the only failure. */
hone_status hone_token_model_encode(const hone_token_model *m, hone_model_scratch *s, const char *text,
                                    size_t size, hone_ids *out, hone_error *err);
hone_status hone_bpe_encode(const hone_token_model *m, hone_model_scratch *s, const char *text, size_t size,
                            hone_ids *out, hone_error *err);
hone_status hone_unigram_encode(const hone_token_model *m, hone_model_scratch *s, const char *text,
                                size_t size, hone_ids *out, hone_error *err);
void hone_token_model_free(hone_token_model *m);

#endif
