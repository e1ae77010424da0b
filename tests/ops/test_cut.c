/* Work is cut by its cost alone: each item once, for any number of threads. */
#include "ops/common/cut.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 100000 };

static void test_sizes(void **state) {
    (void)state;
    static const struct {
        int64_t count, unit;
        double nanoseconds;
        int64_t least, most; /* tasks */
    } cases[] = {
        {0, 1, 5, 0, 0},
        {0, 1, 0, 0, 0},
        {1, 1, 1e9, 1, 1},
        {7, 1, 1e9, 7, 7},
        {100, 1, 10, 1, 1},             /* 1 µs */
        {1000, 1, 64, 22, 26},          /* 64 µs */
        {100000, 512, 6.4, 22, 26},     /* 640 µs */
        {1000000, 512, 10, 200, 250},   /* 10 ms: as many as it is worth */
        {100000000, 64, 1, 2400, 2500}, /* 100 ms */
        {1000, 512, 1e6, 2, 2},         /* units are not cut */
        {INT64_MAX / 4, 1, 0, 1, 1},    /* no cost */
        {INT64_MAX / 4, 1, 1e-9, 1, 60000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_cut c = hone_cut_make(cases[i].count, cases[i].nanoseconds, cases[i].unit);
        int64_t tasks = hone_cut_tasks(&c);
        assert_true(c.each >= 1 && (tasks <= 1 || c.each % cases[i].unit == 0));
        assert_in_range(tasks, cases[i].least, cases[i].most);
    }
}

typedef struct marks {
    _Atomic uint8_t seen[MOST];
    atomic_int calls, bad;
    int64_t each;
} marks;

static void mark(void *arg, int64_t begin, int64_t end, int worker) {
    marks *m = arg;
    m->calls++;
    if (begin % m->each || begin >= end || end > MOST || worker < 0 || worker > 6) m->bad++;
    for (int64_t i = begin; i < end; i++) m->seen[i]++;
}

static void test_every_item_once(void **state) {
    (void)state;
    static marks m;
    for (int threads = 1; threads <= 7; threads += 3) {
        hone_pool *pool = NULL;
        assert_int_equal(hone_pool_new(threads, &pool, NULL), HONE_OK);
        hone_frame frame = {.pool = pool};
        for (int64_t count = 0; count <= MOST; count = count * 7 + 1) {
            hone_cut c = hone_cut_make(count, 100, 8);
            memset(&m, 0, sizeof m);
            m.each = c.each;
            hone_cut_run(&c, &frame, mark, &m);
            assert_int_equal(m.bad, 0);
            for (int64_t i = 0; i < MOST; i++) assert_int_equal(m.seen[i], i < count);
            bool shared = threads > 1 && c.nanoseconds >= HONE_PARALLEL_NANOSECONDS;
            assert_int_equal(m.calls, shared ? hone_cut_tasks(&c) : count > 0);
        }
        hone_pool_free(pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_every_item_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
