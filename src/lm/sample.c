#include "lm/sample.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <float.h>
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

/* The likeliest first; of equals the lower id. */
typedef struct choice {
    float logit;
    int32_t id;
} choice;

struct hone_lm_sampler {
    int64_t vocabulary;
    float *x;           /* logits as they become */
    uint32_t *seen;     /* how often each token was generated; 0 between draws */
    choice *candidates; /* those that may be drawn */
};

hone_status hone_lm_sampler_new(int64_t vocabulary, hone_lm_sampler **out, hone_error *err) {
    hone_lm_sampler *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    const size_t n = (size_t)vocabulary;
    s->vocabulary = vocabulary;
    s->x = hone_calloc(n, sizeof *s->x);
    s->seen = hone_calloc(n, sizeof *s->seen);
    s->candidates = hone_calloc(n, sizeof *s->candidates);
    if (!s->x || !s->seen || !s->candidates) {
        hone_lm_sampler_free(s);
        return hone_fail_memory(err);
    }
    *out = s;
    return HONE_OK;
}

void hone_lm_sampler_free(hone_lm_sampler *s) {
    if (!s) return;
    hone_free(s->x);
    hone_free(s->seen);
    hone_free(s->candidates);
    hone_free(s);
}

/* --- logits as asked for --- */

static void add_bias(const hone_lm_draw *d, int64_t vocabulary, float *x) {
    for (size_t i = 0; i < d->bias_count; i++)
        if (d->bias[i].id >= 0 && d->bias[i].id < vocabulary) x[d->bias[i].id] += d->bias[i].added;
}

static bool ends(const hone_lm_draw *d, int64_t id) {
    for (size_t i = 0; i < d->end_count; i++)
        if (d->ends[i] == id) return true;
    return false;
}

static void forbid(const hone_lm_draw *d, int64_t vocabulary, float *x) {
    for (int64_t i = 0; d->mask && i < vocabulary; i++)
        if ((i >= d->mask_size || !(d->mask[i / 32] >> (i % 32) & 1)) && !ends(d, i)) x[i] = -INFINITY;
    for (size_t i = 0; !d->may_end && i < d->end_count; i++)
        if (d->ends[i] >= 0 && d->ends[i] < vocabulary) x[d->ends[i]] = -INFINITY;
}

#define GENERATED 2u /* a token is there: 1; each time it was generated: 2 more */

/* Seen tokens become less likely, each once. */
static void penalize(const hone_lm_draw *d, uint32_t *seen, float *x) {
    const hone_sampling *h = d->how;
    for (size_t i = 0; i < d->count; i++) {
        uint32_t *s = &seen[d->ids[i]];
        *s = (*s | 1) + (i >= d->prompt ? GENERATED : 0);
    }
    for (size_t i = 0; i < d->count; i++) {
        uint32_t *s = &seen[d->ids[i]];
        float *y = &x[d->ids[i]];
        if (!*s) continue;
        const double generated = *s / GENERATED;
        *s = 0;
        if (h->repetition_penalty != 1)
            *y = *y > 0 ? *y / (float)h->repetition_penalty : *y * (float)h->repetition_penalty;
        if (generated > 0) *y -= (float)(h->presence_penalty + h->frequency_penalty * generated);
    }
}

/* --- drawing --- */

static int32_t likeliest(const float *x, int64_t n) {
    int32_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = (int32_t)i;
    return best;
}

static int by_logit(const void *a, const void *b) {
    const choice *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return x->id - y->id;
}

/* What falls below this share of the likeliest is never looked at: it could not be drawn by 53 random bits. */
#define NEVER 40.0f

/* Candidates above -depth, in the order of ids, and the sum of their weights. */
static size_t above(const hone_lm_sampler *s, float depth, double *sum) {
    size_t n = 0;
    *sum = 0;
    for (int64_t i = 0; i < s->vocabulary; i++) {
        if (!(s->x[i] > -depth)) continue;
        s->candidates[n++] = (choice){s->x[i], (int32_t)i};
        *sum += exp((double)s->x[i]);
    }
    return n;
}

/* How many of the sorted candidates top_k and top_p leave; `all`: the sum of all weights. */
static size_t heads(const hone_sampling *h, const choice *c, size_t n, double all) {
    const size_t most = h->top_k > 0 && (size_t)h->top_k < n ? (size_t)h->top_k : n;
    double within = 0;
    size_t kept = 0;
    if (h->top_k > 0) {
        all = 0;
        for (size_t i = 0; i < most; i++) all += exp((double)c[i].logit);
    }
    for (; kept < most && (!kept || within < h->top_p * all); kept++) within += exp((double)c[kept].logit);
    return kept;
}

/* The candidates that may be drawn. Only those of which top_k or top_p leave some are sorted. */
static size_t choose(const hone_lm_sampler *s, const hone_sampling *h) {
    static const float depths[] = {3, 6, 12, NEVER};
    double all, sum;
    size_t n = 0;
    if (h->top_k > 0 || h->top_p < 1) {
        above(s, NEVER, &all);
        for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
            n = above(s, depths[i], &sum);
            if (h->top_k > 0 ? n >= (size_t)h->top_k : sum > h->top_p * all) break;
        }
        qsort(s->candidates, n, sizeof *s->candidates, by_logit);
        n = heads(h, s->candidates, n, all);
    } else {
        n = above(s, NEVER, &all);
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (exp((double)s->candidates[i].logit) >= h->min_p) s->candidates[kept++] = s->candidates[i];
    return kept;
}

int32_t hone_lm_sampler_draw(hone_lm_sampler *s, const hone_lm_draw *d, const float *logits) {
    const hone_sampling *h = d->how;
    uint32_t random[4];
    float *x = s->x;
    for (int64_t i = 0; i < s->vocabulary; i++) x[i] = logits[i];
    add_bias(d, s->vocabulary, x);
    forbid(d, s->vocabulary, x);
    if (h->repetition_penalty != 1 || h->presence_penalty != 0 || h->frequency_penalty != 0)
        penalize(d, s->seen, x);
    const int32_t best = likeliest(x, s->vocabulary);
    if (x[best] == -INFINITY) return -1;
    if (h->temperature == 0 || !isfinite(x[best])) return best;
    const float by = (float)fmin(1 / h->temperature, FLT_MAX), top = x[best];
    for (int64_t i = 0; i < s->vocabulary; i++) x[i] = (x[i] - top) * by;
    const size_t n = choose(s, h);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += exp((double)s->candidates[i].logit);
    hone_philox(h->seed, d->choice, d->count, random);
    const double u = ((double)(random[0] >> 5) * 67108864.0 + (double)(random[1] >> 6)) / 9007199254740992.0;
    double left = u * sum;
    size_t i = 0;
    for (; i + 1 < n; i++) {
        left -= exp((double)s->candidates[i].logit);
        if (left < 0) break;
    }
    return s->candidates[i].id;
}

/* --- probabilities --- */

double hone_lm_log_sum(const float *logits, int64_t vocabulary) {
    float largest = logits[0];
    double sum = 0;
    for (int64_t i = 1; i < vocabulary; i++)
        if (logits[i] > largest) largest = logits[i];
    for (int64_t i = 0; i < vocabulary; i++) sum += (double)expf(logits[i] - largest);
    return (double)largest + log(sum);
}

double hone_lm_log_probability(const float *logits, int64_t vocabulary, int32_t id) {
    return (double)logits[id] - hone_lm_log_sum(logits, vocabulary);
}

int hone_lm_likeliest(const float *logits, int64_t vocabulary, double log_sum, int n, hone_lm_likely *out) {
    int count = 0;
    for (int64_t i = 0; i < vocabulary; i++) {
        const float p = (float)((double)logits[i] - log_sum);
        if (count == n && (!n || !(p > out[n - 1].log_probability))) continue;
        int at = count < n ? count++ : n - 1;
        for (; at > 0 && p > out[at - 1].log_probability; at--) out[at] = out[at - 1];
        out[at] = (hone_lm_likely){(int32_t)i, p};
    }
    return count;
}
