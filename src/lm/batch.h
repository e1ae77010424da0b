/* A step of an engine: the tokens of its texts in one run of the model, and what becomes of the logits. */
#ifndef HONE_LM_BATCH_H
#define HONE_LM_BATCH_H

#include "lm/job.h"
#include "lm/model.h"

/* What a wanted row of logits has given. */
typedef struct hone_lm_row {
    hone_lm_job *job;
    bool draws;  /* the next token, else a token of the prompt that is echoed */
    bool marked; /* `mark` was asked for */
    int32_t id;  /* the token behind the row; -1: the text ends */
    hone_status status;
    hone_error error; /* unless HONE_OK */
    hone_lm_mark mark;
} hone_lm_row;

typedef struct hone_lm_batch hone_lm_batch;
/* For at most `tokens` of `texts`; logits are looked at by `threads`, as the model's. */
hone_status hone_lm_batch_new(hone_lm *m, int threads, int64_t tokens, int64_t texts, hone_lm_batch **out,
                              hone_error *err);
void hone_lm_batch_free(hone_lm_batch *b); /* NULL is fine; before the model */
hone_lm_step *hone_lm_batch_step(hone_lm_batch *b);
/* Runs tokens that stand for nothing: what one of many takes, in seconds. */
hone_status hone_lm_batch_measure(hone_lm_batch *b, double *token_seconds, hone_error *err);
/* The next `turn` tokens of each job, at least one in all. */
hone_status hone_lm_batch_run(hone_lm_batch *b, hone_lm_job *const *jobs, int64_t count, hone_error *err);
/* Rows of the last run; those of a job stand together, in the order of its tokens. */
int64_t hone_lm_batch_rows(const hone_lm_batch *b);
hone_lm_row *hone_lm_batch_row(hone_lm_batch *b, int64_t i);

#endif
