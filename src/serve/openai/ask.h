/* What a request to make texts asks for: its body, field by field. Fields that are not known are ignored, as clients send
 * many; values of those that are known are refused where they are not understood, with the field's name. */
#ifndef HONE_SERVE_OPENAI_ASK_H
#define HONE_SERVE_OPENAI_ASK_H

#include "lm/engine.h"
#include "serve/openai/fault.h"

#include <jansson.h>

enum { HONE_ASK_STOPS = 4, HONE_ASK_LIKELY = 20, HONE_ASK_CHOICES = 128, HONE_ASK_PROMPTS = 128 };

typedef enum hone_tool_choice {
    HONE_TOOLS_NONE, /* there are none, or none is to be called */
    HONE_TOOLS_AUTO,
    HONE_TOOLS_REQUIRED,
    HONE_TOOLS_NAMED
} hone_tool_choice;

/* What an answer has to be. */
typedef enum hone_answer_form { HONE_ANSWER_TEXT, HONE_ANSWER_OBJECT, HONE_ANSWER_SCHEMA } hone_answer_form;

typedef struct hone_ask {
    json_t *root; /* what follows borrows from it */
    bool chat;
    const char *model;
    bool stream, usage; /* usage: in a chunk of its own at the end of a stream */
    bool echo;
    int n, best_of;
    hone_sampling sampling;
    int64_t max_tokens, min_tokens; /* max_tokens 0: as many as fit; < 0: none */
    const char *stops[HONE_ASK_STOPS];
    size_t stop_count;
    int32_t *stop_ids;
    size_t stop_id_count;
    bool ignore_ends;
    int likely; /* as of hone_lm_job_options */
    hone_lm_bias *bias;
    size_t bias_count;
    hone_answer_form form;
    const json_t *schema;
    /* Chat. */
    json_t *messages, *tools, *template_variables; /* NULL: none */
    hone_tool_choice tool_choice;
    const char *tool;
    bool several_calls;
    /* Completions: a text, or an array of texts, of ids, or of arrays of ids. */
    const json_t *prompt;
} hone_ask;

/* Reads the body of a request, whose tree it takes over. False: `f` says what is wrong. In any case hone_ask_free() when
 * done. */
bool hone_ask_read(hone_ask *a, bool chat, json_t *root, hone_fault *f);
void hone_ask_free(hone_ask *a); /* what it holds */
/* The function of that name; NULL: there is none. */
const json_t *hone_ask_tool(const hone_ask *a, const char *name);

#endif
