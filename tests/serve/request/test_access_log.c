#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "serve/request/access_log.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 30000 };

static char dir[] = "/tmp/hone-access-log.XXXXXX", path[64], moved[64], pipe_path[64];
static hone_stats *stats;
static const hone_remote remote = {"192.0.2.1:80"};

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(dir) || hone_stats_new(&stats, NULL) != HONE_OK) return -1;
    snprintf(path, sizeof path, "%s/log", dir);
    snprintf(moved, sizeof moved, "%s/log.1", dir);
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe", dir);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    hone_stats_free(stats);
    return hone_dir_remove(dir, NULL) == HONE_OK ? 0 : -1;
}

static hone_access_log *open_log(const char *where, uint64_t every, int loops, size_t ring) {
    hone_access_log_options o = {
        .path = where, .every = every, .loops = loops, .stats = stats, .ring_bytes = ring};
    hone_access_log *l = NULL;
    hone_error err = {0};
    if (hone_access_log_open(&o, &l, &err) != HONE_OK) fail_msg("%s", err.message);
    return l;
}

static hone_slice text(const char *s) {
    return (hone_slice){s, strlen(s)};
}

static hone_request *request(const char *where, int status) {
    hone_request *r = hone_request_new(NULL);
    assert_non_null(r);
    r->head = (hone_head){.method = text("GET"), .path = text(where)};
    r->started = hone_now();
    r->status = status;
    return r;
}

static void log_one(hone_access_log *l, int loop, const char *where, int status) {
    hone_request *r = request(where, status);
    hone_access_log_request(l, loop, r, &remote, "HTTP/1.1", false);
    hone_request_release(r);
}

/* The file's lines as an array of objects; to be given to json_decref. */
static json_t *lines_of(const char *file) {
    hone_blob blob;
    json_t *all = json_array();
    assert_int_equal(hone_file_read(file, 0, &blob, NULL), HONE_OK);
    const char *at = (const char *)blob.data, *end = at + blob.size;
    while (at < end) {
        json_error_t why;
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(stop);
        json_t *line = json_loadb(at, (size_t)(stop - at), 0, &why);
        if (!line) fail_msg("%s: %.*s", why.text, (int)(stop - at), at);
        json_array_append_new(all, line);
        at = stop + 1;
    }
    hone_blob_free(&blob);
    return all;
}

static void wait_for_lines(const char *file, size_t count) {
    for (int i = 0; i < WAIT_MS / 10; i++) {
        hone_blob blob;
        if (hone_file_read(file, 0, &blob, NULL) == HONE_OK) {
            size_t size = 0;
            for (size_t k = 0; k < blob.size; k++) size += blob.data[k] == '\n';
            hone_blob_free(&blob);
            assert_true(size <= count);
            if (size == count) return;
        }
        usleep(10000);
    }
    fail_msg("%s does not get %zu lines", file, count);
}

static double counter(const char *name) {
    char *out;
    double x = -1;
    assert_int_equal(hone_metrics_write(hone_stats_metrics(stats), &out, NULL, NULL), HONE_OK);
    for (const char *p = out; (p = strstr(p, name)); p++)
        if (p > out && p[-1] == '\n') x = strtod(p + strlen(name), NULL);
    hone_metrics_free_text(out);
    return x;
}

static const char *string(json_t *line, const char *key) {
    const char *s = json_string_value(json_object_get(line, key));
    return s ? s : "(none)";
}

static void tells_what_happened(void **state) {
    (void)state;
    hone_access_log *l = open_log(path, 1, 1, 0);
    hone_model_stats *m;
    assert_int_equal(hone_model_stats_new(stats, "the \"model\"", 7, 0, &m, NULL), HONE_OK);
    hone_request *r = request("/a\"\\\n\x01\xff/\xc3\xa4", 504);
    hone_request_set_model(r, m);
    hone_model_stats_release(m); /* the request keeps it */
    r->head.fields[r->head.field_count++] = (hone_field){text("X-Forwarded-For"), text("203.0.113.9, \"x\"")};
    r->grpc_status = 4;
    r->bytes_in = 10;
    r->bytes_out = 20;
    r->stages[HONE_STAGE_QUEUE] = 1234567;
    r->rows = 3;
    r->id = text("my id");
    hone_request_note_error(r, "too \"late\"");
    hone_trace_parse(text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), &r->trace);
    strcpy(r->trace.span, "00f067aa0ba902b7");
    hone_access_log_request(l, 0, r, &remote, "HTTP/2", false);
    hone_request_release(r);
    r = request("/gone", 0);
    hone_access_log_request(l, 0, r, &(hone_remote){""}, "HTTP/1.0", true);
    hone_request_release(r);
    hone_access_log_close(l);
    json_t *all = lines_of(path), *line = json_array_get(all, 0);
    assert_int_equal(json_array_size(all), 2);
    int year, n = 0;
    assert_int_equal(sscanf(string(line, "time"), "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ%n", &year, &n), 1);
    assert_int_equal(n, 24);
    assert_true(year >= 2024);
    assert_string_equal(string(line, "remote"), "192.0.2.1:80");
    assert_string_equal(string(line, "forwarded_for"), "203.0.113.9, \"x\"");
    assert_string_equal(string(line, "protocol"), "HTTP/2");
    assert_string_equal(string(line, "method"), "GET");
    assert_string_equal(string(line, "path"), "/a\"\\\n\x01\xef\xbf\xbd/\xc3\xa4");
    assert_string_equal(string(line, "model"), "the \"model\"");
    assert_int_equal(json_integer_value(json_object_get(line, "version")), 7);
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 504);
    assert_int_equal(json_integer_value(json_object_get(line, "grpc_status")), 4);
    assert_int_equal(json_integer_value(json_object_get(line, "bytes_in")), 10);
    assert_int_equal(json_integer_value(json_object_get(line, "bytes_out")), 20);
    assert_int_equal(json_integer_value(json_object_get(line, "batch_rows")), 3);
    json_t *ms = json_object_get(line, "ms");
    assert_true(json_is_real(json_object_get(ms, "total")));
    assert_true(json_real_value(json_object_get(ms, "queue")) == 1.234);
    assert_int_equal(json_object_size(ms), 2);
    assert_string_equal(string(line, "id"), "my id");
    assert_string_equal(string(line, "trace_id"), "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(string(line, "parent_id"), "b7ad6b7169203331");
    assert_string_equal(string(line, "span_id"), "00f067aa0ba902b7");
    assert_string_equal(string(line, "reason"), "deadline");
    assert_string_equal(string(line, "error"), "too \"late\"");
    line = json_array_get(all, 1);
    assert_string_equal(string(line, "reason"), "cancelled");
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 499);
    assert_null(json_object_get(line, "model"));
    assert_null(json_object_get(line, "grpc_status"));
    assert_null(json_object_get(line, "forwarded_for"));
    assert_null(json_object_get(line, "trace_id"));
    json_decref(all);
    unlink(path);
}

static void samples_but_not_errors(void **state) {
    (void)state;
    hone_access_log *l = open_log(path, 10, 2, 0);
    for (int i = 0; i < 100; i++) {
        log_one(l, i % 2, "/good", 200);
        if (i < 7) log_one(l, 0, "/bad", 404);
    }
    hone_access_log_close(l);
    json_t *all = lines_of(path);
    assert_int_equal(json_array_size(all), 10 + 7);
    json_decref(all);
    unlink(path);
}

static void opens_the_file_anew(void **state) {
    (void)state;
    hone_access_log *l = open_log(path, 1, 1, 0);
    log_one(l, 0, "/before", 200);
    assert_int_equal(rename(path, moved), 0);
    log_one(l, 0, "/moved", 200);
    hone_access_log_reopen(l); /* what came before is in the old file */
    for (int i = 0; i < WAIT_MS / 10 && !hone_file_exists(path); i++) usleep(10000);
    log_one(l, 0, "/after", 200);
    wait_for_lines(moved, 2);
    wait_for_lines(path, 1);
    hone_access_log_close(l);
    hone_access_log_reopen(NULL);
    unlink(path);
    unlink(moved);
}

static void refuses_what_is_no_file(void **state) {
    (void)state;
    hone_access_log_options o = {.path = dir, .loops = 1, .stats = stats};
    hone_access_log *l = NULL;
    hone_error err = {0};
    assert_int_not_equal(hone_access_log_open(&o, &l, &err), HONE_OK);
    assert_null(l);
    assert_non_null(strstr(err.message, "access log"));
}

/* Somebody reads so slowly that nothing can be written: loops go on, and what is lost is counted. */
static void drops_rather_than_waits(void **state) {
    (void)state;
    enum { LINES = 3000 };
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    int reader = open(pipe_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    double put = counter("hone_access_log_lines_total"), lost = counter("hone_access_log_dropped_total");
    hone_access_log *l = open_log(pipe_path, 1, 1, 16 << 10);
    for (int i = 0; i < LINES; i++) log_one(l, 0, "/some/path/that/takes/place", 200);
    put = counter("hone_access_log_lines_total") - put;
    double dropped = counter("hone_access_log_dropped_total") - lost;
    assert_true(dropped > 0);
    assert_true(put + dropped == LINES);
    hone_access_log_close(l); /* ends, though nobody reads */
    double late = counter("hone_access_log_dropped_total") - lost - dropped;
    static char buffer[1 << 20];
    ssize_t n = read(reader, buffer, sizeof buffer), arrived = 0;
    for (ssize_t i = 0; i < n; i++) arrived += buffer[i] == '\n';
    assert_true((double)arrived <= put && (double)arrived >= put - late - 1);
    close(reader);
    /* nobody at the other end */
    hone_access_log_options o = {.path = pipe_path, .loops = 1, .stats = stats};
    assert_int_not_equal(hone_access_log_open(&o, &l, NULL), HONE_OK);
    unlink(pipe_path);
}

/* A line that was cut by an error ends before the next one begins. */
static void survives_a_reader_that_goes(void **state) {
    (void)state;
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    int reader = open(pipe_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    hone_access_log *l = open_log(pipe_path, 1, 1, 0);
    double lost = counter("hone_access_log_dropped_total");
    close(reader);
    log_one(l, 0, "/nobody", 200);
    for (int i = 0; i < WAIT_MS / 10 && counter("hone_access_log_dropped_total") < lost + 1; i++)
        usleep(10000);
    assert_true(counter("hone_access_log_dropped_total") == lost + 1);
    reader = open(pipe_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    log_one(l, 0, "/somebody", 200);
    hone_access_log_close(l);
    char buffer[4096] = "";
    assert_true(read(reader, buffer, sizeof buffer - 1) > 0);
    assert_non_null(strstr(buffer, "/somebody"));
    assert_null(strstr(buffer, "/nobody"));
    close(reader);
    unlink(pipe_path);
}

typedef struct job {
    hone_access_log *log;
    int loop;
} job;

enum { EACH = 5000, LOOPS = 4 };

static void *many(void *arg) {
    const job *j = arg;
    char where[32];
    for (int i = 0; i < EACH; i++) {
        snprintf(where, sizeof where, "/%d/%d", j->loop, i);
        log_one(j->log, j->loop, where, 200);
    }
    return NULL;
}

/* All lines arrive or are counted, whole, and those of a loop in their order. */
static void keeps_lines_whole(void **state) {
    (void)state;
    double put = counter("hone_access_log_lines_total"), lost = counter("hone_access_log_dropped_total");
    hone_access_log *l = open_log(path, 1, LOOPS, 1 << 16);
    pthread_t threads[LOOPS];
    job jobs[LOOPS];
    int last[LOOPS] = {-1, -1, -1, -1};
    for (int i = 0; i < LOOPS; i++) {
        jobs[i] = (job){l, i};
        assert_int_equal(pthread_create(&threads[i], NULL, many, &jobs[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        hone_access_log_reopen(l);
        usleep(1000);
    }
    for (int i = 0; i < LOOPS; i++) pthread_join(threads[i], NULL);
    hone_access_log_close(l);
    put = counter("hone_access_log_lines_total") - put;
    lost = counter("hone_access_log_dropped_total") - lost;
    assert_true(put + lost == EACH * LOOPS);
    json_t *all = lines_of(path), *line;
    size_t at;
    assert_int_equal(json_array_size(all), (size_t)put);
    json_array_foreach(all, at, line) {
        int loop, number;
        assert_int_equal(sscanf(string(line, "path"), "/%d/%d", &loop, &number), 2);
        assert_true(number > last[loop]);
        last[loop] = number;
    }
    json_decref(all);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_happened),     cmocka_unit_test(samples_but_not_errors),
        cmocka_unit_test(opens_the_file_anew),     cmocka_unit_test(refuses_what_is_no_file),
        cmocka_unit_test(drops_rather_than_waits), cmocka_unit_test(survives_a_reader_that_goes),
        cmocka_unit_test(keeps_lines_whole),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
