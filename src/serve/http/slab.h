/* A slab allocator for the protocol libraries of one loop, which ask for many small blocks: cut from chunks by size,
 * with 16 bytes of their own instead of hone_alloc's 64. A chunk goes back to the system when all of its
 * blocks have come back, but for one of each size. One thread; a zeroed struct is ready. */
#ifndef HONE_SERVE_HTTP_SLAB_H
#define HONE_SERVE_HTTP_SLAB_H

#include <stdbool.h>
#include <stddef.h>

enum { HONE_SLAB_SIZES = 15 };

typedef struct hone_slab {
    bool plain; /* no chunks: every block is hone_alloc's, so that tests can make each of them fail */
    struct hone_slab_chunk *open[HONE_SLAB_SIZES]; /* chunks that have a free block */
    struct hone_slab_chunk *spare[HONE_SLAB_SIZES];
} hone_slab;

/* NULL when memory is out. */
void *hone_slab_alloc(hone_slab *s, size_t size);
/* As realloc. */
void *hone_slab_realloc(hone_slab *s, void *block, size_t size);
/* Copies what fits of `block` (NULL: nothing) into another, and gives it back. */
void hone_slab_move(hone_slab *s, void *to, void *block);
void hone_slab_free(hone_slab *s, void *block); /* NULL is fine */
/* All blocks must have come back. */
void hone_slab_destroy(hone_slab *s);

#endif
