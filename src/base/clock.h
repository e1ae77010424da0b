/* The monotonic clock. */
#ifndef HONE_BASE_CLOCK_H
#define HONE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t hone_nanoseconds_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline double hone_seconds_now(void) {
    return 1e-9 * (double)hone_nanoseconds_now();
}

#endif
