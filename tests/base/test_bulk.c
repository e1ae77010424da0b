/* One block for many tensors: parts lie apart, keep what is in them while others go, and give their pages back. */
#include "base/bulk.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PARTS = 5 };

static const size_t sizes[PARTS] = {1, 4096, 70001, (size_t)3 << 20, 64};

static size_t total(void) {
    size_t bytes = 0;
    for (int i = 0; i < PARTS; i++) bytes += sizes[i];
    return bytes;
}

/* Bytes of the process that are in memory. */
static size_t resident(void) {
    unsigned long all = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &all, &pages), 2);
    fclose(file);
    return pages * 4096;
}

static void take_all(hone_bulk *b, uint8_t **data, hone_bulk_part **part) {
    for (int i = 0; i < PARTS; i++) {
        data[i] = hone_bulk_take(b, sizes[i], &part[i]);
        assert_non_null(data[i]);
        assert_int_equal((uintptr_t)data[i] % 64, 0);
        for (size_t k = 0; k < sizes[i]; k++) assert_int_equal(data[i][k], 0);
        memset(data[i], i + 1, sizes[i]);
    }
}

static void test_parts(void **state) {
    (void)state;
    static const int order[PARTS] = {3, 0, 4, 1, 2};
    hone_bulk *b = hone_bulk_new(total(), PARTS);
    uint8_t *data[PARTS];
    hone_bulk_part *part[PARTS], *more;
    if (!b) skip(); /* a sanitizer watches blocks */
    take_all(b, data, part);
    assert_null(hone_bulk_take(b, 1, &more));
    hone_bulk_free(b);
    const size_t before = resident();
    for (int n = 0; n < PARTS; n++) {
        hone_bulk_part_free(part[order[n]]);
        if (n == 0) assert_true(resident() + sizes[3] / 2 < before);
        for (int left = n + 1; left < PARTS; left++)
            for (size_t k = 0; k < sizes[order[left]]; k++)
                assert_int_equal(data[order[left]][k], order[left] + 1);
    }
    assert_null(hone_bulk_take(NULL, 1, &more));
}

static void test_room(void **state) {
    (void)state;
    hone_bulk *b = hone_bulk_new(100, 2);
    hone_bulk_part *part;
    if (!b) skip();
    assert_null(hone_bulk_take(b, 1000, &part));
    assert_non_null(hone_bulk_take(b, 100, &part));
    hone_bulk_part_free(part);
    hone_bulk_free(b);
    assert_null(hone_bulk_new(SIZE_MAX, 2));
    hone_bulk_free(NULL);
}

static void test_without_memory(void **state) {
    (void)state;
    for (uint64_t n = 1; n <= 3; n++) {
        hone_alloc_fail_at(n, false);
        hone_bulk *b = hone_bulk_new(total(), PARTS);
        hone_alloc_fail_at(0, false);
        assert_null(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_parts), cmocka_unit_test(test_room),
                                       cmocka_unit_test(test_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
