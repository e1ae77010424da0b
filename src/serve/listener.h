/* The listening socket: accepts, and hands each connection to the loop with the fewest. */
#ifndef HONE_SERVE_LISTENER_H
#define HONE_SERVE_LISTENER_H

#include "serve/loop.h"

typedef struct hone_listener hone_listener;

typedef struct hone_listener_options {
    const char *host;
    int port;                /* 0 picks one */
    int max_connections;     /* over all loops; further ones get 503 and are closed; 0: no limit */
    hone_loop *const *loops; /* borrowed; accepting runs on the first one */
    int loop_count;
    hone_stats *stats;
} hone_listener_options;

/* Binds and listens; accepting starts as the first loop runs. On success hone_listener_free() when done. */
hone_status hone_listener_new(const hone_listener_options *options, hone_listener **out, hone_error *err);
int hone_listener_port(const hone_listener *l);
/* On the first loop's thread: accepts what the system has completed already, then closes the socket. */
void hone_listener_close(hone_listener *l);
void hone_listener_free(hone_listener *l); /* NULL is fine */

#endif
