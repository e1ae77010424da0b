/* The listening socket: accepts, and hands each connection to the loop with the fewest. It is served by a
 * thread of its own, which no running model holds up. */
#ifndef HONE_SERVE_LISTENER_H
#define HONE_SERVE_LISTENER_H

#include "serve/loop.h"

typedef struct hone_listener hone_listener;

typedef struct hone_listener_options {
    const char *host;        /* NULL: all addresses */
    int port;                /* 0 picks one */
    int max_connections;     /* over all loops; further ones get 503 and are closed; 0: no limit */
    hone_loop *const *loops; /* borrowed */
    int loop_count;
    hone_stats *stats;
} hone_listener_options;

/* Binds and listens. On success hone_listener_free() when done. */
hone_status hone_listener_new(const hone_listener_options *options, hone_listener **out, hone_error *err);
int hone_listener_port(const hone_listener *l);
/* Accepts until the descriptor `until` is readable (-1: none) or `ms` milliseconds are over (-1: never). */
void hone_listener_run(hone_listener *l, int until, int ms);
/* Accepts what the system has completed already, then closes the socket. */
void hone_listener_close(hone_listener *l);
void hone_listener_free(hone_listener *l); /* NULL is fine */

#endif
