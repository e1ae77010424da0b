/* Which paths are for whom. */
#include "serve/access/scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static hone_slice slice(const char *text) {
    return (hone_slice){text, strlen(text)};
}

static hone_scope scope_of(const char *method, const char *path) {
    hone_request *r = hone_request_new(NULL);
    assert_non_null(r);
    r->head.method = slice(method);
    r->head.path = slice(path);
    hone_scope scope = hone_scope_of(r);
    hone_request_release(r);
    return scope;
}

static void knows_every_path(void **state) {
    (void)state;
    static const struct {
        const char *method, *path, *scope;
    } cases[] = {
        {"GET", "/", "open"},
        {"GET", "/healthz", "open"},
        {"HEAD", "/readyz", "open"},
        {"GET", "/v2/health/live", "open"},
        {"GET", "/v2/health/ready", "open"},
        {"GET", "/v2/models/m/ready", "open"},
        {"GET", "/v2/models/m/versions/3/ready", "open"},
        {"POST", "/grpc.health.v1.Health/Check", "open"},
        {"POST", "/grpc.health.v1.Health/Watch", "open"},
        {"POST", "/inference.GRPCInferenceService/ServerLive", "open"},
        {"POST", "/inference.GRPCInferenceService/ServerReady", "open"},
        {"POST", "/inference.GRPCInferenceService/ModelReady", "open"},
        {"GET", "/metrics", "metrics"},
        {"GET", "/monitoring/prometheus/metrics", "metrics"},
        {"GET", "/v2/models/stats", "metrics"},
        {"GET", "/v2/models/m/stats", "metrics"},
        {"GET", "/v2/models/m/versions/1/stats", "metrics"},
        {"POST", "/inference.GRPCInferenceService/ModelStatistics", "metrics"},
        {"POST", "/v2/repository/index", "admin"},
        {"POST", "/v2/repository/models/m/load", "admin"},
        {"POST", "/v2/repository/models/m/unload", "admin"},
        {"POST", "/inference.GRPCInferenceService/RepositoryIndex", "admin"},
        {"POST", "/inference.GRPCInferenceService/RepositoryModelLoad", "admin"},
        {"POST", "/inference.GRPCInferenceService/RepositoryModelUnload", "admin"},
        {"POST", "/tensorflow.serving.ModelService/HandleReloadConfigRequest", "admin"},
        {"POST", "/v2/models/m/config", "admin"},
        {"PUT", "/v2/models/m/versions/1/config", "admin"},
        {"GET", "/v2/models/m/config", "predict"},
        {"GET", "/v2", "predict"},
        {"GET", "/v2/models/m", "predict"},
        {"POST", "/v2/models/m/infer", "predict"},
        {"GET", "/v1/models/m", "predict"},
        {"GET", "/v1/models/m/metadata", "predict"},
        {"POST", "/v1/models/m:predict", "predict"},
        {"POST", "/inference.GRPCInferenceService/ModelInfer", "predict"},
        {"POST", "/inference.GRPCInferenceService/ModelMetadata", "predict"},
        {"POST", "/inference.GRPCInferenceService/ModelConfig", "predict"},
        {"POST", "/tensorflow.serving.PredictionService/Predict", "predict"},
        {"POST", "/tensorflow.serving.ModelService/GetModelStatus", "predict"},
        {"POST", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "predict"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *scope = hone_scope_name(scope_of(cases[i].method, cases[i].path));
        if (strcmp(scope, cases[i].scope) != 0)
            fail_msg("%s %s is %s, not %s", cases[i].method, cases[i].path, scope, cases[i].scope);
    }
}

/* None of these is a path that is open, though they look like one. */
static void is_not_fooled(void **state) {
    (void)state;
    static const char *const paths[] = {
        "",          "//",        "*",
        "/healthz/", "/Healthz",  "/healthz%00",
        "/healthz2", "//healthz", "/v2/models/ready",
        "/ready",    "/v2/model", "/v1/models/ready:predict",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (scope_of("GET", paths[i]) != HONE_SCOPE_PREDICT) fail_msg("%s", paths[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_path),
        cmocka_unit_test(is_not_fooled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
