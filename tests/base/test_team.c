#include "base/clock.h"
#include "base/memory.h"
#include "base/team.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_THREADS = 7 };
static const int thread_counts[] = {1, 2, 3, MOST_THREADS};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts };

static hone_pool *new_pool(int threads) {
    hone_pool *pool = NULL;
    assert_int_equal(hone_pool_new(threads, &pool, NULL), HONE_OK);
    return pool;
}

/* Each part of a step reads what all parts of the step before have written. */
typedef struct chain {
    int parts;
    uint64_t state[2][HONE_TEAM_PARTS]; /* not atomic: TSan sees a step that begins too early */
    int64_t done[HONE_TEAM_PARTS];      /* steps of each part */
    int mistakes[HONE_TEAM_PARTS];
    atomic_int in_use[MOST_THREADS]; /* a worker's scratch */
    unsigned slow;                   /* which parts are slow, as bits */
} chain;

static void link_on(void *arg, int64_t step, int part, int worker) {
    chain *c = arg;
    const uint64_t *from = c->state[step & 1];
    uint64_t sum = (uint64_t)part;
    if (worker < 0 || worker >= MOST_THREADS || part < 0 || part >= c->parts) return;
    if (atomic_exchange(&c->in_use[worker], 1)) c->mistakes[part]++;
    if (c->done[part]++ != step) c->mistakes[part]++;
    for (int i = 0; i < c->parts; i++) sum = sum * 6364136223846793005U + from[i];
    if (c->slow >> part & 1)
        for (int i = 0; i < 2000; i++) sum = sum * 6364136223846793005U + 1442695040888963407U;
    c->state[(step + 1) & 1][part] = sum;
    atomic_store(&c->in_use[worker], 0);
}

static chain run_chain(hone_pool *pool, int64_t steps, int parts, unsigned slow) {
    chain c = {.parts = parts, .slow = slow};
    hone_team_run(pool, steps, parts, link_on, &c);
    for (int i = 0; i < parts; i++) {
        assert_int_equal(c.done[i], steps);
        assert_int_equal(c.mistakes[i], 0);
    }
    return c;
}

static void test_steps_come_one_behind_the_other(void **state) {
    (void)state;
    static const int64_t steps[] = {0, 1, 2, 3, 50, 1001};
    for (int i = 0; i < THREAD_COUNTS; i++) {
        hone_pool *pool = new_pool(thread_counts[i]);
        for (int parts = 1; parts <= HONE_TEAM_PARTS; parts += parts < 4 ? 1 : 6)
            for (int s = 0; s < 6; s++)
                for (unsigned slow = 0; slow < 4; slow++) {
                    const chain expected = run_chain(NULL, steps[s], parts, slow),
                                got = run_chain(pool, steps[s], parts, slow);
                    assert_memory_equal(got.state, expected.state, sizeof got.state);
                    if (slow == 3) usleep(200); /* let the workers park */
                }
        hone_pool_free(pool);
    }
}

/* A team in a pool that is busy, with this very caller's job: it is alone. */
typedef struct nest {
    hone_pool *pool;
    atomic_int good;
} nest;

static void outer(void *arg, int64_t task, int worker) {
    nest *n = arg;
    (void)task;
    (void)worker;
    chain c = {.parts = 3};
    hone_team_run(n->pool, 20, 3, link_on, &c);
    if (c.done[0] == 20 && c.done[1] == 20 && c.done[2] == 20) n->good++;
}

static void test_a_team_within_a_job_is_alone(void **state) {
    (void)state;
    nest n = {.pool = new_pool(2)};
    hone_pool_run(n.pool, 10, outer, &n);
    assert_int_equal(n.good, 10);
    hone_pool_free(n.pool);
}

/* The thread that runs part 1 stands still in some step, for longer than anybody spins: who waits for it sleeps. */
typedef struct stall {
    atomic_int steps;
} stall;

static void stand_still(void *arg, int64_t step, int part, int worker) {
    stall *s = arg;
    (void)worker;
    if (part == 1 && step % 5 == 0) usleep(500);
    if (part == 0) s->steps++;
}

static void test_who_waits_long_sleeps(void **state) {
    (void)state;
    hone_pool *pool = new_pool(2);
    stall s = {0};
    clock_t before = clock();
    double begin = hone_seconds_now();
    hone_team_run(pool, 500, 2, stand_still, &s);
    double busy = (double)(clock() - before) / CLOCKS_PER_SEC, whole = hone_seconds_now() - begin;
    assert_int_equal(s.steps, 500);
    assert_true(whole >= 0.05);
    assert_true(busy < whole); /* two that spin would take twice the time */
    hone_pool_free(pool);
}

static void test_running_allocates_nothing(void **state) {
    (void)state;
    hone_pool *pool = new_pool(2);
    uint64_t count = hone_alloc_count();
    run_chain(pool, 100, 2, 0);
    assert_true(hone_alloc_count() == count);
    hone_pool_free(pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_come_one_behind_the_other),
        cmocka_unit_test(test_a_team_within_a_job_is_alone),
        cmocka_unit_test(test_who_waits_long_sleeps),
        cmocka_unit_test(test_running_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
