#include "runtime/memory.h"

#include "base/memory.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#define ALIGN 64

/* Buffers in the order of their first step, and over them a tree of the latest last step of those that are placed:
 * who is alive together with a buffer is found without looking at all others. */
typedef struct planner {
    hone_buffer **by_first;
    int *latest; /* a binary heap's shape: leaves are by_first's, -1: not placed */
    int count, leaves;
    hone_buffer **alive;
    int alive_count;
} planner;

static int by_size(const void *a, const void *b) {
    const hone_buffer *x = *(hone_buffer *const *)a, *y = *(hone_buffer *const *)b;
    if (x->size != y->size) return x->size < y->size ? 1 : -1;
    return x < y ? -1 : x > y; /* a fixed order */
}

static int by_first(const void *a, const void *b) {
    const hone_buffer *x = *(hone_buffer *const *)a, *y = *(hone_buffer *const *)b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int by_offset(const void *a, const void *b) {
    const hone_buffer *x = *(hone_buffer *const *)a, *y = *(hone_buffer *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Where a padded buffer ends; SIZE_MAX, which no memory has, where that cannot be said. */
static size_t end_of(size_t offset, size_t size) {
    size_t end;
    return hone_add_size(offset, size, &end) && end <= SIZE_MAX - ALIGN ? (end + ALIGN - 1) / ALIGN * ALIGN
                                                                        : SIZE_MAX;
}

/* Buffers with `first` up to `last`, and placed ones of them that end at `first` or later, below `node`, whose leaves
 * are [from, from + width). */
static void find_alive(planner *p, int node, int from, int width, const hone_buffer *b) {
    if (from >= p->count || p->latest[node] < b->first || p->by_first[from]->first > b->last) return;
    if (width == 1) {
        p->alive[p->alive_count++] = p->by_first[from];
        return;
    }
    find_alive(p, 2 * node, from, width / 2, b);
    find_alive(p, 2 * node + 1, from + width / 2, width / 2, b);
}

static void note_placed(planner *p, int leaf, int last) {
    for (int node = p->leaves + leaf; node > 0 && p->latest[node] < last; node /= 2) p->latest[node] = last;
}

/* The lowest gap among those alive together with b. */
static size_t lowest_gap(planner *p, const hone_buffer *b) {
    size_t at = 0;
    p->alive_count = 0;
    find_alive(p, 1, 0, p->leaves, b);
    qsort(p->alive, (size_t)p->alive_count, sizeof(hone_buffer *), by_offset);
    for (int i = 0; i < p->alive_count; i++) {
        const hone_buffer *o = p->alive[i];
        if (o->offset >= end_of(at, b->size)) break;
        if (end_of(o->offset, o->size) > at) at = end_of(o->offset, o->size);
    }
    return at;
}

static bool make_planner(planner *p, hone_buffer *buffers, int count) {
    *p = (planner){.count = count, .leaves = 1};
    while (p->leaves < count) p->leaves *= 2;
    p->by_first = hone_alloc(((size_t)count + 1) * sizeof *p->by_first);
    p->alive = hone_alloc(((size_t)count + 1) * sizeof *p->alive);
    p->latest = hone_alloc(2 * (size_t)p->leaves * sizeof *p->latest);
    if (!p->by_first || !p->alive || !p->latest) return false;
    for (int i = 0; i < count; i++) p->by_first[i] = &buffers[i];
    for (int i = 0; i < 2 * p->leaves; i++) p->latest[i] = INT_MIN;
    qsort(p->by_first, (size_t)count, sizeof(hone_buffer *), by_first);
    return true;
}

bool hone_memory_plan(hone_buffer *buffers, int count, size_t *total) {
    planner p;
    *total = 0;
    hone_buffer **order = hone_alloc(((size_t)count + 1) * sizeof *order);
    int *leaf = hone_alloc(((size_t)count + 1) * sizeof *leaf); /* by index of the buffer */
    bool ok = make_planner(&p, buffers, count) && order && leaf;
    for (int i = 0; i < count && ok; i++) {
        order[i] = &buffers[i];
        leaf[p.by_first[i] - buffers] = i;
    }
    if (ok) qsort(order, (size_t)count, sizeof(hone_buffer *), by_size);
    for (int i = 0; i < count && ok; i++) {
        hone_buffer *b = order[i];
        b->offset = lowest_gap(&p, b);
        if (end_of(b->offset, b->size) > *total) *total = end_of(b->offset, b->size);
        note_placed(&p, leaf[b - buffers], b->last);
    }
    hone_free(p.by_first);
    hone_free(p.alive);
    hone_free(p.latest);
    hone_free(order);
    hone_free(leaf);
    return ok;
}
