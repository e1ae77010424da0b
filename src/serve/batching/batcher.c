#include "serve/batching/batcher_inside.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/thread.h"
#include "serve/request/request.h"

#include <string.h>
#include <unistd.h>

enum { PENDING_MOST = 256 }; /* predictions of one turn; then they are run before the turn ends */

typedef hone_batch_list list;

/* --- telling --- on the worker's thread */

static void tell(hone_prediction *p, hone_status status) {
    hone_servable *s = p->servable;
    hone_request *r = p->request;
    if (status != HONE_OK && !p->err->message[0]) hone_request_explain(status, p->err);
    p->done(p, status);
    hone_request_release(r);
    hone_servable_release(s);
}

/* --- to the workers --- */

static void wake(hone_worker *w, bool was_woken) {
    if (!was_woken) w->port.wake(w->port.user);
}

void hone_batcher_post(hone_batcher *b, int worker, hone_post *post) {
    hone_worker *w = &b->workers[worker];
    post->next = NULL;
    pthread_mutex_lock(&w->lock);
    *(w->posts ? &w->last_post->next : &w->posts) = post;
    w->last_post = post;
    bool woken = w->woken || !w->attached;
    w->woken = true;
    pthread_mutex_unlock(&w->lock);
    wake(w, woken);
}

void hone_batcher_start_beat(hone_batcher *b, int worker, hone_beat *beat) {
    hone_worker *w = &b->workers[worker];
    bool first = !w->beats;
    beat->next = w->beats;
    beat->link = &w->beats;
    if (beat->next) beat->next->link = &beat->next;
    w->beats = beat;
    if (first && w->port.beat) w->port.beat(w->port.user, true);
}

void hone_batcher_stop_beat(hone_batcher *b, int worker, hone_beat *beat) {
    hone_worker *w = &b->workers[worker];
    if (!beat->link) return;
    *beat->link = beat->next;
    if (beat->next) beat->next->link = beat->link;
    *beat = (hone_beat){.call = beat->call};
    if (!w->beats && w->port.beat) w->port.beat(w->port.user, false);
}

void hone_batcher_beat(hone_batcher *b, int worker) {
    for (hone_beat *beat = b->workers[worker].beats, *next; beat; beat = next) {
        next = beat->next;
        beat->call(beat);
    }
}

void hone_batcher_expect(hone_batcher *b, int change) {
    atomic_fetch_add(&b->expected, change);
}

void hone_batcher_hand_back(hone_batcher *b, list *done) {
    while (done->first) {
        int worker = done->first->worker;
        list mine = {0}, others = {0};
        while (done->first) {
            hone_prediction *p = hone_batch_list_pop(done);
            hone_batch_list_append(p->worker == worker ? &mine : &others, p);
        }
        hone_worker *w = &b->workers[worker];
        pthread_mutex_lock(&w->lock);
        *(w->finished.last ? &w->finished.last->next : &w->finished.first) = mine.first;
        w->finished.last = mine.last;
        w->finished.count += mine.count;
        bool woken = w->woken;
        w->woken = true;
        pthread_mutex_unlock(&w->lock);
        wake(w, woken);
        *done = others;
    }
}

/* --- running --- */

typedef struct watch {
    const hone_prediction *first;
    bool inline_run; /* on the thread of the requests' loop, which may ask whether clients are there */
} watch;

static bool nobody_waits(void *user) {
    const watch *w = user;
    uint64_t now = hone_now();
    for (const hone_prediction *p = w->first; p; p = p->next) {
        if (hone_prediction_check(p, now) != HONE_OK) continue;
        if (!w->inline_run || !p->request || !hone_request_should_stop(p->request)) return false;
    }
    return true;
}

static void count_run(hone_batcher *b, hone_servable *s, const list *l, const hone_run *run, uint64_t start) {
    for (hone_prediction *p = l->first; p; p = p->next) {
        p->queue_time = start - p->submitted;
        p->batch_time = (uint64_t)(run->staged * 1e9);
        p->compute_time = (uint64_t)(run->computed * 1e9);
        p->batch_rows = run->size;
        hone_stats_stage(b->stats, HONE_STAGE_QUEUE, (double)p->queue_time * 1e-9);
        hone_model_stats_waited(s->stats, (double)p->queue_time * 1e-9);
        hone_stats_stage(b->stats, HONE_STAGE_BATCH, run->staged);
        hone_stats_stage(b->stats, HONE_STAGE_COMPUTE, run->computed);
    }
    hone_model_stats_run(s->stats, (double)(l->rows > 0 ? l->rows : 1));
    if (run->own > 0) hone_model_stats_padding(s->stats, run->own, run->padding);
}

hone_status hone_batcher_why_cancelled(const hone_prediction *p) {
    hone_status status = hone_prediction_check(p, hone_now());
    return status == HONE_OK ? HONE_CANCELLED : status;
}

static hone_status explain_room(const hone_servable *s, const hone_budget_room *room, hone_error *err) {
    return hone_fail(
        err, HONE_RESOURCE_EXHAUSTED,
        "There is no room for a run of the model %s with such inputs at this time: it needs more than "
        "%zu bytes (--body-budget)",
        s->name, room->taken);
}

/* Has a prediction take its part of the results. */
static hone_status give(hone_servable *s, hone_instance *instance, hone_prediction *p,
                        hone_budget_room *room) {
    const hone_tensor *const *outputs = NULL;
    hone_status status = hone_instance_view(s, instance, &p->part, &room->room, &outputs, p->err);
    if (status == HONE_RESOURCE_EXHAUSTED && room->refused) return explain_room(s, room, p->err);
    return status == HONE_OK ? p->take(p, outputs, p->err) : status;
}

bool hone_batcher_run(hone_batcher *b, hone_servable *s, int thread, hone_batch_list *l,
                      hone_batch_list *done) {
    hone_instance *instance = &s->instances[thread];
    hone_budget_room *room =
        thread < b->worker_count ? &b->workers[thread].room : &b->rooms[thread - b->worker_count];
    watch w = {l->first, !done};
    hone_run run = {.first = &l->first->part, .room = &room->room, .cancel = nobody_waits, .user = &w};
    hone_error *err = l->first->err;
    uint64_t start = hone_now();
    for (hone_prediction *p = l->first; p; p = p->next) p->part.next = p->next ? &p->next->part : NULL;
    hone_status status = hone_instance_run(s, instance, &run, err);
    count_run(b, s, l, &run, start);
    if (status == HONE_RESOURCE_EXHAUSTED && room->refused) explain_room(s, room, err);
    bool one_at_fault = l->count > 1 && status != HONE_OK && status != HONE_CANCELLED;
    if (one_at_fault || status == HONE_CANCELLED) err->message[0] = 0;
    while (l->first && !one_at_fault) {
        hone_prediction *p = hone_batch_list_pop(l);
        p->here = !done;
        p->status = status == HONE_CANCELLED ? hone_batcher_why_cancelled(p) : status;
        if (status == HONE_OK) p->status = give(s, instance, p, room);
        if (done)
            hone_batch_list_append(done, p);
        else
            tell(p, p->status);
    }
    if (room->taken > 0) hone_instance_shrink(instance);
    hone_budget_room_close(room);
    return !one_at_fault;
}

/* --- on the worker's thread --- */

static void run_inline(hone_batcher *b, int worker, list *l) {
    hone_servable *s = l->first->servable;
    if (l->count == 1 && l->first->request && hone_request_should_stop(l->first->request)) {
        tell(l->first, hone_batcher_why_cancelled(l->first));
        return;
    }
    hone_servable_retain(s);
    if (!hone_batcher_run(b, s, worker, l, NULL)) {
        while (l->first) { /* one is at fault: each for itself */
            list one = {0};
            hone_batch_list_append(&one, hone_batch_list_pop(l));
            hone_batcher_run(b, s, worker, &one, NULL);
        }
    }
    hone_servable_release(s);
}

static void run_pending(hone_batcher *b, int worker) {
    hone_worker *w = &b->workers[worker];
    if (w->running) return;
    w->running = true;
    /* what is submitted meanwhile waits for the next turn */
    list l = w->pending;
    w->pending = (list){0};
    while (l.first) {
        list run = {0};
        hone_servable *s = l.first->servable;
        hone_batch_list_take(s, &l, hone_batch_list_choose(s, &l), &run);
        run_inline(b, worker, &run);
    }
    w->running = false;
}

void hone_batcher_turn(hone_batcher *b, int worker) {
    hone_worker *w = &b->workers[worker];
    pthread_mutex_lock(&w->lock);
    list finished = w->finished;
    hone_post *posts = w->posts;
    w->finished = (list){0};
    w->posts = w->last_post = NULL;
    w->woken = false;
    pthread_mutex_unlock(&w->lock);
    while (finished.first) {
        hone_prediction *p = hone_batch_list_pop(&finished);
        tell(p, p->status);
    }
    while (posts) {
        hone_post *post = posts;
        posts = post->next;
        post->call(post);
    }
    run_pending(b, worker);
}

/* --- submitting --- */

/* HONE_RESOURCE_EXHAUSTED: the queue is full; HONE_UNAVAILABLE: nothing is queued any more. */
static hone_status enqueue(hone_batcher *b, hone_prediction *p) {
    pthread_mutex_lock(&b->lock);
    hone_status status = b->stop                              ? HONE_UNAVAILABLE
                         : hone_batch_queue_put(&b->queue, p) ? HONE_OK
                                                              : HONE_RESOURCE_EXHAUSTED;
    if (status == HONE_OK && b->idle > 0) pthread_cond_signal(&b->work);
    pthread_mutex_unlock(&b->lock);
    return status;
}

static void set_deadline(hone_prediction *p) {
    const hone_servable_settings *o = &p->servable->settings;
    uint64_t own = o->timeout_ms ? p->submitted + (uint64_t)o->timeout_ms * HONE_MILLISECOND : 0;
    if (p->request) hone_request_bring_forward(p->request, own);
    p->deadline = p->request ? p->request->deadline : own;
}

static hone_status accept(hone_prediction *p, hone_error *err) {
    const hone_servable *s = p->servable;
    HONE_TRY(hone_servable_check(s, p->inputs, err));
    p->part = hone_part_of(s, p->inputs);
    if (s->settings.max_rows && p->part.rows > s->settings.max_rows)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%lld rows are more than the %lld that are allowed",
                         (long long)p->part.rows, (long long)s->settings.max_rows);
    return HONE_OK;
}

static void refuse(hone_prediction *p, hone_status status) {
    if (status == HONE_RESOURCE_EXHAUSTED) {
        hone_fail(p->err, status, "The queue of model %s is full: %d requests wait", p->servable->name,
                  p->servable->max_queue);
        hone_model_stats_dropped(p->servable->stats, status);
    }
    tell(p, status);
}

void hone_batcher_submit(hone_batcher *b, hone_prediction *p) {
    hone_worker *w = &b->workers[p->worker];
    p->err->message[0] = 0;
    hone_servable_retain(p->servable);
    if (p->request) hone_request_retain(p->request);
    p->submitted = hone_now();
    p->queue_time = p->batch_time = p->compute_time = 0;
    p->batch_rows = 0;
    p->alone = p->queued = false;
    p->status = HONE_OK;
    set_deadline(p);
    hone_status status = accept(p, p->err);
    if (status != HONE_OK) {
        tell(p, status);
        return;
    }
    bool threads = w->attached && b->thread_count > 0;
    if (threads && hone_part_estimate(p->servable, &p->part) >= b->inline_cost) {
        hone_model_stats *stats = p->servable->stats;
        hone_model_stats_queue(stats, 1);
        status = enqueue(b, p);
        if (status == HONE_OK) return;
        hone_model_stats_queue(stats, -1);
        refuse(p, status);
        return;
    }
    if (!w->attached || !w->port.defer) {
        list one = {0};
        hone_batch_list_append(&one, p);
        run_inline(b, p->worker, &one);
        return;
    }
    hone_batch_list_append(&w->pending, p);
    if (w->pending.count >= PENDING_MOST)
        run_pending(b, p->worker);
    else if (w->pending.count == 1)
        w->port.defer(w->port.user);
}

static void call_done(hone_post *post) {
    hone_work *w = (hone_work *)((char *)post - offsetof(hone_work, post));
    w->done(w);
}

void hone_batcher_offload(hone_batcher *b, hone_work *w) {
    w->post.call = call_done;
    w->queued = false;
    if (!b->workers[w->worker].attached || b->thread_count == 0) {
        w->run(w);
        w->done(w);
        return;
    }
    pthread_mutex_lock(&b->lock);
    w->next = NULL;
    w->previous = b->last_offloaded;
    *(w->previous ? &w->previous->next : &b->offloaded) = w;
    b->last_offloaded = w;
    w->queued = true;
    if (b->idle > 0) pthread_cond_signal(&b->work);
    pthread_mutex_unlock(&b->lock);
}

void hone_batcher_remove_work(hone_batcher *b, hone_work *w) {
    *(w->previous ? &w->previous->next : &b->offloaded) = w->next;
    *(w->next ? &w->next->previous : &b->last_offloaded) = w->previous;
    w->queued = false;
}

/* --- withdrawing --- */

bool hone_batcher_withdraw_work(hone_batcher *b, hone_work *w) {
    pthread_mutex_lock(&b->lock);
    bool queued = w->queued;
    if (queued) hone_batcher_remove_work(b, w);
    pthread_mutex_unlock(&b->lock);
    return queued;
}

void hone_batcher_withdraw(hone_batcher *b, hone_prediction *p) {
    hone_model_stats *stats = p->servable->stats;
    pthread_mutex_lock(&b->lock);
    bool queued = p->queued;
    if (queued) hone_batch_queue_remove(&b->queue, p);
    pthread_mutex_unlock(&b->lock);
    if (!queued) return;
    hone_status status = hone_batcher_why_cancelled(p);
    p->queue_time = hone_now() - p->submitted;
    hone_model_stats_queue(stats, -1);
    hone_model_stats_dropped(stats, status);
    tell(p, status);
}

void hone_batcher_attach(hone_batcher *b, int worker, const hone_port *port) {
    b->workers[worker].port = *port;
    b->workers[worker].attached = true;
}

/* --- the batcher --- */

hone_status hone_batcher_new(int workers, hone_stats *stats, hone_batcher **out, hone_error *err) {
    hone_batcher *b = hone_calloc(1, sizeof *b);
    if (!b) return hone_fail_memory(err);
    hone_cond_init(&b->work);
    pthread_mutex_init(&b->lock, NULL);
    b->stats = stats;
    b->workers = hone_calloc((size_t)workers, sizeof *b->workers);
    if (!b->workers) {
        hone_batcher_free(b);
        return hone_fail_memory(err);
    }
    for (; b->worker_count < workers; b->worker_count++) {
        pthread_mutex_init(&b->workers[b->worker_count].lock, NULL);
        hone_budget_room_open(&b->workers[b->worker_count].room, NULL);
    }
    *out = b;
    return HONE_OK;
}

void hone_batcher_free(hone_batcher *b) {
    if (!b) return;
    for (int i = 0; i < b->worker_count; i++) pthread_mutex_destroy(&b->workers[i].lock);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->work);
    hone_free(b->workers);
    hone_free(b->rooms);
    hone_free(b->threads);
    hone_free(b);
}

hone_status hone_batcher_start(hone_batcher *b, int threads, double inline_cost, hone_budget *budget,
                               hone_error *err) {
    int code = 0;
    b->inline_cost = inline_cost;
    b->threads = hone_calloc((size_t)threads + 1, sizeof *b->threads);
    b->rooms = hone_calloc((size_t)threads + 1, sizeof *b->rooms);
    if (!b->threads || !b->rooms) return hone_fail_memory(err);
    for (int i = 0; i < b->worker_count; i++) b->workers[i].room.budget = budget;
    for (int i = 0; i < threads; i++) hone_budget_room_open(&b->rooms[i], budget);
    while (b->thread_count < threads && !code) {
        code = hone_thread_start(&b->threads[b->thread_count], hone_batcher_compute, b, "hone-compute");
        if (!code) b->thread_count++;
    }
    if (code)
        hone_log(HONE_LOG_WARNING, "cannot start %d compute threads, going on with %d: %s", threads,
                 b->thread_count, strerror(code));
    return HONE_OK;
}

int hone_batcher_threads(const hone_batcher *b) {
    return b->thread_count;
}

void hone_batcher_stop(hone_batcher *b) {
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_broadcast(&b->work);
    pthread_mutex_unlock(&b->lock);
    for (int i = 0; i < b->thread_count; i++) pthread_join(b->threads[i], NULL);
    b->thread_count = 0;
    hone_batcher_fail_queued(b);
    for (;;) {
        for (int i = 0; i < b->worker_count; i++) hone_batcher_turn(b, i);
        if (atomic_load(&b->expected) == 0) return;
        usleep(1000); /* until the others have posted for the last time, which has been asked of them */
    }
}
