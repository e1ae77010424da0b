/* gzip for whoever works on requests: unpacks what they bring and packs what is answered. Any thread may use it. */
#ifndef HONE_SERVE_REQUEST_PACKER_H
#define HONE_SERVE_REQUEST_PACKER_H

#include "serve/format/gzip.h"
#include "serve/request/request.h"

#include <pthread.h>

/* Bytes, packed or not, up to which it is done by the loop. */
enum { HONE_PACKER_SMALL = 64 << 10, HONE_PACKER_SPARE = 8 };

struct hone_packer {
    size_t limit;        /* bytes of an unpacked body; 0: none */
    size_t from;         /* bytes from which an answer is packed for clients that take gzip; 0: never */
    hone_budget *budget; /* borrowed; unpacked bodies count as if they had been sent so; NULL: no limit */
    /* Its own. */
    pthread_mutex_t lock;
    hone_gzip *spare[HONE_PACKER_SPARE];
    int spare_count;
    hone_buffer scratch; /* the loop's */
};

void hone_packer_init(hone_packer *p, size_t limit, size_t from, hone_budget *budget);
void hone_packer_free(hone_packer *p); /* what it holds */

/* Is the body so small, packed and unpacked, that it may be unpacked at once? */
bool hone_packer_is_small(const void *data, size_t size);
/* Appends what `data` unpacks to, and HONE_JSON_PAD zero bytes that are not counted; it is covered in `room` as a body.
 * HONE_UNAVAILABLE: there is no room for it at this time; other errors as of hone_gzip_unpack. */
hone_status hone_packer_unpack(hone_packer *p, const void *data, size_t size, hone_budget_room *room,
                               hone_buffer *out, hone_error *err);
/* Appends the bytes of a message from `head` on, packed behind `head` zero bytes, to an empty buffer. False: the message is
 * too short to be packed, does not become smaller, or there is no room. */
bool hone_packer_pack(hone_packer *p, const hone_buffer *message, size_t head, hone_buffer *out);

#endif
