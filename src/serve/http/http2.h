/* HTTP/2 for servers, over nghttp2: bytes in, requests, answers, bytes out. Touches no socket.
 *
 *       take(bytes) ──► streams ──► run: the handler ──► answers wait in their streams ──► give(bytes)
 *
 *   hone_http2_take(h, input)          as many requests as there are become ready
 *   hone_http2_run(h)                  hands them out; resumes producers that waited
 *   hone_http2_give(h, output)         answers, as the client's windows allow, and the protocol's own frames
 *
 * What is refused here: heads over the limit (431), bodies over the limit or the request's own (413), more
 * than HONE_MAX_FIELDS fields; each is answered on its stream, in gRPC's terms if it is a gRPC call. A client
 * that resets streams, or sends frames that carry nothing, faster than the limits allow is told
 * ENHANCE_YOUR_CALM and the connection ends. Everything else that is wrong is nghttp2's to find.
 *
 * A connection without streams holds its nghttp2 session, no request and no buffer. */
#ifndef HONE_SERVE_HTTP_HTTP2_H
#define HONE_SERVE_HTTP_HTTP2_H

#include "serve/http/slab.h"
#include "serve/request/request.h"

/* The first bytes of a connection, as a client that speaks HTTP/2 sends them. */
#define HONE_HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

/* So many at once, and so many a second in the long run. */
typedef struct hone_http2_rate {
    uint32_t burst, per_second;
} hone_http2_rate;

/* A zero stands for the default. */
typedef struct hone_http2_limits {
    size_t head_bytes;      /* of a request's fields: names, values and 32 for each; 16 KB */
    size_t body_bytes;      /* 64 MB */
    uint32_t streams;       /* at the same time on one connection; 128 */
    hone_http2_rate resets; /* streams that the client resets, or makes the server reset; 500, 100 */
    hone_http2_rate control; /* frames that carry nothing: PING, SETTINGS, PRIORITY, empty DATA…; 1000, 200 */
} hone_http2_limits;

/* What all connections of a loop share. */
typedef struct hone_http2_host hone_http2_host;

typedef struct hone_http2_host_options {
    hone_http2_limits limits;
    hone_request **requests; /* the loop's pool */
    /* Does the handler read the body of this request, of which only the head is there, as it comes? NULL:
     * never. */
    bool (*streams)(void *user, const hone_request *r);
    void *user;
    hone_budget_seat *seat; /* NULL: bodies have no budget */
    bool plain_memory;      /* see hone_slab.plain */
} hone_http2_host_options;

hone_status hone_http2_host_new(const hone_http2_host_options *options, hone_http2_host **out,
                                hone_error *err);
void hone_http2_host_free(hone_http2_host *host); /* its connections are closed; NULL is fine */

/* What a connection tells whoever owns its socket. */
typedef struct hone_http2_events {
    /* To be answered, at once or later. Called by hone_http2_run only. */
    void (*request)(void *user, hone_request *r);
    /* The answer is complete, though not sent yet. */
    void (*answered)(void *user, hone_request *r);
    /* A request that was given to `request` has lost its stream and is cancelled. */
    void (*dropped)(void *user, hone_request *r);
    /* There is something to give, or the connection has broken: give and close soon, but not from within this
     * call. Not called from within take, run and give, after which one gives anyway. */
    void (*output)(void *user);
    /* Has the client gone? */
    bool (*gone)(void *user);
    /* May this request, of which only the head is there, be read? False: it has been answered. NULL:
     * always. */
    bool (*admit)(void *user, hone_request *r);
} hone_http2_events;

typedef struct hone_http2 hone_http2;

/* NULL when memory is out. `events` is borrowed. */
hone_http2 *hone_http2_new(hone_http2_host *host, const hone_http2_events *events, void *user);
/* Cancels what is not answered. Not from within an event. NULL is fine. */
void hone_http2_free(hone_http2 *h);

/* Takes input, the preface first. False: the connection is beyond help, and must be closed. */
bool hone_http2_take(hone_http2 *h, const void *data, size_t size);
/* Hands out what is ready. True if it did anything. */
bool hone_http2_run(hone_http2 *h);
/* Appends output until there are `most` bytes in `out` (or a frame more), or nothing is left that can be
 * sent. False: the connection is beyond help. */
bool hone_http2_give(hone_http2 *h, hone_buffer *out, size_t most);
/* Nothing is to be read or written any more: close. */
bool hone_http2_is_done(const hone_http2 *h);
/* Streams that are open. */
size_t hone_http2_stream_count(const hone_http2 *h);
/* Memory of answers that wait for the client's windows, and of requests that wait for the client, as far as it is not
 * covered yet and more than a connection may have for nothing. */
size_t hone_http2_held(const hone_http2 *h);
/* Gives up the stream that has the most of it: an answer with ENHANCE_YOUR_CALM, a request with 503. */
void hone_http2_give_up(hone_http2 *h);
/* Does a body wait for the budget? hone_http2_run asks again. */
bool hone_http2_is_starved(const hone_http2 *h);
/* Has the client sent its preface whole, settings included? */
bool hone_http2_is_greeted(const hone_http2 *h);
/* Was the connection ended for what the client did? */
bool hone_http2_is_refused(const hone_http2 *h);

/* Sends a PING: who has gone then answers with a reset. */
void hone_http2_ping(hone_http2 *h);
/* The client sends no more: streams whose request has not come whole end. */
void hone_http2_end_input(hone_http2 *h);
/* Says that no more streams should come (GOAWAY); those that come are served. */
void hone_http2_drain(hone_http2 *h);
/* Ignores new streams; the connection is done when those that are there are. */
void hone_http2_finish(hone_http2 *h);

/* Points in time, for streams on which the client keeps the server waiting. 0: none. */
typedef struct hone_http2_ages {
    uint64_t progress; /* none since before: heads end the connection, bodies get 408, answers are reset */
    uint64_t quiet;    /* nothing came since before: calls that read a stream are reset */
    uint64_t
        answer; /* an answer longer than is free of the budget waits since before: it is reset though it goes on */
    uint64_t body; /* began before, apart from waits for the budget: bodies get 408 though they go on */
} hone_http2_ages;

/* To be called from time to time: at the second time, streams that are answered before their request has come
 * are reset. */
void hone_http2_expire(hone_http2 *h, const hone_http2_ages *ages);

#endif
