#include "lm/step.h"

#include "base/error.h"
#include "base/memory.h"
#include "lm/model.h"

#include <string.h>

/* Inputs of which each bucket has a tensor; all are over the arrays of the step. */
enum { IDS = HONE_LM_IDS, POSITIONS, TEXT, TABLES, ROWS, INPUTS };

struct hone_lm_step_inside {
    hone_tensor *bucket[HONE_LM_BUCKETS][INPUTS];
    hone_tensor *tables;
    const float *logits;
    int64_t vocabulary;
    bool picked; /* logits are of the wanted rows, else of all */
};

static int64_t bucket_size(int index) {
    return index < 5 ? 1 << index : (int64_t)(index - 4) * HONE_LM_BUCKET;
}

static int bucket_of(int64_t tokens) {
    int i = 0;
    while (bucket_size(i) < tokens) i++;
    return i;
}

int64_t hone_lm_step_bucket(int64_t tokens) {
    return bucket_size(bucket_of(tokens));
}

static hone_status wrap(int rank, int64_t size, int64_t *data, hone_tensor **out, hone_error *err) {
    const int64_t dims[] = {rank > 1 ? 1 : size, size};
    return hone_tensor_wrap(HONE_INT64, rank, dims, data, out, err);
}

static hone_status wrap_inputs(hone_lm_step *s, hone_error *err) {
    struct hone_lm_step_inside *in = s->inside;
    for (int i = 0; i < HONE_LM_BUCKETS && bucket_size(i) <= s->most; i++) {
        const int64_t size = bucket_size(i);
        HONE_TRY(wrap(2, size, s->ids, &in->bucket[i][IDS], err));
        HONE_TRY(wrap(2, size, s->positions, &in->bucket[i][POSITIONS], err));
        HONE_TRY(wrap(1, size, s->text, &in->bucket[i][TEXT], err));
        HONE_TRY(wrap(1, size, s->rows, &in->bucket[i][ROWS], err));
    }
    const int64_t dims[] = {s->texts, s->columns};
    return hone_tensor_wrap(HONE_INT64, 2, dims, s->tables, &in->tables, err);
}

static hone_status make_arrays(hone_lm_step *s, hone_error *err) {
    int64_t **all[] = {&s->ids, &s->positions, &s->text, &s->rows};
    for (int i = 0; i < 4; i++) {
        *all[i] = hone_calloc((size_t)s->most, sizeof(int64_t));
        if (!*all[i]) return hone_fail_memory(err);
    }
    s->tables = hone_calloc((size_t)(s->texts * s->columns), sizeof(int64_t));
    s->inside = hone_calloc(1, sizeof *s->inside);
    return s->tables && s->inside ? HONE_OK : hone_fail_memory(err);
}

hone_status hone_lm_step_new(hone_lm *m, hone_variables *kept, int64_t tokens, int64_t texts,
                             hone_lm_step **out, hone_error *err) {
    hone_lm_step *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    s->most = hone_lm_step_bucket(tokens);
    s->texts = texts;
    s->columns = (m->context + HONE_LM_PAGE - 1) / HONE_LM_PAGE;
    hone_status status = make_arrays(s, err);
    if (status == HONE_OK) status = wrap_inputs(s, err);
    if (status == HONE_OK) status = hone_context_create(m->session, &s->context, err);
    if (status == HONE_OK && kept) status = hone_context_set_variables(s->context, kept, err);
    if (status != HONE_OK) {
        hone_lm_step_free(s);
        return status;
    }
    s->inside->vocabulary = m->form.vocabulary;
    *out = s;
    return HONE_OK;
}

void hone_lm_step_free(hone_lm_step *s) {
    if (!s) return;
    hone_context_free(s->context);
    if (s->inside) {
        hone_tensor_free(s->inside->tables);
        for (int i = 0; i < HONE_LM_BUCKETS; i++)
            for (int k = 0; k < INPUTS; k++) hone_tensor_free(s->inside->bucket[i][k]);
    }
    int64_t *const all[] = {s->ids, s->positions, s->text, s->rows, s->tables};
    for (int i = 0; i < 5; i++) hone_free(all[i]);
    hone_free(s->inside);
    hone_free(s);
}

hone_status hone_lm_step_run(hone_lm_step *s, int64_t tokens, int64_t wanted, hone_error *err) {
    struct hone_lm_step_inside *in = s->inside;
    const int t = bucket_of(tokens), w = bucket_of(wanted);
    for (int64_t i = tokens; i < bucket_size(t); i++) {
        s->ids[i] = s->positions[i] = 0;
        s->text[i] = -1;
    }
    for (int64_t i = wanted; i < bucket_size(w); i++) s->rows[i] = 0;
    const hone_tensor *inputs[] = {in->bucket[t][IDS], in->bucket[t][POSITIONS], in->bucket[t][TEXT],
                                   in->tables, in->bucket[w][ROWS]};
    const hone_tensor *out;
    HONE_TRY(hone_context_run(s->context, inputs, &out, err));
    in->logits = hone_tensor_data(out);
    in->picked = hone_tensor_dims(out)[1] == bucket_size(w);
    return HONE_OK;
}

const float *hone_lm_step_logits(const hone_lm_step *s, int64_t i) {
    return s->inside->logits + (s->inside->picked ? i : s->rows[i]) * s->inside->vocabulary;
}
