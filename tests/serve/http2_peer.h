/* nghttp2's client against our server, without a socket between them. */
#ifndef HONE_TESTS_SERVE_HTTP2_PEER_H
#define HONE_TESTS_SERVE_HTTP2_PEER_H

#include "serve/http/http2.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_ANSWERS = 512 };

typedef struct answer {
    int32_t id;
    int status;
    char fields[1500], trailers[1500]; /* "name: value\n" */
    char date[40];
    bool body_begun;
    char *body;
    size_t size;
    bool closed;
    uint32_t code;      /* why it was closed */
    const char *upload; /* borrowed */
    size_t upload_size, uploaded;
    size_t hold; /* upload no further, if set */
} answer;

typedef struct peer peer;
struct peer {
    hone_request *pool;
    hone_http2_host *host;
    hone_http2 *server;
    nghttp2_session *client;
    answer answers[MAX_ANSWERS];
    int count;
    void (*handle)(peer *p, hone_request *r);
    int requests, answered, dropped, outputs;
    size_t step; /* bytes that are handed over at once */
    bool padded, gone, dead;
    bool goaway;
    uint32_t goaway_code;
    int32_t goaway_last;
    size_t consume; /* slow: bytes that the client still wants to read */
    bool slow;
    hone_request *held;
};

/* --- the server's side --- */

static inline void peer_request(void *user, hone_request *r) {
    peer *p = user;
    p->requests++;
    r->received = 1;
    p->handle(p, r);
}
static inline void peer_answered(void *user, hone_request *r) {
    (void)r;
    ((peer *)user)->answered++;
}
static inline void peer_dropped(void *user, hone_request *r) {
    (void)r;
    ((peer *)user)->dropped++;
}
static inline void peer_output(void *user) {
    ((peer *)user)->outputs++;
}
static inline bool peer_gone(void *user) {
    return ((peer *)user)->gone;
}
static const hone_http2_events peer_events = {peer_request, peer_answered, peer_dropped, peer_output,
                                              peer_gone};

/* --- the client's side --- */

static inline answer *peer_answer(peer *p, int32_t id) {
    for (int i = 0; i < p->count; i++)
        if (p->answers[i].id == id) return &p->answers[i];
    return NULL;
}

static inline int peer_on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
                                 size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                                 void *user) {
    answer *a = peer_answer(user, f->hd.stream_id);
    (void)session, (void)flags;
    if (!a) return 0;
    if (name_size == 7 && memcmp(name, ":status", 7) == 0) {
        a->status = atoi((const char *)value);
        return 0;
    }
    if (name_size == 4 && memcmp(name, "date", 4) == 0) {
        snprintf(a->date, sizeof a->date, "%.*s", (int)value_size, (const char *)value);
        return 0;
    }
    char *to =
        f->headers.cat == NGHTTP2_HCAT_HEADERS && a->status != 100 && a->body_begun ? a->trailers : a->fields;
    size_t n = strlen(to);
    snprintf(to + n, sizeof a->fields - n, "%.*s: %.*s\n", (int)name_size, (const char *)name,
             (int)value_size, (const char *)value);
    return 0;
}

static inline int peer_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                               size_t size, void *user) {
    answer *a = peer_answer(user, id);
    (void)session, (void)flags;
    a->body_begun = true;
    a->body = realloc(a->body, a->size + size + 1);
    if (!a->body) abort();
    memcpy(a->body + a->size, data, size);
    a->size += size;
    a->body[a->size] = 0;
    return 0;
}

static inline int peer_on_frame(nghttp2_session *session, const nghttp2_frame *f, void *user) {
    peer *p = user;
    (void)session;
    answer *a = f->hd.stream_id ? peer_answer(p, f->hd.stream_id) : NULL;
    if (a && f->hd.type == NGHTTP2_HEADERS && a->status != 100) a->body_begun = true;
    if (f->hd.type == NGHTTP2_GOAWAY) {
        p->goaway = true;
        p->goaway_code = f->goaway.error_code;
        p->goaway_last = f->goaway.last_stream_id;
    }
    return 0;
}

static inline int peer_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    answer *a = peer_answer(user, id);
    (void)session;
    a->closed = true;
    a->code = code;
    return 0;
}

static inline ssize_t peer_upload(nghttp2_session *session, int32_t id, uint8_t *data, size_t length,
                                  uint32_t *flags, nghttp2_data_source *source, void *user) {
    answer *a = peer_answer(user, id);
    (void)session, (void)source;
    size_t end = a->hold && a->hold < a->upload_size ? a->hold : a->upload_size, n = end - a->uploaded;
    if (n == 0 && end < a->upload_size) return NGHTTP2_ERR_DEFERRED;
    if (n > length) n = length;
    if (n) memcpy(data, a->upload + a->uploaded, n);
    a->uploaded += n;
    if (a->uploaded == a->upload_size) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static inline ssize_t peer_padding(nghttp2_session *session, const nghttp2_frame *f, size_t most,
                                   void *user) {
    size_t n = f->hd.length + (((peer *)user)->padded ? 100 : 0);
    (void)session;
    return (ssize_t)(n < most ? n : most);
}

/* The client alone. */
static inline bool peer_open_client(peer *p) {
    nghttp2_session_callbacks *c;
    nghttp2_option *option;
    if (nghttp2_session_callbacks_new(&c) != 0 || nghttp2_option_new(&option) != 0) return false;
    nghttp2_session_callbacks_set_on_header_callback(c, peer_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, peer_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, peer_on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, peer_on_close);
    nghttp2_session_callbacks_set_select_padding_callback(c, peer_padding);
    if (p->slow) nghttp2_option_set_no_auto_window_update(option, 1);
    int code = nghttp2_session_client_new2(&p->client, c, p, option);
    nghttp2_session_callbacks_del(c);
    nghttp2_option_del(option);
    return code == 0 && nghttp2_submit_settings(p->client, 0, NULL, 0) == 0;
}

/* --- both --- */

static inline bool peer_open(peer *p, const hone_http2_host_options *options,
                             void (*handle)(peer *, hone_request *)) {
    hone_http2_host_options o = options ? *options : (hone_http2_host_options){0};
    p->step = SIZE_MAX;
    p->handle = handle;
    o.requests = &p->pool;
    if (hone_http2_host_new(&o, &p->host, NULL) != HONE_OK) return false;
    p->server = hone_http2_new(p->host, &peer_events, p);
    return p->server && peer_open_client(p);
}

static inline void peer_close(peer *p) {
    hone_http2_free(p->server);
    nghttp2_session_del(p->client);
    for (int i = 0; i < p->count; i++) free(p->answers[i].body);
    hone_request_release(p->held);
    hone_request_free_pool(&p->pool);
    hone_http2_host_free(p->host);
    memset(p, 0, sizeof *p);
}

/* Moves bytes both ways until both sides are silent. */
static inline void peer_transfer(peer *p) {
    bool moved = true;
    while (moved) {
        const uint8_t *data;
        hone_buffer out = {0};
        moved = false;
        ssize_t n = nghttp2_session_mem_send(p->client, &data);
        for (size_t at = 0; n > 0 && at < (size_t)n && !p->dead;) {
            size_t step = (size_t)n - at < p->step ? (size_t)n - at : p->step;
            if (!hone_http2_take(p->server, data + at, step)) p->dead = true;
            at += step;
            moved = true;
        }
        if (!p->dead && hone_http2_run(p->server)) moved = true;
        if (!hone_http2_give(p->server, &out, 1 << 16)) p->dead = true;
        for (size_t at = 0; at < out.size;) {
            size_t step = out.size - at < p->step ? out.size - at : p->step;
            if (nghttp2_session_mem_recv(p->client, (const uint8_t *)out.data + at, step) != (ssize_t)step)
                break;
            at += step;
            moved = true;
        }
        hone_buffer_free(&out);
        if (p->dead) return;
    }
}

/* Sends a request; `fields` is a list "name", "value", …, NULL. `body` NULL: none. */
static inline answer *peer_ask(peer *p, const char *method, const char *path, const void *body, size_t size,
                               const char *const *fields) {
    nghttp2_nv nv[100];
    size_t n = 0;
    const char *const pseudo[] = {":method", method,       ":scheme", "http", ":path",
                                  path,      ":authority", "test",    NULL};
    const char *const *lists[] = {pseudo, fields};
    for (int k = 0; k < 2; k++)
        for (const char *const *f = lists[k]; f && f[0] && n < 100; f += 2)
            nv[n++] = (nghttp2_nv){(uint8_t *)(uintptr_t)f[0], (uint8_t *)(uintptr_t)f[1], strlen(f[0]),
                                   strlen(f[1]), NGHTTP2_NV_FLAG_NONE};
    answer *a = &p->answers[p->count++];
    nghttp2_data_provider upload = {.read_callback = peer_upload};
    a->upload = body;
    a->upload_size = size;
    a->id = nghttp2_submit_request(p->client, NULL, nv, n, body ? &upload : NULL, NULL);
    return a;
}

#endif
