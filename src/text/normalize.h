/* Normalizers: what a text becomes before it is parted. */
#ifndef HONE_TEXT_NORMALIZE_H
#define HONE_TEXT_NORMALIZE_H

#include "text/bytes.h"
#include "text/charset.h"
#include "text/pattern.h"

enum hone_normalizer_kind {
    HONE_NORMALIZE_FORM, /* NFC, NFD, NFKC, NFKD */
    HONE_NORMALIZE_LOWERCASE,
    HONE_NORMALIZE_STRIP, /* white space at the ends */
    HONE_NORMALIZE_STRIP_ACCENTS,
    HONE_NORMALIZE_CLEAN,   /* control characters go, white space becomes a space */
    HONE_NORMALIZE_CHINESE, /* spaces around ideographs */
    HONE_NORMALIZE_REPLACE,
    HONE_NORMALIZE_PREPEND,
    HONE_NORMALIZE_CHARSMAP,
    HONE_NORMALIZE_BYTES /* as the byte-level alphabet */
};

/* A table of characters. */
typedef struct hone_charsmap {
    const uint32_t *units;
    size_t count;
    const char *texts; /* each ends in a zero */
    size_t text_size;
} hone_charsmap;

/* One step of a chain. */
typedef struct hone_normalizer {
    enum hone_normalizer_kind kind;
    bool compose, compatible; /* FORM */
    bool left, right;         /* STRIP */
    hone_charset set;         /* marks, controls, white space */
    hone_charset space;
    const hone_pattern *pattern; /* REPLACE */
    const char *text;            /* REPLACE, PREPEND */
    size_t text_size;
    hone_charsmap charsmap; /* CHARSMAP */
    struct hone_normalizer *next;
} hone_normalizer;

/* Does one step: text[0 … size) is added to `out`. */
hone_status hone_normalize(const hone_normalizer *n, hone_matcher *m, const char *text, size_t size,
                           hone_bytes *out, hone_error *err);

/* The characters that stand for bytes in byte-level vocabularies: 33–126, 161–172 and 174–255 for themselves, the other 68
 * from U+0100 on (GPT-2, 2019). */
uint32_t hone_byte_character(unsigned char byte);
/* -1: it stands for no byte. */
int hone_character_byte(uint32_t c);
/* Reads a table, which is copied; HONE_CORRUPT: it is none. */
hone_status hone_charsmap_read(hone_arena *arena, const uint8_t *blob, size_t size, hone_charsmap *out,
                               hone_error *err);
/* The same of base64, and the other way round. */
hone_status hone_charsmap_decode(hone_arena *arena, const char *text, size_t size, hone_charsmap *out,
                                 hone_error *err);
bool hone_charsmap_encode(const uint8_t *blob, size_t size, hone_bytes *out);
bool hone_charsmap_apply(const hone_charsmap *m, const char *text, size_t size, hone_bytes *out);

bool hone_add_byte_characters(hone_bytes *out, const char *text, size_t size);

#endif
