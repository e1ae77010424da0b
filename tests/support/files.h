/* For tests: a directory that goes away, and failing each allocation of a call in turn. */
#ifndef HONE_TESTS_FILES_H
#define HONE_TESTS_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char test_dir[256];

/* A cmocka setup. In memory if possible: some tests write and sync hundreds of files. */
static inline int make_test_dir(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    if (!base || !*base) base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(test_dir, sizeof test_dir, "%s/hone-test-XXXXXX", base);
    return mkdtemp(test_dir) ? 0 : -1;
}

static inline int remove_test_dir(void **state) {
    (void)state;
    return hone_dir_remove(test_dir, NULL) == HONE_OK ? 0 : -1;
}

/* A path in the test's directory; eight of them are valid at a time. */
static inline const char *test_path(const char *name) {
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, 512, "%s/%s", test_dir, name);
    return path;
}

static inline void write_file(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* Runs `call`, an expression of type hone_status, with each of its allocations failed in turn, until it
 * succeeds; `check` is done after each failure. */
#define FAIL_EACH_ALLOCATION(call, check)                                                                    \
    do {                                                                                                     \
        hone_status fail_status_ = HONE_OUT_OF_MEMORY;                                                       \
        int fail_n_ = 0;                                                                                     \
        while (fail_status_ != HONE_OK) {                                                                    \
            assert_true(++fail_n_ < 20000);                                                                  \
            hone_alloc_fail_at((uint64_t)fail_n_, false);                                                    \
            fail_status_ = (call);                                                                           \
            hone_alloc_fail_at(0, false);                                                                    \
            if (fail_status_ != HONE_OK) {                                                                   \
                if (fail_status_ != HONE_OUT_OF_MEMORY)                                                      \
                    fail_msg("allocation %d: %s", fail_n_, hone_status_name(fail_status_));                  \
                check;                                                                                       \
            }                                                                                                \
        }                                                                                                    \
        assert_true(fail_n_ > 1);                                                                            \
    } while (0)

#endif
