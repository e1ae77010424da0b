/* Many texts at once, with pages that are too few, pauses and cancels: each gets what it gets alone. */
#include "lm/heard.h"

enum { JOBS = 64 };

typedef struct job {
    int32_t prompt[CONTEXT];
    hone_lm_job_options o;
    heard *alone, *h;
    hone_lm_job *handle;
    size_t cancel_at, pause_at; /* tokens that are heard; 0: never */
} job;

static job jobs[JOBS];

/* Prompts of 1 to 200 tokens, many of which begin alike; all ways to draw. */
static void make_jobs(void) {
    hone_rng r = hone_rng_make(11, 2);
    for (int i = 0; i < JOBS; i++) {
        job *j = &jobs[i];
        const size_t count = 1 + hone_rng_below(&r, i % 3 ? 200 : 20), same = hone_rng_below(&r, 150);
        for (size_t k = 0; k < count; k++)
            j->prompt[k] =
                (int32_t)(k < same ? (k * 7 + (size_t)(i % 2)) % VOCABULARY : hone_rng_below(&r, VOCABULARY));
        j->o = job_options(j->prompt, count, NULL);
        j->o.sampling.temperature = i % 4 ? 0.7 + 0.2 * (i % 4) : 0;
        j->o.sampling.seed = (uint64_t)i / 3;
        j->o.choice = (uint64_t)(i % 3);
        j->o.sampling.top_p = i % 5 ? 1 : 0.8;
        j->o.sampling.top_k = i % 7 ? 0 : 10;
        j->o.sampling.frequency_penalty = i % 6 ? 0 : 0.4;
        j->o.max_tokens = i % 8 ? 1 + hone_rng_below(&r, 60) : 0;
        j->o.likely = i % 9 ? -1 : 2;
        j->o.echo_scores = i % 11 == 5;
        j->o.client = (uint64_t)(i % 5);
        j->cancel_at = i % 10 == 3 ? 1 + hone_rng_below(&r, 8) : 0;
        j->pause_at = i % 6 == 1 ? 1 + hone_rng_below(&r, 6) : 0;
        if (j->pause_at && j->cancel_at) j->cancel_at = 1; /* nothing more is heard of it */
    }
}

static void submit(hone_lm_engine *e, job *j, heard **h) {
    *h = heard_new();
    j->o.user = *h;
    check_ok(hone_lm_submit(e, &j->o, &j->handle, &err));
}

/* The same by a sequence, which knows nothing of engines. */
static void check_alone(hone_lm_sequence *s, const job *j) {
    const float *logits;
    int32_t ids[CONTEXT];
    size_t count = j->o.count, at = j->o.echo_scores ? count : 0;
    memcpy(ids, j->prompt, sizeof ids);
    for (; at < j->alone->count; at++) {
        const hone_lm_draw d = {
            .how = &j->o.sampling, .ids = ids, .count = count, .prompt = j->o.count, .choice = j->o.choice};
        check_ok(hone_lm_feed(s, ids, count, &logits, &err));
        ids[count] = hone_lm_sampler_draw(s->sampler, &d, logits);
        assert_int_equal(ids[count++], j->alone->ids[at]);
    }
    assert_int_equal(count, j->o.max_tokens ? j->o.count + (size_t)j->o.max_tokens : CONTEXT);
}

static void run_alone(void) {
    hone_lm *lm = small_lm(false, 0, 1);
    hone_lm_sequence *s = small_sequence(lm);
    hone_lm_engine_options o = HONE_LM_ENGINE_OPTIONS_INIT;
    o.no_prefix_cache = true;
    hone_lm_engine *e = engine_new(false, 0, 1, &o);
    for (int i = 0; i < JOBS; i++) {
        submit(e, &jobs[i], &jobs[i].alone);
        wait_end(jobs[i].alone);
        assert_int_equal(jobs[i].alone->last.status, HONE_OK);
        hone_lm_job_release(jobs[i].handle);
        check_alone(s, &jobs[i]);
    }
    hone_lm_engine_free(e);
    hone_lm_sequence_free(s);
    hone_lm_free(lm);
}

/* All of it, or, of a job that was cancelled, a beginning. */
static void compare(const job *j, int i) {
    const bool cut = j->cancel_at && j->h->last.status == HONE_CANCELLED;
    if (!cut) {
        assert_int_equal(j->h->last.status, HONE_OK);
        assert_int_equal(j->h->count, j->alone->count);
        assert_int_equal(j->h->last.finish, j->alone->last.finish);
    }
    assert_true(j->h->count <= j->alone->count);
    for (size_t k = 0; k < j->h->count; k++) {
        if (j->h->ids[k] != j->alone->ids[k])
            fail_msg("job %d, token %d: %d, not %d", i, (int)k, j->h->ids[k], j->alone->ids[k]);
        const float a = j->h->marks[k], b = j->alone->marks[k];
        if (memcmp(&a, &b, sizeof a) != 0 && !(isnan(a) && isnan(b)))
            fail_msg("job %d, token %d: log probability %.9g, not %.9g", i, (int)k, (double)a, (double)b);
    }
}

typedef struct how {
    int threads;
    int64_t pages; /* 0: enough for all */
    bool no_cache;
    int64_t running;
} how;

static hone_lm_engine_state run_together(const how *w) {
    hone_lm_engine_options o = HONE_LM_ENGINE_OPTIONS_INIT;
    const size_t page = (size_t)(2 * LAYERS * KV_HEADS * HEAD * 32) * sizeof(float);
    hone_lm_engine_state s;
    o.kv_bytes = page * (size_t)w->pages;
    o.no_prefix_cache = w->no_cache;
    o.most_running = w->running;
    hone_lm_engine *e = engine_new(false, 0, w->threads, &o);
    for (int i = 0; i < JOBS; i++) submit(e, &jobs[i], &jobs[i].h);
    for (int i = 0; i < JOBS; i++) {
        if (!jobs[i].pause_at) continue;
        wait_for(jobs[i].h, jobs[i].pause_at);
        hone_lm_job_pause(jobs[i].handle, true);
    }
    for (int i = 0; i < JOBS; i++) {
        if (!jobs[i].cancel_at) continue;
        wait_for(jobs[i].h, jobs[i].cancel_at);
        hone_lm_job_cancel(jobs[i].handle);
    }
    for (int i = 0; i < JOBS; i++)
        if (jobs[i].pause_at) hone_lm_job_pause(jobs[i].handle, false);
    for (int i = 0; i < JOBS; i++) wait_end(jobs[i].h);
    hone_lm_engine_look(e, &s);
    for (int i = 0; i < JOBS; i++) {
        compare(&jobs[i], i);
        hone_lm_job_release(jobs[i].handle);
        free(jobs[i].h);
    }
    assert_true(s.waiting == 0 && s.running == 0 && s.paused == 0 && s.pages_used == 0);
    hone_lm_engine_free(e);
    return s;
}

static void test_together(void **state) {
    (void)state;
    hone_lm_engine_state s = run_together(&(how){.threads = 1, .running = 10});
    assert_true(s.cached_tokens > 0 && s.pages_cached > 0);
    s = run_together(&(how){.threads = 2, .no_cache = true});
    assert_true(s.preempted == 0 && s.cached_tokens == 0 && s.pages_cached == 0);
    s = run_together(&(how){.threads = 4, .pages = 40, .running = 20});
    assert_true(s.preempted > 0 && s.pages == 40 && s.cached_tokens > 0);
    s = run_together(&(how){.threads = 2, .pages = 16, .no_cache = true});
    assert_true(s.preempted > 0 && s.pages == 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_together)};
    make_jobs();
    run_alone();
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int i = 0; i < JOBS; i++) free(jobs[i].alone);
    return failed;
}
