#include "serve/access/scope.h"

#include "serve/request/verb.h"

#define HEALTH "/grpc.health.v1.Health/"
#define OIP "/inference.GRPCInferenceService/"

/* The first row that fits counts. '*' stands for anything, at most once. Paths are as the front ends compare
 * them: as they were sent, with their case. */
static const struct {
    const char *path;
    bool reading; /* for GET and HEAD only */
    hone_scope scope;
} rows[] = {{"/", false, HONE_SCOPE_OPEN},
            {"/page.css", false, HONE_SCOPE_OPEN},
            {"/page.js", false, HONE_SCOPE_OPEN},
            {"/healthz", false, HONE_SCOPE_OPEN},
            {"/readyz", false, HONE_SCOPE_OPEN},
            {"/metrics", false, HONE_SCOPE_METRICS},
            {"/monitoring/*", false, HONE_SCOPE_METRICS},
            {"/v2/health/*", false, HONE_SCOPE_OPEN},
            {"/v2/repository*", false, HONE_SCOPE_ADMIN},
            {"/v2/models/stats", false, HONE_SCOPE_METRICS},
            {"/v2/models/*/stats", false, HONE_SCOPE_METRICS},
            {"/v2/models/*/ready", false, HONE_SCOPE_OPEN},
            {"/v2/models/*/config", true, HONE_SCOPE_PREDICT},
            {"/v2/models/*/config", false, HONE_SCOPE_ADMIN},
            {HEALTH "*", false, HONE_SCOPE_OPEN},
            {OIP "ServerLive", false, HONE_SCOPE_OPEN},
            {OIP "ServerReady", false, HONE_SCOPE_OPEN},
            {OIP "ModelReady", false, HONE_SCOPE_OPEN},
            {OIP "ModelStatistics", false, HONE_SCOPE_METRICS},
            {OIP "Repository*", false, HONE_SCOPE_ADMIN},
            {"/tensorflow.serving.ModelService/HandleReloadConfigRequest", false, HONE_SCOPE_ADMIN}};

static bool fits(hone_slice path, const char *pattern) {
    size_t at = 0;
    for (; pattern[at] && pattern[at] != '*'; at++)
        if (at == path.size || path.data[at] != pattern[at]) return false;
    if (!pattern[at]) return at == path.size;
    size_t after = strlen(pattern + at + 1);
    return path.size - at >= after && memcmp(path.data + path.size - after, pattern + at + 1, after) == 0;
}

hone_scope hone_scope_of(const hone_request *r) {
    bool reading = hone_verb_of(r->head.method) == HONE_VERB_GET;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if ((reading || !rows[i].reading) && fits(r->head.path, rows[i].path)) return rows[i].scope;
    return HONE_SCOPE_PREDICT;
}

const char *hone_scope_name(hone_scope scope) {
    static const char *const names[] = {"open", "predict", "admin", "metrics"};
    return names[scope];
}
