/* Patterns that part texts into words, as tokenizer.json has them: regular expressions of which the first alternative that
 * matches counts (Perl, Oniguruma), with looks ahead and back by one character. They come with a model, so what matching
 * costs is bounded: a pattern that takes more than some thousand steps a byte is an error.
 *
 *   a b|c . [a-z&&[^b]] (?:a) (?i:a) (?=a) (?!a) (?<=a) (?<!a) (?>a) a* a+ a? a{2,3}, lazy ? and possessive +
 *   \s \d \w \h \p{L} \x{41} \u0041 ^ $ \b \A \z */
#ifndef HONE_TEXT_PATTERN_H
#define HONE_TEXT_PATTERN_H

#include "base/error.h"
#include "base/memory.h"

typedef struct hone_pattern hone_pattern;

/* What matching needs, kept from text to text; zeros at first. */
typedef struct hone_matcher {
    struct hone_try *tries;
    size_t count, capacity;
    uint64_t steps; /* left for this text */
} hone_matcher;

/* Compiles UTF-8 into the arena, where it stays; `literal`: the text stands for itself. HONE_INVALID_ARGUMENT or
 * HONE_UNSUPPORTED says what is wrong with it, and where. */
hone_status hone_pattern_compile(hone_arena *arena, const char *text, size_t size, bool literal,
                                 const hone_pattern **out, hone_error *err);
void hone_matcher_free(hone_matcher *m);
/* Gives the steps for looking through a text of `size` bytes. */
void hone_matcher_begin(hone_matcher *m, size_t size);
/* The first match at or behind byte `at` of text[0 … size). `*start` is HONE_PATTERN_NONE where there is none.
 * HONE_RESOURCE_EXHAUSTED: it took too many steps. */
#define HONE_PATTERN_NONE SIZE_MAX
hone_status hone_pattern_find(const hone_pattern *p, hone_matcher *m, const char *text, size_t size,
                              size_t at, size_t *start, size_t *end, hone_error *err);

#endif
