#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ns */
enum { SHORT_SLICE = 100000 /* the least that the kernel takes */, LONG_SLICE = 10000000 };

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
    /* what a thread itself brings about: blocked it would end the process, whoever handles it */
    static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
    sigset_t all, before;
    if (is_refused()) return EAGAIN;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(out, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) pthread_setname_np(*out, name);
    return code;
}

/* The kernel's struct sched_attr in its first version; the headers of some C libraries lack it. */
typedef struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
} attributes;

static bool set_slice(uint64_t ns) {
    attributes a = {.size = sizeof a};
    if (syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) != 0 || a.policy != SCHED_OTHER) return false;
    a.size = sizeof a;
    a.runtime = ns;
    return syscall(SYS_sched_setattr, 0, &a, 0) == 0;
}

bool hone_thread_be_prompt(void) {
    return set_slice(SHORT_SLICE);
}

bool hone_thread_be_patient(void) {
    return set_slice(LONG_SLICE);
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
