/* Temporary files for the tests of this room. */
#ifndef TESTS_DATA_FILES_H
#define TESTS_DATA_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char test_dir[256];

static inline int make_test_dir(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(test_dir, sizeof test_dir, "%s/hone-test-XXXXXX", base && *base ? base : "/tmp");
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

static inline const char *write_file(const char *name, const void *data, size_t size) {
    const char *path = test_path(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* Gzips `size` bytes into `out`, which has room for them; returns the new size. */
static inline size_t gzip_bytes(const void *data, size_t size, uint8_t *out, size_t room) {
    z_stream z = {
        .next_in = (void *)(uintptr_t)data, .avail_in = (uInt)size, .next_out = out, .avail_out = (uInt)room};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t made = z.total_out;
    deflateEnd(&z);
    return made;
}

/* An IDX header: returns its size. */
static inline size_t idx_header(uint8_t *out, uint8_t code, int rank, const uint32_t *dims) {
    out[0] = out[1] = 0;
    out[2] = code;
    out[3] = (uint8_t)rank;
    for (int i = 0; i < rank; i++)
        for (int j = 0; j < 4; j++) out[4 + 4 * i + j] = (uint8_t)(dims[i] >> (24 - 8 * j));
    return 4 + 4 * (size_t)rank;
}

/* Runs `call`, an expression of type hone_status, with each of its allocations failed in turn, until it
 * succeeds. */
#define FAIL_EACH_ALLOCATION(call)                                                                           \
    do {                                                                                                     \
        hone_status fail_status_ = HONE_OUT_OF_MEMORY;                                                       \
        int fail_n_ = 0;                                                                                     \
        while (fail_status_ != HONE_OK) {                                                                    \
            assert_true(++fail_n_ < 1000);                                                                   \
            hone_alloc_fail_at((uint64_t)fail_n_, false);                                                    \
            fail_status_ = (call);                                                                           \
            hone_alloc_fail_at(0, false);                                                                    \
            if (fail_status_ != HONE_OK) assert_int_equal(fail_status_, HONE_OUT_OF_MEMORY);                 \
        }                                                                                                    \
        assert_true(fail_n_ > 1);                                                                            \
    } while (0)

#endif
