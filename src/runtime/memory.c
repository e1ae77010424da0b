#include "runtime/memory.h"

#include "base/memory.h"

#include <stdlib.h>

#define ALIGN 64

static int by_size(const void *a, const void *b) {
    const hone_buffer *x = *(hone_buffer *const *)a, *y = *(hone_buffer *const *)b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y; /* a fixed order */
}

static size_t padded(size_t size) {
    return (size + ALIGN - 1) / ALIGN * ALIGN;
}

/* `placed` is sorted by offset: the lowest gap among those alive together with b. */
static size_t lowest_gap(hone_buffer *const *placed, int count, const hone_buffer *b) {
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        const hone_buffer *o = placed[i];
        if (o->last < b->first || o->first > b->last) continue;
        if (o->offset >= at + padded(b->size)) break;
        if (o->offset + padded(o->size) > at) at = o->offset + padded(o->size);
    }
    return at;
}

bool hone_memory_plan(hone_buffer *buffers, int count, size_t *total) {
    *total = 0;
    hone_buffer **order = hone_alloc(2 * (size_t)(count + 1) * sizeof *order), **placed = order + count;
    if (!order) return false;
    for (int i = 0; i < count; i++) order[i] = &buffers[i];
    qsort(order, (size_t)count, sizeof(hone_buffer *), by_size);
    for (int i = 0; i < count; i++) {
        hone_buffer *b = order[i];
        b->offset = lowest_gap(placed, i, b);
        if (b->offset + padded(b->size) > *total) *total = b->offset + padded(b->size);
        int k = i;
        for (; k > 0 && placed[k - 1]->offset > b->offset; k--) placed[k] = placed[k - 1];
        placed[k] = b;
    }
    hone_free(order);
    return true;
}
