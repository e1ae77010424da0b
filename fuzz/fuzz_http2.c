/* HTTP/2 and gRPC: any frames, cut anywhere, behind a good preface. The first byte says how they are cut and who answers
 * when. Requests hold together, streams stay within their limit, and all of it is given back. */
#include "base/clock.h"
#include "base/memory.h"
#include "serve/grpc/grpc_health.h"
#include "serve/http/http2.h"

#include <stdlib.h>

static hone_grpc_health_state model_state(void *user, hone_slice name) {
    (void)user;
    return name.size == 1 ? HONE_GRPC_SERVING : HONE_GRPC_SERVICE_UNKNOWN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAMS = 8, HELD = 16 };

typedef struct owner {
    hone_grpc_table table;
    hone_request *held[HELD];
    int held_count, running;
    bool late;
} owner;

static void check_slice(const hone_request *r, hone_slice s) {
    if (s.size == 0) return;
    if (s.data < r->text.data || s.data + s.size > r->text.data + r->text.size) abort();
}

static void check_request(const hone_request *r) {
    check_slice(r, r->head.method);
    check_slice(r, r->head.path);
    check_slice(r, r->head.query);
    if (r->head.field_count > HONE_MAX_FIELDS) abort();
    for (size_t i = 0; i < r->head.field_count; i++) {
        check_slice(r, r->head.fields[i].name);
        check_slice(r, r->head.fields[i].value);
    }
    if (r->body.size > 4096 || r->cancelled || !r->stream) abort();
    if (r->whole && r->body.data[r->body.size] != 0) abort();
}

static void answer(hone_request *r) {
    static char large[40000];
    hone_request_field(r, "x-field", "value");
    hone_request_begin(r, 200, "text/plain", -1);
    hone_request_part(r, large, r->body.size * 10 < sizeof large ? r->body.size * 10 : sizeof large);
    hone_request_trailer(r, "x-trailer", "value");
    hone_request_end(r);
}

static void on_request(void *user, hone_request *r) {
    owner *o = user;
    check_request(r);
    r->received = 1;
    o->running++;
    if (hone_grpc_takes(r))
        hone_grpc_dispatch(&o->table, 0, NULL, r);
    else if (o->late && o->held_count < HELD)
        o->held[o->held_count++] = hone_request_retain(r);
    else
        answer(r);
}

static void on_answered(void *user, hone_request *r) {
    if (r->received) ((owner *)user)->running--;
}

static void on_dropped(void *user, hone_request *r) {
    (void)r;
    ((owner *)user)->running--;
}

static void on_output(void *user) {
    (void)user;
}

static bool on_gone(void *user) {
    (void)user;
    return false;
}

static const hone_http2_events events = {on_request, on_answered, on_dropped, on_output, on_gone};

static bool is_stream(void *user, const hone_request *r) {
    return hone_grpc_is_stream(&((owner *)user)->table, r);
}

static void answer_held(owner *o) {
    for (int i = 0; i < o->held_count; i++) {
        answer(o->held[i]);
        hone_request_release(o->held[i]);
    }
    o->held_count = 0;
}

/* One read of the socket, and what a loop does about it. */
static bool turn(hone_http2 *h, owner *o, const char *data, size_t size) {
    hone_buffer out = {0};
    char *piece = malloc(size ? size : 1);
    if (!piece) abort();
    if (size) memcpy(piece, data, size);
    bool good = hone_http2_take(h, piece, size);
    free(piece);
    if (good) hone_http2_run(h);
    if (good) good = hone_http2_give(h, &out, 1 << 20);
    if (hone_http2_stream_count(h) > 2 * STREAMS || o->running < 0) abort();
    hone_buffer_free(&out);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char start[] = HONE_HTTP2_PREFACE "\0\0\0\4\0\0\0\0";
    static const size_t steps[] = {SIZE_MAX, 1, 7, 50};
    hone_request *pool = NULL;
    owner o = {0};
    hone_http2_host *host;
    hone_http2_host_options options = {.limits = {.head_bytes = 512, .body_bytes = 4096, .streams = STREAMS},
                                       .requests = &pool,
                                       .streams = is_stream,
                                       .user = &o,
                                       .plain_memory = true};
    if (size == 0) return 0;
    uint8_t how = data[0];
    size_t step = steps[how & 3];
    o.late = how & 4;
    atomic_bool ready = true;
    hone_grpc_health_options watched = {.workers = 1, .ready = &ready, .model = model_state};
    hone_grpc_health *health;
    if (hone_grpc_health_new(&watched, &o.table, &health, NULL) != HONE_OK ||
        hone_grpc_register_reflection(&o.table, NULL) != HONE_OK ||
        hone_http2_host_new(&options, &host, NULL) != HONE_OK)
        abort();
    hone_http2 *h = hone_http2_new(host, &events, &o);
    if (!h) abort();
    bool good = turn(h, &o, start, sizeof start); /* the literal's own zero ends the frame */
    for (size_t at = 1; good && at < size; at += step < size - at ? step : size - at) {
        good = turn(h, &o, (const char *)data + at, step < size - at ? step : size - at);
        if (o.late && at % 3 == 0) answer_held(&o);
    }
    if (how & 8) hone_http2_drain(h);
    uint64_t now = hone_now() + 1, then = how & 32 ? now : 0;
    if (how & 16) hone_http2_expire(h, &(hone_http2_ages){.progress = now, .quiet = then, .body = then});
    if (how & 64) hone_http2_finish(h);
    if (good) turn(h, &o, NULL, 0);
    if (how & 128) answer_held(&o);
    hone_http2_free(h);
    answer_held(&o);
    if (o.running != 0) abort();
    hone_request_free_pool(&pool);
    hone_http2_host_free(host);
    hone_grpc_health_free(health);
    return 0;
}
