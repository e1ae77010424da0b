#include "base/thread.h"
#include "serve/servers.h"

#include <hone/log.h>

#include <math.h>
#include <stdatomic.h>
#include <sys/resource.h>

/* A test with a server of small_options() for it. */
#define SERVED(test) cmocka_unit_test_setup_teardown(test, open_server, close_server)

static int open_server(void **state) {
    static fixture f;
    hone_server_options o = small_options();
    start(&f, &o);
    *state = &f;
    return 0;
}

static int close_server(void **state) {
    stop(*state);
    return 0;
}

static void serves_on_one_connection(void **state) {
    fixture *f = *state;
    client c = client_open(f->port);
    for (int i = 0; i < 50; i++) check(client_ask(&c, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
    check(client_ask(&c, "GET", "/healthz", NULL), 200, "ok\n");
    check(client_ask(&c, "GET", "/readyz", NULL), 200, "ready\n");
    check(client_ask(&c, "GET", "/", NULL), 200, "{\"status\":\"alive\"}");
    reply r = client_ask(&c, "HEAD", "/healthz", NULL);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.head, "Content-Length: 3\r\n"));
    check_has(client_ask(&c, "GET", "/v1/models/matrix", NULL), 200, "AVAILABLE");
    check_has(client_ask(&c, "GET", "/v1/models/matrix/metadata", NULL), 200, "DT_FLOAT");
    check(client_ask(&c, "POST", "/v1/models/none:predict", ONE_ROW), 404,
          "{\n    \"error\": \"Servable not found for request: Latest(none)\"\n}");
    check(client_ask(&c, "GET", "/v1/x", NULL), 400, "{\n    \"error\": \"Malformed request: GET /v1/x\"\n}");
    check_has(client_ask(&c, "GET", "/nothing", NULL), 404, "GET /nothing");
    check_has(client_ask(&c, "POST", "/healthz", ""), 405, "error");
    check_has(client_ask(&c, "POST", MATRIX, "{\"instances\": [[1, 0"), 400, "JSON Parse error");
    check_has(client_ask(&c, "POST", MATRIX, "{\"instances\": [[1, 0]]}"), 400,
              "input \\\"x\\\" has the shape [1, 2]");
    check(client_ask(&c, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
    assert_true(client_text(&c, "GET /healthz HTTP/1.0\r\n\r\n"));
    r = client_reply(&c, false);
    check(r, 200, "ok\n");
    assert_non_null(strstr(r.head, "Connection: close"));
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
}

static void serves_pipelines(void **state) {
    fixture *f = *state;
    client c = client_open(f->port);
    char text[256];
    snprintf(text, sizeof text, "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n" ONE_ROW,
             strlen(ONE_ROW));
    /* More at once than one read takes, and cut in odd places. */
    enum { COUNT = 2000 };
    size_t n = strlen(text);
    char *all = malloc(n * COUNT);
    assert_non_null(all);
    for (int i = 0; i < COUNT; i++) memcpy(all + (size_t)i * n, text, n);
    for (size_t at = 0; at < n * COUNT; at += 9973) {
        size_t left = n * COUNT - at;
        assert_true(client_send(&c, all + at, left < 9973 ? left : 9973));
    }
    for (int i = 0; i < COUNT; i++) check(client_reply(&c, false), 200, ONE_ROW_ANSWER);
    free(all);
    client_close(&c);
}

static void serves_chunks_and_pieces(void **state) {
    fixture *f = *state;
    client c = client_open(f->port);
    for (int i = 0; i < 3; i++) {
        assert_true(client_text(&c,
                                "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "a\r\n{\"instance\r\n"));
        usleep(5000);
        assert_true(client_text(&c, "10;x=y\r\ns\": [[1, 0, 0]]}\r\n0\r\nTrailer: z\r\n\r\n"));
        check(client_reply(&c, false), 200, ONE_ROW_ANSWER);
    }
    const char *slow = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const char *p = slow; *p; p++) {
        assert_true(client_send(&c, p, 1));
        if (p - slow < 10) usleep(500);
    }
    check(client_reply(&c, false), 200, "ok\n");
    client_close(&c);
}

static void says_continue(void **state) {
    fixture *f = *state;
    client c = client_open(f->port);
    char text[256];
    snprintf(text, sizeof text,
             "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
             strlen(ONE_ROW));
    assert_true(client_text(&c, text));
    check(client_reply(&c, false), 100, NULL);
    assert_true(client_text(&c, ONE_ROW));
    check(client_reply(&c, false), 200, ONE_ROW_ANSWER);
    assert_true(client_text(
        &c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"));
    check_has(client_reply(&c, false), 413, "too large");
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
}

/* The answer arrives although the client is still sending what is refused. */
static void refuses_what_is_too_large(void **state) {
    fixture *f = *state;
    size_t size = (size_t)2 << 20;
    char *body = malloc(size);
    assert_non_null(body);
    memset(body, ' ', size);
    client c = client_open(f->port);
    assert_true(client_text(&c, "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 2097152\r\n\r\n"));
    client_send(&c, body, size);
    check_has(client_reply(&c, false), 413, "too large");
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
    c = client_open(f->port);
    assert_true(client_text(&c, "POST " MATRIX
                                " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n80000\r\n"));
    client_send(&c, body, 0x80000);
    client_text(&c, "\r\n80001\r\n");
    client_send(&c, body, 0x80001);
    check_has(client_reply(&c, false), 413, "too large");
    client_close(&c);
    c = client_open(f->port);
    client_text(&c, "GET / HTTP/1.1\r\nHost: x\r\nA: ");
    client_send(&c, body, 4000);
    check_has(client_reply(&c, false), 400 + 31, "too large");
    client_close(&c);
    /* at the limit it is taken */
    c = client_open(f->port);
    size_t most = (size_t)1 << 20;
    memcpy(body, ONE_ROW, strlen(ONE_ROW));
    client_text(&c, "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n");
    assert_true(client_send(&c, body, most));
    check(client_reply(&c, false), 200, ONE_ROW_ANSWER);
    client_close(&c);
    free(body);
}

static void refuses_smuggling(void **state) {
    fixture *f = *state;
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nX-Abc:\rxTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\rX",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "GET / HTTP/1.1\nHost: x\n\n",
        "\x16\x03\x01 hello\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        client c = client_open(f->port);
        assert_true(client_text(&c, texts[i]));
        reply r = client_reply(&c, false);
        if (r.status != 400) fail_msg("%s: %d", texts[i], r.status);
        assert_non_null(strstr(r.head, "Connection: close\r\n"));
        assert_non_null(strstr(r.body, "\"error\""));
        free(r.body);
        assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
        client_close(&c);
    }
}

/* Sends the beginning of a request, and then `drip` (if there is one) every few milliseconds: is it told that
 * it took too long, and is the connection closed? On a machine that stalls, the server may give up before
 * anything was sent; then it is tried again. */
static bool is_too_slow(int port, const char *begin, const char *drip) {
    for (int tries = 0; tries < 50; tries++) {
        client c = client_open(port);
        client_text(&c, begin);
        int more = -1;
        for (int i = 0; i < CLIENT_WAIT_MS / 20 && more < 0 && drip; i++) {
            client_text(&c, drip);
            more = client_more(&c, 20);
        }
        reply r = client_reply(&c, false);
        bool told = r.status == 408 && strstr(r.body, "in time") && client_sees_close(&c, CLIENT_WAIT_MS);
        free(r.body);
        client_close(&c);
        if (told) return true;
    }
    return false;
}

static void times_out(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = small_options();
    o.header_timeout_ms = 100;
    o.idle_timeout_ms = 0;
    start(&f, &o);
    assert_true(is_too_slow(f.port, "GET / HTTP/1.1\r\nHost:", NULL));
    assert_true(is_too_slow(f.port, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab", NULL));
    /* a byte now and then does not prolong a head */
    assert_true(is_too_slow(f.port, "GET / HTTP/1.1\r\nHost: ", "a"));
    stop(&f);
    o.header_timeout_ms = 0;
    o.idle_timeout_ms = 100;
    start(&f, &o);
    bool served = false;
    for (int tries = 0; tries < 50 && !served; tries++) {
        client idle = client_open(f.port);
        reply r = client_ask(&idle, "GET", "/healthz", NULL);
        served = r.status == 200; /* not if this thread stalls before it asks */
        free(r.body);
        assert_true(client_sees_close(&idle, CLIENT_WAIT_MS));
        client_close(&idle);
    }
    assert_true(served);
    stop(&f);
}

static void limits_connections(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = small_options();
    o.max_connections = 2;
    start(&f, &o);
    client a = client_open(f.port), b = client_open(f.port);
    check(client_ask(&a, "GET", "/healthz", NULL), 200, "ok\n");
    check(client_ask(&b, "GET", "/healthz", NULL), 200, "ok\n");
    client c = client_open(f.port);
    check(client_reply(&c, false), 503, "{\"error\": \"The server has too many connections\"}");
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
    client_close(&a);
    bool served = false;
    for (int i = 0; i < CLIENT_WAIT_MS / 5 && !served;
         i++) { /* the place is free again once the server has seen it go */
        c = client_open(f.port);
        reply r = client_ask(&c, "GET", "/healthz", NULL);
        served = r.status == 200;
        free(r.body);
        client_close(&c);
        if (!served) usleep(5000);
    }
    assert_true(served);
    client_close(&b);
    stop(&f);
}

static void survives_lack_of_descriptors(void **state) {
    fixture *f = *state;
    struct rlimit before, tight;
    client a = client_open(f->port);
    check(client_ask(&a, "GET", "/healthz", NULL), 200, "ok\n");
    client b = {.fd = client_socket()};
    int next = dup(b.fd); /* the lowest free descriptor */
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    tight.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    bool connected = client_connect_socket(b.fd, f->port);
    client_text(&b, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    int early = client_more(&b, 200);
    reply served = client_ask(&a, "GET", "/healthz", NULL);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_true(connected);
    assert_int_equal(early, -1);
    check(served, 200, "ok\n");
    check(client_reply(&b, false), 200, "ok\n");
    assert_true(metric(f->port, "hone_request_errors_total{reason=\"accept\"}") > 0);
    client_close(&a);
    client_close(&b);
}

static void counts(void **state) {
    fixture *f = *state;
    client c = client_open(f->port);
    for (int i = 0; i < 5; i++) free(client_ask(&c, "POST", MATRIX, ONE_ROW).body);
    for (int i = 0; i < 2; i++) free(client_ask(&c, "POST", MATRIX, "{").body);
    free(client_ask(&c, "POST", "/v1/models/none:predict", ONE_ROW).body);
    assert_true(metric(f->port, "hone_requests_total{model=\"matrix\",method=\"predict\",code=\"200\"}") ==
                5);
    assert_true(metric(f->port, "hone_requests_total{model=\"matrix\",method=\"predict\",code=\"400\"}") ==
                2);
    assert_true(metric(f->port, "hone_request_errors_total{reason=\"invalid\"}") == 2);
    assert_true(metric(f->port, "hone_request_errors_total{reason=\"not_found\"}") == 1);
    assert_true(metric(f->port, "hone_request_seconds_count{model=\"matrix\",method=\"predict\"}") == 7);
    assert_true(metric(f->port, "hone_stage_seconds_count{stage=\"compute\"}") == 5);
    assert_true(metric(f->port, "hone_requests_in_flight") == 1); /* the one that asks */
    wait_for(f->port, "hone_connections", 2); /* those of the questions above are closed a moment later */
    assert_true(metric(f->port, "hone_ready") == 1);
    assert_true(metric(f->port, "process_start_time_seconds") > 0);
    client_close(&c);
}

static void cancels_for_clients_that_went(void **state) {
    fixture *f = *state;
    add_model(f->server, "endless", endless_model());
    char *body = rows_body(ENDLESS_ROWS);
    client c = client_open(f->port);
    assert_true(send_post(&c, ENDLESS, body));
    wait_for(f->port, "hone_requests_in_flight", 2); /* it, and the one that asks */
    usleep(20000);                                   /* by now it runs, most likely */
    client d = client_open(f->port);
    check(client_ask(&d, "GET", "/healthz", NULL), 200, "ok\n"); /* it runs elsewhere: the loop is free */
    client_close(&d);
    client_close(&c);
    wait_for(f->port, "hone_request_errors_total{reason=\"cancelled\"}", 1);
    double runs = 0, drops = 0; /* whether it ran or still waited: it has ended, long before its time */
    for (int i = 0; i < CLIENT_WAIT_MS / 5 && runs + drops == 0; i++, usleep(5000)) {
        runs = fmax(0, metric(f->port, "hone_stage_seconds_count{stage=\"compute\"}"));
        drops = fmax(0, metric(f->port, "hone_queue_dropped_total{model=\"endless\",reason=\"cancelled\"}"));
    }
    assert_true(runs + drops == 1);
    assert_true(metric(f->port, OK_ENDLESS) == -1);
    free(body);
}

static void keeps_deadlines(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = small_options();
    o.request_timeout_ms = 15;
    start(&f, &o);
    add_model(f.server, "endless", endless_model());
    char *body = rows_body(ENDLESS_ROWS);
    client c = client_open(f.port);
    for (int i = 0; i < 3; i++) check_has(client_ask(&c, "POST", ENDLESS, body), 504, "longer than");
    check(client_ask(&c, "GET", "/healthz", NULL), 200, "ok\n");
    client_close(&c);
    free(body);
    stop(&f);
}

enum { GRACE_MS = 200 /* how long a draining server keeps a connection that has nothing to say */ };

typedef struct asker {
    pthread_t thread;
    int port, good, bad, lost, late;
    atomic_bool begun; /* has had an answer */
    bool until_close;
} asker;

/* Asks on one connection after the other until told "Connection: close" (or 200 times). Every request must be
 * answered, but for one that comes so late after the one before it that a draining server may have closed. */
static void *ask_on(void *arg) {
    asker *a = arg;
    uint64_t before = hone_now();
    client c = client_open(a->port);
    for (bool last = false; !last && (a->until_close || a->good + a->bad < 200);) {
        uint64_t begin = hone_now();
        bool sent = send_post(&c, MATRIX, ONE_ROW), late = hone_now() - before >= GRACE_MS * HONE_MILLISECOND;
        reply r = {0};
        if (sent) r = client_reply(&c, false);
        if (r.status == 200 && strcmp(r.body, ONE_ROW_ANSWER) == 0)
            a->good++;
        else if (r.status > 0)
            a->bad++;
        else
            late ? a->late++ : a->lost++;
        last = r.status <= 0 || strstr(r.head, "Connection: close") != NULL;
        free(r.body);
        before = begin;
        atomic_store(&a->begun, true);
    }
    client_close(&c);
    return NULL;
}

static void start_askers(asker *askers, int count, int port, bool until_close) {
    for (int i = 0; i < count; i++) {
        askers[i] = (asker){.port = port, .until_close = until_close};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_on, &askers[i]), 0);
    }
    for (int i = 0; i < count; i++)
        while (!atomic_load(&askers[i].begun)) usleep(1000);
}

static void serves_on_many_threads(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = small_options();
    o.threads = 3;
    start(&f, &o);
    asker askers[8];
    start_askers(askers, 8, f.port, false);
    for (int i = 0; i < 8; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].good, 200);
    }
    stop(&f);
}

static void drains_under_load(void **state) {
    (void)state;
    int good = 0, late = 0;
    for (int round = 0; round < 5; round++) {
        fixture f;
        hone_server_options o = small_options();
        o.threads = 2;
        o.drain_timeout_ms = 0x7fffffff; /* nothing of it is needed: else this never ends */
        start(&f, &o);
        client idle = client_open(f.port);
        check(client_ask(&idle, "GET", "/healthz", NULL), 200, "ok\n");
        asker askers[8];
        start_askers(askers, 8, f.port, true);
        usleep(20000);
        stop(&f);
        for (int i = 0; i < 8; i++) {
            pthread_join(askers[i].thread, NULL);
            good += askers[i].good;
            late += askers[i].late;
            assert_int_equal(askers[i].bad, 0);
            assert_int_equal(askers[i].lost, 0);
        }
        assert_true(client_sees_close(&idle, CLIENT_WAIT_MS));
        client_close(&idle);
    }
    print_message("5 times stopped under load: %d answered, 0 lost (%d came too late)\n", good, late);
    assert_true(good >= 5 * 8);
}

/* As many rows for the model "endless" as keep this machine busy for a while: the better of two tries. */
static int rows_for_a_while(int port) {
    client c = client_open(port);
    int rows = 8;
    for (uint64_t best = 0; best < 200 * HONE_MILLISECOND && rows < ENDLESS_ROWS; rows *= 2) {
        char *body = rows_body(2 * rows);
        best = UINT64_MAX;
        for (int i = 0; i < 2; i++) {
            uint64_t begin = hone_now();
            reply r = client_ask(&c, "POST", ENDLESS, body);
            uint64_t took = hone_now() - begin;
            assert_int_equal(r.status, 200);
            free(r.body);
            if (took < best) best = took;
        }
        free(body);
    }
    client_close(&c);
    return rows;
}

/* A request that is being read or computed when the server is told to stop gets its answer. */
static void drains_running_requests(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = small_options();
    o.threads = 2;
    o.header_timeout_ms = o.request_timeout_ms = 0;
    o.drain_timeout_ms = 0x7fffffff;
    start(&f, &o);
    add_model(f.server, "endless", endless_model());
    char *body = rows_body(rows_for_a_while(f.port)), head[256];
    client computed = client_open(f.port), read_later = client_open(f.port);
    int n = snprintf(head, sizeof head, "POST " ENDLESS " HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                     strlen(body));
    double before = metric(f.port, OK_ENDLESS);
    assert_true(client_send(&computed, head, (size_t)n) && client_text(&computed, body));
    assert_true(client_send(&read_later, head, (size_t)n - 10));
    /* it, and the one that asks; where this thread stalls, it may be over already */
    while (metric(f.port, "hone_requests_in_flight") < 2 && metric(f.port, OK_ENDLESS) == before)
        usleep(1000);
    hone_server_stop(f.server);
    hone_server_stop(f.server);              /* twice is once */
    for (client late = {0}; late.fd >= 0;) { /* it takes no more connections */
        late = client_open(f.port);
        if (late.fd >= 0) close(late.fd);
    }
    assert_true(client_send(&read_later, head + n - 10, 10) && client_text(&read_later, body));
    reply a = client_reply(&computed, false), b = client_reply(&read_later, false);
    assert_int_equal(a.status, 200);
    assert_int_equal(b.status, 200);
    assert_non_null(strstr(b.head, "Connection: close"));
    free(a.body);
    free(b.body);
    join(&f);
    client_close(&computed);
    client_close(&read_later);
    free(body);
}

static void stops_waiting_at_the_drain_timeout(void **state) {
    (void)state;
    fixture f;
    hone_server_options o = small_options();
    o.header_timeout_ms = 0;
    o.drain_timeout_ms = 100;
    start(&f, &o);
    client c = client_open(f.port);
    client_text(&c, "GET / HTTP/1.1\r\n"); /* and never more: without the timeout this would never end */
    uint64_t begin = hone_now();
    stop(&f);
    assert_true(hone_now() - begin >= 95 * HONE_MILLISECOND);
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
}

static bool is_unready_and_accepts(int delay_ms) {
    fixture f;
    hone_server_options o = small_options();
    o.drain_delay_ms = delay_ms;
    start(&f, &o);
    client c = client_open(f.port);
    check(client_ask(&c, "GET", "/readyz", NULL), 200, "ready\n");
    hone_server_stop(f.server);
    reply r = {.status = 200};
    client d = {.fd = -1};
    while (r.status == 200) { /* until the server has noticed */
        client_close(&d);
        d = client_open(f.port);
        free(r.body);
        r = client_ask(&d, "GET", "/readyz", NULL);
    }
    bool seen = r.status == 503;
    if (seen) check(client_ask(&d, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
    free(r.body);
    client_close(&c);
    client_close(&d);
    join(&f);
    return seen;
}

/* On a machine that stalls for longer than the delay, with a longer one. */
static void is_not_ready_while_it_still_accepts(void **state) {
    (void)state;
    bool seen = false;
    for (int delay = 200; delay < 60000 && !seen; delay *= 4) seen = is_unready_and_accepts(delay);
    assert_true(seen);
}

static int warnings;
static void count_warnings(void *user, hone_log_level level, const char *message) {
    (void)user;
    if (level == HONE_LOG_WARNING && strstr(message, ", going on with ")) warnings++;
}

/* Six threads are asked for: the loader's, three loops' and two that compute. */
static void goes_on_with_fewer_threads(void **state) {
    (void)state;
    enum { NEEDED = 2, ALL = 6 };
    hone_server_options o = small_options();
    hone_error err;
    fixture f;
    o.threads = 3;
    o.compute_threads = 2;
    for (int given = 0; given < NEEDED; given++) {
        hone_thread_fail_after(given);
        hone_status status = hone_server_create(&o, &f.server, &err);
        hone_thread_fail_after(-1);
        assert_int_equal(status, HONE_IO);
        assert_non_null(strstr(err.message, "no thread can be started"));
    }
    for (int given = NEEDED; given <= ALL; given++) {
        warnings = 0;
        hone_log_set(count_warnings, NULL, HONE_LOG_WARNING);
        hone_thread_fail_after(given);
        start(&f, &o);
        hone_thread_fail_after(-1);
        hone_log_set(NULL, NULL, HONE_LOG_INFO);
        assert_int_equal(warnings, given == ALL ? 0 : given < NEEDED + 2 ? 2 : 1);
        client c[4];
        char *body = rows_body(20000); /* long enough to be decoded by a compute thread */
        for (int i = 0; i < 4; i++) {
            c[i] = client_open(f.port);
            check(client_ask(&c[i], "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
            check_has(client_ask(&c[i], "POST", MATRIX, body), 400, "has the shape [20000, 1]");
        }
        for (int i = 0; i < 4; i++) client_close(&c[i]);
        free(body);
        stop(&f);
    }
}

/* What may be set wrong, each on top of small_options(). */
static void bad_model(hone_server_options *o) {
    static const char *const models[] = {"no-equals-sign"};
    o->models = models;
    o->model_count = 1;
}
static void missing_model(hone_server_options *o) {
    static const char *const models[] = {"m=/nowhere/model.onnx"};
    o->models = models;
    o->model_count = 1;
}
static void models_and_config(hone_server_options *o) {
    missing_model(o);
    o->model_config_file = "/nowhere/models.config";
}
static void negative_timeout(hone_server_options *o) {
    o->idle_timeout_ms = -1;
}
static void large_port(hone_server_options *o) {
    o->port = 65536;
}
static void no_streams(hone_server_options *o) {
    o->max_streams = 0;
}
static void small_heads(hone_server_options *o) {
    o->max_header_bytes = 63;
}
static void bad_mode(hone_server_options *o) {
    o->unix_socket = "socket";
    o->unix_socket_mode = 01000;
}
static void half_of_tls(hone_server_options *o) {
    o->tls_key_file = "server.key";
}

static void refuses_bad_options(void **state) {
    (void)state;
    static const struct {
        void (*set)(hone_server_options *o);
        hone_status status;
        const char *message;
    } cases[] = {
        {bad_model, HONE_INVALID_ARGUMENT, "no-equals-sign"},
        {models_and_config, HONE_INVALID_ARGUMENT, "model_config_file"},
        {negative_timeout, HONE_INVALID_ARGUMENT, "idle_timeout_ms must be from 0 to "},
        {large_port, HONE_INVALID_ARGUMENT, "port must be from 0 to 65535, not 65536"},
        {no_streams, HONE_INVALID_ARGUMENT, "max_streams must be from 1 to 1000000, not 0"},
        {small_heads, HONE_INVALID_ARGUMENT, "max_header_bytes must be 64 or more, not 63"},
        {bad_mode, HONE_INVALID_ARGUMENT, "unix_socket_mode must be from 0 to 0777, not 01000"},
        {half_of_tls, HONE_INVALID_ARGUMENT, "tls_cert_file and tls_key_file go together"},
    };
    hone_server *s;
    hone_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_server_options o = small_options();
        cases[i].set(&o);
        assert_int_equal(hone_server_create(&o, &s, &err), cases[i].status);
        if (!strstr(err.message, cases[i].message)) fail_msg("%s: no %s", err.message, cases[i].message);
    }
    hone_server_free(NULL);
}

static void needs_the_models_that_were_named(void **state) {
    (void)state;
    hone_server_options o = small_options();
    hone_server *s;
    hone_error err = {0};
    missing_model(&o);
    assert_int_equal(hone_server_create(&o, &s, &err), HONE_OK);
    assert_int_equal(hone_server_run(s, &err), HONE_NOT_FOUND);
    assert_non_null(strstr(err.message, "model m"));
    hone_server_free(s);
}

static void refuses_a_port_in_use(void **state) {
    const fixture *f = *state;
    hone_server_options o = small_options();
    hone_server *second;
    hone_error err;
    o.port = f->port;
    assert_int_equal(hone_server_create(&o, &second, &err), HONE_IO);
    assert_non_null(strstr(err.message, "127.0.0.1"));
}

/* Every allocation while a server is made fails in turn. */
static void survives_lack_of_memory(void **state) {
    (void)state;
    hone_server_options o = small_options();
    bool made = false;
    for (uint64_t n = 1; n < 1000 && !made; n++) {
        hone_server *s = NULL;
        hone_alloc_fail_at(n, false);
        hone_status status = hone_server_create(&o, &s, NULL);
        hone_alloc_fail_at(0, false);
        if (status != HONE_OK) assert_null(s);
        made = status == HONE_OK && n > 20;
        hone_server_free(s);
    }
    assert_true(made);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SERVED(serves_on_one_connection),
        SERVED(serves_pipelines),
        SERVED(serves_chunks_and_pieces),
        SERVED(says_continue),
        SERVED(refuses_what_is_too_large),
        SERVED(refuses_smuggling),
        cmocka_unit_test(times_out),
        cmocka_unit_test(limits_connections),
        SERVED(survives_lack_of_descriptors),
        SERVED(counts),
        SERVED(cancels_for_clients_that_went),
        cmocka_unit_test(keeps_deadlines),
        cmocka_unit_test(serves_on_many_threads),
        cmocka_unit_test(drains_under_load),
        cmocka_unit_test(drains_running_requests),
        cmocka_unit_test(stops_waiting_at_the_drain_timeout),
        cmocka_unit_test(is_not_ready_while_it_still_accepts),
        cmocka_unit_test(goes_on_with_fewer_threads),
        cmocka_unit_test(refuses_bad_options),
        cmocka_unit_test(needs_the_models_that_were_named),
        SERVED(refuses_a_port_in_use),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
