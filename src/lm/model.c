#include "lm/model.h"

#include "base/error.h"
#include "base/memory.h"

#include <string.h>

enum { USUAL_CONTEXT = 4096, MOST_CONTEXT = 1 << 24 };

/* --- models --- */

static hone_status compile(hone_lm *m, hone_graph *g, const hone_lm_options *o, hone_error *err) {
    hone_model_options model = HONE_MODEL_OPTIONS_INIT;
    hone_session_options session = HONE_SESSION_OPTIONS_INIT;
    model.threads = session.threads = o->threads;
    model.precision = o->precision;
    HONE_TRY(hone_model_take(g, &model, &m->model, err));
    return hone_session_create(m->model, &session, &m->session, err);
}

static hone_status prepare(hone_lm *m, hone_graph *g, const hone_lm_options *o, hone_error *err) {
    HONE_TRY(hone_check_options_size(o->size, sizeof *o, err));
    m->positions = hone_lm_positions(g);
    const int64_t usual = o->least > 0 ? o->least : USUAL_CONTEXT;
    m->context = o->context ? o->context : m->positions && m->positions < usual ? m->positions : usual;
    if (m->context < 1 || m->context > (m->positions ? m->positions : MOST_CONTEXT))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a context of %lld; the model has positions for %lld",
                         (long long)m->context, (long long)(m->positions ? m->positions : MOST_CONTEXT));
    return hone_lm_form_make(g, m->context + HONE_LM_STEP, &m->form, err);
}

hone_status hone_lm_create(hone_graph *g, const hone_lm_options *options, hone_lm **out, hone_error *err) {
    const hone_lm_options usual = HONE_LM_OPTIONS_INIT, *o = options ? options : &usual;
    hone_lm *m = hone_calloc(1, sizeof *m);
    hone_status status = m ? prepare(m, g, o, err) : hone_fail_memory(err);
    if (status == HONE_OK)
        status = compile(m, g, o, err);
    else
        hone_graph_free(g);
    if (status == HONE_OK)
        *out = m;
    else
        hone_lm_free(m);
    return status;
}

void hone_lm_free(hone_lm *m) {
    if (!m) return;
    hone_session_free(m->session);
    hone_model_free(m->model);
    hone_free(m);
}

int64_t hone_lm_context(const hone_lm *m) {
    return m->context;
}

int64_t hone_lm_vocabulary(const hone_lm *m) {
    return m->form.vocabulary;
}

size_t hone_lm_bytes(const hone_lm *m) {
    return hone_model_bytes(m->model);
}

size_t hone_lm_sequence_bytes(const hone_lm *m) {
    return m->form.past_bytes;
}

/* --- sequences --- */

static int64_t bucket_size(int index) {
    return index < 5 ? 1 << index : (int64_t)(index - 4) * HONE_LM_STEP;
}

static int bucket_of(int64_t tokens) {
    int i = 0;
    while (bucket_size(i) < tokens) i++;
    return i;
}

static hone_status wrap(hone_lm_sequence *s, int input, int rank, int64_t size, hone_tensor **out,
                        hone_error *err) {
    const int64_t dims[] = {rank > 1 ? 1 : size, size};
    return hone_tensor_wrap(HONE_INT64, rank, dims, s->in[input], out, err);
}

static hone_status wrap_inputs(hone_lm_sequence *s, hone_error *err) {
    HONE_TRY(wrap(s, HONE_LM_AT, 1, 1, &s->at, err));
    HONE_TRY(wrap(s, HONE_LM_END, 1, 1, &s->end, err));
    HONE_TRY(wrap(s, HONE_LM_ROWS, 1, 1, &s->one, err));
    for (int i = 0; i < HONE_LM_BUCKETS; i++) {
        HONE_TRY(wrap(s, HONE_LM_IDS, 2, bucket_size(i), &s->bucket[i][0], err));
        HONE_TRY(wrap(s, HONE_LM_POSITIONS, 2, bucket_size(i), &s->bucket[i][1], err));
        HONE_TRY(wrap(s, HONE_LM_ROWS, 1, bucket_size(i), &s->bucket[i][2], err));
    }
    return HONE_OK;
}

hone_status hone_lm_sequence_new(hone_lm *m, hone_lm_sequence **out, hone_error *err) {
    hone_lm_sequence *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    s->lm = m;
    s->ids = hone_calloc((size_t)m->context, sizeof *s->ids);
    hone_status status = s->ids ? wrap_inputs(s, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_lm_sampler_new(m->form.vocabulary, &s->sampler, err);
    if (status == HONE_OK) status = hone_context_create(m->session, &s->context, err);
    if (status == HONE_OK) status = hone_variables_copy_of(m->model, &s->kept, err);
    if (status == HONE_OK) status = hone_context_set_variables(s->context, s->kept, err);
    if (status == HONE_OK)
        *out = s;
    else
        hone_lm_sequence_free(s);
    return status;
}

void hone_lm_sequence_free(hone_lm_sequence *s) {
    if (!s) return;
    hone_context_free(s->context);
    hone_variables_free(s->kept);
    hone_tensor *single[] = {s->at, s->end, s->one};
    for (int i = 0; i < 3; i++) hone_tensor_free(single[i]);
    for (int i = 0; i < HONE_LM_BUCKETS; i++)
        for (int k = 0; k < 3; k++) hone_tensor_free(s->bucket[i][k]);
    hone_free(s->ids);
    hone_lm_sampler_free(s->sampler);
    hone_free(s);
}

const int32_t *hone_lm_sequence_tokens(const hone_lm_sequence *s, size_t *count) {
    *count = s->count;
    return s->ids;
}

/* --- steps --- */

/* Runs `n` <= HONE_LM_CHUNK tokens behind those that are there. Logits are of the last one, or of all. */
static hone_status step(hone_lm_sequence *s, const int32_t *ids, int64_t n, bool all, const float **logits,
                        hone_error *err) {
    const int b = bucket_of(n);
    const int64_t size = bucket_size(b), at = (int64_t)s->count, last = s->lm->positions - 1;
    for (int64_t i = 0; i < size; i++) {
        s->in[HONE_LM_IDS][i] = i < n ? ids[i] : 0;
        s->in[HONE_LM_POSITIONS][i] = last >= 0 && at + i > last ? last : at + i;
        s->in[HONE_LM_ROWS][i] = all ? i : n - 1;
    }
    s->in[HONE_LM_AT][0] = at;
    s->in[HONE_LM_END][0] = at + size;
    const hone_tensor *in[] = {s->bucket[b][0], s->bucket[b][1], s->at, s->end,
                               all ? s->bucket[b][2] : s->one};
    const hone_tensor *out;
    HONE_TRY(hone_context_run(s->context, in, &out, err));
    *logits = hone_tensor_data(out);
    const bool picked = hone_tensor_dims(out)[1] == (all ? size : 1);
    if (!picked) *logits += (all ? 0 : n - 1) * s->lm->form.vocabulary;
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
    const float *row = NULL;
    hone_status status = check_ids(s, ids, count, err);
    if (status == HONE_OK) rewind_to(s, ids, count - 1);
    while (status == HONE_OK && s->count < count) {
        const size_t left = count - s->count;
        status =
            step(s, ids + s->count, left < HONE_LM_CHUNK ? (int64_t)left : HONE_LM_CHUNK, false, &row, err);
    }
    if (logits) *logits = row;
    return failed(s, status);
}

hone_status hone_lm_push(hone_lm_sequence *s, int32_t id, const float **logits, hone_error *err) {
    return failed(s, step(s, &id, 1, false, logits, err));
}

hone_status hone_lm_score(hone_lm_sequence *s, const int32_t *ids, size_t count, size_t from, double *out,
                          hone_error *err) {
    const int64_t vocabulary = s->lm->form.vocabulary;
    hone_status status = check_ids(s, ids, count, err);
    if (status == HONE_OK && (from < 1 || from >= count))
        status = hone_fail(err, HONE_INVALID_ARGUMENT, "scores from token %zu of %zu", from, count);
    if (status == HONE_OK) rewind_to(s, ids, from - 1);
    while (status == HONE_OK && s->count + 1 < count) {
        const size_t at = s->count, left = count - 1 - at, n = left < HONE_LM_CHUNK ? left : HONE_LM_CHUNK;
        const bool all = at + n >= from;
        const float *logits;
        status = step(s, ids + at, (int64_t)n, all, &logits, err);
        for (size_t i = 0; i < n && all && status == HONE_OK; i++)
            if (at + i + 1 >= from)
                out[at + i + 1 - from] =
                    hone_lm_log_probability(logits + (int64_t)i * vocabulary, vocabulary, ids[at + i + 1]);
    }
    return failed(s, status);
}
