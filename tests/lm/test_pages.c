/* Pages: who holds them, and how they are found again; against a plain list that does the same slowly. */
#include "lm/pages.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 4, PAGES = 6 };

static hone_error err;
static const int32_t a[] = {1, 2, 3, 4}, b[] = {5, 6, 7, 8}, c[] = {9, 9, 9, 9};

static hone_lm_pages *make(int64_t count) {
    hone_lm_pages *p = NULL;
    assert_int_equal(hone_lm_pages_new(count, SIZE, &p, &err), HONE_OK);
    return p;
}

static void counts(const hone_lm_pages *p, int64_t held, int64_t cached) {
    assert_int_equal(hone_lm_pages_held(p), held);
    assert_int_equal(hone_lm_pages_cached(p), cached);
}

static void test_holds(void **state) {
    (void)state;
    hone_lm_pages *p = make(2);
    const int64_t x = hone_lm_pages_take(p), y = hone_lm_pages_take(p);
    assert_true(x != y && x >= 0 && y >= 0 && hone_lm_pages_take(p) == -1);
    counts(p, 2, 0);
    hone_lm_pages_release(p, x);
    assert_true(hone_lm_pages_take(p) == x);
    hone_lm_pages_release(p, x);
    hone_lm_pages_release(p, y);
    counts(p, 0, 0);
    hone_lm_pages_free(p);
}

static void test_chains(void **state) {
    (void)state;
    hone_lm_pages *p = make(4);
    const int64_t x = hone_lm_pages_take(p), y = hone_lm_pages_take(p);
    assert_int_equal(hone_lm_pages_publish(p, x, -1, a), x);
    assert_int_equal(hone_lm_pages_publish(p, y, x, b), y);
    assert_int_equal(hone_lm_pages_find(p, -1, b), -1); /* elsewhere they are other keys */
    assert_int_equal(hone_lm_pages_find(p, x, a), -1);
    assert_int_equal(hone_lm_pages_find(p, -1, a), x);
    assert_int_equal(hone_lm_pages_find(p, x, b), y);
    counts(p, 2, 0);
    for (int i = 0; i < 2; i++) {
        hone_lm_pages_release(p, y);
        hone_lm_pages_release(p, x);
    }
    counts(p, 0, 2);
    /* What nobody has published has nothing behind it. */
    const int64_t z = hone_lm_pages_take(p), w = hone_lm_pages_take(p);
    assert_int_equal(hone_lm_pages_publish(p, w, z, c), w);
    assert_int_equal(hone_lm_pages_find(p, z, c), -1);
    /* The end of a chain goes first, then what was released first. */
    assert_int_equal(hone_lm_pages_take(p), y);
    assert_int_equal(hone_lm_pages_find(p, -1, a), x);
    assert_int_equal(hone_lm_pages_find(p, x, b), -1);
    counts(p, 4, 0);
    assert_int_equal(hone_lm_pages_take(p), -1);
    hone_lm_pages_free(p);
}

/* A second page of the same tokens gives way to the first. */
static void test_same(void **state) {
    (void)state;
    hone_lm_pages *p = make(3);
    const int64_t x = hone_lm_pages_take(p), y = hone_lm_pages_take(p), z = hone_lm_pages_take(p);
    assert_int_equal(hone_lm_pages_publish(p, x, -1, a), x);
    assert_int_equal(hone_lm_pages_publish(p, y, -1, a), x);
    counts(p, 2, 0);
    assert_int_equal(hone_lm_pages_publish(p, z, x, a), z);
    hone_lm_pages_release(p, x);
    counts(p, 2, 0);
    hone_lm_pages_release(p, z);
    hone_lm_pages_release(p, x);
    counts(p, 0, 2);
    /* A page of a chain whose beginning has gone is not found by another chain with that page. */
    assert_true(hone_lm_pages_take(p) == y && hone_lm_pages_take(p) == z && hone_lm_pages_take(p) == x);
    assert_int_equal(hone_lm_pages_publish(p, x, -1, b), x);
    assert_int_equal(hone_lm_pages_find(p, x, a), -1);
    hone_lm_pages_free(p);
}

/* Texts of few different tokens come and go at random; a page must hold what its text says, all the time. */
static void test_random(void **state) {
    (void)state;
    enum { TEXTS = 4, MOST = 4 };
    int64_t pages[TEXTS][MOST], count[TEXTS] = {0};
    int32_t ids[TEXTS][MOST][SIZE], content[PAGES][SIZE];
    int64_t behind[PAGES]; /* how many pages are before it in its text */
    hone_lm_pages *p = make(PAGES);
    hone_rng r = hone_rng_make(3, 1);
    int found = 0, taken = 0;
    for (int step = 0; step < 20000; step++) {
        const uint32_t t = hone_rng_below(&r, TEXTS);
        if (count[t] == MOST || hone_rng_below(&r, 4) == 0) {
            while (count[t] > 0) hone_lm_pages_release(p, pages[t][--count[t]]);
            continue;
        }
        int32_t *own = ids[t][count[t]];
        for (int i = 0; i < SIZE; i++) own[i] = (int32_t)hone_rng_below(&r, 2) * (i == 0);
        const int64_t before = count[t] ? pages[t][count[t] - 1] : -1;
        int64_t i = hone_lm_pages_find(p, before, own);
        if (i >= 0) {
            found++;
            assert_memory_equal(content[i], own, sizeof content[i]);
            assert_int_equal(behind[i], count[t]);
        } else {
            i = hone_lm_pages_take(p);
            if (i < 0) continue;
            for (int k = 0; k < TEXTS; k++)
                for (int64_t x = 0; x < count[k]; x++) assert_true(pages[k][x] != i);
            taken++;
            memcpy(content[i], own, sizeof content[i]);
            behind[i] = count[t];
            assert_int_equal(hone_lm_pages_publish(p, i, before, own), i);
        }
        pages[t][count[t]++] = i;
    }
    assert_true(found > 1000 && taken > 1000);
    for (int t = 0; t < TEXTS; t++)
        while (count[t] > 0) hone_lm_pages_release(p, pages[t][--count[t]]);
    assert_int_equal(hone_lm_pages_held(p), 0);
    hone_lm_pages_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_holds), cmocka_unit_test(test_chains),
                                       cmocka_unit_test(test_same), cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
