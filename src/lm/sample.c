#include "lm/model.h"

#include "base/error.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>

hone_status hone_lm_check_sampling(const hone_sampling *h, hone_error *err) {
    HONE_TRY(hone_check_options_size(h->size, sizeof *h, err));
    if (!(h->temperature >= 0) || !(h->top_p > 0 && h->top_p <= 1) || !(h->min_p >= 0 && h->min_p <= 1) ||
        h->top_k < 0 || !(h->repetition_penalty > 0) || !isfinite(h->presence_penalty) ||
        !isfinite(h->frequency_penalty) || !isfinite(h->temperature) || !isfinite(h->repetition_penalty))
        return hone_fail(
            err, HONE_INVALID_ARGUMENT,
            "temperature, top_k, min_p >= 0, 0 < top_p <= 1 and repetition_penalty > 0 are needed");
    return HONE_OK;
}

/* Seen tokens become less likely. A token's mark is found by the order of `ids`: each is treated once. */
static void penalize(const hone_sampling *h, const int32_t *ids, size_t count, size_t prompt, float *x) {
    for (size_t i = 0; i < count; i++) {
        bool before = false;
        size_t generated = i >= prompt;
        for (size_t k = 0; k < i && !before; k++) before = ids[k] == ids[i];
        if (before) continue;
        for (size_t k = i + 1; k < count; k++) generated += k >= prompt && ids[k] == ids[i];
        float *y = &x[ids[i]];
        if (h->repetition_penalty != 1)
            *y = *y > 0 ? *y / (float)h->repetition_penalty : *y * (float)h->repetition_penalty;
        if (generated) *y -= (float)(h->presence_penalty + h->frequency_penalty * (double)generated);
    }
}

static int32_t likeliest(const float *x, int64_t n) {
    int32_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = (int32_t)i;
    return best;
}

/* The likeliest first; of equals the lower id. */
typedef struct choice {
    float logit;
    int32_t id;
} choice;

static int by_logit(const void *a, const void *b) {
    const choice *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id - y->id;
}

/* How many of the sorted choices may be drawn, and the sum of their weights e^(logit - the first's). */
static size_t allowed(const hone_sampling *h, const choice *c, size_t n, double all, double *sum) {
    size_t most = h->top_k > 0 && (size_t)h->top_k < n ? (size_t)h->top_k : n, kept = 0;
    double within = 0;
    if (most < n) {
        all = 0;
        for (size_t i = 0; i < most; i++) all += exp((double)(c[i].logit - c[0].logit));
    }
    for (; kept < most; kept++) {
        const double weight = exp((double)(c[kept].logit - c[0].logit));
        if (kept && (within >= h->top_p * all || weight < h->min_p)) break;
        within += weight;
    }
    *sum = within;
    return kept;
}

/* What falls below this share of the likeliest is never looked at: it could not be drawn by 53 random bits. */
#define NEVER 40.0f

int32_t hone_lm_sample(const hone_sampling *h, const float *logits, int64_t vocabulary, const int32_t *ids,
                       size_t count, size_t prompt, float *x) {
    uint32_t random[4];
    for (int64_t i = 0; i < vocabulary; i++) x[i] = logits[i];
    if (h->repetition_penalty != 1 || h->presence_penalty != 0 || h->frequency_penalty != 0)
        penalize(h, ids, count, prompt, x);
    const int32_t best = likeliest(x, vocabulary);
    if (h->temperature == 0 || !isfinite(x[best])) return best;
    const float by = (float)(1 / h->temperature), top = x[best];
    size_t n = 0;
    for (int64_t i = 0; i < vocabulary; i++) n += (x[i] - top) * by > -NEVER;
    choice *c = malloc(n * sizeof *c);
    if (!c) return best;
    double all = 0, sum;
    n = 0;
    for (int64_t i = 0; i < vocabulary; i++) {
        const float scaled = (x[i] - top) * by;
        if (!(scaled > -NEVER)) continue;
        c[n++] = (choice){scaled, (int32_t)i};
        all += exp((double)scaled);
    }
    qsort(c, n, sizeof *c, by_logit);
    n = allowed(h, c, n, all, &sum);
    hone_philox(h->seed, 0, count, random);
    const double u = ((double)(random[0] >> 5) * 67108864.0 + (double)(random[1] >> 6)) / 9007199254740992.0;
    double left = u * sum;
    size_t i = 0;
    for (; i + 1 < n; i++) {
        left -= exp((double)c[i].logit);
        if (left < 0) break;
    }
    const int32_t id = c[i].id;
    free(c);
    return id;
}
