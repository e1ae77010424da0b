/* For tests: engines over small models, and what is heard of their jobs. */
#ifndef HONE_TESTS_LM_HEARD_H
#define HONE_TESTS_LM_HEARD_H

#include "lm/engine.h"
#include "lm/small.h"

#include <pthread.h>

static hone_error err;

typedef struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int32_t ids[CONTEXT];
    float marks[CONTEXT];
    size_t count, most; /* most: ends the text by its answer, 0: never */
    size_t block;       /* the engine waits at this token until it is 0 */
    int ends, likely;
    hone_lm_news last;
    char message[512];
} heard;

static heard *heard_new(void) {
    heard *h = calloc(1, sizeof *h);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    return h;
}

static bool hear(void *user, const hone_lm_news *n) {
    heard *h = user;
    pthread_mutex_lock(&h->lock);
    assert_int_equal(h->ends, 0);
    if (n->kind == HONE_LM_TOKEN) {
        h->marks[h->count] = n->log_probability;
        h->ids[h->count++] = n->id;
        h->likely += n->likely_count;
        if (n->likely_count && n->likely[0].log_probability < n->log_probability)
            fail_msg("not the likeliest");
    } else {
        h->ends++;
        if (n->error) snprintf(h->message, sizeof h->message, "%s", n->error->message);
    }
    h->last = *n;
    const bool more = !h->most || h->count < h->most;
    pthread_cond_broadcast(&h->changed);
    while (h->block && h->count == h->block) pthread_cond_wait(&h->changed, &h->lock);
    pthread_mutex_unlock(&h->lock);
    return more;
}

/* Waits for the end, or for so many tokens. */
static void wait_for(heard *h, size_t tokens) {
    pthread_mutex_lock(&h->lock);
    while (!h->ends && h->count < tokens) pthread_cond_wait(&h->changed, &h->lock);
    pthread_mutex_unlock(&h->lock);
}

static inline void unblock(heard *h) {
    pthread_mutex_lock(&h->lock);
    h->block = 0;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void wait_end(heard *h) {
    wait_for(h, SIZE_MAX);
}

static hone_lm_engine *engine_new(bool counts, int64_t context, int threads,
                                  const hone_lm_engine_options *o) {
    hone_lm_options m = HONE_LM_OPTIONS_INIT;
    hone_lm_engine *e = NULL;
    m.context = context;
    m.threads = threads;
    check_ok(hone_lm_engine_create(small_graph(counts), &m, o, &e, &err));
    return e;
}

static hone_lm_job_options job_options(const int32_t *ids, size_t count, heard *h) {
    hone_lm_job_options o = HONE_LM_JOB_OPTIONS_INIT;
    o.ids = ids;
    o.count = count;
    o.news = hear;
    o.user = h;
    return o;
}

#endif
