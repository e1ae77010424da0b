#include "lm/job.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

/* --- what is asked for --- */

static hone_status check_ids(const int32_t *ids, size_t count, int64_t vocabulary, hone_error *err) {
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= vocabulary)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "token %d; the model knows %lld", ids[i],
                             (long long)vocabulary);
    return HONE_OK;
}

static hone_status check_bias(const hone_lm_job_options *o, int64_t vocabulary, hone_error *err) {
    for (size_t i = 0; i < o->bias_count; i++) {
        HONE_TRY(check_ids(&o->bias[i].id, 1, vocabulary, err));
        if (!isfinite(o->bias[i].added))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "a bias of token %d that is no number",
                             o->bias[i].id);
    }
    return HONE_OK;
}

/* How many tokens the text may have in all. */
static hone_status find_most(const hone_lm_job_options *o, int64_t context, int64_t room, size_t *out,
                             hone_error *err) {
    const int64_t least = context < room ? context : room, asked = o->max_tokens > 0 ? o->max_tokens : 0;
    if (o->count > (size_t)context || asked > context - (int64_t)o->count)
        return hone_fail(err, HONE_OUT_OF_RANGE, "%zu tokens and up to %lld more, but a context of %lld",
                         o->count, (long long)asked, (long long)context);
    if ((int64_t)o->count + asked > least)
        return hone_fail(err, HONE_OUT_OF_RANGE,
                         "%zu tokens and up to %lld more, but memory for keys and values of %lld", o->count,
                         (long long)asked, (long long)room);
    *out = o->max_tokens ? o->count + (size_t)asked : (size_t)least;
    return HONE_OK;
}

static hone_status check(const hone_lm_job_options *o, int64_t context, int64_t room, int64_t vocabulary,
                         size_t *most, hone_error *err) {
    HONE_TRY(hone_check_options_size(o->size, sizeof *o, err));
    HONE_TRY(hone_lm_check_sampling(&o->sampling, err));
    if (o->count < 1) return hone_fail(err, HONE_INVALID_ARGUMENT, "a text of no tokens");
    if (o->likely > HONE_LM_MOST_LIKELY)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the %d likeliest tokens; at most %d", o->likely,
                         HONE_LM_MOST_LIKELY);
    HONE_TRY(find_most(o, context, room, most, err));
    HONE_TRY(check_ids(o->ids, o->count, vocabulary, err));
    return check_bias(o, vocabulary, err);
}

static void *copy(const void *x, size_t size) {
    void *own = hone_alloc(size);
    if (own && size) memcpy(own, x, size);
    return own;
}

static void free_job(hone_lm_job *j) {
    hone_constraint_free(j->o.constraint);
    hone_free((void *)j->o.bias);
    hone_free((void *)j->o.ends);
    hone_free(j->ids);
    hone_free(j);
}

hone_status hone_lm_job_new(const hone_lm_job_options *o, int64_t context, int64_t room, int64_t vocabulary,
                            hone_lm_job **out, hone_error *err) {
    size_t most = 0;
    HONE_TRY(check(o, context, room, vocabulary, &most, err));
    hone_lm_job *j = hone_calloc(1, sizeof *j);
    if (!j) return hone_fail_memory(err);
    j->o = *o;
    j->o.constraint = NULL;
    j->o.bias = copy(o->bias, o->bias_count * sizeof *o->bias);
    j->o.ends = copy(o->ends, o->end_count * sizeof *o->ends);
    j->ids = hone_calloc(most, sizeof *j->ids);
    if (!j->o.bias || !j->o.ends || !j->ids) {
        free_job(j);
        return hone_fail_memory(err);
    }
    memcpy(j->ids, o->ids, o->count * sizeof *o->ids);
    j->o.ids = j->ids;
    j->o.constraint = o->constraint;
    j->count = o->count;
    j->most = most;
    j->references = 1;
    j->slot = -1;
    j->news = (hone_lm_news){.prompt_tokens = o->count, .log_probability = NAN, .queued = hone_now()};
    *out = j;
    return HONE_OK;
}

void hone_lm_job_release(hone_lm_job *j) {
    if (j && atomic_fetch_sub(&j->references, 1) == 1) free_job(j);
}

/* --- the next token --- */

static bool is_end(const hone_lm_job *j, int32_t id) {
    for (size_t i = 0; i < j->o.end_count; i++)
        if (j->o.ends[i] == id) return true;
    return false;
}

static bool is_empty(const uint32_t *mask, int64_t ids) {
    for (int64_t i = 0; i < (ids + 31) / 32; i++)
        if (mask[i]) return false;
    return true;
}

hone_status hone_lm_job_draw(hone_lm_job *j, hone_lm_sampler *s, const float *logits, int32_t *id,
                             hone_error *err) {
    hone_constraint *c = j->o.constraint;
    hone_lm_draw d = {.how = &j->o.sampling,
                      .ids = j->ids,
                      .count = j->count,
                      .prompt = j->o.count,
                      .choice = j->o.choice,
                      .bias = j->o.bias,
                      .bias_count = j->o.bias_count,
                      .ends = j->o.ends,
                      .end_count = j->o.end_count,
                      .may_end = (int64_t)j->news.tokens >= j->o.min_tokens};
    bool complete = false;
    if (c) {
        HONE_TRY(hone_constraint_mask(c, &d.mask, &complete, err));
        d.mask_size = hone_constraint_size(c);
        d.may_end = complete && (d.may_end || is_empty(d.mask, d.mask_size));
    }
    *id = hone_lm_sampler_draw(s, &d, logits);
    if (*id < 0 && !complete)
        return hone_fail(err, HONE_FAILED_PRECONDITION, "no token may come behind the %zu that are there",
                         j->count);
    if (*id < 0 || is_end(j, *id)) {
        *id = -1;
        return HONE_OK;
    }
    return c ? hone_constraint_accept(c, *id, err) : HONE_OK;
}

void hone_lm_job_mark(const hone_lm_job *j, const float *logits, int64_t vocabulary, int32_t id,
                      hone_lm_mark *out) {
    const double sum = hone_lm_log_sum(logits, vocabulary);
    out->log_probability = (float)((double)logits[id] - sum);
    out->count = j->o.likely > 0 ? hone_lm_likeliest(logits, vocabulary, sum, j->o.likely, out->likely) : 0;
}

/* --- news --- */

bool hone_lm_job_tell(hone_lm_job *j, int32_t id, const hone_lm_mark *mark) {
    hone_lm_news *n = &j->news;
    n->kind = HONE_LM_TOKEN;
    n->id = id;
    n->log_probability = mark ? mark->log_probability : NAN;
    n->likely = mark ? mark->likely : NULL;
    n->likely_count = mark ? mark->count : 0;
    return !j->o.news || j->o.news(j->o.user, n);
}

void hone_lm_job_end(hone_lm_job *j, hone_status status, hone_finish finish, const hone_error *err) {
    hone_lm_news *n = &j->news;
    n->kind = HONE_LM_ENDED;
    n->likely = NULL;
    n->likely_count = 0;
    n->log_probability = NAN;
    n->status = status;
    n->error = status == HONE_OK ? NULL : err;
    n->finish = finish;
    n->ended = hone_now();
    if (j->o.news) j->o.news(j->o.user, n);
    hone_lm_job_release(j);
}
