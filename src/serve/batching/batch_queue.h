/* The queues of servables, which take turns: first in, first out, but for those that run together with the
 * head. Knows no threads: all of it is called under one lock, the batcher's. */
#ifndef HONE_SERVE_BATCHING_BATCH_QUEUE_H
#define HONE_SERVE_BATCHING_BATCH_QUEUE_H

#include "serve/batching/batch_list.h"

/* A zeroed struct is empty. */
typedef struct hone_batch_queue {
    hone_servable *ready; /* a ring of those with a queue; the next one to be served */
} hone_batch_queue;

/* Why a prediction should not be run any more: HONE_DEADLINE_EXCEEDED, HONE_CANCELLED, or HONE_OK. */
hone_status hone_prediction_check(const hone_prediction *p, uint64_t now);

/* False: its servable's queue is full. */
bool hone_batch_queue_put(hone_batch_queue *q, hone_prediction *p);
/* Takes out one that is in it. */
void hone_batch_queue_remove(hone_batch_queue *q, hone_prediction *p);
/* Puts back what did not run, however full it is; `l` is empty then. */
void hone_batch_queue_put_back(hone_batch_queue *q, hone_servable *s, hone_batch_list *l);
/* The next servable whose head may be run; else NULL, and when the first will be (0: not by waiting). */
hone_servable *hone_batch_queue_next(const hone_batch_queue *q, uint64_t *wait_until);
/* Takes the next run of a servable; moves what comes too late for one to `late`. */
void hone_batch_queue_take(hone_batch_queue *q, hone_servable *s, hone_batch_list *run,
                           hone_batch_list *late);
/* Empties it. */
void hone_batch_queue_clear(hone_batch_queue *q, hone_batch_list *out);

#endif
