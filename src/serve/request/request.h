/* A request: the contract between protocols, front ends and whoever computes.
 *
 *      connection ──► request (head, body, deadline, cancel flag) ──► front end ──► core
 *          ▲                                                              │
 *          └───────────── sink: begin, part…, end ◄───────────────────────┘
 *
 * A request belongs to one loop. Only that loop's thread touches it, apart from the reference count and the
 * cancel flag, which any thread may use. It outlives its connection: then `stream` is NULL, the cancel flag
 * is set, and what is given to the sink vanishes. */
#ifndef HONE_SERVE_REQUEST_REQUEST_H
#define HONE_SERVE_REQUEST_REQUEST_H

#include "serve/format/buffer.h"
#include "serve/format/json_scan.h"
#include "serve/observe/stats.h"
#include "serve/request/budget.h"
#include "serve/request/deadlines.h"
#include "serve/request/head.h"
#include "serve/request/trace.h"

#include <hone/error.h>

#include <stdatomic.h>

typedef struct hone_request hone_request;
typedef struct hone_packer hone_packer;

/* Where answers go; made by the protocol. Called on the loop's thread. */
typedef struct hone_sink {
    /* `length` of the body, -1 if it is not known yet. Sends r->fields as well. */
    void (*begin)(hone_request *r, int status, const char *content_type, int64_t length);
    /* Takes all of `data`. False: the client is slow, and the producer should wait until r->resume is
     * called. */
    bool (*part)(hone_request *r, const void *data, size_t size);
    /* Sends r->trailers as well, where the protocol can: HTTP/2, and chunked answers of HTTP/1.1. */
    void (*end)(hone_request *r);
    /* Has the client gone? Asks the system, so ask seldom. */
    bool (*gone)(hone_request *r);
    /* begin, part and end, for an answer that is there at once. NULL: they are called one after the other. */
    void (*whole)(hone_request *r, int status, const char *content_type, const void *data, size_t size);
    /* `part` of all of a buffer, whose memory it may keep: then it is empty. NULL: as `part`. */
    bool (*take)(hone_request *r, hone_buffer *data);
} hone_sink;

/* A request's place among its loop's deadlines. */
typedef struct hone_due {
    hone_deadlines *wheel; /* NULL: it is in none */
    hone_request *next, **link;
} hone_due;

struct hone_request {
    atomic_int references;
    atomic_bool cancelled;
    const hone_sink *sink;
    const struct hone_endpoint *endpoint; /* where it came in, once the head is there; NULL: anywhere */
    void *stream;                         /* of the sink; NULL once the client has gone */
    hone_request **pool;                  /* where it goes when it is not needed any more; NULL: freed */
    hone_request *next;                   /* in that pool */
    int depth;                            /* in that pool: requests below it */
    uint64_t started, received;           /* when its first byte and its last one came */
    uint64_t deadline;                    /* 0: none */
    hone_due due;                         /* by that */
    bool timed, bad_timeout;              /* hone_request_take_timeout has looked, and what it has found */
    uint64_t next_look;                   /* when to ask again whether the client has gone */
    hone_head head;                       /* its text lies in `text` */
    hone_buffer text, body;               /* the body is followed by HONE_JSON_PAD zero bytes */
    size_t body_most;                     /* bytes; what admission says, however many the server allows */
    hone_budget_share share;              /* what the body holds of the budget, until the request is freed */
    atomic_int *counted; /* where it counts as one under way until it is freed; NULL: nowhere */
    bool begun, ended;
    int status; /* of the answer, once begun, as counters see it: HTTP's, or what stands for gRPC's */
    hone_buffer fields, trailers; /* of the answer: NAME 0 VALUE 0 … */
    /* Of a handler that reads the body as it comes: called on the loop's thread when r->body has grown, and
     * once with r->whole when it is complete. It may drop what it has read from r->body. */
    void (*more)(hone_request *r);
    void *reader;        /* of that handler */
    hone_packer *packer; /* of a gRPC call: unpacks and packs its messages; NULL: nobody does */
    bool whole;          /* the body is complete */
    /* Of whoever works for it: called once on the loop's thread when its client has gone or its deadline has passed,
     * so that it gives up what it can. NULL: nobody does. */
    void (*quit)(hone_request *r);
    void *work;
    /* Of a producer that waits: called on the loop's thread when the sink has room again. */
    void (*resume)(hone_request *r, void *producer);
    void *producer;
    /* How its API says what is wrong; NULL: {"error": "MESSAGE"}. */
    void (*write_error)(hone_buffer *out, int status, const char *message);
    /* For the counters; set by the front end. */
    hone_method method;
    hone_model_stats *model; /* hone_request_set_model */
    /* For the access log. */
    uint64_t bytes_in, bytes_out;      /* of the bodies */
    uint64_t stages[HONE_STAGE_COUNT]; /* nanoseconds; 0: it had none of it */
    int64_t rows;                      /* of the run that it was part of; 0: none, or not cut in rows */
    int grpc_status;                   /* -1: it is no gRPC call, or has no answer yet */
    hone_slice id;                     /* the client's own name of the request; borrowed */
    hone_buffer error;                 /* what the answer says is wrong */
    hone_trace trace;
};

/* An empty request with one reference, from the pool if there is one in it; NULL when memory is out. */
hone_request *hone_request_new(hone_request **pool);
hone_request *hone_request_retain(hone_request *r);
/* The last reference must be given back on the loop's thread. NULL is fine. */
void hone_request_release(hone_request *r);
void hone_request_free_pool(hone_request **pool);

/* The model that it is about; takes a reference. The loop's thread. */
void hone_request_set_model(hone_request *r, hone_model_stats *model);

/* Copies the head and its text. */
hone_status hone_request_set_head(hone_request *r, const hone_head *head);
/* Appends to the body. */
void hone_request_take(hone_request *r, const void *data, size_t size);
/* Ends the body: pads it. */
hone_status hone_request_end_body(hone_request *r);

/* Any thread: asks the work for the request to stop. */
void hone_request_cancel(hone_request *r);
static inline bool hone_request_is_cancelled(const hone_request *r) {
    return atomic_load_explicit(&r->cancelled, memory_order_relaxed);
}
/* The loop's thread: nobody waits for it any more. Cancels it, and tells whoever works for it. */
void hone_request_abandon(hone_request *r);
/* It is not to count as one under way, though it goes on. */
void hone_request_uncount(hone_request *r);
/* A hone_cancel_fn over a request: cancelled, past its deadline, or its client has gone (asked every few
 * milliseconds). The loop's thread only. */
bool hone_request_should_stop(void *request);
/* Why it should: HONE_DEADLINE_EXCEEDED or HONE_CANCELLED, in words for whoever asked. */
hone_status hone_request_stopped(const hone_request *r, hone_error *err);
/* The words for a prediction that did not run or did not end: those two, HONE_UNAVAILABLE, or another
 * failure. */
hone_status hone_request_explain(hone_status status, hone_error *err);

/* Did it begin before `then`, apart from the time that its body had to wait for the budget? */
static inline bool hone_request_began_before(const hone_request *r, uint64_t then) {
    return r->started + r->share.waited < then;
}

/* Brings the deadline forward, 0 does nothing: to a point in time, or to so many nanoseconds after the request's first
 * byte. */
void hone_request_bring_forward(hone_request *r, uint64_t deadline);
void hone_request_limit_time(hone_request *r, uint64_t timeout);

/* Adds a field to the head of the answer, before it begins, or to its trailer, before it ends. `name` is in
 * lower case; both are copied. */
void hone_request_field(hone_request *r, const char *name, const char *value);
void hone_request_trailer(hone_request *r, const char *name, const char *value);
/* Walks over r->fields or r->trailers: the next pair behind `at`, moving it on; false at the end. */
bool hone_request_next_field(const hone_buffer *fields, size_t *at, const char **name, const char **value);

void hone_request_begin(hone_request *r, int status, const char *content_type, int64_t length);
bool hone_request_part(hone_request *r, const void *data, size_t size);
/* All of a buffer, which is empty afterwards: a large one is not copied to wait for the client. */
bool hone_request_part_of(hone_request *r, hone_buffer *data);
void hone_request_end(hone_request *r);
/* All three. */
void hone_request_answer(hone_request *r, int status, const char *content_type, const void *data,
                         size_t size);
void hone_request_answer_of(hone_request *r, int status, const char *content_type, hone_buffer *data);
/* Notes what is wrong, for the access log. */
void hone_request_note_error(hone_request *r, const char *message);
/* Part of a trace or not? If so, the answer says it too. The head must be there. */
void hone_request_join_trace(hone_request *r);
/* {"error": "MESSAGE"}, or as r->write_error has it, with Retry-After if the status is 429 or 503. */
void hone_request_fail(hone_request *r, int status, const char *message);
/* The same with a body that is there, and seconds to wait. */
void hone_request_fail_with(hone_request *r, int status, const char *message, const hone_buffer *body,
                            int retry);
/* The same for a path that is not there (404) or not there for that method (405). */
void hone_request_refuse_path(hone_request *r, int status);

#endif
