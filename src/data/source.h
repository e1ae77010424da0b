/* Bytes in order, from memory, a file or an archive, inflated on the way where they are gzipped. A source
 * knows how many bytes it can give at most, so that a reader can refuse a header that promises more before it
 * allocates. */
#ifndef HONE_DATA_SOURCE_H
#define HONE_DATA_SOURCE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Deflate gives at most 258 bytes for two bits. */
#define HONE_DEFLATE_RATIO 1032

typedef struct hone_source hone_source;

struct hone_source {
    /* Reads 1 … size bytes into `to`; `*got` is 0 only at the end. size > 0. */
    hone_status (*read)(hone_source *s, void *to, size_t size, size_t *got, hone_error *err);
    void (*close)(hone_source *s);
    uint64_t limit; /* it never gives more bytes than this */
};

/* A regular file, plain or gzipped: by its content, not by its name. On success hone_source_close() when
 * done. */
hone_status hone_source_open(const char *path, hone_source **out, hone_error *err);
/* The same from memory, which must outlive the source. */
hone_status hone_source_memory(const void *data, size_t size, hone_source **out, hone_error *err);
void hone_source_close(hone_source *s); /* NULL is fine */
/* What gzipped bytes say. Takes over `inner`, also on failure. */
hone_status hone_source_gunzip(hone_source *inner, hone_source **out, hone_error *err);

/* Exactly `size` bytes; HONE_CORRUPT where the source ends before. */
hone_status hone_source_read(hone_source *s, void *to, size_t size, hone_error *err);
/* HONE_CORRUPT if there is anything left. Reading to the end also checks the checksums of gzip and zip. */
hone_status hone_source_end(hone_source *s, hone_error *err);
/* Turns elements of 2, 4 or 8 bytes around in place; other sizes are left alone. */
void hone_swap_bytes(void *data, size_t count, size_t size);

#endif
