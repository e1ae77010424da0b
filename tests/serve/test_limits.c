/* A server's limits, seen from outside: requests under way, their time, streams, floods, and clients that
 * dawdle. */
#include "serve/caller.h"
#include "serve/http2_frames.h"
#include "serve/servers.h"

#include <hone/log.h>

#include <sys/resource.h>

/* --- requests under way --- */

/* A stream of gRPC's is under way as soon as its head is there, for as long as the test wants. */
static answer *occupy(caller *c) {
    answer *a = caller_call(c, REFLECTION, NULL, true);
    a->hold = 5;
    assert_true(caller_send(c));
    return a;
}

static void wait_until_told(int port, int status) {
    int last = 0;
    for (int i = 0; i < CLIENT_WAIT_MS && last != status; i++) {
        client c = client_open(port);
        reply r = client_ask(&c, "GET", "/v1/models/matrix", NULL);
        last = r.status;
        free(r.body);
        client_close(&c);
        if (last != status) usleep(1000);
    }
    assert_int_equal(last, status);
}

static void bounds_requests(void **state) {
    fixture f;
    caller streams;
    hone_server_options o = small_options();
    (void)state;
    o.max_requests = 2;
    start(&f, &o);
    client early = client_open(f.port); /* admitted while there is room, complete when there is none */
    assert_true(client_text(&early, "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                                    "Content-Length: 26\r\n\r\n"));
    check(client_reply(&early, false), 100, NULL);
    caller_open(&streams, f.port);
    answer *first = occupy(&streams), *second = occupy(&streams);
    wait_until_told(f.port, 429);
    assert_true(client_text(&early, ONE_ROW));
    reply r = client_reply(&early, false);
    assert_non_null(strcasestr(r.head, "retry-after: 1"));
    assert_null(strcasestr(r.head, "connection: close"));
    check_has(r, 429, "{\n    \"error\": \"The server has too many requests under way\"");
    /* the head is enough */
    client c = client_open(f.port);
    assert_true(client_text(&c, "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"));
    r = client_reply(&c, false);
    assert_non_null(strcasestr(r.head, "retry-after: 1"));
    check_has(r, 429, "too many requests");
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
    /* gRPC, on the same connection */
    answer *a = caller_call(&streams, "/inference.GRPCInferenceService/ServerMetadata", NULL, true);
    assert_true(caller_wait(&streams, a, true));
    assert_non_null(strstr(a->fields, "grpc-status: 8\n"));
    /* who looks after the server is not kept out */
    check(client_ask(&early, "GET", "/healthz", NULL), 200, "ok\n");
    check(client_ask(&early, "GET", "/v2/health/ready", NULL), 200, NULL);
    check_has(client_ask(&early, "GET", "/metrics", NULL), 200,
              "hone_request_errors_total{reason=\"overloaded\"}");
    check_has(client_ask(&early, "POST", "/v2/repository/index", ""), 200, "matrix");
    /* a place is free as soon as one is given up */
    nghttp2_submit_rst_stream(streams.p.client, 0, first->id, NGHTTP2_CANCEL);
    assert_true(caller_send(&streams));
    wait_until_told(f.port, 200);
    check(client_ask(&early, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
    nghttp2_submit_rst_stream(streams.p.client, 0, second->id, NGHTTP2_CANCEL);
    assert_true(caller_send(&streams));
    client_close(&early);
    caller_close(&streams);
    stop(&f);
}

/* Many at once, more than may be: each is answered or told so, and afterwards there is room for all again. */
typedef struct asker {
    int port, fine, refused;
    pthread_t thread;
} asker;

static void *ask_often(void *arg) {
    asker *k = arg;
    client c = client_open(k->port);
    for (int i = 0; i < 300; i++) {
        reply r = client_ask(&c, "POST", MATRIX, ONE_ROW);
        k->fine += r.status == 200;
        k->refused += r.status == 429;
        if (r.status != 200 && strcasestr(r.head, "connection: close")) {
            client_close(&c);
            c = client_open(k->port);
        }
        free(r.body);
    }
    client_close(&c);
    return NULL;
}

static void counts_no_request_twice(void **state) {
    enum { ASKERS = 6 };
    fixture f;
    asker askers[ASKERS];
    hone_server_options o = small_options();
    (void)state;
    o.threads = 3;
    o.max_requests = 2;
    start(&f, &o);
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (asker){.port = f.port};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_often, &askers[i]), 0);
    }
    for (int i = 0; i < ASKERS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].fine + askers[i].refused, 300);
    }
    caller streams;
    caller_open(&streams, f.port);
    occupy(&streams);
    answer *a = caller_call(&streams, "/grpc.health.v1.Health/Check", NULL, false);
    assert_true(caller_wait(&streams, a, true)); /* so the first is there, too */
    wait_until_told(f.port, 200);
    caller_close(&streams);
    stop(&f);
}

/* --- time --- */

/* The time counts from the head, which is there when the server says so. */
static reply ask_within(client *c, const char *timeout, bool dawdle) {
    char head[300];
    snprintf(head, sizeof head,
             "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nX-Request-Timeout-Ms: %s\r\nExpect: 100-continue\r\n"
             "Content-Length: 26\r\n\r\n",
             timeout);
    assert_true(client_text(c, head));
    check(client_reply(c, false), 100, NULL);
    if (dawdle) usleep(20000);
    assert_true(client_text(c, ONE_ROW));
    return client_reply(c, false);
}

static void keeps_deadlines_of_requests(void **state) {
    static const char *const bad[] = {
        "", "0", "-1", "1.5", "1s", "abc", "1000000000", "18446744073709551617", "1 2"};
    fixture f;
    hone_server_options o = small_options();
    (void)state;
    start(&f, &o);
    client c = client_open(f.port);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_has(ask_within(&c, bad[i], false), 400,
                  "X-Request-Timeout-Ms must be a number from 1 to 999999999");
    check(ask_within(&c, "999999999", true), 200, ONE_ROW_ANSWER);
    /* told at once; what has not come of the body is not wanted any more */
    reply late = ask_within(&c, "1", true);
    assert_non_null(strcasestr(late.head, "connection: close"));
    check_has(late, 504, "took longer than the server allows");
    client_close(&c);
    c = client_open(f.port);
    check(client_ask(&c, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
    client_close(&c);
    /* over HTTP/2, with the other API */
    caller h2;
    caller_open(&h2, f.port);
    answer *a = peer_ask(&h2.p, "GET", "/v2/health/ready", NULL, 0,
                         (const char *const[]){"x-request-timeout-ms", "soon", NULL});
    assert_true(caller_wait(&h2, a, true));
    assert_int_equal(a->status, 400);
    caller_close(&h2);
    stop(&f);
}

/* Feeds a byte now and then until something comes back. */
static reply trickle(client *c) {
    for (int i = 0; i < CLIENT_WAIT_MS / 20 && client_more(c, 20) < 0; i++) (void)!client_send(c, " ", 1);
    return client_reply(c, false);
}

/* Progress alone doesn't buy a body more time than the request has. */
static void ends_bodies_that_trickle(void **state) {
    enum { SIZE = 500000 };
    fixture f;
    hone_server_options o = small_options();
    (void)state;
    o.header_timeout_ms = 600000;
    o.request_timeout_ms = 300;
    start(&f, &o);
    static const char *const heads[] = {
        "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n",
        "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7a120\r\n"};
    for (int i = 0; i < 2; i++) {
        client c = client_open(f.port);
        assert_true(client_text(&c, heads[i]));
        reply r = trickle(&c);
        assert_non_null(strcasestr(r.head, "connection: close"));
        check_has(r, 408, "did not come in time");
        client_close(&c);
    }
    char *body = calloc(1, SIZE);
    caller h2;
    assert_non_null(body);
    caller_open(&h2, f.port);
    answer *a = peer_ask(&h2.p, "POST", MATRIX, body, SIZE, NULL);
    for (int i = 0; i < CLIENT_WAIT_MS / 20 && a->status == 0; i++) {
        a->hold++;
        nghttp2_session_resume_data(h2.p.client, a->id);
        assert_true(caller_send(&h2));
        if (client_more(&h2.c, 20) < 0) continue;
        assert_true(nghttp2_session_mem_recv(h2.p.client, (const uint8_t *)h2.c.data, h2.c.size) >= 0);
        client_drop(&h2.c, h2.c.size);
    }
    assert_int_equal(a->status, 408);
    a = peer_ask(&h2.p, "GET", "/healthz", NULL, 0, NULL); /* others go on */
    assert_true(caller_wait(&h2, a, true));
    assert_int_equal(a->status, 200);
    caller_close(&h2);
    free(body);
    stop(&f);
}

/* --- bodies of those who need no secret --- */

enum { OPEN_MOST = 64 << 10 };

static void check_too_large(int port, const char *start, const char *body, size_t size) {
    client c = client_open(port);
    assert_true(client_text(&c, start));
    assert_true(client_send(&c, body, size));
    check_has(client_reply(&c, false), 413, "The body is too large");
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
}

static answer *ask_open(caller *c, const char *path, const char *body, size_t size,
                        const char *const *fields) {
    answer *a = peer_ask(&c->p, "POST", path, body, size, fields);
    assert_true(caller_wait(c, a, false));
    return a;
}

static void takes_small_bodies_at_open_paths(void **state) {
    fixture f;
    hone_server_options o = small_options();
    char head[200], row[OPEN_MOST + 2], *spaces = malloc(OPEN_MOST + 1);
    static const char *const open_paths[] = {"/healthz", "/readyz", "/v2/health/ready",
                                             "/v2/models/matrix/ready"};
    (void)state;
    assert_non_null(spaces);
    memset(spaces, ' ', OPEN_MOST + 1);
    start(&f, &o);
    for (size_t i = 0; i < sizeof open_paths / sizeof *open_paths; i++) {
        snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n",
                 open_paths[i]);
        check_too_large(f.port, head, NULL, 0); /* the head is enough */
    }
    check_too_large(
        f.port, "POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n", NULL, 0);
    hone_buffer chunks = {0};
    hone_buffer_put(&chunks, spaces, 0xffff);
    hone_buffer_text(&chunks, "\r\n2\r\n");
    check_too_large(f.port, "POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
                    chunks.data, chunks.size);
    hone_buffer_free(&chunks);
    /* as much as may be, and more elsewhere */
    client c = client_open(f.port);
    assert_true(client_text(&c, "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n"));
    assert_true(client_send(&c, spaces, OPEN_MOST));
    check(client_reply(&c, false), 200, "ok\n");
    snprintf(row, sizeof row, "%-65537s", ONE_ROW);
    check(client_ask(&c, "POST", MATRIX, row), 200, ONE_ROW_ANSWER);
    client_close(&c);
    caller h2;
    caller_open(&h2, f.port);
    answer *a = ask_open(&h2, "/healthz", spaces, OPEN_MOST + 1, NULL);
    assert_int_equal(a->status, 413);
    a = ask_open(&h2, "/grpc.health.v1.Health/Check", spaces, OPEN_MOST + 1,
                 (const char *const[]){"content-type", "application/grpc", NULL});
    assert_non_null(strstr(a->fields, "grpc-status: 8\n"));
    a = peer_ask(&h2.p, "POST", "/healthz", spaces, OPEN_MOST + 1,
                 (const char *const[]){"content-length", "65537", NULL});
    a->hold = 1; /* the head is enough */
    assert_true(caller_wait(&h2, a, false));
    assert_int_equal(a->status, 413);
    a = peer_ask(&h2.p, "GET", "/healthz", spaces, OPEN_MOST, NULL);
    assert_true(caller_wait(&h2, a, true));
    assert_int_equal(a->status, 200);
    caller_close(&h2);
    free(spaces);
    stop(&f);
}

/* --- the budget of bodies --- */

static int warnings;
static void count_warnings(void *user, hone_log_level level, const char *message) {
    (void)user;
    if (level == HONE_LOG_WARNING && strstr(message, "--body-budget") && strstr(message, "--max-body"))
        warnings++;
}

/* As many floats as a body may have, and the same as an answer. */
static void ask_for_most(int port, size_t most) {
    char head[300], json[200];
    size_t count = (most - sizeof json) / sizeof(float);
    float *x = calloc(count, sizeof *x);
    assert_non_null(x);
    int n = snprintf(json, sizeof json,
                     "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[%zu],\"parameters\":{"
                     "\"binary_data_size\":%zu}}],\"parameters\":{\"binary_data_output\":true}}",
                     count, count * sizeof *x);
    snprintf(head, sizeof head,
             "POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n"
             "Inference-Header-Content-Length: %d\r\n\r\n",
             (size_t)n + count * sizeof *x, n);
    client c = client_open(port);
    assert_true(client_text(&c, head));
    assert_true(client_send(&c, json, (size_t)n));
    assert_true(client_send(&c, (const char *)x, count * sizeof *x));
    reply r = client_reply(&c, false);
    if (r.status != 200) fail_msg("%d %s", r.status, r.body);
    free(r.body);
    client_close(&c);
    free(x);
}

/* A request that is alone finds room, or the start has said that it may not. */
static void says_when_the_budget_is_small(void **state) {
    fixture f;
    hone_server_options o = small_options();
    (void)state;
    hone_log_set(count_warnings, NULL, HONE_LOG_WARNING);
    for (int times = 3; times <= 4; times++) {
        o.body_budget_bytes = (size_t)times * o.max_body_bytes;
        start(&f, &o);
        assert_int_equal(warnings, 1); /* of the first one */
        add_model(f.server, "echo", echo_model(HONE_FLOAT32, 1, "y"));
        if (times == 4) ask_for_most(f.port, o.max_body_bytes);
        stop(&f);
    }
    o.body_budget_bytes = 0;
    start(&f, &o);
    assert_int_equal(warnings, 1);
    stop(&f);
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
}

/* --- HTTP/2 --- */

static void limits_streams(void **state) {
    fixture f;
    hone_server_options o = small_options();
    (void)state;
    o.max_streams = 7;
    start(&f, &o);
    caller c;
    caller_open(&c, f.port);
    answer *a = peer_ask(&c.p, "GET", "/healthz", NULL, 0, NULL);
    assert_true(caller_wait(&c, a, true));
    assert_int_equal(nghttp2_session_get_remote_settings(c.p.client, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS),
                     7);
    caller_close(&c);
    stop(&f);
}

/* Sends bytes until the server closes, and returns the code of its GOAWAY; UINT32_MAX if it answers the PING
 * at their end instead. */
static uint32_t flood(int port, const hone_buffer *bytes) {
    client c = client_open(port);
    uint32_t code = UINT32_MAX - 1;
    frame found;
    (void)!client_send(&c, bytes->data, bytes->size); /* the server need not wait for the end */
    while (client_more(&c, CLIENT_WAIT_MS) > 0) {
        if (find_frame(c.data, c.size, GOAWAY, 0, &found)) code = get_u32(found.data + 4);
        for (size_t at = 0; next_frame(c.data, c.size, &at, &found);)
            if (found.type == PING && memcmp(found.data, "the last", 8) == 0) code = UINT32_MAX;
        if (code == UINT32_MAX) break;
    }
    client_close(&c);
    return code;
}

enum { RESETS, PINGS, SETTINGS_FRAMES, PRIORITIES, EMPTY_DATA, CONTINUATIONS, FLOODS };

static void put_flood(hone_buffer *b, int kind, int count) {
    put_preface(b);
    if (kind == EMPTY_DATA) put_request(b, 1, "POST", MATRIX, 0);
    if (kind == CONTINUATIONS) put_frame(b, HEADERS, END_STREAM, 1, "\x82\x86\x84", 3);
    for (uint32_t i = 0; i < (uint32_t)count; i++) {
        if (kind == RESETS) {
            put_request(b, 2 * i + 1, "POST", MATRIX, 0);
            put_frame(b, RST_STREAM, 0, 2 * i + 1, "\0\0\0\10", 4);
        }
        if (kind == PINGS) put_frame(b, PING, 0, 0, "12345678", 8);
        if (kind == SETTINGS_FRAMES) put_frame(b, SETTINGS, 0, 0, NULL, 0);
        if (kind == PRIORITIES) put_frame(b, PRIORITY, 0, 1, "\0\0\0\0\0", 5);
        if (kind == EMPTY_DATA) put_frame(b, DATA, 0, 1, NULL, 0);
        if (kind == CONTINUATIONS) put_frame(b, CONTINUATION, 0, 1, NULL, 0);
    }
    if (kind == CONTINUATIONS) put_frame(b, CONTINUATION, END_HEADERS, 1, "\x41\1x", 3);
    put_frame(b, PING, 0, 0, "the last", 8);
}

/* The same bytes pass where a client may do more, and end the connection where it may do less; others do not
 * notice. */
static void ends_floods(void **state) {
    (void)state;
    for (int strict = 0; strict < 2; strict++) {
        fixture f;
        hone_server_options o = small_options();
        o.reset_rate = o.control_rate = strict ? 1 : 100000;
        start(&f, &o);
        client other = client_open(f.port);
        for (int kind = 0; kind < FLOODS; kind++) {
            hone_buffer bytes = {0};
            put_flood(&bytes, kind, 800);
            uint32_t code = flood(f.port, &bytes);
            /* nghttp2 has a limit of its own for continuations that carry nothing: it closes */
            bool fine =
                strict ? code == NGHTTP2_ENHANCE_YOUR_CALM || (kind == CONTINUATIONS && code != UINT32_MAX)
                       : code == UINT32_MAX || kind == CONTINUATIONS;
            if (!fine) fail_msg("flood %d, strict %d: %u", kind, strict, code);
            check(client_ask(&other, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
            hone_buffer_free(&bytes);
        }
        client_close(&other);
        stop(&f);
    }
}

/* --- clients that dawdle --- */

/* Opens connections that never get to an end: half heads, and half bodies. */
static int open_dawdlers(int port, client *clients, int count) {
    static const char *const starts[] = {
        "G", "GET /v1/models/matrix HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{",
        "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        HONE_HTTP2_PREFACE};
    for (int i = 0; i < count; i++) {
        clients[i] = client_open(port);
        if (clients[i].fd < 0 || !client_text(&clients[i], starts[i % 5])) return i;
    }
    return count;
}

static void serves_beside_those_who_dawdle(void **state) {
    int count = getenv("HONE_LONG") ? 2000 : 200;
    struct rlimit files;
    fixture f;
    hone_server_options o = small_options();
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    if (files.rlim_cur < (rlim_t)(2 * count + 100)) {
        files.rlim_cur =
            files.rlim_max < (rlim_t)(2 * count + 100) ? files.rlim_max : (rlim_t)(2 * count + 100);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
        if (files.rlim_cur < (rlim_t)(2 * count + 100)) count = ((int)files.rlim_cur - 100) / 2;
    }
    o.header_timeout_ms = 600000; /* they stay as long as the test lasts */
    start(&f, &o);
    client *clients = calloc((size_t)count, sizeof *clients);
    assert_non_null(clients);
    assert_int_equal(open_dawdlers(f.port, clients, count), count);
    for (int k = 0; k < 20; k++) {
        client c = client_open(f.port);
        for (int i = 0; i < 20; i++) check(client_ask(&c, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
        client_close(&c);
    }
    for (int i = 0; i < count; i++) client_close(&clients[i]);
    free(clients);
    stop(&f);
}

/* Bytes that trickle don't buy a head more time. */
static void gives_up_on_those_who_dawdle(void **state) {
    enum { COUNT = 50 };
    fixture f;
    client clients[COUNT];
    hone_server_options o = small_options();
    int left = COUNT;
    (void)state;
    o.header_timeout_ms = 300;
    start(&f, &o);
    assert_int_equal(open_dawdlers(f.port, clients, COUNT), COUNT);
    for (int round = 0; round < 2 * CLIENT_WAIT_MS / 50 && left > 0; round++) {
        for (int i = 0; i < COUNT; i++) {
            if (clients[i].fd < 0) continue;
            if (i % 5 == 1) (void)!client_send(&clients[i], "x", 1);
            if (client_more(&clients[i], 0) != 0) continue;
            client_close(&clients[i]);
            left--;
        }
        usleep(50000);
    }
    assert_int_equal(left, 0);
    stop(&f);
}

/* --- bad options --- */

static void refuses_bad_limits(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        hone_server_options o = small_options();
        int *const fields[] = {&o.max_streams, &o.max_queue, &o.reset_rate, &o.control_rate, &o.max_requests};
        static const char *const names[] = {"max_streams", "max_queue", "reset_rate", "control_rate",
                                            "max_requests"};
        *fields[i % 5] = i % 5 == 4 ? -1 : i < 5 ? 0 : 1000001;
        hone_server *s;
        hone_error err = {0};
        assert_int_equal(hone_server_create(&o, &s, &err), HONE_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, names[i % 5]));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bounds_requests),
                                       cmocka_unit_test(counts_no_request_twice),
                                       cmocka_unit_test(keeps_deadlines_of_requests),
                                       cmocka_unit_test(ends_bodies_that_trickle),
                                       cmocka_unit_test(takes_small_bodies_at_open_paths),
                                       cmocka_unit_test(says_when_the_budget_is_small),
                                       cmocka_unit_test(limits_streams),
                                       cmocka_unit_test(ends_floods),
                                       cmocka_unit_test(serves_beside_those_who_dawdle),
                                       cmocka_unit_test(gives_up_on_those_who_dawdle),
                                       cmocka_unit_test(refuses_bad_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
