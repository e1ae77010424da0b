/* Small blocks of memory for the protocol libraries of one loop, which ask for many: cut from chunks by size,
 * with 16 bytes of their own instead of hone_alloc's 64. A chunk goes back to the system when all of its
 * blocks have come back, but for one of each size. One thread; a zeroed struct is ready. */
#ifndef HONE_SERVE_HTTP_BLOCKS_H
#define HONE_SERVE_HTTP_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

enum { HONE_BLOCK_SIZES = 15 };

typedef struct hone_blocks {
    bool plain; /* no chunks: every block is hone_alloc's, so that tests can make each of them fail */
    struct hone_block_chunk *open[HONE_BLOCK_SIZES]; /* chunks that have a free block */
    struct hone_block_chunk *spare[HONE_BLOCK_SIZES];
} hone_blocks;

/* NULL when memory is out. */
void *hone_blocks_take(hone_blocks *b, size_t size);
/* As realloc. */
void *hone_blocks_resize(hone_blocks *b, void *block, size_t size);
/* Copies what fits of `block` (NULL: nothing) into another, and gives it back. */
void hone_blocks_move(hone_blocks *b, void *to, void *block);
void hone_blocks_give(hone_blocks *b, void *block); /* NULL is fine */
/* All blocks must have come back. */
void hone_blocks_free(hone_blocks *b);

#endif
