/* The access log: a line of JSON for each request.
 *
 *      loop ──► ring of the loop ──┐
 *      loop ──► ring of the loop ──┴──► writer thread ──► file
 *
 * A loop puts whole lines into its own ring and never waits: what finds no room is dropped and counted. The
 * thread writes what has gathered in one call. */
#ifndef HONE_SERVE_REQUEST_ACCESS_LOG_H
#define HONE_SERVE_REQUEST_ACCESS_LOG_H

#include "serve/request/request.h"

#include <sys/socket.h>

typedef struct hone_access_log hone_access_log;

typedef struct hone_access_log_options {
    const char *path; /* appended to; "-": standard output */
    uint64_t every;   /* of requests that went well: one of so many; 0: all */
    int loops;
    hone_stats *stats; /* borrowed */
    size_t ring_bytes; /* of each loop; a power of two; 0: 1 MB */
} hone_access_log_options;

/* On success hone_access_log_close() when no loop runs any more. */
hone_status hone_access_log_open(const hone_access_log_options *options, hone_access_log **out,
                                 hone_error *err);
/* When no loop runs any more: writes what is left. NULL is fine, also below. */
void hone_access_log_finish(hone_access_log *l);
void hone_access_log_close(hone_access_log *l); /* finishes it first */
/* Any thread, a signal handler too: writes what it has, and opens the file anew, because somebody has moved
 * it away. */
void hone_access_log_reopen(hone_access_log *l);

/* Where a socket's peer is, as the log tells it. */
typedef struct hone_remote {
    char text[56]; /* "192.0.2.1:1234", "[2001:db8::1]:1234"; "": unknown */
} hone_remote;
void hone_remote_of(int fd, hone_remote *out);

/* On the thread of that loop: a request that was answered, or (`dropped`) whose client has gone before
 * that. */
void hone_access_log_request(hone_access_log *l, int loop, const hone_request *r, const hone_remote *remote,
                             const char *protocol, bool dropped);

#endif
