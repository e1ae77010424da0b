#include "lm/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/thread.h"
#include "lm/job.h"
#include "lm/model.h"

#include <pthread.h>

enum { USUAL_WAITING = 256 };

struct hone_lm_engine {
    hone_lm *lm;
    hone_lm_sequence *sequence;
    hone_lm_engine_options o;
    pthread_t thread;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    hone_lm_job *first, **last; /* waiting */
    hone_lm_engine_state state;
    bool stop;
};

static void wake(hone_lm_engine *e) {
    pthread_mutex_lock(&e->lock);
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

/* --- one job --- */

/* Waits while the job is paused; false: it is not wanted any more. */
static bool goes_on(hone_lm_engine *e, hone_lm_job *j) {
    pthread_mutex_lock(&e->lock);
    while (j->paused && !j->cancelled && !e->stop) {
        e->state.paused = 1;
        pthread_cond_wait(&e->changed, &e->lock);
    }
    e->state.paused = 0;
    const bool wanted = !j->cancelled && !e->stop;
    e->state.steps += wanted;
    pthread_mutex_unlock(&e->lock);
    return wanted;
}

static hone_status answer(hone_lm_engine *e, hone_lm_job *j, hone_finish *finish, hone_error *err) {
    const int64_t vocabulary = e->lm->form.vocabulary;
    hone_lm_mark mark;
    const float *logits;
    *finish = HONE_FINISH_ASKED;
    for (size_t i = 0; i < j->o.count && j->o.echo_scores; i++) {
        if (!goes_on(e, j)) return hone_fail(err, HONE_CANCELLED, "cancelled");
        if (i) HONE_TRY(hone_lm_feed(e->sequence, j->ids, i, &logits, err));
        if (i) hone_lm_job_mark(j, logits, vocabulary, j->ids[i], &mark);
        if (!hone_lm_job_tell(j, j->ids[i], i ? &mark : NULL)) return HONE_OK;
    }
    while (j->count < j->most) {
        int32_t id;
        if (!goes_on(e, j)) return hone_fail(err, HONE_CANCELLED, "cancelled");
        HONE_TRY(hone_lm_feed(e->sequence, j->ids, j->count, &logits, err));
        HONE_TRY(hone_lm_job_draw(j, e->sequence->sampler, logits, &id, err));
        if (id < 0) {
            *finish = HONE_FINISH_END;
            return HONE_OK;
        }
        if (j->o.likely >= 0) hone_lm_job_mark(j, logits, vocabulary, id, &mark);
        j->ids[j->count++] = id;
        j->news.tokens++;
        if (!j->news.first) j->news.first = hone_now();
        if (!hone_lm_job_tell(j, id, j->o.likely >= 0 ? &mark : NULL)) return HONE_OK;
    }
    *finish = HONE_FINISH_LENGTH;
    return HONE_OK;
}

static void *serve(void *arg) {
    hone_lm_engine *e = arg;
    for (;;) {
        pthread_mutex_lock(&e->lock);
        while (!e->first && !e->stop) pthread_cond_wait(&e->changed, &e->lock);
        hone_lm_job *j = e->first;
        if (j) e->first = j->next;
        if (!e->first) e->last = &e->first;
        e->state.waiting -= j != NULL;
        e->state.running = j != NULL;
        pthread_mutex_unlock(&e->lock);
        if (!j) return NULL;
        hone_error err;
        hone_finish finish;
        j->news.begun = hone_now();
        const hone_status status = answer(e, j, &finish, &err);
        hone_lm_job_end(j, status, finish, &err);
    }
}

/* --- the engine --- */

static hone_status start(hone_lm_engine *e, hone_error *err) {
    pthread_mutex_init(&e->lock, NULL);
    hone_cond_init(&e->changed);
    e->last = &e->first;
    if (hone_thread_start(&e->thread, serve, e, "hone-lm") == 0) return HONE_OK;
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->changed);
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "the system starts no more threads");
}

static void free_rest(hone_lm_engine *e) {
    hone_lm_sequence_free(e->sequence);
    hone_lm_free(e->lm);
    hone_free(e);
}

hone_status hone_lm_engine_create(hone_graph *g, const hone_lm_options *model,
                                  const hone_lm_engine_options *options, hone_lm_engine **out,
                                  hone_error *err) {
    const hone_lm_engine_options usual = HONE_LM_ENGINE_OPTIONS_INIT, *o = options ? options : &usual;
    hone_status status = hone_check_options_size(o->size, sizeof *o, err);
    hone_lm_engine *e = hone_calloc(1, sizeof *e);
    if (status == HONE_OK && !e) status = hone_fail_memory(err);
    if (status != HONE_OK) {
        hone_graph_free(g);
        hone_free(e);
        return status;
    }
    e->o = *o;
    if (e->o.most_waiting <= 0) e->o.most_waiting = USUAL_WAITING;
    status = hone_lm_create(g, model, &e->lm, err);
    if (status == HONE_OK) status = hone_lm_sequence_new(e->lm, &e->sequence, err);
    if (status == HONE_OK) status = start(e, err);
    if (status == HONE_OK)
        *out = e;
    else
        free_rest(e);
    return status;
}

void hone_lm_engine_free(hone_lm_engine *e) {
    if (!e) return;
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_cond_broadcast(&e->changed);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->changed);
    free_rest(e);
}

int64_t hone_lm_engine_context(const hone_lm_engine *e) {
    return hone_lm_context(e->lm);
}

int64_t hone_lm_engine_vocabulary(const hone_lm_engine *e) {
    return hone_lm_vocabulary(e->lm);
}

/* --- jobs, from any thread --- */

hone_status hone_lm_submit(hone_lm_engine *e, const hone_lm_job_options *o, hone_lm_job **out,
                           hone_error *err) {
    hone_lm_job *j;
    HONE_TRY(hone_lm_job_new(o, e->lm->context, e->lm->context, e->lm->form.vocabulary, &j, err));
    j->engine = e;
    if (out) atomic_fetch_add(&j->references, 1);
    pthread_mutex_lock(&e->lock);
    const bool room = e->state.waiting < e->o.most_waiting && !e->stop;
    if (room) {
        e->state.waiting++;
        *e->last = j;
        e->last = &j->next;
        pthread_cond_broadcast(&e->changed);
    }
    pthread_mutex_unlock(&e->lock);
    if (room) {
        if (out) *out = j;
        return HONE_OK;
    }
    j->o.constraint = NULL; /* stays the caller's */
    if (out) hone_lm_job_release(j);
    hone_lm_job_release(j);
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "%lld texts are waiting already",
                     (long long)e->o.most_waiting);
}

void hone_lm_job_cancel(hone_lm_job *j) {
    j->cancelled = true;
    wake(j->engine);
}

void hone_lm_job_pause(hone_lm_job *j, bool paused) {
    j->paused = paused;
    wake(j->engine);
}

void hone_lm_engine_look(hone_lm_engine *e, hone_lm_engine_state *out) {
    pthread_mutex_lock(&e->lock);
    *out = e->state;
    pthread_mutex_unlock(&e->lock);
}
