#include "base/file_list.h"

#include "base/memory.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

bool hone_file_list_add(hone_file_list *l, const char *path, const hone_fingerprint *is) {
    const hone_listed_file *last = l->count ? &l->items[l->count - 1] : NULL;
    if (last && strcmp(last->path, path) == 0 && hone_fingerprint_equal(&last->is, is)) return true;
    char *copy = hone_strdup(path);
    if (!copy || !hone_reserve(&l->items, &l->capacity, l->count + 1, sizeof *l->items)) {
        hone_free(copy);
        return false;
    }
    l->items[l->count++] = (hone_listed_file){copy, *is};
    return true;
}

static int by_path(const void *a, const void *b) {
    const hone_listed_file *x = a, *y = b;
    return strcmp(x->path, y->path);
}

const char *hone_file_list_unite(hone_file_list *l) {
    const char *changed = NULL;
    size_t kept = 0;
    if (l->count) qsort(l->items, l->count, sizeof *l->items, by_path);
    for (size_t i = 0; i < l->count; i++) {
        hone_listed_file *last = kept ? &l->items[kept - 1] : NULL;
        if (!last || strcmp(last->path, l->items[i].path) != 0) {
            l->items[kept++] = l->items[i];
            continue;
        }
        if (!changed && !hone_fingerprint_same_content(&last->is, &l->items[i].is)) changed = last->path;
        hone_free(l->items[i].path);
    }
    l->count = kept;
    return changed;
}

bool hone_file_list_copy(hone_file_list *to, const hone_file_list *from) {
    *to = (hone_file_list){0};
    for (size_t i = 0; i < from->count; i++)
        if (!hone_file_list_add(to, from->items[i].path, &from->items[i].is)) {
            hone_file_list_free(to);
            return false;
        }
    return true;
}

void hone_file_list_free(hone_file_list *l) {
    for (size_t i = 0; i < l->count; i++) hone_free(l->items[i].path);
    hone_free(l->items);
    *l = (hone_file_list){0};
}

void hone_print_add(hone_print *p, const char *path, const hone_fingerprint *is) {
    uint64_t name = hone_hash(path, strlen(path));
    uint64_t content[] = {p->content, name, is->device, is->inode, is->size, (uint64_t)is->modified};
    uint64_t changed[] = {p->changed, name, (uint64_t)is->changed};
    p->content = hone_hash(content, sizeof content);
    p->changed = hone_hash(changed, sizeof changed);
    if (is->modified > p->newest) p->newest = is->modified;
}

hone_print hone_file_list_print(const hone_file_list *l) {
    hone_print p = {0};
    for (size_t i = 0; i < l->count; i++) hone_print_add(&p, l->items[i].path, &l->items[i].is);
    return p;
}
