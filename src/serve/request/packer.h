/* A worker's gzip: unpacks what requests bring and packs what is answered. A zeroed struct unpacks without
 * limit and packs nothing. */
#ifndef HONE_SERVE_REQUEST_PACKER_H
#define HONE_SERVE_REQUEST_PACKER_H

#include "serve/format/gzip.h"
#include "serve/request/request.h"

struct hone_packer {
    size_t limit;        /* bytes of an unpacked body; 0: none */
    size_t from;         /* bytes from which an answer is packed for clients that take gzip; 0: never */
    hone_budget *budget; /* borrowed; unpacked bodies count as if they had been sent so; NULL: no limit */
    /* Its own. */
    hone_gzip *gzip;
    hone_buffer scratch;
};

void hone_packer_free(hone_packer *p); /* what it holds */

/* Appends what `data` unpacks to, and HONE_JSON_PAD zero bytes that are not counted. Errors as of
 * hone_gzip_unpack. */
hone_status hone_packer_unpack(hone_packer *p, const void *data, size_t size, hone_buffer *out,
                               hone_error *err);
/* May a request keep that much of a body, now that it is unpacked? HONE_UNAVAILABLE if the budget is
 * spent. */
hone_status hone_packer_keep(hone_packer *p, hone_request *r, size_t total, hone_error *err);
/* The bytes of a message from `head` on, packed behind `head` zero bytes, in `scratch`: until it is used again.
 * NULL if the message is too short to be packed, does not become smaller, or memory is out. */
hone_buffer *hone_packer_pack(hone_packer *p, const hone_buffer *message, size_t head);

#endif
