#include "graph/names.h"

#include "base/memory.h"
#include "base/random.h"

#include <string.h>

/* Open addressing; a removed entry keeps its key with a NULL value, so that probing goes on past it. */
typedef struct entry {
    const char *key;
    void *value;
} entry;

struct hone_names {
    entry *entries;
    size_t capacity, used; /* capacity a power of two; used counts keys, removed ones too */
};

hone_names *hone_names_new(void) {
    hone_names *t = hone_calloc(1, sizeof *t);
    if (!t) return NULL;
    t->capacity = 64;
    t->entries = hone_calloc(t->capacity, sizeof *t->entries);
    if (!t->entries) {
        hone_free(t);
        return NULL;
    }
    return t;
}

void hone_names_free(hone_names *t) {
    if (!t) return;
    hone_free(t->entries);
    hone_free(t);
}

static entry *slot(entry *entries, size_t capacity, const char *key) {
    size_t i = (size_t)hone_hash(key, strlen(key)) & (capacity - 1);
    while (entries[i].key && strcmp(entries[i].key, key) != 0) i = (i + 1) & (capacity - 1);
    return &entries[i];
}

void *hone_names_get(const hone_names *t, const char *key) {
    return slot(t->entries, t->capacity, key)->value;
}

static bool grow(hone_names *t) {
    size_t live = 0;
    for (size_t i = 0; i < t->capacity; i++) live += t->entries[i].value != NULL;
    size_t capacity = 64;
    while (capacity < live * 4) capacity *= 2;
    entry *entries = hone_calloc(capacity, sizeof *entries);
    if (!entries) return false;
    for (size_t i = 0; i < t->capacity; i++)
        if (t->entries[i].value) *slot(entries, capacity, t->entries[i].key) = t->entries[i];
    hone_free(t->entries);
    t->entries = entries;
    t->capacity = capacity;
    t->used = live;
    return true;
}

bool hone_names_put(hone_names *t, const char *key, void *value) {
    entry *e = slot(t->entries, t->capacity, key);
    if (!e->key) {
        if (!value) return true;
        if (t->used * 2 >= t->capacity) {
            if (!grow(t)) return false;
            e = slot(t->entries, t->capacity, key);
        }
        t->used++;
    }
    e->key = key;
    e->value = value;
    return true;
}
