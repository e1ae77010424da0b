/* The monotonic clock, and that of what a thread computes. */
#ifndef HONE_BASE_CLOCK_H
#define HONE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define HONE_MILLISECOND ((uint64_t)1000000)

/* Nanoseconds. */
static inline uint64_t hone_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nanoseconds that the calling thread has been on a CPU. */
static inline uint64_t hone_thread_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline double hone_seconds_now(void) {
    return 1e-9 * (double)hone_now();
}

#endif
