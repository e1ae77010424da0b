#include "serve/format/buffer.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

bool hone_buffer_reserve(hone_buffer *b, size_t more) {
    size_t need;
    if (!b->failed && hone_add_size(b->size, more, &need)) {
        if (need <= b->capacity) return true;
        size_t grown = hone_room_growth(b->capacity, need < 256 ? 256 : need);
        if (hone_room_take(b->room, grown - b->capacity) && hone_reserve(&b->data, &b->capacity, grown, 1))
            return true;
    }
    b->failed = true;
    return false;
}

void hone_buffer_put(hone_buffer *b, const void *data, size_t size) {
    if (size == 0 || b->failed) return;
    if (size > b->capacity - b->size && !hone_buffer_reserve(b, size)) return;
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

void hone_buffer_text(hone_buffer *b, const char *text) {
    hone_buffer_put(b, text, strlen(text));
}

void hone_buffer_printf(hone_buffer *b, const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0) return;
    if ((size_t)n < sizeof line) {
        hone_buffer_put(b, line, (size_t)n);
        return;
    }
    if (!hone_buffer_reserve(b, (size_t)n + 1)) return;
    va_start(args, format);
    vsnprintf(b->data + b->size, (size_t)n + 1, format, args);
    va_end(args);
    b->size += (size_t)n;
}

void hone_buffer_drop(hone_buffer *b, size_t size) {
    if (size == 0) return;
    if (size < b->size) memmove(b->data, b->data + size, b->size - size);
    b->size -= size;
}

void hone_buffer_clear(hone_buffer *b, size_t keep) {
    if (b->capacity > keep) {
        hone_buffer_free(b);
        return;
    }
    b->size = 0;
    b->failed = false;
}

void hone_buffer_free(hone_buffer *b) {
    hone_free(b->data);
    *b = (hone_buffer){0};
}
