/* The listening sockets: accepts, and hands each connection to the loop with the fewest. They are served by
 * one thread of their own, which no running model holds up. */
#ifndef HONE_SERVE_NET_LISTENER_H
#define HONE_SERVE_NET_LISTENER_H

#include "serve/net/loop.h"

#include <sys/types.h>

typedef struct hone_listener hone_listener;

enum { HONE_LISTENER_SOCKETS = 8 };

typedef struct hone_listener_options {
    int max_connections;     /* over all loops; further ones get 503 and are closed; 0: no limit */
    hone_loop *const *loops; /* borrowed */
    int loop_count;
    hone_stats *stats;
} hone_listener_options;

/* On success hone_listener_free() when done. */
hone_status hone_listener_new(const hone_listener_options *options, hone_listener **out, hone_error *err);
/* Binds and listens, before it runs; see sockets.h. The endpoint is borrowed. `*bound` (may be NULL) is the
 * port. */
hone_status hone_listener_add_port(hone_listener *l, const hone_endpoint *endpoint, const char *host,
                                   int port, int *bound, hone_error *err);
hone_status hone_listener_add_file(hone_listener *l, const hone_endpoint *endpoint, const char *path,
                                   mode_t mode, hone_error *err);
/* Accepts until the descriptor `until` is readable (-1: none) or `ms` milliseconds are over (-1: never). */
void hone_listener_run(hone_listener *l, int until, int ms);
/* Accepts what the system has completed already, then closes the sockets and removes their files. */
void hone_listener_close(hone_listener *l);
void hone_listener_free(hone_listener *l); /* NULL is fine */

#endif
