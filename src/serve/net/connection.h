/* One connection: a socket, and the protocol that its first bytes ask for. All functions on the loop's
 * thread.
 *
 *      connection.c         socket, events, phases                  knows no protocol
 *      connection_send.c    what goes out, and what waits to        likewise
 *      connection_tls.c     between the socket and the protocol     over tls.h
 *      connection_http1.c   one request at a time                   over http1.h
 *      connection_http2.c   many of them                            over http2.h */
#ifndef HONE_SERVE_NET_CONNECTION_H
#define HONE_SERVE_NET_CONNECTION_H

#include "serve/net/loop.h"
#include "serve/request/access_log.h"

#include <event2/event_struct.h>

enum {
    HONE_CORK_MOST = 256 << 10, /* answers gathered before they are sent */
    HONE_DIRECT_FROM = 16 << 10 /* parts of this size are sent without copying them first */
};

typedef struct hone_protocol {
    const char *name; /* "HTTP/2" */
    /* Works on input until it is used up; what has to wait is kept. Answers go to hone_connection_put. */
    void (*feed)(hone_connection *c, const char *data, size_t size);
    /* Goes on with what waited: input that was kept, output that had no room. */
    void (*go_on)(hone_connection *c);
    bool (*may_read)(const hone_connection *c);
    hone_phase (*phase)(const hone_connection *c);
    /* Is nothing of a message under way, in or out? */
    bool (*is_idle)(const hone_connection *c);
    /* Does somebody work for the client? */
    bool (*is_running)(const hone_connection *c);
    /* Memory of what waits for the client and nobody has covered yet; NULL: nothing does. */
    size_t (*held)(const hone_connection *c);
    /* There is no room for what waits for the client: gives some of it up, or else the connection is closed. NULL: can't. */
    void (*give_up)(hone_connection *c);
    /* HEAD or BODY took too long: says so and ends what must end. */
    void (*expire)(hone_connection *c);
    /* Looks for parts of a connection at work, and for bodies, that took too long. */
    void (*sweep)(hone_connection *c, uint64_t now);
    /* The client has ended its side and may have gone: sends something that changes no answer, since the system of a
     * client that has gone then says so. Asked again until c->probed. */
    void (*probe)(hone_connection *c);
    /* Says that no more requests should come; `now`: that none are taken any more. */
    void (*drain)(hone_connection *c, bool now);
    /* Gives everything back, and cancels what is not answered. */
    void (*free)(hone_connection *c);
} hone_protocol;

extern const hone_protocol hone_connection_http1, hone_connection_http2;

struct hone_connection {
    hone_loop *loop;
    hone_connection *previous, *next; /* in the list of its phase */
    hone_phase phase;
    uint64_t since; /* when it entered the phase or made progress in it */
    int fd;
    const hone_endpoint *endpoint;
    hone_remote remote;    /* known if there is an access log */
    hone_tls_session *tls; /* NULL: cleartext */
    struct event readable, writable,
        closed; /* the last one: looks whether it has gone, if it is half closed */
    const hone_protocol *protocol;
    hone_buffer out; /* what the socket did not take yet: from `sent` on; sealed if there is TLS */
    size_t sent;
    hone_buffer answer; /* what comes behind that: from `answered` on, not sealed */
    size_t answered;
    hone_budget_share share; /* what waits for the client holds of the budget */
    uint64_t held_since;     /* when it began to */
    hone_buffer pending;     /* input that waits: for the answer before it, or to show its protocol */
    bool reading, writing;   /* events that are armed */
    bool close_after;        /* what is to be sent is the last */
    bool fresh;              /* a message ended, or some of one came or went, since the phase was set */
    bool broken;             /* to be closed as soon as nobody works on it */
    bool half_closed;        /* the client sends no more, but may still take answers */
    bool probed;             /* and has been sent something since then */
    bool ended;              /* all that it has sent is read */
    uint64_t half_since;
    int look_ms;  /* how long until the next look whether it has gone */
    bool starved; /* a body waits for the budget: then in the loop's list of those */
    hone_connection *starved_previous, *starved_next;
    /* HTTP/1 */
    hone_http1 parser;
    hone_request *request; /* being read or answered; NULL between messages */
    size_t behind;         /* bytes of input behind what is being worked on */
    bool running;          /* the handler has the request */
    bool chunked, bare;    /* the answer: in chunks; without a body, because it answers HEAD */
    bool version_sent;     /* likewise: HTTP/1.1 and the space behind it, to probe the client */
    /* HTTP/2 */
    hone_http2 *http2;
};

/* Takes the socket over, also when it fails. */
void hone_connection_open(hone_loop *loop, const hone_arrival *from);
void hone_connection_close(hone_connection *c);
/* Its time in its phase is over. */
void hone_connection_expire(hone_connection *c);
/* Takes it out of the starved ones and goes on with it, which may put it back at their end or close it. */
void hone_connection_feed_starved(hone_connection *c);
/* See hone_protocol. */
void hone_connection_sweep(hone_connection *c, uint64_t now);
void hone_connection_drain(hone_connection *c, bool now);

/* Moves it to the list of a phase, if it is in another one or made progress. */
void hone_connection_set_phase(hone_connection *c, hone_phase phase);

/* --- connection_tls.c --- */

/* Works on input of the socket. */
void hone_connection_unseal(hone_connection *c, const char *data, size_t size);
/* Seals and sends; the cork's content first. */
void hone_connection_send_sealed(hone_connection *c, const char *data, size_t size);
/* Says that nothing more comes; false: it is not sent yet. */
bool hone_connection_end_tls(hone_connection *c);
static inline bool hone_connection_is_shaking(const hone_connection *c) {
    return c->tls && hone_tls_session_state(c->tls) == HONE_TLS_SHAKING;
}

/* --- for the protocols --- */

/* Hands input to the protocol. */
void hone_connection_feed(hone_connection *c, const char *data, size_t size);
/* Sends what the socket takes of the two pieces, and keeps the rest. As they are: sealed, if there is TLS. */
void hone_connection_send_pieces(hone_connection *c, const void *a, size_t a_size, const void *b,
                                 size_t b_size);

/* Sends, at once or with what else the input brings. */
void hone_connection_put(hone_connection *c, const void *data, size_t size);
/* The same of a large buffer. If the socket does not take all of it, its memory is the connection's, and it is empty. */
void hone_connection_take(hone_connection *c, hone_buffer *data);
/* Bytes that the socket did not take yet. */
static inline size_t hone_connection_unsent(const hone_connection *c) {
    return c->out.size - c->sent + c->answer.size - c->answered;
}
/* Between cork and uncork, while input is worked on, answers gather in the loop's cork, and nothing is
 * settled: neither this connection nor another whose request happens to be answered meanwhile. One connection
 * at a time. */
static inline bool hone_connection_is_corked(const hone_connection *c) {
    return c->loop->corking == c;
}
void hone_connection_cork(hone_connection *c);
void hone_connection_uncork(hone_connection *c);
/* Sends the loop's cork, then `data`. There is nothing unsent before it. */
void hone_connection_send_corked(hone_connection *c, const void *data, size_t size);
/* Sends what waits; the socket takes what it takes. */
void hone_connection_send(hone_connection *c);
/* After anything happened: closes what is broken or done, and waits for the right things otherwise. At once,
 * or, while something is corked, later in this turn of the loop. */
void hone_connection_settle(hone_connection *c);
/* Asks for on_writable in this turn of the loop, so that several answers go out together. */
void hone_connection_wake(hone_connection *c);
/* May a request be read whose head is there? False: it has been answered. */
bool hone_connection_admit(hone_connection *c, hone_request *r);
/* Gives a complete request to the handler, and counts it. */
void hone_connection_dispatch(hone_connection *c, hone_request *r);
/* Counts a request whose answer is complete, or that is dropped after the handler got it. */
void hone_connection_answered(hone_connection *c, hone_request *r);
void hone_connection_dropped(hone_connection *c, hone_request *r);
/* A body has to wait for the budget: the protocol's go_on is called when it is worth asking again. */
void hone_connection_starve(hone_connection *c);
/* Has the client gone? One that has only ended its side has not, unless its system answers a probe with a reset. */
bool hone_connection_is_gone(hone_connection *c);
/* What was put is on its way to the socket now, though answers gather. */
void hone_connection_push(hone_connection *c);
/* All that the client has sent is read, and no more will come. */
void hone_connection_end_input(hone_connection *c);

#endif
