#include "lm/batch.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"

struct hone_lm_batch {
    hone_lm *lm;
    hone_lm_step *step;
    hone_pool *pool;
    hone_lm_sampler **samplers; /* one for each thread */
    int sampler_count;
    hone_lm_row *rows; /* step->most */
    int64_t row_count;
};

hone_status hone_lm_batch_new(hone_lm *m, int threads, int64_t tokens, int64_t texts, hone_lm_batch **out,
                              hone_error *err) {
    hone_lm_batch *b = hone_calloc(1, sizeof *b);
    if (!b) return hone_fail_memory(err);
    b->lm = m;
    hone_status status = hone_lm_step_new(m, NULL, tokens, texts, &b->step, err);
    if (status == HONE_OK) status = hone_pool_shared(threads, &b->pool, err);
    const int workers = hone_pool_threads(b->pool);
    if (status == HONE_OK) {
        b->rows = hone_calloc((size_t)b->step->most, sizeof *b->rows);
        b->samplers = hone_calloc((size_t)workers, sizeof(hone_lm_sampler *));
        if (!b->rows || !b->samplers) status = hone_fail_memory(err);
    }
    for (; b->sampler_count < workers && status == HONE_OK; b->sampler_count++)
        status = hone_lm_sampler_new(m->form.vocabulary, &b->samplers[b->sampler_count], err);
    if (status == HONE_OK)
        *out = b;
    else
        hone_lm_batch_free(b);
    return status;
}

void hone_lm_batch_free(hone_lm_batch *b) {
    if (!b) return;
    for (int i = 0; i < b->sampler_count; i++) hone_lm_sampler_free(b->samplers[i]);
    hone_free(b->samplers);
    hone_free(b->rows);
    hone_pool_free(b->pool);
    hone_lm_step_free(b->step);
    hone_free(b);
}

hone_lm_step *hone_lm_batch_step(hone_lm_batch *b) {
    return b->step;
}

int64_t hone_lm_batch_rows(const hone_lm_batch *b) {
    return b->row_count;
}

hone_lm_row *hone_lm_batch_row(hone_lm_batch *b, int64_t i) {
    return &b->rows[i];
}

hone_status hone_lm_batch_measure(hone_lm_batch *b, double *token_seconds, hone_error *err) {
    enum { TOKENS = 32, RUNS = 2 }; /* the first one makes its plan */
    for (int run = 0; run < RUNS; run++) {
        const double start = hone_seconds_now();
        for (int i = 0; i < TOKENS; i++) {
            b->step->ids[i] = b->step->positions[i] = 0;
            b->step->text[i] = -1;
        }
        HONE_TRY(hone_lm_step_run(b->step, TOKENS, 1, err));
        *token_seconds = (hone_seconds_now() - start) / TOKENS;
    }
    return HONE_OK;
}

/* Wants the logits of token `t` of the step, behind which stands place `at` of its text. */
static void want(hone_lm_batch *b, hone_lm_job *j, int64_t t, size_t at) {
    const bool draws = at == j->count;
    hone_lm_row *r = &b->rows[b->row_count];
    r->job = j;
    r->draws = draws;
    r->marked = !draws || j->o.likely >= 0;
    r->id = draws ? -1 : j->ids[at];
    b->step->rows[b->row_count++] = t;
}

static int64_t gather(hone_lm_batch *b, hone_lm_job *const *jobs, int64_t count) {
    hone_lm_step *s = b->step;
    int64_t t = 0;
    b->row_count = 0;
    for (int64_t i = 0; i < count; i++) {
        hone_lm_job *j = jobs[i];
        for (size_t at = j->done; at < j->done + j->turn; at++, t++) {
            s->ids[t] = j->ids[at];
            s->positions[t] = (int64_t)at;
            s->text[t] = j->slot;
            const bool echoed = j->o.echo_scores && at + 1 < j->o.count && at + 1 >= j->told;
            if (echoed || (at + 1 == j->count && j->count < j->most)) want(b, j, t, at + 1);
        }
    }
    return t;
}

static void look_at_row(void *arg, int64_t i, int worker) {
    hone_lm_batch *b = arg;
    hone_lm_row *r = &b->rows[i];
    const float *logits = hone_lm_step_logits(b->step, i);
    r->status = HONE_OK;
    if (r->draws) r->status = hone_lm_job_draw(r->job, b->samplers[worker], logits, &r->id, &r->error);
    if (r->marked && r->status == HONE_OK && r->id >= 0)
        hone_lm_job_mark(r->job, logits, b->lm->form.vocabulary, r->id, &r->mark);
}

hone_status hone_lm_batch_run(hone_lm_batch *b, hone_lm_job *const *jobs, int64_t count, hone_error *err) {
    const int64_t tokens = gather(b, jobs, count), wanted = b->row_count ? b->row_count : 1;
    if (!b->row_count) b->step->rows[0] = 0;
    HONE_TRY(hone_lm_step_run(b->step, tokens, wanted, err));
    hone_pool_run(b->row_count > 1 ? b->pool : NULL, b->row_count, look_at_row, b);
    return HONE_OK;
}
