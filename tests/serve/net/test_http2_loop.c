/* HTTP/2 through a loop and its sockets: which protocol, drains, timeouts, clients that go or are slow. */
#include "serve/http2_frames.h"
#include "serve/net/loops.h"
#include "serve/process.h"

/* --- a client --- */

typedef struct seen {
    int answers; /* streams that ended well */
    size_t body; /* bytes of data */
    bool goaway;
    uint32_t last, code;
    bool closed;
} seen;

static bool send_all(client *c, const hone_buffer *b) {
    return client_send(c, b->data, b->size);
}

/* Opens a connection with requests on it. */
static client open_with(fixture *f, const char *const *paths, uint32_t count) {
    hone_buffer b = {0};
    client c = connect_to(f);
    put_preface(&b);
    for (uint32_t i = 0; i < count; i++) put_request(&b, 2 * i + 1, "GET", paths[i], END_STREAM);
    assert_true(send_all(&c, &b));
    hone_buffer_free(&b);
    return c;
}

static void give_windows(client *c, uint32_t stream, size_t size) {
    hone_buffer b = {0};
    char grown[4] = {(char)(size >> 24), (char)(size >> 16), (char)(size >> 8), (char)size};
    put_frame(&b, WINDOW_UPDATE, 0, 0, grown, 4);
    put_frame(&b, WINDOW_UPDATE, 0, stream, grown, 4);
    send_all(c, &b);
    hone_buffer_free(&b);
}

/* Reads frames until there are so many answers, or the connection is closed, or nothing comes for `ms`. */
static void watch(client *c, seen *s, int answers, int ms, bool widen) {
    frame f;
    for (;;) {
        size_t at = 0;
        while (c->size && next_frame(c->data, c->size, &at, &f)) {
            if (f.type == DATA) {
                s->body += f.size;
                if (widen && f.size) give_windows(c, f.stream, f.size);
            }
            if ((f.type == DATA || f.type == HEADERS) && f.flags & END_STREAM) s->answers++;
            if (f.type == GOAWAY) s->goaway = true, s->last = get_u32(f.data), s->code = get_u32(f.data + 4);
        }
        if (at) client_drop(c, at);
        if (s->answers >= answers || s->closed) return;
        int more = client_more(c, ms);
        if (more < 0) return;
        s->closed = more == 0;
    }
}

/* --- tests --- */

static void carries_both_protocols(void **state) {
    static const char *const many[] = {"/now", "/late", "/now", "/late"};
    fixture f;
    start(&f, state);
    client a = open_with(&f, many, 4), b = connect_to(&f);
    seen s = {0};
    check(client_ask(&b, "GET", "/now", NULL), "now");
    watch(&a, &s, 4, CLIENT_WAIT_MS, false);
    assert_int_equal(s.answers, 4);
    assert_int_equal(s.body, 2 * 3 + 2 * 4);
    client_close(&a);
    client_close(&b);
    finish(&f, true);
}

static void sends_fields_and_trailers(void **state) {
    static const char *const path[] = {"/rich"};
    fixture f;
    start(&f, state);
    client c = connect_to(&f);
    assert_true(client_text(&c, "GET /rich HTTP/1.1\r\nHost: x\r\n\r\n"));
    const char *end = "\r\n4\r\nrich\r\n0\r\nx-last: 2\r\n\r\n";
    while (!(c.size && strstr(c.data, end))) assert_true(client_more(&c, CLIENT_WAIT_MS) > 0);
    assert_non_null(strstr(c.data, "\r\nx-head: 1\r\n"));
    client_close(&c);
    c = open_with(&f, path, 1);
    seen s = {0};
    watch(&c, &s, 1, CLIENT_WAIT_MS, false);
    assert_int_equal(s.answers, 1);
    assert_int_equal(s.body, 4);
    client_close(&c);
    finish(&f, true);
}

/* Answering one connection's request while another's input is worked on: each gets what is its own, and what
 * waited behind it. */
static void keeps_answers_apart(void **state) {
    static const char *const waits[] = {"/wait", "/wait"};
    static const char two[] = "GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /now HTTP/1.1\r\nHost: x\r\n\r\n";
    fixture f;
    start(&f, state);
    for (int k = 0; k < 2; k++) { /* the one that releases speaks HTTP/1.1, then HTTP/2 */
        client a = connect_to(&f), b = connect_to(&f), c = open_with(&f, waits, 2);
        assert_true(client_text(&a, two) && client_text(&b, two));
        while (atomic_load(&f.started) < 4 + 8 * k) usleep(1000);
        client d = {.fd = -1};
        if (k == 0) {
            d = connect_to(&f);
            assert_true(client_text(
                &d, "GET /now HTTP/1.1\r\nHost: x\r\n\r\nGET /release HTTP/1.1\r\nHost: x\r\n\r\n"));
            check(client_reply(&d, false), "now");
            check(client_reply(&d, false), "releaser");
        } else {
            seen s = {0};
            d = open_with(&f, (const char *const[]){"/release"}, 1);
            watch(&d, &s, 1, CLIENT_WAIT_MS, false);
            assert_int_equal(s.body, 8);
        }
        client *both[] = {&a, &b};
        for (int i = 0; i < 2; i++) {
            check(client_reply(both[i], false), "released");
            check(client_reply(both[i], false), "now");
        }
        seen s = {0};
        watch(&c, &s, 2, CLIENT_WAIT_MS, false);
        assert_int_equal(s.body, 16);
        client_close(&a);
        client_close(&b);
        client_close(&c);
        client_close(&d);
    }
    finish(&f, true);
}

/* The first bytes come one by one. */
static void tells_protocols_apart(void **state) {
    static const char *const heads[] = {"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                                        "PUT /now HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                                        "PROPFIND /now HTTP/1.1\r\nHost: x\r\n\r\n"};
    fixture f;
    start(&f, state);
    for (int i = 0; i < 3; i++) {
        client c = connect_to(&f);
        for (const char *p = heads[i]; *p; p++) {
            assert_true(client_send(&c, p, 1));
            if (p - heads[i] < 6) usleep(3000);
        }
        reply r = client_reply(&c, false);
        assert_int_equal(r.status, 200);
        free(r.body);
        client_close(&c);
    }
    hone_buffer b = {0};
    seen s = {0};
    client c = connect_to(&f);
    put_preface(&b);
    put_request(&b, 1, "GET", "/now", END_STREAM);
    for (size_t i = 0; i < b.size; i++) {
        assert_true(client_send(&c, b.data + i, 1));
        if (i < 6) usleep(3000);
    }
    watch(&c, &s, 1, CLIENT_WAIT_MS, false);
    assert_int_equal(s.answers, 1);
    client_close(&c);
    /* nearly the preface, at once and later */
    c = connect_to(&f);
    assert_true(client_text(&c, "PRI * HTTP/1.1\r\nHost: x\r\n\r\n"));
    watch(&c, &s, 100, CLIENT_WAIT_MS, false);
    assert_true(s.closed);
    client_close(&c);
    hone_buffer_free(&b);
    finish(&f, true);
}

static void streams_to_slow_readers(void **state) {
    static const char *const path[] = {"/stream"};
    fixture f;
    start(&f, state);
    client c = open_with(&f, path, 1);
    seen s = {0};
    for (int i = 0; i < CLIENT_WAIT_MS / 10 && s.body < 65535; i++) watch(&c, &s, 1, 10, false);
    watch(&c, &s, 1, 50, false);
    assert_int_equal(s.body, 65535); /* all that the window allows */
    give_windows(&c, 1, 65535);
    watch(&c, &s, 1, CLIENT_WAIT_MS, true);
    assert_int_equal(s.answers, 1);
    assert_int_equal(s.body, (size_t)PIECE * PIECES);
    client_close(&c);
    finish(&f, true);
    assert_true(f.pauses > 5);
}

static void cancels_for_clients_that_went(void **state) {
    static const char *const paths[] = {"/never", "/never", "/never"};
    fixture f;
    start(&f, state);
    client c = open_with(&f, paths, 3);
    while (atomic_load(&f.started) < 3) usleep(1000);
    hone_buffer b = {0};
    put_frame(&b, RST_STREAM, 0, 3, "\0\0\0\10", 4);
    assert_true(send_all(&c, &b));
    for (int i = 0; i < CLIENT_WAIT_MS && atomic_load(&f.cancelled) < 1; i++) usleep(1000);
    usleep(20000);
    assert_int_equal(atomic_load(&f.cancelled), 1);
    client_close(&c);
    for (int i = 0; i < CLIENT_WAIT_MS && atomic_load(&f.cancelled) < 3; i++) usleep(1000);
    assert_int_equal(atomic_load(&f.cancelled), 3);
    hone_buffer_free(&b);
    finish(&f, true);
}

/* What was asked whole is answered, and then the connection ends. */
static void answers_clients_that_end_their_side(void **state) {
    static const char *const paths[] = {"/wait", "/wait"};
    fixture f;
    seen s = {0};
    hone_buffer b = {0};
    start(&f, state);
    client c = open_with(&f, paths, 2);
    put_request(&b, 5, "POST", "/now", 0); /* it never comes whole */
    assert_true(send_all(&c, &b));
    while (atomic_load(&f.started) < 2) usleep(1000);
    end_side(&c);
    release(&f);
    watch(&c, &s, 100, CLIENT_WAIT_MS, false);
    assert_true(s.closed);
    assert_int_equal(s.answers, 2);
    assert_int_equal(s.body, 2 * 8);
    client_close(&c);
    hone_buffer_free(&b);
    finish(&f, true);
    assert_int_equal(atomic_load(&f.cancelled), 0);
}

static void drains(void **state) {
    static const char *const paths[] = {"/late", "/now", "/late"};
    fixture f;
    start(&f, state);
    client busy = open_with(&f, paths, 3), idle = open_with(&f, paths + 1, 1);
    seen a = {0}, b = {0};
    watch(&idle, &b, 1, CLIENT_WAIT_MS, false);
    watch(&busy, &a, 1, CLIENT_WAIT_MS, false);
    finish(&f, true);
    watch(&busy, &a, 100, CLIENT_WAIT_MS, false);
    watch(&idle, &b, 100, CLIENT_WAIT_MS, false);
    assert_int_equal(a.answers, 3);
    assert_true(a.closed && a.goaway && b.closed && b.goaway);
    assert_int_equal(a.code + b.code, 0);
    assert_int_equal(a.last, 5);
    assert_int_equal(b.last, 1);
    assert_int_equal(f.answered, 2);
    client_close(&busy);
    client_close(&idle);
}

/* While the loop drains, a client that has not heard of it yet is still answered. */
static void serves_what_comes_with_the_notice(void **state) {
    static const char *const paths[] = {"/never", "/now"};
    fixture f;
    start(&f, state);
    f.config.drain_grace = 3600000 * HONE_MILLISECOND; /* until the client goes */
    client c = open_with(&f, paths, 2);
    seen s = {0};
    watch(&c, &s, 1, CLIENT_WAIT_MS, false);
    hone_loop_drain(f.loop);
    while (!s.goaway) watch(&c, &s, 1 + s.answers, 50, false);
    assert_int_equal(s.last, 0x7fffffff);
    hone_buffer b = {0};
    put_request(&b, 5, "GET", "/now", END_STREAM);
    assert_true(send_all(&c, &b));
    watch(&c, &s, 2, CLIENT_WAIT_MS, false);
    assert_int_equal(s.answers, 2);
    client_close(&c);
    hone_buffer_free(&b);
    finish(&f, true);
}

static void times_out(void **state) {
    static const char *const paths[] = {"/now", "/never"};
    fixture f;
    /* idle, with GOAWAY; where this thread stalls before it asks, without an answer, and then again */
    start_with(&f, state, 100, 0);
    seen s = {0};
    client c;
    for (int tries = 0; tries < 50 && s.answers == 0; tries++) {
        s = (seen){0};
        c = open_with(&f, paths, 1);
        watch(&c, &s, 100, CLIENT_WAIT_MS, false);
        assert_true(s.closed);
        client_close(&c);
    }
    assert_true(s.answers == 1 && s.goaway && s.code == 0);
    finish(&f, true);
    start_with(&f, state, 0, 100);
    /* a preface that does not go on; a single byte */
    c = connect_to(&f);
    assert_true(client_text(&c, "PRI * HT"));
    s = (seen){0};
    watch(&c, &s, 100, CLIENT_WAIT_MS, false);
    assert_true(s.closed);
    client_close(&c);
    c = connect_to(&f);
    assert_true(client_text(&c, "P"));
    reply r = client_reply(&c, false);
    assert_int_equal(r.status, 408);
    free(r.body);
    client_close(&c);
    /* a body that does not go on: its stream is answered; a head that does not: the end */
    hone_buffer b = {0};
    put_preface(&b);
    put_request(&b, 1, "GET", "/never", END_STREAM);
    put_request(&b, 3, "POST", "/now", 0);
    c = connect_to(&f);
    assert_true(send_all(&c, &b));
    s = (seen){0};
    watch(&c, &s, 1, CLIENT_WAIT_MS, false);
    assert_true(s.answers == 1 && !s.goaway && !s.closed);
    hone_buffer_clear(&b, SIZE_MAX);
    put_frame(&b, HEADERS, END_STREAM, 5, "\x82\x86", 2);
    assert_true(send_all(&c, &b));
    watch(&c, &s, 100, CLIENT_WAIT_MS, false);
    assert_true(s.goaway && s.closed);
    client_close(&c);
    hone_buffer_free(&b);
    finish(&f, true);
}

static void ends_floods(void **state) {
    fixture f;
    hone_buffer b = {0};
    start(&f, state);
    put_preface(&b);
    for (uint32_t i = 0; i < 3000; i++) {
        put_request(&b, 2 * i + 1, "GET", "/never", END_STREAM);
        put_frame(&b, RST_STREAM, 0, 2 * i + 1, "\0\0\0\10", 4);
    }
    client c = connect_to(&f);
    send_all(&c, &b); /* may fail: the server does not wait for the end */
    seen s = {0};
    watch(&c, &s, 100, CLIENT_WAIT_MS, false);
    assert_true(s.closed && s.goaway);
    assert_int_equal(s.code, 11);
    assert_true(atomic_load(&f.started) < 100);
    client_close(&c);
    c = connect_to(&f); /* others are served */
    check(client_ask(&c, "GET", "/now", NULL), "now");
    client_close(&c);
    hone_buffer_free(&b);
    finish(&f, true);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void idle_connections_are_cheap(void **state) {
    enum { COUNT = 400 };
    static const char *const path[] = {"/now"};
    static client clients[COUNT];
    fixture f;
    start(&f, state);
    for (int i = 0; i < 20; i++) { /* what all of them share */
        client c = open_with(&f, path, 1);
        seen s = {0};
        watch(&c, &s, 1, CLIENT_WAIT_MS, false);
        client_close(&c);
    }
    size_t before = resident();
    for (int i = 0; i < COUNT; i++) {
        seen s = {0};
        clients[i] = open_with(&f, path, 1);
        watch(&clients[i], &s, 1, CLIENT_WAIT_MS, false);
        assert_int_equal(s.answers, 1);
        free(clients[i].data); /* the client's own */
        clients[i].data = NULL;
        clients[i].size = clients[i].capacity = 0;
    }
    size_t after = resident(), each = after > before ? (after - before) / COUNT : 0;
    for (int i = 0; i < COUNT; i++) client_close(&clients[i]);
    for (int i = 0; i < CLIENT_WAIT_MS && atomic_load(&f.loop->connections) > 0; i++) usleep(1000);
    size_t closed = resident(), left = closed > before ? closed - before : 0;
    print_message("%zu bytes for each idle connection; %zu bytes stayed of %d\n", each, left, COUNT);
    assert_true(each > 0 && each < 20000);
    assert_true(left < COUNT * each / 2);
    finish(&f, true);
}
#endif

static int update_step(SSL *ssl, void *arg) {
    (void)arg;
    return SSL_do_handshake(ssl);
}

/* A client that wants new keys again and again, and reads no answer, is not read itself any more. */
static void bounds_what_tls_says(void **state) {
    enum { MANY = 250000, STALL_MS = 500 };
    static const char *const path[] = {"/now"};
    fixture f;
    int ends[2], sent = 0, small = 4096;
    start_with(&f, state, 60000, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    hone_loop_hand(f.loop, ends[1], &f.endpoint);
    client c = {.fd = ends[0]};
    assert_true(tls_over(&c, &(tls_options){.alpn = "\2h2", .version = TLS1_3_VERSION}));
    hone_buffer b = {0};
    put_preface(&b);
    assert_true(send_all(&c, &b));
    while (sent < MANY && SSL_key_update(c.user, SSL_KEY_UPDATE_REQUESTED) == 1 &&
           tls_do(&c, update_step, NULL, STALL_MS) == SSL_ERROR_NONE)
        sent++;
    assert_true(sent < MANY);
    client other = open_with(&f, path, 1); /* is served */
    seen s = {0};
    watch(&other, &s, 1, CLIENT_WAIT_MS, false);
    assert_int_equal(s.answers, 1);
    client_close(&other);
    client_close(&c);
    hone_buffer_free(&b);
    finish(&f, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(carries_both_protocols),
        BOTH(sends_fields_and_trailers),
        BOTH(keeps_answers_apart),
        BOTH(tells_protocols_apart),
        BOTH(streams_to_slow_readers),
        BOTH(cancels_for_clients_that_went),
        BOTH(answers_clients_that_end_their_side),
        BOTH(drains),
        BOTH(serves_what_comes_with_the_notice),
        cmocka_unit_test_prestate(bounds_what_tls_says, test_dir),
        cmocka_unit_test(times_out),
        BOTH(ends_floods),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(idle_connections_are_cheap),
#endif
    };
    return cmocka_run_group_tests(tests, make_test_certificates, remove_test_certificates);
}
