/* One budget for the bodies of all requests, over all loops: what clients can make the server keep.
 *
 *      cover(share, 300 KB) ──► 236 KB of the budget are the share's          the first 64 KB are free
 *                          └─► false: wait; the seat is woken when asking again is worth it
 *      release(share) ─────────► others go on
 *
 * Small bodies never wait, as their bytes are free. When the budget is spent, one share is favoured: it gets
 * what it asks for nevertheless until it is released. So there is always a body that can be received to its
 * end, however much of the budget half-received ones hold, and at most the largest body allowed is kept
 * beyond the limit. */
#ifndef HONE_SERVE_REQUEST_BUDGET_H
#define HONE_SERVE_REQUEST_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
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

/* What one body holds. Its loop's thread only. A zeroed struct holds nothing. */
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

/* May the body of `share` have `total` bytes? True: they are its own. False: it has to wait. */
bool hone_budget_cover(hone_budget_seat *seat, hone_budget_share *share, size_t total);
/* The same of a body that has come whole and is unpacked; b NULL: no limit. False: there is no room for it
 * now, and nobody is woken for it. */
bool hone_budget_charge(hone_budget *b, hone_budget_share *share, size_t total);
/* The body has no more than `total` bytes. */
void hone_budget_reduce(hone_budget_share *share, size_t total);
/* The body is gone. */
void hone_budget_release(hone_budget_share *share);

#endif
