/* A small blocking client of HTTP/2 and gRPC over nghttp2, for tests. Every wait is bounded. */
#ifndef HONE_TESTS_SERVE_HTTP2_CLIENT_H
#define HONE_TESTS_SERVE_HTTP2_CLIENT_H

#include "serve/client.h"

#include <nghttp2/nghttp2.h>

/* One request at a time. */
typedef struct http2_client {
    client c;
    nghttp2_session *session;
    const char *upload;
    size_t upload_size, uploaded;
    int32_t id;       /* of the stream under way */
    bool closed;      /* that stream */
    bool goaway;      /* the server takes no more */
    int32_t last;     /* stream that it takes */
    int status, code; /* of the answer; gRPC's, -1: none */
    char *body;
    size_t size;
} http2_client;

static inline int http2_on_header(nghttp2_session *session, const nghttp2_frame *f, const uint8_t *name,
                                  size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                                  void *user) {
    http2_client *h = user;
    char text[16];
    (void)session, (void)flags;
    if (f->hd.stream_id != h->id) return 0;
    snprintf(text, sizeof text, "%.*s", (int)(value_size < 15 ? value_size : 15), (const char *)value);
    if (name_size == 7 && memcmp(name, ":status", 7) == 0) h->status = atoi(text);
    if (name_size == 11 && memcmp(name, "grpc-status", 11) == 0) h->code = atoi(text);
    return 0;
}

static inline int http2_on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                                size_t size, void *user) {
    http2_client *h = user;
    (void)session, (void)flags;
    if (id != h->id) return 0;
    h->body = realloc(h->body, h->size + size + 1);
    if (!h->body) abort();
    memcpy(h->body + h->size, data, size);
    h->size += size;
    h->body[h->size] = 0;
    return 0;
}

static inline int http2_on_frame(nghttp2_session *session, const nghttp2_frame *f, void *user) {
    http2_client *h = user;
    (void)session;
    if (f->hd.type != NGHTTP2_GOAWAY) return 0;
    h->goaway = true;
    h->last = f->goaway.last_stream_id;
    return 0;
}

static inline int http2_on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    http2_client *h = user;
    (void)session;
    if (id != h->id) return 0;
    h->closed = true;
    if (code != NGHTTP2_NO_ERROR) h->status = 0;
    return 0;
}

static inline ssize_t http2_on_upload(nghttp2_session *session, int32_t id, uint8_t *data, size_t length,
                                      uint32_t *flags, nghttp2_data_source *source, void *user) {
    http2_client *h = user;
    size_t n = h->upload_size - h->uploaded;
    (void)session, (void)id, (void)source;
    if (n > length) n = length;
    if (n) memcpy(data, h->upload + h->uploaded, n);
    h->uploaded += n;
    if (h->uploaded == h->upload_size) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static inline void http2_open(http2_client *h, int port) {
    nghttp2_session_callbacks *callbacks;
    *h = (http2_client){.c = client_open(port)};
    if (nghttp2_session_callbacks_new(&callbacks) != 0) abort();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, http2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, http2_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, http2_on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, http2_on_close);
    if (nghttp2_session_client_new(&h->session, callbacks, h) != 0) abort();
    nghttp2_session_callbacks_del(callbacks);
    if (nghttp2_submit_settings(h->session, 0, NULL, 0) != 0) abort();
}

static inline void http2_close(http2_client *h) {
    nghttp2_session_del(h->session);
    client_close(&h->c);
    free(h->body);
    *h = (http2_client){.c = {.fd = -1}};
}

/* Sends what is to be sent, and reads until the answer is there; false when the connection ends before. */
static inline bool http2_pump(http2_client *h) {
    while (!h->closed) {
        const uint8_t *data;
        ssize_t n;
        while ((n = nghttp2_session_mem_send(h->session, &data)) > 0)
            if (!client_send(&h->c, data, (size_t)n))
                break; /* what the server said before may still be there */
        if (client_more(&h->c, CLIENT_WAIT_MS) <= 0) return false;
        n = nghttp2_session_mem_recv(h->session, (const uint8_t *)h->c.data, h->c.size);
        if (n < 0) return false;
        client_drop(&h->c, (size_t)n);
    }
    return true;
}

/* Asks, and waits for the answer: h->status, h->code, h->body. False: there is none. */
static inline bool http2_ask(http2_client *h, const char *path, const char *content_type, const void *body,
                             size_t size) {
    const char *const pairs[][2] = {
        {":method", body ? "POST" : "GET"}, {":scheme", "http"}, {":path", path}, {":authority", "test"},
        {"content-type", content_type},     {"te", "trailers"}};
    nghttp2_nv nv[6];
    nghttp2_data_provider upload = {.read_callback = http2_on_upload};
    for (int i = 0; i < 6; i++)
        nv[i] = (nghttp2_nv){(uint8_t *)(uintptr_t)pairs[i][0], (uint8_t *)(uintptr_t)pairs[i][1],
                             strlen(pairs[i][0]), strlen(pairs[i][1]), NGHTTP2_NV_FLAG_NONE};
    free(h->body);
    h->body = NULL;
    h->size = h->uploaded = 0;
    h->status = 0;
    h->code = -1;
    h->closed = false;
    h->upload = body;
    h->upload_size = size;
    h->id = nghttp2_submit_request(h->session, NULL, nv, 6, body ? &upload : NULL, NULL);
    return h->id > 0 && http2_pump(h) && h->status > 0;
}

/* A gRPC call with this message; the answer's message is h->body without its first 5 bytes. */
static inline bool http2_call(http2_client *h, const char *path, const void *message, size_t size) {
    char *body = malloc(size + 5);
    if (!body) abort();
    body[0] = 0;
    for (int i = 0; i < 4; i++) body[1 + i] = (char)(size >> (24 - 8 * i));
    if (size) memcpy(body + 5, message, size);
    bool answered = http2_ask(h, path, "application/grpc", body, size + 5);
    free(body);
    return answered;
}

#endif
