/* TLS for servers, over OpenSSL, as a filter: bytes in, bytes out. Touches no socket.
 *
 *      socket ──► hone_tls_read ──► protocol       hone_tls: the certificate, and what else connections share
 *      socket ◄── hone_tls_write ◄── protocol      hone_tls_session: one connection
 *
 * TLS 1.2 and 1.3; HTTP/2 and HTTP/1.1 by ALPN; no renegotiation. An idle session owns no buffer. */
#ifndef HONE_SERVE_TLS_TLS_H
#define HONE_SERVE_TLS_TLS_H

#include "serve/tls/tls_context.h"

typedef struct hone_tls_session hone_tls_session;

typedef enum hone_tls_state {
    HONE_TLS_SHAKING,   /* hands */
    HONE_TLS_OPEN,      /* the handshake is over */
    HONE_TLS_ENDED,     /* the client has said that nothing comes any more */
    HONE_TLS_CLEARTEXT, /* the client speaks no TLS; nothing was answered */
    HONE_TLS_FAILED     /* what there was to say to the client is said */
} hone_tls_state;

typedef enum hone_tls_protocol { HONE_TLS_ANY_PROTOCOL, HONE_TLS_HTTP1, HONE_TLS_HTTP2 } hone_tls_protocol;

/* NULL when memory is out. The session counts its handshake, at the latest when it is freed. */
hone_tls_session *hone_tls_session_new(hone_tls *tls);
void hone_tls_session_free(hone_tls_session *s); /* NULL is fine */
hone_tls_state hone_tls_session_state(const hone_tls_session *s);
/* What the client asked for by ALPN. */
hone_tls_protocol hone_tls_session_protocol(const hone_tls_session *s);
/* The handshake has ended so; the first call counts. */
void hone_tls_count(hone_tls_session *s, hone_tls_result result);

/* Takes bytes from *data, moving it on, and gives up to `room` bytes of plaintext. If it gives fewer, it has
 * taken everything, or the state says why not. What TLS has to say by itself is appended to `out`. */
size_t hone_tls_read(hone_tls_session *s, const char **data, size_t *size, char *plain, size_t room,
                     hone_buffer *out);
/* Appends plaintext, sealed, to `out`. False: memory is out, or the session is not open. */
bool hone_tls_write(hone_tls_session *s, const char *plain, size_t size, hone_buffer *out);
/* Appends, once, that nothing comes any more. */
void hone_tls_end(hone_tls_session *s, hone_buffer *out);

#endif
