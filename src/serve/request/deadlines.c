#include "serve/request/deadlines.h"

#include "serve/request/request.h"

enum { TICK_BITS = 21 }; /* of nanoseconds */

static uint64_t tick_of(uint64_t when) {
    return when >> TICK_BITS;
}

static hone_request **slot_of(hone_deadlines *d, uint64_t tick) {
    return &d->slots[tick % HONE_DEADLINE_SLOTS];
}

static void arm(hone_deadlines *d, uint64_t when) {
    d->armed = when;
    if (when && d->arm) d->arm(d->user, when);
}

void hone_deadlines_put(hone_deadlines *d, hone_request *r) {
    hone_deadlines_remove(r);
    uint64_t tick = tick_of(r->deadline);
    if (d->count == 0 || tick < d->turned) d->turned = tick;
    hone_request **slot = slot_of(d, tick);
    r->due = (hone_due){.wheel = d, .next = *slot, .link = slot};
    if (*slot) (*slot)->due.link = &r->due.next;
    *slot = r;
    d->count++;
    if (!d->armed || r->deadline < d->armed) arm(d, r->deadline);
}

void hone_deadlines_remove(hone_request *r) {
    if (!r->due.wheel) return;
    *r->due.link = r->due.next;
    if (r->due.next) r->due.next->due.link = r->due.link;
    r->due.wheel->count--;
    r->due = (hone_due){0};
}

/* The first slot from the one of `now` on that has anything in it, perhaps of a later turn. */
static uint64_t next_look(hone_deadlines *d, uint64_t now) {
    uint64_t tick = tick_of(now);
    for (uint64_t i = 0; i < HONE_DEADLINE_SLOTS; i++) {
        uint64_t first = UINT64_MAX;
        for (const hone_request *r = *slot_of(d, tick + i); r; r = r->due.next)
            if (r->deadline < first) first = r->deadline;
        if (first == UINT64_MAX) continue;
        uint64_t end = (tick + i + 1) << TICK_BITS;
        return first < end ? first : end;
    }
    return 0;
}

hone_request *hone_deadlines_take(hone_deadlines *d, uint64_t now) {
    hone_request *due = NULL;
    uint64_t last = tick_of(now), first = d->turned;
    if (last >= first + HONE_DEADLINE_SLOTS) first = last - HONE_DEADLINE_SLOTS + 1;
    for (uint64_t tick = first; tick <= last; tick++)
        for (hone_request *r = *slot_of(d, tick), *next; r; r = next) {
            next = r->due.next;
            if (r->deadline > now) continue;
            hone_deadlines_remove(r);
            hone_request_retain(r);
            r->due.next = due;
            due = r;
        }
    if (last > d->turned) d->turned = last;
    arm(d, d->count ? next_look(d, now) : 0);
    return due;
}
