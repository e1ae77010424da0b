#include "runtime/packs.h"

#include <pthread.h>
#include <string.h>

/* One packed form of a constant. */
typedef struct pack_entry {
    const void *source; /* the constant's bytes */
    const char *format;
    void *data;
    size_t bytes;
} pack_entry;

struct hone_packs {
    pthread_mutex_t lock; /* guards what follows */
    pack_entry *entries;
    size_t count, capacity;
};

hone_packs *hone_packs_new(void) {
    hone_packs *s = hone_calloc(1, sizeof *s);
    if (s) pthread_mutex_init(&s->lock, NULL);
    return s;
}

void hone_packs_free(hone_packs *s) {
    if (!s) return;
    for (size_t i = 0; i < s->count; i++) hone_free(s->entries[i].data);
    hone_free(s->entries);
    pthread_mutex_destroy(&s->lock);
    hone_free(s);
}

size_t hone_packs_bytes(hone_packs *s) {
    size_t bytes = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++) bytes += s->entries[i].bytes;
    pthread_mutex_unlock(&s->lock);
    return bytes;
}

static void *find_or_make(hone_packs *s, const hone_tensor *t, const char *format, size_t bytes,
                          hone_pack_fn *pack, const void *arg) {
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].source == t->data && strcmp(s->entries[i].format, format) == 0)
            return s->entries[i].data;
    if (!hone_reserve(&s->entries, &s->capacity, s->count + 1, sizeof *s->entries)) return NULL;
    void *data = hone_alloc(bytes ? bytes : 1);
    if (!data) return NULL;
    pack(t, arg, data);
    s->entries[s->count++] = (pack_entry){t->data, format, data, bytes};
    return data;
}

const void *hone_prepare_pack(hone_prepare *p, const hone_tensor *t, const char *format, size_t bytes,
                              hone_pack_fn *pack, const void *arg, hone_error *err) {
    pthread_mutex_lock(&p->packs->lock);
    const void *data = find_or_make(p->packs, t, format, bytes, pack, arg);
    pthread_mutex_unlock(&p->packs->lock);
    if (!data) hone_fail_memory(err);
    return data;
}
