#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_CHUNK = 4 << 10, LAST_CHUNK = 1 << 20 };

/* Chunks double from FIRST_CHUNK to LAST_CHUNK. What does not fit in a quarter of one gets a chunk of its
 * own, and the current one goes on. */
typedef struct chunk {
    _Alignas(ALIGNMENT) struct chunk *next;
} chunk;

struct hone_arena {
    chunk *chunks;
    char *cursor;
    size_t left; /* bytes after the cursor */
    size_t chunk_size;
};

hone_arena *hone_arena_new(void) {
    return hone_calloc(1, sizeof(hone_arena));
}

void hone_arena_free(hone_arena *arena) {
    if (!arena) return;
    for (chunk *c = arena->chunks, *next; c; c = next) {
        next = c->next;
        hone_free(c);
    }
    hone_free(arena);
}

static char *add_chunk(hone_arena *arena, size_t size) {
    size_t bytes;
    if (!hone_add_size(size, sizeof(chunk), &bytes)) return NULL;
    chunk *c = hone_calloc(1, bytes);
    if (!c) return NULL;
    c->next = arena->chunks;
    arena->chunks = c;
    return (char *)(c + 1);
}

void *hone_arena_alloc(hone_arena *arena, size_t size) {
    if (!hone_add_size(size, ALIGNMENT - 1, &size)) return NULL;
    size &= ~(size_t)(ALIGNMENT - 1);
    if (size == 0) size = ALIGNMENT;
    if (size > arena->left) {
        size_t next = arena->chunk_size ? arena->chunk_size * 2 : FIRST_CHUNK;
        if (next > LAST_CHUNK) next = LAST_CHUNK;
        if (size > next / 4) return add_chunk(arena, size);
        char *start = add_chunk(arena, next - sizeof(chunk));
        if (!start) return NULL;
        arena->chunk_size = next;
        arena->cursor = start;
        arena->left = next - sizeof(chunk);
    }
    void *block = arena->cursor;
    arena->cursor += size;
    arena->left -= size;
    return block;
}

void *hone_arena_array(hone_arena *arena, size_t count, size_t size) {
    size_t bytes;
    return hone_mul_size(count, size, &bytes) ? hone_arena_alloc(arena, bytes) : NULL;
}

char *hone_arena_strdup(hone_arena *arena, const char *text) {
    return hone_arena_strndup(arena, text, strlen(text));
}

char *hone_arena_strndup(hone_arena *arena, const char *text, size_t length) {
    length = strnlen(text, length);
    char *copy = hone_arena_alloc(arena, length + 1);
    return copy ? memcpy(copy, text, length) : NULL; /* the arena's zeros terminate it */
}

char *hone_arena_printf(hone_arena *arena, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : hone_arena_alloc(arena, (size_t)length + 1);
    if (!text) return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}
