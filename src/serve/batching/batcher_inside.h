/* What the batcher's two sides share: batcher.c, the workers', and compute.c, the compute threads'. */
#ifndef HONE_SERVE_BATCHING_BATCHER_INSIDE_H
#define HONE_SERVE_BATCHING_BATCHER_INSIDE_H

#include "serve/batching/batch_queue.h"
#include "serve/batching/batcher.h"
#include "serve/request/budget.h"

#include <pthread.h>

/* A worker. */
typedef struct hone_worker {
    hone_port port;
    bool attached;
    /* The worker's own. */
    hone_batch_list pending; /* of this turn */
    bool running;
    hone_beat *beats;
    hone_budget_room room; /* what its runs take beyond the usual */
    pthread_mutex_t lock;  /* guards what follows */
    hone_batch_list finished;
    hone_post *posts, *last_post;
    bool woken;
} hone_worker;

struct hone_batcher {
    hone_stats *stats;
    hone_worker *workers;
    int worker_count;
    double inline_cost;
    atomic_int expected; /* those who are to post from threads of their own */
    pthread_t *threads;
    int thread_count;
    hone_budget_room *rooms; /* of compute threads: what their runs take beyond the usual */
    pthread_mutex_t lock;    /* guards what follows */
    pthread_cond_t work;
    bool stop;
    int idle, named;
    hone_batch_queue queue;
    hone_work *offloaded, *last_offloaded; /* work that no thread has taken yet */
    bool batch_is_next;
};

/* Runs predictions together on the instance of a thread, and has each take its results; sets their status and what is
 * wrong, and moves them to `done`, or, NULL, tells them: on the worker's thread. Gives the instance's memory back where it
 * was unusually much. False: several failed, whichever is at fault; they stay in the list, and each is to be run for
 * itself. */
bool hone_batcher_run(hone_batcher *b, hone_servable *s, int thread, hone_batch_list *l,
                      hone_batch_list *done);
/* What becomes of one whose run was broken off: HONE_DEADLINE_EXCEEDED or HONE_CANCELLED. */
hone_status hone_batcher_why_cancelled(const hone_prediction *p);
/* Any thread: gives predictions, whose status is set, back to their workers; one wake-up for each of
 * these. */
void hone_batcher_hand_back(hone_batcher *b, hone_batch_list *done);

/* Under the lock. */
void hone_batcher_remove_work(hone_batcher *b, hone_work *w);

/* A compute thread: runs what is queued until the batcher stops. */
void *hone_batcher_compute(void *batcher);
/* After that: fails what is queued, and does what was offloaded. */
void hone_batcher_fail_queued(hone_batcher *b);

#endif
