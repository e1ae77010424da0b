#include "serve/net/connection.h"

#include "base/clock.h"
#include "base/memory.h"
#include "serve/request/grpc_status.h"
#include "serve/request/timeout.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    LOOK_FIRST_MS = 10,
    LOOK_MOST_MS = 500,
    TURNS = 8,            /* reads of a socket before others get their turn */
    UNSENT_MOST = 2 << 20 /* bytes; with more, nothing is read until the client has taken some */
};

/* --- phases --- */

static void leave_list(hone_connection *c) {
    hone_connection_list *list = &c->loop->phases[c->phase];
    *(c->previous ? &c->previous->next : &list->first) = c->next;
    *(c->next ? &c->next->previous : &list->last) = c->previous;
}

static void enter_list(hone_connection *c, hone_phase phase) {
    hone_connection_list *list = &c->loop->phases[phase];
    c->phase = phase;
    c->since = hone_now();
    c->previous = list->last;
    c->next = NULL;
    *(list->last ? &list->last->next : &list->first) = c;
    list->last = c;
}

void hone_connection_set_phase(hone_connection *c, hone_phase phase) {
    if (phase == c->phase && !c->fresh) return;
    leave_list(c);
    enter_list(c, phase);
    c->fresh = false;
}

/* --- the budget --- */

void hone_connection_starve(hone_connection *c) {
    hone_connection_list *list = &c->loop->starved;
    if (c->starved) return;
    c->starved = true;
    c->starved_previous = list->last;
    c->starved_next = NULL;
    *(list->last ? &list->last->starved_next : &list->first) = c;
    list->last = c;
}

static void leave_starved(hone_connection *c) {
    hone_connection_list *list = &c->loop->starved;
    if (!c->starved) return;
    c->starved = false;
    *(c->starved_previous ? &c->starved_previous->starved_next : &list->first) = c->starved_next;
    *(c->starved_next ? &c->starved_next->starved_previous : &list->last) = c->starved_previous;
}

void hone_connection_feed_starved(hone_connection *c) {
    leave_starved(c);
    hone_connection_settle(c);
}

/* --- what waits for the client --- */

static size_t held(const hone_connection *c) {
    return c->out.capacity + c->answer.capacity + (c->protocol->held ? c->protocol->held(c) : 0);
}

/* Who does not take its answers keeps them here: as much as there is room for. */
static void cover_held(hone_connection *c) {
    hone_budget *budget = c->loop->config->budget;
    bool before = c->share.charged > 0;
    size_t bytes = held(c);
    while (!c->broken && !hone_budget_take(budget, &c->share, bytes)) {
        hone_stats_failed(c->loop->config->stats, HONE_REASON_OVERLOADED);
        if (!c->protocol->give_up) {
            c->broken = true;
            return;
        }
        c->protocol->give_up(c);
        if (held(c) == bytes) c->broken = true;
        bytes = held(c);
    }
    hone_budget_reduce(&c->share, bytes);
    if (!before && c->share.charged > 0) c->held_since = hone_now();
}

/* --- requests --- */

static void log_request(const hone_connection *c, const hone_request *r, bool dropped) {
    bool old = c->protocol == &hone_connection_http1 && !r->head.chunked_answer && r->head.method.size > 0;
    hone_access_log *log = c->loop->config->access_log;
    if (log)
        hone_access_log_request(log, c->loop->index, r, &c->remote, old ? "HTTP/1.0" : c->protocol->name,
                                dropped);
}

bool hone_connection_admit(hone_connection *c, hone_request *r) {
    const hone_loop_config *config = c->loop->config;
    r->endpoint = c->endpoint;
    hone_request_join_trace(r);
    if (config->admit && !config->admit(config->user, r)) return false;
    if (r->head.content_length > 0 && (uint64_t)r->head.content_length > r->body_most) {
        hone_request_refuse(r, 413, "The body is too large");
        return false;
    }
    hone_request_take_timeout(r); /* what is malformed is told when the request is there */
    if (r->deadline) hone_deadlines_put(&c->loop->deadlines, r);
    return true;
}

void hone_connection_dispatch(hone_connection *c, hone_request *r) {
    const hone_loop_config *config = c->loop->config;
    r->received = hone_now();
    /* Of a stream of messages only the client knows how long it may last. */
    if (config->request_timeout && r->whole)
        hone_request_bring_forward(r, r->received + config->request_timeout);
    if (r->deadline && !r->due.wheel) hone_deadlines_put(&c->loop->deadlines, r);
    hone_stats_in_flight(config->stats, 1);
    config->handler(config->user, c->loop, r);
}

void hone_connection_answered(hone_connection *c, hone_request *r) {
    hone_stats *stats = c->loop->config->stats;
    hone_stats_answered(stats, &(hone_answered){.model = r->model,
                                                .method = r->method,
                                                .code = r->status,
                                                .grpc = r->grpc_status,
                                                .seconds = (double)(hone_now() - r->started) * 1e-9,
                                                .computing = (double)r->stages[HONE_STAGE_COMPUTE] * 1e-9});
    if (r->status >= 400 && r->method != HONE_METHOD_HEALTH)
        hone_stats_failed(stats, hone_reason_of(r->status));
    if (r->received) hone_stats_in_flight(stats, -1);
    log_request(c, r, false);
    c->fresh = true;
    /* What waits of the answer was covered for it. */
    hone_budget_move(&r->share, 0, &c->share);
    hone_budget_reduce(&c->share, held(c));
}

void hone_connection_dropped(hone_connection *c, hone_request *r) {
    hone_stats *stats = c->loop->config->stats;
    if (!r->received) return;
    hone_stats_in_flight(stats, -1);
    if (r->method != HONE_METHOD_HEALTH) hone_stats_failed(stats, HONE_REASON_CANCELLED);
    log_request(c, r, true);
}

/* --- clients that end their side --- */

/* TCP says only that no more comes: the client may wait for its answer, or may have gone. If it has, the next thing
 * that it is sent is answered by a reset. */
static void on_look(evutil_socket_t fd, short what, void *arg);

static void look_later(hone_connection *c) {
    struct timeval t = {.tv_sec = c->look_ms / 1000, .tv_usec = c->look_ms % 1000 * 1000};
    event_add(&c->closed, &t);
    if (c->look_ms < LOOK_MOST_MS) c->look_ms *= 2;
}

static void half_close(hone_connection *c) {
    if (!c->half_closed) {
        c->half_closed = true;
        c->half_since = hone_now();
        c->look_ms = LOOK_FIRST_MS;
        event_del(&c->closed);
        event_assign(&c->closed, c->loop->base, -1, 0, on_look, c);
        look_later(c);
    }
    if (!c->probed) c->protocol->probe(c);
}

bool hone_connection_is_gone(hone_connection *c) {
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
    if (poll(&p, 1, 0) <= 0) return false;
    if (p.revents & (POLLHUP | POLLERR)) return true;
    if (p.revents & POLLRDHUP) half_close(c);
    return false;
}

static void on_look(evutil_socket_t fd, short what, void *arg) {
    hone_connection *c = arg;
    (void)fd, (void)what;
    if (hone_connection_is_gone(c))
        c->broken = true;
    else
        look_later(c);
    hone_connection_settle(c);
}

void hone_connection_end_input(hone_connection *c) {
    c->ended = true;
    if (c->phase != HONE_PHASE_LINGER && c->protocol->is_running(c)) {
        if (hone_connection_is_gone(c)) c->broken = true;
        half_close(c);
    } else if (c->phase == HONE_PHASE_LINGER || hone_connection_unsent(c) == 0) {
        c->broken = true;
    }
}

/* What was asked is answered, and nothing more can be. */
static void close_when_ended(hone_connection *c) {
    if (!c->ended || c->starved || c->protocol->is_running(c)) return;
    if (c->pending.size > 0 && hone_connection_unsent(c) > 0) return; /* it goes on when that is sent */
    c->close_after = true;
    if (c->request) c->broken = true; /* it never came whole */
}

/* --- which protocol --- */

static void sniff(hone_connection *c, const char *data, size_t size) {
    static const char preface[] = HONE_HTTP2_PREFACE;
    enum { ENOUGH = 4 }; /* "PRI ": no method of HTTP/1 */
    hone_buffer held = c->pending;
    if (held.size > 0) {
        hone_buffer_put(&held, data, size);
        data = held.data;
        size = held.size;
    }
    size_t n = size < ENOUGH ? size : ENOUGH;
    hone_tls_protocol said = c->tls ? hone_tls_session_protocol(c->tls) : HONE_TLS_ANY_PROTOCOL;
    bool like_http2 = said == HONE_TLS_ANY_PROTOCOL ? memcmp(data, preface, n) == 0 : said == HONE_TLS_HTTP2;
    if (said != HONE_TLS_ANY_PROTOCOL) n = ENOUGH;
    if (like_http2 && n < ENOUGH) {
        if (c->pending.size == 0) hone_buffer_put(&held, data, size);
        c->pending = held;
    } else {
        c->pending = (hone_buffer){0};
        c->protocol = like_http2 ? &hone_connection_http2 : &hone_connection_http1;
        c->protocol->feed(c, data, size);
        hone_buffer_free(&held);
    }
    if (held.failed) c->broken = true;
}

static void sniff_nothing(hone_connection *c) {
    (void)c;
}

static bool sniff_may_read(const hone_connection *c) {
    return !c->broken;
}

static hone_phase sniff_phase(const hone_connection *c) {
    return c->pending.size ? HONE_PHASE_HEAD : HONE_PHASE_IDLE;
}

static bool sniff_is_idle(const hone_connection *c) {
    return c->pending.size == 0;
}

static bool sniff_is_running(const hone_connection *c) {
    (void)c;
    return false;
}

/* What came could be the start of either; it is answered as most clients would understand it. */
static void sniff_expire(hone_connection *c) {
    c->protocol = &hone_connection_http1;
    c->protocol->expire(c);
}

static void sniff_sweep(hone_connection *c, uint64_t now) {
    (void)c, (void)now;
}

static void sniff_drain(hone_connection *c, bool now) {
    if (now && sniff_is_idle(c)) c->close_after = true;
}

static const hone_protocol sniffing = {.feed = sniff,
                                       .go_on = sniff_nothing,
                                       .may_read = sniff_may_read,
                                       .phase = sniff_phase,
                                       .is_idle = sniff_is_idle,
                                       .is_running = sniff_is_running,
                                       .expire = sniff_expire,
                                       .sweep = sniff_sweep,
                                       .probe = sniff_nothing,
                                       .drain = sniff_drain,
                                       .free = sniff_nothing};

/* --- events --- */

void hone_connection_feed(hone_connection *c, const char *data, size_t size) {
    hone_connection_cork(c);
    c->protocol->feed(c, data, size);
    hone_connection_uncork(c);
}

/* A protocol knows what it lets a client make it say. What TLS says by itself (to requests for new keys) is
 * bounded here. */
static bool may_read(const hone_connection *c) {
    return !c->ended && c->protocol->may_read(c) && hone_connection_unsent(c) <= UNSENT_MOST;
}

static void read_input(hone_connection *c) {
    for (int turn = 0; turn < TURNS && may_read(c); turn++) {
        ssize_t n = recv(c->fd, c->loop->scratch, HONE_LOOP_SCRATCH, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0)
                hone_connection_end_input(c);
            else if (errno != EAGAIN && errno != EWOULDBLOCK)
                c->broken = true;
            return;
        }
        if (c->phase == HONE_PHASE_LINGER) continue; /* not read any more */
        if (c->close_after) return;
        (c->tls ? hone_connection_unseal : hone_connection_feed)(c, c->loop->scratch, (size_t)n);
        if (c->phase == HONE_PHASE_BODY) c->fresh = true;
        if ((size_t)n < HONE_LOOP_SCRATCH) return;
    }
}

static void arm(struct event *event, bool *armed, bool wanted) {
    if (*armed == wanted) return;
    *armed = wanted;
    if (wanted)
        event_add(event, NULL);
    else
        event_del(event);
}

static hone_phase phase_of(const hone_connection *c) {
    if (hone_connection_is_shaking(c)) return HONE_PHASE_HEAD;
    return hone_connection_unsent(c) > 0 ? HONE_PHASE_WRITE : c->protocol->phase(c);
}

/* Closing with unread input would reset the connection and could take the answer with it: then the client is
 * given time to close first. */
static bool must_linger(const hone_connection *c) {
    char byte;
    if (c->ended) return false;
    return !c->protocol->is_idle(c) || c->pending.size > 0 ||
           recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void hone_connection_settle(hone_connection *c) {
    if (c->loop->corking) {
        if (!hone_connection_is_corked(c)) hone_connection_wake(c);
        return;
    }
    if (!c->broken && c->phase != HONE_PHASE_LINGER) {
        c->protocol->go_on(c);
        close_when_ended(c);
        cover_held(c);
    }
    if (c->broken) {
        hone_connection_close(c);
        return;
    }
    bool last_sent = c->close_after && hone_connection_unsent(c) == 0 && !c->running && !c->request;
    if (last_sent && c->tls) last_sent = hone_connection_end_tls(c);
    if (last_sent && c->phase != HONE_PHASE_LINGER) {
        if (!must_linger(c)) {
            hone_connection_close(c);
            return;
        }
        shutdown(c->fd, SHUT_WR);
        hone_buffer_free(&c->pending);
        c->fresh = false;
        hone_connection_set_phase(c, HONE_PHASE_LINGER);
    } else if (!last_sent) {
        hone_connection_set_phase(c, phase_of(c));
    }
    arm(&c->writable, &c->writing, hone_connection_unsent(c) > 0);
    arm(&c->readable, &c->reading, may_read(c));
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    hone_connection *c = arg;
    (void)fd, (void)what;
    read_input(c);
    hone_connection_settle(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    hone_connection *c = arg;
    (void)fd, (void)what;
    size_t before = hone_connection_unsent(c);
    hone_connection_send(c);
    if (hone_connection_unsent(c) < before && !hone_connection_is_shaking(c)) c->fresh = true;
    hone_connection_settle(c);
}

void hone_connection_wake(hone_connection *c) {
    event_active(&c->writable, EV_WRITE, 0);
}

/* The client has ended its side. While something is read, the end of the input says so in its time. */
static void on_closed(evutil_socket_t fd, short what, void *arg) {
    hone_connection *c = arg;
    (void)fd, (void)what;
    if (c->protocol->is_running(c))
        c->broken |= hone_connection_is_gone(c);
    else if (!c->reading)
        event_del(&c->closed); /* still takes its answer, perhaps */
    hone_connection_settle(c);
}

void hone_connection_open(hone_loop *loop, const hone_arrival *from) {
    int fd = from->fd;
    hone_connection *c = hone_calloc(1, sizeof *c);
    hone_tls *tls = from->endpoint ? from->endpoint->tls : NULL;
    if (c && tls) c->tls = hone_tls_session_new(tls);
    if (!c || (tls && !c->tls)) {
        hone_free(c);
        close(fd);
        atomic_fetch_sub(&loop->connections, 1);
        return;
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->loop = loop;
    c->fd = fd;
    c->endpoint = from->endpoint;
    c->protocol = &sniffing;
    if (loop->config->access_log) hone_remote_of(fd, &c->remote);
    hone_http1_init(&c->parser, &loop->config->limits);
    event_assign(&c->readable, loop->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->writable, loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
    event_assign(&c->closed, loop->base, fd, EV_CLOSED | EV_PERSIST, on_closed, c);
    event_add(&c->closed, NULL);
    enter_list(c, tls ? HONE_PHASE_HEAD : HONE_PHASE_IDLE);
    hone_stats_connection(loop->config->stats, 1);
    read_input(c); /* the request is often there already */
    hone_connection_settle(c);
}

void hone_connection_close(hone_connection *c) {
    hone_loop *loop = c->loop;
    leave_list(c);
    leave_starved(c);
    event_del(&c->readable);
    event_del(&c->writable);
    event_del(&c->closed);
    close(c->fd);
    c->protocol->free(c);
    hone_tls_session_free(c->tls);
    hone_buffer_free(&c->pending);
    hone_buffer_free(&c->out);
    hone_buffer_free(&c->answer);
    hone_budget_release(&c->share);
    hone_free(c);
    hone_stats_connection(loop->config->stats, -1);
    atomic_fetch_sub(&loop->connections, 1);
}

void hone_connection_expire(hone_connection *c) {
    if (hone_connection_is_shaking(c)) {
        hone_tls_count(c->tls, HONE_TLS_TIMEOUT);
        hone_connection_close(c);
        return;
    }
    switch (c->phase) {
    case HONE_PHASE_HEAD:
    case HONE_PHASE_BODY:
        hone_connection_cork(c);
        c->protocol->expire(c);
        hone_connection_uncork(c);
        hone_connection_settle(c);
        break;
    case HONE_PHASE_IDLE:
        read_input(c); /* a request that came this very moment is still answered */
        if (c->phase == HONE_PHASE_IDLE && !c->broken && !c->fresh && c->protocol->is_idle(c))
            c->protocol->drain(c, true);
        hone_connection_settle(c);
        break;
    default:
        if (c->phase == HONE_PHASE_WRITE) hone_stats_failed(c->loop->config->stats, HONE_REASON_TIMEOUT);
        hone_connection_close(c);
    }
}

void hone_connection_sweep(hone_connection *c, uint64_t now) {
    c->protocol->sweep(c, now);
    hone_connection_settle(c);
}

void hone_connection_drain(hone_connection *c, bool now) {
    c->protocol->drain(c, now);
    hone_connection_settle(c);
}
