/* Pre-tokenizers: how a text is parted into pieces that are looked up each on its own. */
#ifndef HONE_TEXT_SPLIT_H
#define HONE_TEXT_SPLIT_H

#include "text/bytes.h"
#include "text/charset.h"
#include "text/pattern.h"

enum hone_split_kind {
    HONE_SPLIT_PATTERN,
    HONE_SPLIT_CHARACTERS, /* each character of the set is a match */
    HONE_SPLIT_RUNS,       /* each run of them is */
    HONE_SPLIT_METASPACE,  /* spaces become `text`, and one is put in front */
    HONE_SPLIT_SPACE,      /* one space in front where there is none */
    HONE_SPLIT_BYTES       /* bytes become characters (normalize.h) */
};

enum hone_split_behavior {
    HONE_REMOVED,
    HONE_ISOLATED,
    HONE_MERGED_WITH_PREVIOUS,
    HONE_MERGED_WITH_NEXT,
    HONE_CONTIGUOUS
};

/* One step of a chain. */
typedef struct hone_splitter {
    enum hone_split_kind kind;
    enum hone_split_behavior behavior;
    bool invert;
    bool first_only; /* METASPACE: in front of the text's begin only */
    bool prepend;
    const hone_pattern *pattern;
    hone_charset set;
    const char *text; /* METASPACE: what stands for a space */
    struct hone_splitter *next;
} hone_splitter;

typedef struct hone_span {
    size_t start, end;
    bool begins; /* at the begin of the whole text */
} hone_span;

/* Pieces of a text. */
typedef struct hone_spans {
    hone_bytes text;
    hone_span *items;
    size_t count, capacity;
} hone_spans;

bool hone_spans_add(hone_spans *s, hone_span span);
void hone_spans_free(hone_spans *s);
/* Parts the pieces in `in` further: `out` is emptied first, and gets a text of its own. */
hone_status hone_split(const hone_splitter *step, hone_matcher *m, const hone_spans *in, hone_spans *out,
                       hone_error *err);

#endif
