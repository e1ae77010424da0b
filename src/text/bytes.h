/* A growing run of bytes. */
#ifndef HONE_TEXT_BYTES_H
#define HONE_TEXT_BYTES_H

#include "base/memory.h"

#include <string.h>

typedef struct hone_bytes {
    char *data;
    size_t size, capacity;
} hone_bytes;

/* False when out of memory; what was there stays. */
static inline bool hone_bytes_add(hone_bytes *b, const void *data, size_t size) {
    if (b->capacity - b->size < size && !hone_reserve(&b->data, &b->capacity, b->size + size, 1))
        return false;
    if (size) memcpy(b->data + b->size, data, size);
    b->size += size;
    return true;
}
static inline bool hone_bytes_text(hone_bytes *b, const char *text) {
    return hone_bytes_add(b, text, strlen(text));
}
static inline void hone_bytes_free(hone_bytes *b) {
    hone_free(b->data);
    *b = (hone_bytes){NULL, 0, 0};
}

#endif
