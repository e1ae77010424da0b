/* Waiting for a word to change: spin for a while, then sleep in the kernel (futex). What threads that hand work to each other
 * need; everybody else waits by condition variables. */
#ifndef HONE_BASE_WAIT_H
#define HONE_BASE_WAIT_H

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    HONE_SPIN_NANOSECONDS = 20000, /* where nobody knows better */
    HONE_LOST_NANOSECONDS = 1000000,
    HONE_PAUSES_PER_CHECK = 16
};

/* FUTEX_WAIT_PRIVATE, FUTEX_WAKE_PRIVATE: not every C library comes with the kernel's headers. */
enum { HONE_FUTEX_WAIT = 128, HONE_FUTEX_WAKE = 129 };

/* Sleeps while *word is `value`; may also return without a reason. */
static inline void hone_futex_wait(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, HONE_FUTEX_WAIT, value, NULL, NULL, 0);
}

static inline void hone_futex_wake(_Atomic uint32_t *word, int count) {
    syscall(SYS_futex, word, HONE_FUTEX_WAKE, count, NULL, NULL, 0);
}

static inline void hone_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

typedef bool hone_done_fn(uint32_t word, uint32_t value);
static inline bool hone_differs(uint32_t word, uint32_t value) {
    return word != value;
}
static inline bool hone_reaches(uint32_t word, uint32_t value) {
    return word >= value;
}
static inline bool hone_is_below(uint32_t word, uint32_t value) {
    return word < value;
}

/* Spins until done(*word, value); false when so many nanoseconds are over. Sets *lost (NULL: nobody asks) if the thread was off
 * its CPU meanwhile: two looks at the clock were too far apart. */
static inline bool hone_spin_until(hone_done_fn *done, _Atomic uint32_t *word, uint32_t value,
                                   uint64_t nanoseconds, bool *lost) {
    const uint64_t end = hone_now() + nanoseconds;
    uint64_t now = end - nanoseconds, before;
    do {
        for (int i = 0; i < HONE_PAUSES_PER_CHECK; i++) {
            if (done(atomic_load_explicit(word, memory_order_acquire), value)) return true;
            hone_pause();
        }
        before = now;
        now = hone_now();
        if (lost && now - before > HONE_LOST_NANOSECONDS) *lost = true;
    } while (now < end);
    return false;
}

#endif
