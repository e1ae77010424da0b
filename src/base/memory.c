#include "base/memory.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

/* From here on blocks are mappings, but under ASan, which watches the bounds and leaks of the heap only,
 * nothing is. */
#ifdef HONE_HEAP_WATCHED
#define MAP_FROM SIZE_MAX
#else
#define MAP_FROM ((size_t)64 << 10)
#endif

/* From here on blocks ask for huge pages and begin with one: reading samples of a data set in a random order, half of
 * the time goes into finding their pages, and large products take a tenth longer by small ones. And they are there
 * sooner and gone sooner: a server must not stand still for either. */
#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_FROM HUGE_PAGE

#ifdef MADV_COLLAPSE
#define COLLAPSE MADV_COLLAPSE
#else
#define COLLAPSE 25
#endif

/* Stands in front of every block and is as large as the alignment. */
typedef union header {
    struct {
        size_t size;
        size_t mapped; /* bytes of the mapping, header included; 0: from the heap */
    };
    char space[ALIGNMENT];
} header;

static _Atomic uint64_t alloc_count;
static _Atomic uint64_t fail_at, fail_seen;
static atomic_bool fail_after;

static bool must_fail(void) {
    uint64_t n = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (__builtin_expect(n == 0, 1)) return false;
    uint64_t now = atomic_fetch_add(&fail_seen, 1) + 1;
    return now == n || (now > n && atomic_load(&fail_after));
}

void hone_alloc_fail_at(uint64_t n, bool and_after) {
    atomic_store(&fail_at, 0);
    atomic_store(&fail_seen, 0);
    atomic_store(&fail_after, and_after);
    atomic_store(&fail_at, n);
}

uint64_t hone_alloc_count(void) {
    return atomic_load_explicit(&alloc_count, memory_order_relaxed);
}

static void count(void) {
    atomic_fetch_add_explicit(&alloc_count, 1, memory_order_relaxed);
}

/* Bytes of a mapping for a block of `size`; 0 when there is no such mapping. The end of a large one is a huge page,
 * too, if it fills half of it. */
static size_t mapping_size(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (size > (size_t)PTRDIFF_MAX - sizeof(header) - HUGE_PAGE) return 0;
    size_t mapped = (size + sizeof(header) + page - 1) & ~(page - 1);
    if (mapped >= HUGE_FROM && mapped % HUGE_PAGE >= HUGE_PAGE / 2)
        mapped = (mapped + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    return mapped;
}

static char *map(size_t size) {
    char *place = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return place != MAP_FAILED ? place : NULL;
}

/* `size` bytes from the first border of a huge page on; what lies around them goes back at once. */
static char *map_at_border(size_t size) {
    char *place = size <= SIZE_MAX - HUGE_PAGE ? map(size + HUGE_PAGE) : NULL;
    if (!place) return map(size);
    size_t before = -(uintptr_t)place & (HUGE_PAGE - 1);
    if (before) munmap(place, before);
    munmap(place + before + size, HUGE_PAGE - before);
    return place + before;
}

static void *map_block(size_t size, bool huge) {
    size_t mapped = mapping_size(size);
    if (mapped == 0) return NULL;
    header *h = (header *)(mapped >= HUGE_FROM ? map_at_border(mapped) : map(mapped));
    if (!h) return NULL;
    if (mapped >= HUGE_FROM)
        madvise(h, mapped, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE); /* a kernel may have none */
    h->size = size;
    h->mapped = mapped;
    return h + 1;
}

static void *heap_block(size_t size, bool zero) {
    void *place;
    if (size > (size_t)PTRDIFF_MAX - sizeof(header)) return NULL;
    if (posix_memalign(&place, ALIGNMENT, sizeof(header) + size) != 0) return NULL;
    header *h = place;
    h->size = size;
    h->mapped = 0;
    if (zero) memset(h + 1, 0, size);
    return h + 1;
}

static void *allocate(size_t size, bool zero, bool huge) {
    if (must_fail()) return NULL;
    void *block = size >= MAP_FROM ? map_block(size, huge) : heap_block(size, zero);
    if (block) count();
    return block;
}

void *hone_alloc(size_t size) {
    return allocate(size, false, true);
}

void *hone_calloc(size_t n, size_t size) {
    size_t bytes;
    return hone_mul_size(n, size, &bytes) ? allocate(bytes, true, true) : NULL;
}

void *hone_alloc_scattered(size_t size) {
    return allocate(size, true, false);
}

void hone_settle(void *block) {
    header *h = (header *)block - 1;
    if (h->mapped < HUGE_FROM) return;
    (void)madvise(h, h->mapped, MADV_HUGEPAGE);
    (void)madvise(h, h->mapped, COLLAPSE); /* a kernel before 6.1 does it by and by */
}

void hone_trim(void) {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

void hone_scatter(void *block) {
    header *h = (header *)block - 1;
    if (h->mapped >= HUGE_FROM) (void)madvise(h, h->mapped, MADV_NOHUGEPAGE);
}

static void *remap_block(header *h, size_t size) {
    if (must_fail()) return NULL;
    size_t mapped = mapping_size(size);
    if (mapped == 0) return NULL;
    if (mapped != h->mapped) {
        header *moved = mremap(h, h->mapped, mapped, MREMAP_MAYMOVE);
        if (moved == MAP_FAILED) return NULL;
        if (mapped >= HUGE_FROM) (void)madvise(moved, mapped, MADV_HUGEPAGE);
        h = moved;
    }
    h->size = size;
    h->mapped = mapped;
    count();
    return h + 1;
}

void *hone_realloc(void *block, size_t size) {
    if (!block) return hone_alloc(size);
    header *h = (header *)block - 1;
    if (h->mapped && size >= MAP_FROM) return remap_block(h, size);
    void *made = hone_alloc(size); /* realloc() would not keep the alignment */
    if (!made) return NULL;
    memcpy(made, block, size < h->size ? size : h->size);
    hone_free(block);
    return made;
}

void hone_free(void *block) {
    if (!block) return;
    header *h = (header *)block - 1;
    if (h->mapped)
        munmap(h, h->mapped);
    else
        free(h);
}

void hone_discard(void *part, size_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)part, end = start + size;
    start = (start + page - 1) & ~(page - 1);
    end &= ~(page - 1);
    if (start < end) (void)madvise((void *)start, end - start, MADV_DONTNEED);
}

char *hone_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    char *copy = hone_alloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

bool hone_mul_size(size_t a, size_t b, size_t *out) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

bool hone_add_size(size_t a, size_t b, size_t *out) {
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

bool hone_reserve(void *items, size_t *capacity, size_t need, size_t size) {
    if (need <= *capacity) return true;
    size_t room = *capacity > SIZE_MAX / 2 ? need : *capacity * 2, bytes;
    if (room < 8) room = 8;
    if (room < need) room = need;
    if (!hone_mul_size(room, size, &bytes)) return false;
    void *old, *made;
    memcpy(&old, items, sizeof old); /* `items` is a T **, which void ** must not alias */
    made = hone_realloc(old, bytes);
    if (!made) return false;
    memcpy(items, &made, sizeof made);
    *capacity = room;
    return true;
}
