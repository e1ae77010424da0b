#include "base/memory.h"
#include "serve/observe/stats.h"
#include "serve/observe/tfs_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool has(hone_metrics *m, const char *part) {
    char *text;
    assert_int_equal(hone_metrics_write(m, &text, NULL, NULL), HONE_OK);
    bool found = strstr(text, part) != NULL;
    hone_metrics_free_text(text);
    return found;
}

static hone_stats *new_stats(void) {
    hone_stats *s;
    assert_int_equal(hone_stats_new(&s, NULL), HONE_OK);
    return s;
}

static hone_model_stats *new_model(hone_stats *s) {
    hone_model_stats *m;
    assert_int_equal(hone_model_stats_new(s, "a", 3, 5, &m, NULL), HONE_OK);
    return m;
}

/* A request that is still under way when its model is unloaded counts all the same. */
static void lives_as_long_as_requests(void **state) {
    (void)state;
    hone_stats *s = new_stats();
    hone_model_stats *m = new_model(s);
    assert_int_equal(hone_model_stats_version(m), 3);
    assert_string_equal(hone_model_stats_name(m), "a");
    hone_model_stats_retain(m);
    hone_model_stats_release(m); /* unloaded */
    hone_stats_answered(s,
                        &(hone_answered){.model = m, .method = HONE_METHOD_PREDICT, .code = 200, .grpc = -1});
    assert_true(
        has(hone_stats_metrics(s), "hone_requests_total{model=\"a\",method=\"predict\",code=\"200\"} 1\n"));
    assert_true(has(hone_stats_metrics(s), "hone_model_bytes{model=\"a\",version=\"3\"} 5\n"));
    hone_model_stats_release(m);
    assert_false(has(hone_stats_metrics(s), "{model=\"a\""));
    assert_false(has(hone_stats_tfs_metrics(s), "{model_name="));
    hone_stats_free(s);
}

static void counts_as_tensorflow_serving(void **state) {
    (void)state;
    hone_stats *s = new_stats();
    hone_model_stats *m = new_model(s);
    hone_metrics *t = hone_stats_tfs_metrics(s);
    hone_answered a = {.model = m, .method = HONE_METHOD_PREDICT, .code = 200, .grpc = -1, .seconds = 15e-6};
    a.computing = 12e-6;
    hone_stats_answered(s, &a);
    a.code = 404;
    a.computing = 0;
    hone_stats_answered(s, &a);
    a.code = 429;
    a.grpc = 8;
    hone_stats_answered(s, &a);
    a.code = 400;
    a.grpc = 11; /* HTTP would not know */
    hone_stats_answered(s, &a);
    a.method = HONE_METHOD_STATUS; /* no prediction */
    hone_stats_answered(s, &a);
    a.method = HONE_METHOD_PREDICT;
    a.model = NULL; /* of no model */
    hone_stats_answered(s, &a);
    static const char *const lines[] = {
        "# TYPE :tensorflow:serving:request_count counter\n",
        ":tensorflow:serving:request_count{model_name=\"a\",status=\"OK\"} 1\n",
        ":tensorflow:serving:request_count{model_name=\"a\",status=\"NOT_FOUND\"} 1\n",
        ":tensorflow:serving:request_count{model_name=\"a\",status=\"RESOURCE_EXHAUSTED\"} 1\n",
        ":tensorflow:serving:request_count{model_name=\"a\",status=\"OUT_OF_RANGE\"} 1\n",
        "# TYPE :tensorflow:serving:request_latency histogram\n",
        ":tensorflow:serving:request_latency_bucket{model_name=\"a\",API=\"Predict\",entrypoint=\"REST\",le="
        "\"10\"} 0\n",
        ":tensorflow:serving:request_latency_bucket{model_name=\"a\",API=\"Predict\",entrypoint=\"REST\",le="
        "\"18\"} 2\n",
        ":tensorflow:serving:request_latency_count{model_name=\"a\",API=\"Predict\",entrypoint=\"REST\"} 2\n",
        ":tensorflow:serving:request_latency_count{model_name=\"a\",API=\"Predict\",entrypoint=\"GRPC\"} 2\n",
        ":tensorflow:serving:runtime_latency_count{model_name=\"a\",API=\"Predict\",runtime=\"Hone\"} 1\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (!has(t, lines[i])) fail_msg("missing: %s", lines[i]);
    assert_false(has(hone_stats_metrics(s), "tensorflow"));
    hone_model_stats_release(m);
    hone_stats_free(s);
}

static void counts_what_the_log_lost(void **state) {
    (void)state;
    hone_stats *s = new_stats();
    hone_stats_logged(s, 3, 0);
    hone_stats_logged(s, 0, 2);
    hone_stats_memory_limit(s, 1024);
    assert_true(has(hone_stats_metrics(s), "\nhone_access_log_lines_total 3\n"));
    assert_true(has(hone_stats_metrics(s), "\nhone_access_log_dropped_total 2\n"));
    assert_true(has(hone_stats_metrics(s), "\nhone_memory_limit_bytes 1024\n"));
    hone_stats_free(s);
}

static void expect_path(const char *text, const char *expected) {
    hone_error err = {0};
    char *path = NULL;
    if (hone_tfs_monitoring_parse(text, strlen(text), &path, &err) != HONE_OK)
        fail_msg("%s: %s", text, err.message);
    if (expected)
        assert_string_equal(path, expected);
    else
        assert_null(path);
    hone_free(path);
}

static void reads_monitoring_configurations(void **state) {
    (void)state;
    expect_path("prometheus_config {\n  enable: true,\n  path: \"/monitoring/prometheus/metrics\"\n}\n",
                "/monitoring/prometheus/metrics");
    expect_path("prometheus_config: { enable: true path: '/tf/metrics' } # here", "/tf/metrics");
    expect_path("prometheus_config { enable: 1 }", HONE_TFS_METRICS_PATH);
    expect_path("prometheus_config { enable: true path: \"\" }", HONE_TFS_METRICS_PATH);
    expect_path("prometheus_config { enable: false path: \"/x\" }", NULL);
    expect_path("prometheus_config { path: \"/x\" }", NULL);
    expect_path("", NULL);
}

static void refuses_other_configurations(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"prometheus_config { enable: maybe }", "neither true nor false"},
        {"prometheus_config { enable: true enable: true }", "more than once"},
        {"prometheus_config { on: true }", "\"on\""},
        {"prometheus { enable: true }", "\"prometheus\""},
        {"prometheus_config: 3", "no message"},
        {"prometheus_config { enable: true path: \"metrics\" }", "no path"},
        {"prometheus_config { enable: true path: \"/metrics\" }", "another use"},
        {"prometheus_config { enable: true path: \"/v1/x\" }", "another use"},
        {"prometheus_config { enable: true path { } }", "no text"},
        {"prometheus_config {", "line 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_error err = {0};
        char *path = NULL;
        if (hone_tfs_monitoring_parse(bad[i][0], strlen(bad[i][0]), &path, &err) == HONE_OK)
            fail_msg("taken: %s", bad[i][0]);
        if (!strstr(err.message, bad[i][1])) fail_msg("%s: %s", bad[i][0], err.message);
        assert_null(path);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives_as_long_as_requests),    cmocka_unit_test(counts_as_tensorflow_serving),
        cmocka_unit_test(counts_what_the_log_lost),     cmocka_unit_test(reads_monitoring_configurations),
        cmocka_unit_test(refuses_other_configurations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
