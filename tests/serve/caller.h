/* Clients of HTTP/2, by nghttp2, at a socket. */
#ifndef HONE_TESTS_SERVE_CALLER_H
#define HONE_TESTS_SERVE_CALLER_H

#include "serve/client.h"
#include "serve/http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define REFLECTION "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

typedef struct caller {
    peer p;
    client c;
} caller;

static inline void caller_open(caller *c, int port) {
    memset(c, 0, sizeof *c);
    c->c = client_open(port);
    assert_true(c->c.fd >= 0);
    assert_true(peer_open_client(&c->p));
}

/* Sends what there is to send; false when the connection has ended. */
static inline bool caller_send(caller *c) {
    const uint8_t *data;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(c->p.client, &data)) > 0)
        if (!client_send(&c->c, data, (size_t)n)) return false;
    return n == 0;
}

/* Exchanges bytes until the answer has begun, or is complete. */
static inline bool caller_wait(caller *c, const answer *a, bool complete) {
    for (;;) {
        if (!caller_send(c)) return false;
        if (complete ? a->closed : a->status > 0) return true;
        if (client_more(&c->c, CLIENT_WAIT_MS) <= 0) return a->closed;
        ssize_t n = nghttp2_session_mem_recv(c->p.client, (const uint8_t *)c->c.data, c->c.size);
        if (n < 0) return false;
        client_drop(&c->c, (size_t)n);
    }
}

static inline void caller_close(caller *c) {
    nghttp2_session_del(c->p.client);
    for (int i = 0; i < c->p.count; i++) free(c->p.answers[i].body);
    client_close(&c->c);
}

/* A gRPC call with an empty message; `more`: and its stream stays open. */
static inline answer *caller_call(caller *c, const char *path, const char *const *fields, bool more) {
    const char *all[20] = {"content-type", "application/grpc", "te", "trailers"};
    size_t n = 4;
    for (; fields && *fields && n < 18; n++) all[n] = *fields++;
    answer *a = peer_ask(&c->p, "POST", path, "\0\0\0\0", 6, all);
    a->upload = "\0\0\0\0\0"; /* and the terminating zero, which is never sent if the stream stays open */
    a->upload_size = more ? 6 : 5;
    a->hold = 5;
    return a;
}

#endif
