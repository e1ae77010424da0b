/* Where a TLS session's sealed bytes come from and go to: memory, as OpenSSL wants it (a BIO). */
#ifndef HONE_SERVE_TLS_TLS_ENDS_H
#define HONE_SERVE_TLS_TLS_ENDS_H

#include "serve/format/buffer.h"

/* Set while a session is called, and else empty. */
typedef struct hone_tls_ends {
    const char *data; /* read from here, moving on */
    size_t size;
    hone_buffer *out; /* appended to; NULL: nothing may be written */
} hone_tls_ends;

/* BIO_meth_free() it; NULL when memory is out. */
struct bio_method_st *hone_tls_ends_method(void);
/* BIO_free() it; NULL when memory is out. `ends` must stay where they are. */
struct bio_st *hone_tls_ends_bio(const struct bio_method_st *method, hone_tls_ends *ends);

#endif
