#include "serve/http/slab.h"

#include "base/memory.h"

#include <stdint.h>
#include <string.h>

enum {
    CHUNK_LEAST = 68 << 10, /* such that hone_alloc maps them */
    CHUNK_BLOCKS = 15,
    CHUNK_HEADER = 64 /* of hone_alloc: whole pages with it */
};

typedef struct hone_slab_chunk chunk;

/* Stands in front of each block. */
typedef struct header {
    chunk *chunk; /* NULL: the block is hone_alloc's */
    size_t size;  /* that it has room for */
} header;

/* A block that was given back. */
typedef struct free_block {
    header header;
    struct free_block *next;
} free_block;

struct hone_slab_chunk {
    chunk *previous, *next; /* in `open` */
    free_block *free;
    char *fresh, *end; /* never used so far */
    int used, size_class;
};

_Static_assert(sizeof(header) == 16, "blocks are aligned to 16 bytes");

/* The last one suits nghttp2's buffer for a frame, of which an idle session touches only the start. */
static const uint16_t sizes[HONE_SLAB_SIZES] = {32,  64,   96,   128,  192,  256,  384,  512,
                                                768, 1024, 1536, 2048, 3072, 4096, 16416};

static int class_of(size_t size) {
    int i = 0;
    while (i < HONE_SLAB_SIZES && sizes[i] < size) i++;
    return i;
}

static void *plain_block(size_t size) {
    size_t bytes;
    header *h = hone_add_size(size, sizeof *h, &bytes) ? hone_alloc(bytes) : NULL;
    if (!h) return NULL;
    *h = (header){NULL, size};
    return h + 1;
}

static void link_open(hone_slab *s, chunk *c) {
    chunk **first = &s->open[c->size_class];
    c->previous = NULL;
    c->next = *first;
    if (*first) (*first)->previous = c;
    *first = c;
}

static void unlink_open(hone_slab *s, chunk *c) {
    *(c->previous ? &c->previous->next : &s->open[c->size_class]) = c->next;
    if (c->next) c->next->previous = c->previous;
}

static size_t stride(int size_class) {
    return sizes[size_class] + sizeof(header);
}

static size_t chunk_bytes(int size_class) {
    size_t least = CHUNK_BLOCKS * stride(size_class) + sizeof(chunk) + CHUNK_HEADER;
    return ((least < CHUNK_LEAST ? CHUNK_LEAST : least) + 4095) / 4096 * 4096 - CHUNK_HEADER;
}

static chunk *open_chunk(hone_slab *s, int size_class) {
    chunk *c = s->spare[size_class];
    if (c) {
        s->spare[size_class] = NULL;
    } else {
        c = hone_alloc(chunk_bytes(size_class));
        if (!c) return NULL;
        c->free = NULL;
        c->fresh = (char *)c + ((sizeof *c + 15) & ~(size_t)15);
        c->end = (char *)c + chunk_bytes(size_class);
        c->used = 0;
        c->size_class = size_class;
    }
    link_open(s, c);
    return c;
}

static bool is_full(const chunk *c) {
    return !c->free && (size_t)(c->end - c->fresh) < stride(c->size_class);
}

void *hone_slab_alloc(hone_slab *s, size_t size) {
    int size_class = class_of(size);
    if (s->plain || size_class == HONE_SLAB_SIZES) return plain_block(size);
    chunk *c = s->open[size_class];
    if (!c && !(c = open_chunk(s, size_class))) return NULL;
    header *h;
    if (c->free) {
        h = &c->free->header;
        c->free = c->free->next;
    } else {
        h = (header *)(void *)c->fresh;
        c->fresh += stride(size_class);
        *h = (header){c, sizes[size_class]};
    }
    c->used++;
    if (is_full(c)) unlink_open(s, c);
    return h + 1;
}

void hone_slab_free(hone_slab *s, void *block) {
    if (!block) return;
    header *h = (header *)block - 1;
    chunk *c = h->chunk;
    if (!c) {
        hone_free(h);
        return;
    }
    if (is_full(c)) link_open(s, c);
    free_block *f = (free_block *)(void *)h;
    f->next = c->free;
    c->free = f;
    if (--c->used > 0) return;
    unlink_open(s, c);
    if (s->spare[c->size_class])
        hone_free(c);
    else
        s->spare[c->size_class] = c;
}

static size_t size_of(void *block) {
    return ((header *)block - 1)->size;
}

void hone_slab_move(hone_slab *s, void *to, void *block) {
    if (!block) return;
    memcpy(to, block, size_of(block) < size_of(to) ? size_of(block) : size_of(to));
    hone_slab_free(s, block);
}

void *hone_slab_realloc(hone_slab *s, void *block, size_t size) {
    if (!block) return hone_slab_alloc(s, size);
    size_t before = size_of(block);
    if (size <= before && size >= before / 4) return block;
    void *moved = hone_slab_alloc(s, size);
    if (!moved) return NULL;
    hone_slab_move(s, moved, block);
    return moved;
}

void hone_slab_destroy(hone_slab *s) {
    for (int i = 0; i < HONE_SLAB_SIZES; i++) {
        hone_free(s->spare[i]);
        s->spare[i] = NULL;
    }
}
