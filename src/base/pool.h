/* The thread pool. Workers spin about 150 µs for work (20 where others want their CPUs), then park on a futex; the caller takes part. A caller that
 * finds the pool busy runs its work alone. Work is cut into tasks by its shape, never by the number of threads, so
 * results are the same for any number. */
#ifndef HONE_BASE_POOL_H
#define HONE_BASE_POOL_H

#include <hone/error.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct hone_pool hone_pool;

/* A pool for `threads` threads in all, the caller included: 1 starts none. 0: one for each available CPU (affinity
 * mask and cgroup quota). Where the system starts no more threads (limits of user or cgroup), the pool has as many as
 * there are, and the first such pool of the process logs a warning. */
hone_status hone_pool_new(int threads, hone_pool **out, hone_error *err);
/* The pool that the whole process shares for this number of threads: made at the first call, the same one for as long
 * as somebody holds it, so that any number of models starts no more threads than one. The caller frees what it got. */
hone_status hone_pool_shared(int threads, hone_pool **out, hone_error *err);
/* Holds it once more; gives `pool` back. NULL is fine. */
hone_pool *hone_pool_retain(hone_pool *pool);
/* Lets go of it; the last one ends its threads. NULL is fine; the last one's work must be done. */
void hone_pool_free(hone_pool *pool);
/* Threads in all. 1 for NULL. */
int hone_pool_threads(const hone_pool *pool);
/* Are there CPUs for all of them, so that waiting for each other by spinning makes sense? false for NULL. */
bool hone_pool_spins(const hone_pool *pool);

/* task in [0, tasks), worker in [0, hone_pool_threads()). */
typedef void hone_task_fn(void *arg, int64_t task, int worker);
/* Runs all tasks and returns when they are done. `pool` NULL: on the caller. Allocates nothing. Reentrant calls from
 * a task run on that task's thread (as worker 0 of their own: use no per-worker scratch then). */
void hone_pool_run(hone_pool *pool, int64_t tasks, hone_task_fn *fn, void *arg);
/* CPUs this process may use: affinity mask, limited by the cgroup's cpu quota; at least 1. */
int hone_cpu_count(void);

#endif
