/* What a few bytes of a request can cause: memory, work and time. Each attack is tried against a server with small
 * limits; what it costs is printed, and what is kept at once stays within the budget, while others are served. */
#include "serve/caller.h"
#include "serve/format/gzip.h"
#include "serve/http2_client.h"
#include "serve/messages.h"
#include "serve/process.h"
#include "serve/servers.h"

#include <sys/resource.h>

enum {
    MB = 1 << 20,
    MOST = 16 * MB,   /* of a body, and of a decoded input */
    BUDGET = 64 * MB, /* of all of it */
    SLACK = 24 * MB,  /* what threads, pools and the allocator keep beside that */
    CLIENTS = 24
};

/* --- attacks --- */

typedef struct attack {
    const char *name, *path;
    bool grpc, packed;
    size_t (*put)(hone_buffer *b); /* the body; returns the bytes that it is decoded to */
} attack;

static void put_shape(hone_buffer *b, int64_t n) {
    hone_shape_proto_put(b, 2, 1, &n, NULL);
}

/* One value, and a shape that repeats it. */
static void put_filled(hone_buffer *b, const char *model, int dtype, uint32_t list, const void *value,
                       size_t size, int64_t n) {
    size_t spec = hone_wire_begin(b, 1);
    hone_wire_put_text(b, 1, model);
    hone_wire_end(b, spec);
    size_t entry = hone_wire_begin(b, 2);
    hone_wire_put_text(b, 1, "x");
    size_t tensor = hone_wire_begin(b, 2);
    hone_wire_put_number(b, 1, (uint64_t)dtype);
    put_shape(b, n);
    hone_wire_put_bytes(b, list, value, size);
    hone_wire_end(b, tensor);
    hone_wire_end(b, entry);
}

static size_t fill_floats(hone_buffer *b) {
    put_filled(b, "floats", 1, 5, "\0\0\x80\x3f", 4, MOST / 4);
    return MOST;
}

static size_t fill_strings(hone_buffer *b) {
    put_filled(b, "texts", 7, 8, "a", 1, MOST / 16);
    return MOST;
}

static void repeat(hone_buffer *b, const char *text, size_t bytes) {
    size_t n = strlen(text);
    for (size_t i = 0; i < bytes / n; i++) hone_buffer_put(b, text, n);
}

static size_t rows_of_numbers(hone_buffer *b) {
    hone_buffer_text(b, "{\"instances\":[0");
    repeat(b, ",0", MOST - 100);
    hone_buffer_text(b, "]}");
    return (MOST - 100) / 2 * 8;
}

static size_t column_of_texts(hone_buffer *b) {
    hone_buffer_text(b, "{\"inputs\":[\"\"");
    repeat(b, ",\"\"", MOST - 100);
    hone_buffer_text(b, "]}");
    return (MOST - 100) / 3 * 16;
}

static const attack attacks[] = {
    {"TFS gRPC: one float for all", "/tensorflow.serving.PredictionService/Predict", true, false,
     fill_floats},
    {"TFS gRPC: one string for all", "/tensorflow.serving.PredictionService/Predict", true, false,
     fill_strings},
    {"TFS REST: rows of int64, packed", "/v1/models/numbers:predict", false, true, rows_of_numbers},
    {"TFS REST: column of texts, packed", "/v1/models/texts:predict", false, true, column_of_texts},
};
enum { ATTACKS = sizeof attacks / sizeof *attacks };

/* The body as it is sent. */
static hone_buffer make_body(const attack *a, size_t *decoded) {
    hone_buffer plain = {0}, body = {0};
    hone_gzip *z = NULL;
    *decoded = a->put(&plain);
    if (a->packed) {
        assert_true(hone_gzip_pack(&z, plain.data, plain.size, &body));
        hone_gzip_free(z);
        hone_buffer_free(&plain);
        return body;
    }
    if (!a->grpc) return plain;
    hone_buffer_put(&body, (const char[]){0, 0, 0, (char)(plain.size >> 8), (char)plain.size}, 5);
    hone_buffer_put(&body, plain.data, plain.size);
    hone_buffer_free(&plain);
    return body;
}

/* --- a server under attack --- */

static void open_server(fixture *f) {
    hone_server_options o = small_options();
    o.compute_threads = 2;
    o.max_body_bytes = MOST;
    o.body_budget_bytes = BUDGET;
    start(f, &o);
    add_model(f->server, "floats", echo_model(HONE_FLOAT32, 1, "y"));
    add_model(f->server, "numbers", echo_model(HONE_INT64, 1, "y"));
    add_model(f->server, "texts", echo_model(HONE_STRING, 1, "y"));
}

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* Many, whose answers nobody reads, each on a connection of its own or all on one. */
typedef struct crowd {
    client clients[CLIENTS];
    int count;
    caller h2;
    bool http2;
} crowd;

static void join_crowd(crowd *k, int port, const attack *a, const hone_buffer *body) {
    char head[400];
    if (k->http2) {
        const char *fields[] = {"content-type", a->grpc ? "application/grpc" : "application/json",
                                a->packed ? "content-encoding" : NULL, "gzip", NULL};
        if (k->count == 0) {
            memset(&k->h2, 0, sizeof k->h2);
            k->h2.c = client_open(port);
            k->h2.p.slow = true; /* it never widens its windows */
            assert_true(peer_open_client(&k->h2.p));
        }
        peer_ask(&k->h2.p, "POST", a->path, body->data, body->size, fields);
        assert_true(caller_send(&k->h2));
        k->count++;
        return;
    }
    int n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: x\r\n%s%sContent-Length: %zu\r\n\r\n",
                     a->path, a->grpc ? "Content-Type: application/grpc\r\n" : "",
                     a->packed ? "Content-Encoding: gzip\r\n" : "", body->size);
    client *c = &k->clients[k->count++];
    *c = client_open(port);
    assert_true(client_send(c, head, (size_t)n));
    assert_true(client_send(c, body->data, body->size));
}

static void leave(crowd *k) {
    if (k->http2) caller_close(&k->h2);
    for (int i = 0; i < k->count && !k->http2; i++) client_close(&k->clients[i]);
}

/* Goes on with uploads. */
static void exchange(crowd *k) {
    if (!k->http2) return;
    while (client_more(&k->h2.c, 0) > 0) {
        assert_true(nghttp2_session_mem_recv(k->h2.p.client, (const uint8_t *)k->h2.c.data, k->h2.c.size) >=
                    0);
        client_drop(&k->h2.c, k->h2.c.size);
    }
    assert_true(caller_send(&k->h2));
}

static bool is_uploaded(const crowd *k) {
    for (int i = 0; k->http2 && i < k->count; i++)
        if (k->h2.p.answers[i].uploaded < k->h2.p.answers[i].upload_size && !k->h2.p.answers[i].closed)
            return false;
    return true;
}

/* Waits until all are answered, or refused, with others asking meanwhile; returns the most memory that was taken. */
static size_t watch(crowd *k, int port) {
    size_t most = 0;
    for (int i = 0; i < CLIENT_WAIT_MS; i++) {
        exchange(k);
        client c = client_open(port);
        check(client_ask(&c, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
        client_close(&c);
        for (int n = 0; n < 10; n++, usleep(200))
            if (resident() > most) most = resident();
        if (is_uploaded(k) && metric(port, "hone_requests_in_flight") == 1) return most;
    }
    fail_msg("the requests are not answered");
    return 0;
}

static void keeps_what_requests_expand_to_within_the_budget(void **state) {
    fixture f;
    (void)state;
    open_server(&f);
    for (int i = 0; i < 2 * ATTACKS; i++) {
        const attack *a = &attacks[i / 2];
        static crowd k;
        size_t decoded;
        hone_buffer body = make_body(a, &decoded);
        wait_for(f.port, "hone_requests_in_flight", 1);
        size_t before = resident();
        double cpu = cpu_seconds();
        k = (crowd){.http2 = i % 2};
        for (int n = 0; n < CLIENTS; n++) join_crowd(&k, f.port, a, &body);
        size_t most = watch(&k, f.port) - before;
        cpu = cpu_seconds() - cpu;
        print_message(
            "%s, HTTP/%d: %d requests of %zu bytes, each decoded to %zu MB: at most %zu MB, %.0f ms "
            "of CPU each\n",
            a->name, i % 2 + 1, CLIENTS, body.size, decoded / MB, most / MB, cpu / CLIENTS * 1e3);
        if (!is_sanitized()) assert_true(most <= BUDGET + SLACK);
        leave(&k);
        hone_buffer_free(&body);
    }
    stop(&f);
}

/* One after the other: each has its answer made before the next comes, and leaves it here. */
static void keeps_answers_that_nobody_reads_within_the_budget(void **state) {
    fixture f;
    (void)state;
    open_server(&f);
    for (int http2 = 0; http2 < 2; http2++) {
        static crowd k;
        size_t decoded, most = 0, before = resident();
        hone_buffer body = make_body(&attacks[0], &decoded);
        k = (crowd){.http2 = http2};
        for (int n = 0; n < CLIENTS; n++) {
            join_crowd(&k, f.port, &attacks[0], &body);
            size_t now = watch(&k, f.port) - before;
            if (now > most) most = now;
        }
        print_message("%d answers of 16 MB that nobody reads, HTTP/%d: at most %zu MB\n", CLIENTS, http2 + 1,
                      most / MB);
        if (!is_sanitized()) assert_true(most <= BUDGET + SLACK);
        leave(&k);
        hone_buffer_free(&body);
        /* whoever leaves gives it back */
        wait_for(f.port, "hone_connections", 1);
        body = make_body(&attacks[0], &decoded);
        http2_client h;
        http2_open(&h, f.port);
        assert_true(http2_ask(&h, attacks[0].path, "application/grpc", body.data, body.size));
        assert_int_equal(h.code, 0);
        assert_true(h.size > 16 * MB);
        http2_close(&h);
        hone_buffer_free(&body);
    }
    stop(&f);
}

/* Those who take their answer byte by byte may do so as long as nobody needs its memory. */
static void gives_up_answers_that_trickle(void **state) {
    enum { READERS = 8 };
    (void)state;
    for (int http2 = 0; http2 < 2; http2++) {
        fixture f;
        static crowd k;
        size_t decoded;
        hone_buffer body = make_body(&attacks[0], &decoded);
        hone_server_options o = small_options();
        o.max_body_bytes = MOST;
        /* the last one is decoded and run beside the answers of the others; what is left of them all is much */
        o.body_budget_bytes = (READERS + 2) * MOST + MB;
        o.header_timeout_ms = 600000;
        o.request_timeout_ms = 500;
        start(&f, &o);
        add_model(f.server, "floats", echo_model(HONE_FLOAT32, 1, "y"));
        k = (crowd){.http2 = http2};
        for (int n = 0; n < READERS; n++) {
            join_crowd(&k, f.port, &attacks[0], &body);
            watch(&k, f.port);
        }
        bool given_up = false;
        char byte;
        for (int i = 0; i < CLIENT_WAIT_MS / 20 && !given_up; i++, usleep(20000)) {
            exchange(&k);
            for (int n = 0; n < k.count; n++) {
                if (http2)
                    given_up |= k.h2.p.answers[n].closed && k.h2.p.answers[n].code == NGHTTP2_CANCEL;
                else
                    assert_int_equal(client_receive(&k.clients[n], &byte, 1, 0), 1);
            }
            if (!http2) given_up = metric(f.port, "hone_request_errors_total{reason=\"timeout\"}") > 0;
        }
        assert_true(given_up);
        leave(&k);
        hone_buffer_free(&body);
        stop(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_what_requests_expand_to_within_the_budget),
                                       cmocka_unit_test(keeps_answers_that_nobody_reads_within_the_budget),
                                       cmocka_unit_test(gives_up_answers_that_trickle)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
