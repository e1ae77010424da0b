/* How likely tokens were, as answers show it. */
#ifndef HONE_SERVE_OPENAI_SCORES_H
#define HONE_SERVE_OPENAI_SCORES_H

#include "serve/openai/choice.h"

/* The first `count` scored tokens; "null" where nobody asked. */
void hone_scores_write(hone_buffer *out, const hone_choice *c, size_t count);
/* Characters that these are in the text. */
size_t hone_scores_width(const hone_choice *c, size_t count);

#endif
