/* OpenAI's API over language models, beside TensorFlow Serving's under the same /v1:
 *
 *      POST /v1/chat/completions, /v1/completions, /v1/embeddings
 *      GET /v1/models      lists models of texts; /v1/models/NAME is answered by both APIs' fields, in tfs/          */
#ifndef HONE_SERVE_OPENAI_OPENAI_H
#define HONE_SERVE_OPENAI_OPENAI_H

#include "serve/api/front.h"

/* Is the path one of this API's? */
bool hone_openai_takes(hone_slice path);
void hone_openai_handle(hone_front *f, hone_request *r);
/* When only the head of such a request is there: what others say of it is in this API's form, and its body is no longer
 * than prompts are. */
void hone_openai_begin(hone_request *r);

#endif
