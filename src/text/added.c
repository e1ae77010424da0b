#include "text/tokenizer.h"

#include <stdlib.h>

static int by_first_and_length(const void *a, const void *b) {
    const hone_added *x = a, *y = b;
    int first = (unsigned char)x->content.text[0] - (unsigned char)y->content.text[0];
    if (first) return first;
    if (x->content.size != y->content.size) return x->content.size < y->content.size ? 1 : -1;
    return memcmp(x->content.text, y->content.text, x->content.size);
}

void hone_added_sort(hone_added_set *s) {
    if (s->count) qsort(s->items, s->count, sizeof *s->items, by_first_and_length);
    memset(s->first, 0, sizeof s->first);
    for (size_t i = 0; i < s->count; i++) s->first[(unsigned char)s->items[i].content.text[0] + 1]++;
    for (size_t b = 0; b < 256; b++) s->first[b + 1] += s->first[b];
}

bool hone_is_hidden(const hone_hidden *hidden, size_t start, size_t end) {
    size_t low = 0, high = hidden->count; /* the first part that ends behind `start` */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (hidden->parts[middle].end <= start)
            low = middle + 1;
        else
            high = middle;
    }
    return hidden->all || (low < hidden->count && hidden->parts[low].start < end);
}

/* The longest one that begins here; `place` says where this is for what is hidden. */
static const hone_added *at_place(const hone_added_set *s, const hone_hidden *hidden, size_t place,
                                  const char *text, size_t left) {
    unsigned char first = (unsigned char)*text;
    for (uint32_t i = s->first[first]; i < s->first[first + 1]; i++) {
        const hone_added *a = &s->items[i];
        if (a->content.size > left || memcmp(a->content.text, text, a->content.size) != 0) continue;
        if (!a->special || !hone_is_hidden(hidden, place, place + a->content.size)) return a;
    }
    return NULL;
}

static size_t before(const char *text, size_t at) {
    do at--;
    while (at > 0 && (text[at] & 0xC0) == 0x80);
    return at;
}

static bool stands_alone(const hone_tokenizer *t, const char *text, size_t size, size_t start, size_t end) {
    const char *previous = text + (start ? before(text, start) : 0), *next = text + end;
    if (start > 0 && hone_charset_has(&t->word, hone_utf8_decode(&previous, text + size))) return false;
    return end == size || !hone_charset_has(&t->word, hone_utf8_decode(&next, text + size));
}

/* Takes white space in on the sides that the token says. */
static void widen(const hone_tokenizer *t, const hone_added *a, const char *text, size_t size, size_t from,
                  size_t *start, size_t *end) {
    while (a->left && *start > from) {
        size_t at = before(text, *start);
        const char *c = text + at;
        if (at < from || !hone_charset_has(&t->space, hone_utf8_decode(&c, text + size))) break;
        *start = at;
    }
    while (a->right && *end < size) {
        const char *c = text + *end;
        if (!hone_charset_has(&t->space, hone_utf8_decode(&c, text + size))) break;
        *end = (size_t)(c - text);
    }
}

const hone_added *hone_added_find(const hone_tokenizer *t, const hone_added_set *s, const hone_hidden *hidden,
                                  size_t base, const char *text, size_t size, size_t at, size_t *start,
                                  size_t *end) {
    const size_t from = at;
    for (; s->count && at < size; at++) {
        const hone_added *a = at_place(s, hidden, base + at, text + at, size - at);
        if (!a) continue;
        *start = at;
        *end = at + a->content.size;
        if (a->single_word && !stands_alone(t, text, size, *start, *end)) {
            at = *end - 1;
            continue;
        }
        widen(t, a, text, size, from, start, end);
        return a;
    }
    return NULL;
}
