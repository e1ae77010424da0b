/* A language model as it is served: an engine that works on many texts at once, and what its texts are made of: the
 * tokenizer, the chat template, the ids that begin and end texts. Any number of threads may use one. */
#ifndef HONE_SERVE_LANGUAGE_LANGUAGE_H
#define HONE_SERVE_LANGUAGE_LANGUAGE_H

#include "lm/engine.h"
#include "serve/language/settings.h"

#include <hone/import.h>

#include <pthread.h>

/* How the model writes that it calls a function. */
typedef enum hone_tool_form {
    HONE_TOOLS_JSON,    /* {"name": …, "arguments": …}, or "parameters", alone or in a list */
    HONE_TOOLS_TAGGED,  /* <tool_call>{…}</tool_call>: Hermes, Qwen */
    HONE_TOOLS_MISTRAL, /* [TOOL_CALLS][{…}, …] */
    HONE_TOOLS_LLAMA    /* JSON, perhaps behind <|python_tag|> */
} hone_tool_form;

/* A special token that belongs to a call: its text is none otherwise. */
typedef struct hone_tool_mark {
    int32_t id;
    const char *text;
} hone_tool_mark;

enum { HONE_SPARE_ENCODERS = 8, HONE_TOOL_MARKS = 2 };

typedef struct hone_language {
    hone_lm_engine *engine;
    hone_tokenizer *tokenizer;
    hone_template *chat;    /* NULL: the model has no chat template */
    hone_token_trie *trie;  /* NULL: its texts can't be held to a form */
    char *begins, *ends_as; /* pieces of the ids, for templates; "" if there is none */
    int32_t begin;          /* the id that texts begin with; -1: none */
    int32_t *ends;          /* ids that end a text */
    size_t end_count;
    hone_tool_form tool_form;
    bool shows_tools; /* the template says which tools there are */
    hone_tool_mark marks[HONE_TOOL_MARKS];
    int mark_count;
    /* Its own. */
    pthread_mutex_t lock;
    void (*stepped)(void *user, double seconds); /* NULL: nobody is told */
    void *user;
    hone_encoder *spare[HONE_SPARE_ENCODERS];
    int spare_count;
} hone_language;

typedef struct hone_language_options {
    const hone_language_settings *settings; /* NULL: the defaults */
    int threads;
    hone_precision precision;
} hone_language_options;

/* Is it a language model? */
bool hone_language_is(const hone_graph *g);
/* Takes the graph out of `m`, also on failure; it has to be such a model,
 * with a tokenizer. Makes a short text, which proves that it runs. */
hone_status hone_language_new(hone_import *m, const hone_language_options *o, hone_language **out,
                              hone_error *err);
/* Ends texts that are under way. NULL is fine. */
void hone_language_free(hone_language *l);

/* Has `stepped` told how long each step takes, on the engine's thread; NULL: nobody. */
void hone_language_watch(hone_language *l, void (*stepped)(void *user, double seconds), void *user);

/* An encoder for the calling thread, to be given back. NULL when memory is out. */
hone_encoder *hone_language_encoder(hone_language *l, hone_error *err);
void hone_language_give(hone_language *l, hone_encoder *e);

#endif
