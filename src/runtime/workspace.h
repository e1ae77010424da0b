/* Memory for intermediate values: one block for each depth of nested bodies, grown to what the largest plan needs. */
#ifndef HONE_RUNTIME_WORKSPACE_H
#define HONE_RUNTIME_WORKSPACE_H

#include "base/error.h"
#include "runtime/growth.h"

#include <stdatomic.h>

typedef struct hone_block {
    void *data; /* aligned to 64; moves when it grows */
    size_t size;
} hone_block;

struct hone_workspace {
    atomic_int references;
    hone_block *blocks; /* by depth */
    size_t count, capacity;
};

hone_workspace *hone_workspace_retain(hone_workspace *w);
/* The block of that depth, of at least `bytes`, if `g` allows that. Borrowed; as it was on failure. */
hone_status hone_workspace_reserve(hone_workspace *w, int depth, size_t bytes, const hone_growth *g,
                                   hone_block **out, hone_error *err);
/* Makes `b` hold at least `bytes`, with its content kept when `keep`, if `g` allows that. */
hone_status hone_block_grow(hone_block *b, size_t bytes, bool keep, const hone_growth *g, hone_error *err);
size_t hone_workspace_bytes(const hone_workspace *w);
/* Gives all blocks back. */
void hone_workspace_clear(hone_workspace *w);

#endif
