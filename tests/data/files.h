/* Files for the tests of this room. */
#ifndef TESTS_DATA_FILES_H
#define TESTS_DATA_FILES_H

#include "support/files.h"

#include "base/error.h"

#include <string.h>
#include <zlib.h>

/* A file in the test's directory: its path. */
static inline const char *made_file(const char *name, const void *data, size_t size) {
    const char *path = test_path(name);
    write_file(path, data, size);
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

#endif
