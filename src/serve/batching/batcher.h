/* The batcher: from predictions to runs, and back to the workers.
 *
 *      submit ─┬ cheap ──► the worker's list of this turn ──► its own thread: run, take, done
 *              └ costly ─► the servable's queue ──► compute threads: run, take ──► the worker's list: done
 *
 * A queue is a first-in-first-out list; a compute thread takes its head and those behind it that have the
 * same shapes, as many as give the most rows a second by what warm-up measured. Queues with work take
 * turns. */
#ifndef HONE_SERVE_BATCHING_BATCHER_H
#define HONE_SERVE_BATCHING_BATCHER_H

#include "serve/batching/prediction.h"

typedef struct hone_batcher hone_batcher;

hone_status hone_batcher_new(int workers, hone_stats *stats, hone_batcher **out, hone_error *err);
void hone_batcher_free(hone_batcher *b); /* stopped; NULL is fine */
/* `inline_cost`: seconds; what costs less is run by the worker. `budget`: of what runs need beyond the usual; borrowed,
 * NULL: no limit. Where the system starts no more threads it has as many as there are, and logs a warning; without any,
 * workers run everything. */
hone_status hone_batcher_start(hone_batcher *b, int threads, double inline_cost, struct hone_budget *budget,
                               hone_error *err);
/* Compute threads that were started. */
int hone_batcher_threads(const hone_batcher *b);
/* Ends the threads, fails what is queued, and calls what is left to be called. */
void hone_batcher_stop(hone_batcher *b);

/* As the functions of the core. */
void hone_batcher_attach(hone_batcher *b, int worker, const hone_port *port);
void hone_batcher_turn(hone_batcher *b, int worker);
void hone_batcher_submit(hone_batcher *b, hone_prediction *p);
void hone_batcher_offload(hone_batcher *b, hone_work *w);
/* What nobody waits for any more. The worker's thread. A prediction that was submitted and is still queued is told now;
 * one that runs is told in its time. True: the work will neither run nor be done. */
void hone_batcher_withdraw(hone_batcher *b, hone_prediction *p);
bool hone_batcher_withdraw_work(hone_batcher *b, hone_work *w);
/* Any thread: has `post` called on the worker's thread. */
void hone_batcher_post(hone_batcher *b, int worker, hone_post *post);
/* The worker's thread: has it called from time to time, and not any more, also from within the call, for itself. */
void hone_batcher_start_beat(hone_batcher *b, int worker, hone_beat *beat);
void hone_batcher_stop_beat(hone_batcher *b, int worker, hone_beat *beat);
void hone_batcher_beat(hone_batcher *b, int worker);
/* Any thread: so many more others than compute threads are to post, or less; stopping waits for them. */
void hone_batcher_expect(hone_batcher *b, int change);

#endif
