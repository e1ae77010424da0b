/* The metrics registry. With "--write FILE" it writes a full example there instead, for peer_promtool.sh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/memory.h"

#include <hone/monitor.h>

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static hone_metric_options options(hone_metric_type type, const char *name) {
    hone_metric_options o = HONE_METRIC_OPTIONS_INIT;
    o.type = type;
    o.name = name;
    o.help = "A help text.";
    return o;
}

static hone_metrics *new_metrics(void) {
    hone_metrics *m = NULL;
    assert_int_equal(hone_metrics_new(&m, NULL), HONE_OK);
    return m;
}

static hone_metric *add(hone_metrics *m, hone_metric_options o) {
    hone_metric *f = NULL;
    hone_error err = {0};
    if (hone_metrics_add(m, &o, &f, &err) != HONE_OK) fail_msg("%s", err.message);
    return f;
}

static hone_series *series(hone_metric *f, const char *const *values) {
    hone_series *s = NULL;
    assert_int_equal(hone_metric_series(f, values, &s, NULL), HONE_OK);
    return s;
}

static void check_text(hone_metrics *m, const char *wanted) {
    char *text = NULL;
    size_t size = 0;
    assert_int_equal(hone_metrics_write(m, &text, &size, NULL), HONE_OK);
    assert_int_equal(strlen(text), size);
    assert_string_equal(text, wanted);
    hone_metrics_free_text(text);
}

static void test_text(void **state) {
    (void)state;
    hone_metrics *m = new_metrics();
    check_text(m, "");
    hone_metric_options o = options(HONE_METRIC_COUNTER, "hone_requests_total");
    o.labels = (const char *const[]){"model", "status", NULL};
    o.help = "Requests, \"all\" of\nthem \\ ever.";
    hone_metric *requests = add(m, o);
    hone_metric *depth = add(m, options(HONE_METRIC_GAUGE, "hone_queue_depth"));
    o = options(HONE_METRIC_HISTOGRAM, "hone_request_seconds");
    o.buckets = (const double[]){0.005, 0.1, 2.5};
    o.bucket_count = 3;
    o.labels = (const char *const[]){"model", NULL};
    hone_metric *time_taken = add(m, o);
    check_text(m, ""); /* without series nothing */
    hone_series *fine = series(requests, (const char *const[]){"mlp", "ok", NULL}),
                *odd = series(requests, (const char *const[]){"a\"b\\c\nd", "", NULL}),
                *queue = series(depth, NULL),
                *seconds = series(time_taken, (const char *const[]){"mlp", NULL});
    hone_series_add(fine, 3);
    hone_series_add(fine, 0.5);
    hone_series_add(fine, -1); /* ignored, as is NaN */
    hone_series_add(fine, NAN);
    hone_series_add(odd, 1);
    hone_series_set(queue, 7);
    hone_series_add(queue, -9.5);
    const double observed[] = {0.005, 0.0051, 0.1, 2.5, 2.6, 1e9, -1};
    for (size_t i = 0; i < sizeof observed / sizeof *observed; i++) hone_series_observe(seconds, observed[i]);
    hone_series_observe(seconds, NAN);
    hone_series_observe(fine, 1); /* not a histogram */
    check_text(m, "# HELP hone_requests_total Requests, \"all\" of\\nthem \\\\ ever.\n"
                  "# TYPE hone_requests_total counter\n"
                  "hone_requests_total{model=\"mlp\",status=\"ok\"} 3.5\n"
                  "hone_requests_total{model=\"a\\\"b\\\\c\\nd\",status=\"\"} 1\n"
                  "# HELP hone_queue_depth A help text.\n"
                  "# TYPE hone_queue_depth gauge\n"
                  "hone_queue_depth -2.5\n"
                  "# HELP hone_request_seconds A help text.\n"
                  "# TYPE hone_request_seconds histogram\n"
                  "hone_request_seconds_bucket{model=\"mlp\",le=\"0.005\"} 2\n"
                  "hone_request_seconds_bucket{model=\"mlp\",le=\"0.1\"} 4\n"
                  "hone_request_seconds_bucket{model=\"mlp\",le=\"2.5\"} 5\n"
                  "hone_request_seconds_bucket{model=\"mlp\",le=\"+Inf\"} 7\n"
                  "hone_request_seconds_sum{model=\"mlp\"} 1000000004.2101\n"
                  "hone_request_seconds_count{model=\"mlp\"} 7\n");
    assert_true(hone_series_value(seconds) == 7 && hone_series_value(fine) == 3.5);
    hone_series_set(queue, INFINITY);
    hone_series_drop(fine);
    hone_series_drop(odd);
    hone_series_drop(seconds);
    check_text(
        m, "# HELP hone_queue_depth A help text.\n# TYPE hone_queue_depth gauge\nhone_queue_depth +Inf\n");
    hone_series_set(queue, NAN);
    check_text(m,
               "# HELP hone_queue_depth A help text.\n# TYPE hone_queue_depth gauge\nhone_queue_depth NaN\n");
    hone_metrics_free(m);
    hone_metrics_free(NULL);
}

static void test_numbers(void **state) {
    (void)state;
    hone_metrics *m = new_metrics();
    hone_series *s = series(add(m, options(HONE_METRIC_GAUGE, "x")), NULL);
    const double numbers[] = {
        0.1, 1.0 / 3, 1e300, 5e-324, 123456789012345678.0, -0.0, 2e6, 0.30000000000000004};
    /* where a German locale is installed, its comma must not come through */
    bool comma = setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char *text = NULL;
        hone_series_set(s, numbers[i]);
        assert_int_equal(hone_metrics_write(m, &text, NULL, NULL), HONE_OK);
        if (comma) assert_null(strchr(text, ','));
        setlocale(LC_ALL, "C");
        assert_true(strtod(strrchr(text, ' '), NULL) == numbers[i]);
        hone_metrics_free_text(text);
        if (comma) setlocale(LC_ALL, "de_DE.UTF-8");
    }
    setlocale(LC_ALL, "C");
    hone_metrics_free(m);
}

static void test_series(void **state) {
    (void)state;
    hone_metrics *m = new_metrics();
    hone_metric_options o = options(HONE_METRIC_COUNTER, "a_total");
    o.labels = (const char *const[]){"x", NULL};
    o.max_series = 3;
    hone_metric *f = add(m, o);
    hone_series *a = series(f, (const char *const[]){"1"}), *again = series(f, (const char *const[]){"1"});
    assert_ptr_equal(a, again);
    hone_series_add(a, 1);
    hone_series_drop(again); /* a is still there */
    assert_true(hone_series_value(a) == 1);
    hone_series *b = series(f, (const char *const[]){"2"}),
                *bad = series(f, (const char *const[]){"\xff\xc0\x80z"});
    hone_series *more = NULL;
    hone_error err;
    assert_int_equal(hone_metric_series(f, (const char *const[]){"4"}, &more, &err), HONE_RESOURCE_EXHAUSTED);
    hone_series_drop(a);
    assert_int_equal(hone_metric_series(f, (const char *const[]){"4"}, &more, &err), HONE_OK);
    check_text(m, "# HELP a_total A help text.\n# TYPE a_total counter\na_total{x=\"2\"} 0\n"
                  "a_total{x=\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"} 0\na_total{x=\"4\"} 0\n");
    hone_series_drop(b);
    hone_series_drop(bad);
    hone_series_drop(NULL);
    hone_metrics_free(m);
}

static void test_refused(void **state) {
    (void)state;
    hone_metrics *m = new_metrics();
    hone_metric *f = NULL;
    hone_error err;
    static const struct {
        hone_metric_type type;
        const char *name;
    } bad[] = {{HONE_METRIC_COUNTER, "requests"},
               {HONE_METRIC_GAUGE, "depth_total"},
               {HONE_METRIC_GAUGE, ""},
               {HONE_METRIC_GAUGE, "1x"},
               {HONE_METRIC_GAUGE, "a-b"},
               {HONE_METRIC_GAUGE, "a b"},
               {HONE_METRIC_GAUGE, "x_count"},
               {HONE_METRIC_GAUGE, "x_sum"},
               {HONE_METRIC_HISTOGRAM, "x_bucket"},
               {HONE_METRIC_GAUGE, "\xc3\xa4"},
               {HONE_METRIC_GAUGE, NULL}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_metric_options o = options(bad[i].type, bad[i].name);
        assert_int_equal(hone_metrics_add(m, &o, &f, &err), HONE_INVALID_ARGUMENT);
    }
    hone_metric_options o = options(HONE_METRIC_GAUGE, "x");
    o.help = "";
    assert_int_equal(hone_metrics_add(m, &o, &f, &err), HONE_INVALID_ARGUMENT);
    static const char *const labels[][10] = {
        {"le"},     {"quantile"}, {"__x"}, {"a:b"},
        {"a", "a"}, {""},         {"9"},   {"a", "b", "c", "d", "e", "f", "g", "h", "i"}};
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        o = options(HONE_METRIC_GAUGE, "x");
        o.labels = labels[i];
        assert_int_equal(hone_metrics_add(m, &o, &f, &err), HONE_INVALID_ARGUMENT);
    }
    static const double buckets[][2] = {{1, 1}, {2, 1}, {1, INFINITY}, {NAN, 1}};
    for (size_t i = 0; i < sizeof buckets / sizeof *buckets; i++) {
        o = options(HONE_METRIC_HISTOGRAM, "x");
        o.buckets = buckets[i];
        o.bucket_count = 2;
        assert_int_equal(hone_metrics_add(m, &o, &f, &err), HONE_INVALID_ARGUMENT);
    }
    o.bucket_count = 0;
    assert_int_equal(hone_metrics_add(m, &o, &f, &err), HONE_INVALID_ARGUMENT);
    assert_null(f);
    o = options(HONE_METRIC_GAUGE, "x");
    assert_int_equal(hone_metrics_add(m, &o, &f, &err), HONE_OK);
    assert_int_equal(hone_metrics_add(m, &o, &f, &err), HONE_ALREADY_EXISTS);
    hone_metrics_free(m);
}

/* --- many threads --- */

enum { THREADS = 4, ROUNDS = 50000 };

typedef struct shared {
    hone_series *counter, *gauge, *histogram;
} shared;

static void *count(void *arg) {
    shared *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        hone_series_add(s->counter, 1);
        hone_series_add(s->gauge, i % 2 ? -1 : 1);
        hone_series_observe(s->histogram, i % 4);
    }
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    hone_metrics *m = new_metrics();
    hone_metric_options o = options(HONE_METRIC_HISTOGRAM, "h");
    o.buckets = (const double[]){0, 1, 2};
    o.bucket_count = 3;
    shared s = {series(add(m, options(HONE_METRIC_COUNTER, "c_total")), NULL),
                series(add(m, options(HONE_METRIC_GAUGE, "g")), NULL), series(add(m, o), NULL)};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, count, &s), 0);
    for (int i = 0; i < 20; i++) { /* while they count */
        char *text = NULL;
        assert_int_equal(hone_metrics_write(m, &text, NULL, NULL), HONE_OK);
        hone_metrics_free_text(text);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_true(hone_series_value(s.counter) == THREADS * ROUNDS);
    assert_true(hone_series_value(s.gauge) == 0);
    assert_true(hone_series_value(s.histogram) == THREADS * ROUNDS);
    assert_true(hone_series_sum(s.histogram) == THREADS * ROUNDS * 1.5);
    uint64_t before = hone_alloc_count();
    count(&s);
    assert_int_equal(hone_alloc_count(), before);
    hone_metrics_free(m);
}

/* --- process metrics --- */

static double read_value(const char *text, const char *name) {
    char line[128];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *p = strstr(text, line);
    if (!p) fail_msg("no %s", name);
    return strtod(p + strlen(line), NULL);
}

static void test_process(void **state) {
    (void)state;
    hone_metrics *m = new_metrics();
    assert_int_equal(hone_metrics_add_process(m, NULL), HONE_OK);
    assert_int_equal(hone_metrics_add_process(m, NULL), HONE_ALREADY_EXISTS);
    char *text = NULL, *later = NULL;
    assert_int_equal(hone_metrics_write(m, &text, NULL, NULL), HONE_OK);
    double now = (double)time(NULL), start = read_value(text, "process_start_time_seconds");
    assert_true(start <= now + 1 && start > now - 86400);
    assert_true(read_value(text, "process_resident_memory_bytes") > 100e3);
    assert_true(read_value(text, "process_virtual_memory_bytes") >
                read_value(text, "process_resident_memory_bytes"));
    double fds = read_value(text, "process_open_fds");
    assert_true(fds >= 3 && fds < read_value(text, "process_max_fds"));
    assert_non_null(strstr(text, "hone_build_info{version=\"" HONE_VERSION "\",compiler=\""));
    int fd = dup(1);
    volatile double work = 0;
    for (int i = 0; i < 3000000; i++) work = work + 1;
    assert_int_equal(hone_metrics_write(m, &later, NULL, NULL), HONE_OK);
    assert_true(read_value(later, "process_cpu_seconds_total") >
                read_value(text, "process_cpu_seconds_total"));
    assert_true(read_value(later, "process_open_fds") == fds + 1);
    assert_true(read_value(later, "process_start_time_seconds") == start);
    close(fd);
    hone_metrics_free_text(text);
    hone_metrics_free_text(later);
    hone_metrics_free(m);
}

/* --- out of memory --- */

static hone_status use_everything(void) {
    hone_metrics *m = NULL;
    hone_metric *f = NULL;
    hone_series *s = NULL;
    char *text = NULL;
    hone_metric_options o = options(HONE_METRIC_HISTOGRAM, "h");
    o.labels = (const char *const[]){"a", "b", NULL};
    HONE_TRY(hone_metrics_new(&m, NULL));
    hone_status status = hone_metrics_add(m, &o, &f, NULL);
    if (status == HONE_OK) status = hone_metric_series(f, (const char *const[]){"1", "2"}, &s, NULL);
    if (status == HONE_OK) status = hone_metrics_add_process(m, NULL);
    if (status == HONE_OK) status = hone_metrics_write(m, &text, NULL, NULL);
    hone_metrics_free_text(text);
    hone_metrics_free(m);
    return status;
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_status status = HONE_OUT_OF_MEMORY;
    for (uint64_t n = 1; status != HONE_OK; n++) {
        hone_alloc_fail_at(n, false);
        status = use_everything();
        hone_alloc_fail_at(0, false);
        if (status != HONE_OK)
            assert_int_equal(status, HONE_OUT_OF_MEMORY);
        else
            assert_true(n > 30);
    }
}

static int write_example(const char *path) {
    hone_metrics *m = NULL;
    hone_metric *f = NULL;
    hone_series *s = NULL;
    char *text = NULL;
    size_t size = 0;
    hone_metric_options o = options(HONE_METRIC_HISTOGRAM, "hone_request_seconds");
    o.help = "Time from the request's last byte to the answer's first.";
    o.labels = (const char *const[]){"model", "version", NULL};
    FILE *out = fopen(path, "w");
    bool fine = out && hone_metrics_new(&m, NULL) == HONE_OK &&
                hone_metrics_add_process(m, NULL) == HONE_OK && hone_metrics_add(m, &o, &f, NULL) == HONE_OK;
    for (int i = 0; fine && i < 40; i++) {
        const char *const values[] = {i % 2 ? "quo\"te \\ and\nline \xff" : "mlp", "1", NULL};
        fine = hone_metric_series(f, values, &s, NULL) == HONE_OK;
        if (fine) hone_series_observe(s, i * 0.003);
    }
    o = options(HONE_METRIC_COUNTER, "hone_requests_total");
    fine = fine && hone_metrics_add(m, &o, &f, NULL) == HONE_OK &&
           hone_metric_series(f, NULL, &s, NULL) == HONE_OK;
    if (fine) hone_series_add(s, 12345);
    fine = fine && hone_metrics_write(m, &text, &size, NULL) == HONE_OK && fwrite(text, 1, size, out) == size;
    hone_metrics_free_text(text);
    hone_metrics_free(m);
    return out && fclose(out) == 0 && fine ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--write") == 0) return write_example(argv[2]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_text),         cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_series),       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_threads),      cmocka_unit_test(test_process),
                                       cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
