/* Sets of characters: ranges of code points, and a bit for each character of ASCII. Bytes that are no UTF-8 count as
 * the code points that hone_utf8_decode() gives for them; only the opposite of a set has them. */
#ifndef HONE_TEXT_CHARSET_H
#define HONE_TEXT_CHARSET_H

#include "base/memory.h"
#include "base/unicode.h"

typedef struct hone_charrange {
    uint32_t first, last;
} hone_charrange;

typedef struct hone_charset {
    uint64_t ascii[2];
    hone_charrange *ranges; /* sorted and apart from each other once it is done */
    size_t count, capacity;
    hone_arena *arena;
    bool failed; /* out of memory */
} hone_charset;

/* Adds to a set that is being made; failures are remembered. */
void hone_charset_add(hone_charset *s, uint32_t first, uint32_t last);
/* Those whose general category begins with `name`; false if there is no such category. */
bool hone_charset_add_category(hone_charset *s, const char *name, size_t size);
/* Unicode's White_Space. */
void hone_charset_add_space(hone_charset *s);
/* Letters, marks, decimal digits, connectors: \w. */
void hone_charset_add_word(hone_charset *s);
void hone_charset_add_set(hone_charset *s, const hone_charset *of);
/* With each character those that differ from it by case alone. */
void hone_charset_fold(hone_charset *s);
void hone_charset_invert(hone_charset *s);
void hone_charset_intersect(hone_charset *s, const hone_charset *with);
/* Sorts; false if memory has lacked. Needed before asking. */
bool hone_charset_done(hone_charset *s);

bool hone_charset_has_wide(const hone_charset *s, uint32_t c);
static inline bool hone_charset_has(const hone_charset *s, uint32_t c) {
    return c < 128 ? s->ascii[c >> 6] >> (c & 63) & 1 : hone_charset_has_wide(s, c);
}

#endif
