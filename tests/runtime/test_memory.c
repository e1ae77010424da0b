#include "runtime/memory.h"

#include "support/graphs.h"

enum { MANY = 200 };

static bool alive_together(const hone_buffer *a, const hone_buffer *b) {
    return a->first <= b->last && b->first <= a->last;
}

/* What any plan needs: the most bytes that are alive at one step. */
static size_t peak(const hone_buffer *buffers, int count, int steps) {
    size_t most = 0;
    for (int s = 0; s < steps; s++) {
        size_t bytes = 0;
        for (int i = 0; i < count; i++)
            if (buffers[i].first <= s && s <= buffers[i].last) bytes += (buffers[i].size + 63) / 64 * 64;
        if (bytes > most) most = bytes;
    }
    return most;
}

static size_t plan(hone_buffer *buffers, int count) {
    size_t total = 1;
    assert_true(hone_memory_plan(buffers, count, &total));
    for (int i = 0; i < count; i++) {
        const hone_buffer *a = &buffers[i];
        assert_int_equal(a->offset % 64, 0);
        assert_true(a->offset + a->size <= total);
        for (int k = 0; k < i; k++) {
            const hone_buffer *b = &buffers[k];
            bool apart = a->offset + a->size <= b->offset || b->offset + b->size <= a->offset;
            if (alive_together(a, b) && !apart) fail_msg("buffers %d and %d overlap", i, k);
        }
    }
    return total;
}

static void test_random_lifetimes(void **state) {
    (void)state;
    hone_rng r = hone_rng_make(11, 1);
    for (int round = 0; round < 300; round++) {
        hone_buffer buffers[MANY];
        int count = (int)hone_rng_below(&r, MANY), steps = 1 + (int)hone_rng_below(&r, 60);
        size_t sum = 0;
        for (int i = 0; i < count; i++) {
            hone_buffer *b = &buffers[i];
            *b = (hone_buffer){.size = hone_rng_below(&r, hone_rng_below(&r, 4) ? 3000 : 3)};
            b->first = (int)hone_rng_below(&r, (uint32_t)steps);
            b->last = b->first + (int)hone_rng_below(&r, (uint32_t)(steps - b->first));
            sum += (b->size + 63) / 64 * 64;
        }
        size_t total = plan(buffers, count);
        assert_true(total >= peak(buffers, count, steps));
        assert_true(total <= sum);
    }
}

/* A chain of layers takes the room of its two largest neighbours, not of all. */
static void test_chain_reuses(void **state) {
    (void)state;
    hone_buffer buffers[50];
    for (int i = 0; i < 50; i++) buffers[i] = (hone_buffer){.size = 6400, .first = i, .last = i + 1};
    assert_int_equal(plan(buffers, 50), 2 * 6400);
}

static void test_all_alive(void **state) {
    (void)state;
    hone_buffer buffers[3] = {{100, 0, 9, 0}, {64, 3, 3, 0}, {1, 9, 9, 0}};
    assert_int_equal(plan(buffers, 3), 128 + 64);
    hone_buffer whole[2] = {{100, 0, 9, 0}, {64, 0, 9, 0}};
    assert_int_equal(plan(whole, 2), 128 + 64);
}

/* More than can be addressed is never taken for little. */
static void test_beyond_all_memory(void **state) {
    (void)state;
    for (int count = 1; count <= 3; count++) {
        hone_buffer buffers[3];
        size_t total = 0;
        for (int i = 0; i < 3; i++) buffers[i] = (hone_buffer){.size = SIZE_MAX / 2 + 1, .last = 1};
        assert_true(hone_memory_plan(buffers, count, &total));
        assert_true(count == 1 ? total == SIZE_MAX / 2 + 1 : total == SIZE_MAX);
    }
}

static void test_nothing(void **state) {
    (void)state;
    hone_buffer empty[3] = {{0, 0, 5, 0}, {0, 0, 5, 0}, {10, 2, 3, 0}};
    assert_int_equal(plan(empty, 0), 0);
    assert_int_equal(plan(empty, 2), 0);
    assert_int_equal(plan(empty, 3), 64);
}

static void test_same_input_same_plan(void **state) {
    (void)state;
    hone_buffer a[40], b[40];
    for (int i = 0; i < 40; i++)
        a[i] = b[i] = (hone_buffer){.size = (size_t)(i % 4) * 100, .first = i / 3, .last = i / 2};
    plan(a, 40);
    plan(b, 40);
    for (int i = 0; i < 40; i++) assert_int_equal(a[i].offset, b[i].offset);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_buffer one = {100, 0, 1, 0};
    size_t total;
    hone_alloc_fail_at(1, true);
    bool ok = hone_memory_plan(&one, 1, &total);
    hone_alloc_fail_at(0, false);
    assert_false(ok);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_lifetimes),
        cmocka_unit_test(test_chain_reuses),
        cmocka_unit_test(test_all_alive),
        cmocka_unit_test(test_beyond_all_memory),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_same_input_same_plan),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
