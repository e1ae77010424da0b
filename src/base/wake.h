/* Waking a thread that waits in poll or in an event loop: a descriptor that becomes readable (an eventfd). */
#ifndef HONE_BASE_WAKE_H
#define HONE_BASE_WAKE_H

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* -1 and errno when it can't be had; close() it. */
static inline int hone_wake_new(void) {
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* Any thread, a signal handler too: errno stays as it was. Adds `amount` to what hone_wake_take finds. */
static inline void hone_wake_add(int fd, uint64_t amount) {
    int code = errno;
    while (write(fd, &amount, sizeof amount) < 0 && errno == EINTR) {
    }
    errno = code;
}

static inline void hone_wake(int fd) {
    hone_wake_add(fd, 1);
}

/* The sum since the last take, 0 if nobody has woken it; it is not readable any more. */
static inline uint64_t hone_wake_take(int fd) {
    uint64_t sum = 0;
    ssize_t n;
    do n = read(fd, &sum, sizeof sum);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof sum ? sum : 0;
}

#endif
