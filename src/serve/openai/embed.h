/* Embeddings: vectors of texts by models that read them, such as sentence encoders. A model that gives a vector for each
 * token has their mean taken; all vectors have the length 1. */
#ifndef HONE_SERVE_OPENAI_EMBED_H
#define HONE_SERVE_OPENAI_EMBED_H

#include "serve/api/front.h"

/* Answers a POST of texts: now or later. */
void hone_openai_embed(hone_front *f, hone_request *r);

#endif
