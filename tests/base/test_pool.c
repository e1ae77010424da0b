#include "base/clock.h"
#include "base/cpu_quota.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/thread.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <hone/log.h>

static const int thread_counts[] = {1, 2, 4, 7};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts, MOST_TASKS = 1000, MOST_THREADS = 7 };

static hone_pool *new_pool(int threads) {
    hone_pool *pool = NULL;
    assert_int_equal(hone_pool_new(threads, &pool, NULL), HONE_OK);
    return pool;
}

/* What one caller's job wrote; cmocka's asserts belong to the main thread, so tasks note what they saw. */
typedef struct job {
    int runs[MOST_TASKS]; /* not atomic: TSan sees a task that two threads run, or an early return */
    atomic_int in_use[MOST_THREADS + 1]; /* a worker's scratch */
    atomic_int mistakes;
    int threads;
} job;

static void note_run(void *arg, int64_t task, int worker) {
    job *j = arg;
    if (task < 0 || task >= MOST_TASKS || worker < 0 || worker >= j->threads) {
        j->mistakes++;
        return;
    }
    if (atomic_exchange(&j->in_use[worker], 1)) j->mistakes++;
    j->runs[task]++;
    atomic_store(&j->in_use[worker], 0);
}

static bool ran_once(hone_pool *pool, job *j, int tasks) {
    memset(j->runs, 0, sizeof j->runs);
    hone_pool_run(pool, tasks, note_run, j);
    for (int i = 0; i < MOST_TASKS; i++)
        if (j->runs[i] != (i < tasks)) return false;
    return j->mistakes == 0;
}

static void test_every_task_runs_once(void **state) {
    (void)state;
    for (int i = 0; i < THREAD_COUNTS; i++) {
        hone_pool *pool = new_pool(thread_counts[i]);
        assert_int_equal(hone_pool_threads(pool), thread_counts[i]);
        static job j;
        memset(&j, 0, sizeof j);
        j.threads = thread_counts[i];
        for (int round = 0; round < 300; round++) {
            static const int tasks[] = {0, 1, 2, 3, 8, 100, MOST_TASKS};
            assert_true(ran_once(pool, &j, tasks[round % 7]));
            if (round % 50 == 0) usleep(300); /* let the workers park */
        }
        hone_pool_free(pool);
    }
    job alone = {.threads = 1};
    assert_true(ran_once(NULL, &alone, 10));
    assert_int_equal(hone_pool_threads(NULL), 1);
    hone_pool_run(NULL, -1, note_run, &alone);
    assert_int_equal(alone.mistakes, 0);
    hone_pool_free(NULL);
}

/* Tasks that wait for each other end only if that many threads run them at once. */
typedef struct meeting {
    atomic_int arrived;
    int expected;
    atomic_int late, unmasked, bound;
    pthread_t caller;
    cpu_set_t cpus;
} meeting;

static void meet(void *arg, int64_t task, int worker) {
    meeting *m = arg;
    (void)task;
    double end = hone_seconds_now() + 20;
    m->arrived++;
    while (m->arrived < m->expected && hone_seconds_now() < end) sched_yield();
    if (m->arrived < m->expected) m->late++;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    bool is_caller = pthread_equal(pthread_self(), m->caller);
    if (is_caller != (worker == 0)) m->late++;
    if (!is_caller && !sigismember(&blocked, SIGTERM)) m->unmasked++;
    cpu_set_t cpus;
    if (sched_getaffinity(0, sizeof cpus, &cpus) != 0 || !CPU_EQUAL(&cpus, &m->cpus)) m->bound++;
}

static void test_workers_run_at_once_hot_and_parked(void **state) {
    (void)state;
    for (int i = 0; i < THREAD_COUNTS; i++) {
        hone_pool *pool = new_pool(thread_counts[i]);
        for (int round = 0; round < 40; round++) {
            meeting m = {.expected = thread_counts[i], .caller = pthread_self()};
            assert_int_equal(sched_getaffinity(0, sizeof m.cpus, &m.cpus), 0);
            hone_pool_run(pool, m.expected, meet, &m);
            assert_int_equal(m.arrived, m.expected);
            assert_int_equal(m.late, 0);
            assert_int_equal(m.unmasked, 0);
            assert_int_equal(m.bound, 0); /* a worker may be anywhere that its caller may */
            if (round % 2) usleep(1000);
        }
        hone_pool_free(pool);
    }
}

typedef struct caller {
    hone_pool *pool;
    job j;
    bool good;
} caller;

static void *call_often(void *arg) {
    caller *c = arg;
    c->good = true;
    for (int round = 0; round < 500; round++) c->good = ran_once(c->pool, &c->j, 1 + round % 40) && c->good;
    return NULL;
}

static void test_concurrent_callers(void **state) {
    (void)state;
    enum { CALLERS = 4 };
    for (int i = 0; i < THREAD_COUNTS; i++) {
        hone_pool *pool = new_pool(thread_counts[i]);
        caller *callers = calloc(CALLERS, sizeof *callers);
        pthread_t threads[CALLERS];
        for (int k = 0; k < CALLERS; k++) {
            callers[k].pool = pool;
            callers[k].j.threads = thread_counts[i];
            assert_int_equal(pthread_create(&threads[k], NULL, call_often, &callers[k]), 0);
        }
        for (int k = 0; k < CALLERS; k++) pthread_join(threads[k], NULL);
        for (int k = 0; k < CALLERS; k++) assert_true(callers[k].good);
        free(callers);
        hone_pool_free(pool);
    }
}

typedef struct nest {
    hone_pool *pool;
    atomic_int inner_runs, mistakes;
} nest;

typedef struct inner_call {
    nest *n;
    pthread_t thread;
} inner_call;

static void inner(void *arg, int64_t task, int worker) {
    inner_call *call = arg;
    (void)task;
    call->n->inner_runs++;
    if (worker != 0 || !pthread_equal(pthread_self(), call->thread)) call->n->mistakes++;
}

static void outer(void *arg, int64_t task, int worker) {
    nest *n = arg;
    (void)task;
    (void)worker;
    inner_call call = {.n = n, .thread = pthread_self()};
    hone_pool_run(n->pool, 5, inner, &call);
}

static void test_nested_call_runs_on_its_thread(void **state) {
    (void)state;
    for (int i = 1; i < THREAD_COUNTS;
         i++) { /* from 2 threads on: outer() of a pool of 1 is not in the pool */
        nest n = {.pool = new_pool(thread_counts[i])};
        for (int round = 0; round < 50; round++) hone_pool_run(n.pool, 20, outer, &n);
        assert_int_equal(n.inner_runs, 50 * 20 * 5);
        assert_int_equal(n.mistakes, 0);
        hone_pool_free(n.pool);
    }
}

static void test_running_allocates_nothing(void **state) {
    (void)state;
    hone_pool *pool = new_pool(4);
    static job j;
    j.threads = 4;
    uint64_t count = hone_alloc_count();
    for (int i = 0; i < 1000; i++) assert_true(ran_once(pool, &j, 16));
    assert_true(hone_alloc_count() == count);
    hone_pool_free(pool);
}

static void sum_slowly(void *arg, int64_t task, int worker) {
    (void)worker;
    double *parts = arg, sum = 0;
    for (int i = 1; i <= 1000; i++) sum += 1.0 / (double)(task * 1000 + i);
    parts[task] = sum;
}

static void test_any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    double expected[64], parts[64];
    hone_pool_run(NULL, 64, sum_slowly, expected);
    for (int i = 0; i < THREAD_COUNTS; i++) {
        hone_pool *pool = new_pool(thread_counts[i]);
        memset(parts, 0, sizeof parts);
        hone_pool_run(pool, 64, sum_slowly, parts);
        assert_memory_equal(parts, expected, sizeof parts);
        hone_pool_free(pool);
    }
}

static void test_new_and_free_at_once(void **state) {
    (void)state;
    for (int i = 0; i < 100; i++) hone_pool_free(new_pool(1 + i % 5));
}

/* How often the worker with that id has been taken off its CPU, on its own accord or not; -1 unless it sleeps now. */
static long sleeps(const char *task) {
    char path[300], line[200], state = 0;
    long switches = 0, n;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    FILE *f = fopen(path, "r");
    bool worker = false;
    while (f && fgets(line, sizeof line, f)) {
        if (strcmp(line, "Name:\thone-worker\n") == 0) worker = true;
        sscanf(line, "State: %c", &state);
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1) switches += n;
        if (sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1) switches += n;
    }
    if (f) fclose(f);
    return worker && state == 'S' ? switches : -1;
}

/* The sum over the workers, of which there are `count`; -1 unless they all sleep now. */
static long all_sleep(int count) {
    DIR *d = opendir("/proc/self/task");
    long sum = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        long n = sleeps(e->d_name);
        if (n < 0) continue;
        sum += n;
        count--;
    }
    closedir(d);
    return count == 0 ? sum : -1;
}

/* A worker that spins is not asleep, and one that looks again and again wakes up. */
static void test_idle_workers_burn_nothing(void **state) {
    (void)state;
    hone_pool *pool = new_pool(2);
    job j = {.threads = 2};
    bool slept = false;
    for (int i = 0; i < 300 && !slept; i++) {
        assert_true(ran_once(pool, &j, 8));
        for (int k = 0; k < 100 && all_sleep(1) < 0; k++) usleep(1000);
        long before = all_sleep(1);
        usleep(100000);
        slept = before >= 0 && all_sleep(1) == before;
    }
    assert_true(slept);
    hone_pool_free(pool);
}

static void test_bad_counts_and_failing_allocations(void **state) {
    (void)state;
    hone_pool *pool = NULL;
    hone_error err;
    assert_int_equal(hone_pool_new(-1, &pool, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_pool_new(1 << 20, &pool, &err), HONE_INVALID_ARGUMENT);
    for (uint64_t n = 1; n <= 2; n++) {
        hone_alloc_fail_at(n, false);
        assert_int_equal(hone_pool_new(4, &pool, &err), HONE_OUT_OF_MEMORY);
        assert_null(pool);
    }
    hone_alloc_fail_at(0, false);
    pool = new_pool(0);
    assert_int_equal(hone_pool_threads(pool), hone_cpu_count());
    hone_pool_free(pool);
}

static int workers(void) {
    int count = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[300], name[40] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
        FILE *f = fopen(path, "r");
        if (!f) continue;
        count += fgets(name, sizeof name, f) && strcmp(name, "hone-worker\n") == 0;
        fclose(f);
    }
    closedir(d);
    return count;
}

/* A thread may be seen a moment after it has been joined. */
static bool workers_are(int count) {
    for (int i = 0; i < 2000 && workers() != count; i++) usleep(1000);
    return workers() == count;
}

/* Many users of one pool start its threads once, and the last one ends them. */
static void test_shared_pool(void **state) {
    (void)state;
    enum { USERS = 20 };
    hone_pool *user[USERS], *other;
    hone_error err;
    static job j;
    j.threads = 3;
    assert_true(workers_are(0));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < USERS; i++) {
            assert_int_equal(hone_pool_shared(3, &user[i], &err), HONE_OK);
            assert_ptr_equal(user[i], user[0]);
        }
        assert_int_equal(hone_pool_shared(2, &other, &err), HONE_OK);
        assert_ptr_not_equal(other, user[0]);
        assert_ptr_equal(hone_pool_retain(other), other);
        assert_true(workers_are(3));
        hone_pool_free(other);
        for (int i = 0; i < USERS; i++) {
            assert_true(ran_once(user[i], &j, MOST_TASKS));
            hone_pool_free(user[i]);
        }
        assert_true(workers_are(1));
        hone_pool_free(other);
        assert_true(workers_are(0));
    }
    /* no threads named means as many as there are CPUs */
    assert_int_equal(hone_pool_shared(0, &user[0], &err), HONE_OK);
    assert_int_equal(hone_pool_shared(hone_cpu_count(), &user[1], &err), HONE_OK);
    assert_ptr_equal(user[0], user[1]);
    hone_pool_free(user[0]);
    hone_pool_free(user[1]);
    assert_int_equal(hone_pool_shared(-1, &other, &err), HONE_INVALID_ARGUMENT);
    assert_null(hone_pool_retain(NULL));
    hone_alloc_fail_at(1, false);
    assert_int_equal(hone_pool_shared(3, &other, &err), HONE_OUT_OF_MEMORY);
    hone_alloc_fail_at(0, false);
}

static void *share_often(void *arg) {
    caller *c = arg;
    c->good = true;
    for (int round = 0; round < 100; round++) {
        if (hone_pool_shared(4, &c->pool, NULL) != HONE_OK) {
            c->good = false;
            break;
        }
        c->good = ran_once(c->pool, &c->j, 1 + round % 40) && c->good;
        hone_pool_free(c->pool);
    }
    return NULL;
}

static void test_shared_pool_comes_and_goes(void **state) {
    (void)state;
    enum { CALLERS = 4 };
    caller *callers = calloc(CALLERS, sizeof *callers);
    pthread_t threads[CALLERS];
    for (int k = 0; k < CALLERS; k++) {
        callers[k].j.threads = 4;
        assert_int_equal(pthread_create(&threads[k], NULL, share_often, &callers[k]), 0);
    }
    for (int k = 0; k < CALLERS; k++) pthread_join(threads[k], NULL);
    for (int k = 0; k < CALLERS; k++) assert_true(callers[k].good);
    free(callers);
    assert_true(workers_are(0));
}

static int warnings;
static void count_warnings(void *user, hone_log_level level, const char *message) {
    (void)user;
    if (level == HONE_LOG_WARNING && strstr(message, "cannot start 5 threads, going on with 3: ")) warnings++;
}

static void test_fewer_threads_where_the_system_gives_no_more(void **state) {
    (void)state;
    static job j;
    hone_log_set(count_warnings, NULL, HONE_LOG_WARNING);
    for (int given = 2; given >= 0; given--) {
        hone_thread_fail_after(given);
        hone_pool *pool = new_pool(5);
        hone_thread_fail_after(-1);
        assert_int_equal(hone_pool_threads(pool), given + 1);
        memset(&j, 0, sizeof j);
        j.threads = given + 1;
        for (int round = 0; round < 20; round++) assert_true(ran_once(pool, &j, MOST_TASKS));
        meeting m = {.expected = given + 1, .caller = pthread_self()};
        assert_int_equal(sched_getaffinity(0, sizeof m.cpus, &m.cpus), 0);
        hone_pool_run(pool, m.expected, meet, &m);
        assert_int_equal(m.late, 0);
        hone_pool_free(pool);
    }
    hone_log_set(NULL, NULL, HONE_LOG_ERROR);
    assert_int_equal(warnings, 1);
}

static void test_cpu_count_follows_affinity(void **state) {
    (void)state;
    cpu_set_t old, one;
    assert_int_equal(sched_getaffinity(0, sizeof old, &old), 0);
    int available = CPU_COUNT(&old), count = hone_cpu_count();
    assert_in_range(count, 1, available);
    int first = 0;
    while (!CPU_ISSET(first, &old)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(hone_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof old, &old), 0);
    assert_int_equal(hone_cpu_count(), count);
}

static void put(const char *root, const char *name, const char *text) {
    char path[512];
    assert_true(hone_path_join(path, sizeof path, root, name));
    char *slash = strrchr(path, '/');
    *slash = 0;
    assert_int_equal(hone_dir_make(path, NULL), HONE_OK);
    *slash = '/';
    assert_int_equal(hone_file_replace(path, text, strlen(text), NULL), HONE_OK);
}

static void test_cgroup_quota(void **state) {
    (void)state;
    static const struct {
        const char *membership, *files[5][2];
        int cpus;
    } cases[] = {
        {"0::/a/b\n", {{"a/b/cpu.max", "max 100000\n"}}, 0},
        {"0::/a/b\n", {{"a/b/cpu.max", "200000 100000\n"}}, 2},
        {"0::/a/b\n", {{"a/b/cpu.max", "150000 100000\n"}}, 2},
        {"0::/a/b\n", {{"a/b/cpu.max", "1000 100000\n"}}, 1},
        {"0::/a/b\n", {{"a/b/cpu.max", "max 100000\n"}, {"a/cpu.max", "300000 100000\n"}}, 3},
        {"0::/a/b\n", {{"a/b/cpu.max", "400000 100000\n"}, {"a/cpu.max", "300000 100000\n"}}, 3},
        {"0::/\n", {{"cpu.max", "500000 100000\n"}}, 5},
        {"0::/not/seen/here\n", {{"cpu.max", "500000 100000\n"}}, 5},
        {"0::/a\n", {{"a/cpu.max", "rubbish"}}, 0},
        {"0::/a\n", {{"a/cpu.max", "100000 0"}}, 0},
        {"rubbish", {{"cpu.max", "100000 100000\n"}}, 0},
        {"3:cpuset:/a\n2:cpu,cpuacct:/a\n0::/\n",
         {{"cpu/a/cpu.cfs_quota_us", "250000\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}},
         3},
        {"2:cpu,cpuacct:/a\n",
         {{"cpu/a/cpu.cfs_quota_us", "-1\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}},
         0},
        {"2:cpuacct,cpu:/docker/x\n",
         {{"cpu/cpu.cfs_quota_us", "100000\n"}, {"cpu/cpu.cfs_period_us", "50000\n"}},
         2},
        {"2:cpuset,cpuacct:/a\n",
         {{"cpu/a/cpu.cfs_quota_us", "100000\n"}, {"cpu/a/cpu.cfs_period_us", "50000\n"}},
         0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char root[] = "/tmp/hone-test-quota-XXXXXX", membership[512], mount[512];
        assert_non_null(mkdtemp(root));
        put(root, "membership", cases[i].membership);
        assert_true(hone_path_join(membership, sizeof membership, root, "membership"));
        assert_true(hone_path_join(mount, sizeof mount, root, "mount"));
        for (int f = 0; f < 5 && cases[i].files[f][0]; f++)
            put(mount, cases[i].files[f][0], cases[i].files[f][1]);
        assert_int_equal(hone_cpu_quota(membership, mount), cases[i].cpus);
        assert_int_equal(hone_dir_remove(root, NULL), HONE_OK);
    }
    assert_int_equal(hone_cpu_quota("/nonexistent", "/nonexistent"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_runs_once),
        cmocka_unit_test(test_workers_run_at_once_hot_and_parked),
        cmocka_unit_test(test_concurrent_callers),
        cmocka_unit_test(test_nested_call_runs_on_its_thread),
        cmocka_unit_test(test_running_allocates_nothing),
        cmocka_unit_test(test_any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(test_new_and_free_at_once),
        cmocka_unit_test(test_idle_workers_burn_nothing),
        cmocka_unit_test(test_bad_counts_and_failing_allocations),
        cmocka_unit_test(test_shared_pool),
        cmocka_unit_test(test_shared_pool_comes_and_goes),
        cmocka_unit_test(test_fewer_threads_where_the_system_gives_no_more),
        cmocka_unit_test(test_cpu_count_follows_affinity),
        cmocka_unit_test(test_cgroup_quota),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
