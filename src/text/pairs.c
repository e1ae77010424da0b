#include "text/pairs.h"

#include <string.h>

/* A pair, how often it is there, and words that have had it. */
typedef struct pair_entry {
    hone_pair pair;
    bool used;
    int64_t count;
    uint32_t *words;
    size_t word_count, word_capacity;
} pair_entry;

typedef struct candidate {
    int64_t count;
    hone_pair pair;
} candidate;

typedef struct learner {
    hone_vocabulary *v;
    const char *prefix;
    hone_pair_words *words;
    pair_entry *entries;
    size_t slot_count, used;
    candidate *heap; /* the most frequent on top; counts may be out of date */
    size_t heap_count, heap_capacity;
    hone_pair *merges;
    size_t merge_count, merge_capacity;
    char *joined;
    size_t joined_capacity;
    hone_error *err;
} learner;

/* --- pairs --- */

static size_t slot_of(const pair_entry *entries, size_t slots, hone_pair p) {
    uint64_t key = ((uint64_t)(uint32_t)p.left << 32 | (uint32_t)p.right) * 0x9E3779B97F4A7C15ull;
    size_t at = (size_t)(key >> 32) & (slots - 1);
    while (entries[at].used && (entries[at].pair.left != p.left || entries[at].pair.right != p.right))
        at = (at + 1) & (slots - 1);
    return at;
}

static bool grow(learner *l) {
    size_t slots = l->slot_count ? 2 * l->slot_count : 4096;
    pair_entry *entries = hone_calloc(slots, sizeof *entries);
    if (!entries) return false;
    for (size_t i = 0; i < l->slot_count; i++)
        if (l->entries[i].used) entries[slot_of(entries, slots, l->entries[i].pair)] = l->entries[i];
    hone_free(l->entries);
    l->entries = entries;
    l->slot_count = slots;
    return true;
}

/* NULL when out of memory. */
static pair_entry *entry_of(learner *l, hone_pair p) {
    if (2 * (l->used + 1) > l->slot_count && !grow(l)) return NULL;
    pair_entry *e = &l->entries[slot_of(l->entries, l->slot_count, p)];
    if (e->used) return e;
    *e = (pair_entry){.pair = p, .used = true};
    l->used++;
    return e;
}

/* --- the heap --- */

static bool is_before(const candidate *a, const candidate *b) {
    if (a->count != b->count) return a->count > b->count;
    return a->pair.left != b->pair.left ? a->pair.left < b->pair.left : a->pair.right < b->pair.right;
}

static bool push(learner *l, candidate c) {
    if (l->heap_count == l->heap_capacity &&
        !hone_reserve(&l->heap, &l->heap_capacity, l->heap_count + 1, sizeof c))
        return false;
    size_t i = l->heap_count++;
    for (; i > 0 && is_before(&c, &l->heap[(i - 1) / 2]); i = (i - 1) / 2) l->heap[i] = l->heap[(i - 1) / 2];
    l->heap[i] = c;
    return true;
}

static candidate pop(learner *l) {
    candidate top = l->heap[0], last = l->heap[--l->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < l->heap_count; i = child) {
        if (child + 1 < l->heap_count && is_before(&l->heap[child + 1], &l->heap[child])) child++;
        if (!is_before(&l->heap[child], &last)) break;
        l->heap[i] = l->heap[child];
    }
    if (l->heap_count) l->heap[i] = last;
    return top;
}

/* --- counting --- */

/* The word's pairs count once more, or once less. A pair with `id` in it is new: the word is noted for it. */
static bool count_word(learner *l, size_t word, int64_t sign, int32_t id, bool all) {
    const int32_t *s = l->words->symbols + l->words->starts[word];
    for (int32_t i = 0; i + 1 < l->words->sizes[word]; i++) {
        pair_entry *e = entry_of(l, (hone_pair){s[i], s[i + 1]});
        if (!e) return false;
        e->count += sign * l->words->counts[word];
        if (sign < 0 || !(all || s[i] == id || s[i + 1] == id)) continue;
        if (e->word_count && e->words[e->word_count - 1] == word) continue;
        if (e->word_count == e->word_capacity &&
            !hone_reserve(&e->words, &e->word_capacity, e->word_count + 1, sizeof *e->words))
            return false;
        e->words[e->word_count++] = (uint32_t)word;
    }
    return true;
}

static bool push_word(learner *l, size_t word, int32_t id) {
    const int32_t *s = l->words->symbols + l->words->starts[word];
    for (int32_t i = 0; i + 1 < l->words->sizes[word]; i++) {
        if (s[i] != id && s[i + 1] != id) continue;
        hone_pair p = {s[i], s[i + 1]};
        const pair_entry *e = entry_of(l, p);
        if (!e || !push(l, (candidate){e->count, p})) return false;
    }
    return true;
}

static bool count_all(learner *l) {
    for (size_t w = 0; w < l->words->count; w++)
        if (!count_word(l, w, 1, 0, true)) return false;
    for (size_t i = 0; i < l->slot_count; i++)
        if (l->entries[i].used && !push(l, (candidate){l->entries[i].count, l->entries[i].pair}))
            return false;
    return true;
}

/* --- merging --- */

/* The piece that both become together; its id. */
static hone_status join(learner *l, hone_pair p, int32_t *id) {
    const hone_piece a = l->v->pieces[p.left], b = l->v->pieces[p.right];
    size_t dropped = strlen(l->prefix), size = a.size + b.size;
    if (dropped > b.size || memcmp(b.text, l->prefix, dropped) != 0) dropped = 0;
    if (size > l->joined_capacity && !hone_reserve(&l->joined, &l->joined_capacity, size, 1))
        return hone_fail_memory(l->err);
    memcpy(l->joined, a.text, a.size);
    memcpy(l->joined + a.size, b.text + dropped, b.size - dropped);
    size -= dropped;
    *id = hone_vocabulary_find(l->v, l->joined, size);
    if (*id != HONE_NO_ID) return HONE_OK;
    *id = (int32_t)l->v->count;
    return hone_vocabulary_add(l->v, *id, l->joined, size, l->err);
}

static bool merge_word(learner *l, size_t word, hone_pair p, int32_t id) {
    int32_t *s = l->words->symbols + l->words->starts[word], to = 0, size = l->words->sizes[word];
    if (!count_word(l, word, -1, id, false)) return false;
    for (int32_t i = 0; i < size; to++) {
        bool both = i + 1 < size && s[i] == p.left && s[i + 1] == p.right;
        s[to] = both ? id : s[i];
        i += both ? 2 : 1;
    }
    l->words->sizes[word] = to;
    return count_word(l, word, 1, id, false);
}

static hone_status merge(learner *l, hone_pair p) {
    int32_t id = HONE_NO_ID;
    if (l->merge_count == l->merge_capacity &&
        !hone_reserve(&l->merges, &l->merge_capacity, l->merge_count + 1, sizeof *l->merges))
        return hone_fail_memory(l->err);
    l->merges[l->merge_count++] = p;
    HONE_TRY(join(l, p, &id));
    pair_entry *e = entry_of(l, p);
    uint32_t *words = e->words;
    size_t count = e->word_count;
    e->words = NULL;
    e->word_count = e->word_capacity = 0;
    bool good = true;
    for (size_t i = 0; i < count && good; i++) good = merge_word(l, words[i], p, id);
    /* what is new, with the counts that all words together give */
    for (size_t i = 0; i < count && good; i++) good = push_word(l, words[i], id);
    hone_free(words);
    return good ? HONE_OK : hone_fail_memory(l->err);
}

static hone_status learn(learner *l, size_t size) {
    if (!count_all(l)) return hone_fail_memory(l->err);
    while (l->v->count < size && l->heap_count) {
        candidate c = pop(l);
        const pair_entry *e = entry_of(l, c.pair);
        if (!e) return hone_fail_memory(l->err);
        if (e->count != c.count) {
            if (e->count > 0 && e->count < c.count && !push(l, (candidate){e->count, c.pair}))
                return hone_fail_memory(l->err);
            continue;
        }
        if (c.count < 2) break;
        HONE_TRY(merge(l, c.pair));
    }
    return HONE_OK;
}

hone_status hone_learn_pairs(hone_vocabulary *v, size_t size, const char *prefix, hone_pair_words *words,
                             hone_pair **merges, size_t *merge_count, hone_error *err) {
    learner l = {.v = v, .prefix = prefix, .words = words, .err = err};
    hone_status status = learn(&l, size);
    for (size_t i = 0; i < l.slot_count; i++) hone_free(l.entries[i].words);
    hone_free(l.entries);
    hone_free(l.heap);
    hone_free(l.joined);
    if (status == HONE_OK) {
        *merges = l.merges;
        *merge_count = l.merge_count;
    } else {
        hone_free(l.merges);
    }
    return status;
}
