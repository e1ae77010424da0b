/* A server in this process, and what tests ask it over HTTP. */
#ifndef HONE_TESTS_SERVE_SERVERS_H
#define HONE_TESTS_SERVE_SERVERS_H

#include "base/memory.h"
#include "serve/client.h"
#include "serve/models.h"

#include <hone/serve.h>

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MATRIX "/v1/models/matrix:predict"
#define ENDLESS "/v1/models/endless:predict"
#define OK_ENDLESS "hone_requests_total{model=\"endless\",method=\"predict\",code=\"200\"}"
#define ONE_ROW "{\"instances\": [[1, 0, 0]]}"
#define ONE_ROW_ANSWER "{\n    \"predictions\": [[1.0, 2.0]\n    ]\n}"

typedef struct fixture {
    hone_server *server;
    pthread_t thread;
    hone_status result;
    int port;
    sem_t started;
} fixture;

static inline void tell_started(void *user) {
    sem_post(&((fixture *)user)->started);
}

static inline void *run(void *arg) {
    fixture *f = arg;
    f->result = hone_server_run(f->server, NULL);
    return NULL;
}

static inline hone_server_options small_options(void) {
    hone_server_options o = HONE_SERVER_OPTIONS_INIT;
    o.port = 0;
    o.threads = 1;
    o.max_body_bytes = 1 << 20;
    o.max_header_bytes = 2048;
    o.drain_timeout_ms = 60000;
    return o;
}

static inline void add_model(hone_server *s, const char *name, hone_graph *g) {
    hone_error err = {0};
    assert_non_null(g);
    if (hone_server_add_model(s, name, 1, g, &err) != HONE_OK) fail_msg("%s: %s", name, err.message);
    hone_graph_free(g);
}

/* It may still load models when this returns. */
static inline void start_loading(fixture *f, const hone_server_options *options) {
    hone_error err = {0};
    hone_server_options o = *options;
    o.started = tell_started;
    o.user = f;
    assert_int_equal(sem_init(&f->started, 0, 0), 0);
    if (hone_server_create(&o, &f->server, &err) != HONE_OK) fail_msg("%s: %s", err.file, err.message);
    add_model(f->server, "matrix", matrix_model());
    f->port = hone_server_port(f->server);
    assert_true(f->port > 0);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f), 0);
}

static inline void start(fixture *f, const hone_server_options *o) {
    start_loading(f, o);
    while (sem_wait(&f->started) != 0) {
    }
}

static inline void join(fixture *f) {
    pthread_join(f->thread, NULL);
    assert_int_equal(f->result, HONE_OK);
    hone_server_free(f->server);
    sem_destroy(&f->started);
}

static inline void stop(fixture *f) {
    hone_server_stop(f->server);
    join(f);
}

static inline void check(reply r, int status, const char *body) {
    if (r.status != status || (body && (!r.body || strcmp(r.body, body) != 0)))
        fail_msg("%d %s%s, expected %d %s", r.status, r.head, r.body ? r.body : "(none)", status,
                 body ? body : "");
    free(r.body);
}

static inline void check_has(reply r, int status, const char *part) {
    if (r.status != status || !r.body || !strstr(r.body, part))
        fail_msg("%d %s, expected %d with %s", r.status, r.body ? r.body : "(none)", status, part);
    free(r.body);
}

/* Value of a line of /metrics that starts with `series`; -1 if there is none. Closes the client. */
static inline double metric_by(client c, const char *series) {
    reply r = client_ask(&c, "GET", "/metrics", NULL);
    assert_int_equal(r.status, 200);
    char line[256];
    snprintf(line, sizeof line, "\n%s ", series);
    const char *at = strstr(r.body, line);
    double value = at ? strtod(at + strlen(line), NULL) : -1;
    free(r.body);
    client_close(&c);
    return value;
}

static inline double metric(int port, const char *series) {
    return metric_by(client_open(port), series);
}

/* Waits until a line of /metrics has this value. */
static inline void wait_for(int port, const char *series, double value) {
    double is = -1;
    for (int i = 0; i < CLIENT_WAIT_MS / 5; i++, usleep(5000))
        if ((is = metric(port, series)) == value) return;
    fail_msg("%s is %g, not %g", series, is, value);
}

/* A request of `rows` rows for the model "endless"; to be freed. */
static inline char *rows_body(int rows) {
    char *text = malloc((size_t)rows * 8 + 64);
    assert_non_null(text);
    size_t n = (size_t)sprintf(text, "{\"instances\": [[0]");
    for (int i = 1; i < rows; i++) n += (size_t)sprintf(text + n, ", [0]");
    sprintf(text + n, "]}");
    return text;
}

static inline bool send_post(client *c, const char *path, const char *body) {
    char head[256];
    int n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", path,
                     strlen(body));
    return client_send(c, head, (size_t)n) && client_text(c, body);
}

#endif
