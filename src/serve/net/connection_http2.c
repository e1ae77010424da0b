#include "base/clock.h"
#include "serve/net/connection.h"

/* --- what the session tells --- */

static void on_request(void *user, hone_request *r) {
    hone_connection_dispatch(user, r);
}

static void on_answered(void *user, hone_request *r) {
    hone_connection_answered(user, r);
}

static void on_dropped(void *user, hone_request *r) {
    hone_connection_dropped(user, r);
}

static void on_output(void *user) {
    hone_connection *c = user;
    if (!hone_connection_is_corked(c)) hone_connection_wake(c);
}

static bool on_gone(void *user) {
    return hone_connection_is_gone(user);
}

static bool on_admit(void *user, hone_request *r) {
    return hone_connection_admit(user, r);
}

static const hone_http2_events events = {on_request, on_answered, on_dropped, on_output, on_gone, on_admit};

/* --- the protocol --- */

/* Runs what is ready and sends what there is, as long as the socket takes it. */
static void pump(hone_connection *c) {
    bool corked = hone_connection_is_corked(c);
    if (c->ended) hone_http2_end_input(c->http2);
    if (!corked) hone_connection_cork(c);
    while (!c->broken && hone_connection_unsent(c) == 0) {
        hone_buffer *cork = &c->loop->cork;
        bool ran = hone_http2_run(c->http2);
        if (!hone_http2_give(c->http2, cork, HONE_CORK_MOST)) c->broken = true;
        if (cork->size == 0 && !ran) break;
        if (cork->size > 0) c->fresh = true;
        hone_connection_send_corked(c, NULL, 0);
    }
    if (!corked) hone_connection_uncork(c);
    if (hone_http2_is_starved(c->http2)) hone_connection_starve(c);
    if (!c->broken && hone_http2_is_done(c->http2)) c->close_after = true;
}

static void feed(hone_connection *c, const char *data, size_t size) {
    if (!c->http2) c->http2 = hone_http2_new(c->loop->http2, &events, c);
    if (!c->http2) {
        c->broken = true;
        return;
    }
    bool refused = hone_http2_is_refused(c->http2);
    if (!hone_http2_take(c->http2, data, size)) c->broken = true;
    if (hone_http2_is_refused(c->http2) && !refused)
        hone_stats_failed(c->loop->config->stats, HONE_REASON_MALFORMED);
    pump(c);
}

/* Also while answers wait for the client to take them: it may be busy sending, and frees streams by resetting
 * them. What it can make the server keep is bounded by the number of streams. */
static bool may_read(const hone_connection *c) {
    return !c->broken && (!c->close_after || c->phase == HONE_PHASE_LINGER);
}

static hone_phase phase(const hone_connection *c) {
    if (!hone_http2_is_greeted(c->http2)) return HONE_PHASE_HEAD;
    return hone_http2_stream_count(c->http2) > 0 ? HONE_PHASE_RUN : HONE_PHASE_IDLE;
}

static bool is_running(const hone_connection *c) {
    return hone_http2_stream_count(c->http2) > 0;
}

static bool is_idle(const hone_connection *c) {
    return !is_running(c) && !hone_http2_is_refused(c->http2);
}

static size_t held(const hone_connection *c) {
    return c->http2 ? hone_http2_held(c->http2) : 0;
}

static void give_up(hone_connection *c) {
    hone_http2_give_up(c->http2);
}

static void expire(hone_connection *c) {
    hone_http2_finish(c->http2);
    pump(c);
    c->close_after = true;
}

/* May come in the middle of a run. */
static void probe(hone_connection *c) {
    hone_buffer out = {0};
    if (hone_connection_unsent(c) > 0) return;
    c->probed = true;
    hone_http2_ping(c->http2);
    if (!hone_http2_give(c->http2, &out, HONE_CORK_MOST)) c->broken = true;
    hone_connection_put(c, out.data, out.size);
    hone_connection_push(c);
    hone_buffer_free(&out);
}

static uint64_t before(uint64_t now, uint64_t timeout) {
    return timeout && now > timeout ? now - timeout : 0;
}

static void sweep(hone_connection *c, uint64_t now) {
    const hone_loop_config *config = c->loop->config;
    uint64_t whole = before(now, config->request_timeout);
    hone_http2_expire(c->http2,
                      &(hone_http2_ages){.progress = before(now, config->header_timeout),
                                         .quiet = before(now, config->idle_timeout),
                                         .body = whole,
                                         .answer = hone_budget_is_tight(config->budget) ? whole : 0});
}

static void drain(hone_connection *c, bool now) {
    if (now)
        hone_http2_finish(c->http2);
    else
        hone_http2_drain(c->http2);
}

static void free_http2(hone_connection *c) {
    hone_http2_free(c->http2);
    c->http2 = NULL;
}

const hone_protocol hone_connection_http2 = {.name = "HTTP/2",
                                             .feed = feed,
                                             .go_on = pump,
                                             .may_read = may_read,
                                             .phase = phase,
                                             .is_idle = is_idle,
                                             .is_running = is_running,
                                             .held = held,
                                             .give_up = give_up,
                                             .expire = expire,
                                             .sweep = sweep,
                                             .probe = probe,
                                             .drain = drain,
                                             .free = free_http2};
