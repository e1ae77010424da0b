#include "base/clock.h"
#include "base/thread.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct seen {
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool is_blocked, keeps_own, done;
} seen;

static void *look(void *arg) {
    seen *s = arg;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    pthread_mutex_lock(&s->lock);
    s->is_blocked = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP);
    s->keeps_own = !sigismember(&blocked, SIGBUS) && !sigismember(&blocked, SIGSEGV);
    s->done = true;
    pthread_cond_signal(&s->change);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void test_threads_take_no_signals(void **state) {
    (void)state;
    seen s = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    sigset_t mine;
    hone_cond_init(&s.change);
    assert_int_equal(hone_thread_start(&thread, look, &s, "hone-test"), 0);
    pthread_mutex_lock(&s.lock);
    while (!s.done) assert_true(hone_cond_wait_until(&s.change, &s.lock, hone_now() + 60000000000u));
    pthread_mutex_unlock(&s.lock);
    pthread_join(thread, NULL);
    assert_true(s.is_blocked);
    assert_true(s.keeps_own);
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGTERM));
    pthread_cond_destroy(&s.change);
}

/* In nanoseconds; 0: the system knows none. */
static uint64_t slice(void) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } a = {0};
    return syscall(SYS_sched_getattr, 0, &a, sizeof a, 0) == 0 ? a.runtime : 0;
}

static void *take_turns(void *arg) {
    uint64_t usual = slice();
    bool *good = arg;
    *good = true;
    if (hone_thread_be_prompt() && usual) *good &= slice() > 0 && slice() < usual;
    if (hone_thread_be_patient() && usual) *good &= slice() > usual;
    return NULL;
}

static void test_slices(void **state) {
    (void)state;
    bool good = false;
    pthread_t thread;
    uint64_t mine = slice();
    assert_int_equal(hone_thread_start(&thread, take_turns, &good, "hone-test"), 0);
    pthread_join(thread, NULL);
    assert_true(good);
    assert_int_equal(slice(), mine);
}

static void test_waiting_ends(void **state) {
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never;
    uint64_t end = hone_now() + 2000000;
    hone_cond_init(&never);
    pthread_mutex_lock(&lock);
    while (hone_cond_wait_until(&never, &lock, end)) {
    }
    assert_true(hone_now() >= end);
    assert_false(hone_cond_wait_until(&never, &lock, 0));
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&never);
}

static void test_refused_threads(void **state) {
    (void)state;
    seen s = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    hone_cond_init(&s.change);
    hone_thread_fail_after(1);
    assert_int_equal(hone_thread_start(&thread, look, &s, "hone-test"), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < 3; i++) assert_int_equal(hone_thread_start(&thread, look, &s, "hone-test"), EAGAIN);
    hone_thread_fail_after(-1);
    assert_int_equal(hone_thread_start(&thread, look, &s, "hone-test"), 0);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&s.change);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_take_no_signals),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_waiting_ends),
        cmocka_unit_test(test_refused_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
