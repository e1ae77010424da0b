/* Inside of patterns: what compiling gives, what matching runs. */
#ifndef HONE_TEXT_PATTERN_INSIDE_H
#define HONE_TEXT_PATTERN_INSIDE_H

#include "text/charset.h"
#include "text/pattern.h"

enum pattern_op {
    PATTERN_SET,    /* one character of the set */
    PATTERN_LOOP,   /* min … max characters of the set */
    PATTERN_SPLIT,  /* go on at `to`, else at `other` */
    PATTERN_JUMP,   /* go on at `to` */
    PATTERN_AHEAD,  /* what follows, up to its MATCH, matches (or not, `negated`) here; then go on at `to` */
    PATTERN_ATOMIC, /* likewise, and stays as it has matched first */
    PATTERN_BEHIND, /* the character before is (not) of the set */
    PATTERN_BEGIN,
    PATTERN_END,
    PATTERN_LINE_BEGIN,
    PATTERN_LINE_END,
    PATTERN_EDGE, /* of a word; `negated`: none */
    PATTERN_MATCH
};

enum pattern_greed { PATTERN_GREEDY, PATTERN_LAZY, PATTERN_POSSESSIVE };

typedef struct pattern_step {
    enum pattern_op op;
    bool negated;
    enum pattern_greed greed;
    int min, max; /* max < 0: any number */
    size_t to, other;
    const hone_charset *set;
} pattern_step;

struct hone_pattern {
    pattern_step *steps;
    size_t count, capacity;
    hone_charset word; /* for EDGE */
};

#endif
