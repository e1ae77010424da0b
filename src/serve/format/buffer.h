/* A growing run of bytes. Appending never fails aloud: a buffer that could or may not grow remembers it in `failed`,
 * keeps what it had, and ignores further bytes, so that a writer asks once at the end. A zeroed struct is an
 * empty buffer. */
#ifndef HONE_SERVE_FORMAT_BUFFER_H
#define HONE_SERVE_FORMAT_BUFFER_H

#include "serve/format/room.h"

#include <string.h>

typedef struct hone_buffer {
    char *data; /* NULL until the first byte */
    size_t size, capacity;
    bool failed;
    hone_room *room; /* is asked before it grows; forgotten when it is freed */
} hone_buffer;

/* Makes room for `more` further bytes. False when memory is out; then `failed` is set. */
bool hone_buffer_reserve(hone_buffer *b, size_t more);
void hone_buffer_put(hone_buffer *b, const void *data, size_t size);
void hone_buffer_text(hone_buffer *b, const char *text);
void hone_buffer_printf(hone_buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes the first `size` bytes. */
void hone_buffer_drop(hone_buffer *b, size_t size);
/* Empties it and keeps the room, unless that is more than `keep` bytes. */
void hone_buffer_clear(hone_buffer *b, size_t keep);
void hone_buffer_free(hone_buffer *b);

static inline void hone_buffer_byte(hone_buffer *b, char c) {
    if (b->size < b->capacity || hone_buffer_reserve(b, 1)) b->data[b->size++] = c;
}

#endif
