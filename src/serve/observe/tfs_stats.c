#include "serve/observe/tfs_stats.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "serve/format/grpc_code.h"
#include "serve/format/text_format.h"
#include "serve/observe/series.h"

#include <string.h>

enum { BUCKETS = 33, MAX_CONFIG = 64 << 10, MAX_DEPTH = 8 };

static const char *const api_names[HONE_TFS_APIS] = {"Predict", "Classify", "Regress"};

/* --- counting --- */

static hone_status add(hone_tfs_stats *t, hone_metric_type type, const char *name, const char *help,
                       const char *const *labels, hone_metric **out, hone_error *err) {
    double buckets[BUCKETS]; /* of microseconds, as TensorFlow Serving has them */
    hone_metric_options o = HONE_METRIC_OPTIONS_INIT;
    double bound = 10;
    for (int i = 0; i < BUCKETS; i++, bound *= 1.8) buckets[i] = bound;
    o.type = type;
    o.name = name;
    o.help = help;
    o.labels = labels;
    o.foreign = true;
    o.max_series = 10000;
    if (type == HONE_METRIC_HISTOGRAM) {
        o.buckets = buckets;
        o.bucket_count = BUCKETS;
    }
    return hone_metrics_add(t->metrics, &o, out, err);
}

hone_status hone_tfs_stats_init(hone_tfs_stats *t, hone_error *err) {
    HONE_TRY(hone_metrics_new(&t->metrics, err));
    HONE_TRY(add(t, HONE_METRIC_COUNTER, ":tensorflow:serving:request_count", "The total number of requests.",
                 (const char *const[]){"model_name", "status", NULL}, &t->requests, err));
    HONE_TRY(add(t, HONE_METRIC_HISTOGRAM, ":tensorflow:serving:request_latency",
                 "Distribution of the time to answer a request, in microseconds.",
                 (const char *const[]){"model_name", "API", "entrypoint", NULL}, &t->latency, err));
    return add(t, HONE_METRIC_HISTOGRAM, ":tensorflow:serving:runtime_latency",
               "Distribution of the time to compute a request, in microseconds.",
               (const char *const[]){"model_name", "API", "runtime", NULL}, &t->runtime, err);
}

void hone_tfs_stats_done(hone_tfs_stats *t) {
    hone_metrics_free(t->metrics);
}

void hone_tfs_series_drop(hone_tfs_series *s) {
    for (int i = 0; i < HONE_TFS_CODES; i++) hone_series_drop(atomic_load(&s->requests[i]));
    for (int i = 0; i < HONE_TFS_APIS; i++) {
        hone_series_drop(atomic_load(&s->latency[i][0]));
        hone_series_drop(atomic_load(&s->latency[i][1]));
        hone_series_drop(atomic_load(&s->runtime[i]));
    }
}

void hone_tfs_stats_answered(hone_tfs_stats *t, hone_tfs_series *s, const char *model, int api, bool grpc,
                             int code, double seconds, double computing) {
    if (code < 0 || code >= HONE_TFS_CODES) code = HONE_GRPC_UNKNOWN;
    const char *status[] = {model, hone_grpc_code_name((hone_grpc_code)code)};
    const char *entry[] = {model, api_names[api], grpc ? "GRPC" : "REST"};
    const char *runtime[] = {model, api_names[api], "Hone"};
    hone_series *requests = hone_series_lazy(&s->requests[code], t->requests, status);
    if (requests) hone_series_add(requests, 1);
    hone_series *latency = hone_series_lazy(&s->latency[api][grpc], t->latency, entry);
    if (latency) hone_series_observe(latency, seconds * 1e6);
    hone_series *ran = computing > 0 ? hone_series_lazy(&s->runtime[api], t->runtime, runtime) : NULL;
    if (ran) hone_series_observe(ran, computing * 1e6);
}

/* --- the configuration --- */

/* The one value of a field that the tree may have; NULL if it is not there. */
static hone_status take_one(json_t *tree, const char *name, json_t **out, hone_error *err) {
    json_t *values = json_object_get(tree, name);
    *out = NULL;
    if (!values) return HONE_OK;
    if (json_array_size(values) != 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "\"%s\" is there more than once", name);
    *out = json_array_get(values, 0);
    return HONE_OK;
}

static hone_status only_known(json_t *tree, const char *a, const char *b, hone_error *err) {
    const char *key;
    json_t *value;
    json_object_foreach(tree, key, value) {
        if (strcmp(key, a) != 0 && strcmp(key, b) != 0)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "a monitoring configuration has no field \"%s\"",
                             key);
    }
    return HONE_OK;
}

static hone_status read_bool(json_t *value, bool *out, hone_error *err) {
    static const char *const yes[] = {"true", "True", "t", "1"}, *const no[] = {"false", "False", "f", "0"};
    const char *text = json_string_value(value);
    for (int i = 0; text && i < 4; i++) {
        if (strcmp(text, yes[i]) != 0 && strcmp(text, no[i]) != 0) continue;
        *out = strcmp(text, yes[i]) == 0;
        return HONE_OK;
    }
    return hone_fail(err, HONE_INVALID_ARGUMENT, "\"enable\" is neither true nor false");
}

static hone_status check_path(const char *path, hone_error *err) {
    static const char *const taken[] = {"/",   "/metrics", "/healthz",  "/readyz",
                                        "/v1", "/v2",      "/page.css", "/page.js"};
    if (*path != '/' || strpbrk(path, " ?#"))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "\"path\" is no path: %.*s", HONE_UTF8_SHOWN(path, 200));
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        size_t n = strlen(taken[i]);
        if (strncmp(path, taken[i], n) == 0 && (path[n] == 0 || (n > 1 && path[n] == '/')))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the path %.*s has another use here",
                             HONE_UTF8_SHOWN(path, 200));
    }
    return HONE_OK;
}

static hone_status read_config(json_t *tree, char **path, hone_error *err) {
    json_t *config, *enable, *where;
    bool enabled = false;
    *path = NULL;
    HONE_TRY(only_known(tree, "prometheus_config", "prometheus_config", err));
    HONE_TRY(take_one(tree, "prometheus_config", &config, err));
    if (!config) return HONE_OK;
    if (!json_is_object(config))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "\"prometheus_config\" is no message");
    HONE_TRY(only_known(config, "enable", "path", err));
    HONE_TRY(take_one(config, "enable", &enable, err));
    HONE_TRY(take_one(config, "path", &where, err));
    if (enable) HONE_TRY(read_bool(enable, &enabled, err));
    const char *text = where ? json_string_value(where) : HONE_TFS_METRICS_PATH;
    if (!text) return hone_fail(err, HONE_INVALID_ARGUMENT, "\"path\" is no text");
    if (!*text) text = HONE_TFS_METRICS_PATH;
    HONE_TRY(check_path(text, err));
    if (!enabled) return HONE_OK;
    *path = hone_strdup(text);
    return *path ? HONE_OK : hone_fail_memory(err);
}

hone_status hone_tfs_monitoring_parse(const char *text, size_t size, char **path, hone_error *err) {
    json_t *tree = NULL;
    HONE_TRY(hone_text_format_parse(text, size, MAX_DEPTH, &tree, err));
    hone_status status = read_config(tree, path, err);
    json_decref(tree);
    return status;
}

hone_status hone_tfs_monitoring_read(const char *file, char **path, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(file, MAX_CONFIG, &blob, err));
    hone_status status = hone_tfs_monitoring_parse((const char *)blob.data, blob.size, path, err);
    hone_blob_free(&blob);
    return status == HONE_OK ? HONE_OK : hone_error_in_file(err, status, file);
}
