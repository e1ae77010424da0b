/* A loop's requests by their deadlines: a wheel of lists, so that adding and removing one costs the same however many
 * there are. A request is in it from when its deadline is known until it is answered or its client has gone.
 *
 *      slot = deadline / 2 ms mod 512      a later turn's requests stay in their slot
 *
 * The loop's thread only. A zeroed struct is empty. */
#ifndef HONE_SERVE_REQUEST_DEADLINES_H
#define HONE_SERVE_REQUEST_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

enum { HONE_DEADLINE_SLOTS = 512 };

struct hone_request;

typedef struct hone_deadlines {
    /* Asks for a look at `when`, of hone_now(), in place of what was asked for before. */
    void (*arm)(void *user, uint64_t when);
    void *user;
    struct hone_request *slots[HONE_DEADLINE_SLOTS];
    uint64_t turned; /* the first tick that anything may be of */
    uint64_t armed;  /* when somebody looks; 0: never */
    size_t count;
} hone_deadlines;

/* Puts a request in by its deadline, which is not 0, or moves it there. */
void hone_deadlines_put(hone_deadlines *d, struct hone_request *r);
/* NULL-safe as to where it is: one that is nowhere stays so. */
void hone_deadlines_remove(struct hone_request *r);
/* To be called when armed: takes out those whose deadline is `now` or before, a reference to each, as a list by
 * r->due.next; and arms for the next. NULL: there are none. */
struct hone_request *hone_deadlines_take(hone_deadlines *d, uint64_t now);

#endif
