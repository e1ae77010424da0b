#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

static atomic_int threads_left = -1;

void hone_thread_fail_after(int count) {
    atomic_store(&threads_left, count);
}

static bool is_refused(void) {
    int left = atomic_load(&threads_left);
    while (left > 0 && !atomic_compare_exchange_weak(&threads_left, &left, left - 1)) {
    }
    return left == 0;
}

int hone_thread_start(pthread_t *out, void *(*run)(void *), void *arg, const char *name) {
    sigset_t all, before;
    if (is_refused()) return EAGAIN;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(out, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) pthread_setname_np(*out, name);
    return code;
}

void hone_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

bool hone_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t end) {
    const struct timespec t = {.tv_sec = (time_t)(end / 1000000000), .tv_nsec = (long)(end % 1000000000)};
    return pthread_cond_timedwait(cond, lock, &t) != ETIMEDOUT;
}
