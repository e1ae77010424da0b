/* Memory: one allocator that tests can make fail, checked sizes, and arenas. */
#ifndef HONE_BASE_MEMORY_H
#define HONE_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A sanitizer watches the bounds and leaks of every block of the heap: blocks are then not put together. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HONE_HEAP_WATCHED 1
#endif
#endif
#if (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define HONE_HEAP_WATCHED 1
#endif

/* Every allocation of Hone goes through these. Blocks of 64 KB and more come from mmap and go back with munmap, so
 * that an unloaded model's memory returns to the system. All blocks are aligned to 64 bytes. NULL when out of memory
 * or when the test hook says so; size 0 gives a valid block. */
void *hone_alloc(size_t size);
void *hone_calloc(size_t count, size_t size); /* zero-filled, NULL on overflow of the product */
/* Zero-filled, for a large block that is filled in no order: it takes memory by small pages, as they are written, until
 * hone_settle() puts them together into huge ones, which are faster to read. */
void *hone_alloc_scattered(size_t size);
void hone_settle(void *block);
void *hone_realloc(void *block, size_t size); /* keeps the content; on NULL the old block is untouched */
void hone_free(void *block);                  /* NULL is fine */
/* From now on the system puts none of the block's pages together: it fills what is missing between them, or was given
 * back by hone_discard(), when it does. */
void hone_scatter(void *block);
/* Gives back what is free between small blocks: after much has come and gone. */
void hone_trim(void);
/* Gives the whole pages inside of a part of a block back to the system. Their content is lost, the block stays whole:
 * it is freed as ever. For a block that is taken apart while another one grows. */
void hone_discard(void *part, size_t size);
char *hone_strdup(const char *text);

/* Number of successful calls of hone_alloc, hone_calloc and hone_realloc so far in this process, all threads. Tests
 * compare it before and after to prove that something allocates nothing. */
uint64_t hone_alloc_count(void);
/* The test hook: the n-th allocation from now on (1 = the next) fails, and all after it when `and_after`; 0: off. */
void hone_alloc_fail_at(uint64_t n, bool and_after);

/* a*b and a+b into *out; false (and *out untouched) on overflow. For sizes read from files. */
bool hone_mul_size(size_t a, size_t b, size_t *out);
bool hone_add_size(size_t a, size_t b, size_t *out);

/* An arena gives memory that lives until the arena is freed. Blocks are aligned to 16 bytes and zero-filled. */
typedef struct hone_arena hone_arena;
hone_arena *hone_arena_new(void); /* NULL when out of memory */
void hone_arena_free(hone_arena *arena);
void *hone_arena_alloc(hone_arena *arena, size_t size); /* NULL when out of memory */
void *hone_arena_array(hone_arena *arena, size_t count, size_t size);
char *hone_arena_strdup(hone_arena *arena, const char *text);
char *hone_arena_strndup(hone_arena *arena, const char *text, size_t length);
char *hone_arena_printf(hone_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes room for `need` elements in a growing array: `*items` has room for `*capacity` elements of `size` bytes.
 * Doubles. False when out of memory; the array is then as it was. */
bool hone_reserve(void *items /* T ** */, size_t *capacity, size_t need, size_t size);

#endif
