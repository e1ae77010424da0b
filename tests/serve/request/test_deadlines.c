#include "base/clock.h"
#include "serve/request/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { COUNT = 500 };

static uint64_t armed;

static void note(void *user, uint64_t when) {
    (void)user;
    armed = when;
}

static uint64_t draw(unsigned *seed, uint64_t most) {
    *seed = *seed * 1664525u + 1013904223u;
    return (uint64_t)(*seed >> 4) * (most / (1u << 28) + 1) % most;
}

/* Of deadlines from now to a minute ahead, some moved and some given up, each is told at the first look at or after it,
 * and somebody is always asked to look by the first of them. */
static void tells_each_in_its_time(void **state) {
    static hone_deadlines d = {.arm = note};
    hone_request *r[COUNT];
    bool in[COUNT];
    unsigned seed = 7;
    uint64_t now = 1000 * 1000 * HONE_MILLISECOND;
    size_t left = COUNT, told = 0;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        r[i] = hone_request_new(NULL);
        r[i]->deadline = now + 1 + draw(&seed, 60000 * HONE_MILLISECOND);
        hone_deadlines_put(&d, r[i]);
        in[i] = true;
    }
    for (int i = 0; i < COUNT; i += 5) {
        hone_deadlines_remove(r[i]);
        hone_deadlines_remove(r[i]);
        in[i] = false;
        left--;
    }
    for (int i = 1; i < COUNT; i += 5) hone_request_bring_forward(r[i], now + 1 + r[i]->deadline % 1000000);
    assert_int_equal(d.count, left);
    while (left > 0) {
        uint64_t first = UINT64_MAX;
        for (int i = 0; i < COUNT; i++)
            if (in[i] && r[i]->deadline < first) first = r[i]->deadline;
        assert_true(armed > 0 && armed <= first);
        now = told % 7 == 6 ? now + draw(&seed, 3000 * HONE_MILLISECOND) : armed;
        for (hone_request *due = hone_deadlines_take(&d, now), *next; due; due = next) {
            int i = 0;
            next = due->due.next;
            while (r[i] != due) i++;
            assert_true(in[i] && due->deadline <= now);
            in[i] = false;
            left--;
            hone_request_release(due);
        }
        for (int i = 0; i < COUNT; i++) assert_true(!in[i] || r[i]->deadline > now);
        assert_int_equal(d.count, left);
        told++;
    }
    assert_int_equal(d.armed, 0);
    print_message("%d deadlines within a minute: %zu looks\n", COUNT, told);
    for (int i = 0; i < COUNT; i++) hone_request_release(r[i]);
}

/* One that is put in when its time has passed, before others or after a long silence. */
static void finds_what_is_late_already(void **state) {
    static hone_deadlines d = {.arm = note};
    hone_request *late = hone_request_new(NULL), *early = hone_request_new(NULL);
    uint64_t now = 5000 * HONE_MILLISECOND;
    (void)state;
    early->deadline = now + 60000 * HONE_MILLISECOND;
    late->deadline = 1;
    hone_deadlines_put(&d, early);
    hone_deadlines_put(&d, late);
    assert_int_equal(armed, 1);
    assert_ptr_equal(hone_deadlines_take(&d, now), late);
    assert_null(late->due.next);
    hone_request_release(late);
    assert_null(hone_deadlines_take(&d, early->deadline - 1));
    hone_request_release(late);
    hone_request_release(early); /* it is not answered, but gone */
    assert_int_equal(d.count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(tells_each_in_its_time),
                                       cmocka_unit_test(finds_what_is_late_already)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
