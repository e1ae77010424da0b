/* The loop and its connections under handlers that answer late, slowly, or never. */
#include "base/memory.h"
#include "serve/client.h"
#include "serve/net/listener.h"
#include "serve/tls_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>

#include <cmocka.h>

enum { PIECE = 100000, PIECES = 200 };

/* A handler's view of what happened; written by the loop's thread, read after it ended or where said. */
typedef struct fixture {
    hone_stats *stats;
    hone_loop_config config;
    hone_loop *loop;
    hone_listener *listener;
    pthread_t thread, acceptor;
    int port, stop_fd;
    hone_tls *tls; /* NULL: cleartext */
    hone_endpoint endpoint;
    hone_request *held;
    struct event *timer;
    int pieces, pauses;
    bool unsized; /* the length of the stream is not said */
    atomic_int cancelled, answered;
    atomic_int taken; /* requests that wait for a late answer */
    atomic_bool hold; /* late answers wait until the loop drains */
} fixture;

static char piece_byte(int index) {
    return (char)('a' + index % 26);
}

/* Sends pieces until the sink is full, then waits to be resumed. */
static void stream(hone_request *r, void *producer) {
    fixture *f = producer;
    static char piece[PIECE];
    while (f->pieces < PIECES) {
        memset(piece, piece_byte(f->pieces++), sizeof piece);
        if (hone_request_part(r, piece, sizeof piece)) continue;
        f->pauses++;
        r->resume = stream;
        r->producer = f;
        return;
    }
    hone_request_end(r);
    atomic_fetch_add(&f->answered, 1);
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
    fixture *f = arg;
    hone_request *r = f->held;
    struct timeval again = {.tv_usec = 5000};
    (void)fd, (void)what;
    bool stop = hone_request_should_stop(r);
    bool wait = atomic_load(&f->hold) && !f->loop->draining;
    if (!stop && (wait || hone_slice_equal_nocase(r->head.path, "/never"))) {
        event_add(f->timer, &again);
        return;
    }
    f->held = NULL; /* answering may bring the next request */
    if (stop) {
        atomic_fetch_add(&f->cancelled, 1);
        hone_request_answer(r, 200, "text/plain", "nobody hears", 12);
    } else {
        hone_request_answer(r, 200, "text/plain", "late", 4);
        atomic_fetch_add(&f->answered, 1);
    }
    hone_request_release(r);
}

static void handle(void *user, hone_loop *loop, hone_request *r) {
    fixture *f = user;
    struct timeval soon = {.tv_usec = 20000};
    if (hone_slice_equal_nocase(r->head.path, "/now")) {
        hone_request_answer(r, 200, "text/plain", "now", 3);
    } else if (hone_slice_equal_nocase(r->head.path, "/stream")) {
        f->pieces = 0;
        hone_request_begin(r, 200, "text/plain", f->unsized ? -1 : (int64_t)PIECE * PIECES);
        stream(r, f);
    } else {
        f->held = hone_request_retain(r);
        atomic_fetch_add(&f->taken, 1);
        if (!f->timer) f->timer = event_new(loop->base, -1, 0, on_timer, f);
        event_add(f->timer, &soon);
    }
}

static client connect_to(fixture *f) {
    return f->tls ? tls_open(f->port, NULL) : client_open(f->port);
}

static void *run(void *arg) {
    hone_loop_run(arg);
    return NULL;
}

static void *accept_all(void *arg) {
    fixture *f = arg;
    hone_listener_run(f->listener, f->stop_fd, -1);
    return NULL;
}

static void start(fixture *f, void **state) {
    *f = (fixture){.config = {.limits = {.head_bytes = 4096, .body_bytes = 4096},
                              .idle_timeout = 60000 * HONE_MILLISECOND,
                              .header_timeout = 60000 * HONE_MILLISECOND,
                              .drain_grace = 50 * HONE_MILLISECOND,
                              .handler = handle,
                              .user = f}};
    assert_int_equal(hone_stats_new(&f->stats, NULL), HONE_OK);
    f->config.stats = f->stats;
    assert_int_equal(hone_loop_new(&f->config, 0, &f->loop, NULL), HONE_OK);
    if (*state) f->endpoint.tls = f->tls = make_test_tls(f->stats);
    hone_listener_options o = {.loops = &f->loop, .loop_count = 1, .stats = f->stats};
    assert_int_equal(hone_listener_new(&o, &f->listener, NULL), HONE_OK);
    assert_int_equal(hone_listener_add_port(f->listener, &f->endpoint, "127.0.0.1", 0, &f->port, NULL),
                     HONE_OK);
    f->stop_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(pthread_create(&f->thread, NULL, run, f->loop), 0);
    assert_int_equal(pthread_create(&f->acceptor, NULL, accept_all, f), 0);
}

static void finish(fixture *f, bool drain) {
    if (drain)
        hone_loop_drain(f->loop);
    else
        hone_loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    uint64_t one = 1;
    assert_int_equal(write(f->stop_fd, &one, sizeof one), sizeof one);
    pthread_join(f->acceptor, NULL);
    close(f->stop_fd);
    if (f->timer) event_free(f->timer);
    hone_request_release(f->held);
    hone_listener_free(f->listener);
    hone_loop_free(f->loop);
    hone_tls_free(f->tls);
    hone_stats_free(f->stats);
}

static void check(reply r, const char *body) {
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, body);
    free(r.body);
}

/* What comes while an answer is awaited is taken after it, in order. */
static void answers_late(void **state) {
    fixture f;
    start(&f, state);
    client c = connect_to(&f);
    client_text(&c, "GET /late HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\nGET /la");
    usleep(3000);
    client_text(&c, "te HTTP/1.1\r\nHost: x\r\n\r\n");
    check(client_reply(&c, false), "late");
    check(client_reply(&c, false), "now");
    check(client_reply(&c, false), "late");
    client_close(&c);
    finish(&f, true);
}

static void late_answers_allocate_nothing(void **state) {
    fixture f;
    uint64_t before = 0;
    start(&f, state);
    client c = connect_to(&f);
    for (int i = 0; i < 8; i++) {
        if (i == 3) before = hone_alloc_count();
        client_text(&c, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
        check(client_reply(&c, false), "late");
    }
    assert_int_equal(hone_alloc_count(), before);
    client_close(&c);
    finish(&f, true);
}

static void check_stream(reply *r) {
    assert_int_equal(r->status, 200);
    assert_int_equal(r->size, (size_t)PIECE * PIECES);
    for (int i = 0; i < PIECES; i++) {
        assert_int_equal(r->body[(size_t)i * PIECE], piece_byte(i));
        assert_int_equal(r->body[(size_t)(i + 1) * PIECE - 1], piece_byte(i));
    }
    free(r->body);
}

/* A client that reads slowly makes the producer wait; another one is served meanwhile. */
static void pauses_producers(void **state) {
    for (int unsized = 0; unsized < 2; unsized++) {
        fixture f;
        start(&f, state);
        f.unsized = unsized;
        client c = connect_to(&f), other = connect_to(&f);
        client_text(&c, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n");
        usleep(50000);
        assert_int_equal(atomic_load(&f.answered), 0);
        check(client_ask(&other, "GET", "/now", NULL), "now");
        reply r = client_reply(&c, false);
        check_stream(&r);
        assert_int_equal(strstr(r.head, "chunked") != NULL, unsized);
        check(client_reply(&c, false), "now");
        client_close(&c);
        client_close(&other);
        finish(&f, true);
        assert_true(f.pauses > 0);
        assert_int_equal(atomic_load(&f.answered), 1);
    }
}

/* HTTP/1.0 knows no chunks: the answer of unsaid length ends with the connection. */
static void ends_answers_by_closing(void **state) {
    fixture f;
    start(&f, state);
    f.unsized = true;
    client c = connect_to(&f);
    client_text(&c, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    reply r = client_reply(&c, false);
    assert_non_null(strstr(r.head, "Connection: close"));
    check_stream(&r);
    client_close(&c);
    c = connect_to(&f);
    client_text(&c, "GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    r = client_reply(&c, false);
    assert_non_null(strstr(r.head, "Connection: keep-alive"));
    check(r, "now");
    client_text(&c, "GET /now HTTP/1.0\r\n\r\n");
    check(client_reply(&c, false), "now");
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
    finish(&f, true);
}

static void wait_for(atomic_int *x, int value) {
    for (int i = 0; i < CLIENT_WAIT_MS && atomic_load(x) < value; i++) usleep(1000);
    assert_int_equal(atomic_load(x), value);
}

/* However a client goes, the work for it is told to stop. */
static void cancels(void **state) {
    fixture f;
    start(&f, state);
    for (int way = 0; way < 4; way++) {
        client c = connect_to(&f);
        client_text(&c, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
        if (way == 1) client_text(&c, "GET /now HTTP/1.1\r\nHost: x\r\n\r\n"); /* with input unread */
        wait_for(&f.taken, way + 1);
        struct linger reset = {.l_onoff = 1};
        if (way == 2) setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        if (way == 3) { /* more than is read ahead */
            char more[40000];
            memset(more, 'x', sizeof more);
            client_send(&c, more, sizeof more);
            usleep(10000);
        }
        client_close(&c);
        wait_for(&f.cancelled, way + 1);
    }
    client c = connect_to(&f);
    check(client_ask(&c, "GET", "/now", NULL), "now");
    client_close(&c);
    finish(&f, true);
    assert_int_equal(atomic_load(&f.answered), 0);
}

/* A client that goes in the middle of a stream frees everything. */
static void drops_streams(void **state) {
    fixture f;
    start(&f, state);
    for (int i = 0; i < 5; i++) {
        client c = connect_to(&f);
        client_text(&c, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_int_equal(client_more(&c, CLIENT_WAIT_MS), 1);
        client_close(&c);
    }
    client c = connect_to(&f);
    check(client_ask(&c, "GET", "/now", NULL), "now");
    client_close(&c);
    finish(&f, true);
}

static void drains_late_answers(void **state) {
    fixture f;
    start(&f, state);
    client c = connect_to(&f), idle = connect_to(&f);
    atomic_store(&f.hold, true); /* the answer waits until the loop drains */
    client_text(&c, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    while (atomic_load(&f.taken) == 0) usleep(1000);
    hone_loop_drain(f.loop);
    reply r = client_reply(&c, false);
    assert_non_null(strstr(r.head, "Connection: close"));
    check(r, "late");
    assert_true(client_sees_close(&idle, CLIENT_WAIT_MS));
    finish(&f, true);
    client_close(&c);
    client_close(&idle);
}

/* Stopping at once leaves nothing behind, whatever is under way. */
static void stops_at_once(void **state) {
    fixture f;
    start(&f, state);
    client a = connect_to(&f), b = connect_to(&f), c = connect_to(&f);
    client_text(&a, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    client_text(&b, "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nabc");
    client_text(&c, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    usleep(20000);
    finish(&f, false);
    client_close(&a);
    client_close(&b);
    client_close(&c);
}

static void idle_connections_own_no_buffers(void **state) {
    fixture f;
    start(&f, state);
    enum { COUNT = 100 };
    client c[COUNT];
    for (int i = 0; i < COUNT; i++) {
        c[i] = connect_to(&f);
        check(client_ask(&c[i], "GET", "/now", NULL), "now");
    }
    uint64_t before = hone_alloc_count();
    for (int round = 0; round < 5; round++)
        for (int i = 0; i < COUNT; i++) check(client_ask(&c[i], "GET", "/now", NULL), "now");
    assert_int_equal(hone_alloc_count(), before);
    for (int i = 0; i < COUNT; i++) client_close(&c[i]);
    finish(&f, true);
}

/* In cleartext, and over TLS. */
#define BOTH(test) cmocka_unit_test_prestate(test, NULL), cmocka_unit_test_prestate(test, test_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(answers_late),
        BOTH(late_answers_allocate_nothing),
        BOTH(pauses_producers),
        BOTH(ends_answers_by_closing),
        BOTH(cancels),
        BOTH(drops_streams),
        BOTH(drains_late_answers),
        BOTH(stops_at_once),
        BOTH(idle_connections_own_no_buffers),
    };
    return cmocka_run_group_tests(tests, make_test_certificates, remove_test_certificates);
}
