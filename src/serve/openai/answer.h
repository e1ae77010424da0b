/* Answers as OpenAI's API has them: whole ones, and the chunks of a stream.
 *
 *      chat         chat.completion, chat.completion.chunk: choices[{index, message or delta, logprobs, finish_reason}]
 *      completions  text_completion: choices[{index, text, logprobs, finish_reason}] */
#ifndef HONE_SERVE_OPENAI_ANSWER_H
#define HONE_SERVE_OPENAI_ANSWER_H

#include "serve/openai/choice.h"

/* What all chunks of an answer begin with. */
typedef struct hone_answer_head {
    char id[40];
    int64_t created;                 /* seconds since 1970 */
    const char *model, *fingerprint; /* borrowed */
} hone_answer_head;

typedef struct hone_usage {
    size_t prompt, cached, generated; /* tokens */
} hone_usage;

/* Events for what is to be shown of a choice, which counts as shown from then on; none where there is nothing. */
void hone_answer_events(hone_buffer *out, const hone_answer_head *h, hone_choice *c);
/* The event with the usage, if it was asked for, and the last one. */
void hone_answer_last_events(hone_buffer *out, const hone_answer_head *h, const hone_ask *a,
                             const hone_usage *u);
/* The whole answer; `choices` in the order in which they are shown. */
void hone_answer_whole(hone_buffer *out, const hone_answer_head *h, const hone_ask *a,
                       hone_choice *const *choices, int count, const hone_usage *u);

#endif
