#include "serve/http/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const hone_http1_limits limits = {.head_bytes = 1024, .body_bytes = 64};

/* What a run of the parser over some text brought. */
typedef struct outcome {
    int heads, ends, status;
    char method[32], path[256], query[64], body[256];
    size_t body_size;
    bool keep_alive, expects_continue;
    char accept[64];
} outcome;

static void copy(char *out, size_t size, hone_slice text) {
    assert_true(text.size < size);
    memcpy(out, text.data, text.size);
    out[text.size] = 0;
}

static void see_head(outcome *o, const hone_head *head) {
    o->heads++;
    copy(o->method, sizeof o->method, head->method);
    copy(o->path, sizeof o->path, head->path);
    copy(o->query, sizeof o->query, head->query);
    o->keep_alive = head->keep_alive;
    o->expects_continue = head->expects_continue;
    hone_slice accept = hone_head_field(head, "ACCEPT");
    if (accept.data) copy(o->accept, sizeof o->accept, accept);
}

/* Parses `text` in pieces of `step` bytes, each in a heap block of its own so that reading past it is
 * seen. */
static outcome parse(const char *text, size_t size, size_t step) {
    outcome o = {0};
    hone_http1 p;
    hone_head head;
    hone_http1_init(&p, &limits);
    for (size_t at = 0; at < size && o.status == 0; at += step) {
        size_t n = size - at < step ? size - at : step, left = n;
        char *piece = malloc(n);
        assert_non_null(piece);
        memcpy(piece, text + at, n);
        const char *data = piece;
        hone_slice body;
        hone_http1_event event;
        while ((event = hone_http1_next(&p, &data, &left, &head, &body)) != HONE_HTTP1_MORE) {
            if (event == HONE_HTTP1_HEAD) see_head(&o, &head);
            if (event == HONE_HTTP1_END) o.ends++;
            if (event == HONE_HTTP1_BODY) {
                assert_true(o.body_size + body.size <= sizeof o.body);
                memcpy(o.body + o.body_size, body.data, body.size);
                o.body_size += body.size;
            }
            if (event == HONE_HTTP1_ERROR) {
                o.status = p.status;
                assert_non_null(p.reason);
                break;
            }
        }
        if (event == HONE_HTTP1_MORE) assert_int_equal(left, 0);
        free(piece);
    }
    hone_http1_free(&p);
    return o;
}

#define HOST "Host: x\r\n"

typedef struct refusal {
    const char *what, *text;
    size_t size; /* 0: strlen */
    int status;
} refusal;

#define CASE(what, text, status)                                                                             \
    { what, text, sizeof(text) - 1, status }

static const refusal refusals[] = {
    CASE("CR hides a header", "POST / HTTP/1.1\r\n" HOST "X-Abc:\rxTransfer-Encoding: chunked\r\n\r\n", 400),
    CASE("CR X at the end of the input", "GET / HTTP/1.1\r\n" HOST "\rX", 400),
    CASE("CR CR LF", "GET / HTTP/1.1\r\n" HOST "\r\r\n", 400),
    CASE("CR X in place of the empty line", "GET / HTTP/1.1\r\n" HOST "\rX\r\n\r\n", 400),
    CASE("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
    CASE("no Host, other fields", "GET / HTTP/1.1\r\nAccept: a\r\n\r\n", 400),
    CASE("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400),
    CASE("two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", 400),
    CASE("TE and CL", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
         400),
    CASE("CL and TE", "POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
         400),
    CASE("two CL", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
    CASE("two equal CL", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    CASE("list of CL", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", 400),
    CASE("+3", "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", 400),
    CASE("-3", "POST / HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\nabc", 400),
    CASE("0x3", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\nabc", 400),
    CASE("empty CL", "POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400),
    CASE("CL overflows", "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551619\r\n\r\nabc", 400),
    CASE("bare LF ends a line", "GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
    CASE("bare LF in the fields", "GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
    CASE("bare LF as the empty line", "GET / HTTP/1.1\r\nHost: x\r\n\n", 400),
    CASE("folded line", "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400),
    CASE("folded line, tab", "GET / HTTP/1.1\r\n" HOST "A: b\r\n\tc\r\n\r\n", 400),
    CASE("first field starts with a space", "GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400),
    CASE("space before the colon", "POST / HTTP/1.1\r\n" HOST "Content-Length : 3\r\n\r\nabc", 400),
    CASE("TE space before the colon", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n", 400),
    CASE("no colon", "GET / HTTP/1.1\r\n" HOST "Abc\r\n\r\n", 400),
    CASE("empty name", "GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n", 400),
    CASE("NUL in a value", "GET / HTTP/1.1\r\n" HOST "A: b\0c\r\n\r\n", 400),
    CASE("NUL in a name", "GET / HTTP/1.1\r\n" HOST "A\0: b\r\n\r\n", 400),
    CASE("NUL in the target", "GET /\0 HTTP/1.1\r\n" HOST "\r\n", 400),
    CASE("control character", "GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", 400),
    CASE("xchunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n", 400),
    CASE("gzip, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
    CASE("chunked, identity", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n", 400),
    CASE("two TE",
         "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    CASE("vertical tab in TE", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\x0b chunked\r\n\r\n", 400),
    CASE("TE in HTTP/1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400),
    CASE("HTTP/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", 505),
    CASE("HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 505),
    CASE("HTTP/1.10", "GET / HTTP/1.10\r\n" HOST "\r\n", 400),
    CASE("no version", "GET /\r\n" HOST "\r\n", 400),
    CASE("lower case http", "GET / http/1.1\r\n" HOST "\r\n", 400),
    CASE("no such method", "HONE / HTTP/1.1\r\n" HOST "\r\n", 501),
    CASE("a method in lower case", "get / HTTP/1.1\r\n" HOST "\r\n", 501),
    CASE("a method that is no token", "G(T / HTTP/1.1\r\n" HOST "\r\n", 400),
    CASE("no method", "/ HTTP/1.1\r\n" HOST "\r\n", 400),
    CASE("leading space", " GET / HTTP/1.1\r\n" HOST "\r\n", 400),
    CASE("space in the target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", 400),
    CASE("two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 400),
    CASE("TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", 400),
    CASE("other expectation", "POST / HTTP/1.1\r\n" HOST "Expect: 200-ok\r\n\r\n", 417),
    CASE("body too large", "POST / HTTP/1.1\r\n" HOST "Content-Length: 65\r\n\r\n", 413),
};

#define CHUNKED "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"

static const refusal chunk_refusals[] = {
    CASE("bare LF after the size", CHUNKED "3\nabc\r\n0\r\n\r\n", 400),
    CASE("bare LF after the data", CHUNKED "3\r\nabc\n0\r\n\r\n", 400),
    CASE("more data than said", CHUNKED "3\r\nabcd\r\n0\r\n\r\n", 400),
    CASE("no size", CHUNKED "\r\nabc\r\n0\r\n\r\n", 400),
    CASE("0x3", CHUNKED "0x3\r\nabc\r\n0\r\n\r\n", 400),
    CASE("+3", CHUNKED "+3\r\nabc\r\n0\r\n\r\n", 400),
    CASE("-3", CHUNKED "-3\r\nabc\r\n0\r\n\r\n", 400),
    CASE("space before the size", CHUNKED " 3\r\nabc\r\n0\r\n\r\n", 400),
    CASE("space after the size", CHUNKED "3 \r\nabc\r\n0\r\n\r\n", 400),
    CASE("size overflows", CHUNKED "10000000000000003\r\nabc\r\n0\r\n\r\n", 400),
    CASE("CR in the extension", CHUNKED "3;a\rb\r\nabc\r\n0\r\n\r\n", 400),
    CASE("NUL in the extension", CHUNKED "3;a\0b\r\nabc\r\n0\r\n\r\n", 400),
    CASE("too large", CHUNKED "41\r\n", 413),
    CASE("too large in sum", CHUNKED "3\r\nabc\r\n3e\r\n", 413),
    CASE("trailer: CR without LF", CHUNKED "0\r\nA:\rb\r\n\r\n", 400),
    CASE("trailer: bare LF", CHUNKED "0\r\nA: b\n\r\n", 400),
    CASE("trailer: bare LF at the end", CHUNKED "0\r\n\n", 400),
    CASE("trailer: folded", CHUNKED "0\r\nA: b\r\n c\r\n\r\n", 400),
    CASE("trailer: starts with a space", CHUNKED "0\r\n A: b\r\n\r\n", 400),
    CASE("trailer: CR X", CHUNKED "0\r\n\rX\r\n\r\n", 400),
    CASE("trailer: Content-Length", CHUNKED "0\r\nContent-Length: 3\r\n\r\n", 400),
    CASE("trailer: Host", CHUNKED "0\r\nHost: y\r\n\r\n", 400),
    CASE("trailer: Transfer-Encoding", CHUNKED "0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    CASE("trailer: no field", CHUNKED "0\r\nabc\r\n\r\n", 400),
};

static void check_refusals(const refusal *r, size_t count) {
    const size_t steps[] = {1, 2, 3, 7, 4096};
    for (size_t i = 0; i < count; i++)
        for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
            outcome o = parse(r[i].text, r[i].size, steps[s]);
            if (o.status != r[i].status || (r[i].status && o.ends))
                fail_msg("%s, in steps of %zu: status %d with %d complete requests, expected %d", r[i].what,
                         steps[s], o.status, o.ends, r[i].status);
        }
}

static void refuses_what_can_smuggle(void **state) {
    (void)state;
    check_refusals(refusals, sizeof refusals / sizeof *refusals);
}

static void refuses_bad_chunks(void **state) {
    (void)state;
    check_refusals(chunk_refusals, sizeof chunk_refusals / sizeof *chunk_refusals);
}

/* The bytes after a message that a CR starts are the next message, and that is refused. */
static void refuses_cr_between_messages(void **state) {
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "\r\n\rXGET / HTTP/1.1\r\n" HOST "\r\n";
    for (size_t step = 1; step < 40; step++) {
        outcome o = parse(text, sizeof text - 1, step);
        assert_int_equal(o.status, 400);
        assert_int_equal(o.ends, 1);
    }
}

static void reads_requests(void **state) {
    (void)state;
    static const char text[] =
        "\r\nPOST /v1/models/m:predict?a=b HTTP/1.1\r\nHost: x:80\r\nAccept:  a/b \t\r\n"
        "Content-Length: 5\r\n\r\nhello"
        "GET http://h/p HTTP/1.0\r\n\r\n"
        "OPTIONS * HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n";
    for (size_t step = 1; step < sizeof text; step++) {
        outcome o = parse(text, sizeof text - 1, step);
        assert_int_equal(o.status, 0);
        assert_int_equal(o.heads, 3);
        assert_int_equal(o.ends, 3);
        assert_int_equal(o.body_size, 5);
        assert_memory_equal(o.body, "hello", 5);
        assert_string_equal(o.accept, "a/b");
        assert_string_equal(o.method, "OPTIONS");
        assert_string_equal(o.path, "*");
        assert_false(o.keep_alive);
    }
    outcome first = parse(text, 105, 105);
    assert_string_equal(first.method, "POST");
    assert_string_equal(first.path, "/v1/models/m:predict");
    assert_string_equal(first.query, "a=b");
    assert_true(first.keep_alive);
}

static void reads_chunks(void **state) {
    (void)state;
    static const char text[] = CHUNKED "3\r\nabc\r\nA;name=value\r\n0123456789\r\n0\r\nX: y\r\n\r\n" CHUNKED
                                       "1\r\nz\r\n0\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n";
    for (size_t step = 1; step < sizeof text; step++) {
        outcome o = parse(text, sizeof text - 1, step);
        assert_int_equal(o.status, 0);
        assert_int_equal(o.ends, 3);
        assert_int_equal(o.body_size, 14);
        assert_memory_equal(o.body, "abc0123456789z", 14);
    }
}

static void ignores_upgrades(void **state) {
    (void)state;
    static const char text[] =
        "GET /a HTTP/1.1\r\n" HOST "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
        "GET /b HTTP/1.1\r\n" HOST "\r\n";
    outcome o = parse(text, sizeof text - 1, 4096);
    assert_int_equal(o.status, 0);
    assert_int_equal(o.ends, 2);
    assert_string_equal(o.path, "/b");
}

static void sees_expectations(void **state) {
    (void)state;
    static const char text[] = "POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n";
    outcome o = parse(text, sizeof text - 1, 4096);
    assert_int_equal(o.heads, 1);
    assert_int_equal(o.ends, 0);
    assert_true(o.expects_continue);
}

static void limits_heads(void **state) {
    (void)state;
    char text[4096];
    for (size_t step = 1; step <= sizeof text; step = step * 3 + 1) {
        for (int size = 900; size < 1300; size += 50) {
            int n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "A: ");
            memset(text + n, 'a', (size_t)(size - n));
            memcpy(text + size, "\r\n\r\n", 4);
            outcome o = parse(text, (size_t)size + 4, step);
            assert_int_equal(o.status, size + 4 > 1024 ? 431 : 0);
        }
    }
    memset(text, 'a', sizeof text); /* never a line end */
    assert_int_equal(parse(text, sizeof text, 10).status, 431);
    size_t n = (size_t)sprintf(text, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < HONE_MAX_FIELDS; i++) n += (size_t)sprintf(text + n, "a: b\r\n");
    n += (size_t)sprintf(text + n, "\r\n");
    assert_int_equal(parse(text, n, n).status, 431);
    n = (size_t)sprintf(text, CHUNKED "3;");
    memset(text + n, 'e', 1000); /* an extension without end */
    assert_int_equal(parse(text, n + 1000, 100).status, 400);
}

static void holds_nothing_between_messages(void **state) {
    (void)state;
    hone_http1 p;
    hone_head head;
    hone_slice body;
    hone_http1_init(&p, &limits);
    static const char *pieces[] = {"GET / HTT", "P/1.1\r\nHost: x\r\n\r\n"};
    for (int i = 0; i < 2; i++) {
        const char *data = pieces[i];
        size_t size = strlen(data);
        while (hone_http1_next(&p, &data, &size, &head, &body) != HONE_HTTP1_MORE) {
        }
        assert_int_equal(p.held.capacity > 0, i == 0);
    }
    assert_int_equal(p.state, HONE_HTTP1_IDLE);
    hone_http1_free(&p);
}

static void writes_answers(void **state) {
    (void)state;
    hone_buffer out = {0};
    hone_http1_answer a = {.status = 404, .content_type = "application/json", .length = 12, .close = true};
    hone_http1_write_head(&out, &a);
    hone_buffer_byte(&out, 0);
    assert_string_equal(out.data,
                        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 12\r\n"
                        "Connection: close\r\n\r\n");
    out.size = 0;
    a = (hone_http1_answer){.status = 200, .length = -1, .chunked = true};
    hone_http1_write_head(&out, &a);
    hone_buffer_byte(&out, 0);
    assert_string_equal(out.data, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    hone_buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_can_smuggle),
        cmocka_unit_test(refuses_bad_chunks),
        cmocka_unit_test(refuses_cr_between_messages),
        cmocka_unit_test(reads_requests),
        cmocka_unit_test(reads_chunks),
        cmocka_unit_test(ignores_upgrades),
        cmocka_unit_test(sees_expectations),
        cmocka_unit_test(limits_heads),
        cmocka_unit_test(holds_nothing_between_messages),
        cmocka_unit_test(writes_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
