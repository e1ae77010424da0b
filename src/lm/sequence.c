/* Texts one by one, each with pages of its own. */
#include "lm/model.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

enum { CHUNK = 256 }; /* tokens at once */

hone_status hone_lm_sequence_new(hone_lm *m, hone_lm_sequence **out, hone_error *err) {
    hone_lm_sequence *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    s->lm = m;
    s->ids = hone_calloc((size_t)m->context, sizeof *s->ids);
    hone_status status = s->ids ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_lm_sampler_new(m->form.vocabulary, &s->sampler, err);
    if (status == HONE_OK) status = hone_variables_copy_of(m->model, &s->kept, err);
    if (status == HONE_OK) status = hone_lm_step_new(m, s->kept, CHUNK, 1, &s->step, err);
    if (status != HONE_OK) {
        hone_lm_sequence_free(s);
        return status;
    }
    for (int64_t i = 0; i < s->step->columns; i++) s->step->tables[i] = i; /* it has all pages */
    *out = s;
    return HONE_OK;
}

void hone_lm_sequence_free(hone_lm_sequence *s) {
    if (!s) return;
    hone_lm_step_free(s->step);
    hone_variables_free(s->kept);
    hone_free(s->ids);
    hone_lm_sampler_free(s->sampler);
    hone_free(s);
}

const int32_t *hone_lm_sequence_tokens(const hone_lm_sequence *s, size_t *count) {
    *count = s->count;
    return s->ids;
}

/* --- steps --- */

/* Runs `n` <= CHUNK tokens behind those that are there. Logits are of the last one, or of all. */
static hone_status run(hone_lm_sequence *s, const int32_t *ids, int64_t n, bool all, hone_error *err) {
    hone_lm_step *step = s->step;
    for (int64_t i = 0; i < n; i++) {
        step->ids[i] = ids[i];
        step->positions[i] = (int64_t)s->count + i;
        step->text[i] = 0;
        step->rows[i] = all ? i : n - 1;
    }
    HONE_TRY(hone_lm_step_run(step, n, all ? n : 1, err));
    memcpy(s->ids + s->count, ids, (size_t)n * sizeof *ids);
    s->count += (size_t)n;
    return HONE_OK;
}

static hone_status check_ids(const hone_lm_sequence *s, const int32_t *ids, size_t count, hone_error *err) {
    if (count < 1) return hone_fail(err, HONE_INVALID_ARGUMENT, "a text of no tokens");
    if (count > (size_t)s->lm->context)
        return hone_fail(err, HONE_OUT_OF_RANGE, "%zu tokens, but a context of %lld", count,
                         (long long)s->lm->context);
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= s->lm->form.vocabulary)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "token %d; the model knows %lld", ids[i],
                             (long long)s->lm->form.vocabulary);
    return HONE_OK;
}

/* Forgets what `ids` does not begin with; at least one token is left to run. */
static void rewind_to(hone_lm_sequence *s, const int32_t *ids, size_t most) {
    size_t same = 0;
    while (same < s->count && same < most && s->ids[same] == ids[same]) same++;
    s->count = same;
}

static hone_status failed(hone_lm_sequence *s, hone_status status) {
    if (status != HONE_OK) s->count = 0;
    return status;
}

hone_status hone_lm_feed(hone_lm_sequence *s, const int32_t *ids, size_t count, const float **logits,
                         hone_error *err) {
    hone_status status = check_ids(s, ids, count, err);
    if (status == HONE_OK) rewind_to(s, ids, count - 1);
    while (status == HONE_OK && s->count < count) {
        const size_t left = count - s->count;
        status = run(s, ids + s->count, left < CHUNK ? (int64_t)left : CHUNK, false, err);
    }
    if (logits) *logits = status == HONE_OK ? hone_lm_step_logits(s->step, 0) : NULL;
    return failed(s, status);
}

hone_status hone_lm_push(hone_lm_sequence *s, int32_t id, const float **logits, hone_error *err) {
    const hone_status status = failed(s, run(s, &id, 1, false, err));
    *logits = status == HONE_OK ? hone_lm_step_logits(s->step, 0) : NULL;
    return status;
}

hone_status hone_lm_score(hone_lm_sequence *s, const int32_t *ids, size_t count, size_t from, double *out,
                          hone_error *err) {
    const int64_t vocabulary = s->lm->form.vocabulary;
    hone_status status = check_ids(s, ids, count, err);
    if (status == HONE_OK && (from < 1 || from >= count))
        status = hone_fail(err, HONE_INVALID_ARGUMENT, "scores from token %zu of %zu", from, count);
    if (status == HONE_OK) rewind_to(s, ids, from - 1);
    while (status == HONE_OK && s->count + 1 < count) {
        const size_t at = s->count, left = count - 1 - at, n = left < CHUNK ? left : CHUNK;
        const bool all = at + n >= from;
        status = run(s, ids + at, (int64_t)n, all, err);
        for (size_t i = 0; i < n && all && status == HONE_OK; i++)
            if (at + i + 1 >= from)
                out[at + i + 1 - from] = hone_lm_log_probability(hone_lm_step_logits(s->step, (int64_t)i),
                                                                 vocabulary, ids[at + i + 1]);
    }
    return failed(s, status);
}
