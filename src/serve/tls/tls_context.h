/* What sessions share. Private to tls.c and tls_context.c. */
#ifndef HONE_SERVE_TLS_TLS_CONTEXT_H
#define HONE_SERVE_TLS_TLS_CONTEXT_H

#include "base/fingerprint.h"
#include "serve/tls/tls.h"

#include <openssl/ssl.h>

#include <pthread.h>

enum { HONE_TLS_FILES = 3 };

struct hone_tls {
    char *files[HONE_TLS_FILES]; /* certificate, key, client CA or NULL */
    hone_fingerprint seen[HONE_TLS_FILES];
    BIO_METHOD *method;
    hone_series *results[HONE_TLS_RESULT_COUNT], *not_after, *reloaded;
    pthread_mutex_t lock; /* guards `context` */
    SSL_CTX *context;
};

/* tls.c: the ends of a session: memory that it reads from and appends to. NULL when memory is out. */
BIO_METHOD *hone_tls_make_method(void);
/* tls_context.c: the context of now, with a reference for the caller. */
SSL_CTX *hone_tls_context(hone_tls *tls);

#endif
