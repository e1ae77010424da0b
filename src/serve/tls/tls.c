#include "serve/tls/tls.h"

#include "base/memory.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

struct hone_tls_session {
    hone_tls *tls;
    SSL *ssl;
    hone_tls_state state;
    bool begun, counted, said_end;
    hone_tls_ends ends;
};

/* --- sessions --- */

hone_tls_session *hone_tls_session_new(hone_tls *tls) {
    hone_tls_session *s = hone_calloc(1, sizeof *s);
    if (!s) return NULL;
    s->tls = tls;
    s->ssl = hone_tls_connect(tls, &s->ends);
    if (s->ssl) return s;
    hone_free(s);
    ERR_clear_error();
    return NULL;
}

void hone_tls_session_free(hone_tls_session *s) {
    if (!s) return;
    hone_tls_count(s, HONE_TLS_CLOSED);
    SSL_free(s->ssl);
    hone_free(s);
}

hone_tls_state hone_tls_session_state(const hone_tls_session *s) {
    return s->state;
}

hone_tls_protocol hone_tls_session_protocol(const hone_tls_session *s) {
    const unsigned char *name;
    unsigned size;
    SSL_get0_alpn_selected(s->ssl, &name, &size);
    return size == 0 ? HONE_TLS_ANY_PROTOCOL : size == 2 ? HONE_TLS_HTTP2 : HONE_TLS_HTTP1;
}

void hone_tls_count(hone_tls_session *s, hone_tls_result result) {
    if (!s->counted) hone_tls_count_result(s->tls, result);
    s->counted = true;
}

/* --- reading --- */

/* Reasons above this are alerts that the client has sent. */
static hone_tls_result result_of(unsigned long code) {
    int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    if (reason > SSL_AD_REASON_OFFSET) return HONE_TLS_REFUSED;
    switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return HONE_TLS_NO_CERTIFICATE;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_MD_TOO_WEAK: return HONE_TLS_BAD_CERTIFICATE;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_APPLICATION_PROTOCOL:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW: return HONE_TLS_UNSUPPORTED;
    default: return HONE_TLS_MALFORMED;
    }
}

static void fail(hone_tls_session *s) {
    hone_tls_count(s, result_of(ERR_peek_error()));
    ERR_clear_error();
    s->state = HONE_TLS_FAILED;
}

/* A handshake's record begins with 22; every method of HTTP, and HTTP/2's preface, with a capital letter. */
static bool is_cleartext(hone_tls_session *s, const char *data, size_t size) {
    if (s->begun || size == 0) return false;
    s->begun = true;
    return *data >= 'A' && *data <= 'Z';
}

static size_t read_some(hone_tls_session *s, char *plain, size_t room) {
    size_t got = 0;
    while (got < room) {
        size_t n, most = room - got;
        ERR_clear_error();
        bool read = SSL_read_ex(s->ssl, plain + got, most, &n) == 1;
        if (s->state == HONE_TLS_SHAKING && SSL_is_init_finished(s->ssl)) {
            s->state = HONE_TLS_OPEN;
            hone_tls_count(s, HONE_TLS_OK);
        }
        if (read) {
            got += n;
            continue;
        }
        int error = SSL_get_error(s->ssl, 0);
        if (error == SSL_ERROR_ZERO_RETURN)
            s->state = HONE_TLS_ENDED;
        else if (error != SSL_ERROR_WANT_READ)
            fail(s);
        break;
    }
    return got;
}

size_t hone_tls_read(hone_tls_session *s, const char **data, size_t *size, char *plain, size_t room,
                     hone_buffer *out) {
    if (s->state != HONE_TLS_SHAKING && s->state != HONE_TLS_OPEN) return 0;
    if (is_cleartext(s, *data, *size)) {
        s->state = HONE_TLS_CLEARTEXT;
        hone_tls_count(s, HONE_TLS_NOT_TLS);
        return 0;
    }
    s->ends.data = *data;
    s->ends.size = *size;
    s->ends.out = out;
    size_t got = read_some(s, plain, room);
    *data = s->ends.data;
    *size = s->ends.size;
    s->ends.size = 0;
    s->ends.out = NULL;
    return got;
}

/* --- writing --- */

static bool can_write(const hone_tls_session *s) {
    return (s->state == HONE_TLS_OPEN || s->state == HONE_TLS_ENDED) && !s->said_end;
}

bool hone_tls_write(hone_tls_session *s, const char *plain, size_t size, hone_buffer *out) {
    if (!can_write(s)) return false;
    if (size == 0) return true;
    size_t n;
    s->ends.out = out;
    ERR_clear_error();
    bool good = SSL_write_ex(s->ssl, plain, size, &n) == 1;
    s->ends.out = NULL;
    if (!good) fail(s);
    return good;
}

void hone_tls_end(hone_tls_session *s, hone_buffer *out) {
    if (!can_write(s)) return;
    s->said_end = true;
    s->ends.out = out;
    ERR_clear_error();
    if (SSL_shutdown(s->ssl) < 0) ERR_clear_error();
    s->ends.out = NULL;
}
