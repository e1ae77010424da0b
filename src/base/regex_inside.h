/* Inside of regular expressions: what parsing gives, what matching runs. */
#ifndef HONE_BASE_REGEX_INSIDE_H
#define HONE_BASE_REGEX_INSIDE_H

#include "base/regex.h"

#include <stdint.h>

typedef struct regex_range {
    uint32_t first, last;
} regex_range;

typedef enum regex_assertion {
    REGEX_BEGIN_TEXT,
    REGEX_END_TEXT,
    REGEX_BEGIN_LINE,
    REGEX_END_LINE,
    REGEX_WORD_EDGE,
    REGEX_NO_WORD_EDGE
} regex_assertion;

/* --- sets of code points --- built range by range, in the arena of the parser, which remembers failures */

enum { REGEX_IGNORE_CASE = 1, REGEX_MULTI_LINE = 2, REGEX_DOT_ALL = 4, REGEX_SWAP_GREED = 8 };

typedef struct regex_set {
    regex_range *ranges;
    int count, capacity;
} regex_set;

typedef struct regex_parser {
    hone_arena *arena;
    const char *pattern, *at, *end;
    int flags, depth, ranges;
    hone_status status;
    hone_error *err;
} regex_parser;

/* The first failure counts. Returns false. */
bool hone_regex_fail(regex_parser *p, const char *what);
void hone_regex_out_of_memory(regex_parser *p);
void hone_regex_add(regex_parser *p, regex_set *s, uint32_t first, uint32_t last);
/* Sorted, and what touches merged. */
void hone_regex_normalize(regex_set *s);
/* With each character those that differ from it by case alone. */
void hone_regex_fold(regex_parser *p, regex_set *s);
/* Adds a class, or its opposite, with what differs by case alone if that is to be ignored. */
void hone_regex_add_class(regex_parser *p, regex_set *s, regex_set *of, bool negated);

/* --- what parsing gives --- */

/* A pattern is a list of alternatives, each a list of items. */
typedef struct regex_alternative {
    struct regex_item *first;
    struct regex_alternative *next;
} regex_alternative;

#define REGEX_UNBOUNDED (-1)

typedef struct regex_item {
    enum { REGEX_SET, REGEX_ASSERT, REGEX_GROUP } kind;
    regex_range *ranges; /* SET: sorted, apart from each other */
    int count;
    regex_assertion assertion;
    regex_alternative *group;
    int min, max; /* how often; REGEX_UNBOUNDED */
    struct regex_item *next;
} regex_item;

hone_status hone_regex_parse(hone_arena *arena, const char *pattern, size_t size, regex_alternative **out,
                             hone_error *err);

#endif
