#include "import/stored.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
    return strcmp(((const hone_stored *)a)->name, ((const hone_stored *)b)->name);
}

const hone_stored *hone_stored_sort(hone_stored *tensors, size_t count) {
    if (count) qsort(tensors, count, sizeof *tensors, by_name);
    for (size_t i = 1; i < count; i++)
        if (strcmp(tensors[i - 1].name, tensors[i].name) == 0) return &tensors[i];
    return NULL;
}

const hone_stored *hone_store_take(const hone_store *s, const char *name) {
    const hone_stored key = {.name = name};
    const hone_stored *t = s->count ? bsearch(&key, s->tensors, s->count, sizeof key, by_name) : NULL;
    if (t) s->used[t - s->tensors] = true;
    return t;
}
