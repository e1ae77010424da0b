#include "text/vocabulary.h"

#include "base/random.h"

#include <string.h>

static size_t first_slot(const hone_vocabulary *v, const char *text, size_t size) {
    return (size_t)hone_hash(text, size) & (v->slot_count - 1);
}

static bool is_piece(const hone_vocabulary *v, int32_t id, const char *text, size_t size) {
    const hone_piece *p = &v->pieces[id];
    return p->size == size && memcmp(p->text, text, size) == 0;
}

int32_t hone_vocabulary_find(const hone_vocabulary *v, const char *text, size_t size) {
    if (v->slot_count == 0) return HONE_NO_ID;
    size_t at = first_slot(v, text, size);
    while (v->slots[at] != HONE_NO_ID && !is_piece(v, v->slots[at], text, size))
        at = (at + 1) & (v->slot_count - 1);
    return v->slots[at];
}

static void put(hone_vocabulary *v, int32_t id) {
    size_t at = first_slot(v, v->pieces[id].text, v->pieces[id].size);
    while (v->slots[at] != HONE_NO_ID) at = (at + 1) & (v->slot_count - 1);
    v->slots[at] = id;
}

static bool grow(hone_vocabulary *v) {
    size_t count = v->slot_count ? 2 * v->slot_count : 1024;
    int32_t *slots = hone_alloc(count * sizeof *slots), *old = v->slots;
    size_t old_count = v->slot_count;
    if (!slots) return false;
    for (size_t i = 0; i < count; i++) slots[i] = HONE_NO_ID;
    v->slots = slots;
    v->slot_count = count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i] != HONE_NO_ID) put(v, old[i]);
    hone_free(old);
    return true;
}

hone_status hone_vocabulary_add(hone_vocabulary *v, int64_t id, const char *text, size_t size,
                                hone_error *err) {
    if (id < 0 || id >= HONE_MAX_ID)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "id %lld of the piece '%.*s' is out of range",
                         (long long)id, (int)(size < 60 ? size : 60), text);
    size_t need = (size_t)id + 1, old = v->count;
    if (need > v->capacity && !hone_reserve(&v->pieces, &v->capacity, need, sizeof *v->pieces))
        return hone_fail_memory(err);
    if (need > old) {
        memset(v->pieces + old, 0, (need - old) * sizeof *v->pieces);
        v->count = need;
    }
    hone_piece *p = &v->pieces[id];
    if (p->text && !is_piece(v, (int32_t)id, text, size))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "id %lld is of two pieces: '%.*s' and '%.*s'",
                         (long long)id, (int)(p->size < 60 ? p->size : 60), p->text,
                         (int)(size < 60 ? size : 60), text);
    if (p->text) return HONE_OK;
    int32_t there = hone_vocabulary_find(v, text, size);
    if (2 * (v->used + 1) > v->slot_count && !grow(v)) return hone_fail_memory(err);
    char *copy = hone_arena_alloc(v->arena, size + 1);
    if (!copy) return hone_fail_memory(err);
    if (size) memcpy(copy, text, size);
    *p = (hone_piece){copy, size};
    if (size > v->longest) v->longest = size;
    if (there == HONE_NO_ID) {
        put(v, (int32_t)id);
        v->used++;
    }
    return HONE_OK;
}

void hone_vocabulary_hide(hone_vocabulary *v, const bool *hidden, size_t count) {
    for (size_t i = 0; i < v->slot_count; i++) v->slots[i] = HONE_NO_ID;
    for (size_t id = 0; id < v->count; id++) {
        const hone_piece *p = &v->pieces[id];
        bool shown = p->text && !(id < count && hidden[id]);
        if (shown && hone_vocabulary_find(v, p->text, p->size) == HONE_NO_ID) put(v, (int32_t)id);
    }
}

void hone_vocabulary_free(hone_vocabulary *v) {
    hone_free(v->pieces);
    hone_free(v->slots);
}
