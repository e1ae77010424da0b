/* The loop and its connections under handlers that answer late, slowly, or never. */
#include "serve/net/loops.h"

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

/* What was asked whole is answered, and then the connection ends. */
static void answers_clients_that_end_their_side(void **state) {
    static const char wait[] = "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n",
                      late[] = "GET /late HTTP/1.1\r\nHost: x\r\n\r\n", old[] = "GET /wait HTTP/1.0\r\n\r\n",
                      part[] = "POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc";
    static const struct {
        const char *first, *second;
        bool answered; /* the second one */
    } cases[] = {{wait, "", false},
                 {old, "", false},
                 {wait, late, true},
                 {wait, part, false},
                 {wait, "GET /n", false}};
    fixture f;
    start(&f, state);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client c = connect_to(&f);
        client_text(&c, cases[i].first);
        client_text(&c, cases[i].second);
        while (atomic_load(&f.started) < (int)(1 + 2 * i + (i > 2))) usleep(1000);
        end_side(&c);
        release(&f);
        reply r = client_reply(&c, false);
        assert_int_equal(strstr(r.head, "Connection: close") != NULL, !*cases[i].second);
        check(r, "released");
        if (cases[i].answered) {
            r = client_reply(&c, false);
            assert_non_null(strstr(r.head, "Connection: close"));
            check(r, "late");
        }
        assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
        client_close(&c);
    }
    finish(&f, true);
    assert_int_equal(atomic_load(&f.cancelled), 0);
}

/* So is what comes behind an answer that the client takes its time for. */
static void answers_all_that_was_asked_before_the_end(void **state) {
    fixture f;
    start(&f, state);
    client c = connect_to(&f);
    client_text(&c, "GET /now HTTP/1.1\r\nHost: x\r\n\r\nGET /long HTTP/1.1\r\nHost: x\r\n\r\n"
                    "GET /now HTTP/1.1\r\nHost: x\r\n\r\nGET /late HTTP/1.1\r\nHost: x\r\n\r\n");
    end_side(&c);
    check(client_reply(&c, false), "now");
    reply r = client_reply(&c, false);
    check_stream(&r);
    check(client_reply(&c, false), "now");
    check(client_reply(&c, false), "late");
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
    finish(&f, true);
}

/* One that may have gone is sent what every answer begins with, and the rest when it is there. */
static void probes_clients_that_end_their_side(void **state) {
    fixture f;
    start(&f, state);
    client c = connect_to(&f);
    client_text(&c, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    while (atomic_load(&f.started) < 1) usleep(1000);
    end_side(&c);
    assert_int_equal(client_more(&c, CLIENT_WAIT_MS), 1);
    assert_int_equal(c.size, 9);
    assert_memory_equal(c.data, "HTTP/1.1 ", 9);
    release(&f);
    check(client_reply(&c, false), "released");
    assert_true(client_sees_close(&c, CLIENT_WAIT_MS));
    client_close(&c);
    finish(&f, true);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        BOTH(answers_late),
        BOTH(late_answers_allocate_nothing),
        BOTH(pauses_producers),
        BOTH(ends_answers_by_closing),
        BOTH(cancels),
        BOTH(answers_clients_that_end_their_side),
        BOTH(answers_all_that_was_asked_before_the_end),
        BOTH(probes_clients_that_end_their_side),
        BOTH(drops_streams),
        BOTH(drains_late_answers),
        BOTH(stops_at_once),
        BOTH(idle_connections_own_no_buffers),
    };
    return cmocka_run_group_tests(tests, make_test_certificates, remove_test_certificates);
}
