#include "lm/model.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include <math.h>
#include <string.h>

static hone_status score_window(hone_lm_sequence *s, const int32_t *ids, size_t window, int32_t first,
                                int32_t *own, double *scores, hone_perplexity *out, hone_error *err) {
    memcpy(own, ids, window * sizeof *own);
    if (first >= 0) own[0] = first;
    HONE_TRY(hone_lm_score(s, own, window, window / 2, scores, err));
    for (size_t i = 0; i < window / 2; i++) out->loss -= scores[i];
    out->tokens += window / 2;
    return HONE_OK;
}

hone_status hone_lm_perplexity(hone_lm *m, const int32_t *ids, size_t count, size_t window, size_t limit,
                               int32_t first, hone_perplexity *out, hone_error *err) {
    if (window < 2 || window % 2 || window > (size_t)m->context)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a window of %zu tokens; even, and at most %lld", window,
                         (long long)m->context);
    if (count < window)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a text of %zu tokens is shorter than a window of %zu",
                         count, window);
    size_t windows = count / window;
    if (limit && limit < windows) windows = limit;
    const double start = hone_seconds_now();
    int32_t *own = hone_calloc(window, sizeof *own);
    double *scores = hone_calloc(window, sizeof *scores);
    hone_lm_sequence *s = NULL;
    *out = (hone_perplexity){0};
    hone_status status = own && scores ? hone_lm_sequence_new(m, &s, err) : hone_fail_memory(err);
    for (size_t i = 0; i < windows && status == HONE_OK; i++)
        status = score_window(s, ids + i * window, window, first, own, scores, out, err);
    hone_lm_sequence_free(s);
    hone_free(own);
    hone_free(scores);
    out->loss /= out->tokens ? (double)out->tokens : 1;
    out->perplexity = exp(out->loss);
    out->seconds = hone_seconds_now() - start;
    return status;
}
