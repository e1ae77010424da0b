/* Many texts at once over one language model: jobs wait in a bounded queue, and a thread of the engine's own runs steps in
 * which all running texts go on by a token, and prompts by chunks.
 *
 *   submit ──► waiting ──► running ──► news … ──► HONE_LM_ENDED
 *
 * A job's tokens follow from the model, its prompt and its options alone: neither what else runs, nor the number of threads
 * has a say in them. */
#ifndef HONE_LM_ENGINE_H
#define HONE_LM_ENGINE_H

#include "lm/sample.h"

typedef struct hone_lm_engine hone_lm_engine;
typedef struct hone_lm_job hone_lm_job;

typedef struct hone_lm_engine_options {
    size_t size;
    size_t kv_bytes;      /* for keys and values; 0: half of the memory that is left */
    double step_seconds;  /* what a step may take when prompts share it with answers; 0: 0.1 */
    int64_t most_waiting; /* jobs that have not begun; 0: 256 */
    int64_t most_running; /* texts in a step; 0: 64 */
    bool no_prefix_cache;
    void (*stepped)(void *user,
                    double seconds); /* on the engine's thread, after each step; NULL: nobody is told */
    void *user;
} hone_lm_engine_options;
#define HONE_LM_ENGINE_OPTIONS_INIT                                                                          \
    { .size = sizeof(hone_lm_engine_options) }

/* Takes the graph, as hone_lm_create() does, with the same options; no hone_lm is needed beside it. On success `*out` belongs
 * to the caller: hone_lm_engine_free(). Fails as hone_lm_create(), and with HONE_RESOURCE_EXHAUSTED where the system starts no
 * thread, or `kv_bytes` are too few for a single page. */
hone_status hone_lm_engine_create(hone_graph *g, const hone_lm_options *model,
                                  const hone_lm_engine_options *options, hone_lm_engine **out,
                                  hone_error *err);
/* Ends all jobs with HONE_CANCELLED and waits for the engine's thread. Jobs may be released later, but neither cancelled nor
 * paused. NULL is fine. */
void hone_lm_engine_free(hone_lm_engine *e);
int64_t hone_lm_engine_context(const hone_lm_engine *e);
int64_t hone_lm_engine_vocabulary(const hone_lm_engine *e);

typedef enum hone_lm_news_kind { HONE_LM_TOKEN, HONE_LM_ENDED } hone_lm_news_kind;

/* What a job tells. All that it points to is the engine's, for the time of the call. */
typedef struct hone_lm_news {
    hone_lm_news_kind kind;
    /* HONE_LM_TOKEN; a token that ends the text is none */
    int32_t id;
    float log_probability;        /* by the model's own logits, nothing applied; NaN: not asked for, or of a
                                     prompt's first token */
    const hone_lm_likely *likely; /* the likeliest at its place, best first; as many as asked for */
    int likely_count;
    /* HONE_LM_ENDED: the last news, which comes once, also of a job that fails */
    hone_status status;      /* HONE_OK, HONE_CANCELLED, or what failed */
    const hone_error *error; /* NULL with HONE_OK */
    hone_finish finish;      /* with HONE_OK */
    /* Both */
    size_t prompt_tokens, cached_tokens;  /* cached: of the prompt, that were not computed for this job */
    size_t tokens;                        /* generated so far */
    uint64_t queued, begun, first, ended; /* when, by hone_now() (base/clock.h); 0: not yet, or never */
} hone_lm_news;

/* On the engine's thread; quick: all texts wait for it. It may call everything here but hone_lm_engine_free(). False: no more
 * of it (HONE_FINISH_ASKED). */
typedef bool hone_lm_news_fn(void *user, const hone_lm_news *news);

enum { HONE_LM_MOST_LIKELY = 32 };

typedef struct hone_lm_job_options {
    size_t size;
    const int32_t *ids; /* the prompt; copied */
    size_t count;       /* at least 1 */
    hone_sampling sampling;
    uint64_t choice;          /* of several answers to one prompt: draws other numbers of the same seed */
    const hone_lm_bias *bias; /* copied */
    size_t bias_count;
    hone_constraint *constraint; /* the job's from then on, if it is taken; NULL: none */
    int64_t max_tokens;          /* 0: as many as fit; < 0: none, for the prompt's scores */
    int64_t min_tokens;          /* ends are not drawn before, unless a constraint leaves nothing else */
    const int32_t *ends; /* ids that end the text; copied. With a constraint they come where it may end */
    size_t end_count;
    int likely;       /* -1: no log probabilities; 0: of the token alone; n: of the n likeliest, too, at most
                         HONE_LM_MOST_LIKELY */
    bool echo_scores; /* news of the prompt's tokens come first (completions' echo) */
    uint64_t client;  /* whom it is for: clients share prompts' part of a step fairly */
    hone_lm_news_fn *news; /* NULL: nobody listens */
    void *user;
} hone_lm_job_options;
#define HONE_LM_JOB_OPTIONS_INIT                                                                             \
    { .size = sizeof(hone_lm_job_options), .sampling = HONE_SAMPLING_INIT, .likely = -1 }

/* Any thread. On success `*out` (may be NULL: nobody cancels it) belongs to the caller: hone_lm_job_release(). On failure no
 * news come, and the constraint stays the caller's. HONE_RESOURCE_EXHAUSTED: the queue is full. HONE_OUT_OF_RANGE: prompt and
 * max_tokens are more than the context, or never fit into the pages. HONE_INVALID_ARGUMENT: an id that the model does not
 * know, sampling out of its range. */
hone_status hone_lm_submit(hone_lm_engine *e, const hone_lm_job_options *o, hone_lm_job **out,
                           hone_error *err);
void hone_lm_job_cancel(hone_lm_job *j); /* any thread: its pages are free before the next step */
/* Any thread: it is not stepped while its client reads nothing. */
void hone_lm_job_pause(hone_lm_job *j, bool paused);
void hone_lm_job_release(hone_lm_job *j); /* any thread; cancels nothing; NULL is fine */

/* For metrics. */
typedef struct hone_lm_engine_state {
    int64_t waiting, running, paused; /* jobs; running: that have begun; paused: of those */
    int64_t pages, pages_used;        /* used: by running texts */
    int64_t pages_cached;             /* kept for texts that begin likewise, and free if needed */
    uint64_t prompt_tokens, cached_tokens, generated_tokens; /* since the start; cached: of prompts' tokens */
    uint64_t preempted, steps;
    double tokens_per_second_prompt, seconds_until_room; /* estimates, for Retry-After */
} hone_lm_engine_state;
/* Cheap; any thread. */
void hone_lm_engine_look(hone_lm_engine *e, hone_lm_engine_state *out);

#endif
