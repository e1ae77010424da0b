/* One budget for all requests, over all loops: what clients can make the server keep, which are bodies, what they are
 * decoded to, and answers.
 *
 *      cover(share, 300 KB) ──► 236 KB of the budget are the share's          the first 64 KB are free
 *                          └─► false: wait; the seat is woken when asking again is worth it
 *      move(share, room) ──────► what was covered for decoding goes along with that
 *      take(room, 1 MB) ───────► its own, or false: there is no room, and nobody waits
 *      release(share) ─────────► others go on
 *
 * Small bodies never wait, as their bytes are free. Others are covered twice, for themselves and for what they are
 * decoded to: so what was let in can nearly always be answered, and only what grows beyond that may find no room. And a
 * quarter of the budget is never spent on bodies that come, but left to what is made of those that are here. When that
 * is spent, one share is favoured: its body gets what it asks for nevertheless until it is released. So there is always
 * a body that can be received to its end, however much of the budget half-received ones hold, and at most the largest
 * one allowed, covered twice, is kept beyond the limit. */
#ifndef HONE_SERVE_REQUEST_BUDGET_H
#define HONE_SERVE_REQUEST_BUDGET_H

#include "serve/format/room.h"

#include <stdatomic.h>
#include <stdint.h>

enum { HONE_BUDGET_FREE = 64 << 10 };

typedef struct hone_budget hone_budget;

/* A loop's place at a budget; filled before the first body comes. */
typedef struct hone_budget_seat {
    hone_budget *budget;      /* NULL: no limit */
    void (*wake)(void *user); /* any thread: ask again for what had to wait */
    void *user;
    struct hone_budget_seat *next;
    atomic_bool waiting; /* something does */
} hone_budget_seat;

/* What one body or answer holds. One thread at a time. A zeroed struct holds nothing. */
typedef struct hone_budget_share {
    hone_budget *budget;
    size_t charged;
    uint64_t waited;        /* nanoseconds, until it was last let in */
    uint64_t waiting_since; /* 0: it does not wait */
} hone_budget_share;

struct hone_budget {
    size_t limit; /* bytes; 0: none */
    atomic_size_t used;
    _Atomic(const hone_budget_share *) favoured;
    hone_budget_seat *seats;
};

/* Neither while bodies are received by other threads. A seat that never joined may leave. */
void hone_budget_join(hone_budget *b, hone_budget_seat *seat);
void hone_budget_leave(hone_budget_seat *seat);

/* What is covered for a body of so many bytes: beyond those that are free, they count twice. */
static inline size_t hone_budget_of_body(size_t bytes) {
    return bytes > HONE_BUDGET_FREE ? bytes + (bytes - HONE_BUDGET_FREE) : bytes;
}
/* May `share` have `total` bytes for a body? True: they are its own. False: it has to wait. */
bool hone_budget_cover(hone_budget_seat *seat, hone_budget_share *share, size_t total);
/* The same of a body that has come whole and is unpacked; b NULL: no limit. False: there is no room for it
 * now, and nobody is woken for it. */
bool hone_budget_charge(hone_budget *b, hone_budget_share *share, size_t total);
/* The same of what is made of it; nothing is favoured. */
bool hone_budget_take(hone_budget *b, hone_budget_share *share, size_t total);
/* Is so much spent that bodies wait? b NULL: no. */
bool hone_budget_is_tight(const hone_budget *b);
/* What `share` holds beyond `total` bytes is the other's, which may be of any thread's that asks nothing meanwhile. */
void hone_budget_move(hone_budget_share *share, size_t total, hone_budget_share *to);
/* It has no more than `total` bytes. */
void hone_budget_reduce(hone_budget_share *share, size_t total);
/* It is gone. */
void hone_budget_release(hone_budget_share *share);

/* Memory that grows as long as the budget has something left. One thread at a time. */
typedef struct hone_budget_room {
    hone_room room;
    hone_budget *budget; /* NULL: no limit */
    hone_budget_share share;
    size_t taken; /* bytes */
    bool refused;
    bool is_body; /* what is taken now is a body's, which may be favoured */
} hone_budget_room;

void hone_budget_room_open(hone_budget_room *r, hone_budget *b);
/* Covers as much again as is taken, for what becomes of it, if there is so much. */
void hone_budget_room_cover(hone_budget_room *r);
/* No more than `bytes` are left. */
void hone_budget_room_shrink(hone_budget_room *r, size_t bytes);
/* All of it was given back. */
void hone_budget_room_close(hone_budget_room *r);

#endif
