/* Which texts of an engine run, on which pages, and how many tokens of each a step takes. Knows no model and no threads.
 *
 * Texts wait until there is a place and pages for them: of those that wait, the oldest one of the client that has the fewest
 * running. A step has a token of each text that answers, and prompts' tokens within a budget, dealt out to clients in turn,
 * some at a time, and for a client to its oldest text first. Where pages run out, the youngest text that runs gives its own back and
 * waits again; what it had is computed anew, to the same bits. A paused one goes first, also where only a place is lacking. */
#ifndef HONE_LM_SCHEDULE_H
#define HONE_LM_SCHEDULE_H

#include "lm/job.h"
#include "lm/pages.h"

typedef struct hone_lm_schedule {
    hone_lm_pages *pages;
    bool no_cache;
    hone_lm_job **waiting, **running; /* the oldest first */
    int64_t waiting_count, running_count, most_running;
    int64_t *tables, columns;   /* [most_running, columns] */
    int64_t *slots, slot_count; /* free rows of it */
    uint64_t numbers, client;   /* client: whose prompts had tokens last */
    uint64_t preempted, cached;
} hone_lm_schedule;

/* `most_waiting`: jobs that have not begun. `tables` and `pages` belong to the caller. */
hone_status hone_lm_schedule_init(hone_lm_schedule *s, int64_t most_waiting, int64_t most_running,
                                  hone_lm_pages *pages, int64_t *tables, int64_t columns, hone_error *err);
void hone_lm_schedule_clear(hone_lm_schedule *s); /* frees what it has; all jobs must be gone */

void hone_lm_schedule_add(hone_lm_schedule *s, hone_lm_job *j); /* it waits */
/* Its pages are given back, and it is nobody's. */
void hone_lm_schedule_remove(hone_lm_schedule *s, hone_lm_job *j);
/* Begins a text that waits; NULL: there is none, or no room for it. */
hone_lm_job *hone_lm_schedule_begin(hone_lm_schedule *s);
/* Sets `turn` of all running texts, which then have the pages for it; the sum. `budget`: tokens of all, at most, but a token of
 * each text that answers and `least` of prompts there are in any case. */
int64_t hone_lm_schedule_turn(hone_lm_schedule *s, int64_t budget, int64_t least);
/* Texts that go on by one token. */
int64_t hone_lm_schedule_answers(const hone_lm_schedule *s);
/* The step is done: `turn` more tokens are there. */
void hone_lm_schedule_advance(hone_lm_schedule *s, hone_lm_job *j);

#endif
