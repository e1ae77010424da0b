/* What tests want to know of their own process, and waiting for conditions. */
#ifndef HONE_TESTS_SERVE_PROCESS_H
#define HONE_TESTS_SERVE_PROCESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 60000 };

#define WAIT_FOR(condition)                                                                                  \
    do {                                                                                                     \
        int left_ = WAIT_MS / 2;                                                                             \
        while (!(condition) && left_-- > 0) usleep(2000);                                                    \
        if (left_ < 0) fail_msg("not in time: %s", #condition);                                              \
    } while (0)

/* Bytes. */
static inline size_t resident(void) {
    long pages = 0, size = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%ld %ld", &size, &pages), 2);
    fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Then memory is another matter. */
static inline bool is_sanitized(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

#endif
