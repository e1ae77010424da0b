#include "base/team.h"

#include "base/wait.h"

/* Claims and the step are counted modulo 2^32. A step ends when the last of its parts has been done: who did it sets `left`
 * anew and counts `step` up, which publishes all that the step has written. */
typedef struct claim {
    _Alignas(64) _Atomic uint32_t next; /* the first step whose part nobody has claimed */
} claim;

typedef struct team {
    hone_team_fn *fn;
    void *arg;
    uint32_t steps;
    int parts, threads;
    _Alignas(64) _Atomic uint32_t step;
    atomic_int left;
    _Atomic uint32_t asleep;
    claim claims[HONE_TEAM_PARTS];
} team;

static void end_step(team *t, uint32_t step) {
    atomic_store_explicit(&t->left, t->parts, memory_order_relaxed);
    atomic_store(&t->step, step + 1);
    if (atomic_load(&t->asleep) > 0) hone_futex_wake(&t->step, t->threads);
}

static void run_parts(team *t, uint32_t step, int worker) {
    const int first = (int)((int64_t)worker * t->parts / t->threads);
    for (int i = 0; i < t->parts; i++) {
        const int part = (first + i) % t->parts;
        uint32_t expected = step;
        if (atomic_load_explicit(&t->claims[part].next, memory_order_relaxed) != step ||
            !atomic_compare_exchange_strong_explicit(&t->claims[part].next, &expected, step + 1,
                                                     memory_order_relaxed, memory_order_relaxed))
            continue;
        t->fn(t->arg, step, part, worker);
        if (atomic_fetch_sub_explicit(&t->left, 1, memory_order_acq_rel) == 1) end_step(t, step);
    }
}

/* Until the step is another one. */
static void wait_for_end(team *t, uint32_t step) {
    if (hone_spin_until(hone_differs, &t->step, step)) return;
    atomic_fetch_add(&t->asleep, 1); /* before the kernel compares, so that end_step() can't miss it */
    while (atomic_load(&t->step) == step) hone_futex_wait(&t->step, step);
    atomic_fetch_sub(&t->asleep, 1);
}

static void join(void *arg, int64_t task, int worker) {
    (void)task;
    team *t = arg;
    uint32_t step;
    while ((step = atomic_load_explicit(&t->step, memory_order_acquire)) != t->steps) {
        run_parts(t, step, worker);
        wait_for_end(t, step);
    }
}

static void run_alone(int64_t steps, int parts, hone_team_fn *fn, void *arg) {
    for (int64_t step = 0; step < steps; step++)
        for (int part = 0; part < parts; part++) fn(arg, step, part, 0);
}

void hone_team_run(hone_pool *pool, int64_t steps, int parts, hone_team_fn *fn, void *arg) {
    const int threads = hone_pool_threads(pool) < parts ? hone_pool_threads(pool) : parts;
    if (threads == 1 || steps <= 1 || !hone_pool_spins(pool)) {
        run_alone(steps, parts, fn, arg);
        return;
    }
    team t = {
        .fn = fn, .arg = arg, .steps = (uint32_t)steps, .parts = parts, .threads = threads, .left = parts};
    hone_pool_run(pool, threads, join, &t);
}
