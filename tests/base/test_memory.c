#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static const size_t sizes[] = {0,     1,     63,    64,      65,      4096,    65472,
                               65535, 65536, 65537, 1000000, 4194304, 9000001, 33554432};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void fill(uint8_t *block, size_t size) {
    for (size_t i = 0; i < size; i++) block[i] = (uint8_t)(i * 31 + 7);
}

static bool is_filled(const uint8_t *block, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (block[i] != (uint8_t)(i * 31 + 7)) return false;
    return true;
}

static size_t process_pages(void) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages;
}

static void test_blocks_are_aligned_and_usable(void **state) {
    (void)state;
    uint8_t *blocks[SIZES];
    for (int i = 0; i < SIZES; i++) {
        blocks[i] = hone_alloc(sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 64, 0);
        fill(blocks[i], sizes[i]);
    }
    for (int i = 0; i < SIZES; i++) assert_true(is_filled(blocks[i], sizes[i]));
    for (int i = 0; i < SIZES; i++) hone_free(blocks[i]);
    hone_free(NULL);
}

static void test_large_blocks_begin_with_a_huge_page(void **state) {
    (void)state;
    if (SANITIZED) skip();
    const size_t huge = (size_t)2 << 20, size = 2 * huge + 100;
    void *blocks[3];
    const size_t before = process_pages();
    for (int i = 0; i < 3; i++) {
        blocks[i] = i == 1 ? hone_alloc_scattered(size) : hone_alloc(size);
        assert_int_equal((uintptr_t)blocks[i] % huge, 64);
        fill(blocks[i], size);
    }
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(process_pages(), before + 3 * ((size + 64 + page - 1) / page));
    for (int i = 0; i < 3; i++) {
        assert_true(is_filled(blocks[i], size));
        hone_free(blocks[i]);
    }
    assert_int_equal(process_pages(), before);
}

static void test_calloc_zeroes_what_was_used(void **state) {
    (void)state;
    for (int i = 0; i < SIZES; i++) {
        uint8_t *dirty = hone_alloc(sizes[i]);
        memset(dirty, 0xFF, sizes[i]);
        hone_free(dirty);
        uint8_t *block = hone_calloc(sizes[i], 1);
        assert_non_null(block);
        for (size_t k = 0; k < sizes[i]; k++) assert_true(block[k] == 0);
        hone_free(block);
    }
}

static void test_realloc_keeps_content(void **state) {
    (void)state;
    for (int from = 0; from < SIZES - 1; from++) {
        for (int to = 0; to < SIZES - 1; to++) {
            uint8_t *block = hone_alloc(sizes[from]);
            fill(block, sizes[from]);
            block = hone_realloc(block, sizes[to]);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % 64, 0);
            assert_true(is_filled(block, sizes[from] < sizes[to] ? sizes[from] : sizes[to]));
            fill(block, sizes[to]);
            hone_free(block);
        }
    }
    void *block = hone_realloc(NULL, 10);
    assert_non_null(block);
    hone_free(block);
}

static void test_large_blocks_go_back_to_the_system(void **state) {
    (void)state;
    if (SANITIZED) skip();
    const size_t size = (size_t)64 << 10, page = (size_t)sysconf(_SC_PAGESIZE);
    void *warm = hone_alloc(size);
    hone_free(warm);
    size_t before = process_pages();
    void *blocks[100];
    for (int i = 0; i < 100; i++) blocks[i] = hone_alloc(size);
    assert_true(process_pages() >= before + 100 * size / page);
    for (int i = 0; i < 100; i++) hone_free(blocks[i]);
    assert_int_equal(process_pages(), before);
    void *block = hone_alloc(256 * size);
    block = hone_realloc(block, size);
    assert_true(process_pages() < before + 2 * size / page);
    hone_free(block);
}

static size_t resident(void) {
    unsigned long all = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A byte in each 64 KB takes no more than its page, until the block is settled. */
static void test_scattered_blocks_take_what_is_written(void **state) {
    (void)state;
    const size_t size = (size_t)64 << 20, before = resident();
    uint8_t *block = hone_alloc_scattered(size);
    assert_non_null(block);
    for (size_t i = 0; i < size; i += 65536) block[i + 11] = 1;
    if (!SANITIZED) assert_true(resident() < before + (size >> 2));
    hone_settle(block);
    for (size_t i = 0; i < size; i += 4096) assert_int_equal(block[i + 11], i % 65536 == 0);
    hone_free(block);
    block = hone_alloc_scattered(100);
    for (size_t i = 0; i < 100; i++) assert_int_equal(block[i], 0);
    hone_settle(block);
    hone_free(block);
    hone_alloc_fail_at(1, false);
    assert_null(hone_alloc_scattered(size));
    hone_alloc_fail_at(0, false);
}

static void test_discarded_parts_are_no_longer_there(void **state) {
    (void)state;
    const size_t size = (size_t)64 << 20;
    uint8_t *block = hone_alloc(size);
    memset(block, 1, size);
    const size_t full = resident();
    hone_discard(block + 100, size / 2);
    if (!SANITIZED) assert_true(resident() < full - size / 2 + size / 16);
    assert_int_equal(block[99], 1);
    assert_int_equal(block[size / 2 + 100], 1);
    hone_discard(block + size - 10, 10); /* no whole page */
    assert_int_equal(block[size - 10], 1);
    hone_free(block);
}

/* What the kernel does by and by with pages that it finds alone: it puts huge ones in their places. */
static void test_scattered_blocks_stay_so(void **state) {
    (void)state;
    const size_t size = (size_t)64 << 20, part = (size_t)2 << 20;
    uint8_t *block = hone_alloc(size);
    memset(block, 1, size);
    const size_t full = resident();
    hone_scatter(block);
    for (size_t i = 0; i < size; i += part) hone_discard(block + i, part);
    (void)madvise(block - 64, size, 25); /* MADV_COLLAPSE */
    if (!SANITIZED) assert_true(resident() < full - size + size / 16);
    hone_free(block);
    block = hone_alloc(100);
    hone_scatter(block);
    hone_free(block);
}

static void test_impossible_sizes_are_refused(void **state) {
    (void)state;
    static const size_t impossible[] = {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX,
                                        (size_t)PTRDIFF_MAX - 64};
    if (SANITIZED) skip(); /* they end the program */
    uint8_t *small = hone_alloc(100), *large = hone_alloc(100000);
    fill(small, 100);
    fill(large, 100000);
    uint64_t count = hone_alloc_count();
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        assert_null(hone_alloc(impossible[i]));
        assert_null(hone_calloc(1, impossible[i]));
        assert_null(hone_realloc(small, impossible[i]));
        assert_null(hone_realloc(large, impossible[i]));
    }
    assert_true(hone_alloc_count() == count);
    assert_true(is_filled(small, 100));
    assert_true(is_filled(large, 100000));
    hone_free(small);
    hone_free(large);
}

static void test_overflow_is_seen(void **state) {
    (void)state;
    size_t out = 5;
    assert_null(hone_calloc(SIZE_MAX / 2 + 1, 2));
    assert_false(hone_mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_false(hone_mul_size(SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1, &out));
    assert_false(hone_add_size(SIZE_MAX, 1, &out));
    assert_int_equal(out, 5);
    assert_true(hone_mul_size(SIZE_MAX, 1, &out));
    assert_true(out == SIZE_MAX);
    assert_true(hone_mul_size(0, SIZE_MAX, &out));
    assert_int_equal(out, 0);
    assert_true(hone_add_size(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
}

static void test_count_is_of_successful_calls(void **state) {
    (void)state;
    uint64_t start = hone_alloc_count();
    void *a = hone_alloc(1), *b = hone_calloc(1, 100000);
    assert_int_equal(hone_alloc_count() - start, 2);
    a = hone_realloc(a, 2);
    b = hone_realloc(b, 500000);
    assert_int_equal(hone_alloc_count() - start, 4);
    hone_alloc_fail_at(1, true);
    assert_null(hone_alloc(1));
    assert_null(hone_realloc(b, 600000));
    hone_alloc_fail_at(0, false);
    hone_free(a);
    hone_free(b);
    assert_int_equal(hone_alloc_count() - start, 4);
}

static void test_hook_fails_the_nth(void **state) {
    (void)state;
    char *blocks[5] = {0};
    for (uint64_t n = 1; n <= 5; n++) {
        for (int and_after = 0; and_after < 2; and_after++) {
            hone_alloc_fail_at(n, and_after);
            for (uint64_t i = 1; i <= 5; i++) {
                blocks[i - 1] = i % 2 ? hone_alloc(10) : hone_calloc(10, 10000);
                bool fails = i == n || (and_after && i > n);
                assert_int_equal(blocks[i - 1] == NULL, fails);
            }
            hone_alloc_fail_at(0, false);
            for (int i = 0; i < 5; i++) hone_free(blocks[i]);
        }
    }
    for (int i = 0; i < SIZES; i++) { /* a failed realloc leaves the block alone */
        uint8_t *block = hone_alloc(sizes[i]);
        fill(block, sizes[i]);
        hone_alloc_fail_at(1, false);
        assert_null(hone_realloc(block, 2 * sizes[i] + 1));
        assert_true(is_filled(block, sizes[i]));
        hone_free(block);
        hone_alloc_fail_at(0, false);
    }
}

static void test_strdup(void **state) {
    (void)state;
    char *copy = hone_strdup("text");
    assert_string_equal(copy, "text");
    hone_free(copy);
    hone_alloc_fail_at(1, false);
    assert_null(hone_strdup("text"));
    hone_alloc_fail_at(0, false);
}

static void test_reserve_doubles(void **state) {
    (void)state;
    uint32_t *items = NULL;
    size_t capacity = 0;
    uint64_t count = hone_alloc_count();
    for (size_t n = 0; n < 100000; n++) {
        assert_true(hone_reserve(&items, &capacity, n + 1, sizeof *items));
        assert_true(capacity > n);
        items[n] = (uint32_t)n;
    }
    assert_true(hone_alloc_count() - count < 20);
    for (size_t n = 0; n < 100000; n++) assert_true(items[n] == n);

    uint32_t *before = items;
    size_t room = capacity;
    assert_false(hone_reserve(&items, &capacity, SIZE_MAX / 2, sizeof *items));
    hone_alloc_fail_at(1, false);
    assert_false(hone_reserve(&items, &capacity, capacity + 1, sizeof *items));
    hone_alloc_fail_at(0, false);
    assert_ptr_equal(items, before);
    assert_int_equal(capacity, room);
    assert_true(hone_reserve(&items, &capacity, 10, sizeof *items));
    assert_ptr_equal(items, before);
    hone_free(items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_usable),
        cmocka_unit_test(test_large_blocks_begin_with_a_huge_page),
        cmocka_unit_test(test_calloc_zeroes_what_was_used),
        cmocka_unit_test(test_realloc_keeps_content),
        cmocka_unit_test(test_large_blocks_go_back_to_the_system),
        cmocka_unit_test(test_scattered_blocks_take_what_is_written),
        cmocka_unit_test(test_discarded_parts_are_no_longer_there),
        cmocka_unit_test(test_scattered_blocks_stay_so),
        cmocka_unit_test(test_impossible_sizes_are_refused),
        cmocka_unit_test(test_overflow_is_seen),
        cmocka_unit_test(test_count_is_of_successful_calls),
        cmocka_unit_test(test_hook_fails_the_nth),
        cmocka_unit_test(test_strdup),
        cmocka_unit_test(test_reserve_doubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
