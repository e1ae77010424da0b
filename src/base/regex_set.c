#include "base/regex_inside.h"
#include "base/unicode.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANGES = 1 << 18 }; /* of a pattern */

bool hone_regex_fail(regex_parser *p, const char *what) {
    if (p->status == HONE_OK)
        p->status = hone_fail(p->err, HONE_INVALID_ARGUMENT, "in the pattern at %zu: %s",
                              (size_t)(p->at - p->pattern), what);
    return false;
}
void hone_regex_out_of_memory(regex_parser *p) {
    if (p->status == HONE_OK) p->status = hone_fail_memory(p->err);
}

void hone_regex_add(regex_parser *p, regex_set *s, uint32_t first, uint32_t last) {
    if (p->status != HONE_OK) return;
    if (++p->ranges > MAX_RANGES) {
        hone_regex_fail(p, "too many characters in classes");
        return;
    }
    if (s->count == s->capacity) {
        int capacity = s->capacity ? 2 * s->capacity : 4;
        regex_range *more = hone_arena_array(p->arena, (size_t)capacity, sizeof *more);
        if (!more) {
            hone_regex_out_of_memory(p);
            return;
        }
        if (s->count) memcpy(more, s->ranges, (size_t)s->count * sizeof *more);
        s->ranges = more;
        s->capacity = capacity;
    }
    s->ranges[s->count++] = (regex_range){first, last};
}

static int by_first(const void *a, const void *b) {
    const regex_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

void hone_regex_normalize(regex_set *s) {
    int kept = 0;
    if (s->count) qsort(s->ranges, (size_t)s->count, sizeof *s->ranges, by_first);
    for (int i = 0; i < s->count; i++) {
        regex_range r = s->ranges[i], *last = kept ? &s->ranges[kept - 1] : NULL;
        if (last && r.first <= last->last + 1)
            last->last = r.last > last->last ? r.last : last->last;
        else
            s->ranges[kept++] = r;
    }
    s->count = kept;
}

/* What is not in `of`, added to s. */
static void add_others(regex_parser *p, regex_set *s, regex_set *of) {
    uint32_t next = 0;
    hone_regex_normalize(of);
    for (int i = 0; i < of->count; i++) {
        if (of->ranges[i].first > next) hone_regex_add(p, s, next, of->ranges[i].first - 1);
        next = of->ranges[i].last + 1;
    }
    if (next < HONE_UNICODE_END) hone_regex_add(p, s, next, HONE_UNICODE_END - 1);
}

/* --- case --- */

/* Characters that have a case, by what they fold to. */
static struct cased { uint32_t fold, c; } cased[4096];
static int cased_count;

static int by_fold(const void *a, const void *b) {
    const struct cased *x = a, *y = b;
    return x->fold != y->fold ? (x->fold > y->fold) - (x->fold < y->fold) : (x->c > y->c) - (x->c < y->c);
}

static void find_cased(void) {
    const int most = (int)(sizeof cased / sizeof *cased);
    for (uint32_t c = 0; c < 0x20000 && cased_count < most; c++)
        if (hone_unicode_upper(c) != c || hone_unicode_lower(c) != c)
            cased[cased_count++] = (struct cased){hone_unicode_fold(c), c};
    qsort(cased, (size_t)cased_count, sizeof *cased, by_fold);
}

static bool contains(const regex_set *s, uint32_t c) {
    int low = 0, high = s->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (c > s->ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->count && c >= s->ranges[low].first;
}

void hone_regex_fold(regex_parser *p, regex_set *s) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_cased);
    hone_regex_normalize(s);
    const regex_set before = *s;
    for (int i = 0, end; i < cased_count; i = end) {
        bool any = false;
        for (end = i; end < cased_count && cased[end].fold == cased[i].fold; end++)
            any |= contains(&before, cased[end].c);
        for (int k = i; any && k < end; k++) hone_regex_add(p, s, cased[k].c, cased[k].c);
    }
    hone_regex_normalize(s);
}

void hone_regex_add_class(regex_parser *p, regex_set *s, regex_set *of, bool negated) {
    if (p->flags & REGEX_IGNORE_CASE) hone_regex_fold(p, of);
    if (negated) {
        add_others(p, s, of);
        return;
    }
    for (int i = 0; i < of->count; i++) hone_regex_add(p, s, of->ranges[i].first, of->ranges[i].last);
}
