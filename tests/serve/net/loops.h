/* A loop behind a listener, in cleartext or over TLS, with a handler that answers at once, late, slowly, or
 * never, as the path says. */
#ifndef HONE_TESTS_SERVE_NET_LOOPS_H
#define HONE_TESTS_SERVE_NET_LOOPS_H

#include "base/memory.h"
#include "serve/client.h"
#include "serve/net/listener.h"
#include "serve/tls_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>

#include <cmocka.h>

enum { PIECE = 100000, PIECES = 200, HELD = 128 };

/* Written by the loop's thread, read after it ended or where said. */
typedef struct fixture {
    hone_stats *stats;
    hone_loop_config config;
    hone_loop *loop;
    hone_listener *listener;
    pthread_t thread, acceptor;
    int port, stop_fd;
    hone_tls *tls; /* NULL: cleartext */
    hone_endpoint endpoint;
    hone_request *held[HELD]; /* to be answered by the timer, or by "/release" */
    int held_count;
    struct event *timer;
    int pieces, pauses;
    bool unsized; /* the length of the stream is not said */
    atomic_int started, cancelled, answered;
    atomic_int taken; /* requests that wait for a late answer */
    atomic_bool hold; /* late answers wait until the loop drains */
} fixture;

static inline char piece_byte(int index) {
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

/* Takes what is held: answering may bring the next requests. */
static inline int take_held(fixture *f, hone_request *out[HELD]) {
    int count = f->held_count;
    memcpy(out, f->held, sizeof f->held);
    f->held_count = 0;
    return count;
}

static inline void hold(fixture *f, hone_request *r) {
    if (f->held_count == HELD) abort();
    f->held[f->held_count++] = r;
}

/* More than the socket takes, and the answer ends before the client has it. */
static inline void answer_at_length(hone_request *r) {
    hone_buffer b = {0};
    for (int i = 0; i < PIECES; i++)
        if (hone_buffer_reserve(&b, PIECE)) memset(b.data + b.size, piece_byte(i), PIECE), b.size += PIECE;
    hone_request_answer_of(r, 200, "text/plain", &b);
    hone_buffer_free(&b);
}

static inline void on_timer(evutil_socket_t fd, short what, void *arg) {
    fixture *f = arg;
    hone_request *held[HELD];
    struct timeval again = {.tv_usec = 5000};
    int count = take_held(f, held);
    bool left = false;
    (void)fd, (void)what;
    for (int i = 0; i < count; i++) {
        hone_request *r = held[i];
        bool stop = hone_request_should_stop(r), wait = atomic_load(&f->hold) && !f->loop->draining;
        if (!stop && (wait || hone_slice_equal(r->head.path, "/never"))) {
            hold(f, r);
            left = true;
            continue;
        }
        if (hone_slice_equal(r->head.path, "/long"))
            answer_at_length(r);
        else
            hone_request_answer(r, 200, "text/plain", "late", 4);
        atomic_fetch_add(stop ? &f->cancelled : &f->answered, 1);
        hone_request_release(r);
    }
    if (left) event_add(f->timer, &again);
}

static inline void answer_late(fixture *f, hone_loop *loop, hone_request *r) {
    struct timeval soon = {.tv_usec = 20000};
    hold(f, hone_request_retain(r));
    atomic_fetch_add(&f->taken, 1);
    if (!f->timer) f->timer = event_new(loop->base, -1, 0, on_timer, f);
    event_add(f->timer, &soon);
}

static inline void answer_richly(hone_request *r) {
    hone_request_field(r, "x-head", "1");
    hone_request_begin(r, 200, "text/plain", -1);
    hone_request_part(r, "rich", 4);
    hone_request_trailer(r, "x-last", "2");
    hone_request_end(r);
}

/* Answers others first, as a batch does. */
static inline void release_held(fixture *f) {
    hone_request *held[HELD];
    int count = take_held(f, held);
    for (int i = 0; i < count; i++) {
        hone_request_answer(held[i], 200, "text/plain", "released", 8);
        hone_request_release(held[i]);
    }
}

static inline void handle(void *user, hone_loop *loop, hone_request *r) {
    fixture *f = user;
    hone_slice path = r->head.path;
    atomic_fetch_add(&f->started, 1);
    if (hone_slice_equal(path, "/now")) {
        hone_request_answer(r, 200, "text/plain", "now", 3);
    } else if (hone_slice_equal(path, "/stream")) {
        f->pieces = 0;
        hone_request_begin(r, 200, "text/plain", f->unsized ? -1 : (int64_t)PIECE * PIECES);
        stream(r, f);
    } else if (hone_slice_equal(path, "/rich")) {
        answer_richly(r);
    } else if (hone_slice_equal(path, "/wait")) {
        hold(f, hone_request_retain(r));
    } else if (hone_slice_equal(path, "/release")) {
        release_held(f);
        hone_request_answer(r, 200, "text/plain", "releaser", 8);
    } else {
        answer_late(f, loop, r);
    }
}

static inline client connect_to(fixture *f) {
    return f->tls ? tls_open(f->port, NULL) : client_open(f->port);
}

/* The client sends no more; the server had time to notice. */
static inline void end_side(client *c) {
    if (c->transport) SSL_shutdown(c->user);
    shutdown(c->fd, SHUT_WR);
    usleep(50000);
}

static inline void release(fixture *f) {
    client c = connect_to(f);
    reply r = client_ask(&c, "GET", "/release", NULL);
    assert_int_equal(r.status, 200);
    free(r.body);
    client_close(&c);
}

static inline void *run_loop(void *arg) {
    hone_loop_run(arg);
    return NULL;
}

static inline void *accept_all(void *arg) {
    fixture *f = arg;
    hone_listener_run(f->listener, f->stop_fd, -1);
    return NULL;
}

/* Over TLS unless *state is NULL. */
static inline void start_with(fixture *f, void **state, int idle_ms, int header_ms) {
    *f = (fixture){.config = {.limits = {.head_bytes = 4096, .body_bytes = 4096},
                              .idle_timeout = (uint64_t)idle_ms * HONE_MILLISECOND,
                              .header_timeout = (uint64_t)header_ms * HONE_MILLISECOND,
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
    assert_int_equal(pthread_create(&f->thread, NULL, run_loop, f->loop), 0);
    assert_int_equal(pthread_create(&f->acceptor, NULL, accept_all, f), 0);
}

static inline void start(fixture *f, void **state) {
    start_with(f, state, 60000, 60000);
}

static inline void finish(fixture *f, bool drain) {
    if (drain)
        hone_loop_drain(f->loop);
    else
        hone_loop_stop(f->loop);
    pthread_join(f->thread, NULL);
    assert_int_equal(write(f->stop_fd, &(uint64_t){1}, 8), 8);
    pthread_join(f->acceptor, NULL);
    close(f->stop_fd);
    hone_listener_free(f->listener);
    for (int i = 0; i < f->held_count; i++) hone_request_release(f->held[i]);
    if (f->timer) event_free(f->timer);
    hone_loop_free(f->loop);
    hone_tls_free(f->tls);
    hone_stats_free(f->stats);
}

static inline void check(reply r, const char *body) {
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, body);
    free(r.body);
}

/* A test in cleartext, and over TLS. */
#define BOTH(test) cmocka_unit_test_prestate(test, NULL), cmocka_unit_test_prestate(test, test_dir)

#endif
