#include "base/team.h"

#include "base/wait.h"

enum {
    PATIENCE = 16
}; /* checks before a thread takes a part that another one has had so far: about a microsecond */

/* `done` counts parts, of all steps: who reads that all of a step are done sees what they have written. */
typedef struct claim {
    _Alignas(64) _Atomic uint32_t next; /* the first step whose part nobody has claimed */
} claim;

typedef struct team {
    hone_team_fn *fn;
    void *arg;
    uint32_t steps, parts;
    int threads;
    _Alignas(64) _Atomic uint32_t done;
    _Alignas(64) _Atomic uint32_t asleep;
    claim claims[HONE_TEAM_PARTS];
} team;

/* Runs those of the parts [begin, end) that nobody has claimed; true if there were any. */
static bool run_parts(team *t, uint32_t step, uint32_t begin, uint32_t end, int worker) {
    bool any = false;
    for (uint32_t part = begin; part < end; part++) {
        uint32_t expected = step;
        if (atomic_load_explicit(&t->claims[part].next, memory_order_relaxed) != step ||
            !atomic_compare_exchange_strong_explicit(&t->claims[part].next, &expected, step + 1,
                                                     memory_order_relaxed, memory_order_relaxed))
            continue;
        any = true;
        t->fn(t->arg, step, (int)part, worker);
        const uint32_t done = atomic_fetch_add(&t->done, 1) + 1;
        if (done == (step + 1) * t->parts && atomic_load(&t->asleep) > 0)
            hone_futex_wake(&t->done, t->threads);
    }
    return any;
}

static bool spin_briefly(team *t, uint32_t end) {
    for (int i = 0; i < PATIENCE; i++) {
        if (atomic_load_explicit(&t->done, memory_order_acquire) >= end) return true;
        hone_pause();
    }
    return false;
}

/* Until so many parts are done. */
static void wait_for(team *t, uint32_t end) {
    if (hone_spin_until(hone_reaches, &t->done, end, HONE_SPIN_NANOSECONDS, NULL)) return;
    atomic_fetch_add(&t->asleep, 1); /* before the kernel compares, so that run_parts() can't miss it */
    for (uint32_t done; (done = atomic_load(&t->done)) < end;) hone_futex_wait(&t->done, done);
    atomic_fetch_sub(&t->asleep, 1);
}

/* Looking for parts that others leave takes the claims' cache lines from them: only who has found some lately looks at
 * once. */
static void join(void *arg, int64_t task, int worker) {
    (void)task;
    team *t = arg;
    const uint32_t first = (uint32_t)(worker % t->threads), threads = (uint32_t)t->threads;
    const uint32_t begin = first * t->parts / threads, end = (first + 1) * t->parts / threads;
    bool helps = true;
    for (;;) {
        const uint32_t step = atomic_load_explicit(&t->done, memory_order_acquire) / t->parts,
                       all = (step + 1) * t->parts;
        if (step == t->steps) return;
        run_parts(t, step, begin, end, worker);
        if (!helps && spin_briefly(t, all)) continue;
        helps = run_parts(t, step, 0, t->parts, worker);
        wait_for(t, all);
    }
}

static void run_alone(int64_t steps, int parts, hone_team_fn *fn, void *arg) {
    for (int64_t step = 0; step < steps; step++)
        for (int part = 0; part < parts; part++) fn(arg, step, part, 0);
}

void hone_team_run(hone_pool *pool, int64_t steps, int parts, hone_team_fn *fn, void *arg) {
    const int threads = hone_pool_threads(pool) < parts ? hone_pool_threads(pool) : parts;
    if (threads == 1 || steps <= 1 || steps > UINT32_MAX / HONE_TEAM_PARTS - 1 || !hone_pool_spins(pool)) {
        run_alone(steps, parts, fn, arg);
        return;
    }
    team t = {.fn = fn, .arg = arg, .steps = (uint32_t)steps, .parts = (uint32_t)parts, .threads = threads};
    hone_pool_run(pool, threads, join, &t);
}
