/* A conversation as chat templates want to have it. */
#ifndef HONE_SERVE_OPENAI_MESSAGES_H
#define HONE_SERVE_OPENAI_MESSAGES_H

#include "serve/language/language.h"
#include "serve/openai/ask.h"

/* The variables of a template, as a JSON object to be given to json_decref(). NULL: `f` says what is wrong. */
json_t *hone_messages_variables(const hone_language *l, const hone_ask *a, hone_fault *f);

#endif
