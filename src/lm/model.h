/* The inside of hone_lm and of its sequences. */
#ifndef HONE_LM_MODEL_H
#define HONE_LM_MODEL_H

#include "lm/form.h"
#include "lm/sample.h"

#include <hone/generate.h>
#include <hone/session.h>

/* Tokens come in buckets of 1, 2, 4, 8, 16 and then multiples of 32, each with a plan of its own; rows that fill one up are
 * computed for nobody, and written over by those that come. */
enum { HONE_LM_CHUNK = 256, HONE_LM_STEP = 32, HONE_LM_BUCKETS = 13 };

struct hone_lm {
    hone_model *model;
    hone_session *session;
    hone_lm_form form;
    int64_t context, positions; /* positions that the model's tables have; 0: no tables */
};

struct hone_lm_sequence {
    hone_lm *lm;
    hone_context *context;
    hone_variables *kept;
    int32_t *ids; /* lm->context */
    size_t count;
    int64_t in[HONE_LM_INPUTS][HONE_LM_CHUNK];
    hone_tensor *at, *end, *one;             /* over in[] */
    hone_tensor *bucket[HONE_LM_BUCKETS][3]; /* ids, positions, rows */
    hone_lm_sampler *sampler;
};

/* One more token behind those that are there, which the context has room for. */
hone_status hone_lm_push(hone_lm_sequence *s, int32_t id, const float **logits, hone_error *err);
#endif
