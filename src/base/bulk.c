#include "base/bulk.h"

#include "base/memory.h"

#include <stdatomic.h>

enum { ALIGNMENT = 64 };

struct hone_bulk_part {
    hone_bulk *bulk;
    char *data;
    size_t bytes;
};

struct hone_bulk {
    atomic_size_t holds; /* the maker's, and a part's each */
    atomic_bool scattered;
    char *data;
    size_t room, used;
    hone_bulk_part *parts;
    size_t capacity, count;
};

static size_t aligned(size_t bytes) {
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

hone_bulk *hone_bulk_new(size_t bytes, size_t count) {
#ifdef HONE_HEAP_WATCHED
    (void)bytes, (void)count;
    return NULL;
#else
    hone_bulk *s = hone_calloc(1, sizeof *s);
    if (!s) return NULL;
    atomic_init(&s->holds, 1);
    s->capacity = count;
    s->parts = hone_calloc(count ? count : 1, sizeof *s->parts);
    if (!hone_mul_size(count, ALIGNMENT, &s->room) || !hone_add_size(s->room, bytes, &s->room)) s->room = 0;
    s->data = s->room ? hone_calloc(s->room, 1) : NULL;
    if (s->parts && s->data) return s;
    hone_bulk_free(s);
    return NULL;
#endif
}

void hone_bulk_free(hone_bulk *s) {
    if (!s || atomic_fetch_sub(&s->holds, 1) != 1) return;
    hone_free(s->data);
    hone_free(s->parts);
    hone_free(s);
}

void *hone_bulk_take(hone_bulk *s, size_t bytes, hone_bulk_part **part) {
    if (!s || s->count == s->capacity || bytes > s->room - s->used) return NULL;
    hone_bulk_part *made = &s->parts[s->count];
    *made = (hone_bulk_part){s, s->data + s->used, bytes};
    const size_t after = aligned(bytes), left = s->room - s->used;
    s->used += after < left ? after : left;
    s->count++;
    atomic_fetch_add(&s->holds, 1);
    *part = made;
    return made->data;
}

void hone_bulk_part_free(void *part) {
    hone_bulk_part *s = part;
    if (atomic_load(&s->bulk->holds) > 1) {
        hone_bulk_part_scatter(s);
        hone_discard(s->data, s->bytes);
    }
    hone_bulk_free(s->bulk);
}

void hone_bulk_part_scatter(hone_bulk_part *part) {
    hone_bulk *s = part->bulk;
    if (!atomic_exchange(&s->scattered, true)) hone_scatter(s->data);
}
