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

#ifdef __cplusplus
}
#endif
#endif
