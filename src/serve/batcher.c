#include "serve/batcher.h"

#include "base/error.h"
#include "base/memory.h"
#include "serve/batch_list.h"
#include "serve/clock.h"
#include "serve/request.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#define STALL (50 * HONE_MILLISECOND)

enum { PENDING_MOST = 256 }; /* predictions of one turn; then they are run before the turn ends */

typedef hone_batch_list list;

/* A worker. */
typedef struct port {
    hone_core_port to;
    bool attached;
    /* The worker's own. */
    list pending; /* of this turn */
    bool running;
    pthread_mutex_t lock; /* guards what follows */
    list finished;
    hone_core_post *posts, *last_post;
    bool woken;
} port;

struct hone_batcher {
    hone_stats *stats;
    port *ports;
    int workers;
    double inline_cost;
    pthread_t *threads;
    int thread_count;
    pthread_mutex_t lock; /* guards what follows, and the queues of servables */
    pthread_cond_t work;
    bool stop;
    int idle, named;
    hone_servable *ready; /* a ring of those with a queue; the next one to be served */
    hone_core_work *offloaded, *last_offloaded;
    bool batch_is_next;
};

/* --- telling --- on the worker's thread */

static void tell(hone_batcher *b, hone_prediction *p, hone_status status, const hone_tensor *const *outputs,
                 hone_error *err) {
    hone_servable *s = p->servable;
    hone_request *r = p->request;
    (void)b;
    if (status != HONE_OK && !err->message[0]) hone_request_explain(status, err);
    p->done(p, status, outputs, err);
    hone_request_release(r);
    hone_servable_release(s);
}

/* Why it should not be run any more. */
static hone_status is_late(const hone_prediction *p, uint64_t now) {
    if (p->deadline && now >= p->deadline) return HONE_DEADLINE_EXCEEDED;
    if (p->request && atomic_load_explicit(&p->request->cancelled, memory_order_relaxed))
        return HONE_CANCELLED;
    return HONE_OK;
}

static void give_batch_back(hone_batcher *b, hone_batch *batch) {
    hone_servable *s = batch->servable;
    if (atomic_fetch_sub_explicit(&batch->left, 1, memory_order_acq_rel) != 1) return;
    hone_batch_shrink(batch);
    pthread_mutex_lock(&b->lock);
    hone_servable_give_batch(s, batch);
    if (s->queued > 0 && b->idle > 0) pthread_cond_signal(&b->work);
    pthread_mutex_unlock(&b->lock);
    hone_servable_release(s);
}

static void tell_finished(hone_batcher *b, int worker, hone_prediction *p) {
    hone_servable *s = p->servable;
    hone_batch *batch = p->batch;
    hone_lane *lane = &s->lanes[worker];
    hone_error err = {0};
    hone_status status = p->status;
    p->batch = NULL;
    if (batch && status == batch->status) err = batch->err;
    tell(b, p, status, status == HONE_OK ? hone_lane_view(s, lane, batch, p) : NULL, &err);
    if (batch) give_batch_back(b, batch);
}

/* --- to the workers --- */

static void wake(port *p, bool was_woken) {
    if (!was_woken) p->to.wake(p->to.user);
}

void hone_batcher_post(hone_batcher *b, int worker, hone_core_post *post) {
    port *p = &b->ports[worker];
    post->next = NULL;
    pthread_mutex_lock(&p->lock);
    *(p->posts ? &p->last_post->next : &p->posts) = post;
    p->last_post = post;
    bool woken = p->woken || !p->attached;
    p->woken = true;
    pthread_mutex_unlock(&p->lock);
    wake(p, woken);
}

/* One wake-up for each worker that has a part in it. */
static void hand_back(hone_batcher *b, list *done) {
    while (done->first) {
        int worker = done->first->worker;
        list mine = {0}, others = {0};
        while (done->first) {
            hone_prediction *p = hone_batch_list_pop(done);
            hone_batch_list_append(p->worker == worker ? &mine : &others, p);
        }
        port *p = &b->ports[worker];
        pthread_mutex_lock(&p->lock);
        *(p->finished.last ? &p->finished.last->next : &p->finished.first) = mine.first;
        p->finished.last = mine.last;
        p->finished.count += mine.count;
        bool woken = p->woken;
        p->woken = true;
        pthread_mutex_unlock(&p->lock);
        wake(p, woken);
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
        if (is_late(p, now) != HONE_OK) continue;
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
}

static hone_status run_list(hone_batcher *b, hone_servable *s, hone_lane *lane, list *l, hone_batch *batch,
                            bool keep, hone_error *err) {
    watch w = {l->first, !keep};
    hone_run run = {.first = l->first, .keep = keep, .cancel = nobody_waits, .user = &w};
    uint64_t start = hone_now();
    hone_status status = hone_lane_run(s, lane, &run, batch, err);
    count_run(b, s, l, &run, start);
    if (status == HONE_CANCELLED) err->message[0] = 0;
    return status;
}

/* Of one whose run was broken off. */
static hone_status why_cancelled(const hone_prediction *p) {
    hone_status status = is_late(p, hone_now());
    return status == HONE_OK ? HONE_CANCELLED : status;
}

/* --- on the worker's thread --- */

static void run_inline(hone_batcher *b, int worker, list *l) {
    hone_servable *s = l->first->servable;
    hone_lane *lane = &s->lanes[worker];
    hone_error err = {0};
    if (l->count == 1 && l->first->request && hone_request_should_stop(l->first->request)) {
        tell(b, l->first, why_cancelled(l->first), NULL, &err);
        return;
    }
    bool several = l->count > 1;
    hone_servable_retain(s);
    hone_status status = run_list(b, s, lane, l, &lane->batch, false, &err);
    while (l->first) {
        hone_prediction *p = hone_batch_list_pop(l);
        hone_error own = err;
        hone_status result = status == HONE_CANCELLED ? why_cancelled(p) : status;
        if (several && status != HONE_OK && status != HONE_CANCELLED) { /* one is at fault: each for itself */
            list one = {0};
            own = (hone_error){0};
            hone_batch_list_append(&one, p);
            result = run_list(b, s, lane, &one, &lane->batch, false, &own);
            if (result == HONE_CANCELLED) result = why_cancelled(p);
        }
        tell(b, p, result, result == HONE_OK ? hone_lane_view(s, lane, &lane->batch, p) : NULL, &own);
    }
    hone_batch_shrink(&lane->batch);
    hone_servable_release(s);
}

static void run_pending(hone_batcher *b, int worker) {
    port *p = &b->ports[worker];
    if (p->running) return;
    p->running = true;
    /* what is submitted meanwhile waits for the next turn */
    list l = p->pending;
    p->pending = (list){0};
    while (l.first) {
        list run = {0};
        hone_servable *s = l.first->servable;
        hone_batch_list_take(s, &l, hone_batch_list_choose(s, &l), &run);
        run_inline(b, worker, &run);
    }
    p->running = false;
}

void hone_batcher_turn(hone_batcher *b, int worker) {
    port *p = &b->ports[worker];
    pthread_mutex_lock(&p->lock);
    list finished = p->finished;
    hone_core_post *posts = p->posts;
    p->finished = (list){0};
    p->posts = p->last_post = NULL;
    p->woken = false;
    pthread_mutex_unlock(&p->lock);
    while (finished.first) tell_finished(b, worker, hone_batch_list_pop(&finished));
    while (posts) {
        hone_core_post *post = posts;
        posts = post->next;
        post->call(post);
    }
    run_pending(b, worker);
}

/* --- queues --- */

static void enter_ring(hone_batcher *b, hone_servable *s) {
    if (!b->ready) {
        b->ready = s->ready_next = s->ready_previous = s;
        return;
    }
    s->ready_next = b->ready;
    s->ready_previous = b->ready->ready_previous;
    s->ready_previous->ready_next = s->ready_next->ready_previous = s;
}

static void leave_ring(hone_batcher *b, hone_servable *s) {
    if (b->ready == s) b->ready = s->ready_next == s ? NULL : s->ready_next;
    s->ready_previous->ready_next = s->ready_next;
    s->ready_next->ready_previous = s->ready_previous;
    s->ready_next = s->ready_previous = NULL;
}

static void set_queue(hone_servable *s, const list *l) {
    s->first = l->first;
    s->last = l->last;
    s->queued = l->count;
    s->queued_rows = l->rows;
}

static bool enqueue(hone_batcher *b, hone_prediction *p) {
    hone_servable *s = p->servable;
    pthread_mutex_lock(&b->lock);
    bool room = s->queued < s->settings.max_queue && !b->stop;
    if (room) {
        list l = {s->first, s->last, s->queued, s->queued_rows};
        if (l.count == 0) enter_ring(b, s);
        hone_batch_list_append(&l, p);
        set_queue(s, &l);
        if (b->idle > 0) pthread_cond_signal(&b->work);
    }
    pthread_mutex_unlock(&b->lock);
    if (room) hone_model_stats_queue(s->stats, 1);
    return room;
}

/* When may its head be run? 0: now. */
static uint64_t ripe_at(const hone_servable *s, uint64_t now) {
    const hone_model_settings *o = &s->settings;
    if (o->max_delay_us == 0 || !s->batchable || s->first->rows < 0) return 0;
    int64_t enough = o->preferred_count > 0 ? o->preferred[0] : s->sizes[s->size_count - 1];
    uint64_t at = s->first->submitted + (uint64_t)o->max_delay_us * 1000;
    if (s->first->deadline && s->first->deadline < at) at = s->first->deadline;
    return s->queued_rows >= enough || s->queued >= o->max_queue || now >= at ? 0 : at;
}

/* When will there be a place for its results? 0: now. Others than those that were made for it are used
 * only when its workers have not taken theirs for a while. */
static uint64_t free_at(hone_servable *s, uint64_t now) {
    if (s->spare) {
        s->full_since = 0;
        return 0;
    }
    if (!s->full_since) s->full_since = now;
    return now >= s->full_since + STALL && hone_servable_has_batch(s) ? 0 : s->full_since + STALL;
}

/* The next servable whose head may be run; else NULL, and when the first will be (0: not by waiting). */
static hone_servable *next_ripe(hone_batcher *b, uint64_t *wait_until) {
    hone_servable *s = b->ready;
    *wait_until = 0;
    if (!s) return NULL;
    uint64_t now = hone_now();
    do {
        uint64_t at = free_at(s, now);
        if (!at) at = ripe_at(s, now);
        if (!at) return s;
        if (!*wait_until || at < *wait_until) *wait_until = at;
        s = s->ready_next;
    } while (s != b->ready);
    return NULL;
}

/* Takes the next run, and moves what comes too late for one to `late`. Under the lock. */
static hone_batch *take_batch(hone_batcher *b, hone_servable *s, list *run, list *late) {
    list queue = {s->first, s->last, s->queued, s->queued_rows};
    uint64_t now = hone_now();
    while (queue.first && (queue.first->status = is_late(queue.first, now)) != HONE_OK)
        hone_batch_list_append(late, hone_batch_list_pop(&queue));
    hone_batch *batch = queue.first ? hone_servable_take_batch(s) : NULL;
    if (queue.first && !batch) {
        queue.first->status = HONE_OUT_OF_MEMORY;
        hone_batch_list_append(late, hone_batch_list_pop(&queue));
    }
    if (batch) {
        hone_batch_list_take(s, &queue, hone_batch_list_choose(s, &queue), run);
        hone_servable_retain(s);
    }
    set_queue(s, &queue);
    b->ready = s->ready_next;
    if (queue.count == 0) leave_ring(b, s);
    return batch;
}

/* --- compute threads --- */

/* One of several made the run fail: back to the queue, each to be run for itself. */
static void run_alone(hone_batcher *b, hone_servable *s, list *l) {
    hone_model_stats_queue(s->stats, l->count);
    pthread_mutex_lock(&b->lock);
    list queue = {s->first, s->last, s->queued, s->queued_rows};
    if (queue.count == 0) enter_ring(b, s);
    while (l->first) {
        hone_prediction *p = hone_batch_list_pop(l);
        p->alone = true;
        p->batch = NULL;
        hone_batch_list_append(&queue, p);
    }
    set_queue(s, &queue);
    pthread_mutex_unlock(&b->lock);
}

/* Those that are late are dropped, the others run. */
static void run_queued(hone_batcher *b, int thread, hone_servable *s, hone_batch *batch, list *run) {
    hone_lane *lane = &s->lanes[b->workers + thread];
    list fine = {0}, done = {0};
    uint64_t now = hone_now();
    while (run->first) {
        hone_prediction *p = hone_batch_list_pop(run);
        p->batch = batch;
        p->status = is_late(p, now);
        hone_batch_list_append(p->status == HONE_OK ? &fine : &done, p);
    }
    atomic_store_explicit(&batch->left, fine.count + done.count, memory_order_relaxed);
    if (fine.first) batch->status = run_list(b, s, lane, &fine, batch, true, &batch->err);
    hone_status status = batch->status;
    if (fine.count > 1 && status != HONE_OK && status != HONE_CANCELLED) {
        atomic_store_explicit(&batch->left, done.count + 1, memory_order_relaxed);
        hand_back(b, &done);
        run_alone(b, s, &fine);
        give_batch_back(b, batch);
        return;
    }
    while (fine.first) {
        hone_prediction *p = hone_batch_list_pop(&fine);
        p->status = status == HONE_CANCELLED ? why_cancelled(p) : status;
        hone_batch_list_append(&done, p);
    }
    hand_back(b, &done);
}

/* One of several made the run fail: each for itself, as far as there are batches; the others share the error.
 */
static void drop(hone_batcher *b, list *late) {
    for (hone_prediction *p = late->first; p; p = p->next) {
        p->batch = NULL;
        p->queue_time = hone_now() - p->submitted;
        hone_model_stats_dropped(p->servable->stats, p->status);
    }
    hand_back(b, late);
}

static void run_batch(hone_batcher *b, int thread, hone_servable *s) {
    list run = {0}, late = {0};
    hone_batch *batch = take_batch(b, s, &run, &late);
    uint64_t ignored;
    if (b->idle > 0 && next_ripe(b, &ignored)) pthread_cond_signal(&b->work);
    pthread_mutex_unlock(&b->lock);
    int taken = run.count + late.count;
    hone_servable_retain(s);
    hone_model_stats_queue(s->stats, -taken);
    if (late.first) drop(b, &late);
    if (batch) run_queued(b, thread, s, batch, &run);
    hone_servable_release(s);
    pthread_mutex_lock(&b->lock);
}

static void run_offloaded(hone_batcher *b) {
    hone_core_work *w = b->offloaded;
    b->offloaded = w->next;
    if (!w->next) b->last_offloaded = NULL;
    pthread_mutex_unlock(&b->lock);
    w->run(w);
    hone_batcher_post(b, w->worker, &w->post);
    pthread_mutex_lock(&b->lock);
}

static void wait(hone_batcher *b, uint64_t until) {
    struct timespec t = {.tv_sec = (time_t)(until / 1000000000u), .tv_nsec = (long)(until % 1000000000u)};
    b->idle++;
    if (until)
        pthread_cond_timedwait(&b->work, &b->lock, &t);
    else
        pthread_cond_wait(&b->work, &b->lock);
    b->idle--;
}

static void *compute(void *arg) {
    hone_batcher *b = arg;
    pthread_mutex_lock(&b->lock);
    int thread = b->named++;
    while (!b->stop) {
        uint64_t until;
        hone_servable *s = next_ripe(b, &until);
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

/* --- submitting --- */

static void set_deadline(hone_prediction *p) {
    const hone_model_settings *o = &p->servable->settings;
    p->deadline = p->request ? p->request->deadline : 0;
    if (o->timeout_ms == 0) return;
    uint64_t own = p->submitted + (uint64_t)o->timeout_ms * HONE_MILLISECOND;
    if (!p->deadline || own < p->deadline) p->deadline = own;
}

static hone_status accept(hone_prediction *p, hone_error *err) {
    const hone_servable *s = p->servable;
    HONE_TRY(hone_servable_check(s, p->inputs, err));
    p->rows = hone_servable_rows(s, p->inputs);
    if (s->settings.max_rows && p->rows > s->settings.max_rows)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%lld rows are more than the %lld that are allowed",
                         (long long)p->rows, (long long)s->settings.max_rows);
    return HONE_OK;
}

static void refuse(hone_batcher *b, hone_prediction *p) {
    hone_error err = {0};
    hone_fail(&err, HONE_RESOURCE_EXHAUSTED, "The queue of model %s is full: %d requests wait",
              p->servable->name, p->servable->settings.max_queue);
    hone_model_stats_dropped(p->servable->stats, HONE_RESOURCE_EXHAUSTED);
    tell(b, p, HONE_RESOURCE_EXHAUSTED, NULL, &err);
}

void hone_batcher_submit(hone_batcher *b, hone_prediction *p) {
    port *to = &b->ports[p->worker];
    hone_error err = {0};
    hone_servable_retain(p->servable);
    if (p->request) hone_request_retain(p->request);
    p->submitted = hone_now();
    p->queue_time = p->batch_time = p->compute_time = 0;
    p->batch_rows = 0;
    p->batch = NULL;
    p->alone = false;
    p->status = HONE_OK;
    set_deadline(p);
    hone_status status = accept(p, &err);
    if (status != HONE_OK) {
        tell(b, p, status, NULL, &err);
        return;
    }
    bool threads = to->attached && b->thread_count > 0;
    if (threads && hone_servable_estimate(p->servable, p->inputs, p->rows) >= b->inline_cost) {
        if (!enqueue(b, p)) refuse(b, p);
        return;
    }
    if (!to->attached || !to->to.defer) {
        list one = {0};
        hone_batch_list_append(&one, p);
        run_inline(b, p->worker, &one);
        return;
    }
    hone_batch_list_append(&to->pending, p);
    if (to->pending.count >= PENDING_MOST)
        run_pending(b, p->worker);
    else if (to->pending.count == 1)
        to->to.defer(to->to.user);
}

static void call_done(hone_core_post *post) {
    hone_core_work *w = (hone_core_work *)((char *)post - offsetof(hone_core_work, post));
    w->done(w);
}

void hone_batcher_offload(hone_batcher *b, hone_core_work *w) {
    w->next = NULL;
    w->post.call = call_done;
    if (!b->ports[w->worker].attached || b->thread_count == 0) {
        w->run(w);
        w->done(w);
        return;
    }
    pthread_mutex_lock(&b->lock);
    *(b->offloaded ? &b->last_offloaded->next : &b->offloaded) = w;
    b->last_offloaded = w;
    if (b->idle > 0) pthread_cond_signal(&b->work);
    pthread_mutex_unlock(&b->lock);
}

void hone_batcher_attach(hone_batcher *b, int worker, const hone_core_port *to) {
    b->ports[worker].to = *to;
    b->ports[worker].attached = true;
}

/* --- the batcher --- */

hone_status hone_batcher_new(int workers, hone_stats *stats, hone_batcher **out, hone_error *err) {
    hone_batcher *b = hone_calloc(1, sizeof *b);
    if (!b) return hone_fail_memory(err);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&b->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&b->lock, NULL);
    b->stats = stats;
    b->ports = hone_calloc((size_t)workers, sizeof *b->ports);
    if (!b->ports) {
        hone_batcher_free(b);
        return hone_fail_memory(err);
    }
    for (; b->workers < workers; b->workers++) pthread_mutex_init(&b->ports[b->workers].lock, NULL);
    *out = b;
    return HONE_OK;
}

void hone_batcher_free(hone_batcher *b) {
    if (!b) return;
    for (int i = 0; i < b->workers; i++) pthread_mutex_destroy(&b->ports[i].lock);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->work);
    hone_free(b->ports);
    hone_free(b->threads);
    hone_free(b);
}

hone_status hone_batcher_start(hone_batcher *b, int threads, double inline_cost, hone_error *err) {
    sigset_t all, before;
    b->inline_cost = inline_cost;
    b->threads = hone_calloc((size_t)threads + 1, sizeof *b->threads);
    if (!b->threads) return hone_fail_memory(err);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (b->thread_count < threads && pthread_create(&b->threads[b->thread_count], NULL, compute, b) == 0)
        b->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (b->thread_count == threads) return HONE_OK;
    hone_batcher_stop(b);
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "the compute threads can't be started");
}

static void fail_queued(hone_batcher *b) {
    list left = {0};
    while (b->ready) {
        hone_servable *s = b->ready;
        while (s->first) {
            hone_prediction *p = s->first;
            s->first = p->next;
            p->status = HONE_UNAVAILABLE;
            hone_batch_list_append(&left, p);
        }
        s->last = NULL;
        hone_model_stats_queue(s->stats, -s->queued);
        s->queued = 0;
        s->queued_rows = 0;
        leave_ring(b, s);
    }
    hand_back(b, &left);
    while (b->offloaded) {
        hone_core_work *w = b->offloaded;
        b->offloaded = w->next;
        w->run(w);
        hone_batcher_post(b, w->worker, &w->post);
    }
    b->last_offloaded = NULL;
}

void hone_batcher_stop(hone_batcher *b) {
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_broadcast(&b->work);
    pthread_mutex_unlock(&b->lock);
    for (int i = 0; i < b->thread_count; i++) pthread_join(b->threads[i], NULL);
    b->thread_count = 0;
    fail_queued(b);
    for (int i = 0; i < b->workers; i++) hone_batcher_turn(b, i);
}
