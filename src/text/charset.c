#include "text/charset.h"

#include <stdlib.h>
#include <string.h>

#define LAST (HONE_UNICODE_END + 255) /* bytes that are no UTF-8 included */

void hone_charset_add(hone_charset *s, uint32_t first, uint32_t last) {
    if (s->failed || first > last) return;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 8;
        hone_charrange *more = hone_arena_array(s->arena, capacity, sizeof *more);
        s->failed = !more;
        if (!more) return;
        if (s->count) memcpy(more, s->ranges, s->count * sizeof *more);
        s->ranges = more;
        s->capacity = capacity;
    }
    s->ranges[s->count++] = (hone_charrange){first, last};
}

static void add_run(void *arg, uint32_t first, uint32_t last) {
    hone_charset_add(arg, first, last);
}

bool hone_charset_add_category(hone_charset *s, const char *name, size_t size) {
    return hone_unicode_category(name, size, add_run, s);
}

void hone_charset_add_space(hone_charset *s) {
    static const hone_charrange space[] = {
        {9, 13},          {32, 32},         {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
        {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
    for (size_t i = 0; i < sizeof space / sizeof *space; i++)
        hone_charset_add(s, space[i].first, space[i].last);
}

void hone_charset_add_word(hone_charset *s) {
    static const char names[][3] = {"L", "M", "Nd", "Nl", "Pc"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        hone_charset_add_category(s, names[i], strlen(names[i]));
    /* symbols that are alphabetic: circled and squared letters */
    hone_charset_add(s, 0x24B6, 0x24E9);
    hone_charset_add(s, 0x1F130, 0x1F149);
    hone_charset_add(s, 0x1F150, 0x1F169);
    hone_charset_add(s, 0x1F170, 0x1F189);
}

void hone_charset_add_set(hone_charset *s, const hone_charset *of) {
    for (size_t i = 0; i < of->count; i++) hone_charset_add(s, of->ranges[i].first, of->ranges[i].last);
}

/* The few characters that fold to ASCII's letters beside their upper case. */
static void add_cases(hone_charset *s, uint32_t c) {
    uint32_t fold = hone_unicode_fold(c), upper = hone_unicode_upper(fold);
    if (fold != c) hone_charset_add(s, fold, fold);
    if (upper != c) hone_charset_add(s, upper, upper);
    if (fold == 's') hone_charset_add(s, 0x17F, 0x17F);
    if (fold == 'k') hone_charset_add(s, 0x212A, 0x212A);
}

void hone_charset_fold(hone_charset *s) {
    enum { CASED = 0x1E944 }; /* above it no character has a case */
    size_t count = s->count;
    for (size_t i = 0; i < count; i++) {
        hone_charrange r = s->ranges[i];
        for (uint32_t c = r.first; c <= r.last && c < CASED; c++) add_cases(s, c);
    }
}

static int by_first(const void *a, const void *b) {
    const hone_charrange *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static void sort(hone_charset *s) {
    size_t kept = 0;
    if (s->count) qsort(s->ranges, s->count, sizeof *s->ranges, by_first);
    for (size_t i = 0; i < s->count; i++) {
        hone_charrange r = s->ranges[i], *last = kept ? &s->ranges[kept - 1] : NULL;
        if (last && r.first <= last->last + 1)
            last->last = r.last > last->last ? r.last : last->last;
        else
            s->ranges[kept++] = r;
    }
    s->count = kept;
}

void hone_charset_invert(hone_charset *s) {
    hone_charset others = {.arena = s->arena, .failed = s->failed};
    uint32_t next = 0;
    sort(s);
    for (size_t i = 0; i < s->count; i++) {
        if (s->ranges[i].first > next) hone_charset_add(&others, next, s->ranges[i].first - 1);
        next = s->ranges[i].last + 1;
    }
    if (next <= LAST) hone_charset_add(&others, next, LAST);
    *s = others;
}

/* The opposite of the union of both opposites. */
void hone_charset_intersect(hone_charset *s, const hone_charset *with) {
    hone_charset other = {.arena = s->arena, .failed = with->failed};
    hone_charset_add_set(&other, with);
    hone_charset_invert(&other);
    hone_charset_invert(s);
    hone_charset_add_set(s, &other);
    s->failed = s->failed || other.failed;
    hone_charset_invert(s);
}

bool hone_charset_done(hone_charset *s) {
    sort(s);
    s->ascii[0] = s->ascii[1] = 0;
    for (size_t i = 0; i < s->count; i++)
        for (uint32_t c = s->ranges[i].first; c <= s->ranges[i].last && c < 128; c++)
            s->ascii[c >> 6] |= 1ull << (c & 63);
    return !s->failed;
}

bool hone_charset_has_wide(const hone_charset *s, uint32_t c) {
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->ranges[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->count && s->ranges[low].first <= c;
}
