#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "runtime/growth.h"
#include "serve/servable/shapes.h"
#include "serve/servable/warmup_inside.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TIMINGS = 3, PATTERNS = HONE_WARM_PATTERNS };
enum { RESULT_ROWS = 64 }; /* of one request that is run in pieces, whose results are set aside */
#define TIME_ENOUGH (20 * HONE_MILLISECOND) /* a run of this length is timed once */
#define WORKSPACE_MOST ((size_t)256 << 20)  /* of one thread, where the size of batches is not given */
#define GAIN_LEAST 0.95                     /* of the cost of a row, for the next size to be worth it */
#define SECONDS_MOST 0.25                   /* of a run, likewise */
#define STORAGE_MOST ((size_t)64 << 20)     /* of those results */

void hone_recorded_free(hone_recorded *r, int input_count) {
    for (size_t i = 0; i < r->count * (size_t)input_count; i++) hone_tensor_free(r->tensors[i]);
    hone_free(r->tensors);
    *r = (hone_recorded){0};
}

static void do_not_batch(hone_servable *s, const char *why) {
    s->batchable = false;
    for (int n = 0; n < s->bucket_count; n++) s->buckets[n].size_count = 1;
    snprintf(s->unbatched, sizeof s->unbatched, "%s", why);
    if (s->settings.batching)
        hone_log(HONE_LOG_INFO, "model %s version %lld: requests are not batched: %s", s->name,
                 (long long)s->version, why);
    if (s->padded) hone_do_not_pad(s, why);
}

/* --- runs --- */

bool hone_warmer_is_halted(void *warmer) {
    const hone_warmer *w = warmer;
    return w->halted && atomic_load(w->halted);
}

static hone_status give_up(hone_status status, hone_error *err) {
    return status == HONE_CANCELLED ? hone_fail(err, status, "It was given up") : hone_fail_memory(err);
}

/* What a run costs. Of one thread: what that has computed, as it is not alone on its CPU, beside traffic
 * least of all. */
static uint64_t clock_of(const hone_servable *s) {
    return s->threads == 1 ? hone_thread_time() : hone_now();
}

static hone_status time_run(hone_warmer *w, hone_tensor *const *inputs, double *best, hone_error *err) {
    *best = HUGE_VAL;
    for (int i = 0; i <= TIMINGS; i++) { /* the first one makes the plan */
        uint64_t start = hone_now(), before = clock_of(w->s);
        hone_context_set_cancel(w->instance->context, hone_warmer_is_halted, w);
        hone_status status = hone_context_run(w->instance->context, (const hone_tensor *const *)inputs,
                                              w->instance->results, err);
        hone_context_set_cancel(w->instance->context, NULL, NULL);
        if (status != HONE_OK) return status;
        double cost = (double)(clock_of(w->s) - before) * 1e-9;
        uint64_t took = hone_now() - start;
        if (i > 0 && cost < *best) *best = cost;
        if (took > (i ? TIME_ENOUGH : 10 * TIME_ENOUGH)) {
            if (i == 0) *best = cost;
            break;
        }
    }
    return HONE_OK;
}

static hone_status keep_expected(hone_warmer *w, int pattern, hone_error *err) {
    for (int i = 0; i < w->s->output_count; i++) {
        const hone_tensor *t = w->instance->results[i];
        hone_tensor_free(w->expected[pattern][i]);
        w->expected[pattern][i] = NULL;
        HONE_TRY(hone_tensor_copy_of(t->dtype, t->rank, t->dims, t->data, &w->expected[pattern][i], err));
    }
    return HONE_OK;
}

static hone_status run_alone(hone_warmer *w, bool rows, hone_error *err) {
    hone_servable *s = w->s;
    hone_bucket *b = w->bucket;
    hone_made_up_sizes(w);
    b->warm_bytes = b->result_bytes = 0;
    b->volume = hone_part_volume(s, w->sizes);
    for (int k = 0; k < PATTERNS; k++) {
        HONE_TRY(hone_made_up_all(w, rows, (uint64_t)(k * 64), w->one[k], err));
        HONE_TRY(time_run(w, w->one[k], &b->cost[0], err));
        HONE_TRY(keep_expected(w, k, err));
    }
    for (int i = 0; i < s->input_count; i++) b->warm_bytes += (int64_t)w->one[0][i]->bytes;
    for (int i = 0; i < s->output_count; i++) b->result_bytes += (int64_t)w->expected[0][i]->bytes;
    return HONE_OK;
}

static void free_inputs(hone_warmer *w) {
    for (int i = 0; i < w->s->input_count; i++) {
        hone_tensor_free(w->inputs[i]);
        w->inputs[i] = NULL;
    }
}

/* Inputs of `size` rows, whose content takes turns. */
static hone_status make_rows(hone_warmer *w, int size, hone_error *err) {
    free_inputs(w);
    for (int i = 0; i < w->s->input_count; i++) {
        const hone_tensor *one = w->one[0][i];
        int64_t dims[HONE_MAX_RANK];
        memcpy(dims, one->dims, sizeof dims);
        dims[0] = size;
        HONE_TRY(hone_tensor_new(one->dtype, one->rank, dims, &w->inputs[i], err));
        for (int r = 0; r < size; r++)
            memcpy((char *)w->inputs[i]->data + (size_t)r * one->bytes, w->one[r % PATTERNS][i]->data,
                   one->bytes);
    }
    return HONE_OK;
}

/* Did every row come out as it does alone? */
static bool rows_agree(const hone_warmer *w, int size) {
    for (int i = 0; i < w->s->output_count; i++) {
        const hone_tensor *t = w->instance->results[i];
        const hone_tensor *one = w->expected[0][i];
        if (t->rank != one->rank || t->rank < 1 || one->dims[0] != 1 || t->dims[0] != size ||
            t->bytes != one->bytes * (size_t)size)
            return false;
        for (int r = 0; r < size; r++)
            if (memcmp((const char *)t->data + (size_t)r * one->bytes, w->expected[r % PATTERNS][i]->data,
                       one->bytes) != 0)
                return false;
    }
    return true;
}

/* --- sizes --- */

/* The sizes to try, ascending from 1. */
static int list_sizes(const hone_servable_settings *o, int *sizes) {
    int count = 0, most = o->max_batch ? o->max_batch : HONE_AUTO_BATCH_ROWS;
    sizes[count++] = 1;
    if (o->preferred_count > 0) {
        for (int i = 0; i < o->preferred_count; i++)
            if (o->preferred[i] > 1) sizes[count++] = o->preferred[i];
    } else {
        for (int size = 2; size < most; size *= 2) sizes[count++] = size;
    }
    if (sizes[count - 1] < most) sizes[count++] = most;
    return count;
}

/* Tries the sizes while they bring something (all of them, if they were asked for). */
static hone_status try_sizes(hone_warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    hone_bucket *b = w->bucket;
    int sizes[HONE_MAX_SIZES], count = list_sizes(&s->settings, sizes);
    if (count == 1) {
        do_not_batch(s, "its batches have one row");
        return HONE_OK;
    }
    s->batchable = true;
    for (int i = 1; i < count && s->batchable; i++) {
        double cost, before = b->cost[b->size_count - 1] / b->sizes[b->size_count - 1];
        if (!s->settings.max_batch && i > 1 && before * sizes[i] > SECONDS_MOST) break;
        HONE_TRY(make_rows(w, sizes[i], err));
        HONE_TRY(time_run(w, w->inputs, &cost, err));
        if (!rows_agree(w, sizes[i])) {
            do_not_batch(s, "a row's result depends on other rows");
            return HONE_OK;
        }
        bool large = hone_context_workspace(w->instance->context) > WORKSPACE_MOST;
        if (!s->settings.max_batch && (large || cost / sizes[i] > GAIN_LEAST * before)) {
            if (large || b->size_count > 1) break;
        }
        b->sizes[b->size_count] = sizes[i];
        b->cost[b->size_count++] = cost;
    }
    return HONE_OK;
}

/* --- all threads --- */

/* The worker's threads do not run what is costly, unless there are no others. */
static bool instance_is_used(const hone_servable *s, const hone_bucket *b, int instance, double inline_cost) {
    return instance >= s->workers || s->instance_count == s->workers || b->cost[0] < inline_cost;
}

/* All but the one that has run: their plans and workspaces, at every size of the bucket. */
static hone_status reserve_plans(hone_warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    const hone_bucket *b = w->bucket;
    for (int i = b->size_count - 1; i >= 0; i--) {
        if (s->batchable) HONE_TRY(make_rows(w, b->sizes[i], err));
        for (int k = 0; k < s->instance_count; k++) {
            if (!instance_is_used(s, b, k, w->inline_cost) || &s->instances[k] == w->instance) continue;
            HONE_TRY(hone_context_reserve(s->instances[k].context,
                                          (const hone_tensor *const *)(s->batchable ? w->inputs : w->one[0]),
                                          err));
        }
    }
    return HONE_OK;
}

static hone_status reserve(hone_warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    const hone_bucket *b = w->bucket;
    size_t total = 0, *in = hone_calloc((size_t)s->input_count + 1, sizeof *in),
           *out = hone_calloc((size_t)s->output_count + 1, sizeof *out);
    int64_t rows = hone_bucket_most(b), results = rows > RESULT_ROWS ? rows : RESULT_ROWS;
    bool fine = in && out;
    for (int i = 0; i < s->input_count && fine; i++) in[i] = w->one[0][i]->bytes;
    for (int i = 0; i < s->output_count && fine; i++) total += out[i] = w->expected[0][i]->bytes;
    if (total * (size_t)results > STORAGE_MOST) results = 1;
    for (int k = 0; k < s->instance_count && fine && s->batchable; k++)
        if (instance_is_used(s, b, k, w->inline_cost))
            fine = hone_instance_reserve(s, &s->instances[k], in, rows, out, results);
    hone_free(in);
    hone_free(out);
    return fine ? HONE_OK : hone_fail_memory(err);
}

static void measure(hone_servable *s) {
    s->bytes = hone_model_bytes(s->model);
    for (int k = 0; k < s->instance_count; k++) {
        hone_instance *instance = &s->instances[k];
        instance->usual = hone_context_memory(instance->context);
        s->bytes +=
            instance->usual + instance->inputs.capacity + instance->pieces.capacity + instance->cuts.capacity;
    }
}

/* --- recorded requests --- */

/* On one instance, for proof; the others get ready for the like of it. */
static hone_status run_recorded(hone_warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    const hone_recorded *r = w->recorded;
    for (size_t n = 0; r && n < r->count; n++) {
        const hone_tensor *const *inputs =
            (const hone_tensor *const *)(r->tensors + n * (size_t)s->input_count);
        hone_status status = hone_servable_check(s, inputs, err);
        if (status == HONE_OK && s->padded) status = hone_prove_request(w, inputs, err);
        for (int k = 0; k < s->instance_count && status == HONE_OK; k++) {
            hone_part p = hone_part_of(s, inputs);
            hone_run run = {.first = &p,
                            .dry = &s->instances[k] != w->instance,
                            .cancel = hone_warmer_is_halted,
                            .user = w};
            if (instance_is_used(s, p.bucket, k, w->inline_cost))
                status = hone_instance_run(s, &s->instances[k], &run, err);
        }
        if (status == HONE_OK) continue;
        if (status == HONE_CANCELLED) return give_up(status, err);
        char why[304];
        hone_text_line(why, sizeof why, err && err->message[0] ? err->message : hone_status_name(status));
        return hone_fail(err, HONE_FAILED_PRECONDITION, "recorded request %zu fails: %s", n, why);
    }
    return HONE_OK;
}

/* --- the whole --- */

static hone_tensor **list_of(int count) {
    return hone_calloc((size_t)count + 1, sizeof(hone_tensor *));
}

static void free_list(hone_tensor **list, int count) {
    for (int i = 0; list && i < count; i++) hone_tensor_free(list[i]);
    hone_free(list);
}

static bool set_up(hone_warmer *w) {
    bool fine = (w->inputs = list_of(w->s->input_count)) != NULL;
    for (int k = 0; k < PATTERNS; k++) {
        w->one[k] = list_of(w->s->input_count);
        w->expected[k] = list_of(w->s->output_count);
        fine = fine && w->one[k] && w->expected[k];
    }
    return fine;
}

static void tear_down(hone_warmer *w) {
    free_list(w->inputs, w->s->input_count);
    for (int k = 0; k < PATTERNS; k++) {
        free_list(w->one[k], w->s->input_count);
        free_list(w->expected[k], w->s->output_count);
    }
}

static hone_status warm_bucket(hone_warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    hone_error cause = {0};
    bool rows = !s->unbatched[0];
    if (hone_context_workspace(w->instance->context) > WORKSPACE_MOST)
        hone_context_trim(w->instance->context);
    hone_status status = run_alone(w, rows, &cause);
    if (hone_is_no_fault(status)) return give_up(status, err);
    if (status != HONE_OK) {
        hone_log(HONE_LOG_WARNING,
                 "model %s version %lld can't be run with made-up inputs: %s; \"dims\" in its config.json or "
                 "recorded requests can tell what free dimensions are",
                 s->name, (long long)s->version, cause.message[0] ? cause.message : hone_status_name(status));
        do_not_batch(s, "it can't be run with made-up inputs");
        s->warm = false;
        return HONE_OK;
    }
    if (rows && hone_is_no_fault(status = try_sizes(w, &cause))) return give_up(status, err);
    if (rows && status != HONE_OK) do_not_batch(s, "it fails with several rows");
    HONE_TRY(reserve_plans(w, err));
    return reserve(w, err);
}

static hone_status warm(hone_warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    const char *why = hone_shapes_unfit(s);
    s->warm = true;
    if (why) do_not_batch(s, why);
    for (int n = 0; n < s->bucket_count && s->warm; n++) {
        w->bucket = &s->buckets[n];
        HONE_TRY(warm_bucket(w, err));
    }
    if (!s->padded) return HONE_OK;
    hone_status status = hone_prove_padding(w, err);
    return status == HONE_OK ? HONE_OK : give_up(status, err);
}

hone_status hone_warm_up(hone_servable *s, const hone_recorded *recorded, double inline_cost,
                         const atomic_bool *halted, hone_error *err) {
    if (s->language) return HONE_OK; /* whoever made it has had it make a text */
    hone_warmer w = {.s = s,
                     .recorded = recorded,
                     .instance = &s->instances[s->instance_count - 1],
                     .inline_cost = inline_cost,
                     .halted = halted};
    hone_status status = set_up(&w) ? warm(&w, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = run_recorded(&w, err);
    tear_down(&w);
    measure(s);
    return status;
}
