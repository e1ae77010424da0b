#include "serve/observe/stats.h"

#include "base/error.h"
#include "base/memory.h"
#include "serve/format/grpc_code.h"
#include "serve/observe/series.h"
#include "serve/observe/tfs_stats.h"

#include <stdatomic.h>
#include <stdio.h>

/* The codes that get series; others are counted as 500. */
static const int codes[] = {200, 400, 401, 403, 404, 405, 409, 413, 415, 429, 499, 500, 501, 503, 504};
enum { CODE_COUNT = sizeof codes / sizeof *codes };

static const char *const method_names[HONE_METHOD_COUNT] = {"other",  "predict",     "classify",  "regress",
                                                            "status", "metadata",    "health",    "metrics",
                                                            "chat",   "completions", "embeddings"};
static const char *const reason_names[HONE_REASON_COUNT] = {
    "malformed", "too_large", "timeout",    "invalid", "denied",  "not_found",
    "deadline",  "cancelled", "overloaded", "accept",  "internal"};
static const char *const stage_names[HONE_STAGE_COUNT] = {"read",  "decode",  "queue",
                                                          "batch", "compute", "serialize"};

static const double buckets[] = {25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3,
                                 50e-3, 0.1,   0.25,   0.5,    1,      2.5,  5,      10,   30};

static const double row_buckets[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
static const double load_buckets[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300};

/* Why requests were not run. */
static const struct {
    hone_status status;
    const char *name;
} drops[] = {{HONE_RESOURCE_EXHAUSTED, "queue_full"},
             {HONE_DEADLINE_EXCEEDED, "deadline"},
             {HONE_CANCELLED, "cancelled"}};
enum { DROP_COUNT = sizeof drops / sizeof *drops };

struct hone_model_stats {
    atomic_int references;
    hone_tally tally;
    hone_stats *stats;
    const char *label;
    char *name;
    int64_t version;
    _Atomic(hone_series *) answers[HONE_METHOD_COUNT][CODE_COUNT];
    _Atomic(hone_series *) seconds[HONE_METHOD_COUNT];
    hone_series *bytes, *rows, *depth, *waited;
    hone_tfs_series tfs;
    _Atomic(hone_series *) dropped[DROP_COUNT];
    _Atomic(hone_series *) elements[2];
};

struct hone_version_stats {
    hone_stats *stats;
    char *model, number[24];
    hone_series *state, *fallback, *loads[2], *seconds;
};

struct hone_stats {
    hone_metrics *metrics;
    hone_metric *requests, *seconds, *model_bytes, *batch_rows, *queue_depth, *queue_seconds, *dropped,
        *elements;
    hone_metric *states, *fallbacks, *loads, *load_seconds;
    hone_series *errors[HONE_REASON_COUNT], *stages[HONE_STAGE_COUNT];
    hone_series *in_flight, *connections, *connections_total, *ready, *memory_limit, *log_lines, *log_dropped;
    hone_text_metrics texts;
    hone_tfs_stats tfs;
    hone_model_stats none; /* of requests about no model */
};

static hone_status add_with(hone_stats *s, hone_metric_type type, const char *name, const char *help,
                            const char *const *labels, const double *bounds, int bound_count,
                            hone_metric **out, hone_error *err) {
    hone_metric_options o = HONE_METRIC_OPTIONS_INIT;
    o.type = type;
    o.name = name;
    o.help = help;
    o.labels = labels;
    o.buckets = bounds;
    o.bucket_count = bound_count;
    o.max_series = 10000;
    return hone_metrics_add(s->metrics, &o, out, err);
}

static hone_status add(hone_stats *s, hone_metric_type type, const char *name, const char *help,
                       const char *const *labels, hone_metric **out, hone_error *err) {
    bool histogram = type == HONE_METRIC_HISTOGRAM;
    return add_with(s, type, name, help, labels, histogram ? buckets : NULL,
                    histogram ? (int)(sizeof buckets / sizeof *buckets) : 0, out, err);
}

static hone_status add_one(hone_stats *s, hone_metric_type type, const char *name, const char *help,
                           hone_series **out, hone_error *err) {
    hone_metric *m;
    HONE_TRY(add(s, type, name, help, NULL, &m, err));
    return hone_metric_series(m, NULL, out, err);
}

static hone_status add_named(hone_stats *s, hone_metric_type type, const char *name, const char *help,
                             const char *label, const char *const *values, int count, hone_series **out,
                             hone_error *err) {
    hone_metric *m;
    HONE_TRY(add(s, type, name, help, (const char *const[]){label, NULL}, &m, err));
    for (int i = 0; i < count; i++) HONE_TRY(hone_metric_series(m, &values[i], &out[i], err));
    return HONE_OK;
}

static hone_status add_models(hone_stats *s, hone_error *err) {
    const char *const model[] = {"model", NULL}, *const reason[] = {"model", "reason", NULL};
    const char *const state[] = {"model", "version", "state", NULL}, *const result[] = {"model", "result",
                                                                                        NULL};
    HONE_TRY(add(s, HONE_METRIC_GAUGE, "hone_model_bytes", "Memory of a loaded model version.",
                 (const char *const[]){"model", "version", NULL}, &s->model_bytes, err));
    HONE_TRY(add_with(s, HONE_METRIC_HISTOGRAM, "hone_batch_rows", "Rows that were computed in one run.",
                      model, row_buckets, sizeof row_buckets / sizeof *row_buckets, &s->batch_rows, err));
    HONE_TRY(add(s, HONE_METRIC_GAUGE, "hone_queue_depth", "Requests that wait to be computed.", model,
                 &s->queue_depth, err));
    HONE_TRY(add(s, HONE_METRIC_HISTOGRAM, "hone_queue_seconds", "Time that requests wait to be computed.",
                 model, &s->queue_seconds, err));
    HONE_TRY(add(s, HONE_METRIC_COUNTER, "hone_queue_dropped_total",
                 "Requests that were not computed, since the queue was full, too late or cancelled.", reason,
                 &s->dropped, err));
    HONE_TRY(add(s, HONE_METRIC_COUNTER, "hone_padded_elements_total",
                 "Elements of the inputs of a model whose requests are padded: their own, and padding.",
                 (const char *const[]){"model", "kind", NULL}, &s->elements, err));
    HONE_TRY(add(s, HONE_METRIC_GAUGE, "hone_model_state", "1 for the state that a model version is in.",
                 state, &s->states, err));
    HONE_TRY(
        add(s, HONE_METRIC_GAUGE, "hone_model_fallback",
            "1 for an older model version that is served since no newer one that is wanted can be loaded.",
            (const char *const[]){"model", "version", NULL}, &s->fallbacks, err));
    HONE_TRY(add_with(s, HONE_METRIC_HISTOGRAM, "hone_model_load_seconds",
                      "Time to load and warm up a model version.", model, load_buckets,
                      sizeof load_buckets / sizeof *load_buckets, &s->load_seconds, err));
    return add(s, HONE_METRIC_COUNTER, "hone_model_loads_total", "Attempts to load a model version.", result,
               &s->loads, err);
}

static hone_status setup(hone_stats *s, hone_error *err) {
    HONE_TRY(hone_metrics_new(&s->metrics, err));
    HONE_TRY(hone_metrics_add_process(s->metrics, err));
    HONE_TRY(hone_tfs_stats_init(&s->tfs, err));
    HONE_TRY(add(s, HONE_METRIC_COUNTER, "hone_requests_total", "Requests answered.",
                 (const char *const[]){"model", "method", "code", NULL}, &s->requests, err));
    HONE_TRY(add(s, HONE_METRIC_HISTOGRAM, "hone_request_seconds",
                 "Time from a request's first byte to the end of its answer.",
                 (const char *const[]){"model", "method", NULL}, &s->seconds, err));
    HONE_TRY(add_models(s, err));
    HONE_TRY(hone_text_metrics_add(s->metrics, &s->texts, err));
    HONE_TRY(add_named(s, HONE_METRIC_COUNTER, "hone_request_errors_total",
                       "Requests and connections that failed.", "reason", reason_names, HONE_REASON_COUNT,
                       s->errors, err));
    HONE_TRY(add_named(s, HONE_METRIC_HISTOGRAM, "hone_stage_seconds",
                       "Time that predictions spend in each stage.", "stage", stage_names, HONE_STAGE_COUNT,
                       s->stages, err));
    HONE_TRY(add_one(s, HONE_METRIC_GAUGE, "hone_requests_in_flight",
                     "Requests that are read and not yet answered.", &s->in_flight, err));
    HONE_TRY(add_one(s, HONE_METRIC_GAUGE, "hone_connections", "Open connections.", &s->connections, err));
    HONE_TRY(add_one(s, HONE_METRIC_COUNTER, "hone_connections_total", "Connections accepted.",
                     &s->connections_total, err));
    HONE_TRY(add_one(s, HONE_METRIC_GAUGE, "hone_memory_limit_bytes",
                     "Memory that all loaded models may take; 0: no limit.", &s->memory_limit, err));
    HONE_TRY(add_one(s, HONE_METRIC_COUNTER, "hone_access_log_lines_total",
                     "Lines that were put into the access log.", &s->log_lines, err));
    HONE_TRY(add_one(s, HONE_METRIC_COUNTER, "hone_access_log_dropped_total",
                     "Lines of the access log that were lost because it was written too slowly.",
                     &s->log_dropped, err));
    HONE_TRY(add_one(s, HONE_METRIC_GAUGE, "hone_ready", "1 when the server takes traffic.", &s->ready, err));
    return HONE_OK;
}

hone_status hone_stats_new(hone_stats **out, hone_error *err) {
    hone_stats *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    s->none = (hone_model_stats){.stats = s, .label = ""};
    hone_status status = setup(s, err);
    if (status != HONE_OK) {
        hone_stats_free(s);
        return status;
    }
    *out = s;
    return HONE_OK;
}

static void drop_series(hone_model_stats *m) {
    for (int i = 0; i < HONE_METHOD_COUNT; i++) {
        for (int k = 0; k < CODE_COUNT; k++) hone_series_drop(atomic_load(&m->answers[i][k]));
        hone_series_drop(atomic_load(&m->seconds[i]));
    }
    for (int i = 0; i < DROP_COUNT; i++) hone_series_drop(atomic_load(&m->dropped[i]));
    for (int i = 0; i < 2; i++) hone_series_drop(atomic_load(&m->elements[i]));
    hone_series_drop(m->bytes);
    hone_series_drop(m->rows);
    hone_series_drop(m->depth);
    hone_series_drop(m->waited);
    hone_tfs_series_drop(&m->tfs);
}

void hone_stats_free(hone_stats *s) {
    if (!s) return;
    drop_series(&s->none);
    for (int i = 0; i < HONE_REASON_COUNT; i++) hone_series_drop(s->errors[i]);
    for (int i = 0; i < HONE_STAGE_COUNT; i++) hone_series_drop(s->stages[i]);
    hone_series_drop(s->in_flight);
    hone_series_drop(s->connections);
    hone_series_drop(s->connections_total);
    hone_series_drop(s->ready);
    hone_series_drop(s->memory_limit);
    hone_series_drop(s->log_lines);
    hone_series_drop(s->log_dropped);
    hone_metrics_free(s->metrics);
    hone_tfs_stats_done(&s->tfs);
    hone_free(s);
}

hone_metrics *hone_stats_metrics(hone_stats *s) {
    return s->metrics;
}
hone_metrics *hone_stats_tfs_metrics(hone_stats *s) {
    return s->tfs.metrics;
}

hone_status hone_model_stats_new(hone_stats *s, const char *model, int64_t version, double bytes,
                                 hone_model_stats **out, hone_error *err) {
    char number[24];
    hone_model_stats *m = hone_calloc(1, sizeof *m);
    if (!m) return hone_fail_memory(err);
    atomic_init(&m->references, 1);
    m->stats = s;
    m->version = version;
    m->label = m->name = hone_strdup(model);
    snprintf(number, sizeof number, "%lld", (long long)version);
    hone_status status = m->name ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK)
        status = hone_metric_series(s->model_bytes, (const char *const[]){model, number}, &m->bytes, err);
    if (status == HONE_OK) status = hone_metric_series(s->batch_rows, &model, &m->rows, err);
    if (status == HONE_OK) status = hone_metric_series(s->queue_depth, &model, &m->depth, err);
    if (status == HONE_OK) status = hone_metric_series(s->queue_seconds, &model, &m->waited, err);
    if (status != HONE_OK) {
        hone_model_stats_release(m);
        return status;
    }
    hone_series_set(m->bytes, bytes);
    *out = m;
    return HONE_OK;
}

hone_status hone_stats_texts(hone_stats *s, const char *model, hone_text_stats *out, hone_error *err) {
    return hone_text_stats_open(&s->texts, model, out, err);
}

hone_tally *hone_model_stats_tally(hone_model_stats *m) {
    return &m->tally;
}

hone_model_stats *hone_model_stats_retain(hone_model_stats *m) {
    atomic_fetch_add_explicit(&m->references, 1, memory_order_relaxed);
    return m;
}

const char *hone_model_stats_name(const hone_model_stats *m) {
    return m->name;
}
int64_t hone_model_stats_version(const hone_model_stats *m) {
    return m->version;
}

void hone_model_stats_release(hone_model_stats *m) {
    if (!m || atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) != 1) return;
    drop_series(m);
    hone_free(m->name);
    hone_free(m);
}

void hone_model_stats_bytes(hone_model_stats *m, double bytes) {
    hone_series_set(m->bytes, bytes);
}
void hone_model_stats_run(hone_model_stats *m, double rows) {
    hone_series_observe(m->rows, rows);
}
void hone_model_stats_queue(hone_model_stats *m, int change) {
    hone_series_add(m->depth, change);
}
void hone_model_stats_waited(hone_model_stats *m, double seconds) {
    hone_series_observe(m->waited, seconds);
}

void hone_model_stats_dropped(hone_model_stats *m, hone_status why) {
    for (int i = 0; i < DROP_COUNT; i++) {
        if (drops[i].status != why) continue;
        hone_series *s = hone_series_lazy(&m->dropped[i], m->stats->dropped,
                                          (const char *const[]){m->label, drops[i].name});
        if (s) hone_series_add(s, 1);
    }
}

void hone_model_stats_padding(hone_model_stats *m, double own, double padding) {
    static const char *const kinds[] = {"own", "padding"};
    for (int i = 0; i < 2; i++) {
        hone_series *s =
            hone_series_lazy(&m->elements[i], m->stats->elements, (const char *const[]){m->label, kinds[i]});
        if (s) hone_series_add(s, i ? padding : own);
    }
}

/* --- versions --- */

hone_status hone_version_stats_new(hone_stats *s, const char *model, int64_t version,
                                   hone_version_stats **out, hone_error *err) {
    static const char *const results[] = {"failed", "ok"};
    hone_version_stats *v = hone_calloc(1, sizeof *v);
    if (!v) return hone_fail_memory(err);
    v->stats = s;
    v->model = hone_strdup(model);
    snprintf(v->number, sizeof v->number, "%lld", (long long)version);
    hone_status status = v->model ? HONE_OK : hone_fail_memory(err);
    for (int i = 0; i < 2 && status == HONE_OK; i++)
        status = hone_metric_series(s->loads, (const char *const[]){model, results[i]}, &v->loads[i], err);
    if (status == HONE_OK) status = hone_metric_series(s->load_seconds, &model, &v->seconds, err);
    if (status != HONE_OK)
        hone_version_stats_free(v);
    else
        *out = v;
    return status;
}

void hone_version_stats_free(hone_version_stats *v) {
    if (!v) return;
    hone_series_drop(v->state);
    hone_series_drop(v->fallback);
    hone_series_drop(v->loads[0]);
    hone_series_drop(v->loads[1]);
    hone_series_drop(v->seconds);
    hone_free(v->model);
    hone_free(v);
}

/* Without memory for the new series there is none. */
void hone_version_stats_state(hone_version_stats *v, const char *state) {
    hone_series_drop(v->state);
    v->state = NULL;
    if (hone_metric_series(v->stats->states, (const char *const[]){v->model, v->number, state}, &v->state,
                           NULL) == HONE_OK)
        hone_series_set(v->state, 1);
}

void hone_version_stats_fallback(hone_version_stats *v, bool fallback) {
    if (fallback == (v->fallback != NULL)) return;
    hone_series_drop(v->fallback);
    v->fallback = NULL;
    if (fallback && hone_metric_series(v->stats->fallbacks, (const char *const[]){v->model, v->number},
                                       &v->fallback, NULL) == HONE_OK)
        hone_series_set(v->fallback, 1);
}

void hone_version_stats_loaded(hone_version_stats *v, bool ok, double seconds) {
    hone_series_add(v->loads[ok], 1);
    if (ok) hone_series_observe(v->seconds, seconds);
}

static int code_index(int code) {
    int internal = 0;
    for (int i = 0; i < CODE_COUNT; i++) {
        if (codes[i] == code) return i;
        if (codes[i] == 500) internal = i;
    }
    return internal;
}

static void answered_as_tfs(hone_stats *s, hone_model_stats *m, const hone_answered *a) {
    int api = (int)a->method - (int)HONE_METHOD_PREDICT;
    if (m == &s->none || api < 0 || api >= HONE_TFS_APIS) return;
    int code = a->grpc >= 0 ? a->grpc : (int)hone_grpc_code_of_http(a->code);
    hone_tfs_stats_answered(&s->tfs, &m->tfs, m->label, api, a->grpc >= 0, code, a->seconds, a->computing);
}

void hone_stats_answered(hone_stats *s, const hone_answered *a) {
    hone_model_stats *m = a->model ? a->model : &s->none;
    int c = code_index(a->code);
    char text[8];
    snprintf(text, sizeof text, "%d", codes[c]);
    const char *values[] = {m->label, method_names[a->method], text};
    hone_series *answers = hone_series_lazy(&m->answers[a->method][c], s->requests, values);
    hone_series *time = hone_series_lazy(&m->seconds[a->method], s->seconds, values);
    if (answers) hone_series_add(answers, 1);
    if (time) hone_series_observe(time, a->seconds);
    answered_as_tfs(s, m, a);
}

void hone_stats_logged(hone_stats *s, size_t lines, size_t dropped) {
    if (lines) hone_series_add(s->log_lines, (double)lines);
    if (dropped) hone_series_add(s->log_dropped, (double)dropped);
}

void hone_stats_failed(hone_stats *s, hone_reason reason) {
    hone_series_add(s->errors[reason], 1);
}
void hone_stats_stage(hone_stats *s, hone_stage stage, double seconds) {
    hone_series_observe(s->stages[stage], seconds);
}
void hone_stats_in_flight(hone_stats *s, int change) {
    hone_series_add(s->in_flight, change);
}

void hone_stats_connection(hone_stats *s, int change) {
    hone_series_add(s->connections, change);
    if (change > 0) hone_series_add(s->connections_total, change);
}

void hone_stats_ready(hone_stats *s, bool ready) {
    hone_series_set(s->ready, ready);
}

void hone_stats_memory_limit(hone_stats *s, double bytes) {
    hone_series_set(s->memory_limit, bytes);
}

const char *hone_reason_name(hone_reason reason) {
    return reason_names[reason];
}
const char *hone_stage_name(hone_stage stage) {
    return stage_names[stage];
}

hone_reason hone_reason_of(int code) {
    switch (code) {
    case 401:
    case 403: return HONE_REASON_DENIED;
    case 404: return HONE_REASON_NOT_FOUND;
    case 408: return HONE_REASON_TIMEOUT;
    case 413:
    case 431: return HONE_REASON_TOO_LARGE;
    case 429:
    case 503: return HONE_REASON_OVERLOADED;
    case 499: return HONE_REASON_CANCELLED;
    case 504: return HONE_REASON_DEADLINE;
    case 501: /* of what is not there, or of a version of HTTP that is not */
    case 505: return HONE_REASON_INVALID;
    default: return code >= 500 ? HONE_REASON_INTERNAL : HONE_REASON_INVALID;
    }
}
