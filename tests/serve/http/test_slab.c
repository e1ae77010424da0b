/* Small blocks: they do not overlap, they come back, and the chunks go back. */
#include "base/memory.h"
#include "serve/http/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT = 4000 };

typedef struct block {
    unsigned char *data;
    size_t size;
} block;

static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void fill(const block *b, size_t index) {
    for (size_t i = 0; i < b->size; i++) b->data[i] = (unsigned char)(index * 31 + i);
}

static void check(const block *b, size_t index, size_t size) {
    for (size_t i = 0; i < size; i++) assert_int_equal(b->data[i], (unsigned char)(index * 31 + i));
}

/* Takes, resizes and gives at random, each block full of what only it would hold. */
static void churn(bool plain) {
    hone_slab pool = {.plain = plain};
    static block blocks[COUNT];
    uint32_t seed = 1;
    memset(blocks, 0, sizeof blocks);
    for (int step = 0; step < 30000; step++) {
        size_t i = next_random(&seed) % COUNT, size = next_random(&seed) % (step % 50 ? 600 : 40000);
        block *b = &blocks[i];
        if (!b->data) {
            *b = (block){hone_slab_alloc(&pool, size), size};
            assert_non_null(b->data);
            assert_int_equal((uintptr_t)b->data % 16, 0);
            fill(b, i);
        } else if (next_random(&seed) % 3 == 0) {
            size_t kept = size < b->size ? size : b->size;
            b->data = hone_slab_realloc(&pool, b->data, size);
            assert_non_null(b->data);
            check(b, i, kept);
            b->size = size;
            fill(b, i);
        } else {
            check(b, i, b->size);
            hone_slab_free(&pool, b->data);
            b->data = NULL;
        }
    }
    for (size_t i = 0; i < COUNT; i++)
        if (blocks[i].data) check(&blocks[i], i, blocks[i].size), hone_slab_free(&pool, blocks[i].data);
    hone_slab_destroy(&pool);
}

static void keeps_blocks_apart(void **state) {
    (void)state;
    churn(false);
    churn(true);
}

static void allocates_seldom(void **state) {
    hone_slab pool = {0};
    void *blocks[200];
    (void)state;
    for (int i = 0; i < 200; i++) blocks[i] = hone_slab_alloc(&pool, 100);
    for (int i = 0; i < 200; i++) hone_slab_free(&pool, blocks[i]);
    uint64_t before = hone_alloc_count();
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 200; i++) blocks[i] = hone_slab_alloc(&pool, 100);
        for (int i = 0; i < 200; i++) hone_slab_free(&pool, blocks[199 - i]);
    }
    assert_int_equal(hone_alloc_count(), before);
    hone_slab_destroy(&pool);
}

static void fails_without_harm(void **state) {
    hone_slab pool = {0};
    (void)state;
    unsigned char *b = hone_slab_alloc(&pool, 10);
    memset(b, 7, 10);
    hone_alloc_fail_at(1, true);
    assert_null(hone_slab_alloc(&pool, 3000));
    assert_null(hone_slab_realloc(&pool, b, 3000));
    assert_null(hone_slab_alloc(&pool, SIZE_MAX));
    hone_alloc_fail_at(0, false);
    assert_null(hone_slab_alloc(&pool, SIZE_MAX - 8));
    for (int i = 0; i < 10; i++) assert_int_equal(b[i], 7);
    hone_slab_free(&pool, b);
    hone_slab_free(&pool, NULL);
    hone_slab_destroy(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_blocks_apart),
                                       cmocka_unit_test(allocates_seldom),
                                       cmocka_unit_test(fails_without_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
