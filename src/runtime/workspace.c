#include "runtime/workspace.h"

#include "base/memory.h"

#include <string.h>

hone_status hone_workspace_create(hone_workspace **out, hone_error *err) {
    hone_workspace *w = hone_calloc(1, sizeof *w);
    if (!w) return hone_fail_memory(err);
    atomic_init(&w->references, 1);
    *out = w;
    return HONE_OK;
}

hone_workspace *hone_workspace_retain(hone_workspace *w) {
    if (w) atomic_fetch_add_explicit(&w->references, 1, memory_order_relaxed);
    return w;
}

void hone_workspace_free(hone_workspace *w) {
    if (!w || atomic_fetch_sub_explicit(&w->references, 1, memory_order_acq_rel) != 1) return;
    hone_workspace_clear(w);
    hone_free(w->blocks);
    hone_free(w);
}

void hone_workspace_clear(hone_workspace *w) {
    for (size_t i = 0; i < w->count; i++) {
        hone_free(w->blocks[i].data);
        w->blocks[i] = (hone_block){NULL, 0};
    }
}

hone_status hone_block_grow(hone_block *b, size_t bytes, bool keep, const hone_growth *g, hone_error *err) {
    if (bytes <= b->size && b->data) return HONE_OK;
    if (g->allow && bytes > b->size && !g->allow(g->user, bytes - b->size))
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                         "there is no room for %zu bytes of intermediate values", bytes);
    void *data = hone_calloc(bytes ? bytes : 1, 1);
    if (!data)
        return hone_fail(err, HONE_OUT_OF_MEMORY, "out of memory: intermediate values take %zu bytes", bytes);
    if (keep && b->size) memcpy(data, b->data, b->size);
    hone_free(b->data);
    *b = (hone_block){data, bytes};
    return HONE_OK;
}

hone_status hone_workspace_reserve(hone_workspace *w, int depth, size_t bytes, const hone_growth *g,
                                   hone_block **out, hone_error *err) {
    while (w->count <= (size_t)depth) {
        if (!hone_reserve(&w->blocks, &w->capacity, w->count + 1, sizeof *w->blocks))
            return hone_fail_memory(err);
        w->blocks[w->count++] = (hone_block){NULL, 0};
    }
    *out = &w->blocks[depth];
    return hone_block_grow(*out, bytes, false, g, err);
}

size_t hone_workspace_bytes(const hone_workspace *w) {
    size_t bytes = 0;
    for (size_t i = 0; i < w->count; i++) bytes += w->blocks[i].size;
    return bytes;
}
