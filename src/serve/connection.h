/* One HTTP/1.1 connection: socket, parser, and the request that is being read or answered. All functions on
 * the loop's thread. */
#ifndef HONE_SERVE_CONNECTION_H
#define HONE_SERVE_CONNECTION_H

#include "serve/loop.h"

#include <event2/event_struct.h>

struct hone_connection {
    hone_loop *loop;
    hone_connection *previous, *next; /* in the list of its phase */
    hone_phase phase;
    uint64_t since; /* when it entered the phase or made progress in it */
    int fd;
    struct event readable, writable, closed;
    hone_http1 parser;
    hone_request *request; /* being read or answered; NULL between messages */
    hone_buffer pending;   /* input that waits for the answer before it */
    hone_buffer out;       /* answers that the socket did not take yet: from `sent` on */
    size_t sent;
    bool reading, writing; /* events that are armed */
    bool feeding;          /* input is being worked on: answers go to the loop's cork */
    bool running;          /* the handler has the request */
    bool close_after;      /* the answer being written is the last one */
    bool chunked, bare;    /* the answer: in chunks; without a body, because it answers HEAD */
    bool fresh;            /* a message ended since the phase was set */
    bool broken;           /* to be closed as soon as nobody works on it */
};

/* Takes the socket over, also when it fails. */
void hone_connection_open(hone_loop *loop, int fd);
void hone_connection_close(hone_connection *c);
/* Its time in its phase is over. */
void hone_connection_expire(hone_connection *c);

#endif
