/* What is asked of the batcher, and how it reaches those who asked. */
#ifndef HONE_SERVE_BATCHING_PREDICTION_H
#define HONE_SERVE_BATCHING_PREDICTION_H

#include "serve/request/request.h"
#include "serve/servable/servable.h"

/* How a worker's thread is reached. */
typedef struct hone_port {
    void (*wake)(void *user); /* any thread: hone_batcher_turn is to be called soon */
    void (*defer)(void *user); /* the worker's thread: … at the end of this turn. NULL: nothing is deferred */
    /* The worker's thread: hone_batcher_beat is to be called from time to time, or not any more. NULL: it never is. */
    void (*beat)(void *user, bool on);
    void *user;
} hone_port;

/* Something to be called on a worker's thread from time to time. The worker's thread alone touches it. */
typedef struct hone_beat {
    struct hone_beat *next, **link; /* NULL: it is not called */
    void (*call)(struct hone_beat *beat);
} hone_beat;

/* Something to be called on a worker's thread. */
typedef struct hone_post {
    struct hone_post *next;
    void (*call)(struct hone_post *post);
} hone_post;

typedef struct hone_prediction hone_prediction;
/* On the thread that has run it, which is the worker's if p->here: takes what is wanted of the outputs (one for each of
 * the servable), which are valid during the call. What it returns is what `done` is told. */
typedef hone_status hone_prediction_take_fn(hone_prediction *p, const hone_tensor *const *outputs,
                                            hone_error *err);
/* On the worker's thread, once. If `status` is not HONE_OK, p->err says more, and nothing was taken, or in vain. The
 * prediction may be freed or submitted again. */
typedef void hone_prediction_fn(hone_prediction *p, hone_status status);

/* Lives with the caller, as do the tensors, until `done` was called. */
struct hone_prediction {
    hone_servable *servable;          /* the batcher takes a reference of its own */
    hone_request *request;            /* likewise; its deadline and cancel flag count. NULL: none */
    const hone_tensor *const *inputs; /* one for each input of the servable, in order */
    int worker;
    hone_prediction_take_fn *take;
    hone_prediction_fn *done;
    hone_error *err;
    void *user;
    bool here; /* for `take` to read */
    /* What happened, for `done` to read: nanoseconds, and the rows of the run it was part of (0: it is not
     * cut in rows). */
    uint64_t queue_time, batch_time, compute_time;
    int64_t batch_rows;
    /* The batcher's. */
    hone_prediction *previous, *next;
    bool queued; /* in its servable's queue; guarded by the batcher's lock */
    hone_part part;
    uint64_t submitted, deadline;
    bool alone;
    hone_status status;
};

/* Other work that is too long for a worker's thread: `run` on a compute thread, then `done` on the worker's.
 * Lives with the caller until then, or until it is withdrawn. */
typedef struct hone_work {
    int worker;
    void (*run)(struct hone_work *w);
    void (*done)(struct hone_work *w);
    void *user;
    /* The batcher's. */
    hone_post post;
    struct hone_work *previous, *next;
    bool queued; /* guarded by the batcher's lock */
} hone_work;

#endif
