/* Vectors of texts: from what a model gives to what a client gets. */
#ifndef HONE_SERVE_OPENAI_VECTORS_H
#define HONE_SERVE_OPENAI_VECTORS_H

#include "serve/format/json_write.h"

#include <hone/error.h>

/* Of an output for one text, [1, width], or [1, tokens, width], whose mean is taken; of length 1, unless it is 0. `*out` is to
 * be freed by hone_free(). HONE_UNSUPPORTED: it is something else. */
hone_status hone_vector_take(const hone_tensor *t, float **out, int64_t *width, hone_error *err);
/* As a list, or as the base64 of its little-endian bytes. */
void hone_vector_write(hone_buffer *out, const float *vector, int64_t width, bool base64);

#endif
