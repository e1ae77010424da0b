/* Monotonic time in nanoseconds. */
#ifndef HONE_SERVE_CLOCK_H
#define HONE_SERVE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define HONE_MILLISECOND ((uint64_t)1000000)

static inline uint64_t hone_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

#endif
