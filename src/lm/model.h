/* The inside of hone_lm and of its sequences. */
#ifndef HONE_LM_MODEL_H
#define HONE_LM_MODEL_H

#include "lm/form.h"
#include "lm/sample.h"
#include "lm/step.h"

#include <hone/session.h>

struct hone_lm {
    hone_model *model;
    hone_session *session;
    hone_lm_form form;
    int64_t context;
    int64_t pages; /* of the variables */
};

/* How many pages a model's variables have. */
typedef struct hone_lm_room {
    size_t bytes;  /* in all */
    int64_t texts; /* no more than so many of the whole context need; 0: bytes alone count */
} hone_lm_room;

/* As hone_lm_create(). `room` NULL: one text of the whole context. HONE_RESOURCE_EXHAUSTED: there is no room for a page. */
hone_status hone_lm_make(hone_graph *g, const hone_lm_options *options, const hone_lm_room *room,
                         hone_lm **out, hone_error *err);

struct hone_lm_sequence {
    hone_lm *lm;
    hone_lm_step *step;
    hone_variables *kept;
    int32_t *ids; /* lm->context */
    size_t count;
    hone_lm_sampler *sampler;
};

/* One more token behind those that are there, which the context has room for. */
hone_status hone_lm_push(hone_lm_sequence *s, int32_t id, const float **logits, hone_error *err);

#endif
