/* A text that an engine is asked for, from the queue to its last news. */
#ifndef HONE_LM_JOB_H
#define HONE_LM_JOB_H

#include "lm/engine.h"

#include <stdatomic.h>

struct hone_lm_job {
    hone_lm_job *next; /* in the list of those that the engine's thread has not seen yet */
    hone_lm_engine *engine;
    _Atomic int references; /* the engine's and the caller's */
    _Atomic bool cancelled, paused;
    /* The rest is the engine's thread's. */
    hone_lm_job_options o; /* with copies of what it points to */
    int32_t *ids;          /* the prompt, and what was generated: `most` */
    size_t count, most;
    size_t told;       /* tokens of the prompt that were echoed */
    hone_lm_news news; /* as it was told last */
    /* schedule.c's */
    uint64_t number;  /* in the order in which jobs came */
    bool begun;       /* once; it may wait again, when its pages were needed elsewhere */
    int64_t slot;     /* its row of tables; -1: it does not run */
    int64_t *pages;   /* that row */
    size_t held;      /* pages of it */
    size_t published; /* pages */
    size_t done;      /* tokens whose keys and values are there */
    size_t turn;      /* tokens of this step */
    size_t known;     /* tokens that were ever done */
};

/* Tokens that are to be run still: all but one that nothing comes behind. */
static inline size_t hone_lm_job_left(const hone_lm_job *j) {
    return j->count - (j->count == j->most) - j->done;
}
/* Does it go on token by token, its prompt being done? */
static inline bool hone_lm_job_answers(const hone_lm_job *j) {
    return hone_lm_job_left(j) == 1 && j->count < j->most;
}

/* Log probabilities at one place of a text, by its logits. */
typedef struct hone_lm_mark {
    float log_probability; /* of the token that is there */
    int count;
    hone_lm_likely likely[HONE_LM_MOST_LIKELY];
} hone_lm_mark;

/* Checks the options and copies what they point to, but for the constraint, which is the job's from now on. `context`: tokens
 * that a text may have; `room`: that the pages have place for. HONE_INVALID_ARGUMENT, HONE_OUT_OF_RANGE; the constraint is then
 * left alone. On success `*out` has one reference. */
hone_status hone_lm_job_new(const hone_lm_job_options *o, int64_t context, int64_t room, int64_t vocabulary,
                            hone_lm_job **out, hone_error *err);

/* Draws the token behind those that are there, which is not added to them; -1: the text ends. */
hone_status hone_lm_job_draw(hone_lm_job *j, hone_lm_sampler *s, const float *logits, int32_t *id,
                             hone_error *err);
void hone_lm_job_mark(const hone_lm_job *j, const float *logits, int64_t vocabulary, int32_t id,
                      hone_lm_mark *out);
/* Tells of a token. `mark` NULL: nobody asked, or there are no logits of its place. False: no more. */
bool hone_lm_job_tell(hone_lm_job *j, int32_t id, const hone_lm_mark *mark);
/* The last news, and gives the engine's reference back. */
void hone_lm_job_end(hone_lm_job *j, hone_status status, hone_finish finish, const hone_error *err);

#endif
