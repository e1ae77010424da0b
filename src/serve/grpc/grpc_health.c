#include "serve/grpc/grpc_health.h"

#include "base/error.h"
#include "base/memory.h"
#include "serve/format/wire.h"
#include "serve/request/timeout.h"

enum { WATCHERS_MOST = 1024 /* of one worker */ };

/* A call of Watch, which has its request; in the list of its worker. */
typedef struct watcher {
    struct watcher *previous, *next;
    struct worker *worker;
    hone_request *request;
    hone_slice service; /* inside of the request */
    hone_grpc_health_state told;
} watcher;

typedef struct worker {
    watcher *first;
    int count;
    bool ended; /* it takes no more calls */
} worker;

struct hone_grpc_health {
    hone_grpc_health_options o;
    const hone_grpc_table *table;
    worker workers[];
};

/* --- states --- */

static bool is_service(const hone_grpc_table *table, hone_slice name) {
    if (name.size == 0) return true;
    for (int i = 0; i < table->count; i++)
        if (hone_slice_equal(name, table->services[i].name)) return true;
    return false;
}

static hone_grpc_health_state state_of(const hone_grpc_health *h, hone_slice service) {
    bool ready = atomic_load(h->o.ready);
    hone_grpc_health_state state =
        is_service(h->table, service) ? HONE_GRPC_SERVING : h->o.model(h->o.user, service);
    return state == HONE_GRPC_SERVING && !ready ? HONE_GRPC_NOT_SERVING : state;
}

static void put_state(hone_buffer *out, hone_grpc_health_state state) {
    hone_grpc_begin_message(out);
    hone_wire_put_number(out, 1, state);
}

/* --- watching --- */

static const char stopping[] = "The server is stopping";

/* Takes it out of the list; its request is the caller's. */
static hone_request *leave(watcher *w) {
    hone_request *r = w->request;
    *(w->previous ? &w->previous->next : &w->worker->first) = w->next;
    if (w->next) w->next->previous = w->previous;
    w->worker->count--;
    r->quit = NULL;
    hone_free(w);
    return r;
}

static void quit(hone_request *r) {
    hone_request_release(leave(r->work));
}

static void end(watcher *w, hone_grpc_code code, const char *message) {
    hone_request *r = leave(w);
    hone_grpc_fail(r, code, message);
    hone_request_release(r);
}

/* Sending may find the client gone, and the watcher with it. */
static void send(watcher *w, hone_grpc_health_state state) {
    hone_buffer out = {0};
    w->told = state;
    put_state(&out, state);
    if (out.failed)
        end(w, HONE_GRPC_RESOURCE_EXHAUSTED, "Out of memory");
    else
        hone_grpc_send(w->request, &out);
    hone_buffer_free(&out);
}

static void watch(hone_grpc_health *h, worker *k, hone_request *r, hone_slice service) {
    if (k->ended) {
        hone_grpc_fail(r, HONE_GRPC_UNAVAILABLE, stopping);
        return;
    }
    watcher *w = k->count < WATCHERS_MOST ? hone_calloc(1, sizeof *w) : NULL;
    if (!w) {
        hone_grpc_fail(r, HONE_GRPC_RESOURCE_EXHAUSTED, "There are too many who watch");
        return;
    }
    *w = (watcher){.next = k->first, .worker = k, .request = hone_request_retain(r), .service = service};
    if (k->first) k->first->previous = w;
    k->first = w;
    k->count++;
    hone_request_uncount(r);
    hone_request_lift_timeout(r);
    r->work = w;
    r->quit = quit;
    send(w, state_of(h, service));
}

void hone_grpc_health_tell(hone_grpc_health *h, int index, bool ends) {
    for (watcher *w = h->workers[index].first, *next; w; w = next) {
        next = w->next;
        hone_grpc_health_state state = state_of(h, w->service);
        if (state != w->told) send(w, state);
    }
    h->workers[index].ended = ends;
    while (ends && h->workers[index].first) end(h->workers[index].first, HONE_GRPC_UNAVAILABLE, stopping);
}

/* --- the service --- */

static hone_status service_of(const hone_request *r, hone_slice *service, hone_error *err) {
    const uint8_t *message;
    size_t size;
    *service = (hone_slice){"", 0};
    HONE_TRY(hone_grpc_message(r, &message, &size, err));
    hone_wire w = hone_wire_of(message, size);
    hone_wire_field f;
    while (hone_wire_next(&w, &f))
        if (hone_wire_is(&f, 1, HONE_WIRE_BYTES)) *service = hone_wire_text(&f);
    return hone_wire_check(&w, "HealthCheckRequest", err);
}

static void check(const hone_grpc_health *h, hone_request *r, hone_slice service) {
    hone_buffer out = {0};
    hone_grpc_health_state state = state_of(h, service);
    if (state == HONE_GRPC_SERVICE_UNKNOWN) {
        hone_grpc_fail(r, HONE_GRPC_NOT_FOUND, "There is no such service here, nor such a model");
        return;
    }
    put_state(&out, state);
    hone_grpc_reply(r, &out);
    hone_buffer_free(&out);
}

static void handle(void *user, int index, hone_request *r, hone_slice method) {
    hone_grpc_health *h = user;
    hone_slice service;
    hone_error err = {0};
    bool watches = hone_slice_equal(method, "Watch");
    r->method = HONE_METHOD_HEALTH;
    if (!watches && !hone_slice_equal(method, "Check"))
        hone_grpc_unknown(r);
    else if (service_of(r, &service, &err) != HONE_OK)
        hone_grpc_fail_error(r, &err);
    else if (watches)
        watch(h, &h->workers[index], r, service);
    else
        check(h, r, service);
}

hone_status hone_grpc_health_new(const hone_grpc_health_options *options, hone_grpc_table *table,
                                 hone_grpc_health **out, hone_error *err) {
    hone_grpc_health *h = hone_calloc(1, sizeof *h + (size_t)options->workers * sizeof(worker));
    if (!h) return hone_fail_memory(err);
    h->o = *options;
    h->table = table;
    const hone_grpc_service service = {.name = "grpc.health.v1.Health", .handle = handle, .user = h};
    hone_status status = hone_grpc_register(table, &service, err);
    if (status == HONE_OK)
        *out = h;
    else
        hone_free(h);
    return status;
}

void hone_grpc_health_free(hone_grpc_health *h) {
    hone_free(h);
}
