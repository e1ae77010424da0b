/* The budget of bodies: by itself, over HTTP/1.1 on sockets, and over HTTP/2. */
#include "base/memory.h"
#include "serve/client.h"
#include "serve/http/http2_stream.h"
#include "serve/http2_peer.h"
#include "serve/net/connection.h"
#include "serve/net/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { KB = 1 << 10, MB = 1 << 20 };

static void count_wake(void *user) {
    atomic_fetch_add((atomic_int *)user, 1);
}

/* --- by itself --- */

static void counts(void **state) {
    atomic_int wakes = 0;
    hone_budget b = {.limit = MB};
    hone_budget_seat seat = {.wake = count_wake, .user = &wakes};
    hone_budget_share one = {0}, two = {0};
    (void)state;
    hone_budget_join(&b, &seat);
    assert_true(hone_budget_cover(&seat, &one, 64 * KB)); /* free */
    assert_int_equal(atomic_load(&b.used), 0);
    assert_true(hone_budget_cover(&seat, &one, 164 * KB));
    assert_int_equal(atomic_load(&b.used), 100 * KB);
    assert_true(hone_budget_cover(&seat, &one, 100 * KB)); /* no more than it has */
    assert_true(hone_budget_cover(&seat, &two, 64 * KB + 3 * MB / 4 - 100 * KB));
    assert_int_equal(atomic_load(&b.used), 3 * MB / 4);
    assert_null(atomic_load(&b.favoured)); /* that much is for bodies */
    hone_budget_reduce(&two, 64 * KB);
    assert_int_equal(atomic_load(&b.used), 100 * KB);
    hone_budget_release(&one);
    hone_budget_release(&two);
    hone_budget_release(&two);
    assert_int_equal(atomic_load(&b.used), 0);
    assert_int_equal(atomic_load(&wakes), 0); /* nobody waited */
}

/* Two halves of a body fill the budget: one goes on, and the other when that one is gone. */
static void favours_one(void **state) {
    atomic_int wakes = 0, other_wakes = 0;
    hone_budget b = {.limit = MB};
    hone_budget_seat seat = {.wake = count_wake, .user = &wakes},
                     other = {.wake = count_wake, .user = &other_wakes};
    hone_budget_share one = {0}, two = {0}, three = {0}, small = {0};
    (void)state;
    hone_budget_join(&b, &seat);
    hone_budget_join(&b, &other);
    assert_true(hone_budget_cover(&seat, &one, 64 * KB + 3 * MB / 8));
    assert_true(hone_budget_cover(&other, &two, 64 * KB + 3 * MB / 8));
    assert_true(hone_budget_cover(&seat, &one, 8 * MB)); /* favoured now */
    assert_false(hone_budget_cover(&other, &two, 1 * MB));
    assert_false(hone_budget_cover(&seat, &three, 65 * KB));
    assert_true(hone_budget_cover(&other, &small, 64 * KB)); /* small ones never wait */
    hone_budget_release(&small);
    assert_int_equal(atomic_load(&wakes) + atomic_load(&other_wakes), 0);
    hone_budget_release(&one);
    assert_int_equal(atomic_load(&wakes), 1);
    assert_int_equal(atomic_load(&other_wakes), 1);
    assert_true(hone_budget_cover(&other, &two, 64 * KB + MB / 2));
    assert_true(hone_budget_cover(&seat, &three, 65 * KB));
    hone_budget_release(&two);
    hone_budget_release(&three);
    assert_int_equal(atomic_load(&wakes), 1);
    assert_int_equal(atomic_load(&b.used), 0);
    assert_null(atomic_load(&b.favoured));
}

/* What is made of bodies may have all of it, and no more; what was covered for that goes along. */
static void leaves_room_for_what_is_made(void **state) {
    atomic_int wakes = 0;
    hone_budget b = {.limit = MB};
    hone_budget_seat seat = {.wake = count_wake, .user = &wakes};
    hone_budget_share body = {0}, other = {0};
    hone_budget_room room, unlimited;
    (void)state;
    hone_budget_join(&b, &seat);
    hone_budget_room_open(&room, &b);
    assert_int_equal(hone_budget_of_body(64 * KB), 64 * KB);
    assert_int_equal(hone_budget_of_body(164 * KB), 264 * KB);
    assert_true(hone_budget_cover(&seat, &body, hone_budget_of_body(164 * KB)));
    assert_true(hone_budget_cover(&seat, &other, 64 * KB + 3 * MB / 4 - 200 * KB));
    assert_int_equal(atomic_load(&b.used), 3 * MB / 4);
    hone_budget_move(&body, 164 * KB, &room.share);
    assert_int_equal(atomic_load(&b.used), 3 * MB / 4);
    assert_true(hone_room_take(&room.room, 64 * KB)); /* free */
    assert_true(hone_room_take(&room.room, 100 * KB));
    assert_int_equal(atomic_load(&b.used), 3 * MB / 4);
    assert_true(hone_room_take(&room.room, MB / 4));
    assert_int_equal(atomic_load(&b.used), MB);
    assert_false(hone_room_take(&room.room, 1));
    assert_false(hone_room_take(&room.room, SIZE_MAX));
    assert_null(atomic_load(&b.favoured));
    assert_int_equal(room.taken, 164 * KB + MB / 4);
    hone_budget_release(&body);
    assert_true(hone_room_take(&room.room, 100 * KB));
    hone_budget_room_close(&room);
    hone_budget_release(&other);
    assert_int_equal(atomic_load(&b.used), 0);
    hone_budget_room_open(&unlimited, NULL);
    assert_true(hone_room_take(&unlimited.room, (size_t)1 << 40));
    hone_budget_room_close(&unlimited);
}

/* A lone body is let through, whatever its size. */
static void lets_one_through(void **state) {
    hone_budget b = {.limit = 1};
    hone_budget_seat seat = {0}, none = {0};
    hone_budget_share one = {0}, free_of_limits = {0};
    (void)state;
    hone_budget_join(&b, &seat);
    assert_true(hone_budget_cover(&seat, &one, (size_t)1 << 40));
    assert_true(hone_budget_cover(&none, &free_of_limits, SIZE_MAX));
    hone_budget_release(&one);
    hone_budget_release(&free_of_limits);
    assert_int_equal(atomic_load(&b.used), 0);
}

/* Loops that wait for each other: each thread covers bodies in steps and waits to be woken when it may not go
 * on. */
enum { THREADS = 4, BODIES = 300, STEPS = 8 };

typedef struct waiter {
    hone_budget_seat seat;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool awake;
} waiter;

static void wake_waiter(void *user) {
    waiter *w = user;
    pthread_mutex_lock(&w->lock);
    w->awake = true;
    pthread_cond_signal(&w->woken);
    pthread_mutex_unlock(&w->lock);
}

static void *receive(void *arg) {
    waiter *w = arg;
    for (int i = 0; i < BODIES; i++) {
        hone_budget_share share = {0};
        for (size_t step = 1; step <= STEPS; step++) {
            while (!hone_budget_cover(&w->seat, &share, HONE_BUDGET_FREE + step * 10000)) {
                pthread_mutex_lock(&w->lock);
                while (!w->awake) pthread_cond_wait(&w->woken, &w->lock);
                w->awake = false;
                pthread_mutex_unlock(&w->lock);
            }
        }
        hone_budget_release(&share);
    }
    return NULL;
}

static void never_sleeps_through(void **state) {
    hone_budget b = {.limit = 100000};
    static waiter waiters[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    for (int i = 0; i < THREADS; i++) {
        waiters[i] = (waiter){.seat = {.wake = wake_waiter, .user = &waiters[i]},
                              .lock = PTHREAD_MUTEX_INITIALIZER,
                              .woken = PTHREAD_COND_INITIALIZER};
        hone_budget_join(&b, &waiters[i].seat);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, receive, &waiters[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&b.used), 0);
    assert_null(atomic_load(&b.favoured));
}

/* --- HTTP/1.1 --- */

enum { LOOPS = 2, CLIENTS = 12, BODY = MB, PART = 600 * KB, LIMIT = 2 * MB };

typedef struct fixture {
    hone_stats *stats;
    hone_loop_config config;
    hone_loop *loops[LOOPS];
    pthread_t threads[LOOPS];
    hone_budget budget;
    atomic_size_t most;
    atomic_bool go;
} fixture;

/* "SIZE", after a look at what is used. */
static void handle(void *user, hone_loop *loop, hone_request *r) {
    fixture *f = user;
    char text[32];
    size_t used = atomic_load(&f->budget.used), most = atomic_load(&f->most);
    (void)loop;
    while (used > most && !atomic_compare_exchange_weak(&f->most, &most, used)) {
    }
    int n = snprintf(text, sizeof text, "%zu", r->body.size);
    hone_request_answer(r, 200, "text/plain", text, (size_t)n);
}

static void *run(void *arg) {
    hone_loop_run(arg);
    return NULL;
}

static void start(fixture *f, size_t limit) {
    *f = (fixture){.config = {.limits = {.head_bytes = 4096, .body_bytes = BODY},
                              .idle_timeout = 60000 * HONE_MILLISECOND,
                              .header_timeout = 60000 * HONE_MILLISECOND,
                              .handler = handle,
                              .user = f},
                   .budget = {.limit = limit}};
    assert_int_equal(hone_stats_new(&f->stats, NULL), HONE_OK);
    f->config.stats = f->stats;
    f->config.budget = &f->budget;
    for (int i = 0; i < LOOPS; i++) {
        assert_int_equal(hone_loop_new(&f->config, i, &f->loops[i], NULL), HONE_OK);
        assert_int_equal(pthread_create(&f->threads[i], NULL, run, f->loops[i]), 0);
    }
}

static void finish(fixture *f) {
    for (int i = 0; i < LOOPS; i++) {
        hone_loop_stop(f->loops[i]);
        pthread_join(f->threads[i], NULL);
    }
    for (int i = 0; i < LOOPS; i++) hone_loop_free(f->loops[i]);
    hone_stats_free(f->stats);
    assert_int_equal(atomic_load(&f->budget.used), 0);
    assert_null(atomic_load(&f->budget.favoured));
}

static client open_pair(fixture *f, int loop) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    int flags = fcntl(pair[0], F_GETFL);
    assert_int_equal(fcntl(pair[0], F_SETFL, flags | O_NONBLOCK), 0);
    hone_loop_hand(f->loops[loop], pair[0], NULL);
    return (client){.fd = pair[1]};
}

typedef struct upload {
    fixture *f;
    client c;
    pthread_t thread;
    bool chunked, good;
} upload;

static bool send_body(upload *u, const char *body, size_t size) {
    char line[32];
    if (!u->chunked) return client_send(&u->c, body, size);
    int n = snprintf(line, sizeof line, "%zx\r\n", size);
    return client_send(&u->c, line, (size_t)n) && client_send(&u->c, body, size) &&
           client_text(&u->c, "\r\n");
}

static bool ask(upload *u, const char *body) {
    if (!client_text(&u->c, u->chunked ? "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       : "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n"))
        return false;
    if (!send_body(u, body, PART)) return false;
    while (!atomic_load(&u->f->go)) usleep(1000);
    if (!send_body(u, body + PART, BODY - PART)) return false;
    if (u->chunked && !client_text(&u->c, "0\r\n\r\n")) return false;
    reply r = client_reply(&u->c, false);
    bool good = r.status == 200 && strcmp(r.body, "1048576") == 0;
    free(r.body);
    return good;
}

static void *upload_twice(void *arg) {
    upload *u = arg;
    char *body = calloc(1, BODY);
    u->good = body && ask(u, body) && ask(u, body);
    free(body);
    return NULL;
}

static void wait_until_favoured(const fixture *f) {
    for (int i = 0; i < CLIENT_WAIT_MS && !atomic_load(&f->budget.favoured); i++) usleep(1000);
    assert_non_null(atomic_load(&f->budget.favoured));
}

/* More than fits is half received when nothing is left; small requests pass, and in the end all do. */
static void shares_among_uploads(void **state) {
    fixture f;
    upload uploads[CLIENTS];
    (void)state;
    start(&f, LIMIT);
    for (int i = 0; i < CLIENTS; i++) {
        uploads[i] = (upload){.f = &f, .c = open_pair(&f, i % LOOPS), .chunked = i % 3 == 0};
        assert_int_equal(pthread_create(&uploads[i].thread, NULL, upload_twice, &uploads[i]), 0);
    }
    wait_until_favoured(&f);
    for (int i = 0; i < LOOPS; i++) {
        client c = open_pair(&f, i);
        reply r = client_ask(&c, "POST", "/", "small");
        assert_int_equal(r.status, 200);
        assert_string_equal(r.body, "5");
        free(r.body);
        client_close(&c);
    }
    assert_false(atomic_load(&f.go));
    atomic_store(&f.go, true);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(uploads[i].thread, NULL);
        assert_true(uploads[i].good);
        client_close(&uploads[i].c);
    }
    assert_true(atomic_load(&f.most) > LIMIT / 2);
    assert_true(atomic_load(&f.most) <= LIMIT * 3 / 4 + 2 * BODY);
    finish(&f);
}

/* Clients that go in the middle, while they are read and while they wait, give back what they had. */
static void takes_back_from_those_who_go(void **state) {
    enum { COUNT = 8 };
    fixture f;
    client held[COUNT];
    char *body = calloc(1, BODY);
    (void)state;
    assert_non_null(body);
    start(&f, 200 * KB);
    for (int i = 0; i < COUNT; i++) {
        held[i] = open_pair(&f, i % LOOPS);
        assert_true(client_text(&held[i], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n"));
        assert_true(
            client_send(&held[i], body, 120 * KB)); /* fits into the socket's buffer and what is free */
    }
    wait_until_favoured(&f);
    for (int i = 0; i < COUNT; i++) client_close(&held[i]);
    upload last = {.f = &f, .c = open_pair(&f, 0)};
    atomic_store(&f.go, true);
    assert_true(ask(&last, body));
    client_close(&last.c);
    for (int i = 0; i < CLIENT_WAIT_MS && atomic_load(&f.budget.used) > 0; i++) usleep(1000);
    finish(&f);
    free(body);
}

static void check_timed_out(reply r) {
    assert_int_equal(r.status, 408);
    free(r.body);
}

/* What was read together with what waits comes after it, although there is room by then. */
static void check_order(void *user, hone_loop *loop, hone_request *r) {
    (void)loop;
    bool *sorted = user;
    *sorted = r->body.size == 150 * KB;
    for (size_t i = 1; i < r->body.size; i++)
        if (r->body.data[i] < r->body.data[i - 1]) *sorted = false;
    hone_request_answer(r, 200, NULL, NULL, 0);
}

/* A loop that does not run: the test is its thread. One connection, and a budget that others have spent. */
typedef struct stage {
    hone_budget budget;
    hone_budget_seat seat;
    hone_budget_share other;
    atomic_int wakes;
    hone_loop_config config;
    hone_loop *loop;
    hone_connection *c;
    client client;
} stage;

static void stage_open(stage *s, hone_handler_fn *handler, void *user) {
    int pair[2];
    *s = (stage){.budget = {.limit = 1}, .seat = {.wake = count_wake, .user = &s->wakes}};
    s->config = (hone_loop_config){.limits = {.head_bytes = 4096, .body_bytes = MB},
                                   .handler = handler,
                                   .user = user,
                                   .budget = &s->budget};
    assert_int_equal(hone_stats_new(&s->config.stats, NULL), HONE_OK);
    assert_int_equal(hone_loop_new(&s->config, 0, &s->loop, NULL), HONE_OK);
    hone_budget_join(&s->budget, &s->seat);
    assert_true(hone_budget_cover(&s->seat, &s->other, MB));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    atomic_fetch_add(&s->loop->connections, 1);
    hone_connection_open(s->loop, &(hone_arrival){.fd = pair[0]});
    s->c = s->loop->phases[HONE_PHASE_IDLE].first;
    s->client = (client){.fd = pair[1]};
}

static void stage_close(stage *s) {
    hone_loop_free(s->loop);
    client_close(&s->client);
    hone_stats_free(s->config.stats);
    assert_int_equal(atomic_load(&s->budget.used), 0);
}

static void keeps_the_order(void **state) {
    stage s;
    bool sorted = false;
    char *body = malloc(150 * KB);
    (void)state;
    assert_non_null(body);
    memset(body, 'a', 50 * KB);
    memset(body + 50 * KB, 'b', 50 * KB);
    memset(body + 100 * KB, 'c', 50 * KB);
    stage_open(&s, check_order, &sorted);
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 153600\r\n\r\n";
    hone_connection_feed(s.c, head, sizeof head - 1);
    hone_connection_feed(s.c, body, 50 * KB);
    hone_connection_feed(s.c, body + 50 * KB, 50 * KB);
    assert_true(s.c->starved);
    hone_budget_release(&s.other);
    hone_connection_feed(s.c, body + 100 * KB, 50 * KB);
    hone_connection_feed_starved(s.c);
    assert_true(sorted);
    stage_close(&s);
    free(body);
}

/* A body has the time of its request to come, not counting that in which it waits for others. */
enum { WAIT_MS = 20 };

static void counts_no_waiting(void **state) {
    const uint64_t whole = 1000 * HONE_MILLISECOND, wait = WAIT_MS * HONE_MILLISECOND;
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 153600\r\n\r\n";
    stage s;
    bool sorted = false;
    char *body = calloc(1, 100 * KB);
    (void)state;
    assert_non_null(body);
    stage_open(&s, check_order, &sorted);
    s.config.request_timeout = whole;
    hone_connection_feed(s.c, head, sizeof head - 1);
    hone_connection_feed(s.c, body, 50 * KB);
    hone_connection_feed(s.c, body, 50 * KB);
    hone_connection_settle(s.c);
    assert_true(s.c->starved);
    uint64_t started = s.c->request->started;
    hone_connection_sweep(s.c, UINT64_MAX);
    assert_non_null(s.c->request); /* it is not read: that is not its client's fault */
    usleep(WAIT_MS * 1000);
    hone_budget_release(&s.other);
    hone_connection_feed_starved(s.c);
    assert_int_equal(s.c->phase, HONE_PHASE_BODY);
    assert_int_equal(s.c->request->body.size, 100 * KB);
    hone_connection_sweep(s.c, started + whole + wait);
    assert_non_null(s.c->request);
    s.config.request_timeout = 0;
    hone_connection_sweep(s.c, UINT64_MAX);
    assert_non_null(s.c->request);
    s.config.request_timeout = whole;
    hone_connection_sweep(s.c, hone_now() + whole + 1);
    check_timed_out(client_reply(&s.client, false));
    assert_int_equal(atomic_load(&s.budget.used), 0);
    stage_close(&s);
    free(body);
}

/* --- HTTP/2 --- */

static hone_budget *watched;
static size_t most_used;

static void answer_size(peer *p, hone_request *r) {
    char text[32];
    (void)p;
    if (atomic_load(&watched->used) > most_used) most_used = atomic_load(&watched->used);
    int n = snprintf(text, sizeof text, "%zu", r->body.size);
    hone_request_answer(r, 200, "text/plain", text, (size_t)n);
}

/* Many large bodies on one connection: their windows stay shut until it is their turn, and the connection's
 * never does, so that small ones pass. */
static void shuts_windows(void **state) {
    enum { COUNT = 12 };
    atomic_int wakes = 0;
    hone_budget b = {.limit = 256 * KB};
    hone_budget_seat seat = {.wake = count_wake, .user = &wakes};
    hone_http2_host_options o = {.seat = &seat, .limits = {.body_bytes = BODY}};
    char *body = calloc(1, BODY);
    answer *answers[COUNT];
    peer p = {0};
    (void)state;
    assert_non_null(body);
    hone_budget_join(&b, &seat);
    watched = &b;
    most_used = 0;
    assert_true(peer_open(&p, &o, answer_size));
    for (int i = 0; i < COUNT; i++) {
        answers[i] = peer_ask(&p, "POST", "/", body, BODY, NULL);
        answers[i]->hold = BODY - 1;
    }
    peer_transfer(&p);
    /* One is as good as received, the others are stuck in the window that is free. */
    answer *large = NULL;
    for (int i = 0; i < COUNT; i++) {
        if (answers[i]->uploaded <= HONE_BUDGET_FREE + b.limit) continue;
        assert_null(large);
        large = answers[i];
        assert_int_equal(large->uploaded, BODY - 1);
    }
    assert_non_null(large);
    assert_true(hone_http2_is_starved(p.server));
    assert_true(atomic_load(&b.used) <= b.limit + 2 * BODY);
    answer *small = peer_ask(&p, "POST", "/", "tiny", 4, NULL);
    peer_transfer(&p);
    assert_int_equal(small->status, 200);
    /* Waiting is not the client's fault. */
    hone_http2_expire(p.server, &(hone_http2_ages){.progress = UINT64_MAX, .body = UINT64_MAX});
    peer_transfer(&p);
    for (int i = 0; i < COUNT; i++) assert_int_equal(answers[i]->status, answers[i] == large ? 408 : 0);
    for (int i = 0; i < COUNT; i++) {
        answers[i]->hold = 0;
        if (!answers[i]->closed) nghttp2_session_resume_data(p.client, answers[i]->id);
    }
    peer_transfer(&p);
    for (int i = 0; i < COUNT; i++) {
        if (answers[i] == large) continue;
        assert_int_equal(answers[i]->status, 200);
        assert_string_equal(answers[i]->body, "1048576");
    }
    assert_false(hone_http2_is_starved(p.server));
    assert_true(most_used <= b.limit + 2 * BODY);
    assert_true(atomic_load(&wakes) > 0);
    peer_close(&p);
    assert_int_equal(atomic_load(&b.used), 0);
    assert_null(atomic_load(&b.favoured));
    free(body);
}

/* A connection that goes gives back what all of its streams had. */
static void takes_back_windows(void **state) {
    atomic_int wakes = 0;
    hone_budget b = {.limit = 2 * MB};
    hone_budget_seat seat = {.wake = count_wake, .user = &wakes};
    hone_http2_host_options o = {.seat = &seat, .limits = {.body_bytes = BODY}};
    char *body = calloc(1, BODY);
    peer p = {0};
    (void)state;
    assert_non_null(body);
    hone_budget_join(&b, &seat);
    watched = &b;
    assert_true(peer_open(&p, &o, answer_size));
    for (int i = 0; i < 8; i++) peer_ask(&p, "POST", "/", body, BODY, NULL)->hold = 100 * KB;
    peer_transfer(&p);
    assert_true(atomic_load(&b.used) > 0);
    nghttp2_submit_rst_stream(p.client, 0, p.answers[0].id, NGHTTP2_CANCEL);
    peer_transfer(&p);
    peer_close(&p);
    assert_int_equal(atomic_load(&b.used), 0);
    assert_null(atomic_load(&b.favoured));
    free(body);
}

static void counts_no_waiting_of_streams(void **state) {
    atomic_int wakes = 0;
    hone_budget b = {.limit = 1};
    hone_budget_seat seat = {.wake = count_wake, .user = &wakes};
    hone_budget_share other = {0};
    hone_http2_host_options o = {.seat = &seat, .limits = {.body_bytes = BODY}};
    char *body = calloc(1, BODY);
    peer p = {0};
    (void)state;
    assert_non_null(body);
    hone_budget_join(&b, &seat);
    watched = &b;
    assert_true(hone_budget_cover(&seat, &other, MB));
    assert_true(peer_open(&p, &o, answer_size));
    answer *a = peer_ask(&p, "POST", "/", body, BODY, NULL);
    a->hold = BODY - 1;
    peer_transfer(&p);
    assert_true(hone_http2_is_starved(p.server));
    uint64_t started = p.server->first->request->started;
    hone_http2_expire(p.server, &(hone_http2_ages){.body = UINT64_MAX});
    peer_transfer(&p);
    assert_int_equal(a->status, 0);
    usleep(WAIT_MS * 1000);
    hone_budget_release(&other);
    peer_transfer(&p);
    assert_int_equal(a->uploaded, BODY - 1);
    hone_http2_expire(p.server, &(hone_http2_ages){.body = started + WAIT_MS * HONE_MILLISECOND});
    peer_transfer(&p);
    assert_int_equal(a->status, 0);
    hone_http2_expire(p.server, &(hone_http2_ages){.body = hone_now() + 1});
    peer_transfer(&p);
    assert_int_equal(a->status, 408);
    assert_int_equal(atomic_load(&b.used), 0);
    peer_close(&p);
    free(body);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts),
                                       cmocka_unit_test(favours_one),
                                       cmocka_unit_test(leaves_room_for_what_is_made),
                                       cmocka_unit_test(lets_one_through),
                                       cmocka_unit_test(never_sleeps_through),
                                       cmocka_unit_test(shares_among_uploads),
                                       cmocka_unit_test(takes_back_from_those_who_go),
                                       cmocka_unit_test(keeps_the_order),
                                       cmocka_unit_test(counts_no_waiting),
                                       cmocka_unit_test(shuts_windows),
                                       cmocka_unit_test(takes_back_windows),
                                       cmocka_unit_test(counts_no_waiting_of_streams)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
