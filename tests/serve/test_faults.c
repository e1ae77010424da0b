/* What goes wrong around a server: memory that is not there, bytes that make no sense, the end in the middle
 * of traffic, models that come and go. Counts are printed. */
#include "serve/http2_client.h"
#include "serve/http2_frames.h"
#include "serve/messages.h"
#include "serve/servers.h"

#include <stdatomic.h>

/* --- requests by every API --- */

typedef struct exchange {
    const char *name, *path, *field, *type;
    bool http1, http2, grpc;
    hone_buffer body;
    hone_buffer answer; /* what it should be */
} exchange;

enum { EXCHANGES = 8 };
static exchange exchanges[EXCHANGES];

#define BINARY                                                                                               \
    "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],\"parameters\":"                     \
    "{\"binary_data_size\":12}}],\"parameters\":{\"binary_data_output\":true}}"

static int make_exchanges(void **state) {
    static const float x[] = {1, 0, 0};
    static char header[64];
    (void)state;
    snprintf(header, sizeof header, "Inference-Header-Content-Length: %zu\r\n", sizeof BINARY - 1);
    exchange *e = exchanges;
    e[0] = (exchange){"TFS REST", MATRIX, "", "application/json", true, true, false};
    hone_buffer_text(&e[0].body, ONE_ROW);
    e[1] = (exchange){"OIP JSON", "/v2/models/matrix/infer", "", "application/json", true, true, false};
    hone_buffer_text(&e[1].body, "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[1,3],"
                                 "\"data\":[1,0,0]}]}");
    e[2] = (exchange){
        "OIP binary", "/v2/models/matrix/infer", header, "application/octet-stream", true, false, false};
    hone_buffer_text(&e[2].body, BINARY);
    hone_buffer_put(&e[2].body, x, sizeof x);
    e[3] =
        (exchange){"TFS gRPC", "/tensorflow.serving.PredictionService/Predict", "", NULL, false, true, true};
    put_predict(&e[3].body, "matrix", x, 1, 3);
    e[4] = (exchange){"OIP gRPC", "/inference.GRPCInferenceService/ModelInfer", "", NULL, false, true, true};
    put_infer(&e[4].body, "matrix", x, 1, 3);
    e[5] = (exchange){"status", "/v1/models/matrix", "", "text/plain", true, true, false};
    e[6] = (exchange){"metadata", "/v2/models/matrix", "", "text/plain", true, true, false};
    e[7] = (exchange){"large body", MATRIX, "", "application/json", true, true, false};
    hone_buffer_text(&e[7].body, "{\"instances\": [[1, 0, 0]");
    for (int i = 0; i < 8000; i++) hone_buffer_text(&e[7].body, ", [1, 0, 0]");
    hone_buffer_text(&e[7].body, "]}");
    return 0;
}

static int free_exchanges(void **state) {
    (void)state;
    for (int i = 0; i < EXCHANGES; i++) {
        hone_buffer_free(&exchanges[i].body);
        hone_buffer_free(&exchanges[i].answer);
    }
    return 0;
}

/* Carries it out on a new connection: HTTP's status, or gRPC's as what it stands for; 0: the connection
 * ended. What comes must be what came the first time, if it is good. */
static int carry_out(exchange *e, int port, bool http2) {
    const void *body = e->body.size ? e->body.data : NULL, *got = NULL;
    size_t size = 0;
    int status = 0;
    http2_client h = {.c = {.fd = -1}};
    client c = {.fd = -1};
    reply r = {0};
    if (http2) {
        http2_open(&h, port);
        bool answered = e->grpc ? http2_call(&h, e->path, body, e->body.size)
                                : http2_ask(&h, e->path, e->type, body, e->body.size);
        status = !answered ? 0 : !e->grpc ? h.status : h.code == 0 ? 200 : h.code == 8 ? 503 : 500;
        got = h.body;
        size = h.size;
    } else {
        char head[400];
        c = client_open(port);
        int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                         body ? "POST" : "GET", e->path, e->field, e->body.size);
        client_send(&c, head, (size_t)n);
        if (body) client_send(&c, body, e->body.size);
        r = client_reply(&c, false);
        status = r.status;
        got = r.body;
        size = r.size;
    }
    if (status == 200 && !e->answer.size) hone_buffer_put(&e->answer, got, size);
    if (status == 200 && (size != e->answer.size || memcmp(got, e->answer.data, size) != 0))
        fail_msg("%s by HTTP/%d is not what it was", e->name, http2 ? 2 : 1);
    free(r.body);
    client_close(&c);
    if (h.session) http2_close(&h);
    return status;
}

/* --- memory --- */

typedef struct outcome {
    int tries, answered, refused, cut;
} outcome;

static void fail_each(exchange *e, bool http2, bool and_after, outcome *o) {
    fixture f;
    hone_server_options options = small_options();
    uint64_t total = 0;
    for (uint64_t n = 0; n <= total; n += n && and_after ? 5 : 1) { /* first without a failure, to count */
        start(&f, &options);
        wait_for(f.port, "hone_requests_in_flight", 1); /* the server runs */
        uint64_t before = hone_alloc_count();
        hone_alloc_fail_at(n, and_after);
        int status = carry_out(e, f.port, http2);
        hone_alloc_fail_at(0, false);
        if (n == 0) {
            assert_int_equal(status, 200);
            total = hone_alloc_count() - before;
        } else {
            o->tries++;
            if (status != 0 && status != 200 && status != 503)
                fail_msg("%s by HTTP/%d with allocation %d failed: status %d", e->name, http2 ? 2 : 1, (int)n,
                         status);
            *(status == 200 ? &o->answered : status ? &o->refused : &o->cut) += 1;
        }
        assert_int_equal(carry_out(e, f.port, http2), 200); /* it goes on */
        wait_for(f.port, "hone_requests_in_flight", 1);
        stop(&f);
    }
}

static void survives_lack_of_memory(void **state) {
    (void)state;
    for (int i = 0; i < EXCHANGES; i++) {
        for (int http2 = 0; http2 < 2; http2++) {
            outcome once = {0}, after = {0};
            if (!(http2 ? exchanges[i].http2 : exchanges[i].http1)) continue;
            fail_each(&exchanges[i], http2, false, &once);
            fail_each(&exchanges[i], http2, true, &after);
            print_message("%s, HTTP/%d: each of %d allocations failed: %d answered, %d refused, %d cut off; "
                          "all from each fifth on: %d, %d, %d\n",
                          exchanges[i].name, http2 ? 2 : 1, once.tries, once.answered, once.refused, once.cut,
                          after.answered, after.refused, after.cut);
            assert_true(once.tries > 3 && after.tries > 0);
        }
    }
}

/* --- bytes that make no sense --- */

/* The bytes of a good request, as HTTP/1.1 or after HTTP/2's preface. */
static void put_wire(const exchange *e, bool http2, hone_buffer *out) {
    if (!http2) {
        hone_buffer_printf(out, "%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n",
                           e->body.size ? "POST" : "GET", e->path, e->field, e->body.size);
        hone_buffer_put(out, e->body.data, e->body.size);
        return;
    }
    hone_buffer head = {0}, body = {0};
    put_preface(out);
    put_head(&head, e->body.size ? "POST" : "GET", e->path);
    put_field(&head, "content-type", e->grpc ? "application/grpc" : e->type);
    put_frame(out, HEADERS, END_HEADERS | (e->body.size ? 0 : END_STREAM), 1, head.data, head.size);
    if (e->grpc) {
        hone_buffer_byte(&body, 0);
        put_u32(&body, (uint32_t)e->body.size);
    }
    hone_buffer_put(&body, e->body.data, e->body.size);
    for (size_t at = 0; at < body.size; at += 16384) {
        size_t n = body.size - at < 16384 ? body.size - at : 16384;
        put_frame(out, DATA, at + n == body.size ? END_STREAM : 0, 1, body.data + at, n);
    }
    hone_buffer_free(&head);
    hone_buffer_free(&body);
}

static unsigned draw(unsigned *random, size_t most) {
    *random = *random * 1664525u + 1013904223u;
    return (*random >> 8) % (unsigned)most;
}

/* Something of it is turned over, cut off, left out, said twice or made up. */
static void spoil(hone_buffer *b, unsigned *random) {
    for (unsigned times = draw(random, 3) + 1; times > 0 && b->size > 1; times--) {
        size_t at = draw(random, b->size), n = draw(random, b->size - at) % 64 + 1;
        if (draw(random, 2)) at %= 300; /* heads are where most goes wrong */
        if (at >= b->size) at = b->size - 1;
        if (n > b->size - at) n = b->size - at;
        switch (draw(random, 6)) {
        case 0: b->data[at] = (char)(b->data[at] ^ 1 << draw(random, 8)); break;
        case 1: b->data[at] = (char)draw(random, 256); break;
        case 2: b->size = at + 1; break;
        case 3:
            memmove(b->data + at, b->data + at + n, b->size - at - n);
            b->size -= n;
            break;
        case 4: {
            char copy[64];
            memcpy(copy, b->data + at, n);
            hone_buffer_put(b, copy, n);
            break;
        }
        default:
            for (size_t i = 0; i < n; i++) b->data[at + i] = (char)draw(random, 256);
        }
    }
}

/* Sends them, and nothing more; reads what comes until the end. Returns HTTP/1's status, 0 if there is
 * none. */
static int send_bytes(int port, const hone_buffer *b) {
    client c = client_open(port);
    int more, status = 0;
    assert_true(c.fd >= 0);
    client_send(&c, b->data, b->size); /* the server need not wait for all of it */
    shutdown(c.fd, SHUT_WR);
    while ((more = client_more(&c, CLIENT_WAIT_MS)) > 0) {
    }
    if (more < 0) fail_msg("a connection with broken bytes stays open");
    if (c.size > 12 && memcmp(c.data, "HTTP/1.", 7) == 0) status = atoi(c.data + 9);
    client_close(&c);
    return status;
}

/* A server has come through something: nothing of it is left, and it answers as ever. */
static void expect_sound(fixture *f) {
    wait_for(f->port, "hone_connections", 1); /* that asks */
    wait_for(f->port, "hone_requests_in_flight", 1);
    assert_true(metric(f->port, "hone_request_errors_total{reason=\"internal\"}") == 0);
    for (int i = 0; i < EXCHANGES; i++)
        assert_int_equal(carry_out(&exchanges[i], f->port, exchanges[i].http2), 200);
}

static void survives_broken_bytes(void **state) {
    fixture f;
    hone_server_options o = small_options();
    int rounds = getenv("HONE_LONG") ? 20000 : 400, answers[6] = {0};
    unsigned random = 1;
    (void)state;
    start(&f, &o);
    for (int i = 0; i < rounds; i++) {
        exchange *e = &exchanges[i % EXCHANGES];
        bool http2 = e->http1 && e->http2 ? i / EXCHANGES % 2 : e->http2;
        hone_buffer b = {0};
        put_wire(e, http2, &b);
        spoil(&b, &random);
        if (i % 50 == 49) /* nothing that makes any sense */
            for (size_t k = 0; k < b.size; k++) b.data[k] = (char)draw(&random, 256);
        assert_false(b.failed);
        int status = send_bytes(f.port, &b);
        if (status >= 500 && status != 501 && status != 505) fail_msg("round %d: status %d", i, status);
        answers[status / 100]++;
        hone_buffer_free(&b);
    }
    expect_sound(&f);
    print_message("%d broken requests: %d answered 2xx, %d 4xx, %d 5xx, %d closed without HTTP/1's status\n",
                  rounds, answers[2], answers[4], answers[5], answers[0]);
    stop(&f);
}

/* Lengths that are not so, and messages that end too soon. */
static void tells_wrong_lengths(void **state) {
    static const struct {
        const char *text;
        int status; /* 0: the end */
    } cases[] = {
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{\"instances\": [[1, 0, 0]]}",
         400},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 40\r\n\r\n{\"instances\": [[1, 0, 0]]}", 0},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n{\"instances\": [[1, 0, 0]]}", 400},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 26\r\nContent-Length: 26\r\n\r\n{}", 400},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551617\r\n\r\n{}", 400},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{}", 413},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n{}", 413},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}", 400},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n", 400},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{", 0},
        {"POST " MATRIX " HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"POST /v2/models/matrix/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
         "Inference-Header-Content-Length: 3\r\n\r\n{}",
         400},
        {"GET / HTTP/1.1\r\nHost: x", 0},
    };
    fixture f;
    hone_server_options o = small_options();
    (void)state;
    start(&f, &o);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client c = client_open(f.port);
        client_text(&c, cases[i].text);
        shutdown(c.fd, SHUT_WR);
        reply r = client_reply(&c, false);
        if (r.status != cases[i].status)
            fail_msg("%s: %d instead of %d", cases[i].text, r.status, cases[i].status);
        free(r.body);
        client_close(&c);
    }
    expect_sound(&f);
    stop(&f);
}

/* --- the end in the middle of traffic --- */

typedef struct asker {
    pthread_t thread;
    int port, index, good, bad, lost;
    atomic_bool begun;
} asker;

/* Asks by HTTP/2 until the server says GOAWAY: what it says that it takes, it must answer. */
static void *ask_on(void *arg) {
    asker *a = arg;
    exchange *e = &exchanges[a->index % 2 ? 3 : a->index % 4 ? 4 : 0];
    http2_client h;
    http2_open(&h, a->port);
    while (!h.goaway) {
        bool answered = e->grpc ? http2_call(&h, e->path, e->body.data, e->body.size)
                                : http2_ask(&h, e->path, e->type, e->body.data, e->body.size);
        if (answered && h.status == 200 && (!e->grpc || h.code == 0))
            a->good++;
        else if (answered)
            a->bad++;
        else if (h.id > 0 && (!h.goaway || h.id <= h.last))
            a->lost++;
        atomic_store(&a->begun, true);
        if (!answered) break;
    }
    http2_close(&h);
    return NULL;
}

static void drains_under_load(void **state) {
    int good = 0, lost = 0;
    (void)state;
    for (int round = 0; round < 5; round++) {
        fixture f;
        hone_server_options o = small_options();
        o.threads = 2;
        o.drain_timeout_ms = 0x7fffffff;
        start(&f, &o);
        asker askers[8];
        for (int i = 0; i < 8; i++) {
            askers[i] = (asker){.port = f.port, .index = i};
            assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_on, &askers[i]), 0);
        }
        for (int i = 0; i < 8; i++)
            while (!atomic_load(&askers[i].begun)) usleep(1000);
        usleep(20000);
        stop(&f);
        for (int i = 0; i < 8; i++) {
            pthread_join(askers[i].thread, NULL);
            good += askers[i].good;
            lost += askers[i].lost;
            assert_int_equal(askers[i].bad, 0);
        }
    }
    print_message("5 times stopped under load of REST and gRPC by HTTP/2: %d answered, %d lost\n", good,
                  lost);
    assert_int_equal(lost, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_lack_of_memory),
        cmocka_unit_test(survives_broken_bytes),
        cmocka_unit_test(tells_wrong_lengths),
        cmocka_unit_test(drains_under_load),
    };
    return cmocka_run_group_tests(tests, make_exchanges, free_exchanges);
}
