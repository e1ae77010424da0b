#include "base/pool.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/subnormal.h"
#include "base/thread.h"
#include "base/wait.h"

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_THREADS = 1024, MOST_RANGES = 16 };
enum { IDLE_NANOSECONDS = 150000, CROWDED_NANOSECONDS = 20000000 };

/* Bits of `state`. A worker enters by adding INSIDE, and leaves at once if it finds the job not OPEN; the
 * caller ends a job by taking OPEN away and waiting until no worker is inside. So a worker that sleeps
 * through a job costs nothing, and what the job is (fn, arg, tasks) changes only while nobody may read it. */
enum { OPEN = 1, CALLER_PARKED = 2, INSIDE = 4 };

typedef struct worker {
    hone_pool *pool;
    pthread_t thread;
    int index;
    bool kept_off; /* bound to `chosen` just now, else to `allowed` */
    cpu_set_t allowed, chosen;
} worker;

/* Tasks that one thread, or a few, claim first: those with like numbers work on like memory, job after job, so that what a
 * thread has written is what it reads next. Who has none left helps with the next range. */
typedef struct range {
    _Alignas(64) _Atomic int64_t next; /* the first task that nobody has claimed */
    int64_t end;
} range;

/* What different threads write often is on different cache lines. */
struct hone_pool {
    atomic_int references;
    int wanted, threads, started; /* `wanted`: as asked for; the others may be fewer */
    hone_pool *next_shared;       /* under shared_lock */
    bool spins;
    worker *workers;
    hone_task_fn *fn;
    void *arg;
    int range_count;
    atomic_bool stopping;
    _Alignas(64) atomic_flag busy;
    _Alignas(64) _Atomic uint32_t generation; /* counts jobs; idle workers wait for it to change */
    _Atomic uint32_t parked;                  /* workers that wait in the kernel */
    atomic_int caller_cpu;
    _Atomic uint64_t crowded; /* until then CPUs are shared with others: who waits sleeps soon */
    _Alignas(64) _Atomic uint32_t state;
    range ranges[MOST_RANGES];
};

/* Linux may wake a thread on the CPU of the one that wakes it; in a virtual machine it nearly always does,
 * since a halted virtual CPU does not look idle to it. There worker and caller would wait for each other, for
 * milliseconds, beside a CPU that sleeps. So a worker parks bound to the other CPUs than its caller's, and is
 * free while it works. */
static void stay_off(worker *me, int cpu) {
    if (cpu < 0 || cpu >= CPU_SETSIZE) return;
    if (sched_getaffinity(0, sizeof me->allowed, &me->allowed) != 0) return;
    me->chosen = me->allowed;
    CPU_CLR((size_t)cpu, &me->chosen);
    me->kept_off = CPU_COUNT(&me->chosen) > 0 && sched_setaffinity(0, sizeof me->chosen, &me->chosen) == 0;
}

static void roam(worker *me) {
    cpu_set_t current;
    if (!me->kept_off) return;
    me->kept_off = false;
    if (sched_getaffinity(0, sizeof current, &current) == 0 && CPU_EQUAL(&current, &me->chosen))
        sched_setaffinity(0, sizeof me->allowed, &me->allowed); /* else someone else has bound it anew */
}

/* Between the steps of a model a worker is not waited for long, and waking it costs more than the spinning. But where others
 * want its CPU, what it spins is taken off what it may work: then it sleeps early. */
static uint64_t idle_nanoseconds(const hone_pool *pool) {
    const uint64_t crowded = atomic_load_explicit(&pool->crowded, memory_order_relaxed);
    return crowded == 0 || hone_now() >= crowded ? IDLE_NANOSECONDS : HONE_SPIN_NANOSECONDS;
}

static void note_crowd(hone_pool *pool) {
    atomic_store_explicit(&pool->crowded, hone_now() + CROWDED_NANOSECONDS, memory_order_relaxed);
}

static bool spin_idle(hone_pool *pool, uint32_t seen) {
    bool lost = false;
    const bool done = hone_spin_until(hone_differs, &pool->generation, seen, idle_nanoseconds(pool), &lost);
    if (lost) note_crowd(pool);
    return done;
}

/* Waits until the generation is another one than `seen`. */
static void wait_for_job(worker *me, uint32_t seen) {
    hone_pool *pool = me->pool;
    if (pool->spins && spin_idle(pool, seen)) return;
    if (pool->spins) stay_off(me, atomic_load(&pool->caller_cpu));
    /* before the kernel compares, so that start_workers() can't miss it */
    atomic_fetch_add(&pool->parked, 1);
    while (atomic_load(&pool->generation) == seen) hone_futex_wait(&pool->generation, seen);
    atomic_fetch_sub(&pool->parked, 1);
    roam(me);
}

/* The caller may have moved to where this worker is. */
static void leave_caller(worker *me) {
    int cpu = atomic_load(&me->pool->caller_cpu);
    if (!me->pool->spins || sched_getcpu() != cpu) return;
    stay_off(me, cpu);
    roam(me);
}

static void start_workers(hone_pool *pool, int count) {
    int cpu = sched_getcpu();
    if (cpu != atomic_load_explicit(&pool->caller_cpu, memory_order_relaxed))
        atomic_store(&pool->caller_cpu, cpu);
    atomic_fetch_add(&pool->generation, 1);
    if (atomic_load(&pool->parked) > 0) hone_futex_wake(&pool->generation, count);
}

static void make_ranges(hone_pool *pool, int64_t tasks) {
    int count = pool->threads < MOST_RANGES ? pool->threads : MOST_RANGES;
    if (tasks < count) count = (int)tasks;
    for (int i = 0; i < count; i++) {
        atomic_store_explicit(&pool->ranges[i].next, tasks * i / count, memory_order_relaxed);
        pool->ranges[i].end = tasks * (i + 1) / count;
    }
    pool->range_count = count;
}

static void run_claimed(hone_pool *pool, int index) {
    const int count = pool->range_count, home = (int)((int64_t)index * count / pool->threads);
    for (int i = 0; i < count; i++) {
        range *r = &pool->ranges[(home + i) % count];
        int64_t task;
        while ((task = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed)) < r->end)
            pool->fn(pool->arg, task, index);
    }
}

static void *work(void *arg) {
    worker *me = arg;
    hone_pool *pool = me->pool;
    hone_flush_subnormals();
    for (uint32_t seen = 0;;) {
        wait_for_job(me, seen);
        if (atomic_load(&pool->stopping)) return NULL;
        seen = atomic_load(&pool->generation);
        leave_caller(me);
        if (atomic_fetch_add_explicit(&pool->state, INSIDE, memory_order_acquire) & OPEN)
            run_claimed(pool, me->index);
        uint32_t before = atomic_fetch_sub_explicit(&pool->state, INSIDE, memory_order_acq_rel);
        if (before == (INSIDE | CALLER_PARKED)) hone_futex_wake(&pool->state, 1);
    }
}

static void wait_until_empty(hone_pool *pool) {
    if (atomic_load_explicit(&pool->state, memory_order_acquire) < INSIDE) return;
    const uint64_t begin = hone_now();
    if (pool->spins && hone_spin_until(hone_is_below, &pool->state, INSIDE, HONE_SPIN_NANOSECONDS, NULL))
        return;
    uint32_t state = atomic_fetch_or(&pool->state, CALLER_PARKED) | CALLER_PARKED;
    while (state >= INSIDE) {
        hone_futex_wait(&pool->state, state);
        state = atomic_load_explicit(&pool->state, memory_order_acquire);
    }
    atomic_fetch_and(&pool->state, ~(uint32_t)CALLER_PARKED);
    if (hone_now() - begin > HONE_LOST_NANOSECONDS) note_crowd(pool);
}

static void run_alone(int64_t tasks, hone_task_fn *fn, void *arg) {
    for (int64_t task = 0; task < tasks; task++) fn(arg, task, 0);
}

void hone_pool_run(hone_pool *pool, int64_t tasks, hone_task_fn *fn, void *arg) {
    if (!pool || pool->threads == 1 || tasks <= 1 ||
        atomic_flag_test_and_set_explicit(&pool->busy, memory_order_acquire)) {
        run_alone(tasks, fn, arg);
        return;
    }
    pool->fn = fn;
    pool->arg = arg;
    make_ranges(pool, tasks);
    atomic_fetch_or_explicit(&pool->state, OPEN, memory_order_release);
    start_workers(pool, tasks - 1 < pool->started ? (int)(tasks - 1) : pool->started);
    run_claimed(pool, 0);
    atomic_fetch_and_explicit(&pool->state, ~(uint32_t)OPEN, memory_order_acq_rel);
    wait_until_empty(pool);
    atomic_flag_clear_explicit(&pool->busy, memory_order_release);
}

/* As many as the system gives. */
static int start_threads(hone_pool *pool) {
    for (int i = 1; i < pool->threads; i++) {
        worker *w = &pool->workers[i - 1];
        *w = (worker){.pool = pool, .index = i};
        int error = hone_thread_start(&w->thread, work, w, "hone-worker");
        if (error) return error;
        pool->started++;
    }
    return 0;
}

static void warn_once(const hone_pool *pool, int wanted, int error) {
    static atomic_flag warned = ATOMIC_FLAG_INIT;
    if (atomic_flag_test_and_set(&warned)) return;
    hone_log(HONE_LOG_WARNING, "cannot start %d threads, going on with %d: %s", wanted, pool->threads,
             strerror(error));
}

static int default_threads(void) {
    int cpus = hone_cpu_count();
    return cpus < MOST_THREADS ? cpus : MOST_THREADS;
}

hone_status hone_pool_new(int threads, hone_pool **out, hone_error *err) {
    if (threads == 0) threads = default_threads();
    if (threads < 0 || threads > MOST_THREADS)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%d threads: at most %d, or 0 for one per CPU", threads,
                         MOST_THREADS);
    hone_pool *pool = hone_calloc(1, sizeof *pool);
    if (!pool) return hone_fail_memory(err);
    atomic_init(&pool->references, 1);
    pool->wanted = pool->threads = threads;
    pool->spins = threads > 1 && threads <= hone_cpu_count();
    pool->caller_cpu = sched_getcpu();
    if (threads > 1) {
        pool->workers = hone_calloc((size_t)threads - 1, sizeof *pool->workers);
        if (!pool->workers) {
            hone_free(pool);
            return hone_fail_memory(err);
        }
        int error = start_threads(pool);
        pool->threads = pool->started + 1;
        if (error) warn_once(pool, threads, error);
    }
    *out = pool;
    return HONE_OK;
}

hone_pool *hone_pool_retain(hone_pool *pool) {
    if (pool) atomic_fetch_add(&pool->references, 1);
    return pool;
}

/* The shared pools, of which nobody needs many. The list holds no reference: whoever drops the last one takes the pool
 * out, under the lock. */
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static hone_pool *shared_pools;

hone_status hone_pool_shared(int threads, hone_pool **out, hone_error *err) {
    if (threads == 0) threads = default_threads();
    hone_status status = HONE_OK;
    pthread_mutex_lock(&shared_lock);
    hone_pool *pool = shared_pools;
    while (pool && pool->wanted != threads) pool = pool->next_shared;
    if (pool) {
        *out = hone_pool_retain(pool);
    } else {
        status = hone_pool_new(threads, out, err);
        if (status == HONE_OK) {
            (*out)->next_shared = shared_pools;
            shared_pools = *out;
        }
    }
    pthread_mutex_unlock(&shared_lock);
    return status;
}

/* Drops a reference; is it the last one? */
static bool drop(hone_pool *pool) {
    pthread_mutex_lock(&shared_lock);
    bool last = atomic_fetch_sub(&pool->references, 1) == 1;
    hone_pool **link = &shared_pools;
    while (last && *link && *link != pool) link = &(*link)->next_shared;
    if (last && *link) *link = pool->next_shared;
    pthread_mutex_unlock(&shared_lock);
    return last;
}

void hone_pool_free(hone_pool *pool) {
    if (!pool || !drop(pool)) return;
    atomic_store(&pool->stopping, true);
    start_workers(pool, INT_MAX);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    hone_free(pool->workers);
    hone_free(pool);
}

int hone_pool_threads(const hone_pool *pool) {
    return pool ? pool->threads : 1;
}

bool hone_pool_spins(const hone_pool *pool) {
    return pool && pool->spins;
}
