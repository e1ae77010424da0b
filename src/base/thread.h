/* Starting threads, and waiting by the monotonic clock. */
#ifndef HONE_BASE_THREAD_H
#define HONE_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a thread that takes no signals: those are for the program's own threads. `name` (at most 15 bytes)
 * is for debuggers. Returns 0, or an errno: EAGAIN when the limits of user or cgroup allow no more
 * threads. */
int hone_thread_start(pthread_t *out, void *(*run)(void *), void *arg, const char *name);
/* The test hook: the next `count` threads start, and the system refuses all after them; -1: off. */
void hone_thread_fail_after(int count);

/* How the calling thread shares a CPU: in short slices, for one that works for moments and is wanted soon; in long ones,
 * for one that computes, from which any other that wakes may take the CPU. Neither gives it more or less of the CPU, or
 * needs a privilege. From Linux 6.12 on (EEVDF); where the system knows or allows no such thing nothing changes: false,
 * or, of a system that says nothing, true. */
bool hone_thread_be_prompt(void);
bool hone_thread_be_patient(void);

/* pthread_cond_destroy() when done. */
void hone_cond_init(pthread_cond_t *cond);
/* Waits for a signal until CLOCK_MONOTONIC is at `end` nanoseconds; false when it is. May also return true
 * without a signal. */
bool hone_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t end);

#endif
