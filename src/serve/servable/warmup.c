#include "serve/servable/warmup.h"

#include "base/bits.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "runtime/growth.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TIMINGS = 3, PATTERNS = 2 };
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

/* What is known while a servable is warmed up. */
typedef struct warmer {
    hone_servable *s;
    const hone_recorded *recorded;    /* NULL: none */
    hone_instance *instance;          /* where it is measured */
    hone_tensor **one[PATTERNS];      /* inputs of one row each, of different content */
    hone_tensor **expected[PATTERNS]; /* and what comes out */
    hone_tensor **inputs;             /* of the size under test */
    double inline_cost;
    const atomic_bool *halted; /* NULL: nobody halts it */
} warmer;

/* --- made-up inputs --- */

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Floats in [0, 1); whole numbers and bools 0 or 1, which most tables that they may be an index of have. */
static void fill(hone_tensor *t, uint64_t seed) {
    for (int64_t i = 0; i < t->count; i++) {
        uint64_t x = mix(seed * 0x9e3779b97f4a7c15u + (uint64_t)i + 1);
        double f = (double)(x >> 40) * 0x1p-24;
        switch (t->dtype) {
        case HONE_FLOAT32: ((float *)t->data)[i] = (float)f; break;
        case HONE_FLOAT64: ((double *)t->data)[i] = f; break;
        case HONE_FLOAT16: ((uint16_t *)t->data)[i] = (uint16_t)(0x3000 + (x & 0x7ff)); break;
        case HONE_BFLOAT16: ((uint16_t *)t->data)[i] = (uint16_t)(0x3e00 + (x & 0x7f)); break;
        case HONE_UINT4:
        case HONE_INT4:
        case HONE_FLOAT4E2M1:
        case HONE_UINT2:
        case HONE_INT2: hone_bits_set(t->data, i, hone_dtype_bits(t->dtype), (unsigned)(x & 1)); break;
        default:
            memset((char *)t->data + (size_t)i * hone_dtype_size(t->dtype), 0, hone_dtype_size(t->dtype));
            ((char *)t->data)[(size_t)i * hone_dtype_size(t->dtype)] = (char)(x & 1); /* little-endian */
        }
    }
}

/* That of the first recorded request; NULL if there is none. */
static const hone_tensor *recorded_input(const warmer *w, int input) {
    return w->recorded && w->recorded->count > 0 ? w->recorded->tensors[input] : NULL;
}

/* A free dimension's size: as the settings say, else as in the first recorded request, else 1. */
static int64_t size_of(const warmer *w, int input, int d) {
    const hone_servable_settings *o = &w->s->settings;
    const hone_value_info *v = &w->s->inputs[input];
    const hone_tensor *recorded = recorded_input(w, input);
    const char *name =
        d < v->rank && v->dims[d] < 0 ? hone_graph_dim_name(hone_servable_signature(w->s), v->dims[d]) : NULL;
    for (int i = 0; name && i < o->dim_count; i++)
        if (strcmp(o->dims[i].name, name) == 0) return o->dims[i].size;
    return recorded && d < recorded->rank ? recorded->dims[d] : 1;
}

/* `rows`: the leading dimension is that of the rows, and 1. */
static hone_status make_up(const warmer *w, int input, bool rows, uint64_t seed, hone_tensor **out,
                           hone_error *err) {
    const hone_value_info *v = &w->s->inputs[input];
    const hone_tensor *recorded = recorded_input(w, input);
    int64_t dims[HONE_MAX_RANK] = {0};
    int rank = v->rank < 0 && recorded ? recorded->rank : v->rank;
    if (rank < 0) return hone_fail(err, HONE_UNSUPPORTED, "the rank of \"%s\" is not known", v->name);
    if (v->dtype == HONE_STRING) return hone_fail(err, HONE_UNSUPPORTED, "\"%s\" is text", v->name);
    for (int d = 0; d < rank; d++)
        dims[d] = d < v->rank && v->dims[d] >= 0 ? v->dims[d] : rows && d == 0 ? 1 : size_of(w, input, d);
    HONE_TRY(hone_tensor_new(v->dtype, rank, dims, out, err));
    fill(*out, seed);
    return HONE_OK;
}

/* --- may requests be put together? --- */

static bool shares_bytes(hone_dtype dtype) {
    return hone_dtype_bits(dtype) > 0 && hone_dtype_bits(dtype) < 8;
}

static const char *unfit(const hone_servable *s) {
    if (!s->settings.batching) return "batching is switched off";
    if (s->input_count == 0) return "it has no inputs";
    for (int i = 0; i < s->input_count; i++) {
        const hone_value_info *v = &s->inputs[i];
        if (v->dtype == HONE_STRING) return "an input is text";
        if (shares_bytes(v->dtype)) return "rows of an input share bytes";
        if (v->rank < 1 || v->dims[0] >= 0) return "an input has no free leading dimension";
        if (v->dims[0] != s->inputs[0].dims[0]) return "the leading dimensions of the inputs differ";
        for (int d = 1; d < v->rank; d++)
            if (v->dims[d] == v->dims[0] && v->dims[0] != HONE_DIM_ANY)
                return "the leading dimension of an input stands elsewhere, too";
    }
    for (int i = 0; i < s->output_count; i++) {
        const hone_value_info *v = &s->outputs[i];
        if (v->dtype == HONE_STRING) return "an output is text";
        if (shares_bytes(v->dtype)) return "rows of an output share bytes";
        if (v->rank == 0 || (v->rank > 0 && v->dims[0] >= 0)) return "an output has no row for each input's";
    }
    return NULL;
}

static void do_not_batch(hone_servable *s, const char *why) {
    s->batchable = false;
    s->size_count = 1;
    snprintf(s->unbatched, sizeof s->unbatched, "%s", why);
    if (s->settings.batching)
        hone_log(HONE_LOG_INFO, "model %s version %lld: requests are not batched: %s", s->name,
                 (long long)s->version, why);
}

/* --- runs --- */

static bool is_halted(void *user) {
    const warmer *w = user;
    return w->halted && atomic_load(w->halted);
}

static bool is_no_fault_of_its(hone_status status) {
    return status == HONE_OUT_OF_MEMORY || status == HONE_CANCELLED;
}

static hone_status give_up(hone_status status, hone_error *err) {
    return status == HONE_CANCELLED ? hone_fail(err, status, "It was given up") : hone_fail_memory(err);
}

static hone_status time_run(warmer *w, hone_tensor *const *inputs, double *best, hone_error *err) {
    *best = HUGE_VAL;
    for (int i = 0; i <= TIMINGS; i++) { /* the first one makes the plan */
        uint64_t start = hone_now();
        hone_context_set_cancel(w->instance->context, is_halted, w);
        hone_status status = hone_context_run(w->instance->context, (const hone_tensor *const *)inputs,
                                              w->instance->results, err);
        hone_context_set_cancel(w->instance->context, NULL, NULL);
        if (status != HONE_OK) return status;
        uint64_t took = hone_now() - start;
        if (i > 0 && (double)took * 1e-9 < *best) *best = (double)took * 1e-9;
        if (took > (i ? TIME_ENOUGH : 10 * TIME_ENOUGH)) {
            if (i == 0) *best = (double)took * 1e-9;
            break;
        }
    }
    return HONE_OK;
}

static hone_status keep_expected(warmer *w, int pattern, hone_error *err) {
    for (int i = 0; i < w->s->output_count; i++) {
        const hone_tensor *t = w->instance->results[i];
        HONE_TRY(hone_tensor_copy_of(t->dtype, t->rank, t->dims, t->data, &w->expected[pattern][i], err));
    }
    return HONE_OK;
}

static hone_status run_alone(warmer *w, bool rows, hone_error *err) {
    hone_servable *s = w->s;
    s->warm_bytes = s->result_bytes = 0;
    for (int k = 0; k < PATTERNS; k++) {
        for (int i = 0; i < s->input_count; i++)
            HONE_TRY(make_up(w, i, rows, (uint64_t)(k * 64 + i), &w->one[k][i], err));
        HONE_TRY(time_run(w, w->one[k], &s->cost[0], err));
        HONE_TRY(keep_expected(w, k, err));
    }
    for (int i = 0; i < s->input_count; i++) s->warm_bytes += (int64_t)w->one[0][i]->bytes;
    for (int i = 0; i < s->output_count; i++) s->result_bytes += (int64_t)w->expected[0][i]->bytes;
    return HONE_OK;
}

static void free_inputs(warmer *w) {
    for (int i = 0; i < w->s->input_count; i++) {
        hone_tensor_free(w->inputs[i]);
        w->inputs[i] = NULL;
    }
}

/* Inputs of `size` rows, whose content takes turns. */
static hone_status make_rows(warmer *w, int size, hone_error *err) {
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
static bool rows_agree(const warmer *w, int size) {
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
static hone_status try_sizes(warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    int sizes[HONE_MAX_SIZES], count = list_sizes(&s->settings, sizes);
    if (count == 1) {
        do_not_batch(s, "its batches have one row");
        return HONE_OK;
    }
    s->batchable = true;
    for (int i = 1; i < count && s->batchable; i++) {
        double cost, before = s->cost[s->size_count - 1] / s->sizes[s->size_count - 1];
        if (!s->settings.max_batch && i > 1 && before * sizes[i] > SECONDS_MOST) break;
        HONE_TRY(make_rows(w, sizes[i], err));
        HONE_TRY(time_run(w, w->inputs, &cost, err));
        if (!rows_agree(w, sizes[i])) {
            do_not_batch(s, "a row's result depends on other rows");
            return HONE_OK;
        }
        bool large = hone_context_workspace(w->instance->context) > WORKSPACE_MOST;
        if (!s->settings.max_batch && (large || cost / sizes[i] > GAIN_LEAST * before)) {
            if (large || s->size_count > 1) break;
        }
        s->sizes[s->size_count] = sizes[i];
        s->cost[s->size_count++] = cost;
    }
    return HONE_OK;
}

/* --- all threads --- */

/* The worker's threads do not run what is costly, unless there are no others. */
static bool instance_is_used(const hone_servable *s, int instance, double inline_cost) {
    return instance >= s->workers || s->instance_count == s->workers || s->cost[0] < inline_cost;
}

/* All but the one that has run: their plans and workspaces, at every size. */
static hone_status reserve_plans(warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    for (int i = s->size_count - 1; i >= 0; i--) {
        if (s->batchable) HONE_TRY(make_rows(w, s->sizes[i], err));
        for (int k = 0; k < s->instance_count; k++) {
            if (!instance_is_used(s, k, w->inline_cost) || &s->instances[k] == w->instance) continue;
            HONE_TRY(hone_context_reserve(s->instances[k].context,
                                          (const hone_tensor *const *)(s->batchable ? w->inputs : w->one[0]),
                                          err));
        }
    }
    return HONE_OK;
}

static hone_status reserve(warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    size_t total = 0, *in = hone_calloc((size_t)s->input_count + 1, sizeof *in),
           *out = hone_calloc((size_t)s->output_count + 1, sizeof *out);
    int64_t rows = s->sizes[s->size_count - 1], results = rows > RESULT_ROWS ? rows : RESULT_ROWS;
    bool fine = in && out;
    for (int i = 0; i < s->input_count && fine; i++) in[i] = w->one[0][i]->bytes;
    for (int i = 0; i < s->output_count && fine; i++) total += out[i] = w->expected[0][i]->bytes;
    if (total * (size_t)results > STORAGE_MOST) results = 1;
    for (int k = 0; k < s->instance_count && fine && s->batchable; k++)
        if (instance_is_used(s, k, w->inline_cost))
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
        s->bytes += instance->usual + instance->inputs.capacity + instance->pieces.capacity;
    }
}

/* --- recorded requests --- */

/* On one instance, for proof; the others get ready for the like of it. */
static hone_status run_recorded(warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    const hone_recorded *r = w->recorded;
    for (size_t n = 0; r && n < r->count; n++) {
        const hone_tensor *const *inputs =
            (const hone_tensor *const *)(r->tensors + n * (size_t)s->input_count);
        hone_status status = hone_servable_check(s, inputs, err);
        for (int k = 0; k < s->instance_count && status == HONE_OK; k++) {
            hone_part p = {.inputs = inputs, .rows = hone_servable_rows(s, inputs)};
            hone_run run = {
                .first = &p, .dry = &s->instances[k] != w->instance, .cancel = is_halted, .user = w};
            if (instance_is_used(s, k, w->inline_cost))
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

static bool set_up(warmer *w) {
    bool fine = (w->inputs = list_of(w->s->input_count)) != NULL;
    for (int k = 0; k < PATTERNS; k++) {
        w->one[k] = list_of(w->s->input_count);
        w->expected[k] = list_of(w->s->output_count);
        fine = fine && w->one[k] && w->expected[k];
    }
    return fine;
}

static void tear_down(warmer *w) {
    free_list(w->inputs, w->s->input_count);
    for (int k = 0; k < PATTERNS; k++) {
        free_list(w->one[k], w->s->input_count);
        free_list(w->expected[k], w->s->output_count);
    }
}

static hone_status warm(warmer *w, hone_error *err) {
    hone_servable *s = w->s;
    hone_error cause = {0};
    const char *why = unfit(s);
    s->size_count = 1;
    s->sizes[0] = 1;
    hone_status status = run_alone(w, !why, &cause);
    if (is_no_fault_of_its(status)) return give_up(status, err);
    if (status != HONE_OK) {
        hone_log(HONE_LOG_WARNING,
                 "model %s version %lld can't be run with made-up inputs: %s; \"dims\" in its config.json or "
                 "recorded requests can tell what free dimensions are",
                 s->name, (long long)s->version, cause.message[0] ? cause.message : hone_status_name(status));
        do_not_batch(s, "it can't be run with made-up inputs");
        return HONE_OK;
    }
    s->warm = true;
    if (why)
        do_not_batch(s, why);
    else if (is_no_fault_of_its(status = try_sizes(w, &cause)))
        return give_up(status, err);
    else if (status != HONE_OK)
        do_not_batch(s, "it fails with several rows");
    HONE_TRY(reserve_plans(w, err));
    return reserve(w, err);
}

static bool has_dim(const hone_servable *s, const char *name) {
    const hone_graph *g = hone_servable_signature(s);
    for (int i = 0; i < s->input_count; i++)
        for (int d = 0; d < s->inputs[i].rank; d++) {
            const char *own = s->inputs[i].dims[d] < 0 ? hone_graph_dim_name(g, s->inputs[i].dims[d]) : NULL;
            if (own && strcmp(own, name) == 0) return true;
        }
    return false;
}

static void warn_of_dims(const hone_servable *s) {
    for (int i = 0; i < s->settings.dim_count; i++)
        if (!has_dim(s, s->settings.dims[i].name))
            hone_log(HONE_LOG_WARNING, "model %s version %lld: \"dims\" has \"%s\", which no input has",
                     s->name, (long long)s->version, s->settings.dims[i].name);
}

hone_status hone_warm_up(hone_servable *s, const hone_recorded *recorded, double inline_cost,
                         const atomic_bool *halted, hone_error *err) {
    warmer w = {.s = s,
                .recorded = recorded,
                .instance = &s->instances[s->instance_count - 1],
                .inline_cost = inline_cost,
                .halted = halted};
    warn_of_dims(s);
    hone_status status = set_up(&w) ? warm(&w, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = run_recorded(&w, err);
    tear_down(&w);
    measure(s);
    return status;
}
