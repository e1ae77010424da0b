/* Which token comes next: drawing from a row of logits, and what the row says of tokens. */
#ifndef HONE_LM_SAMPLE_H
#define HONE_LM_SAMPLE_H

#include <hone/generate.h>

typedef struct hone_lm_bias {
    int32_t id;
    float added; /* to its logit */
} hone_lm_bias;

typedef struct hone_lm_likely {
    int32_t id;
    float log_probability;
} hone_lm_likely;

/* All that has a say in a draw, in this order: bias, what may come, penalties, temperature, top_k, top_p, min_p. */
typedef struct hone_lm_draw {
    const hone_sampling *how;
    const int32_t *ids; /* those so far, of which `prompt` were given */
    size_t count, prompt;
    uint64_t choice; /* other numbers of the same seed */
    const hone_lm_bias *bias;
    size_t bias_count;
    const uint32_t *mask; /* bit id % 32 of mask[id / 32]: it may come; NULL: all may */
    int64_t mask_size;    /* ids that it tells of: those beyond it may not come */
    const int32_t *ends;  /* come if `may_end`, whatever the mask says, and else never */
    size_t end_count;
    bool may_end;
} hone_lm_draw;

/* Memory for draws, so that none is asked for later. For one thread at a time. */
typedef struct hone_lm_sampler hone_lm_sampler;
hone_status hone_lm_sampler_new(int64_t vocabulary, hone_lm_sampler **out, hone_error *err);
void hone_lm_sampler_free(hone_lm_sampler *s); /* NULL is fine */
/* The next token; -1: none may come. `logits` [vocabulary] are left alone. What is drawn depends on the logits, on what `d`
 * says, on the seed, the choice and the position (`count`), on nothing else. */
int32_t hone_lm_sampler_draw(hone_lm_sampler *s, const hone_lm_draw *d, const float *logits);

hone_status hone_lm_check_sampling(const hone_sampling *how, hone_error *err);
/* log of the sum of e^logit, which turns logits into log probabilities. */
double hone_lm_log_sum(const float *logits, int64_t vocabulary);
/* log p of `id`. */
double hone_lm_log_probability(const float *logits, int64_t vocabulary, int32_t id);
/* The `n` likeliest (fewer, if there are no more), best first, of equals the lower id first; how many. */
int hone_lm_likeliest(const float *logits, int64_t vocabulary, double log_sum, int n, hone_lm_likely *out);

#endif
