#include "lm/engine.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/memory_left.h"
#include "base/thread.h"
#include "lm/batch.h"
#include "lm/schedule.h"

#include <pthread.h>

enum { USUAL_WAITING = 256, USUAL_RUNNING = 64, MOST_RUNNING = 256 };
enum { CHUNK = 256, LEAST = 16 }; /* tokens of prompts in a step: at most, and if there is no time for any */
#define USUAL_STEP_SECONDS 0.1
#define PATIENCE 4 /* times that */

struct hone_lm_engine {
    hone_lm *lm;
    hone_lm_batch *batch;
    hone_lm_pages *pages;
    hone_lm_schedule schedule;
    hone_lm_engine_options o;
    double token_seconds;               /* what a token of a prompt takes, as measured last */
    uint64_t begun_at;                  /* when the last job began */
    double between;                     /* seconds from one beginning to the next; 0: none known */
    uint64_t prompts, generated, steps; /* tokens */
    pthread_t thread;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    hone_lm_job *first, **last; /* jobs that the thread has not seen yet */
    int64_t waiting;            /* that have not begun */
    hone_lm_engine_state state; /* as the thread left it */
    bool poked;
    _Atomic bool stop;
};

/* --- the thread: ends --- */

/* What others may see from now on. `begun`: jobs that wait no longer. */
static void publish(hone_lm_engine *e, int64_t begun) {
    const hone_lm_schedule *s = &e->schedule;
    int64_t running = s->running_count, paused = 0;
    for (int64_t i = 0; i < s->running_count; i++) paused += s->running[i]->paused;
    for (int64_t i = 0; i < s->waiting_count; i++) { /* also those that others took their pages from */
        running += s->waiting[i]->begun;
        paused += s->waiting[i]->begun && s->waiting[i]->paused;
    }
    const hone_lm_engine_state state = {.running = running,
                                        .paused = paused,
                                        .pages = hone_lm_pages_count(e->pages),
                                        .pages_used = hone_lm_pages_held(e->pages),
                                        .pages_cached = hone_lm_pages_cached(e->pages),
                                        .prompt_tokens = e->prompts,
                                        .cached_tokens = s->cached,
                                        .generated_tokens = e->generated,
                                        .preempted = s->preempted,
                                        .steps = e->steps,
                                        .tokens_per_second_prompt = 1 / e->token_seconds,
                                        .seconds_until_room = e->between > 0 ? e->between : 1};
    pthread_mutex_lock(&e->lock);
    e->waiting -= begun;
    e->state = state;
    pthread_mutex_unlock(&e->lock);
}

/* Its pages are free, and everybody can see it, before its last news come. */
static void end(hone_lm_engine *e, hone_lm_job *j, hone_status status, hone_finish finish,
                const hone_error *err) {
    const bool waited = !j->begun;
    hone_lm_schedule_remove(&e->schedule, j);
    publish(e, waited);
    hone_lm_job_end(j, status, finish, err);
}

static void cancel(hone_lm_engine *e, hone_lm_job *j, const char *why) {
    hone_error err;
    hone_fail(&err, HONE_CANCELLED, "%s", why);
    end(e, j, HONE_CANCELLED, HONE_FINISH_ASKED, &err);
}

static void sweep(hone_lm_engine *e) {
    hone_lm_schedule *s = &e->schedule;
    for (int64_t i = s->running_count; i-- > 0;)
        if (s->running[i]->cancelled) cancel(e, s->running[i], "the text was cancelled");
    for (int64_t i = s->waiting_count; i-- > 0;)
        if (s->waiting[i]->cancelled) cancel(e, s->waiting[i], "the text was cancelled");
}

/* --- the thread: beginnings --- */

static void note_beginning(hone_lm_engine *e, hone_lm_job *j) {
    const uint64_t now = hone_now();
    const double seconds = 1e-9 * (double)(now - e->begun_at);
    if (e->begun_at) e->between = e->between > 0 ? 0.9 * e->between + 0.1 * seconds : seconds;
    e->begun_at = j->news.begun = now;
    e->prompts += j->o.count;
    publish(e, 1);
}

static void begin(hone_lm_engine *e) {
    hone_lm_job *j;
    while ((j = hone_lm_schedule_begin(&e->schedule))) {
        if (j->news.begun) continue; /* it was preempted */
        note_beginning(e, j);
        bool more = true;
        if (j->o.echo_scores) more = hone_lm_job_tell(j, j->ids[j->told++], NULL);
        if (!more)
            end(e, j, HONE_OK, HONE_FINISH_ASKED, NULL);
        else if (j->count == j->most && j->told == (j->o.echo_scores ? j->count : 0))
            end(e, j, HONE_OK, HONE_FINISH_LENGTH, NULL); /* there is nothing to compute */
    }
}

/* --- the thread: steps --- */

/* Tokens of a step: a bucket that is full costs no more than one that is not. Where nobody waits for the next token of an answer
 * steps may be longer, but not so long that whoever comes, or goes, waits for them. */
static int64_t budget(const hone_lm_engine *e, int64_t answers) {
    const double seconds = answers > 0 ? e->o.step_seconds : PATIENCE * e->o.step_seconds,
                 tokens = seconds / e->token_seconds;
    int64_t most = tokens < CHUNK ? (int64_t)tokens : CHUNK, fits = 1;
    for (int64_t b = 1; b <= most; b = hone_lm_step_bucket(b + 1)) fits = b;
    return fits;
}

/* Ends a text that has what it wants. */
static bool has_ended(hone_lm_engine *e, hone_lm_job *j, bool more) {
    if (more && j->count < j->most) return false;
    end(e, j, HONE_OK, more ? HONE_FINISH_LENGTH : HONE_FINISH_ASKED, NULL);
    return true;
}

/* Tells what row `r` has given; false: the text has ended. */
static bool deliver(hone_lm_engine *e, hone_lm_row *r) {
    hone_lm_job *j = r->job;
    const hone_lm_mark *mark = r->marked ? &r->mark : NULL;
    if (r->status != HONE_OK) {
        end(e, j, r->status, HONE_FINISH_ASKED, &r->error);
        return false;
    }
    if (!r->draws) {
        const bool more = hone_lm_job_tell(j, r->id, mark), last = ++j->told == j->o.count;
        return more && !last ? true : !has_ended(e, j, more);
    }
    if (r->id < 0) {
        end(e, j, HONE_OK, HONE_FINISH_END, NULL);
        return false;
    }
    j->ids[j->count++] = r->id;
    j->news.tokens++;
    if (!j->news.first) j->news.first = hone_now();
    e->generated++;
    return !has_ended(e, j, hone_lm_job_tell(j, r->id, mark));
}

static void fail_step(hone_lm_engine *e, hone_status status, const hone_error *err) {
    hone_lm_schedule *s = &e->schedule;
    for (int64_t i = s->running_count; i-- > 0;)
        if (s->running[i]->turn > 0) end(e, s->running[i], status, HONE_FINISH_ASKED, err);
}

/* One step of all that can go on; false: nothing can. */
static bool step(hone_lm_engine *e) {
    hone_lm_schedule *s = &e->schedule;
    hone_error err;
    const int64_t answers = hone_lm_schedule_answers(s),
                  tokens = hone_lm_schedule_turn(s, budget(e, answers), LEAST);
    if (tokens == 0) return false;
    const double start = hone_seconds_now();
    const hone_status status = hone_lm_batch_run(e->batch, s->running, s->running_count, &err);
    if (status != HONE_OK) {
        fail_step(e, status, &err);
        return true;
    }
    const double seconds = hone_seconds_now() - start, each = seconds / (double)hone_lm_step_bucket(tokens);
    if (tokens > answers) e->token_seconds = 0.5 * (e->token_seconds + each);
    e->steps++;
    if (e->o.stepped) e->o.stepped(e->o.user, seconds);
    for (int64_t i = 0; i < s->running_count; i++) hone_lm_schedule_advance(s, s->running[i]);
    hone_lm_job *ended = NULL; /* its other rows are nobody's */
    for (int64_t i = 0; i < hone_lm_batch_rows(e->batch); i++) {
        hone_lm_row *r = hone_lm_batch_row(e->batch, i);
        hone_lm_job *j = r->job;
        if (j != ended && !deliver(e, r)) ended = j;
    }
    return true;
}

/* All that can be done at once; false: nothing, until somebody says that something has changed. */
static bool turn(hone_lm_engine *e) {
    sweep(e);
    begin(e);
    const uint64_t preempted = e->schedule.preempted;
    const bool stepped = step(e);
    publish(e, 0);
    return stepped || e->schedule.preempted != preempted;
}

static void *serve(void *arg) {
    hone_lm_engine *e = arg;
    hone_lm_schedule *s = &e->schedule;
    for (bool busy = false, stop = false; !stop;) {
        pthread_mutex_lock(&e->lock);
        while (!busy && !e->poked && !e->stop) pthread_cond_wait(&e->changed, &e->lock);
        hone_lm_job *j = e->first;
        e->first = NULL;
        e->last = &e->first;
        e->poked = false;
        stop = e->stop;
        pthread_mutex_unlock(&e->lock);
        for (hone_lm_job *next; j; j = next) {
            next = j->next;
            hone_lm_schedule_add(s, j);
        }
        if (!stop) busy = turn(e);
    }
    while (s->running_count > 0) cancel(e, s->running[s->running_count - 1], "the engine has ended");
    while (s->waiting_count > 0) cancel(e, s->waiting[s->waiting_count - 1], "the engine has ended");
    return NULL;
}

/* --- the engine --- */

static void set_usual(hone_lm_engine_options *o) {
    if (o->most_waiting <= 0) o->most_waiting = USUAL_WAITING;
    if (o->most_running <= 0) o->most_running = USUAL_RUNNING;
    if (o->most_running > MOST_RUNNING) o->most_running = MOST_RUNNING;
    if (!(o->step_seconds > 0)) o->step_seconds = USUAL_STEP_SECONDS;
}

static hone_status make(hone_lm_engine *e, hone_graph *g, const hone_lm_options *model, hone_error *err) {
    const hone_lm_options usual = HONE_LM_OPTIONS_INIT, *m = model ? model : &usual;
    const size_t left = hone_memory_left() / 2;
    const hone_lm_room room = {.bytes = e->o.kv_bytes ? e->o.kv_bytes
                                        : left        ? left
                                                      : (size_t)1 << 30,
                               .texts = e->o.kv_bytes ? 0 : e->o.most_running};
    HONE_TRY(hone_lm_make(g, m, &room, &e->lm, err));
    HONE_TRY(hone_lm_pages_new(e->lm->pages, HONE_LM_PAGE, &e->pages, err));
    HONE_TRY(
        hone_lm_batch_new(e->lm, m->threads, CHUNK + e->o.most_running, e->o.most_running, &e->batch, err));
    HONE_TRY(hone_lm_schedule_init(&e->schedule, e->o.most_waiting, e->o.most_running, e->pages,
                                   hone_lm_batch_step(e->batch)->tables,
                                   hone_lm_batch_step(e->batch)->columns, err));
    e->schedule.no_cache = e->o.no_prefix_cache;
    return hone_lm_batch_measure(e->batch, &e->token_seconds, err);
}

/* Ends the step that runs. */
static bool stops(void *user) {
    return ((hone_lm_engine *)user)->stop;
}

static hone_status start(hone_lm_engine *e, hone_error *err) {
    pthread_mutex_init(&e->lock, NULL);
    hone_cond_init(&e->changed);
    e->last = &e->first;
    publish(e, 0);
    hone_context_set_cancel(hone_lm_batch_step(e->batch)->context, stops, e);
    if (hone_thread_start(&e->thread, serve, e, "hone-lm") == 0) return HONE_OK;
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->changed);
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "the system starts no more threads");
}

static void free_rest(hone_lm_engine *e) {
    hone_lm_schedule_clear(&e->schedule);
    hone_lm_batch_free(e->batch);
    hone_lm_pages_free(e->pages);
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
    set_usual(&e->o);
    status = make(e, g, model, err);
    if (status == HONE_OK) status = start(e, err);
    if (status == HONE_OK)
        *out = e;
    else
        free_rest(e);
    return status;
}

static void poke(hone_lm_engine *e) {
    pthread_mutex_lock(&e->lock);
    e->poked = true;
    pthread_cond_signal(&e->changed);
    pthread_mutex_unlock(&e->lock);
}

void hone_lm_engine_free(hone_lm_engine *e) {
    if (!e) return;
    pthread_mutex_lock(&e->lock);
    e->stop = true;
    pthread_cond_signal(&e->changed);
    pthread_mutex_unlock(&e->lock);
    pthread_join(e->thread, NULL);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->changed);
    free_rest(e);
}

int64_t hone_lm_engine_context(const hone_lm_engine *e) {
    return e->lm->context;
}

int64_t hone_lm_engine_vocabulary(const hone_lm_engine *e) {
    return e->lm->form.vocabulary;
}

/* --- jobs, from any thread --- */

static hone_status queue(hone_lm_engine *e, hone_lm_job *j, hone_error *err) {
    pthread_mutex_lock(&e->lock);
    const bool stop = e->stop, room = !stop && e->waiting < e->o.most_waiting;
    if (room) {
        e->waiting++;
        *e->last = j;
        e->last = &j->next;
        e->poked = true;
        pthread_cond_signal(&e->changed);
    }
    pthread_mutex_unlock(&e->lock);
    if (room) return HONE_OK;
    if (stop) return hone_fail(err, HONE_UNAVAILABLE, "the engine has ended");
    return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "%lld texts are waiting already",
                     (long long)e->o.most_waiting);
}

hone_status hone_lm_submit(hone_lm_engine *e, const hone_lm_job_options *o, hone_lm_job **out,
                           hone_error *err) {
    hone_lm_job *j;
    HONE_TRY(
        hone_lm_job_new(o, e->lm->context, e->lm->pages * HONE_LM_PAGE, e->lm->form.vocabulary, &j, err));
    j->engine = e;
    if (out) atomic_fetch_add(&j->references, 1);
    const hone_status status = queue(e, j, err);
    if (status == HONE_OK) {
        if (out) *out = j;
        return HONE_OK;
    }
    j->o.constraint = NULL; /* stays the caller's */
    if (out) hone_lm_job_release(j);
    hone_lm_job_release(j);
    return status;
}

void hone_lm_job_cancel(hone_lm_job *j) {
    j->cancelled = true;
    poke(j->engine);
}

void hone_lm_job_pause(hone_lm_job *j, bool paused) {
    j->paused = paused;
    poke(j->engine);
}

void hone_lm_engine_look(hone_lm_engine *e, hone_lm_engine_state *out) {
    pthread_mutex_lock(&e->lock);
    *out = e->state;
    out->waiting = e->waiting;
    pthread_mutex_unlock(&e->lock);
}
