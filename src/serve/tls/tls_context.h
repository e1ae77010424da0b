/* What the TLS sessions of a port share: certificate, key, settings and counters. */
#ifndef HONE_SERVE_TLS_TLS_CONTEXT_H
#define HONE_SERVE_TLS_TLS_CONTEXT_H

#include "serve/observe/stats.h"
#include "serve/tls/tls_ends.h"

typedef struct hone_tls hone_tls;

typedef struct hone_tls_files {
    const char *certificate; /* PEM, followed by its chain */
    const char *key;         /* PEM, not encrypted */
    const char *client_ca; /* PEM: one of these must have signed a client's certificate; NULL: none needed */
} hone_tls_files;

/* Reads the files, and adds metrics: one hone_tls for one `stats`, which it borrows. On success
 * hone_tls_free() when no session is left. */
hone_status hone_tls_new(const hone_tls_files *files, hone_stats *stats, hone_tls **out, hone_error *err);
void hone_tls_free(hone_tls *tls); /* NULL is fine */
/* If the files have changed (or `anyway`), new sessions get what they hold now. What is wrong with them is
 * logged, and all stays as it was. One thread at a time, while others make sessions. */
void hone_tls_refresh(hone_tls *tls, bool anyway);

/* How a handshake ended, for the counters. */
typedef enum hone_tls_result {
    HONE_TLS_OK,
    HONE_TLS_CLOSED,          /* the client went in the middle of it */
    HONE_TLS_TIMEOUT,         /* told by hone_tls_count */
    HONE_TLS_NOT_TLS,         /* the client speaks cleartext */
    HONE_TLS_NO_CERTIFICATE,  /* the client has none */
    HONE_TLS_BAD_CERTIFICATE, /* the client's */
    HONE_TLS_REFUSED,         /* the client does not like ours, most likely */
    HONE_TLS_UNSUPPORTED,     /* no version, cipher or protocol in common */
    HONE_TLS_MALFORMED,
    HONE_TLS_RESULT_COUNT
} hone_tls_result;

/* --- for sessions --- */

/* A connection with what the files hold now, between those ends. SSL_free() it; NULL when memory is out. */
struct ssl_st *hone_tls_connect(hone_tls *tls, hone_tls_ends *ends);
/* Counts a handshake. */
void hone_tls_count_result(hone_tls *tls, hone_tls_result result);

#endif
