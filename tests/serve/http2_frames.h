/* HTTP/2 frames made and read by hand, for what no well-behaved client would send. */
#ifndef HONE_TESTS_SERVE_HTTP2_FRAMES_H
#define HONE_TESTS_SERVE_HTTP2_FRAMES_H

#include "serve/format/buffer.h"
#include "serve/http/http2.h"

#include <stdint.h>

enum {
    DATA = 0,
    HEADERS = 1,
    PRIORITY = 2,
    RST_STREAM = 3,
    SETTINGS = 4,
    PING = 6,
    GOAWAY = 7,
    WINDOW_UPDATE = 8,
    CONTINUATION = 9
};
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

static inline void put_u32(hone_buffer *b, uint32_t x) {
    const char bytes[] = {(char)(x >> 24), (char)(x >> 16), (char)(x >> 8), (char)x};
    hone_buffer_put(b, bytes, 4);
}

static inline void put_frame(hone_buffer *b, int type, int flags, uint32_t stream, const void *data,
                             size_t size) {
    put_u32(b, (uint32_t)size << 8 | (uint32_t)type);
    hone_buffer_byte(b, (char)flags);
    put_u32(b, stream);
    hone_buffer_put(b, data, size);
}

/* The preface and an empty SETTINGS. */
static inline void put_preface(hone_buffer *b) {
    hone_buffer_text(b, HONE_HTTP2_PREFACE);
    put_frame(b, SETTINGS, 0, 0, NULL, 0);
}

/* A field that is kept in no table. */
static inline void put_field(hone_buffer *b, const char *name, const char *value) {
    hone_buffer_byte(b, 0);
    hone_buffer_byte(b, (char)strlen(name));
    hone_buffer_text(b, name);
    hone_buffer_byte(b, (char)strlen(value));
    hone_buffer_text(b, value);
}

static inline void put_head(hone_buffer *b, const char *method, const char *path) {
    put_field(b, ":method", method);
    put_field(b, ":scheme", "http");
    put_field(b, ":path", path);
    put_field(b, ":authority", "x");
}

static inline void put_request(hone_buffer *b, uint32_t stream, const char *method, const char *path,
                               int flags) {
    hone_buffer head = {0};
    put_head(&head, method, path);
    put_frame(b, HEADERS, END_HEADERS | flags, stream, head.data, head.size);
    hone_buffer_free(&head);
}

typedef struct frame {
    int type, flags;
    uint32_t stream;
    const uint8_t *data;
    size_t size;
} frame;

static inline uint32_t get_u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The next whole frame of `size` bytes; moves *at on. */
static inline bool next_frame(const void *bytes, size_t size, size_t *at, frame *f) {
    const uint8_t *p = (const uint8_t *)bytes + *at;
    if (size - *at < 9) return false;
    size_t n = get_u32(p) >> 8;
    if (size - *at - 9 < n) return false;
    *f =
        (frame){.type = p[3], .flags = p[4], .stream = get_u32(p + 5) & 0x7fffffff, .data = p + 9, .size = n};
    *at += 9 + n;
    return true;
}

/* The first frame of a type (for any stream: 0); false if there is none. */
static inline bool find_frame(const void *bytes, size_t size, int type, uint32_t stream, frame *f) {
    for (size_t at = 0; next_frame(bytes, size, &at, f);)
        if (f->type == type && (stream == 0 || f->stream == stream)) return true;
    return false;
}

#endif
