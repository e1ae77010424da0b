#include "base/memory.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_blocks_are_aligned_zeroed_and_apart(void **state) {
    (void)state;
    enum { BLOCKS = 3000 };
    static uint8_t *blocks[BLOCKS];
    static size_t sizes[BLOCKS];
    hone_rng r = hone_rng_make(1, 2);
    hone_arena *arena = hone_arena_new();
    for (int i = 0; i < BLOCKS; i++) {
        sizes[i] = hone_rng_below(&r, i % 100 == 0 ? 500000 : 200);
        blocks[i] = hone_arena_alloc(arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++) assert_true(blocks[i][k] == 0);
        memset(blocks[i], i & 0xFF, sizes[i]);
    }
    for (int i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < sizes[i]; k++) assert_true(blocks[i][k] == (i & 0xFF));
    hone_arena_free(arena);
    hone_arena_free(NULL);
}

static void test_small_blocks_share_chunks(void **state) {
    (void)state;
    hone_arena *arena = hone_arena_new();
    uint64_t count = hone_alloc_count();
    for (int i = 0; i < 100000; i++) assert_non_null(hone_arena_alloc(arena, 32));
    assert_true(hone_alloc_count() - count < 20);
    assert_non_null(hone_arena_alloc(arena, 0));
    hone_arena_free(arena);
}

static void test_texts(void **state) {
    (void)state;
    hone_arena *arena = hone_arena_new();
    char text[] = "some text";
    char *copy = hone_arena_strdup(arena, text);
    char *start = hone_arena_strndup(arena, text, 4);
    char *whole = hone_arena_strndup(arena, text, 400);
    char *empty = hone_arena_strndup(arena, text, 0);
    char *printed = hone_arena_printf(arena, "%s/%d", text, 42);
    char *padded = hone_arena_printf(arena, "%5000d", 1);
    memset(text, 'z', sizeof text - 1);
    assert_string_equal(copy, "some text");
    assert_string_equal(start, "some");
    assert_string_equal(whole, "some text");
    assert_string_equal(empty, "");
    assert_string_equal(printed, "some text/42");
    assert_int_equal(strlen(padded), 5000);
    hone_arena_free(arena);
}

static void test_overflow_is_refused(void **state) {
    (void)state;
    hone_arena *arena = hone_arena_new();
    assert_null(hone_arena_array(arena, SIZE_MAX / 4, 8));
    assert_null(hone_arena_alloc(arena, SIZE_MAX));
    assert_null(hone_arena_alloc(arena, SIZE_MAX - 16));
    assert_null(hone_arena_alloc(arena, SIZE_MAX - 31));
    uint64_t *numbers = hone_arena_array(arena, 10, sizeof *numbers);
    assert_non_null(numbers);
    assert_true(numbers[9] == 0);
    hone_arena_free(arena);
}

static void test_failing_allocations(void **state) {
    (void)state;
    hone_alloc_fail_at(1, true);
    assert_null(hone_arena_new());
    hone_alloc_fail_at(0, false);
    hone_arena *arena = hone_arena_new();
    char *kept = hone_arena_strdup(arena, "kept");
    hone_alloc_fail_at(1, true);
    assert_null(hone_arena_alloc(arena, 100000));
    assert_null(hone_arena_printf(arena, "%100000d", 1));
    int fitted = 0;
    while (hone_arena_alloc(arena, 64)) fitted++;
    assert_in_range(fitted, 1, 64); /* what the first chunk had left */
    assert_null(hone_arena_strdup(arena, "a text that has no place any more, since the chunk is full"));
    hone_alloc_fail_at(0, false);
    assert_non_null(hone_arena_alloc(arena, 64));
    assert_string_equal(kept, "kept");
    hone_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_zeroed_and_apart),
        cmocka_unit_test(test_small_blocks_share_chunks),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_overflow_is_refused),
        cmocka_unit_test(test_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
