/* From what a request says to the ids that a model continues: conversations by the model's chat template. What the client
 * wrote is text and never becomes a control token. */
#ifndef HONE_SERVE_OPENAI_PROMPT_H
#define HONE_SERVE_OPENAI_PROMPT_H

#include "serve/language/language.h"
#include "serve/openai/ask.h"

typedef struct hone_prompt {
    int32_t *ids;
    size_t count;
    char *text; /* where it is to be shown again; else NULL */
    size_t size;
} hone_prompt;

typedef struct hone_prompts {
    hone_prompt *items;
    size_t count;
} hone_prompts;

/* False: `f` says what is wrong. In any case hone_prompts_free() when done. */
bool hone_prompts_make(hone_language *l, const hone_ask *a, hone_prompts *out, hone_fault *f);
void hone_prompts_free(hone_prompts *p); /* what it holds */

#endif
