/* The secrets that clients show, and what each is good for, from a file with a line for each:
 *
 *      # NAME   SCOPES                 SECRET
 *      web      predict                9mJ0cQ1vZt6cWb3kXe2u
 *      ops      predict,admin,metrics  sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbd62a11ef721d1542d8
 *
 * The name is for whoever keeps the file. A secret is printable ASCII, or "sha256:" with the 64 hexadecimal
 * digits of its hash. Only hashes are kept, and no message has a word of the file in it. */
#ifndef HONE_SERVE_ACCESS_TOKENS_H
#define HONE_SERVE_ACCESS_TOKENS_H

#include "serve/request/head.h"

#include <hone/error.h>

#define HONE_TOKENS_MOST 1000
#define HONE_TOKENS_BYTES ((size_t)1 << 20)
#define HONE_TOKEN_LEAST 8 /* characters of a secret in clear */

typedef struct hone_tokens hone_tokens;

/* HONE_INVALID_ARGUMENT names the line of `file`. On success hone_tokens_free() when done. */
hone_status hone_tokens_parse(const char *file, const char *text, size_t size, hone_tokens **out,
                              hone_error *err);
void hone_tokens_free(hone_tokens *t); /* NULL is fine */
size_t hone_tokens_count(const hone_tokens *t);
/* What a secret is good for, 1 << hone_scope for each; 0: it is not known. Takes as long for every secret of
 * that length. */
unsigned hone_tokens_scopes(const hone_tokens *t, hone_slice secret);

#endif
