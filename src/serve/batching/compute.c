#include "base/clock.h"
#include "base/thread.h"
#include "serve/batching/batcher_inside.h"

typedef hone_batch_list list;

/* One of several made the run fail: back to the queue, each to be run for itself. */
static void run_alone(hone_batcher *b, hone_servable *s, list *l) {
    hone_model_stats_queue(s->stats, l->count);
    for (hone_prediction *p = l->first; p; p = p->next) p->alone = true;
    pthread_mutex_lock(&b->lock);
    hone_batch_queue_put_back(&b->queue, s, l);
    pthread_mutex_unlock(&b->lock);
}

/* Those that are late are dropped, the others run. */
static void run_queued(hone_batcher *b, int thread, hone_servable *s, list *run) {
    list fine = {0}, done = {0};
    uint64_t now = hone_now();
    while (run->first) {
        hone_prediction *p = hone_batch_list_pop(run);
        p->status = hone_prediction_check(p, now);
        hone_batch_list_append(p->status == HONE_OK ? &fine : &done, p);
    }
    if (fine.first && !hone_batcher_run(b, s, b->worker_count + thread, &fine, &done)) run_alone(b, s, &fine);
    hone_batcher_hand_back(b, &done);
}

static void drop(hone_batcher *b, list *late) {
    for (hone_prediction *p = late->first; p; p = p->next) {
        p->queue_time = hone_now() - p->submitted;
        hone_model_stats_dropped(p->servable->stats, p->status);
    }
    hone_batcher_hand_back(b, late);
}

static void run_batch(hone_batcher *b, int thread, hone_servable *s) {
    list run = {0}, late = {0};
    hone_batch_queue_take(&b->queue, s, &run, &late);
    uint64_t ignored;
    if (b->idle > 0 && hone_batch_queue_next(&b->queue, &ignored)) pthread_cond_signal(&b->work);
    pthread_mutex_unlock(&b->lock);
    int taken = run.count + late.count;
    hone_servable_retain(s);
    hone_model_stats_queue(s->stats, -taken);
    if (late.first) drop(b, &late);
    if (run.first) run_queued(b, thread, s, &run);
    hone_servable_release(s);
    pthread_mutex_lock(&b->lock);
}

static void run_offloaded(hone_batcher *b) {
    hone_work *w = b->offloaded;
    hone_batcher_remove_work(b, w);
    pthread_mutex_unlock(&b->lock);
    w->run(w);
    hone_batcher_post(b, w->worker, &w->post);
    pthread_mutex_lock(&b->lock);
}

static void wait(hone_batcher *b, uint64_t until) {
    b->idle++;
    if (until)
        hone_cond_wait_until(&b->work, &b->lock, until);
    else
        pthread_cond_wait(&b->work, &b->lock);
    b->idle--;
}

void *hone_batcher_compute(void *batcher) {
    hone_batcher *b = batcher;
    (void)hone_thread_be_patient();
    pthread_mutex_lock(&b->lock);
    int thread = b->named++;
    while (!b->stop) {
        uint64_t until;
        hone_servable *s = hone_batch_queue_next(&b->queue, &until);
        if (b->offloaded && !(s && b->batch_is_next)) {
            b->batch_is_next = true;
            run_offloaded(b);
        } else if (s) {
            b->batch_is_next = false;
            run_batch(b, thread, s);
        } else {
            wait(b, until);
        }
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

void hone_batcher_fail_queued(hone_batcher *b) {
    list left = {0};
    hone_batch_queue_clear(&b->queue, &left);
    for (hone_prediction *p = left.first; p; p = p->next) {
        p->status = HONE_UNAVAILABLE;
        hone_model_stats_queue(p->servable->stats, -1);
    }
    hone_batcher_hand_back(b, &left);
    while (b->offloaded) {
        hone_work *w = b->offloaded;
        hone_batcher_remove_work(b, w);
        w->run(w);
        hone_batcher_post(b, w->worker, &w->post);
    }
}
