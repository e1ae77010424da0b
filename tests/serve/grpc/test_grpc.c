/* gRPC over requests: framing, timeouts, status; health checks and reflection as a client sees them. */
#include "base/clock.h"
#include "base/error.h"
#include "serve/format/wire.h"
#include "serve/grpc/grpc_health.h"
#include "serve/http2_peer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GRPC ((const char *[]){"content-type", "application/grpc", "te", "trailers", NULL})

static hone_slice slice(const char *text) {
    return (hone_slice){text, strlen(text)};
}

/* --- pieces --- */

static void reads_timeouts(void **state) {
    static const struct {
        const char *text;
        uint64_t ns;
        bool bad;
    } cases[] = {{"1n", 1, false},
                 {"20u", 20000, false},
                 {"100m", 100 * HONE_MILLISECOND, false},
                 {"5S", 5000 * HONE_MILLISECOND, false},
                 {"2M", 120000 * HONE_MILLISECOND, false},
                 {"99999999H", 99999999ull * 3600000 * HONE_MILLISECOND, false},
                 {"0S", 1, false}, /* over at once, which is not none */
                 {"123456789n", 0, true},
                 {"", 0, true},
                 {"S", 0, true},
                 {"5", 0, true},
                 {"5s", 0, true},
                 {"-5S", 0, true},
                 {"+5S", 0, true},
                 {" 5S", 0, true},
                 {"5 S", 0, true},
                 {"0x5S", 0, true},
                 {"5SS", 0, true}};
    bool bad;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t ns = hone_grpc_timeout(slice(cases[i].text), &bad);
        if (ns != cases[i].ns || bad != cases[i].bad)
            fail_msg("\"%s\": %llu", cases[i].text, (unsigned long long)ns);
    }
    assert_int_equal(hone_grpc_timeout((hone_slice){NULL, 0}, &bad), 0);
    assert_false(bad);
    assert_int_equal(hone_grpc_timeout((hone_slice){"5\0", 2}, &bad), 0);
    assert_true(bad);
}

static void tells_calls_from_other_requests(void **state) {
    static const struct {
        const char *type;
        bool is;
    } cases[] = {
        {"application/grpc", true},     {"application/grpc+proto", true}, {"application/grpc;x", true},
        {"Application/GRPC", true},     {"application/grpc-web", false},  {"application/grpcx", false},
        {"application/json", false},    {"application/grp", false},       {"", false},
        {"application/grpc+json", true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_request *r = hone_request_new(NULL);
        r->head.field_count = 1;
        r->head.fields[0] = (hone_field){{"content-type", 12}, slice(cases[i].type)};
        if (hone_grpc_takes(r) != cases[i].is) fail_msg("%s", cases[i].type);
        hone_request_release(r);
    }
}

static hone_status message_of(const char *body, size_t body_size, const uint8_t **message, size_t *size) {
    hone_request *r = hone_request_new(NULL);
    hone_error err = {0};
    static char kept[64]; /* as the message must not outlive its request */
    hone_buffer_put(&r->body, body, body_size);
    hone_status status = hone_grpc_message(r, message, size, &err);
    if (status == HONE_OK) {
        memcpy(kept, *message, *size);
        *message = (const uint8_t *)kept;
    }
    hone_request_release(r);
    return status;
}

static void finds_the_one_message(void **state) {
    const uint8_t *message;
    size_t size;
    (void)state;
    assert_int_equal(message_of("\0\0\0\0\3abc", 8, &message, &size), HONE_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(message, "abc", 3);
    assert_int_equal(message_of("\0\0\0\0\0", 5, &message, &size), HONE_OK);
    assert_int_equal(size, 0);
    assert_int_equal(message_of("\1\0\0\0\3abc", 8, &message, &size), HONE_INVALID_ARGUMENT);
    static const struct {
        const char *body;
        size_t size;
    } wrong[] = {{"", 0},
                 {"\0", 1},
                 {"\0\0\0\0", 4},
                 {"\0\0\0\0\3ab", 7},
                 {"\0\0\0\0\3abcd", 9},
                 {"\0\0\0\0\1a\0\0\0\0\1b", 12},
                 {"\0\xff\xff\xff\xff"
                  "abc",
                  8}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(message_of(wrong[i].body, wrong[i].size, &message, &size), HONE_INVALID_ARGUMENT);
    assert_int_equal(message_of("\2\0\0\0\0", 5, &message, &size), HONE_CORRUPT);
}

static void maps_status(void **state) {
    (void)state;
    assert_int_equal(hone_grpc_code_of(HONE_OK), HONE_GRPC_OK);
    assert_int_equal(hone_grpc_code_of(HONE_NOT_FOUND), HONE_GRPC_NOT_FOUND);
    assert_int_equal(hone_grpc_code_of(HONE_UNSUPPORTED), HONE_GRPC_UNIMPLEMENTED);
    assert_int_equal(hone_grpc_code_of(HONE_OUT_OF_MEMORY), HONE_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(hone_grpc_code_of(HONE_IO), HONE_GRPC_INTERNAL);
    /* there and back again, but for those that HTTP does not tell apart */
    for (int code = 0; code <= 16; code++) {
        int http = hone_grpc_http_status((hone_grpc_code)code);
        assert_true(http == 200 ? code == 0 : http >= 400 && http < 600);
        hone_grpc_code back = hone_grpc_code_of_http(http);
        assert_int_equal(hone_grpc_http_status(back), http);
    }
    assert_int_equal(hone_grpc_code_of_http(413), HONE_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(hone_grpc_code_of_http(408), HONE_GRPC_DEADLINE_EXCEEDED);
}

/* --- calls --- */

enum { WORKER = 3 };
static hone_grpc_table table;
static hone_grpc_health *health;
static atomic_bool ready;
static hone_grpc_health_state model; /* of the only one, "m" */
static uint64_t seen_deadline;
static int seen_worker;

/* Echo.Say repeats its message, Echo.Fail fails, Echo.Late has its deadline looked at. */
static void echo_service(void *user, int worker, hone_request *r, hone_slice method) {
    const uint8_t *message;
    size_t size;
    hone_error err = {0};
    hone_buffer out = {0};
    assert_ptr_equal(user, &table);
    seen_worker = worker;
    seen_deadline = r->deadline;
    if (hone_slice_equal(method, "Say")) {
        if (hone_grpc_message(r, &message, &size, &err) != HONE_OK) {
            hone_grpc_fail_error(r, &err);
            return;
        }
        hone_grpc_begin_message(&out);
        hone_buffer_put(&out, message, size);
        hone_grpc_reply(r, &out);
        hone_buffer_free(&out);
    } else if (hone_slice_equal(method, "Fail")) {
        hone_fail(&err, HONE_NOT_FOUND, "100 %% of \"caf\xc3\xa9\"\n");
        hone_grpc_fail_error(r, &err);
    } else if (hone_slice_equal(method, "Half")) { /* fails when it has begun */
        hone_grpc_begin_message(&out);
        hone_buffer_put(&out, "half", 4);
        hone_grpc_send(r, &out);
        hone_grpc_fail(r, HONE_GRPC_INTERNAL, "broken off");
        hone_buffer_free(&out);
    } else {
        hone_grpc_unknown(r);
    }
}

static bool is_stream(void *user, const hone_request *r) {
    return hone_grpc_is_stream(user, r);
}

static void dispatch(peer *p, hone_request *r) {
    (void)p;
    if (hone_grpc_takes(r))
        hone_grpc_dispatch(&table, WORKER, NULL, r);
    else
        hone_request_fail(r, 404, "no call");
}

static hone_grpc_health_state model_state(void *user, hone_slice name) {
    assert_ptr_equal(user, &model);
    return hone_slice_equal(name, "m") ? model : HONE_GRPC_SERVICE_UNKNOWN;
}

static void open_services(peer *p) {
    hone_http2_host_options o = {.streams = is_stream, .user = &table};
    hone_grpc_service echo = {.name = "test.Echo", .handle = echo_service, .user = &table};
    hone_grpc_health_options watched = {
        .workers = WORKER + 1, .ready = &ready, .model = model_state, .user = &model};
    table = (hone_grpc_table){0};
    model = HONE_GRPC_SERVING;
    atomic_store(&ready, true);
    *p = (peer){0};
    assert_int_equal(hone_grpc_register(&table, &echo, NULL), HONE_OK);
    assert_int_equal(hone_grpc_health_new(&watched, &table, &health, NULL), HONE_OK);
    assert_int_equal(hone_grpc_register_reflection(&table, NULL), HONE_OK);
    assert_true(peer_open(p, &o, dispatch));
}

static void close_services(peer *p) {
    peer_close(p);
    hone_grpc_health_free(health);
    health = NULL;
}

static answer *call(peer *p, const char *path, const void *body, size_t size) {
    answer *a = peer_ask(p, "POST", path, body, size, GRPC);
    peer_transfer(p);
    assert_true(a->closed);
    assert_int_equal(a->status, 200);
    assert_non_null(strstr(a->fields, "content-type: application/grpc\n"));
    return a;
}

static void assert_fails(const answer *a, int code, const char *message) {
    char want[600];
    snprintf(want, sizeof want, "grpc-status: %d\ngrpc-message: %s\n", code, message);
    if (!strstr(a->fields, want)) fail_msg("not \"%s\" but \"%s\"", want, a->fields);
    assert_int_equal(a->size, 0);
    assert_string_equal(a->trailers, ""); /* trailers only: one block of fields, and the end */
}

static void answers_calls(void **state) {
    peer p;
    (void)state;
    open_services(&p);
    answer *a = call(&p, "/test.Echo/Say", "\0\0\0\0\3abc", 8);
    assert_int_equal(a->size, 8);
    assert_memory_equal(a->body, "\0\0\0\0\3abc", 8);
    assert_string_equal(a->trailers, "grpc-status: 0\n");
    assert_int_equal(seen_worker, WORKER);
    assert_int_equal(seen_deadline, 0);
    assert_fails(call(&p, "/test.Echo/Say", "\0\0\0\0\3ab", 7), 3,
                 "The call must have exactly one whole message");
    assert_fails(call(&p, "/test.Echo/Say", "\1\0\0\0\2ab", 7), 3,
                 "A message is packed, but grpc-encoding does not say how");
    assert_fails(call(&p, "/test.Echo/Fail", "", 0), 5, "100 %25 of \"caf%C3%A9\"%20");
    assert_fails(call(&p, "/test.Echo/Other", "", 0), 12, "There is no method /test.Echo/Other here");
    assert_fails(call(&p, "/test.Nobody/Say", "", 0), 12, "There is no method /test.Nobody/Say here");
    assert_fails(call(&p, "/test.EchoX/Say", "", 0), 12, "There is no method /test.EchoX/Say here");
    assert_fails(call(&p, "/", "", 0), 12, "There is no method / here");
    a = call(&p, "/test.Echo/Half", "", 0);
    assert_memory_equal(a->body, "\0\0\0\0\4half", 9);
    assert_string_equal(a->trailers, "grpc-status: 13\ngrpc-message: broken off\n");
    a = peer_ask(&p, "GET", "/test.Echo/Say", NULL, 0, GRPC);
    peer_transfer(&p);
    assert_int_equal(a->status, 405);
    close_services(&p);
}

static const char **with_timeout(const char *timeout) {
    static const char *fields[] = {"content-type", "application/grpc", "grpc-timeout", NULL, NULL};
    fields[3] = timeout;
    return fields;
}

static void keeps_deadlines(void **state) {
    peer p;
    (void)state;
    open_services(&p);
    uint64_t before = hone_now();
    peer_ask(&p, "POST", "/test.Echo/Say", "\0\0\0\0\0", 5, with_timeout("10S"));
    peer_transfer(&p);
    assert_true(seen_deadline >= before + 10000 * HONE_MILLISECOND);
    assert_true(seen_deadline <= hone_now() + 10000 * HONE_MILLISECOND);
    answer *a = peer_ask(&p, "POST", "/test.Echo/Say", "\0\0\0\0\0", 5, with_timeout("1n"));
    peer_transfer(&p);
    assert_fails(a, 4, "The deadline has passed");
    a = peer_ask(&p, "POST", "/test.Echo/Say", "\0\0\0\0\0", 5, with_timeout("soon"));
    peer_transfer(&p);
    assert_fails(a, 3, "grpc-timeout is malformed");
    close_services(&p);
}

/* --- health --- */

static void checks_health(void **state) {
    peer p;
    (void)state;
    open_services(&p);
    for (int k = 0; k < 2; k++) {
        static const char *const want[] = {"\0\0\0\0\2\10\1", "\0\0\0\0\2\10\2"};
        atomic_store(&ready, k == 0);
        answer *a = call(&p, "/grpc.health.v1.Health/Check", "\0\0\0\0\0", 5);
        answer *b = call(&p, "/grpc.health.v1.Health/Check", "\0\0\0\0\13\12\11test.Echo", 16);
        assert_int_equal(a->size, 7);
        assert_memory_equal(a->body, want[k], 7);
        assert_int_equal(b->size, 7);
        assert_memory_equal(b->body, want[k], 7);
    }
    assert_fails(call(&p, "/grpc.health.v1.Health/Check", "\0\0\0\0\6\12\4none", 11), 5,
                 "There is no such service here, nor such a model");
    answer *a = call(&p, "/grpc.health.v1.Health/Check", "\0\0\0\0\2\12\4", 7);
    assert_non_null(strstr(a->fields, "grpc-status: 3\n"));
    /* a model is ready when both it and the server are */
    for (int k = 0; k < 4; k++) {
        atomic_store(&ready, k & 1);
        model = k & 2 ? HONE_GRPC_SERVING : HONE_GRPC_NOT_SERVING;
        a = call(&p, "/grpc.health.v1.Health/Check", "\0\0\0\0\3\12\1m", 8);
        assert_memory_equal(a->body, k == 3 ? "\0\0\0\0\2\10\1" : "\0\0\0\0\2\10\2", 7);
    }
    close_services(&p);
}

static answer *watch(peer *p, const char *message, size_t size) {
    answer *a = peer_ask(p, "POST", "/grpc.health.v1.Health/Watch", message, size, GRPC);
    peer_transfer(p);
    return a;
}

/* What a watcher was told, all of it: a digit for each state. */
static void assert_told(peer *p, const answer *a, const char *states) {
    hone_grpc_health_tell(health, WORKER, false);
    peer_transfer(p);
    assert_int_equal(a->size, 7 * strlen(states));
    for (size_t i = 0; states[i]; i++) {
        assert_memory_equal(a->body + 7 * i, "\0\0\0\0\2\10", 6);
        assert_int_equal(a->body[7 * i + 6], states[i] - '0');
    }
    assert_false(a->closed);
}

static void tells_who_watches(void **state) {
    peer p;
    (void)state;
    open_services(&p);
    answer *all = watch(&p, "\0\0\0\0\0", 5), *one = watch(&p, "\0\0\0\0\3\12\1m", 8),
           *none = watch(&p, "\0\0\0\0\6\12\4none", 11);
    assert_told(&p, all, "1");
    assert_told(&p, one, "1");
    assert_told(&p, none, "3");
    model = HONE_GRPC_NOT_SERVING;
    assert_told(&p, one, "12");
    model = HONE_GRPC_SERVING;
    assert_told(&p, one, "121");
    atomic_store(&ready, false);
    assert_told(&p, all, "12");
    assert_told(&p, one, "1212");
    assert_told(&p, none, "3");
    /* one that goes is forgotten */
    assert_int_equal(nghttp2_submit_rst_stream(p.client, NGHTTP2_FLAG_NONE, one->id, NGHTTP2_CANCEL), 0);
    peer_transfer(&p);
    assert_int_equal(p.dropped, 1);
    atomic_store(&ready, true);
    assert_told(&p, all, "121");
    assert_int_equal(one->size, 28);
    answer *bad = call(&p, "/grpc.health.v1.Health/Watch", "\0\0\0\0\2\12\4", 7);
    assert_non_null(strstr(bad->fields, "grpc-status: 3\n"));
    /* the server goes: those that are there end, and those that come now */
    hone_grpc_health_tell(health, WORKER, true);
    peer_transfer(&p);
    const answer *const last[] = {all, none, watch(&p, "\0\0\0\0\0", 5)};
    for (int i = 0; i < 3; i++) {
        assert_true(last[i]->closed);
        assert_non_null(strstr(i < 2 ? last[i]->trailers : last[i]->fields,
                               "grpc-status: 14\ngrpc-message: The server is stopping\n"));
    }
    close_services(&p);
}

/* --- reflection --- */

#define REFLECTION "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"

static void put_question(hone_buffer *b, uint32_t field, const char *text) {
    size_t start = b->size;
    hone_grpc_begin_message(b);
    hone_wire_put_text(b, 1, "host");
    hone_wire_put_text(b, field, text);
    b->data[start + 4] = (char)(b->size - start - 5);
}

/* The field of the first answer in `a`; false if there is none. */
static bool answer_field(const answer *a, uint32_t number, hone_wire_field *f) {
    hone_wire w = hone_wire_of(a->body + 5, a->size < 5 ? 0 : a->size - 5);
    while (hone_wire_next(&w, f))
        if (f->number == number) return true;
    return false;
}

static answer *question(peer *p, uint32_t field, const char *text) {
    static char body[400]; /* borrowed until it is sent */
    hone_buffer b = {0};
    put_question(&b, field, text);
    assert_true(b.size < sizeof body);
    memcpy(body, b.data, b.size);
    answer *a = call(p, REFLECTION, body, b.size);
    hone_wire_field f;
    assert_true(a->size > 5);
    assert_int_equal(a->size - 5, (uint8_t)a->body[1] << 24 | (uint8_t)a->body[2] << 16 |
                                      (uint8_t)a->body[3] << 8 | (uint8_t)a->body[4]);
    assert_true(answer_field(a, 1, &f) && hone_slice_equal(hone_wire_text(&f), "host"));
    assert_true(answer_field(a, 2, &f) && f.size == b.size - 5 && memcmp(f.data, b.data + 5, f.size) == 0);
    assert_string_equal(a->trailers, "grpc-status: 0\n");
    hone_buffer_free(&b);
    return a;
}

static int file_count(const answer *a) {
    hone_wire_field f;
    int n = 0;
    if (!answer_field(a, 4, &f)) return -1;
    hone_wire w = hone_wire_into(&f);
    while (hone_wire_next(&w, &f)) n++;
    return w.why ? -2 : n;
}

static void reflects(void **state) {
    static const char *const symbols[] = {"grpc.health.v1.Health",
                                          "grpc.health.v1.Health.Check",
                                          "grpc.health.v1.HealthCheckResponse",
                                          "grpc.health.v1.HealthCheckResponse.ServingStatus",
                                          "grpc.health.v1.HealthCheckResponse.status",
                                          "grpc.reflection.v1alpha.ServerReflection"};
    static const char *const unknown[] = {
        "grpc.health.v1.Healt", "grpc.health.v1", "grpc.health.v1.Health.Chec", "Health", "", ".",
        "grpc.health.v1.",      "test.Echo"};
    peer p;
    hone_wire_field f;
    (void)state;
    open_services(&p);
    answer *a = question(&p, 7, "*");
    assert_true(answer_field(a, 6, &f));
    const char list[] = "\12\27\12\25grpc.health.v1.Health\12"; /* test.Echo is not described */
    assert_true(f.size > sizeof list && memcmp(f.data, list, sizeof list - 1) == 0);
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
        assert_int_equal(file_count(question(&p, 4, symbols[i])), 1);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        a = question(&p, 4, unknown[i]);
        assert_true(answer_field(a, 7, &f));
        assert_int_equal(f.data[1], HONE_GRPC_NOT_FOUND);
    }
    assert_int_equal(file_count(question(&p, 3, "grpc/health/v1/health.proto")), 1);
    assert_true(answer_field(question(&p, 3, "none.proto"), 7, &f));
    assert_true(answer_field(question(&p, 6, "grpc.health.v1.HealthCheckRequest"), 5, &f));
    assert_true(answer_field(question(&p, 6, "none"), 7, &f));
    assert_true(answer_field(question(&p, 5, ""), 7, &f));
    close_services(&p);
}

/* A client that waits for each answer before it asks again, and only then ends. */
static void converses(void **state) {
    peer p;
    hone_buffer b = {0};
    (void)state;
    open_services(&p);
    put_question(&b, 7, "");
    size_t first = b.size;
    put_question(&b, 4, "grpc.health.v1.Health");
    answer *a = peer_ask(&p, "POST", REFLECTION, b.data, b.size, GRPC);
    a->hold = first - 1;
    peer_transfer(&p);
    assert_int_equal(a->size, 0);
    a->hold = first;
    nghttp2_session_resume_data(p.client, a->id);
    peer_transfer(&p);
    size_t got = a->size;
    assert_true(got > 0);
    assert_false(a->closed);
    a->hold = 0;
    nghttp2_session_resume_data(p.client, a->id);
    peer_transfer(&p);
    assert_true(a->size > got);
    assert_true(a->closed);
    assert_string_equal(a->trailers, "grpc-status: 0\n");
    /* cut off in a message; broken; compressed */
    a = call(&p, REFLECTION, b.data, b.size - 1);
    assert_string_equal(a->trailers, "grpc-status: 3\ngrpc-message: The last message is not complete\n");
    assert_true(a->size > 0);
    a = call(&p, REFLECTION, "\0\0\0\0\1\377", 6);
    assert_non_null(strstr(a->fields, "grpc-status: 3\n"));
    a = call(&p, REFLECTION, "\1\0\0\0\0", 5);
    assert_non_null(strstr(a->fields, "grpc-status: 3\n"));
    hone_buffer_free(&b);
    close_services(&p);
}

/* Many questions and no ear for the answers: the server stops asking for more. */
static void holds_back_questions(void **state) {
    enum { QUESTIONS = 20000 };
    peer p;
    hone_buffer b = {0};
    (void)state;
    open_services(&p);
    close_services(&p);
    p.slow = true;
    hone_http2_host_options o = {.streams = is_stream, .user = &table};
    assert_true(peer_open(&p, &o, dispatch));
    for (int i = 0; i < QUESTIONS; i++) put_question(&b, 4, "grpc.reflection.v1.ServerReflection");
    answer *a = peer_ask(&p, "POST", REFLECTION, b.data, b.size, GRPC);
    peer_transfer(&p);
    assert_true(a->uploaded < b.size || !a->closed);
    size_t before = SIZE_MAX, rounds = 0;
    while (!a->closed && a->size != before) {
        before = a->size;
        nghttp2_session_consume(p.client, a->id, 1 << 16);
        peer_transfer(&p);
        if (++rounds > 20000) break;
    }
    assert_true(a->closed);
    assert_string_equal(a->trailers, "grpc-status: 0\n");
    size_t answers = 0;
    for (size_t at = 0; at < a->size; answers++)
        at += 5 + ((size_t)(uint8_t)a->body[at + 2] << 16 | (size_t)(uint8_t)a->body[at + 3] << 8 |
                   (uint8_t)a->body[at + 4]);
    assert_int_equal(answers, QUESTIONS);
    hone_buffer_free(&b);
    close_services(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_timeouts),
        cmocka_unit_test(tells_calls_from_other_requests),
        cmocka_unit_test(finds_the_one_message),
        cmocka_unit_test(maps_status),
        cmocka_unit_test(answers_calls),
        cmocka_unit_test(keeps_deadlines),
        cmocka_unit_test(checks_health),
        cmocka_unit_test(tells_who_watches),
        cmocka_unit_test(reflects),
        cmocka_unit_test(converses),
        cmocka_unit_test(holds_back_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
