/* An event loop: one thread, its connections, and the scratch memory they share, so that an idle connection
 * owns no buffer. Other threads hand it sockets and commands; all else is its own thread's. */
#ifndef HONE_SERVE_NET_LOOP_H
#define HONE_SERVE_NET_LOOP_H

#include "serve/access/endpoint.h"
#include "serve/format/date.h"
#include "serve/http/http1.h"
#include "serve/http/http2.h"
#include "serve/request/request.h"

#include <event2/event.h>
#include <pthread.h>

#define HONE_LOOP_SCRATCH ((size_t)64 << 10)
/* As much plaintext as can be in that, with the start of a record that came before. */
#define HONE_LOOP_PLAIN (HONE_LOOP_SCRATCH + ((size_t)16 << 10))

typedef struct hone_loop hone_loop;
typedef struct hone_connection hone_connection;

/* Answers a request, at once or later; it may keep the request after hone_request_retain. */
typedef void hone_handler_fn(void *user, hone_loop *loop, hone_request *r);

/* Shared by all loops, borrowed, constant while they run. */
typedef struct hone_loop_config {
    hone_http1_limits limits;
    hone_http2_limits http2; /* zeros: as `limits`, else the defaults */
    uint64_t idle_timeout, header_timeout, request_timeout, drain_grace; /* nanoseconds; 0: none */
    hone_handler_fn *handler;
    /* May this request, of which only the head is there, be read? False: it has been answered. NULL:
     * always. */
    bool (*admit)(void *user, hone_request *r);
    /* Does the handler want a request, of which only the head is there, to read its body as it comes (see
     * hone_request.more)? Only HTTP/2 asks. NULL: never. */
    bool (*streams)(void *user, const hone_request *r);
    /* Called on the loop's thread when it was woken, by hone_loop_wake among others. NULL: nobody is told. */
    void (*woken)(void *user, hone_loop *loop);
    void *user;
    hone_stats *stats;
    struct hone_access_log *access_log; /* NULL: none */
    hone_budget *budget;                /* of all bodies; NULL: none */
} hone_loop_config;

/* What a connection waits for; each phase has its list, whose order is that of the time it was entered (or,
 * for bodies and answers, of the last progress), so timeouts need no timer per connection. */
typedef enum hone_phase {
    HONE_PHASE_IDLE,   /* the first byte of a message */
    HONE_PHASE_HEAD,   /* the rest of a head */
    HONE_PHASE_BODY,   /* more of a body */
    HONE_PHASE_RUN,    /* an answer from the handler */
    HONE_PHASE_WRITE,  /* the client to take the answer */
    HONE_PHASE_LINGER, /* the client to close, after the last answer */
    HONE_PHASE_COUNT
} hone_phase;

typedef struct hone_connection_list {
    hone_connection *first, *last;
} hone_connection_list;

/* A socket on its way to its loop. */
typedef struct hone_arrival {
    int fd;
    const hone_endpoint *endpoint;
} hone_arrival;

struct hone_loop {
    const hone_loop_config *config;
    int index;
    struct event_base *base;
    struct event *wake, *tick, *due;
    int wake_fd;
    char *scratch;            /* HONE_LOOP_SCRATCH bytes that sockets are read into */
    char *plain;              /* HONE_LOOP_PLAIN bytes: what TLS makes of them */
    hone_buffer sealed;       /* what TLS makes of answers, on its way to the socket */
    hone_connection *corking; /* whose answers gather in `cork`; NULL: nobody's */
    hone_buffer cork; /* answers made while a connection's input is worked on: sent at once at the end */
    hone_connection_list phases[HONE_PHASE_COUNT];
    hone_connection_list starved; /* connections with bodies that wait for the budget */
    hone_budget_seat seat;
    atomic_bool fed;        /* something was given back to the budget */
    hone_request *requests; /* pool */
    hone_deadlines deadlines;
    hone_http2_host *http2;
    hone_date date;
    atomic_int connections; /* open ones and those handed over */
    bool draining;
    uint64_t drain_started;
    pthread_mutex_t lock; /* guards what follows */
    hone_arrival *incoming;
    size_t incoming_count, incoming_capacity;
    bool drain_asked, stop_asked;
};

hone_status hone_loop_new(const hone_loop_config *config, int index, hone_loop **out, hone_error *err);
void hone_loop_free(hone_loop *loop); /* closes what is open; NULL is fine */

/* Runs until it is drained or stopped. */
void hone_loop_run(hone_loop *loop);

/* Any thread: a connected, non-blocking socket for the loop, which closes it. The endpoint is borrowed. */
void hone_loop_hand(hone_loop *loop, int fd, const hone_endpoint *endpoint);
/* Any thread: there is something for hone_loop_config.woken. */
void hone_loop_wake(hone_loop *loop);
/* Any thread: answer what comes with "Connection: close", and leave hone_loop_run when no connection is
 * left. */
void hone_loop_drain(hone_loop *loop);
/* Any thread: closes all connections and leaves hone_loop_run. */
void hone_loop_stop(hone_loop *loop);

#endif
