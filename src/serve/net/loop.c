#include "serve/net/loop.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/wake.h"
#include "serve/net/connection.h"
#include "serve/request/grpc_status.h"

#define LINGER_TIMEOUT (2000 * HONE_MILLISECOND)
#define TICK_LEAST (5 * HONE_MILLISECOND)
#define TICK_MOST (1000 * HONE_MILLISECOND)

static uint64_t phase_timeout(const hone_loop *loop, hone_phase phase) {
    const hone_loop_config *c = loop->config;
    switch (phase) {
    case HONE_PHASE_IDLE: return loop->draining ? c->drain_grace : c->idle_timeout;
    case HONE_PHASE_HEAD:
    case HONE_PHASE_BODY:
    case HONE_PHASE_WRITE: return c->header_timeout;
    case HONE_PHASE_LINGER: return LINGER_TIMEOUT;
    default: return 0;
    }
}

static void expire_phase(hone_loop *loop, hone_phase phase, uint64_t now) {
    uint64_t timeout = phase_timeout(loop, phase);
    bool idle_drain = loop->draining && phase == HONE_PHASE_IDLE;
    if (timeout == 0 && !idle_drain) return;
    /* Expiring moves a connection out of the list or to its end, with a new time. */
    for (hone_connection *c = loop->phases[phase].first; c; c = loop->phases[phase].first) {
        uint64_t since = idle_drain && c->since < loop->drain_started ? loop->drain_started : c->since;
        if (now < since + timeout) break;
        hone_connection_expire(c);
        if (loop->phases[phase].first == c) break;
    }
}

static void leave_when_drained(hone_loop *loop) {
    if (loop->draining && atomic_load(&loop->connections) == 0) event_base_loopbreak(loop->base);
}

/* Calls `fn` for every connection, which may close that one. */
static void for_each(hone_loop *loop, hone_phase first, hone_phase last,
                     void (*fn)(hone_connection *, uint64_t), uint64_t arg) {
    for (int i = (int)first; i <= (int)last; i++)
        for (hone_connection *c = loop->phases[i].first, *next; c; c = next) {
            next = c->next;
            fn(c, arg);
        }
}

static void drain_connection(hone_connection *c, uint64_t now) {
    hone_connection_drain(c, now != 0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg) {
    hone_loop *loop = arg;
    (void)fd, (void)what;
    uint64_t now = hone_now();
    for (int i = 0; i < HONE_PHASE_COUNT; i++) expire_phase(loop, (hone_phase)i, now);
    for_each(loop, HONE_PHASE_BODY, HONE_PHASE_WRITE, hone_connection_sweep, now);
    if (loop->draining && now >= loop->drain_started + loop->config->drain_grace)
        for_each(loop, HONE_PHASE_HEAD, HONE_PHASE_WRITE, drain_connection, 1);
    leave_when_drained(loop);
}

/* Requests whose deadline has passed are told so, whatever they wait for. */
static void on_due(evutil_socket_t fd, short what, void *arg) {
    hone_loop *loop = arg;
    (void)fd, (void)what;
    for (hone_request *r = hone_deadlines_take(&loop->deadlines, hone_now()), *next; r; r = next) {
        next = r->due.next;
        hone_request_expire(r);
        hone_request_release(r);
    }
}

static void wait_until_due(void *user, uint64_t when) {
    hone_loop *loop = user;
    uint64_t now = hone_now(), us = when > now ? (when - now) / 1000 + 1 : 0;
    struct timeval t = {.tv_sec = (time_t)(us / 1000000u), .tv_usec = (suseconds_t)(us % 1000000u)};
    event_add(loop->due, &t);
}

/* A quarter of the shortest timeout, so that none is late by more than that. */
static void set_tick(hone_loop *loop) {
    uint64_t period = TICK_MOST, whole = loop->config->request_timeout;
    if (whole && whole / 4 < period) period = whole / 4;
    for (int i = 0; i < HONE_PHASE_COUNT; i++) {
        uint64_t timeout = phase_timeout(loop, (hone_phase)i);
        if (timeout && timeout / 4 < period) period = timeout / 4;
    }
    if (loop->draining || period < TICK_LEAST) period = TICK_LEAST;
    struct timeval t = {.tv_sec = (time_t)(period / 1000000000u),
                        .tv_usec = (suseconds_t)(period % 1000000000u / 1000)};
    event_add(loop->tick, &t);
}

static void close_all(hone_loop *loop) {
    for (int i = 0; i < HONE_PHASE_COUNT; i++)
        while (loop->phases[i].first) hone_connection_close(loop->phases[i].first);
}

static void adopt(hone_loop *loop) {
    for (;;) {
        hone_arrival next = {.fd = -1};
        pthread_mutex_lock(&loop->lock);
        if (loop->incoming_count > 0) next = loop->incoming[--loop->incoming_count];
        pthread_mutex_unlock(&loop->lock);
        if (next.fd < 0) return;
        hone_connection_open(loop, &next);
    }
}

/* They go on until one finds that it has to wait further: then the others do, too. To try all of them each time would
 * take long if there are many. */
static void feed_starved(hone_loop *loop) {
    const hone_connection *last = loop->starved.last;
    for (hone_connection *c = loop->starved.first; c; c = loop->starved.first) {
        bool done = c == last;
        hone_connection_feed_starved(c);
        if (done || atomic_load(&loop->seat.waiting)) break;
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg) {
    hone_loop *loop = arg;
    (void)what;
    hone_wake_take(fd);
    pthread_mutex_lock(&loop->lock);
    bool drain = loop->drain_asked, stop = loop->stop_asked;
    pthread_mutex_unlock(&loop->lock);
    if (drain && !loop->draining) {
        loop->draining = true;
        loop->drain_started = hone_now();
        set_tick(loop);
        for_each(loop, HONE_PHASE_IDLE, HONE_PHASE_WRITE, drain_connection, 0);
    }
    if (loop->config->woken) loop->config->woken(loop->config->user, loop);
    adopt(loop);
    if (atomic_exchange(&loop->fed, false)) feed_starved(loop);
    if (stop) {
        close_all(loop);
        event_base_loopbreak(loop->base);
    }
    leave_when_drained(loop);
}

static void feed(void *arg) {
    hone_loop *loop = arg;
    atomic_store(&loop->fed, true);
    hone_wake(loop->wake_fd);
}

void hone_loop_hand(hone_loop *loop, int fd, const hone_endpoint *endpoint) {
    atomic_fetch_add(&loop->connections, 1);
    pthread_mutex_lock(&loop->lock);
    bool room = hone_reserve(&loop->incoming, &loop->incoming_capacity, loop->incoming_count + 1,
                             sizeof *loop->incoming);
    if (room) loop->incoming[loop->incoming_count++] = (hone_arrival){fd, endpoint};
    pthread_mutex_unlock(&loop->lock);
    if (room) {
        hone_wake(loop->wake_fd);
        return;
    }
    close(fd);
    atomic_fetch_sub(&loop->connections, 1);
}

void hone_loop_wake(hone_loop *loop) {
    hone_wake(loop->wake_fd);
}

void hone_loop_drain(hone_loop *loop) {
    pthread_mutex_lock(&loop->lock);
    loop->drain_asked = true;
    pthread_mutex_unlock(&loop->lock);
    hone_wake(loop->wake_fd);
}

void hone_loop_stop(hone_loop *loop) {
    pthread_mutex_lock(&loop->lock);
    loop->stop_asked = true;
    pthread_mutex_unlock(&loop->lock);
    hone_wake(loop->wake_fd);
}

static hone_status make_http2(hone_loop *loop, hone_error *err) {
    const hone_loop_config *c = loop->config;
    hone_http2_host_options o = {.limits = c->http2,
                                 .requests = &loop->requests,
                                 .streams = c->streams,
                                 .user = c->user,
                                 .seat = &loop->seat};
    if (!o.limits.head_bytes) o.limits.head_bytes = c->limits.head_bytes;
    if (!o.limits.body_bytes) o.limits.body_bytes = c->limits.body_bytes;
    return hone_http2_host_new(&o, &loop->http2, err);
}

static bool set_up(hone_loop *loop) {
    struct event_config *config = event_config_new();
    if (!config) return false;
    event_config_require_features(config, EV_FEATURE_EARLY_CLOSE);
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    loop->wake_fd = hone_wake_new();
    loop->scratch = hone_alloc(HONE_LOOP_SCRATCH);
    loop->plain = hone_alloc(HONE_LOOP_PLAIN);
    if (!loop->base || loop->wake_fd < 0 || !loop->scratch || !loop->plain) return false;
    loop->wake = event_new(loop->base, loop->wake_fd, EV_READ | EV_PERSIST, on_wake, loop);
    loop->tick = event_new(loop->base, -1, EV_PERSIST, on_tick, loop);
    loop->due = event_new(loop->base, -1, 0, on_due, loop);
    loop->deadlines = (hone_deadlines){.arm = wait_until_due, .user = loop};
    if (!loop->wake || !loop->tick || !loop->due || event_add(loop->wake, NULL) != 0) return false;
    set_tick(loop);
    return true;
}

hone_status hone_loop_new(const hone_loop_config *config, int index, hone_loop **out, hone_error *err) {
    hone_loop *loop = hone_calloc(1, sizeof *loop);
    if (!loop) return hone_fail_memory(err);
    loop->config = config;
    loop->index = index;
    loop->wake_fd = -1;
    pthread_mutex_init(&loop->lock, NULL);
    if (!set_up(loop)) {
        int code = errno;
        hone_loop_free(loop);
        return hone_fail_errno(err, code, "event loop", "can't be made");
    }
    loop->seat = (hone_budget_seat){.wake = feed, .user = loop};
    if (config->budget) hone_budget_join(config->budget, &loop->seat);
    hone_status status = make_http2(loop, err);
    if (status != HONE_OK) {
        hone_loop_free(loop);
        return status;
    }
    *out = loop;
    return HONE_OK;
}

void hone_loop_free(hone_loop *loop) {
    if (!loop) return;
    close_all(loop);
    hone_budget_leave(&loop->seat);
    for (size_t i = 0; i < loop->incoming_count; i++) close(loop->incoming[i].fd);
    if (loop->wake) event_free(loop->wake);
    if (loop->tick) event_free(loop->tick);
    if (loop->due) event_free(loop->due);
    if (loop->base) event_base_free(loop->base);
    if (loop->wake_fd >= 0) close(loop->wake_fd);
    hone_http2_host_free(loop->http2);
    hone_request_free_pool(&loop->requests);
    hone_buffer_free(&loop->cork);
    hone_free(loop->scratch);
    hone_free(loop->plain);
    hone_buffer_free(&loop->sealed);
    hone_free(loop->incoming);
    pthread_mutex_destroy(&loop->lock);
    hone_free(loop);
}

void hone_loop_run(hone_loop *loop) {
    event_base_dispatch(loop->base);
}
