/* Tokenizers: texts to numbers and back, in Hugging Face's format tokenizer.json. */
#ifndef HONE_TEXT_H
#define HONE_TEXT_H

#include <hone/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Read-only: any number of threads may use one. */
typedef struct hone_tokenizer hone_tokenizer;

/* Reads a tokenizer.json. Models: BPE, WordPiece, WordLevel, Unigram; what the file says of truncation and padding is
 * left to the caller. HONE_UNSUPPORTED names what Hone does not know. On success `*out` belongs to the caller. */
HONE_API hone_status hone_tokenizer_load(const char *path, hone_tokenizer **out, hone_error *err);
/* The same of its content. */
HONE_API hone_status hone_tokenizer_parse(const char *json, size_t size, hone_tokenizer **out,
                                          hone_error *err);
/* A run of bytes. */
typedef struct hone_text_slice {
    const char *data;
    size_t size;
} hone_text_slice;

typedef enum hone_token_type { /* GGUF's numbers */
                               HONE_TOKEN_NORMAL = 1,
                               HONE_TOKEN_UNKNOWN = 2,
                               HONE_TOKEN_CONTROL = 3, /* no text makes one */
                               HONE_TOKEN_USER = 4,    /* found in texts before all else */
                               HONE_TOKEN_UNUSED = 5,
                               HONE_TOKEN_BYTE = 6 /* <0x00> … */
} hone_token_type;

/* A vocabulary as model files have it in arrays: GGUF's keys `tokenizer.ggml.…`. Start from HONE_VOCABULARY_SOURCE_INIT. */
typedef struct hone_vocabulary_source {
    const char
        *model; /* "llama": BPE by score, as SentencePiece; "gpt2": BPE over bytes; "gemma4"; "t5": Unigram;
                          "bert": WordPiece */
    const char *pre; /* gpt2: the name of its split patterns, "llama-bpe", "qwen2" …; others: NULL is fine */
    const hone_text_slice *tokens;
    size_t token_count;
    const float *scores;           /* one for each token: llama, t5; else NULL is fine */
    const int32_t *types;          /* hone_token_type, one for each token; NULL: all are normal */
    const hone_text_slice *merges; /* "left right": gpt2, gemma4 */
    size_t merge_count;
    int32_t bos, eos, unknown, separator, padding; /* ids; -1: none. bert's [CLS] is bos */
    int add_bos, add_eos, add_space_prefix;        /* 0, 1; -1: what is usual for the model */
    int remove_extra_spaces, lowercase;            /* t5; bert. The same */
    const void *charsmap;                          /* t5: precompiled_charsmap; NULL: none */
    size_t charsmap_size;
} hone_vocabulary_source;

#define HONE_VOCABULARY_SOURCE_INIT                                                                          \
    {                                                                                                        \
        .bos = -1, .eos = -1, .unknown = -1, .separator = -1, .padding = -1, .add_bos = -1, .add_eos = -1,   \
        .add_space_prefix = -1, .remove_extra_spaces = -1, .lowercase = -1                                   \
    }

/* Makes a tokenizer of it; hone_tokenizer_save() writes it as tokenizer.json. All of the source is copied.
 * HONE_UNSUPPORTED: the model or the name of its patterns is not known. HONE_CORRUPT or HONE_INVALID_ARGUMENT: which
 * token or merge is wrong. On success `*out` belongs to the caller. */
HONE_API hone_status hone_tokenizer_from_vocabulary(const hone_vocabulary_source *source,
                                                    hone_tokenizer **out, hone_error *err);
/* Writes it; the file appears whole or not at all. */
HONE_API hone_status hone_tokenizer_save(const hone_tokenizer *t, const char *path, hone_error *err);
/* Its tokenizer.json. Borrowed. */
HONE_API const char *hone_tokenizer_json(const hone_tokenizer *t, size_t *size);
/* One more reference, and one less; the last one frees it. NULL is fine. */
HONE_API hone_tokenizer *hone_tokenizer_retain(const hone_tokenizer *t);
HONE_API void hone_tokenizer_free(hone_tokenizer *t);

/* One more than the largest id. */
HONE_API int32_t hone_tokenizer_size(const hone_tokenizer *t);
/* The piece of that id as the file has it, `*size` bytes and a zero; NULL: there is none. Borrowed. */
HONE_API const char *hone_tokenizer_piece(const hone_tokenizer *t, int32_t id, size_t *size);
/* The id of a piece as the file has it; -1: there is none. */
HONE_API int32_t hone_tokenizer_find(const hone_tokenizer *t, const char *piece, size_t size);
/* The id that fills up short texts: of the file's padding, or of a special token called [PAD], <pad>, <|pad|> …; -1:
 * there is none. */
HONE_API int32_t hone_tokenizer_pad(const hone_tokenizer *t);
/* The id that ends a text: of </s>, <|endoftext|> …; -1: there is none. */
HONE_API int32_t hone_tokenizer_end(const hone_tokenizer *t);

/* Encodes and decodes with memory of its own, for one thread. The tokenizer must outlive it. */
typedef struct hone_encoder hone_encoder;
HONE_API hone_status hone_encoder_new(const hone_tokenizer *t, hone_encoder **out, hone_error *err);
HONE_API void hone_encoder_free(hone_encoder *e); /* NULL is fine */

typedef enum hone_encode_flags {
    HONE_ENCODE_TEMPLATE = 1, /* add what stands around a text: [CLS] … [SEP] */
    HONE_ENCODE_PLAIN = 2     /* special tokens in the text are text: nobody who writes it can make one */
} hone_encode_flags;
/* Ids of a text: UTF-8, where other bytes are kept if the vocabulary can say them. `*ids` is valid until the next call.
 * HONE_RESOURCE_EXHAUSTED: a pattern of the file is too slow for this text. */
HONE_API hone_status hone_encoder_encode(hone_encoder *e, const char *text, size_t size, unsigned flags,
                                         const int32_t **ids, size_t *count, hone_error *err);
/* The text of ids, `*size` bytes and a zero, valid until the next call; `special`: with special tokens. Ids that no piece
 * has are left out. */
HONE_API hone_status hone_encoder_decode(hone_encoder *e, const int32_t *ids, size_t count, bool special,
                                         const char **text, size_t *size, hone_error *err);

/* A part of a text. */
typedef struct hone_text_piece {
    const char *data;
    size_t size;
    bool user; /* from outside: special tokens in it, or with a part in it, are text */
} hone_text_piece;
/* Ids of the text that the pieces are together, as of hone_encoder_encode(). */
HONE_API hone_status hone_encoder_encode_pieces(hone_encoder *e, const hone_text_piece *pieces,
                                                size_t piece_count, unsigned flags, const int32_t **ids,
                                                size_t *count, hone_error *err);

/* Texts of ids that come one by one: whole characters only; bytes that no character begins with become U+FFFD. */
typedef struct hone_detokenizer hone_detokenizer;
/* The tokenizer must outlive it; `special`: with special tokens. */
HONE_API hone_status hone_detokenizer_new(const hone_tokenizer *t, bool special, hone_detokenizer **out,
                                          hone_error *err);
/* What can be said now that was not said before, `*size` bytes and a zero, maybe none; valid until the next call. */
HONE_API hone_status hone_detokenizer_feed(hone_detokenizer *d, int32_t id, const char **text, size_t *size,
                                           hone_error *err);
/* The rest, in which half a character is U+FFFD. The next id begins another text. */
HONE_API hone_status hone_detokenizer_finish(hone_detokenizer *d, const char **text, size_t *size,
                                             hone_error *err);
HONE_API void hone_detokenizer_free(hone_detokenizer *d); /* NULL is fine */

/* Makes a tokenizer from texts. */
typedef struct hone_tokenizer_trainer hone_tokenizer_trainer;
/* By a description:
 *   bpe:4096         byte pairs over bytes, 4,096 ids: <pad>, </s>, 256 bytes, merges
 *   wordpiece:8000   BERT's pieces of lowercase words, 8,000 ids: [PAD], [UNK], [CLS], [SEP], [MASK], pieces
 *   words:60000      the most frequent lowercase words that come twice at least, at most 60,000 ids: [PAD], [UNK], words
 * HONE_INVALID_ARGUMENT says what is wrong with it. */
HONE_API hone_status hone_tokenizer_trainer_new(const char *description, hone_tokenizer_trainer **out,
                                                hone_error *err);
/* Counts the words of a text. The order of texts has no say. */
HONE_API hone_status hone_tokenizer_trainer_add(hone_tokenizer_trainer *t, const char *text, size_t size,
                                                hone_error *err);
/* Makes the tokenizer of all texts so far. */
HONE_API hone_status hone_tokenizer_trainer_finish(hone_tokenizer_trainer *t, hone_tokenizer **out,
                                                   hone_error *err);
HONE_API void hone_tokenizer_trainer_free(hone_tokenizer_trainer *t); /* NULL is fine */

/* --- chat templates --- */

/* A template in Jinja's language, as models bring it to say how a conversation becomes a text: the part of it that
 * Python's jinja2 has in the environment of transformers (blocks trimmed, loop controls, generation blocks, the immutable
 * sandbox), without other files, filters for HTML and formatting by %. Read-only: any number of threads may use one. */
typedef struct hone_template hone_template;

/* HONE_INVALID_ARGUMENT says which line is wrong, and why. On success `*out` belongs to the caller. */
HONE_API hone_status hone_template_parse(const char *text, size_t size, hone_template **out, hone_error *err);
HONE_API void hone_template_free(hone_template *t); /* NULL is fine */

typedef struct hone_rendered hone_rendered;
/* Renders with variables, which are a JSON object: "messages", "tools", "add_generation_prompt", "bos_token" … What they
 * say is from outside, but for roles that are one word and for variables whose name ends in _token. `now`: seconds since
 * 1970 for strftime_now, 0: the clock's. HONE_INVALID_ARGUMENT: the template raised an error, whose text is the message.
 * HONE_RESOURCE_EXHAUSTED: it takes too long, or too much memory. On success `*out` belongs to the caller. */
HONE_API hone_status hone_template_render(const hone_template *t, const char *variables, size_t size,
                                          int64_t now, hone_rendered **out, hone_error *err);
/* Its pieces, in order. Borrowed. */
HONE_API const hone_text_piece *hone_rendered_pieces(const hone_rendered *r, size_t *count);
HONE_API void hone_rendered_free(hone_rendered *r); /* NULL is fine */

/* --- structured output --- */

/* The texts that a JSON schema allows, as an automaton over bytes. Read-only. */
typedef struct hone_grammar hone_grammar;
/* Of a schema (draft 2020-12): all that is made by it is allowed by the schema. HONE_UNSUPPORTED and
 * HONE_INVALID_ARGUMENT name the place that can't be held, as a JSON pointer. On success `*out` belongs to the caller. */
HONE_API hone_status hone_grammar_from_schema(const char *json, size_t size, hone_grammar **out,
                                              hone_error *err);
HONE_API void hone_grammar_free(hone_grammar *g); /* NULL is fine */

/* The bytes of a tokenizer's tokens, for masks; special tokens have none. Read-only. HONE_UNSUPPORTED: of such a
 * tokenizer no text can be held (WordPiece, words). The tokenizer may go before it. */
typedef struct hone_token_trie hone_token_trie;
HONE_API hone_status hone_token_trie_new(const hone_tokenizer *t, hone_token_trie **out, hone_error *err);
HONE_API void hone_token_trie_free(hone_token_trie *t); /* NULL is fine */

/* Holds one text to a grammar, for one thread. Grammar and trie must outlive it. */
typedef struct hone_constraint hone_constraint;
HONE_API hone_status hone_constraint_new(const hone_grammar *g, const hone_token_trie *t,
                                         hone_constraint **out, hone_error *err);
/* Ids that its masks tell of: those of the tokenizer. */
HONE_API int64_t hone_constraint_size(const hone_constraint *c);
/* The tokens that may come next: bit id % 32 of (*mask)[id / 32], for each id of the tokenizer. `*may_end`: the text may
 * be over. Valid until the next token is accepted. No bit is set where it must end. */
HONE_API hone_status hone_constraint_mask(hone_constraint *c, const uint32_t **mask, bool *may_end,
                                          hone_error *err);
/* Goes on behind a token. HONE_INVALID_ARGUMENT: it may not come; all is as it was. */
HONE_API hone_status hone_constraint_accept(hone_constraint *c, int32_t id, hone_error *err);
HONE_API void hone_constraint_free(hone_constraint *c); /* NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
