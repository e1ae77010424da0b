/* Byte pair encoding: of all neighbours that may become one, those with the lowest rank do, the first of equals, until
 * none are left (Sennrich, Haddow, Birch 2016, arXiv 1508.07909). */
#include "text/model.h"

#include "base/unicode.h"

#include <stdio.h>
#include <string.h>

/* --- merges --- */

static size_t first_slot(const hone_token_model *m, int32_t left, int32_t right) {
    uint64_t key = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15ull;
    return (size_t)(key >> 32) & (m->slot_count - 1);
}

hone_status hone_merges_reserve(hone_token_model *m, size_t count, hone_error *err) {
    m->slot_count = 16;
    while (m->slot_count < 2 * count) m->slot_count *= 2;
    m->merges = hone_alloc(m->slot_count * sizeof *m->merges);
    if (!m->merges) return hone_fail_memory(err);
    for (size_t i = 0; i < m->slot_count; i++) m->merges[i].left = HONE_NO_ID;
    return HONE_OK;
}

static hone_merge *slot_of(const hone_token_model *m, int32_t left, int32_t right) {
    size_t at = first_slot(m, left, right);
    while (m->merges[at].left != HONE_NO_ID && (m->merges[at].left != left || m->merges[at].right != right))
        at = (at + 1) & (m->slot_count - 1);
    return &m->merges[at];
}

/* Of two that merge the same the last one counts, as in Hugging Face's map. */
void hone_merges_add(hone_token_model *m, hone_merge merge) {
    *slot_of(m, merge.left, merge.right) = merge;
}

const hone_merge *hone_merges_find(const hone_token_model *m, int32_t left, int32_t right) {
    const hone_merge *found = slot_of(m, left, right);
    return found->left == HONE_NO_ID || found->id == HONE_NO_ID ? NULL : found;
}

void hone_merges_hide(hone_token_model *m, const bool *hidden, size_t count) {
    for (size_t i = 0; i < m->slot_count; i++) {
        hone_merge *merge = &m->merges[i];
        if (merge->left != HONE_NO_ID && merge->id >= 0 && (size_t)merge->id < count && hidden[merge->id])
            merge->id = HONE_NO_ID;
    }
}

/* --- symbols --- */

static bool add_symbol(hone_model_scratch *s, int32_t id) {
    if (s->symbol_count == s->symbol_capacity &&
        !hone_reserve(&s->symbols, &s->symbol_capacity, s->symbol_count + 1, sizeof *s->symbols))
        return false;
    int32_t at = (int32_t)s->symbol_count++;
    s->symbols[at] = (hone_symbol){id, at - 1, at + 1, false};
    return true;
}

/* A character as it stands in the vocabulary: with the prefix inside of a word, with the suffix at its end. */
static int32_t find_character(const hone_token_model *m, const char *c, size_t n, bool first, bool last) {
    char text[160];
    const char *prefix = !first && m->prefix ? m->prefix : "", *suffix = last && m->suffix ? m->suffix : "";
    int size = snprintf(text, sizeof text, "%.64s%.*s%.64s", prefix, (int)n, c, suffix);
    if (*prefix == 0 && *suffix == 0) return hone_vocabulary_find(&m->pieces, c, n);
    return hone_vocabulary_find(&m->pieces, text, (size_t)size);
}

/* What the vocabulary has no character for. */
static bool add_unknown(const hone_token_model *m, hone_model_scratch *s, const char *c, size_t n,
                        bool *after_unknown) {
    bool fuse = *after_unknown && m->fuse_unknown, bytes = m->byte_fallback;
    *after_unknown = false;
    for (size_t i = 0; i < n && bytes; i++) bytes = m->bytes[(unsigned char)c[i]] != HONE_NO_ID;
    for (size_t i = 0; i < n && bytes; i++)
        if (!add_symbol(s, m->bytes[(unsigned char)c[i]])) return false;
    if (bytes || m->unknown == HONE_NO_ID) return true;
    *after_unknown = true;
    return fuse || add_symbol(s, m->unknown);
}

static bool add_symbols(const hone_token_model *m, hone_model_scratch *s, const char *text, size_t size) {
    bool after_unknown = false;
    s->symbol_count = 0;
    for (const char *at = text, *end = text + size; at < end;) {
        const char *c = at;
        hone_utf8_decode(&at, end);
        int32_t id = find_character(m, c, (size_t)(at - c), c == text, at == end);
        bool good =
            id != HONE_NO_ID ? add_symbol(s, id) : add_unknown(m, s, c, (size_t)(at - c), &after_unknown);
        if (id != HONE_NO_ID) after_unknown = false;
        if (!good) return false;
    }
    if (s->symbol_count) s->symbols[s->symbol_count - 1].next = -1;
    return true;
}

/* --- candidates --- a heap: the lowest rank, then the first place, on top */

static bool is_before(const hone_candidate *a, const hone_candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static bool push(const hone_token_model *m, hone_model_scratch *s, int32_t at) {
    if (at < 0 || s->symbols[at].next < 0) return true;
    int32_t left = s->symbols[at].id, right = s->symbols[s->symbols[at].next].id;
    const hone_merge *merge = hone_merges_find(m, left, right);
    if (!merge) return true;
    if (s->heap_count == s->heap_capacity &&
        !hone_reserve(&s->heap, &s->heap_capacity, s->heap_count + 1, sizeof *s->heap))
        return false;
    size_t i = s->heap_count++;
    hone_candidate c = {merge->rank, at, left, right};
    for (; i > 0 && is_before(&c, &s->heap[(i - 1) / 2]); i = (i - 1) / 2) s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = c;
    return true;
}

static hone_candidate pop(hone_model_scratch *s) {
    hone_candidate top = s->heap[0], last = s->heap[--s->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < s->heap_count; i = child) {
        if (child + 1 < s->heap_count && is_before(&s->heap[child + 1], &s->heap[child])) child++;
        if (!is_before(&s->heap[child], &last)) break;
        s->heap[i] = s->heap[child];
    }
    if (s->heap_count) s->heap[i] = last;
    return top;
}

static bool merge_all(const hone_token_model *m, hone_model_scratch *s) {
    s->heap_count = 0;
    for (size_t i = 0; i < s->symbol_count; i++)
        if (!push(m, s, (int32_t)i)) return false;
    while (s->heap_count) {
        hone_candidate c = pop(s);
        hone_symbol *left = &s->symbols[c.at];
        if (left->gone || left->next < 0 || left->id != c.left || s->symbols[left->next].id != c.right)
            continue;
        hone_symbol *right = &s->symbols[left->next];
        left->id = hone_merges_find(m, c.left, c.right)->id;
        left->next = right->next;
        right->gone = true;
        if (left->next >= 0) s->symbols[left->next].previous = c.at;
        if (!push(m, s, left->previous) || !push(m, s, c.at)) return false;
    }
    return true;
}

hone_status hone_bpe_encode(const hone_token_model *m, hone_model_scratch *s, const char *text, size_t size,
                            hone_ids *out, hone_error *err) {
    int32_t whole = m->ignore_merges ? hone_vocabulary_find(&m->pieces, text, size) : HONE_NO_ID;
    if (size > INT32_MAX) return hone_fail(err, HONE_UNSUPPORTED, "a piece of text of %zu bytes", size);
    if (whole != HONE_NO_ID) return hone_ids_add(out, whole) ? HONE_OK : hone_fail_memory(err);
    if (!add_symbols(m, s, text, size) || !merge_all(m, s)) return hone_fail_memory(err);
    for (size_t i = 0; i < s->symbol_count; i++)
        if (!s->symbols[i].gone && !hone_ids_add(out, s->symbols[i].id)) return hone_fail_memory(err);
    return HONE_OK;
}
