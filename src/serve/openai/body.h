/* What all POSTs of this API begin with: a JSON object, and a model that it names. */
#ifndef HONE_SERVE_OPENAI_BODY_H
#define HONE_SERVE_OPENAI_BODY_H

#include "serve/api/front.h"
#include "serve/openai/fault.h"

#include <jansson.h>

/* A body is no longer: more is no text that a model takes. */
#define HONE_OPENAI_MOST_BYTES ((size_t)4 << 20)

/* An object, to be given to json_decref(). False: `f` says what is wrong. */
bool hone_body_parse(const char *text, size_t size, json_t **out, hone_fault *f);
/* The same of a request's body, which may come packed; any thread. What it becomes is covered in `share`. */
bool hone_body_read(hone_front *front, const hone_request *r, hone_budget_share *share, json_t **out,
                    hone_fault *f);
/* The model of that name; hone_servable_release() when done. */
bool hone_body_model(hone_front *front, const char *name, hone_servable **out, hone_fault *f);

#endif
