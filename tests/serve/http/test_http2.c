/* HTTP/2 without sockets: nghttp2's client on the other side, and frames made by hand. */
#include "base/clock.h"
#include "base/memory.h"
#include "serve/http2_frames.h"
#include "serve/http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* "METHOD path?query host BODY" */
static void echo(peer *p, hone_request *r) {
    hone_buffer text = {0};
    hone_slice host = hone_head_field(&r->head, "host");
    (void)p;
    hone_buffer_put(&text, r->head.method.data, r->head.method.size);
    hone_buffer_byte(&text, ' ');
    hone_buffer_put(&text, r->head.path.data, r->head.path.size);
    hone_buffer_byte(&text, '?');
    hone_buffer_put(&text, r->head.query.data, r->head.query.size);
    hone_buffer_byte(&text, ' ');
    hone_buffer_put(&text, host.data, host.size);
    hone_buffer_byte(&text, ' ');
    hone_buffer_put(&text, r->body.data, r->body.size);
    for (int i = 0; i < HONE_JSON_PAD; i++) assert_int_equal(r->body.data[r->body.size + (size_t)i], 0);
    hone_request_answer(r, 200, "text/plain", text.data, text.size);
    hone_buffer_free(&text);
}

static void hold(peer *p, hone_request *r) {
    assert_null(p->held);
    p->held = hone_request_retain(r);
}

static void release(peer *p) {
    hone_request_release(p->held);
    p->held = NULL;
}

/* As time goes by. */
static void look_twice(peer *p) {
    for (int i = 0; i < 2; i++) {
        hone_http2_expire(p->server, &(hone_http2_ages){0});
        peer_transfer(p);
    }
}

static void assert_body(const answer *a, const char *text) {
    assert_int_equal(a->size, strlen(text));
    assert_memory_equal(a->body ? a->body : "", text, a->size);
}

static char *filler(size_t size) {
    char *text = malloc(size);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) text[i] = (char)('a' + i * 7 % 26);
    return text;
}

/* --- requests and answers --- */

static void answers_requests(void **state) {
    static const size_t steps[] = {SIZE_MAX, 1, 7};
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        peer p = {0};
        assert_true(peer_open(&p, NULL, echo));
        p.step = steps[i];
        answer *a = peer_ask(&p, "GET", "/v1/models?x=1&y=?", NULL, 0, NULL);
        answer *b =
            peer_ask(&p, "POST", "/p", "some bytes", 10, (const char *[]){"content-length", "10", NULL});
        answer *c = peer_ask(&p, "POST", "/empty", "", 0, NULL);
        peer_transfer(&p);
        assert_body(a, "GET /v1/models?x=1&y=? test ");
        assert_body(b, "POST /p? test some bytes");
        assert_body(c, "POST /empty? test ");
        assert_int_equal(a->status, 200);
        assert_string_equal(a->fields, "content-type: text/plain\ncontent-length: 28\n");
        assert_int_equal(strlen(a->date), 29);
        assert_true(a->closed && b->closed && c->closed);
        assert_int_equal(a->code + b->code + c->code, 0);
        assert_int_equal(p.answered, 3);
        assert_int_equal(hone_http2_stream_count(p.server), 0);
        peer_close(&p);
    }
}

static void answers_many_streams(void **state) {
    peer p = {0};
    static char paths[300][16];
    char want[64];
    (void)state;
    assert_true(peer_open(&p, NULL, echo));
    p.step = 1000;
    for (int i = 0; i < 300; i++) { /* more than may be open at once: the client waits with the others */
        snprintf(paths[i], sizeof paths[i], "/%d", i);
        peer_ask(&p, i % 2 ? "POST" : "PUT", paths[i], paths[i], strlen(paths[i]), NULL);
    }
    peer_transfer(&p);
    for (int i = 0; i < 300; i++) {
        snprintf(want, sizeof want, "%s /%d? test /%d", i % 2 ? "POST" : "PUT", i, i);
        assert_body(&p.answers[i], want);
    }
    assert_int_equal(p.answered, 300);
    peer_close(&p);
}

static void hands_out_what_is_there_at_once(void **state) {
    peer p = {0};
    const uint8_t *data;
    ssize_t n;
    (void)state;
    assert_true(peer_open(&p, NULL, echo));
    peer_transfer(&p);
    for (int i = 0; i < 20; i++) peer_ask(&p, "GET", "/", NULL, 0, NULL);
    while ((n = nghttp2_session_mem_send(p.client, &data)) > 0)
        assert_true(hone_http2_take(p.server, data, (size_t)n));
    assert_int_equal(p.requests, 0);
    assert_true(hone_http2_run(p.server));
    assert_int_equal(p.requests, 20);
    assert_false(hone_http2_run(p.server));
    peer_close(&p);
}

static void answer_richly(peer *p, hone_request *r) {
    (void)p;
    hone_request_field(r, "x-model", "a");
    hone_request_field(r, "retry-after", "3");
    hone_request_begin(r, 503, "text/plain", -1);
    hone_request_part(r, "one ", 4);
    hone_request_part(r, "two", 3);
    hone_request_trailer(r, "x-last", "b");
    hone_request_end(r);
}

static void sends_fields_and_trailers(void **state) {
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, NULL, answer_richly));
    answer *a = peer_ask(&p, "GET", "/", NULL, 0, NULL);
    peer_transfer(&p);
    assert_int_equal(a->status, 503);
    assert_string_equal(a->fields, "content-type: text/plain\nx-model: a\nretry-after: 3\n");
    assert_body(a, "one two");
    assert_string_equal(a->trailers, "x-last: b\n");
    assert_true(a->closed && a->code == 0);
    peer_close(&p);
}

static void answers_head_without_a_body(void **state) {
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, NULL, echo));
    answer *a = peer_ask(&p, "HEAD", "/", NULL, 0, NULL);
    peer_transfer(&p);
    assert_string_equal(a->fields, "content-type: text/plain\ncontent-length: 13\n");
    assert_int_equal(a->size, 0);
    assert_true(a->closed && a->code == 0);
    peer_close(&p);
}

static void says_continue(void **state) {
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, NULL, echo));
    answer *a = peer_ask(&p, "POST", "/", "body", 4, (const char *[]){"expect", "100-continue", NULL});
    a->hold = 1; /* of the body, until the server says so */
    peer_transfer(&p);
    assert_int_equal(a->status, 100);
    a->hold = 0;
    nghttp2_session_resume_data(p.client, a->id);
    peer_transfer(&p);
    assert_int_equal(a->status, 200);
    assert_body(a, "POST /? test body");
    peer_close(&p);
}

static void answers_later_and_in_pieces(void **state) {
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, NULL, hold));
    answer *a = peer_ask(&p, "GET", "/", NULL, 0, NULL);
    peer_transfer(&p);
    assert_int_equal(a->status, 0);
    assert_int_equal(p.outputs, 0);
    hone_request_begin(p.held, 200, "text/plain", -1);
    assert_true(p.outputs > 0);
    peer_transfer(&p);
    assert_int_equal(a->status, 200);
    p.outputs = 0;
    assert_true(hone_request_part(p.held, "first ", 6));
    assert_true(p.outputs > 0);
    peer_transfer(&p);
    assert_body(a, "first ");
    hone_request_part(p.held, "second", 6);
    peer_transfer(&p);
    assert_body(a, "first second");
    assert_false(a->closed);
    hone_request_end(p.held);
    peer_transfer(&p);
    assert_true(a->closed);
    release(&p);
    peer_close(&p);
}

/* --- flow control --- */

enum { PIECE = 100000, PIECES = 50 };

typedef struct producer {
    int pieces, pauses;
} producer;

static void produce(hone_request *r, void *arg) {
    producer *f = arg;
    static char piece[PIECE];
    while (f->pieces < PIECES) {
        memset(piece, 'a' + f->pieces++ % 26, sizeof piece);
        if (hone_request_part(r, piece, sizeof piece)) continue;
        f->pauses++;
        r->resume = produce;
        r->producer = f;
        return;
    }
    hone_request_end(r);
}

static producer source;

static void stream(peer *p, hone_request *r) {
    (void)p;
    source = (producer){0};
    hone_request_begin(r, 200, "text/plain", -1);
    produce(r, &source);
}

static void waits_for_slow_readers(void **state) {
    peer p = {.slow = true};
    (void)state;
    assert_true(peer_open(&p, NULL, stream));
    answer *a = peer_ask(&p, "GET", "/", NULL, 0, NULL);
    size_t before = SIZE_MAX, rounds = 0;
    while (!a->closed && a->size != before) {
        before = a->size;
        peer_transfer(&p);
        assert_true((size_t)source.pieces * PIECE <= a->size + (1 << 20)); /* it does not run ahead */
        nghttp2_session_consume(p.client, a->id, a->size - before);
        rounds++;
    }
    assert_true(a->closed);
    assert_true(rounds > 50); /* the client's window is 64 KB */
    assert_true(source.pauses > 5);
    assert_int_equal(a->size, (size_t)PIECE * PIECES);
    for (size_t i = 0; i < a->size; i += 9973) assert_int_equal(a->body[i], 'a' + (int)(i / PIECE % 26));
    peer_close(&p);
}

/* Much more than the connection's window, padded or not: the windows must be given back in full. */
static void takes_large_bodies(void **state) {
    size_t size = 12 << 20;
    char *text = filler(size);
    (void)state;
    for (int padded = 0; padded < 2; padded++) {
        peer p = {.padded = padded};
        assert_true(peer_open(&p, NULL, hold));
        peer_ask(&p, "POST", "/", text, size, NULL);
        peer_transfer(&p);
        assert_non_null(p.held);
        assert_int_equal(p.held->body.size, size);
        assert_memory_equal(p.held->body.data, text, size);
        hone_request_answer(p.held, 200, NULL, text, size);
        release(&p);
        peer_transfer(&p);
        assert_int_equal(p.answers[0].size, size);
        assert_memory_equal(p.answers[0].body, text, size);
        peer_close(&p);
    }
    free(text);
}

/* --- bodies that are read as they come --- */

static int mores;

static bool is_stream(void *user, const hone_request *r) {
    (void)user;
    return hone_slice_equal(r->head.path, "/stream");
}

/* Takes whole words, and says each again. */
static void read_words(hone_request *r) {
    const char *space;
    mores++;
    while (r->body.size && (space = memchr(r->body.data, ' ', r->body.size))) {
        size_t n = (size_t)(space + 1 - r->body.data);
        hone_request_part(r, r->body.data, n);
        hone_buffer_drop(&r->body, n);
    }
    if (r->whole) hone_request_end(r);
}

static void repeat(peer *p, hone_request *r) {
    (void)p;
    hone_request_begin(r, 200, "text/plain", -1);
    r->more = read_words;
    read_words(r);
}

static void gives_bodies_as_they_come(void **state) {
    hone_http2_host_options o = {.streams = is_stream};
    peer p = {0};
    (void)state;
    mores = 0;
    assert_true(peer_open(&p, &o, repeat));
    answer *a = peer_ask(&p, "POST", "/stream", "one two three rest", 18, NULL);
    size_t holds[] = {1, 4, 6, 10, 18};
    const char *wants[] = {"", "one ", "one ", "one two ", "one two three "};
    for (int i = 0; i < 5; i++) {
        a->hold = holds[i];
        nghttp2_session_resume_data(p.client, a->id);
        peer_transfer(&p);
        assert_body(a, wants[i]);
    }
    assert_true(mores >= 5);
    assert_true(a->closed && a->code == 0);
    peer_close(&p);
}

static void read_on_demand(hone_request *r) {
    mores++;
    if (mores > 1) r->body.size = 0;
    if (r->whole) hone_request_end(r);
}

static void ignore(peer *p, hone_request *r) {
    p->held = hone_request_retain(r);
    hone_request_begin(r, 200, "text/plain", -1);
    r->more = read_on_demand;
}

/* What a handler does not read keeps the window shut; what it drops opens it. */
static void holds_back_unread_streams(void **state) {
    hone_http2_host_options o = {.streams = is_stream};
    size_t size = 6 << 20, window = 64 << 10;
    char *text = filler(size);
    peer p = {0};
    (void)state;
    mores = 0;
    assert_true(peer_open(&p, &o, ignore));
    answer *a = peer_ask(&p, "POST", "/stream", text, size, NULL);
    a->hold = window;
    mores = -1000; /* reads nothing */
    peer_transfer(&p);
    a->hold = 0;
    nghttp2_session_resume_data(p.client, a->id);
    mores = -1000;
    peer_transfer(&p);
    assert_int_equal(a->uploaded, window);
    assert_int_equal(p.held->body.size, window);
    /* One that was reset leaves no debt at the connection's window, of 4 MB. */
    nghttp2_submit_rst_stream(p.client, 0, a->id, NGHTTP2_CANCEL);
    peer_transfer(&p);
    release(&p);
    for (int i = 0; i < 80; i++) {
        mores = -1000;
        a = peer_ask(&p, "POST", "/stream", text, window, NULL);
        a->hold = window - 1;
        peer_transfer(&p);
        assert_int_equal(a->uploaded, window - 1);
        nghttp2_submit_rst_stream(p.client, 0, a->id, NGHTTP2_CANCEL);
        peer_transfer(&p);
        release(&p);
    }
    mores = 1; /* reads all */
    a = peer_ask(&p, "POST", "/stream", text, size, NULL);
    peer_transfer(&p);
    assert_true(a->closed && a->uploaded == size);
    release(&p);
    peer_close(&p);
    free(text);
}

/* --- clients that go --- */

static void cancels_what_is_reset(void **state) {
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, NULL, hold));
    answer *a = peer_ask(&p, "GET", "/", NULL, 0, NULL);
    peer_transfer(&p);
    assert_false(hone_request_should_stop(p.held));
    nghttp2_submit_rst_stream(p.client, 0, a->id, NGHTTP2_CANCEL);
    peer_transfer(&p);
    assert_true(hone_request_should_stop(p.held));
    assert_int_equal(p.dropped, 1);
    hone_request_answer(p.held, 200, "text/plain", "nobody hears", 12);
    release(&p);
    p.handle = echo;
    a = peer_ask(&p, "GET", "/", NULL, 0, NULL);
    peer_transfer(&p);
    assert_body(a, "GET /? test ");
    assert_int_equal(p.answered, 1);
    peer_close(&p);
}

static void never_starts_what_is_reset_at_once(void **state) {
    peer p = {0};
    hone_buffer in = {0};
    (void)state;
    assert_true(peer_open(&p, NULL, echo));
    put_preface(&in);
    for (uint32_t i = 0; i < 50; i++) {
        put_request(&in, 2 * i + 1, "GET", "/", END_STREAM);
        put_frame(&in, RST_STREAM, 0, 2 * i + 1, "\0\0\0\10", 4);
    }
    assert_true(hone_http2_take(p.server, in.data, in.size));
    hone_http2_run(p.server);
    assert_int_equal(p.requests, 0);
    assert_int_equal(hone_http2_stream_count(p.server), 0);
    hone_buffer_free(&in);
    peer_close(&p);
}

static void asks_whether_the_client_has_gone(void **state) {
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, NULL, hold));
    peer_ask(&p, "GET", "/", NULL, 0, NULL);
    peer_transfer(&p);
    assert_false(p.held->sink->gone(p.held));
    p.gone = true;
    assert_true(p.held->sink->gone(p.held));
    hone_http2_free(p.server);
    p.server = NULL;
    assert_true(hone_request_should_stop(p.held));
    assert_null(p.held->stream);
    assert_int_equal(p.dropped, 1);
    peer_close(&p);
}

/* --- limits --- */

static void refuses_large_heads(void **state) {
    hone_http2_host_options o = {.limits = {.head_bytes = 2000}};
    char value[1900];
    const char *many[2 * 80 + 1] = {NULL};
    peer p = {0};
    (void)state;
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    for (int i = 0; i < 80; i++) many[2 * i] = "x", many[2 * i + 1] = "y";
    assert_true(peer_open(&p, &o, echo));
    answer *a = peer_ask(&p, "GET", "/", NULL, 0, (const char *[]){"x", value, NULL});
    answer *b = peer_ask(&p, "POST", "/", "body", 4,
                         (const char *[]){"x", value, "content-type", "application/grpc", NULL});
    answer *c = peer_ask(&p, "GET", "/", NULL, 0, NULL);
    peer_transfer(&p);
    assert_int_equal(a->status, 431);
    assert_non_null(strstr(a->body, "\"error\": \"The header is too large\""));
    assert_int_equal(b->status, 431); /* its content type came too late */
    assert_int_equal(c->status, 200);
    peer_close(&p);

    assert_true(peer_open(&p, NULL, echo));
    many[2 * 70] = NULL;
    a = peer_ask(&p, "GET", "/", NULL, 0, many);
    many[2 * 60] = NULL;
    b = peer_ask(&p, "GET", "/", NULL, 0, many);
    peer_transfer(&p);
    assert_int_equal(a->status, 431);
    assert_int_equal(b->status, 200);
    peer_close(&p);
}

static void refuses_large_bodies(void **state) {
    hone_http2_host_options o = {.limits = {.body_bytes = 1000}};
    const char *said[] = {"content-length", "1001", NULL};
    const char *grpc[] = {"content-type", "application/grpc", NULL};
    char *text = filler(3 << 20);
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, &o, echo));
    answer *a = peer_ask(&p, "POST", "/", text, 1001, said);
    answer *b = peer_ask(&p, "POST", "/", text, 1001, NULL);
    answer *c = peer_ask(&p, "POST", "/", text, 1001, grpc);
    answer *d = peer_ask(&p, "POST", "/", text, 3 << 20, NULL);
    answer *e = peer_ask(&p, "POST", "/", text, 3 << 20, NULL);
    answer *f = peer_ask(&p, "POST", "/", text, 1000, NULL);
    peer_transfer(&p);
    assert_int_equal(a->status, 413);
    assert_int_equal(b->status, 413);
    assert_int_equal(c->status, 200);
    assert_non_null(strstr(c->fields, "grpc-status: 8\ngrpc-message: The body is too large\n"));
    assert_int_equal(d->status, 413);
    assert_int_equal(e->status, 413);
    assert_int_equal(f->status, 200);
    look_twice(&p);
    assert_true(d->closed);
    assert_int_equal(p.requests, 1);
    for (int i = 0; i < 3; i++) { /* the connection's window has come back */
        answer *g = peer_ask(&p, "POST", "/", text, 3 << 20, NULL);
        peer_transfer(&p);
        assert_int_equal(g->status, 413);
    }
    peer_close(&p);
    free(text);
}

static void refuse_early(peer *p, hone_request *r) {
    (void)p;
    hone_request_answer(r, 403, "text/plain", "no", 2);
}

/* An answer before the end of the request: the rest is not wanted. */
static void answers_before_the_request_ends(void **state) {
    hone_http2_host_options o = {.streams = is_stream};
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, &o, refuse_early));
    answer *a = peer_ask(&p, "POST", "/stream", "123456", 6, NULL);
    a->hold = 3;
    peer_transfer(&p);
    assert_int_equal(a->status, 403);
    assert_body(a, "no");
    assert_false(a->closed); /* it may stop by itself */
    look_twice(&p);
    assert_true(a->closed);
    assert_int_equal(a->code, NGHTTP2_NO_ERROR);
    peer_close(&p);
}

/* --- floods --- */

static uint32_t flood_result(hone_buffer *in, const hone_http2_limits *limits, int *requests) {
    hone_http2_host_options o = {.limits = limits ? *limits : (hone_http2_limits){0}};
    peer p = {0};
    hone_buffer out = {0};
    uint32_t code = UINT32_MAX;
    frame f;
    assert_true(peer_open(&p, &o, echo));
    /* In pieces, with answers given in between, as a loop does. */
    bool alive = true;
    for (size_t at = 0; alive && at < in->size; at += 4096) {
        size_t n = in->size - at < 4096 ? in->size - at : 4096;
        alive = hone_http2_take(p.server, in->data + at, n);
        hone_http2_run(p.server);
        if (alive) alive = hone_http2_give(p.server, &out, SIZE_MAX);
    }
    if (!alive)
        code = UINT32_MAX - 1;
    else if (hone_http2_is_done(p.server))
        assert_true(hone_http2_is_refused(p.server));
    if (find_frame(out.data, out.size, GOAWAY, 0, &f)) code = get_u32(f.data + 4);
    if (requests) *requests = p.requests;
    hone_buffer_free(&out);
    peer_close(&p);
    return code;
}

static void stops_rapid_resets(void **state) {
    hone_buffer in = {0};
    int requests;
    (void)state;
    put_preface(&in);
    for (uint32_t i = 0; i < 300; i++) {
        put_request(&in, 2 * i + 1, "GET", "/", END_STREAM);
        put_frame(&in, RST_STREAM, 0, 2 * i + 1, "\0\0\0\10", 4);
    }
    assert_int_equal(flood_result(&in, NULL, NULL), UINT32_MAX); /* a burst is fine */
    for (uint32_t i = 300; i < 2000; i++) {
        put_request(&in, 2 * i + 1, "GET", "/", END_STREAM);
        put_frame(&in, RST_STREAM, 0, 2 * i + 1, "\0\0\0\10", 4);
    }
    assert_int_equal(flood_result(&in, NULL, &requests), NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(requests < 40); /* those cut by the end of a piece */
    hone_buffer_free(&in);
}

/* As before, but the client makes the server reset its streams: here by windows that overflow. */
static void stops_resets_by_errors(void **state) {
    hone_buffer in = {0};
    (void)state;
    put_preface(&in);
    for (uint32_t i = 0; i < 2000; i++) {
        put_request(&in, 2 * i + 1, "POST", "/", 0);
        put_frame(&in, WINDOW_UPDATE, 0, 2 * i + 1, "\x7f\xff\xff\xff", 4);
    }
    assert_int_equal(flood_result(&in, NULL, NULL), NGHTTP2_ENHANCE_YOUR_CALM);
    hone_buffer_free(&in);
}

static void stops_frames_that_carry_nothing(void **state) {
    static const struct {
        int type, flags;
        uint32_t stream;
        size_t size;
    } frames[] = {{PING, 0, 0, 8}, {SETTINGS, 0, 0, 0}, {PRIORITY, 0, 1, 5}, {DATA, 0, 1, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        for (int k = 0; k < 2; k++) {
            hone_buffer in = {0};
            put_preface(&in);
            put_request(&in, 1, "POST", "/", 0);
            for (int n = 0; n < (k ? 5000 : 500); n++)
                put_frame(&in, frames[i].type, frames[i].flags, frames[i].stream, "\0\0\0\0\0\0\0\0",
                          frames[i].size);
            uint32_t code = flood_result(&in, NULL, NULL);
            if (code != (k ? NGHTTP2_ENHANCE_YOUR_CALM : UINT32_MAX))
                fail_msg("frames of type %d, round %d: %u", frames[i].type, k, code);
            hone_buffer_free(&in);
        }
    }
}

static void stops_endless_heads(void **state) {
    hone_buffer in = {0}, field = {0};
    char value[101];
    (void)state;
    memset(value, 'v', 100);
    value[100] = 0;
    put_field(&field, "x", value);
    /* ever more continuations */
    put_preface(&in);
    put_frame(&in, HEADERS, END_STREAM, 1, "\x82\x86\x84", 3);
    for (int i = 0; i < 5000; i++) put_frame(&in, CONTINUATION, 0, 1, field.data, field.size);
    uint32_t code = flood_result(&in, NULL, NULL);
    assert_true(code == NGHTTP2_ENHANCE_YOUR_CALM || code == UINT32_MAX - 1);
    /* few bytes that stand for many: a field put into the table once, and called for 100,000 times */
    hone_buffer bomb = {0};
    hone_buffer_text(&bomb, "\x82\x86\x84\x40\x01x\x64");
    hone_buffer_put(&bomb, value, 100);
    for (int i = 0; i < 15000; i++) hone_buffer_byte(&bomb, (char)0xbe);
    hone_buffer_clear(&in, SIZE_MAX);
    put_preface(&in);
    put_frame(&in, HEADERS, END_STREAM | END_HEADERS, 1, bomb.data, bomb.size);
    assert_int_equal(flood_result(&in, NULL, NULL), NGHTTP2_ENHANCE_YOUR_CALM);
    hone_buffer_free(&bomb);
    hone_buffer_free(&field);
    hone_buffer_free(&in);
}

static void limits_streams(void **state) {
    hone_http2_host_options o = {.limits = {.streams = 10}};
    hone_buffer in = {0}, out = {0};
    peer p = {0};
    frame f;
    (void)state;
    assert_true(peer_open(&p, &o, echo));
    put_preface(&in);
    put_frame(&in, SETTINGS, ACK, 0, NULL, 0);
    assert_true(hone_http2_give(p.server, &out, SIZE_MAX));
    for (uint32_t i = 0; i < 20; i++) put_request(&in, 2 * i + 1, "POST", "/", 0);
    assert_true(hone_http2_take(p.server, in.data, in.size));
    assert_int_equal(hone_http2_stream_count(p.server), 10);
    assert_true(hone_http2_give(p.server, &out, SIZE_MAX));
    bool refused =
        find_frame(out.data, out.size, RST_STREAM, 21, &f) || find_frame(out.data, out.size, GOAWAY, 0, &f);
    assert_true(refused);
    hone_buffer_free(&in);
    hone_buffer_free(&out);
    peer_close(&p);
}

static void refuses_what_is_no_http2(void **state) {
    static const char *const wrong[] = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                                        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        peer p = {0};
        assert_true(peer_open(&p, NULL, echo));
        assert_false(hone_http2_take(p.server, wrong[i], strlen(wrong[i])));
        assert_true(hone_http2_is_refused(p.server));
        assert_false(hone_http2_take(p.server, "x", 1));
        peer_close(&p);
    }
}

/* Malformed requests, each on a stream of its own, which is reset. */
static void resets_malformed_requests(void **state) {
    static const char *const heads[][8] = {
        {":method", "GET", ":scheme", "http"},               /* no path */
        {":method", "GET", ":path", "/", "Upper", "x"},      /* no scheme, case */
        {":scheme", "http", ":path", "/"},                   /* no method */
        {":method", "GET", ":scheme", "http", ":path", "x"}, /* no slash */
        {":method", "GET", ":scheme", "http", ":path", "/\n"},
        {":method", "GET", ":scheme", "http", ":path", ""}};
    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        peer p = {0};
        hone_buffer in = {0}, head = {0}, out = {0};
        frame f;
        assert_true(peer_open(&p, NULL, echo));
        put_preface(&in);
        for (int k = 0; k < 8 && heads[i][k]; k += 2) put_field(&head, heads[i][k], heads[i][k + 1]);
        put_frame(&in, HEADERS, END_HEADERS | END_STREAM, 1, head.data, head.size);
        assert_true(hone_http2_take(p.server, in.data, in.size));
        assert_false(hone_http2_run(p.server));
        assert_true(hone_http2_give(p.server, &out, SIZE_MAX));
        assert_true(find_frame(out.data, out.size, RST_STREAM, 1, &f));
        assert_int_equal(hone_http2_stream_count(p.server), 0);
        hone_buffer_free(&in);
        hone_buffer_free(&out);
        hone_buffer_free(&head);
        peer_close(&p);
    }
    /* the body is not as long as was said: shorter, longer */
    for (int n = 4; n <= 6; n += 2) {
        peer p = {0};
        assert_true(peer_open(&p, NULL, echo));
        answer *a =
            peer_ask(&p, "POST", "/", "123456", (size_t)n, (const char *[]){"content-length", "5", NULL});
        peer_transfer(&p);
        assert_int_equal(p.requests, 0);
        assert_true(a->closed);
        assert_int_equal(a->code, NGHTTP2_PROTOCOL_ERROR);
        peer_close(&p);
    }
}

/* --- time --- */

static void expires(void **state) {
    peer p = {0};
    uint64_t before = hone_now();
    (void)state;
    assert_true(peer_open(&p, NULL, hold));
    answer *running = peer_ask(&p, "GET", "/", NULL, 0, NULL);
    answer *body = peer_ask(&p, "POST", "/", "12345678", 8, NULL);
    body->hold = 4;
    peer_transfer(&p);
    hone_http2_expire(p.server, &(hone_http2_ages){.progress = before});
    peer_transfer(&p);
    assert_int_equal(body->status, 0);
    hone_http2_expire(p.server, &(hone_http2_ages){.progress = hone_now() + 1});
    peer_transfer(&p);
    assert_int_equal(body->status, 408);
    look_twice(&p);
    assert_true(body->closed);
    assert_int_equal(running->status, 0); /* that takes as long as it takes */
    hone_request_answer(p.held, 200, "text/plain", "done", 4);
    release(&p);
    peer_transfer(&p);
    assert_body(running, "done");
    peer_close(&p);
}

static void expires_answers_and_heads(void **state) {
    peer p = {.slow = true};
    hone_buffer in = {0}, out = {0};
    frame f;
    (void)state;
    assert_true(peer_open(&p, NULL, stream));
    answer *a = peer_ask(&p, "GET", "/", NULL, 0, NULL);
    peer_transfer(&p);
    hone_http2_expire(p.server, &(hone_http2_ages){.progress = hone_now() + 1});
    peer_transfer(&p);
    assert_true(a->closed);
    assert_int_equal(a->code, NGHTTP2_CANCEL);
    peer_close(&p);

    assert_true(peer_open(&p, NULL, echo));
    put_preface(&in);
    put_frame(&in, HEADERS, END_STREAM, 1, "\x82\x86", 2); /* goes on */
    assert_true(hone_http2_take(p.server, in.data, in.size));
    hone_http2_expire(p.server, &(hone_http2_ages){.progress = hone_now() + 1});
    assert_true(hone_http2_give(p.server, &out, SIZE_MAX));
    assert_true(find_frame(out.data, out.size, GOAWAY, 0, &f));
    assert_true(hone_http2_is_done(p.server));
    hone_buffer_free(&in);
    hone_buffer_free(&out);
    peer_close(&p);
}

static void expires_silent_streams(void **state) {
    hone_http2_host_options o = {.streams = is_stream};
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, &o, repeat));
    answer *a = peer_ask(&p, "POST", "/stream", "one two", 7, NULL);
    a->hold = 3;
    peer_transfer(&p);
    hone_http2_expire(p.server, &(hone_http2_ages){.progress = hone_now() + 1});
    peer_transfer(&p);
    assert_false(a->closed);
    hone_http2_expire(p.server, &(hone_http2_ages){.quiet = hone_now() + 1});
    peer_transfer(&p);
    assert_true(a->closed);
    assert_int_equal(p.dropped, 1);
    peer_close(&p);
}

static void drains(void **state) {
    peer p = {0};
    (void)state;
    assert_true(peer_open(&p, NULL, hold));
    answer *a = peer_ask(&p, "GET", "/", NULL, 0, NULL);
    peer_transfer(&p);
    hone_http2_drain(p.server);
    p.handle = echo;
    answer *b = peer_ask(&p, "GET", "/b", NULL, 0, NULL); /* on its way when the notice is */
    peer_transfer(&p);
    assert_true(p.goaway);
    assert_int_equal(p.goaway_code, NGHTTP2_NO_ERROR);
    assert_int_equal(p.goaway_last, INT32_MAX);
    assert_body(b, "GET /b? test ");
    hone_http2_finish(p.server);
    peer_transfer(&p);
    assert_int_equal(p.goaway_last, b->id);
    assert_false(hone_http2_is_done(p.server));
    hone_request_answer(p.held, 200, "text/plain", "done", 4);
    release(&p);
    peer_transfer(&p);
    assert_body(a, "done");
    assert_true(hone_http2_is_done(p.server));
    peer_close(&p);
}

/* --- memory --- */

/* A bit of everything. True if all of it went well. */
static bool exercise(const char *text, size_t size) {
    hone_http2_host_options o = {.plain_memory = true, .streams = is_stream};
    peer p = {0};
    bool good = peer_open(&p, &o, echo);
    if (good) {
        answer *a = peer_ask(&p, "POST", "/a", NULL, 0, (const char *[]){"content-type", "x", NULL});
        answer *b = peer_ask(&p, "POST", "/b", text, size, NULL);
        peer_transfer(&p);
        p.handle = answer_richly;
        answer *c = peer_ask(&p, "GET", "/c", NULL, 0, NULL);
        peer_transfer(&p);
        hone_http2_drain(p.server);
        hone_http2_finish(p.server);
        peer_transfer(&p);
        good = !p.dead && a->status == 200 && b->status == 200 && c->status == 503 && b->size > size &&
               a->closed && b->closed && c->closed && c->trailers[0];
    }
    peer_close(&p);
    return good;
}

static void survives_lack_of_memory(void **state) {
    size_t size = 70000;
    char *text = filler(size);
    int good = 0, bad = 0;
    (void)state;
    uint64_t before = hone_alloc_count();
    assert_true(exercise(text, size));
    uint64_t total = hone_alloc_count() - before;
    for (uint64_t n = 1; n <= total; n++) {
        hone_alloc_fail_at(n, false);
        *(exercise(text, size) ? &good : &bad) += 1;
        hone_alloc_fail_at(0, false);
    }
    assert_true(exercise(text, size));
    free(text);
    print_message("each of %d allocations failed in turn; %d times all went well nevertheless\n", (int)total,
                  good);
    assert_true(bad > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_requests),
        cmocka_unit_test(answers_many_streams),
        cmocka_unit_test(hands_out_what_is_there_at_once),
        cmocka_unit_test(sends_fields_and_trailers),
        cmocka_unit_test(answers_head_without_a_body),
        cmocka_unit_test(says_continue),
        cmocka_unit_test(answers_later_and_in_pieces),
        cmocka_unit_test(waits_for_slow_readers),
        cmocka_unit_test(takes_large_bodies),
        cmocka_unit_test(gives_bodies_as_they_come),
        cmocka_unit_test(holds_back_unread_streams),
        cmocka_unit_test(cancels_what_is_reset),
        cmocka_unit_test(never_starts_what_is_reset_at_once),
        cmocka_unit_test(asks_whether_the_client_has_gone),
        cmocka_unit_test(refuses_large_heads),
        cmocka_unit_test(refuses_large_bodies),
        cmocka_unit_test(answers_before_the_request_ends),
        cmocka_unit_test(stops_rapid_resets),
        cmocka_unit_test(stops_resets_by_errors),
        cmocka_unit_test(stops_frames_that_carry_nothing),
        cmocka_unit_test(stops_endless_heads),
        cmocka_unit_test(limits_streams),
        cmocka_unit_test(refuses_what_is_no_http2),
        cmocka_unit_test(resets_malformed_requests),
        cmocka_unit_test(expires),
        cmocka_unit_test(expires_answers_and_heads),
        cmocka_unit_test(expires_silent_streams),
        cmocka_unit_test(drains),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
