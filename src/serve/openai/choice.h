/* One of the answers to a request: what has been said of it so far. */
#ifndef HONE_SERVE_OPENAI_CHOICE_H
#define HONE_SERVE_OPENAI_CHOICE_H

#include "serve/openai/calls.h"
#include "serve/openai/prompt.h"
#include "serve/openai/speech.h"

/* A token with how likely it was. */
typedef struct hone_scored {
    int32_t id;
    float log_probability; /* NaN: the text's first, of which nothing is known */
    size_t offset;         /* bytes of the text before it */
    int likely_count;
} hone_scored;

typedef struct hone_choice {
    struct hone_making *run;       /* whose it is */
    const hone_ask *ask;           /* borrowed */
    const hone_prompt *prompt;     /* borrowed */
    const hone_language *language; /* borrowed */
    int index;                     /* in the answer */
    hone_lm_job *job;
    hone_speech speech;
    hone_calls calls;
    hone_buffer text;    /* not shown yet */
    hone_scored *scored; /* likewise, and those that may not be shown yet */
    size_t scored_count, scored_capacity, likely_capacity;
    hone_lm_likely *likely; /* of each of them, as many as were asked for */
    size_t before;          /* characters of the tokens that were shown; for offsets */
    bool shown, ended;
    /* When it is over. */
    hone_status status;
    hone_error err;
    hone_finish finish;
    size_t prompt_tokens, cached_tokens, tokens;
    double score; /* sum of log probabilities */
    uint64_t queued, begun, first, over;
    uint64_t last; /* when its last token came; 0: none has */
} hone_choice;

/* On failure, too, hone_choice_close() when done. */
hone_status hone_choice_open(hone_choice *c, const hone_language *l, const hone_ask *a, const hone_prompt *p,
                             int index, hone_error *err);
void hone_choice_close(hone_choice *c);
/* Takes news of its job. False: no more is wanted. */
bool hone_choice_hear(hone_choice *c, const hone_lm_news *n);
/* The likeliest tokens in the place of a scored one. */
const hone_lm_likely *hone_choice_likely(const hone_choice *c, size_t index);
/* Bytes that it takes to keep an answer of so many tokens until it is shown. */
size_t hone_choice_bytes(const hone_ask *a, size_t tokens);
/* Scored tokens whose text may be shown. */
size_t hone_choice_scored(const hone_choice *c);
void hone_choice_drop_scored(hone_choice *c, size_t count);
/* "stop" */
const char *hone_choice_reason(const hone_choice *c);

#endif
