/* Regular expressions in RE2's syntax (https://github.com/google/re2/wiki/Syntax), matched in time linear in the text: the
 * states of a nondeterministic automaton are followed all at once (Thompson, 1968), so no pattern and no text is slow beyond
 * their product. Left out are classes of scripts (\p{Greek}) and \C. */
#ifndef HONE_BASE_REGEX_H
#define HONE_BASE_REGEX_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hone_regex hone_regex;

/* Compiles a pattern, UTF-8, into the arena, where it stays. HONE_INVALID_ARGUMENT says what is wrong with it, and where. */
hone_status hone_regex_compile(hone_arena *arena, const char *pattern, size_t size, const hone_regex **out,
                               hone_error *err);
/* Bytes of scratch that the two below need, aligned to 8. */
size_t hone_regex_scratch(const hone_regex *r);
/* Does the pattern match all of the text? Bytes that are no UTF-8 match nothing. */
bool hone_regex_full_match(const hone_regex *r, const char *text, size_t size, void *scratch);
#define HONE_REGEX_NONE SIZE_MAX
/* Fills ends[0 … size]: where the longest match that begins at a byte ends; HONE_REGEX_NONE: none begins
 * there, or the byte is inside of a character. All of them in time linear in the text: one look from its end
 * to its begin. */
void hone_regex_ends(const hone_regex *r, const char *text, size_t size, void *scratch, size_t *ends);

#endif
