/* The client of client.h over TLS. */
#ifndef HONE_TESTS_SERVE_TLS_CLIENT_H
#define HONE_TESTS_SERVE_TLS_CLIENT_H

#include "serve/certificates.h"
#include "serve/client.h"
#include "serve/tls/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <fcntl.h>

typedef struct tls_options {
    const char *identity; /* its files in the test's directory; NULL: none */
    const char *alpn;     /* as OpenSSL wants it: "\2h2" */
    int version;          /* TLS1_2_VERSION, the only one; 0: any */
    SSL_SESSION *session; /* to be resumed */
} tls_options;

static inline void tls_wait(int fd, int error, int ms) {
    struct pollfd p = {.fd = fd, .events = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
    (void)poll(&p, 1, ms);
}

/* Repeats what `step` does until it neither waits nor `ms` are over; SSL_ERROR_NONE when it is done. */
static inline int tls_do(client *c, int (*step)(SSL *ssl, void *arg), void *arg, int ms) {
    uint64_t end = hone_now() + (uint64_t)ms * HONE_MILLISECOND;
    for (;;) {
        ERR_clear_error();
        int n = step(c->user, arg), error = n > 0 ? SSL_ERROR_NONE : SSL_get_error(c->user, n);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return error;
        uint64_t now = hone_now();
        if (now >= end) return error;
        tls_wait(c->fd, error, (int)((end - now) / HONE_MILLISECOND) + 1);
    }
}

typedef struct tls_piece {
    char *data;
    size_t size, done;
} tls_piece;

static inline int tls_write_step(SSL *ssl, void *arg) {
    tls_piece *p = arg;
    return SSL_write_ex(ssl, p->data, p->size, &p->done);
}

static inline int tls_read_step(SSL *ssl, void *arg) {
    tls_piece *p = arg;
    return SSL_read_ex(ssl, p->data, p->size, &p->done);
}

static inline int tls_connect_step(SSL *ssl, void *arg) {
    (void)arg;
    return SSL_connect(ssl);
}

static inline bool tls_send(client *c, const char *data, size_t size) {
    tls_piece p = {(char *)(uintptr_t)data, size, 0};
    return size == 0 || tls_do(c, tls_write_step, &p, CLIENT_WAIT_MS) == SSL_ERROR_NONE;
}

static inline ssize_t tls_receive(client *c, char *to, size_t room, int ms) {
    tls_piece p = {to, room, 0};
    int error = tls_do(c, tls_read_step, &p, ms);
    if (error == SSL_ERROR_NONE) return (ssize_t)p.done;
    return error == SSL_ERROR_WANT_READ ? -1 : 0;
}

/* Has the server said that nothing more comes, as it should before it closes? */
static inline bool tls_was_told_end(const client *c) {
    return SSL_get_shutdown(c->user) & SSL_RECEIVED_SHUTDOWN;
}

static inline void tls_close(client *c) {
    SSL_free(c->user);
    c->user = NULL;
}

static const client_transport tls_transport = {tls_send, tls_receive, tls_close};

static inline SSL_CTX *tls_client_context(const tls_options *o) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    assert_int_equal(SSL_CTX_load_verify_file(context, test_path("ca.crt")), 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    if (o->identity) {
        char certificate[64], key[64];
        snprintf(certificate, sizeof certificate, "%s.crt", o->identity);
        snprintf(key, sizeof key, "%s.key", o->identity);
        assert_int_equal(SSL_CTX_use_certificate_chain_file(context, test_path(certificate)), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(context, test_path(key), SSL_FILETYPE_PEM), 1);
    }
    if (o->version) {
        if (o->version < TLS1_2_VERSION) SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
        SSL_CTX_set_min_proto_version(context, o->version);
        SSL_CTX_set_max_proto_version(context, o->version);
    }
    if (o->alpn) SSL_CTX_set_alpn_protos(context, (const unsigned char *)o->alpn, (unsigned)strlen(o->alpn));
    return context;
}

/* Puts TLS over a connected client. */
static inline bool tls_over(client *c, const tls_options *o) {
    static const tls_options defaults;
    if (!o) o = &defaults;
    SSL_CTX *context = tls_client_context(o);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    c->transport = &tls_transport;
    c->user = SSL_new(context);
    SSL_CTX_free(context);
    assert_non_null(c->user);
    SSL_set_fd(c->user, c->fd);
    SSL_set1_host(c->user, "localhost");
    if (o->session) SSL_set_session(c->user, o->session);
    return tls_do(c, tls_connect_step, NULL, CLIENT_WAIT_MS) == SSL_ERROR_NONE;
}

/* Connects and shakes hands; its fd is -1 if that fails. `options` may be NULL. */
static inline client tls_open(int port, const tls_options *options) {
    client c = client_open(port);
    if (c.fd >= 0 && !tls_over(&c, options)) client_close(&c);
    return c;
}

/* A server's side with server.crt. */
static inline hone_tls *make_test_tls(hone_stats *stats) {
    hone_tls *tls = NULL;
    hone_error err = {0};
    hone_tls_files files = {test_path("server.crt"), test_path("server.key"), NULL};
    if (hone_tls_new(&files, stats, &tls, &err) != HONE_OK) fail_msg("%s: %s", err.file, err.message);
    return tls;
}

#endif
