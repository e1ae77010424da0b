/* Calls of tools in what a model says, in the form that its template has taught it. What is said is text until a call
 * begins; a call is told when it is whole, so that nothing has to be taken back. */
#ifndef HONE_SERVE_OPENAI_CALLS_H
#define HONE_SERVE_OPENAI_CALLS_H

#include "serve/language/language.h"
#include "serve/openai/ask.h"

typedef struct hone_called {
    char id[32];
    char *name;
    hone_buffer arguments; /* JSON */
    bool shown;            /* the answer's: its name is */
    size_t shown_size;     /* and so much of its arguments */
} hone_called;

typedef struct hone_calls {
    const hone_ask *ask; /* borrowed */
    hone_tool_form form;
    hone_buffer held; /* not decided yet */
    bool inside;      /* … of a call */
    bool plain;       /* all of it is text */
    hone_called *items;
    size_t count, capacity;
    bool enough; /* the client wants no more of them */
    bool failed; /* memory is out */
} hone_calls;

void hone_calls_open(hone_calls *c, const hone_language *l, const hone_ask *a);
void hone_calls_close(hone_calls *c);
/* Takes what is said; appends what of it is text to `text`. */
void hone_calls_feed(hone_calls *c, const char *said, size_t size, hone_buffer *text);
/* It is over. */
void hone_calls_finish(hone_calls *c, hone_buffer *text);

/* The schema that holds an answer to a call of one of the tools, or to the arguments of the one that is named: to be given
 * to json_decref(). NULL when memory is out. */
json_t *hone_calls_schema(const hone_ask *a);

#endif
