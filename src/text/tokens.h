/* Single tokens, apart from any text. */
#ifndef HONE_TEXT_TOKENS_H
#define HONE_TEXT_TOKENS_H

#include "text/bytes.h"

#include <hone/text.h>

/* Is it a special token, which is no text? */
bool hone_token_is_special(const hone_tokenizer *t, int32_t id);
/* Sets `out` to the bytes that the token is in a text, wherever it stands; none of special ones. False when memory is
 * out. */
bool hone_token_bytes(const hone_tokenizer *t, int32_t id, hone_bytes *out);

#endif
