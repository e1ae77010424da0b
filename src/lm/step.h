/* A step of a language model: one run of its form (form.h) over tokens of any texts. Who has a step fills its arrays and
 * runs it; running allocates nothing once as many tokens and wanted rows have been there before.
 *
 * Tokens come in buckets of 1, 2, 4, 8, 16 and then multiples of 32, each with a plan of its own, and so do wanted rows.
 * Tokens that fill a bucket up stand for nothing: attention does not compute them, and they are written to no page. */
#ifndef HONE_LM_STEP_H
#define HONE_LM_STEP_H

#include <hone/generate.h>
#include <hone/session.h>

enum { HONE_LM_BUCKET = 32, HONE_LM_BUCKETS = 21, HONE_LM_MOST_TOKENS = 512 };

typedef struct hone_lm_step {
    int64_t most, texts, columns;    /* tokens; rows and columns of `tables` */
    int64_t *ids, *positions, *text; /* [most]: of each token, which text's it is, and where */
    int64_t *tables;                 /* [texts, columns]: pages */
    int64_t *rows;                   /* [most]: tokens whose logits are wanted */
    hone_context *context;
    struct hone_lm_step_inside *inside;
} hone_lm_step;

/* For at most `tokens` <= HONE_LM_MOST_TOKENS of `texts`, one run at a time. Variables are the model's own, or `kept`. On
 * success `*out` belongs to the caller: hone_lm_step_free(), before the model. */
hone_status hone_lm_step_new(hone_lm *m, hone_variables *kept, int64_t tokens, int64_t texts,
                             hone_lm_step **out, hone_error *err);
void hone_lm_step_free(hone_lm_step *s); /* NULL is fine */
/* The smallest bucket for so many: what a run of them costs. */
int64_t hone_lm_step_bucket(int64_t tokens);
/* Runs the first `tokens` >= 1, of which the first `wanted` of `rows` give logits. */
hone_status hone_lm_step_run(hone_lm_step *s, int64_t tokens, int64_t wanted, hone_error *err);
/* [vocabulary]: of wanted row i; valid until the next run. */
const float *hone_lm_step_logits(const hone_lm_step *s, int64_t i);

#endif
