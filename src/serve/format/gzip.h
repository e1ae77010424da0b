/* gzip, for bodies and answers. One object a thread at a time; its tables are made at the first use and kept. */
#ifndef HONE_SERVE_FORMAT_GZIP_H
#define HONE_SERVE_FORMAT_GZIP_H

#include "serve/format/buffer.h"
#include "serve/format/slice.h"

#include <hone/error.h>

typedef struct hone_gzip hone_gzip;

void hone_gzip_free(hone_gzip *z); /* NULL is fine */

/* How many bytes `data` says that it unpacks to, modulo 4 GB, and no more than can be packed into so few. */
size_t hone_gzip_says(const void *data, size_t size);
/* Appends what `data` unpacks to. HONE_INVALID_ARGUMENT: it is not gzip, or cut off, or followed by something
 * else; HONE_RESOURCE_EXHAUSTED: more than `limit` bytes (0: no limit). `*z` is made if it is NULL. */
hone_status hone_gzip_unpack(hone_gzip **z, const void *data, size_t size, size_t limit, hone_buffer *out,
                             hone_error *err);
/* Appends `data` packed, at the fastest level. False, with `out` as it was, when memory is out. */
bool hone_gzip_pack(hone_gzip **z, const void *data, size_t size, hone_buffer *out);

/* Does "Accept-Encoding: …" allow gzip? */
bool hone_gzip_accepted(hone_slice accept_encoding);

#endif
