/* What a few bytes of a request can cause: memory, work and time. Each attack is tried against a server with small
 * limits; what it costs is printed, and what is kept at once stays within the budget, while others are served. */
#include "serve/caller.h"
#include "serve/format/grpc_code.h"
#include "serve/format/gzip.h"
#include "serve/http2_client.h"
#include "serve/http2_frames.h"
#include "serve/messages.h"
#include "serve/process.h"
#include "serve/servers.h"

#include <stdatomic.h>
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
    int status;                    /* of the answer, if there is room; gRPC's, or HTTP's */
    const char *length;            /* of the JSON before raw bytes; NULL: there are none */
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

static size_t rows_of_objects(hone_buffer *b) {
    hone_buffer_text(b, "{\"instances\":[{\"x\":0}");
    repeat(b, ",{\"x\":0}", MOST - 100);
    hone_buffer_text(b, "]}");
    return (MOST - 100) / 8 * 8;
}

static size_t rows_of_nothing(hone_buffer *b) {
    hone_buffer_text(b, "{\"instances\":[[]");
    repeat(b, ",[]", MOST - 100);
    hone_buffer_text(b, "]}");
    return 0;
}

/* Of [4M, 0]: rows that have nothing in them. */
static size_t shape_of_nothing(hone_buffer *b) {
    size_t spec = hone_wire_begin(b, 1);
    hone_wire_put_text(b, 1, "grid");
    hone_wire_end(b, spec);
    size_t entry = hone_wire_begin(b, 2);
    hone_wire_put_text(b, 1, "x");
    size_t tensor = hone_wire_begin(b, 2);
    hone_wire_put_number(b, 1, 1);
    hone_shape_proto_put(b, 2, 2, (int64_t[]){MOST / 4, 0}, NULL);
    hone_wire_end(b, tensor);
    hone_wire_end(b, entry);
    return 0;
}

/* Of [0, 2⁶⁰]. */
static size_t huge_shape_of_nothing(hone_buffer *b) {
    size_t spec = hone_wire_begin(b, 1);
    hone_wire_put_text(b, 1, "grid");
    hone_wire_end(b, spec);
    size_t entry = hone_wire_begin(b, 2);
    hone_wire_put_text(b, 1, "x");
    size_t tensor = hone_wire_begin(b, 2);
    hone_wire_put_number(b, 1, 1);
    hone_shape_proto_put(b, 2, 2, (int64_t[]){0, (int64_t)1 << 60}, NULL);
    hone_wire_end(b, tensor);
    hone_wire_end(b, entry);
    return 0;
}

static size_t deep_value(hone_buffer *b) {
    hone_buffer_text(b, "{\"instances\":");
    repeat(b, "[", MOST - 100);
    return 0;
}

static size_t deep_member(hone_buffer *b) {
    hone_buffer_text(b, "{\"other\":");
    repeat(b, "[", MOST - 100);
    return 0;
}

static size_t many_unknown_inputs(hone_buffer *b) {
    hone_buffer_text(b, "{\"inputs\":{");
    repeat(b, "\"a\":0,", MOST - 100);
    hone_buffer_text(b, "\"x\":[0]}}");
    return 8;
}

static size_t many_times_the_input(hone_buffer *b) {
    hone_buffer_text(b, "{\"inputs\":[");
    for (int i = 0; i < 100000; i++)
        hone_buffer_printf(b, "%s{\"name\":\"x\",\"datatype\":\"INT64\",\"shape\":[1],\"data\":[0]}",
                           i ? "," : "");
    hone_buffer_text(b, "]}");
    return 8;
}

static size_t many_times_the_output(hone_buffer *b) {
    hone_buffer_text(
        b, "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT64\",\"shape\":[1],\"data\":[0]}],\"outputs\":[");
    for (int i = 0; i < 10000; i++) hone_buffer_text(b, i ? ",{\"name\":\"y\"}" : "{\"name\":\"y\"}");
    hone_buffer_text(b, "]}");
    return 8;
}

static size_t many_times_the_output_by_grpc(hone_buffer *b) {
    put_filled(b, "floats", 1, 5, "\0\0\x80\x3f", 4, 1);
    for (int i = 0; i < 10000; i++) hone_wire_put_text(b, 3, "y");
    return 4;
}

static size_t many_parameters(hone_buffer *b) {
    hone_buffer_text(b, "{\"parameters\":{\"a\":0");
    repeat(b, ",\"a\":0", MOST - 200);
    hone_buffer_text(b, "},\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT64\",\"shape\":[1],\"data\":[0]}]}");
    return 8;
}

static size_t empty_texts(hone_buffer *b) {
    static const char none[4];
    hone_buffer_printf(
        b, "%-120s",
        "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"BYTES\",\"shape\":[1048576],\"parameters\":"
        "{\"binary_data_size\":4194304}}]}");
    for (int i = 0; i < MB; i++) hone_buffer_put(b, none, 4);
    return MOST;
}

/* Decimals between two floats, of which only the last digit says to which they belong. */
static size_t long_numbers(hone_buffer *b) {
    char number[800];
    memset(number, '0', sizeof number);
    memcpy(number, ",1.00000005960464477539062500", 28);
    number[798] = '1';
    number[799] = 0;
    hone_buffer_text(b, "{\"instances\":[0");
    repeat(b, number, MOST - 1000);
    hone_buffer_text(b, "]}");
    return (MOST - 1000) / 799 * 4;
}

static size_t unknown_fields(hone_buffer *b) {
    put_filled(b, "floats", 1, 5, "\0\0\x80\x3f", 4, 1);
    repeat(b, "\x78\x01", MOST - 200);
    return 4;
}

static size_t small_numbers(hone_buffer *b) {
    static char ones[MOST / 8];
    memset(ones, 1, sizeof ones);
    hone_wire_put_text(b, 1, "numbers");
    size_t input = hone_wire_begin(b, 5);
    hone_wire_put_text(b, 1, "x");
    hone_wire_put_text(b, 2, "INT64");
    hone_wire_put_number(b, 3, sizeof ones);
    size_t contents = hone_wire_begin(b, 5);
    hone_wire_put_bytes(b, 3, ones, sizeof ones);
    hone_wire_end(b, contents);
    hone_wire_end(b, input);
    return MOST;
}

#define PREDICT "/tensorflow.serving.PredictionService/Predict"
#define INFER "/inference.GRPCInferenceService/ModelInfer"

static const attack attacks[] = {
    {"TFS gRPC: one float for all", PREDICT, true, false, fill_floats, 0, NULL},
    {"TFS gRPC: one string for all", PREDICT, true, false, fill_strings, 0, NULL},
    {"TFS gRPC: a shape of [4M, 0]", PREDICT, true, false, shape_of_nothing, 0, NULL},
    {"TFS gRPC: a shape of [0, 2^60]", PREDICT, true, false, huge_shape_of_nothing, 8, NULL},
    {"TFS gRPC: one output 10,000 times", PREDICT, true, false, many_times_the_output_by_grpc, 3, NULL},
    {"TFS gRPC: unknown fields", PREDICT, true, false, unknown_fields, 0, NULL},
    {"TFS gRPC: unknown fields, packed", PREDICT, true, true, unknown_fields, 0, NULL},
    {"OIP gRPC: int64 of one byte each", INFER, true, false, small_numbers, 0, NULL},
    {"TFS REST: rows of int64", "/v1/models/numbers:predict", false, false, rows_of_numbers, 0, NULL},
    {"TFS REST: rows of int64, packed", "/v1/models/numbers:predict", false, true, rows_of_numbers, 0, NULL},
    {"TFS REST: rows of objects", "/v1/models/numbers:predict", false, false, rows_of_objects, 0, NULL},
    {"TFS REST: rows of nothing", "/v1/models/grid:predict", false, false, rows_of_nothing, 200, NULL},
    {"TFS REST: column of texts", "/v1/models/texts:predict", false, false, column_of_texts, 0, NULL},
    {"TFS REST: column of texts, packed", "/v1/models/texts:predict", false, true, column_of_texts, 0, NULL},
    {"TFS REST: long decimals", "/v1/models/floats:predict", false, false, long_numbers, 200, NULL},
    {"TFS REST: nested 16M deep", "/v1/models/numbers:predict", false, false, deep_value, 400, NULL},
    {"TFS REST: nested so, skipped", "/v1/models/numbers:predict", false, false, deep_member, 400, NULL},
    {"TFS REST: 2M unknown inputs", "/v1/models/numbers:predict", false, false, many_unknown_inputs, 200,
     NULL},
    {"OIP REST: an input 100,000 times", "/v2/models/numbers/infer", false, false, many_times_the_input, 400,
     NULL},
    {"OIP REST: an output 10,000 times", "/v2/models/numbers/infer", false, false, many_times_the_output, 400,
     NULL},
    {"OIP REST: 2M parameters", "/v2/models/numbers/infer", false, false, many_parameters, 200, NULL},
    {"OIP REST: empty texts", "/v2/models/texts/infer", false, false, empty_texts, 0, "120"},
};
enum { ATTACKS = sizeof attacks / sizeof *attacks };

/* The body as it is sent. */
static hone_buffer make_body(const attack *a, size_t *decoded) {
    hone_buffer plain = {0}, body = {0};
    hone_gzip *z = NULL;
    *decoded = a->put(&plain);
    assert_false(plain.failed);
    if (a->packed) {
        hone_buffer packed = {0};
        assert_true(hone_gzip_pack(&z, plain.data, plain.size, &packed));
        hone_gzip_free(z);
        hone_buffer_free(&plain);
        plain = packed;
    }
    if (!a->grpc) return plain;
    hone_buffer_byte(&body, a->packed);
    for (int shift = 24; shift >= 0; shift -= 8) hone_buffer_byte(&body, (char)(plain.size >> shift));
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
    add_model(f->server, "grid", echo_model(HONE_FLOAT32, 2, "y"));
}

/* Looks at the memory of the process all the time, and at the CPU time that it takes beside the test itself. */
typedef struct meter {
    pthread_t thread;
    atomic_bool stop;
    size_t before;
    atomic_size_t most;
    double cpu;
} meter;

static double seconds_of(int who) {
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void *look(void *arg) {
    meter *m = arg;
    while (!atomic_load(&m->stop)) {
        size_t now = resident();
        if (now > atomic_load(&m->most)) atomic_store(&m->most, now);
        usleep(500);
    }
    m->cpu -= seconds_of(RUSAGE_THREAD); /* which is not the server's */
    return NULL;
}

static void start_meter(meter *m) {
    *m = (meter){.before = resident(), .cpu = seconds_of(RUSAGE_THREAD) - seconds_of(RUSAGE_SELF)};
    assert_int_equal(pthread_create(&m->thread, NULL, look, m), 0);
}

/* m->most: bytes more than before; m->cpu: seconds. */
static void stop_meter(meter *m) {
    atomic_store(&m->stop, true);
    pthread_join(m->thread, NULL);
    m->cpu += seconds_of(RUSAGE_SELF) - seconds_of(RUSAGE_THREAD);
    size_t most = atomic_load(&m->most);
    atomic_store(&m->most, most > m->before ? most - m->before : 0);
}

/* --- one at a time --- */

static int status_of(const attack *a, int http, const char *fields, const char *trailers) {
    const char *code = strcasestr(fields, "grpc-status: ");
    if (!code) code = strcasestr(trailers, "grpc-status: ");
    return !a->grpc ? http : code ? atoi(code + 13) : -1;
}

static const char *coding_of(const attack *a) {
    return a->grpc ? "grpc-encoding" : "content-encoding";
}

static int ask_by_http2(int port, const attack *a, const hone_buffer *body) {
    static caller c;
    const char *fields[] = {"content-type", a->grpc ? "application/grpc" : "application/json", NULL, NULL,
                            NULL};
    if (a->packed) {
        fields[2] = coding_of(a);
        fields[3] = "gzip";
    } else if (a->length) {
        fields[2] = "inference-header-content-length";
        fields[3] = a->length;
    }
    caller_open(&c, port);
    answer *got = peer_ask(&c.p, "POST", a->path, body->data, body->size, fields);
    while (!got->closed) {
        if (!caller_send(&c) || client_more(&c.c, CLIENT_WAIT_MS) <= 0) break;
        assert_true(nghttp2_session_mem_recv(c.p.client, (const uint8_t *)c.c.data, c.c.size) >= 0);
        client_drop(&c.c, c.c.size);
        got->size = 0; /* nobody wants it */
    }
    int status = status_of(a, got->status, got->fields, got->trailers);
    caller_close(&c);
    return status;
}

static size_t put_http1_head(char *head, size_t room, const attack *a, size_t size) {
    int n = snprintf(head, room, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n",
                     a->path, a->grpc ? "application/grpc" : "application/json", size);
    if (a->packed) n += snprintf(head + n, room - (size_t)n, "%s: gzip\r\n", coding_of(a));
    if (a->length)
        n += snprintf(head + n, room - (size_t)n, "Inference-Header-Content-Length: %s\r\n", a->length);
    return (size_t)n;
}

static int ask_by_http1(int port, const attack *a, const hone_buffer *body) {
    client c = client_open(port);
    char head[500], first[4096], last[200] = "";
    size_t n = put_http1_head(head, sizeof head, a, body->size), kept = 0;
    (void)!(client_send(&c, head, n) && client_text(&c, "Connection: close\r\n\r\n") &&
            client_send(&c, body->data, body->size));
    for (; client_more(&c, CLIENT_WAIT_MS) > 0; client_drop(&c, c.size)) {
        size_t some = c.size < sizeof first - 1 - kept ? c.size : sizeof first - 1 - kept;
        memcpy(first + kept, c.data, some);
        kept += some;
        size_t end = c.size < sizeof last - 1 ? c.size : sizeof last - 1;
        for (size_t k = 0; k < end; k++) last[k] = c.data[c.size - end + k] ? c.data[c.size - end + k] : '.';
        last[end] = 0;
    }
    first[kept] = 0;
    client_close(&c);
    return kept > 12 ? status_of(a, atoi(first + 9), first, last) : -1;
}

/* What one request costs: nothing passes the budget, and the server answers as it should. */
static void costs_are_bounded(void **state) {
    fixture f;
    (void)state;
    open_server(&f);
    print_message("%-34s %8s %10s %10s %10s %9s %9s %9s\n", "one request", "", "bytes", "decoded to",
                  "memory", "per byte", "CPU", "per byte");
    for (int i = 0; i < 2 * ATTACKS; i++) {
        const attack *a = &attacks[i / 2];
        size_t decoded;
        hone_buffer body = make_body(a, &decoded);
        meter m;
        wait_for(f.port, "hone_connections", 1);
        start_meter(&m);
        int status = i % 2 ? ask_by_http2(f.port, a, &body) : ask_by_http1(f.port, a, &body);
        wait_for(f.port, "hone_requests_in_flight", 1);
        stop_meter(&m);
        size_t most = atomic_load(&m.most);
        print_message("%-34s HTTP/%d %4d %10zu %10zu %7zu KB %9.3g %6.1f ms %6.3g us\n", a->name, i % 2 + 1,
                      status, body.size, decoded, most >> 10, (double)most / (double)body.size, m.cpu * 1e3,
                      m.cpu * 1e6 / (double)body.size);
        int good = a->grpc ? 0 : 200, too_much = a->grpc ? HONE_GRPC_RESOURCE_EXHAUSTED : 429;
        bool expected = a->status ? status == a->status : status == good || status == too_much;
        if (!expected) fail_msg("%s, HTTP/%d: %d", a->name, i % 2 + 1, status);
        if (!is_sanitized()) assert_true(most <= BUDGET + SLACK);
        hone_buffer_free(&body);
    }
    stop(&f);
}

/* --- many at once --- */

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
                                a->packed ? coding_of(a) : NULL, "gzip", NULL};
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
    size_t n = put_http1_head(head, sizeof head, a, body->size);
    client *c = &k->clients[k->count++];
    *c = client_open(port);
    assert_true(client_send(c, head, n) && client_text(c, "\r\n"));
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

/* Waits until all are answered, or refused, with others asking meanwhile. */
static void watch(crowd *k, int port) {
    for (int i = 0; i < CLIENT_WAIT_MS; i++) {
        exchange(k);
        client c = client_open(port);
        check(client_ask(&c, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
        client_close(&c);
        usleep(2000);
        if (is_uploaded(k) && metric(port, "hone_requests_in_flight") == 1) return;
    }
    fail_msg("the requests are not answered");
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
        meter m;
        if (decoded > MB && body.size < MB) {
            wait_for(f.port, "hone_connections", 1);
            start_meter(&m);
            k = (crowd){.http2 = i % 2};
            for (int n = 0; n < CLIENTS; n++) join_crowd(&k, f.port, a, &body);
            watch(&k, f.port);
            leave(&k);
            stop_meter(&m);
            size_t most = atomic_load(&m.most);
            print_message("%s, HTTP/%d: %d requests of %zu bytes, each decoded to %zu MB: at most %zu MB, "
                          "%.0f ms of CPU\n",
                          a->name, i % 2 + 1, CLIENTS, body.size, decoded / MB, most / MB, m.cpu * 1e3);
            if (!is_sanitized()) assert_true(most <= BUDGET + SLACK);
        }
        hone_buffer_free(&body);
    }
    stop(&f);
}

/* Requests that never come whole, each with less than is free: many of them on a connection are not. */
static void keeps_halves_of_requests_within_the_budget(void **state) {
    enum { CONNECTIONS = 16, STREAMS = 128, BODY = 60 << 10, HEAD = 12 << 10 };
    (void)state;
    for (int heads = 0; heads < 2; heads++) {
        fixture f;
        static caller c[CONNECTIONS];
        char *body = calloc(1, BODY + 1), *long_value = malloc(HEAD + 1);
        hone_server_options o = small_options();
        assert_true(body && long_value);
        memset(long_value, 'x', HEAD);
        long_value[HEAD] = 0;
        o.max_header_bytes = 16 << 10;
        o.body_budget_bytes = BUDGET / 4;
        o.header_timeout_ms = 600000;
        start(&f, &o);
        wait_for(f.port, "hone_requests_in_flight", 1);
        size_t before = resident(), most = 0, refused = 0, sent = 0;
        const char *const fields[] = {heads ? "x-long" : NULL, long_value, NULL};
        for (int i = 0; i < CONNECTIONS; i++) {
            caller_open(&c[i], f.port);
            for (int k = 0; k < STREAMS; k++) {
                answer *a = peer_ask(&c[i].p, "POST", MATRIX, body, BODY + 1, fields);
                a->hold = heads ? 1 : BODY;
            }
            for (int k = 0; k < 2; k++) {
                assert_true(caller_send(&c[i]));
                while (client_more(&c[i].c, 50) > 0) {
                    assert_true(nghttp2_session_mem_recv(c[i].p.client, (const uint8_t *)c[i].c.data,
                                                         c[i].c.size) >= 0);
                    client_drop(&c[i].c, c[i].c.size);
                    assert_true(caller_send(&c[i]));
                }
            }
            client h1 = client_open(f.port);
            check(client_ask(&h1, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
            client_close(&h1);
            if (resident() > before && resident() - before > most) most = resident() - before;
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            for (int k = 0; k < c[i].p.count; k++) {
                refused += c[i].p.answers[k].status == 503;
                sent += c[i].p.answers[k].uploaded + (heads ? HEAD : 0);
            }
            caller_close(&c[i]);
        }
        print_message(
            "%d connections of %d streams with half a %s, %zu MB in all: at most %zu MB, %zu refused\n",
            CONNECTIONS, STREAMS, heads ? "head" : "body", sent / MB, most / MB, refused);
        assert_true(refused > 0);
        if (!is_sanitized()) assert_true(most <= BUDGET / 4 + 2 * SLACK); /* the clients are here, too */
        stop(&f);
        free(body);
        free(long_value);
    }
}

/* One after the other: each has its answer made before the next comes, and leaves it here. */
static void keeps_answers_that_nobody_reads_within_the_budget(void **state) {
    fixture f;
    (void)state;
    open_server(&f);
    for (int http2 = 0; http2 < 2; http2++) {
        static crowd k;
        size_t decoded;
        hone_buffer body = make_body(&attacks[0], &decoded);
        meter m;
        start_meter(&m);
        k = (crowd){.http2 = http2};
        for (int n = 0; n < CLIENTS; n++) {
            join_crowd(&k, f.port, &attacks[0], &body);
            watch(&k, f.port);
        }
        stop_meter(&m);
        size_t most = atomic_load(&m.most);
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

/* A client of HTTP/2 that opens no window, and what it asks. */
static void put_shut_preface(hone_buffer *b) {
    hone_buffer_text(b, HONE_HTTP2_PREFACE);
    put_frame(b, SETTINGS, 0, 0, "\0\4\0\0\0\0", 6); /* INITIAL_WINDOW_SIZE: 0 */
}

/* Answers that are free one by one, on many streams of many connections. */
static void keeps_small_answers_within_the_budget(void **state) {
    enum { CONNECTIONS = 64, STREAMS = 128 };
    fixture f;
    client c[CONNECTIONS];
    hone_buffer asked = {0};
    hone_server_options o = small_options();
    meter m;
    (void)state;
    o.body_budget_bytes = BUDGET / 8;
    o.header_timeout_ms = 600000;
    start(&f, &o);
    wait_for(f.port, "hone_requests_in_flight", 1);
    client h1 = client_open(f.port);
    reply r = client_ask(&h1, "GET", "/metrics", NULL);
    size_t each = r.size;
    free(r.body);
    put_shut_preface(&asked);
    for (uint32_t k = 0; k < STREAMS; k++) put_request(&asked, 2 * k + 1, "GET", "/metrics", END_STREAM);
    start_meter(&m);
    for (int i = 0; i < CONNECTIONS; i++) {
        c[i] = client_open(f.port);
        (void)!client_send(&c[i], asked.data, asked.size); /* it may have been cut off */
        check(client_ask(&h1, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
    }
    client_close(&h1);
    wait_for(f.port, "hone_requests_in_flight", 1);
    double given_up = metric(f.port, "hone_request_errors_total{reason=\"overloaded\"}");
    stop_meter(&m);
    print_message("%d answers of %zu KB that nobody reads, %zu MB in all: at most %zu MB, %.0f given up\n",
                  CONNECTIONS * STREAMS, each >> 10, CONNECTIONS * STREAMS * each / MB,
                  atomic_load(&m.most) / MB, given_up);
    assert_true(CONNECTIONS * STREAMS * each > 2 * (BUDGET / 8 + SLACK));
    assert_true(given_up > 0);
    if (!is_sanitized()) assert_true(atomic_load(&m.most) <= BUDGET / 8 + SLACK);
    for (int i = 0; i < CONNECTIONS; i++) client_close(&c[i]);
    hone_buffer_free(&asked);
    stop(&f);
}

/* --- framing --- */

static size_t tiny_chunks(hone_buffer *b) {
    hone_buffer_text(b, "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const char *p = ONE_ROW; *p; p++) hone_buffer_printf(b, "1\r\n%c\r\n", *p);
    repeat(b, "1\r\n \r\n", MB);
    hone_buffer_text(b, "0\r\n\r\n");
    return b->size;
}

static size_t long_head(hone_buffer *b) {
    hone_buffer_text(b, "GET /healthz HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 60; i++) hone_buffer_printf(b, "X-Long-%d: %020d\r\n", i, i);
    hone_buffer_text(b, "\r\n");
    return b->size;
}

static size_t endless_head(hone_buffer *b) {
    hone_buffer_text(b, "GET /healthz HTTP/1.1\r\nHost: x\r\nX: ");
    repeat(b, "x", MB);
    return b->size;
}

static size_t tiny_frames(hone_buffer *b) {
    put_preface(b);
    put_request(b, 1, "POST", MATRIX, 0);
    for (const char *p = ONE_ROW; *p; p++) put_frame(b, DATA, 0, 1, p, 1);
    for (int i = 0; i < 60000; i++) put_frame(b, DATA, 0, 1, " ", 1);
    put_frame(b, DATA, END_STREAM, 1, " ", 1);
    return b->size;
}

/* A field of 4,000 bytes, sent once and named again and again by a byte. */
static size_t indexed_fields(hone_buffer *b) {
    hone_buffer head = {0};
    put_preface(b);
    put_head(&head, "GET", "/healthz");
    hone_buffer_put(&head, "\x40\1x\x7f\xa1\x1e", 6); /* 127 + 0x21 + 30·128 = 4000 */
    for (int i = 0; i < 4000; i++) hone_buffer_byte(&head, 'x');
    for (int i = 0; i < 8000; i++) hone_buffer_byte(&head, (char)0xbe);
    put_frame(b, HEADERS, END_STREAM | END_HEADERS, 1, head.data, head.size);
    hone_buffer_free(&head);
    return b->size;
}

/* Bytes of which the server has to take many apart for little: what they cost, while others are served. */
static void takes_framing_apart(void **state) {
    static const struct {
        const char *name;
        size_t (*put)(hone_buffer *b);
    } floods[] = {{"HTTP/1.1: chunks of one byte", tiny_chunks},
                  {"HTTP/1.1: many fields", long_head},
                  {"HTTP/1.1: a head without end", endless_head},
                  {"HTTP/2: frames of one byte", tiny_frames},
                  {"HTTP/2: a field named 8,000 times", indexed_fields}};
    fixture f;
    hone_server_options o = small_options();
    (void)state;
    o.max_header_bytes = 16 << 10;
    start(&f, &o);
    client other = client_open(f.port);
    for (size_t i = 0; i < sizeof floods / sizeof *floods; i++) {
        hone_buffer b = {0};
        meter m;
        floods[i].put(&b);
        assert_false(b.failed);
        wait_for(f.port, "hone_requests_in_flight", 1);
        start_meter(&m);
        client c = client_open(f.port);
        (void)!client_send(&c, b.data, b.size);
        assert_true(client_more(&c, CLIENT_WAIT_MS) >= 0); /* an answer, or the end */
        check(client_ask(&other, "POST", MATRIX, ONE_ROW), 200, ONE_ROW_ANSWER);
        client_close(&c);
        stop_meter(&m);
        print_message("%-34s %10zu bytes: %7zu KB, %6.1f ms of CPU, %6.3g us per byte\n", floods[i].name,
                      b.size, atomic_load(&m.most) >> 10, m.cpu * 1e3, m.cpu * 1e6 / (double)b.size);
        if (!is_sanitized()) assert_true(atomic_load(&m.most) <= SLACK);
        hone_buffer_free(&b);
    }
    client_close(&other);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(costs_are_bounded),
                                       cmocka_unit_test(keeps_what_requests_expand_to_within_the_budget),
                                       cmocka_unit_test(keeps_answers_that_nobody_reads_within_the_budget),
                                       cmocka_unit_test(gives_up_answers_that_trickle),
                                       cmocka_unit_test(keeps_halves_of_requests_within_the_budget),
                                       cmocka_unit_test(keeps_small_answers_within_the_budget),
                                       cmocka_unit_test(takes_framing_apart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
