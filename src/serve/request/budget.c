#include "serve/request/budget.h"

#include "base/clock.h"

void hone_budget_join(hone_budget *b, hone_budget_seat *seat) {
    if (!b->limit) return;
    seat->budget = b;
    seat->next = b->seats;
    b->seats = seat;
}

void hone_budget_leave(hone_budget_seat *seat) {
    if (!seat->budget) return;
    hone_budget_seat **at = &seat->budget->seats;
    while (*at != seat) at = &(*at)->next;
    *at = seat->next;
    seat->budget = NULL;
}

static size_t cost(size_t total) {
    return total > HONE_BUDGET_FREE ? total - HONE_BUDGET_FREE : 0;
}

static bool take(hone_budget *b, size_t limit, size_t more) {
    size_t used = atomic_load(&b->used);
    while (used <= limit && more <= limit - used)
        if (atomic_compare_exchange_weak(&b->used, &used, used + more)) return true;
    return false;
}

static bool take_favoured(hone_budget *b, const hone_budget_share *share, size_t more) {
    const hone_budget_share *nobody = NULL;
    if (atomic_load(&b->favoured) != share && !atomic_compare_exchange_strong(&b->favoured, &nobody, share))
        return false;
    atomic_fetch_add(&b->used, more);
    return true;
}

/* As much as bodies may have together, while what is made of them finds some left. */
static size_t bodies(const hone_budget *b) {
    return b->limit - b->limit / 4;
}

static size_t missing(const hone_budget *b, const hone_budget_share *share, size_t total) {
    size_t needed = cost(total);
    return b && b->limit && needed > share->charged ? needed - share->charged : 0;
}

static bool give_more(hone_budget *b, hone_budget_share *share, size_t more) {
    share->budget = b;
    share->charged += more;
    return true;
}

bool hone_budget_charge(hone_budget *b, hone_budget_share *share, size_t total) {
    size_t more = missing(b, share, total);
    if (more == 0) return true;
    return (take(b, bodies(b), more) || take_favoured(b, share, more)) && give_more(b, share, more);
}

bool hone_budget_take(hone_budget *b, hone_budget_share *share, size_t total) {
    size_t more = missing(b, share, total);
    return more == 0 || (take(b, b->limit, more) && give_more(b, share, more));
}

bool hone_budget_is_tight(const hone_budget *b) {
    return b && b->limit && atomic_load(&b->used) > bodies(b);
}

void hone_budget_move(hone_budget_share *share, size_t total, hone_budget_share *to) {
    size_t keep = cost(total);
    if (share->charged <= keep) return;
    give_more(share->budget, to, share->charged - keep);
    share->charged = keep;
}

static bool cover(hone_budget_seat *seat, hone_budget_share *share, size_t total) {
    if (hone_budget_charge(seat->budget, share, total)) return true;
    /* Whoever gives something back from here on sees that somebody waits; what was given back before is seen
     * here. */
    atomic_store(&seat->waiting, true);
    return hone_budget_charge(seat->budget, share, total);
}

bool hone_budget_cover(hone_budget_seat *seat, hone_budget_share *share, size_t total) {
    bool covered = cover(seat, share, total);
    if (covered && share->waiting_since) {
        share->waited += hone_now() - share->waiting_since;
        share->waiting_since = 0;
    } else if (!covered && !share->waiting_since) {
        share->waiting_since = hone_now();
    }
    return covered;
}

static void give(hone_budget_share *share, size_t bytes, bool gone) {
    hone_budget *b = share->budget;
    const hone_budget_share *self = share;
    share->charged -= bytes;
    atomic_fetch_sub(&b->used, bytes);
    bool passed = gone && atomic_compare_exchange_strong(&b->favoured, &self, NULL);
    if (bytes == 0 && !passed) return;
    for (hone_budget_seat *s = b->seats; s; s = s->next)
        if (atomic_exchange(&s->waiting, false)) s->wake(s->user);
}

void hone_budget_reduce(hone_budget_share *share, size_t total) {
    if (share->charged > cost(total)) give(share, share->charged - cost(total), false);
}

void hone_budget_release(hone_budget_share *share) {
    if (share->budget) give(share, share->charged, true);
    *share = (hone_budget_share){0};
}

static bool take_room(hone_room *room, size_t more) {
    hone_budget_room *r = (hone_budget_room *)(void *)((char *)room - offsetof(hone_budget_room, room));
    bool (*ask)(hone_budget *, hone_budget_share *, size_t) =
        r->is_body ? hone_budget_charge : hone_budget_take;
    r->refused = more > SIZE_MAX - r->taken || !ask(r->budget, &r->share, r->taken + more);
    if (!r->refused) r->taken += more;
    return !r->refused;
}

void hone_budget_room_open(hone_budget_room *r, hone_budget *b) {
    *r = (hone_budget_room){.room = {take_room}, .budget = b};
}

void hone_budget_room_cover(hone_budget_room *r) {
    if (r->taken <= SIZE_MAX / 2) hone_budget_charge(r->budget, &r->share, 2 * r->taken);
}

void hone_budget_room_shrink(hone_budget_room *r, size_t bytes) {
    r->taken = bytes;
    hone_budget_reduce(&r->share, bytes);
}

void hone_budget_room_close(hone_budget_room *r) {
    hone_budget_release(&r->share);
    r->taken = 0;
    r->refused = false;
}
