#include "lm/pages.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <string.h>

typedef struct page {
    int64_t holds;
    uint64_t
        number; /* of the publication; 0: not published. None comes twice, so no chain is taken for another */
    uint64_t before;      /* that of the page before it */
    int64_t next;         /* free, or in its bucket; -1: none */
    int64_t older, newer; /* cached pages, by when they were released */
} page;

struct hone_lm_pages {
    page *pages;
    int32_t *ids; /* size of each page */
    int64_t count, size, held, cached;
    int64_t free, oldest, newest; /* -1: none */
    int64_t *buckets;             /* first page; -1 */
    uint64_t mask;
    uint64_t numbers;
};

hone_status hone_lm_pages_new(int64_t count, int64_t size, hone_lm_pages **out, hone_error *err) {
    hone_lm_pages *p = hone_calloc(1, sizeof *p);
    if (!p) return hone_fail_memory(err);
    uint64_t buckets = 1;
    while (buckets < (uint64_t)count) buckets *= 2;
    p->count = count;
    p->size = size;
    p->mask = buckets - 1;
    p->pages = hone_calloc((size_t)count, sizeof *p->pages);
    p->ids = hone_calloc((size_t)count, (size_t)size * sizeof *p->ids);
    p->buckets = hone_calloc(buckets, sizeof *p->buckets);
    if (!p->pages || !p->ids || !p->buckets) {
        hone_lm_pages_free(p);
        return hone_fail_memory(err);
    }
    for (uint64_t i = 0; i < buckets; i++) p->buckets[i] = -1;
    for (int64_t i = 0; i < count; i++) p->pages[i].next = i + 1 < count ? i + 1 : -1;
    p->oldest = p->newest = -1;
    *out = p;
    return HONE_OK;
}

void hone_lm_pages_free(hone_lm_pages *p) {
    if (!p) return;
    hone_free(p->pages);
    hone_free(p->ids);
    hone_free(p->buckets);
    hone_free(p);
}

/* --- cached pages --- */

static void cache(hone_lm_pages *p, int64_t i) {
    p->pages[i].older = p->newest;
    p->pages[i].newer = -1;
    *(p->newest >= 0 ? &p->pages[p->newest].newer : &p->oldest) = i;
    p->newest = i;
    p->cached++;
}

static void uncache(hone_lm_pages *p, int64_t i) {
    const page *x = &p->pages[i];
    *(x->older >= 0 ? &p->pages[x->older].newer : &p->oldest) = x->newer;
    *(x->newer >= 0 ? &p->pages[x->newer].older : &p->newest) = x->older;
    p->cached--;
}

/* --- published pages --- */

static int32_t *ids_of(const hone_lm_pages *p, int64_t i) {
    return p->ids + i * p->size;
}

static int64_t *bucket_of(const hone_lm_pages *p, uint64_t before, const int32_t *ids) {
    const uint64_t hash = hone_hash(ids, (uint64_t)p->size * sizeof *ids) ^ before * 0x9e3779b97f4a7c15u;
    return &p->buckets[(hash ^ hash >> 32) & p->mask];
}

static int64_t look_up(const hone_lm_pages *p, uint64_t before, const int32_t *ids) {
    int64_t i = *bucket_of(p, before, ids);
    while (i >= 0 &&
           !(p->pages[i].before == before && memcmp(ids_of(p, i), ids, (size_t)p->size * sizeof *ids) == 0))
        i = p->pages[i].next;
    return i;
}

static void unpublish(hone_lm_pages *p, int64_t i) {
    int64_t *at = bucket_of(p, p->pages[i].before, ids_of(p, i));
    while (*at != i) at = &p->pages[*at].next;
    *at = p->pages[i].next;
    p->pages[i].number = 0;
}

static void hold(hone_lm_pages *p, int64_t i) {
    if (p->pages[i].holds++) return;
    if (p->pages[i].number) uncache(p, i);
    p->held++;
}

/* The number of the page before; false: it has none. */
static bool number_of(const hone_lm_pages *p, int64_t before, uint64_t *number) {
    *number = before >= 0 ? p->pages[before].number : 0;
    return before < 0 || *number;
}

int64_t hone_lm_pages_find(hone_lm_pages *p, int64_t before, const int32_t *ids) {
    uint64_t number;
    const int64_t i = number_of(p, before, &number) ? look_up(p, number, ids) : -1;
    if (i >= 0) hold(p, i);
    return i;
}

int64_t hone_lm_pages_publish(hone_lm_pages *p, int64_t i, int64_t before, const int32_t *ids) {
    uint64_t number;
    if (p->pages[i].number || !number_of(p, before, &number)) return i;
    const int64_t there = look_up(p, number, ids);
    if (there >= 0) {
        hold(p, there);
        hone_lm_pages_release(p, i);
        return there;
    }
    int64_t *bucket = bucket_of(p, number, ids);
    p->pages[i].number = ++p->numbers;
    p->pages[i].before = number;
    p->pages[i].next = *bucket;
    *bucket = i;
    memcpy(ids_of(p, i), ids, (size_t)p->size * sizeof *ids);
    return i;
}

/* --- holding --- */

int64_t hone_lm_pages_take(hone_lm_pages *p) {
    int64_t i = p->free;
    if (i >= 0) {
        p->free = p->pages[i].next;
    } else {
        i = p->oldest;
        if (i < 0) return -1;
        uncache(p, i);
        unpublish(p, i);
    }
    hold(p, i);
    return i;
}

void hone_lm_pages_release(hone_lm_pages *p, int64_t i) {
    if (--p->pages[i].holds) return;
    p->held--;
    if (p->pages[i].number) {
        cache(p, i);
        return;
    }
    p->pages[i].next = p->free;
    p->free = i;
}

int64_t hone_lm_pages_count(const hone_lm_pages *p) {
    return p->count;
}

int64_t hone_lm_pages_held(const hone_lm_pages *p) {
    return p->held;
}

int64_t hone_lm_pages_cached(const hone_lm_pages *p) {
    return p->cached;
}
