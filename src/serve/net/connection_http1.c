#include "base/clock.h"
#include "serve/net/connection.h"

#include <stdio.h>

enum {
    READ_AHEAD = 16 << 10,
    HIGH_WATER = 512 << 10, /* unsent bytes at which a producer has to wait */
    LOW_WATER = HIGH_WATER / 4
};

#define PROBE_AFTER (2000 * HONE_MILLISECOND)

/* --- the sink --- */

static void put(hone_connection *c, const void *data, size_t size) {
    hone_connection_put(c, data, size);
}

static void sink_begin(hone_request *r, int status, const char *content_type, int64_t length) {
    hone_connection *c = r->stream;
    hone_buffer head = {0};
    bool corked = hone_connection_is_corked(c) && hone_connection_unsent(c) == 0;
    bool unread = !c->running && c->parser.state != HONE_HTTP1_COMPLETE; /* its body is not wanted */
    bool last = c->ended && c->pending.size == 0 && c->behind == 0;
    if (c->loop->draining || !r->head.keep_alive || unread || last) c->close_after = true;
    c->bare = hone_slice_equal(r->head.method, "HEAD");
    c->chunked = length < 0 && r->head.chunked_answer;
    if (length < 0 && !c->chunked) c->close_after = true;
    hone_http1_answer answer = {.status = status,
                                .content_type = content_type,
                                .length = length,
                                .chunked = c->chunked,
                                .close = c->close_after,
                                .keep_alive = !r->head.chunked_answer,
                                .version_sent = c->version_sent,
                                .date = hone_date_now(&c->loop->date),
                                .fields = &r->fields};
    hone_http1_write_head(corked ? &c->loop->cork : &head, &answer);
    c->version_sent = false;
    if (head.failed || r->fields.failed) c->broken = true;
    if (!corked) put(c, head.data, head.size);
    hone_buffer_free(&head);
}

static bool sink_part(hone_request *r, const void *data, size_t size) {
    hone_connection *c = r->stream;
    if (size > 0 && !c->bare) {
        char line[24];
        if (c->chunked) put(c, line, (size_t)snprintf(line, sizeof line, "%zx\r\n", size));
        put(c, data, size);
        if (c->chunked) put(c, "\r\n", 2);
    }
    if (!hone_connection_is_corked(c)) {
        hone_connection_send(c);
        if (!c->broken && !c->writing && hone_connection_unsent(c) > 0) hone_connection_settle(c);
    }
    return hone_connection_unsent(c) <= HIGH_WATER;
}

static bool sink_take(hone_request *r, hone_buffer *data) {
    hone_connection *c = r->stream;
    char line[24];
    if (c->bare) return true;
    if (c->chunked) put(c, line, (size_t)snprintf(line, sizeof line, "%zx\r\n", data->size));
    hone_connection_take(c, data);
    if (c->chunked) put(c, "\r\n", 2);
    if (!hone_connection_is_corked(c) && !c->broken && !c->writing && hone_connection_unsent(c) > 0)
        hone_connection_settle(c);
    return hone_connection_unsent(c) <= HIGH_WATER;
}

static void end_chunks(hone_connection *c, const hone_buffer *trailers) {
    hone_buffer lines = {0};
    hone_buffer_text(&lines, "0\r\n");
    hone_http1_write_fields(&lines, trailers);
    hone_buffer_text(&lines, "\r\n");
    if (lines.failed) c->broken = true;
    put(c, lines.data, lines.size);
    hone_buffer_free(&lines);
}

static void finish_answer(hone_connection *c) {
    hone_request *r = c->request;
    hone_connection_answered(c, r);
    c->running = false;
    c->request = NULL;
    r->stream = NULL;
    hone_request_release(r);
}

static void sink_end(hone_request *r) {
    hone_connection *c = r->stream;
    if (c->chunked && !c->bare) end_chunks(c, &r->trailers);
    finish_answer(c);
    if (hone_connection_is_corked(c)) return;
    hone_connection_send(c);
    hone_connection_settle(c);
}

/* Later than the request's turn, and nobody else's: head and body gather in the loop's cork all the same. */
static void sink_whole(hone_request *r, int status, const char *content_type, const void *data, size_t size) {
    hone_connection *c = r->stream;
    bool late = !c->loop->corking && hone_connection_unsent(c) == 0;
    if (late) hone_connection_cork(c);
    sink_begin(r, status, content_type, (int64_t)size);
    sink_part(r, data, size);
    sink_end(r);
    if (!late) return;
    hone_connection_uncork(c);
    hone_connection_settle(c);
}

static bool sink_gone(hone_request *r) {
    return hone_connection_is_gone(r->stream);
}

static const hone_sink http1_sink = {.begin = sink_begin,
                                     .part = sink_part,
                                     .take = sink_take,
                                     .end = sink_end,
                                     .gone = sink_gone,
                                     .whole = sink_whole};

/* --- taking messages --- */

/* Answers what never became a request, and closes. */
static void refuse(hone_connection *c, int status, const char *reason) {
    hone_stats *stats = c->loop->config->stats;
    hone_request *r = c->request ? c->request : hone_request_new(&c->loop->requests);
    c->close_after = true;
    if (!r) {
        c->broken = true;
        return;
    }
    if (!r->sink) { /* it has no head */
        r->head = (hone_head){.method = {"", 0}, .path = {"", 0}, .query = {"", 0}, .content_length = -1};
        r->started = hone_now();
    }
    c->request = r;
    r->sink = &http1_sink;
    r->stream = c;
    if (status == 400) hone_stats_failed(stats, HONE_REASON_MALFORMED);
    hone_request_fail(r, status, reason);
}

static void start_request(hone_connection *c, const hone_head *head, bool more_is_here) {
    hone_request *r = hone_request_new(&c->loop->requests);
    c->request = r;
    if (!r || hone_request_set_head(r, head) != HONE_OK) {
        refuse(c, 503, "Out of memory");
        return;
    }
    r->sink = &http1_sink;
    r->stream = c;
    r->started = c->phase == HONE_PHASE_HEAD ? c->since : hone_now();
    if (!hone_connection_admit(c, r)) return;
    if (r->body_most < c->parser.body_most) c->parser.body_most = r->body_most;
    size_t body = head->content_length > 0 ? (size_t)head->content_length : 0;
    hone_buffer_reserve(&r->body, (body < HONE_DIRECT_FROM ? body : HONE_DIRECT_FROM) + HONE_JSON_PAD);
    if (head->expects_continue && !more_is_here && c->parser.state != HONE_HTTP1_COMPLETE)
        put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void dispatch(hone_connection *c) {
    hone_request *r = c->request;
    if (r->body.failed || hone_request_end_body(r) != HONE_OK) {
        refuse(c, 503, "Out of memory");
        return;
    }
    c->running = true;
    hone_connection_dispatch(c, r);
}

static bool can_feed(const hone_connection *c) {
    return !c->broken && !c->close_after && !c->running && hone_connection_unsent(c) == 0;
}

/* May what the input brings of the body be kept? If not, it waits until others have given something back. */
static bool is_covered(hone_connection *c, size_t size) {
    const hone_http1 *p = &c->parser;
    if (p->state != HONE_HTTP1_IN_BODY && p->state != HONE_HTTP1_CHUNK_DATA) return true;
    size_t more = size < p->left ? size : (size_t)p->left;
    size_t total = hone_budget_of_body(c->request->body.size + more);
    if (hone_budget_cover(&c->loop->seat, &c->request->share, total)) return true;
    hone_connection_starve(c);
    return false;
}

/* Works on input until it is used up or must wait; what must wait goes to c->pending. */
static void feed(hone_connection *c, const char *data, size_t size) {
    hone_head head;
    hone_slice body;
    while (c->pending.size == 0 && can_feed(c) && is_covered(c, size)) {
        hone_http1_event event = hone_http1_next(&c->parser, &data, &size, &head, &body);
        c->behind = size;
        switch (event) {
        case HONE_HTTP1_MORE: return;
        case HONE_HTTP1_HEAD: start_request(c, &head, size > 0); break;
        case HONE_HTTP1_BODY: hone_request_take(c->request, body.data, body.size); break;
        case HONE_HTTP1_END:
            if (c->request) dispatch(c); /* else it was not admitted */
            break;
        case HONE_HTTP1_ERROR: refuse(c, c->parser.status, c->parser.reason); break;
        }
    }
    c->behind = 0;
    if (size == 0 || c->broken || c->close_after) return;
    hone_buffer_put(&c->pending, data, size);
    if (c->pending.failed) c->broken = true;
}

static void feed_corked(hone_connection *c, const char *data, size_t size) {
    hone_connection_cork(c);
    feed(c, data, size);
    hone_connection_uncork(c);
}

/* --- the protocol --- */

static void resume_producer(hone_connection *c) {
    hone_request *r = c->request;
    if (!r || !r->resume || hone_connection_unsent(c) > LOW_WATER) return;
    void (*resume)(hone_request *, void *) = r->resume;
    r->resume = NULL;
    hone_request_retain(r);
    hone_connection_cork(c);
    resume(r, r->producer);
    hone_connection_uncork(c);
    hone_request_release(r);
}

static void go_on(hone_connection *c) {
    resume_producer(c);
    while (c->pending.size > 0 && can_feed(c) && !c->starved) {
        hone_buffer pending = c->pending;
        c->pending = (hone_buffer){0};
        feed_corked(c, pending.data, pending.size);
        hone_buffer_free(&pending);
    }
}

/* While the handler works, a little is read ahead: only so a client that has gone is noticed whatever way it
 * went. */
static bool may_read(const hone_connection *c) {
    return !c->broken && hone_connection_unsent(c) == 0 && c->pending.size < (c->running ? READ_AHEAD : 1);
}

static hone_phase phase(const hone_connection *c) {
    if (c->running || c->starved) return HONE_PHASE_RUN; /* the client is not waited for */
    switch (c->parser.state) {
    case HONE_HTTP1_IDLE: return HONE_PHASE_IDLE;
    case HONE_HTTP1_IN_HEAD: return HONE_PHASE_HEAD;
    default: return HONE_PHASE_BODY;
    }
}

static bool is_idle(const hone_connection *c) {
    return c->parser.state == HONE_HTTP1_IDLE;
}

static bool is_running(const hone_connection *c) {
    return c->running;
}

static void expire(hone_connection *c) {
    refuse(c, 408, "The request did not come in time");
}

/* Pauses are HONE_PHASE_BODY's and HONE_PHASE_WRITE's to end; this ends bodies that trickle, and answers whose memory
 * others need. */
static void sweep(hone_connection *c, uint64_t now) {
    const hone_loop_config *config = c->loop->config;
    uint64_t whole = config->request_timeout;
    if (whole && c->share.charged > 0 && c->held_since + whole < now &&
        hone_budget_is_tight(config->budget)) {
        hone_stats_failed(config->stats, HONE_REASON_TIMEOUT);
        c->broken = true;
        return;
    }
    if (c->phase != HONE_PHASE_BODY || !c->request || !whole || now <= whole) return;
    if (!hone_request_began_before(c->request, now - whole)) return;
    hone_connection_cork(c);
    expire(c);
    hone_connection_uncork(c);
}

/* Every answer begins like that. Most are there before: then it comes in one piece, as simple clients expect it. */
static void probe(hone_connection *c) {
    if (!c->running || c->request->begun || hone_connection_unsent(c) > 0) return;
    if (hone_now() - c->half_since < PROBE_AFTER) return;
    c->probed = c->version_sent = true;
    put(c, HONE_HTTP1_VERSION, sizeof HONE_HTTP1_VERSION - 1);
    hone_connection_push(c);
}

/* Answers say "Connection: close" while the loop drains; only idle connections are to be told. */
static void drain(hone_connection *c, bool now) {
    if (now && c->phase == HONE_PHASE_IDLE && is_idle(c)) c->close_after = true;
}

static void free_http1(hone_connection *c) {
    hone_request *r = c->request;
    if (r) {
        hone_connection_dropped(c, r);
        r->stream = NULL;
        hone_request_abandon(r);
        hone_request_release(r);
    }
    hone_http1_free(&c->parser);
}

const hone_protocol hone_connection_http1 = {.name = "HTTP/1.1",
                                             .feed = feed,
                                             .go_on = go_on,
                                             .may_read = may_read,
                                             .phase = phase,
                                             .is_idle = is_idle,
                                             .is_running = is_running,
                                             .expire = expire,
                                             .sweep = sweep,
                                             .probe = probe,
                                             .drain = drain,
                                             .free = free_http1};
