/* Padding is a promise of the model's: that it leaves alone what its mask, or its pad value, tells. Here it
 * is held to it: a request is run alone, of its own size, and padded as it would be in a batch, and both
 * answers are compared. That the rows of a batch leave one another alone has been seen before. */
#include "base/error.h"
#include "base/half.h"
#include "runtime/model.h"
#include "serve/servable/shapes.h"
#include "serve/servable/warmup_inside.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- comparing --- */

/* Of floats; others are compared as they lie. */
static double value_at(const hone_tensor *t, int64_t i) {
    switch (t->dtype) {
    case HONE_FLOAT32: return ((const float *)t->data)[i];
    case HONE_FLOAT64: return ((const double *)t->data)[i];
    case HONE_FLOAT16: return hone_float_of_half(((const uint16_t *)t->data)[i]);
    default: return hone_float_of_bfloat(((const uint16_t *)t->data)[i]);
    }
}

/* What is lost by rounding to the dtype itself. */
static double rounding_of(hone_dtype dtype) {
    return dtype == HONE_FLOAT16 ? 4 * 0x1p-11 : dtype == HONE_BFLOAT16 ? 4 * 0x1p-8 : 0;
}

static bool is_float(hone_dtype dtype) {
    return dtype == HONE_FLOAT32 || dtype == HONE_FLOAT64 || dtype == HONE_FLOAT16 || dtype == HONE_BFLOAT16;
}

/* The largest difference, as a part of the largest value; HUGE_VAL where one is a number and the other is
 * none, and where whole numbers differ. */
static double difference(const hone_tensor *a, const hone_tensor *b) {
    double largest = 0, worst = 0;
    if (!is_float(a->dtype)) return a->bytes && memcmp(a->data, b->data, a->bytes) != 0 ? HUGE_VAL : 0;
    for (int64_t i = 0; i < a->count; i++) {
        double x = value_at(a, i), y = value_at(b, i);
        if (isfinite(x) && fabs(x) > largest) largest = fabs(x);
        if (x == y || (isnan(x) && isnan(y))) continue;
        double d = isfinite(x) && isfinite(y) ? fabs(x - y) : HUGE_VAL;
        if (d > worst) worst = d;
    }
    return worst > 0 ? worst / (largest > 0 ? largest : 1) : 0;
}

static void format_dims(const hone_tensor *t, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int d = 0; d < t->rank && used < size; d++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", d ? ", " : "", (long long)t->dims[d]);
    if (used < size) snprintf(text + used, size - used, "]");
}

/* "sequence 5 as 8" */
static void format_sizes(const hone_servable *s, const hone_part *p, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (int j = 0; j < s->settings.dim_count && used < size; j++)
        if (s->padded >> j & 1 && p->sizes[j] != p->target[j])
            used +=
                (size_t)snprintf(text + used, size - used, "%s%.40s %lld as %lld", used ? ", " : "",
                                 s->settings.dims[j].name, (long long)p->sizes[j], (long long)p->target[j]);
}

/* False: says how they differ. */
static bool agrees(const hone_servable *s, const hone_part *p, hone_tensor *const *expected,
                   const hone_tensor *const *is, char *why, size_t size) {
    char sizes[100], a[64], b[64];
    format_sizes(s, p, sizes, sizeof sizes);
    for (int i = 0; i < s->output_count; i++) {
        const hone_tensor *t = expected[i], *u = is[i];
        const char *name = s->outputs[i].name;
        double tolerance = s->settings.pad_tolerance;
        if (t->rank != u->rank || memcmp(t->dims, u->dims, (size_t)t->rank * sizeof *t->dims) != 0) {
            format_dims(t, a, sizeof a);
            format_dims(u, b, sizeof b);
            snprintf(why, size, "\"%.60s\" comes out as %s, alone as %s (\"shapes\" can name its dimensions)",
                     name, b, a);
            return false;
        }
        double d = difference(t, u);
        if (d <= tolerance || d <= rounding_of(t->dtype)) continue;
        if (isfinite(d))
            snprintf(why, size, "\"%.60s\" changes by %.1g of its largest value (%s)", name, d, sizes);
        else
            snprintf(why, size, "\"%.60s\" changes (%s)", name, sizes);
        return false;
    }
    return true;
}

/* --- running --- */

static void free_all(hone_tensor **list, int count) {
    for (int i = 0; i < count; i++) {
        hone_tensor_free(list[i]);
        list[i] = NULL;
    }
}

/* Runs it as it is, into w->expected[0]. */
static hone_status run_plain(hone_warmer *w, const hone_tensor *const *inputs, hone_error *err) {
    hone_servable *s = w->s;
    free_all(w->expected[0], s->output_count);
    hone_context_set_cancel(w->instance->context, hone_warmer_is_halted, w);
    hone_status status = hone_context_run(w->instance->context, inputs, w->instance->results, err);
    hone_context_set_cancel(w->instance->context, NULL, NULL);
    for (int i = 0; i < s->output_count && status == HONE_OK; i++) {
        const hone_tensor *t = w->instance->results[i];
        status = hone_tensor_copy_of(t->dtype, t->rank, t->dims, t->data, &w->expected[0][i], err);
    }
    return status;
}

/* Runs it padded to the sizes that `target` has, and compares. False: it says why nothing is padded. */
static hone_status compare(hone_warmer *w, hone_part *p, bool *proven, hone_error *err) {
    hone_servable *s = w->s;
    hone_error cause = {0};
    hone_run run = {.first = p, .pad = true, .cancel = hone_warmer_is_halted, .user = w};
    const hone_tensor *const *outputs = NULL;
    char why[sizeof s->unpadded - 32];
    hone_status status = run_plain(w, p->inputs, &cause);
    *proven = false;
    if (status != HONE_OK)
        return hone_is_no_fault(status) ? hone_fail(err, status, "%s", cause.message) : HONE_OK;
    status = hone_instance_run(s, w->instance, &run, &cause);
    if (status == HONE_OK) status = hone_instance_view(s, w->instance, p, NULL, &outputs, &cause);
    if (hone_is_no_fault(status)) return hone_fail(err, status, "%s", cause.message);
    *proven = status == HONE_OK && agrees(s, p, w->expected[0], outputs, why, sizeof why);
    if (status != HONE_OK) snprintf(why, sizeof why, "it fails when they are: %.160s", cause.message);
    if (!*proven) hone_do_not_pad(s, why);
    return HONE_OK;
}

hone_status hone_prove_request(hone_warmer *w, const hone_tensor *const *inputs, hone_error *err) {
    const hone_servable *s = w->s;
    hone_part p = hone_part_of(s, inputs);
    unsigned open = hone_shapes_open(s);
    bool proven;
    for (int j = 0; j < s->settings.dim_count; j++)
        if (open >> j & 1) p.target[j] += p.sizes[j] / 2 + (p.sizes[j] > 0);
    if (!hone_shapes_is_padded(s, &p, p.target)) return HONE_OK;
    return compare(w, &p, &proven, err);
}

/* --- made-up requests --- */

/* The largest size that is not padded to `size`. */
static int64_t size_below(const hone_dim_setting *d, int64_t size) {
    int64_t below = 0;
    for (int i = 0; i < d->size_count && d->sizes[i] < size; i++) below = d->sizes[i];
    return below;
}

/* One of the bucket's: `which` dimensions as short as they may be (`least`) or half way between, others
 * whole. */
static hone_status prove_short(hone_warmer *w, const int64_t *whole, unsigned which, bool least, int *count,
                               hone_error *err) {
    hone_servable *s = w->s;
    hone_error cause = {0};
    bool proven, shorter = false;
    for (int j = 0; j < s->settings.dim_count; j++) {
        int64_t below = size_below(&s->settings.dims[j], whole[j]);
        bool is = which >> j & 1;
        w->sizes[j] = !is ? whole[j] : least ? below + 1 : below + (whole[j] - below + 1) / 2;
        shorter = shorter || (is && w->sizes[j] < whole[j]);
    }
    if (!shorter) return HONE_OK;
    hone_status status = hone_made_up_all(w, true, 7, w->inputs, &cause);
    if (status != HONE_OK) return hone_fail(err, status, "%s", cause.message);
    hone_part p = hone_part_of(s, (const hone_tensor *const *)w->inputs);
    for (int j = 0; j < s->settings.dim_count; j++)
        if (s->padded >> j & 1 && p.target[j] < whole[j]) p.target[j] = whole[j];
    HONE_TRY(compare(w, &p, &proven, err));
    *count += proven;
    return HONE_OK;
}

static hone_status prove_bucket(hone_warmer *w, int *count, hone_error *err) {
    hone_servable *s = w->s;
    int64_t whole[HONE_MAX_DIM_SETTINGS];
    hone_made_up_sizes(w);
    memcpy(whole, w->sizes, sizeof whole);
    for (int least = 0; least < 2 && s->padded; least++)
        HONE_TRY(prove_short(w, whole, s->padded, least, count, err));
    for (int j = 0; j < s->settings.dim_count && s->padded; j++)
        if (s->padded >> j & 1 && s->padded != 1u << j)
            HONE_TRY(prove_short(w, whole, 1u << j, false, count, err));
    return HONE_OK;
}

hone_status hone_prove_padding(hone_warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    int count = 0;
    for (int n = 0; n < s->bucket_count && s->padded; n++) {
        w->bucket = &s->buckets[n];
        HONE_TRY(prove_bucket(w, &count, err));
    }
    if (s->padded && count == 0) hone_do_not_pad(s, "no shorter request could be tried");
    return HONE_OK;
}
