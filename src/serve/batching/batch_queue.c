#include "serve/batching/batch_queue.h"

#include "base/clock.h"
#include "serve/request/request.h"

typedef hone_batch_list list;

hone_status hone_prediction_check(const hone_prediction *p, uint64_t now) {
    if (p->deadline && now >= p->deadline) return HONE_DEADLINE_EXCEEDED;
    if (p->request && hone_request_is_cancelled(p->request)) return HONE_CANCELLED;
    return HONE_OK;
}

/* --- the ring --- */

static void enter_ring(hone_batch_queue *q, hone_servable *s) {
    if (!q->ready) {
        q->ready = s->ready_next = s->ready_previous = s;
        return;
    }
    s->ready_next = q->ready;
    s->ready_previous = q->ready->ready_previous;
    s->ready_previous->ready_next = s;
    q->ready->ready_previous = s;
}

static void leave_ring(hone_batch_queue *q, hone_servable *s) {
    if (q->ready == s) q->ready = s->ready_next == s ? NULL : s->ready_next;
    s->ready_previous->ready_next = s->ready_next;
    s->ready_next->ready_previous = s->ready_previous;
    s->ready_next = s->ready_previous = NULL;
}

static list get_queue(const hone_servable *s) {
    return (list){s->first, s->last, s->queued, s->queued_rows};
}

static void set_queue(hone_servable *s, const list *l) {
    s->first = l->first;
    s->last = l->last;
    s->queued = l->count;
    s->queued_rows = l->rows;
}

/* --- in --- */

bool hone_batch_queue_put(hone_batch_queue *q, hone_prediction *p) {
    hone_servable *s = p->servable;
    list l = get_queue(s);
    if (l.count >= s->max_queue) return false;
    if (l.count == 0) enter_ring(q, s);
    hone_batch_list_append(&l, p);
    p->queued = true;
    set_queue(s, &l);
    return true;
}

void hone_batch_queue_remove(hone_batch_queue *q, hone_prediction *p) {
    hone_servable *s = p->servable;
    list l = get_queue(s);
    hone_batch_list_remove(&l, p);
    p->queued = false;
    set_queue(s, &l);
    if (l.count == 0) leave_ring(q, s);
}

void hone_batch_queue_put_back(hone_batch_queue *q, hone_servable *s, hone_batch_list *l) {
    list queue = get_queue(s);
    if (queue.count == 0) enter_ring(q, s);
    while (l->first) {
        l->first->queued = true;
        hone_batch_list_append(&queue, hone_batch_list_pop(l));
    }
    set_queue(s, &queue);
}

/* --- out --- */

/* When may its head be run? 0: now. */
static uint64_t ripe_at(const hone_servable *s, uint64_t now) {
    const hone_servable_settings *o = &s->settings;
    if (o->max_delay_us == 0 || !s->batchable || s->first->part.rows < 0) return 0;
    int64_t enough = hone_batch_list_enough(s, s->first);
    uint64_t at = s->first->submitted + (uint64_t)o->max_delay_us * 1000;
    if (s->first->deadline && s->first->deadline < at) at = s->first->deadline;
    return s->queued_rows >= enough || s->queued >= s->max_queue || now >= at ? 0 : at;
}

hone_servable *hone_batch_queue_next(const hone_batch_queue *q, uint64_t *wait_until) {
    hone_servable *s = q->ready;
    *wait_until = 0;
    if (!s) return NULL;
    uint64_t now = hone_now();
    do {
        uint64_t at = ripe_at(s, now);
        if (!at) return s;
        if (!*wait_until || at < *wait_until) *wait_until = at;
        s = s->ready_next;
    } while (s != q->ready);
    return NULL;
}

void hone_batch_queue_take(hone_batch_queue *q, hone_servable *s, hone_batch_list *run,
                           hone_batch_list *late) {
    list queue = get_queue(s);
    uint64_t now = hone_now();
    while (queue.first && (queue.first->status = hone_prediction_check(queue.first, now)) != HONE_OK)
        hone_batch_list_append(late, hone_batch_list_pop(&queue));
    if (queue.first) hone_batch_list_take(s, &queue, hone_batch_list_choose(s, &queue), run);
    for (hone_prediction *p = run->first; p; p = p->next) p->queued = false;
    for (hone_prediction *p = late->first; p; p = p->next) p->queued = false;
    set_queue(s, &queue);
    q->ready = s->ready_next;
    if (queue.count == 0) leave_ring(q, s);
}

void hone_batch_queue_clear(hone_batch_queue *q, hone_batch_list *out) {
    while (q->ready) {
        hone_servable *s = q->ready;
        list queue = get_queue(s);
        while (queue.first) {
            queue.first->queued = false;
            hone_batch_list_append(out, hone_batch_list_pop(&queue));
        }
        set_queue(s, &queue);
        leave_ring(q, s);
    }
}
