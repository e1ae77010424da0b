#include "serve/connection.h"

#include "base/memory.h"
#include "serve/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    TURNS = 8,              /* reads of a socket before others get their turn */
    DIRECT_FROM = 16 << 10, /* parts of this size are sent without copying them first */
    CORK_MOST = 256 << 10,  /* answers gathered before they are sent */
    READ_AHEAD = 16 << 10,
    HIGH_WATER = 512 << 10, /* unsent bytes at which a producer has to wait */
    LOW_WATER = HIGH_WATER / 4
};

static void settle(hone_connection *c);

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

static void set_phase(hone_connection *c, hone_phase phase, bool progress) {
    if (phase == c->phase && !progress && !c->fresh) return;
    leave_list(c);
    enter_list(c, phase);
    c->fresh = false;
}

/* --- sending --- */

/* Sends what the socket takes of the two pieces; returns how much, and marks the connection broken if it
 * can't any. */
static size_t send_pieces(hone_connection *c, const void *a, size_t a_size, const void *b, size_t b_size) {
    struct iovec pieces[2] = {{(void *)(uintptr_t)a, a_size}, {(void *)(uintptr_t)b, b_size}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = b_size ? 2 : 1};
    if (c->broken || a_size + b_size == 0) return 0;
    ssize_t n;
    do n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n >= 0) return (size_t)n;
    if (errno != EAGAIN && errno != EWOULDBLOCK) c->broken = true;
    return 0;
}

static void keep_unsent(hone_connection *c, const void *data, size_t size) {
    hone_buffer_put(&c->out, data, size);
    if (c->out.failed) c->broken = true;
}

static size_t unsent(const hone_connection *c) {
    return c->out.size - c->sent;
}

/* Sends the loop's cork, then `data`; what the socket does not take goes to c->out. */
static void send_corked(hone_connection *c, const void *data, size_t size) {
    hone_buffer *cork = &c->loop->cork;
    if (cork->failed) c->broken = true;
    size_t n = send_pieces(c, cork->data, cork->size, data, size);
    if (n < cork->size) {
        keep_unsent(c, cork->data + n, cork->size - n);
        n = 0;
    } else {
        n -= cork->size;
    }
    if (n < size) keep_unsent(c, (const char *)data + n, size - n);
    hone_buffer_clear(cork, 2 * CORK_MOST);
}

static void send_unsent(hone_connection *c) {
    c->sent += send_pieces(c, c->out.data + c->sent, unsent(c), NULL, 0);
    if (unsent(c) > 0) return;
    hone_buffer_free(&c->out);
    c->sent = 0;
}

static void put(hone_connection *c, const void *data, size_t size) {
    if (!c->feeding || unsent(c) > 0) {
        keep_unsent(c, data, size);
        return;
    }
    if (size >= DIRECT_FROM) {
        send_corked(c, data, size);
        return;
    }
    hone_buffer_put(&c->loop->cork, data, size);
    if (c->loop->cork.size > CORK_MOST) send_corked(c, NULL, 0);
}

/* --- the sink --- */

static void sink_begin(hone_request *r, int status, const char *content_type, int64_t length) {
    hone_connection *c = r->stream;
    hone_buffer head = {0};
    bool corked = c->feeding && unsent(c) == 0;
    if (c->loop->draining || !r->head.keep_alive) c->close_after = true;
    c->bare = hone_slice_is(r->head.method, "HEAD");
    c->chunked = length < 0 && r->head.chunked_answer;
    if (length < 0 && !c->chunked) c->close_after = true;
    hone_http1_answer answer = {.status = status,
                                .content_type = content_type,
                                .length = length,
                                .chunked = c->chunked,
                                .close = c->close_after,
                                .keep_alive = !r->head.chunked_answer};
    hone_http1_write_head(corked ? &c->loop->cork : &head, &answer);
    if (head.failed) c->broken = true;
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
    if (!c->feeding) {
        send_unsent(c);
        if (!c->broken && !c->writing && unsent(c) > 0) settle(c);
    }
    return unsent(c) <= HIGH_WATER;
}

static void finish_answer(hone_connection *c) {
    hone_request *r = c->request;
    hone_stats *stats = c->loop->config->stats;
    hone_stats_answered(stats, r->model, r->method, r->status, (double)(hone_now() - r->started) * 1e-9);
    if (r->status >= 400 && r->method != HONE_METHOD_HEALTH)
        hone_stats_failed(stats, hone_reason_of(r->status));
    if (c->running) hone_stats_in_flight(stats, -1);
    c->running = false;
    c->fresh = true;
    c->request = NULL;
    r->stream = NULL;
    hone_request_release(r);
}

static void sink_end(hone_request *r) {
    hone_connection *c = r->stream;
    if (c->chunked && !c->bare) put(c, "0\r\n\r\n", 5);
    finish_answer(c);
    if (c->feeding) return;
    send_unsent(c);
    settle(c);
}

static bool sink_gone(hone_request *r) {
    hone_connection *c = r->stream;
    struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static const hone_sink http1_sink = {sink_begin, sink_part, sink_end, sink_gone};

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
    size_t body = head->content_length > 0 ? (size_t)head->content_length : 0;
    hone_buffer_reserve(&r->body, (body < DIRECT_FROM ? body : DIRECT_FROM) + HONE_JSON_PAD);
    r->sink = &http1_sink;
    r->stream = c;
    r->started = c->phase == HONE_PHASE_HEAD ? c->since : hone_now();
    if (head->expects_continue && !more_is_here && c->parser.state != HONE_HTTP1_COMPLETE)
        put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void dispatch(hone_connection *c) {
    const hone_loop_config *config = c->loop->config;
    hone_request *r = c->request;
    if (r->body.failed || hone_request_end_body(r) != HONE_OK) {
        refuse(c, 503, "Out of memory");
        return;
    }
    r->received = hone_now();
    if (config->request_timeout) r->deadline = r->received + config->request_timeout;
    c->running = true;
    hone_stats_in_flight(config->stats, 1);
    config->handler(config->user, c->loop, r);
}

/* Works on input until it is used up or must wait; what must wait goes to c->pending. */
static void feed(hone_connection *c, const char *data, size_t size) {
    hone_head head;
    hone_slice body;
    while (!c->broken && !c->close_after && !c->running && unsent(c) == 0) {
        switch (hone_http1_next(&c->parser, &data, &size, &head, &body)) {
        case HONE_HTTP1_MORE: return;
        case HONE_HTTP1_HEAD: start_request(c, &head, size > 0); break;
        case HONE_HTTP1_BODY: hone_buffer_put(&c->request->body, body.data, body.size); break;
        case HONE_HTTP1_END: dispatch(c); break;
        case HONE_HTTP1_ERROR: refuse(c, c->parser.status, c->parser.reason); break;
        }
    }
    if (size == 0 || c->broken || c->close_after) return;
    hone_buffer_put(&c->pending, data, size);
    if (c->pending.failed) c->broken = true;
}

static void feed_corked(hone_connection *c, const char *data, size_t size) {
    c->feeding = true;
    feed(c, data, size);
    send_corked(c, NULL, 0);
    c->feeding = false;
}

/* While the handler works, a little is read ahead: only so a client that has gone is noticed whatever way it
 * went. */
static bool may_read(const hone_connection *c) {
    return !c->broken && unsent(c) == 0 && c->pending.size < (c->running ? READ_AHEAD : 1);
}

/* Input that waited for an answer, once that is sent. */
static void feed_pending(hone_connection *c) {
    while (c->pending.size > 0 && !c->broken && !c->close_after && !c->running && unsent(c) == 0) {
        hone_buffer pending = c->pending;
        c->pending = (hone_buffer){0};
        feed_corked(c, pending.data, pending.size);
        hone_buffer_free(&pending);
    }
}

/* --- events --- */

static void read_input(hone_connection *c) {
    for (int turn = 0; turn < TURNS && may_read(c); turn++) {
        ssize_t n = recv(c->fd, c->loop->scratch, HONE_LOOP_SCRATCH, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) c->broken = true;
            return;
        }
        if (c->phase == HONE_PHASE_LINGER) continue; /* not read any more */
        if (c->close_after) return;
        if (c->running) {
            hone_buffer_put(&c->pending, c->loop->scratch, (size_t)n);
            continue;
        }
        feed_corked(c, c->loop->scratch, (size_t)n);
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
    if (unsent(c) > 0) return HONE_PHASE_WRITE;
    if (c->running) return HONE_PHASE_RUN;
    switch (c->parser.state) {
    case HONE_HTTP1_IDLE: return HONE_PHASE_IDLE;
    case HONE_HTTP1_IN_HEAD: return HONE_PHASE_HEAD;
    default: return HONE_PHASE_BODY;
    }
}

/* Closing with unread input would reset the connection and could take the answer with it: then the client is
 * given time to close first. */
static bool must_linger(const hone_connection *c) {
    char byte;
    return c->parser.state != HONE_HTTP1_IDLE || c->pending.size > 0 ||
           recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* After anything happened: closes what is broken or done, and waits for the right things otherwise. */
static void settle(hone_connection *c) {
    if (c->feeding) return;
    if (!c->broken) feed_pending(c);
    if (c->broken) {
        hone_connection_close(c);
        return;
    }
    bool last_sent = c->close_after && unsent(c) == 0 && !c->running && !c->request;
    if (last_sent && c->phase != HONE_PHASE_LINGER) {
        if (!must_linger(c)) {
            hone_connection_close(c);
            return;
        }
        shutdown(c->fd, SHUT_WR);
        hone_buffer_free(&c->pending);
        set_phase(c, HONE_PHASE_LINGER, false);
    } else if (!last_sent) {
        set_phase(c, phase_of(c), false);
    }
    arm(&c->writable, &c->writing, unsent(c) > 0);
    arm(&c->readable, &c->reading, may_read(c));
}

static void on_readable(evutil_socket_t fd, short what, void *arg) {
    hone_connection *c = arg;
    (void)fd, (void)what;
    read_input(c);
    settle(c);
}

static void on_writable(evutil_socket_t fd, short what, void *arg) {
    hone_connection *c = arg;
    (void)fd, (void)what;
    size_t before = unsent(c);
    send_unsent(c);
    if (unsent(c) < before) c->fresh = true;
    hone_request *r = c->request;
    if (!c->broken && r && r->resume && unsent(c) <= LOW_WATER) {
        void (*resume)(hone_request *, void *) = r->resume;
        r->resume = NULL;
        hone_request_retain(r);
        resume(r, r->producer);
        bool alive = r->stream != NULL;
        bool ended = r->ended;
        hone_request_release(r);
        if (!alive && !ended) return; /* the connection went with it */
        if (ended) return;            /* sink_end has settled it */
    }
    settle(c);
}

/* The client has closed its side. While something is read, the end of the input says so in its time. */
static void on_closed(evutil_socket_t fd, short what, void *arg) {
    hone_connection *c = arg;
    (void)fd, (void)what;
    if (c->running)
        c->broken = true;
    else if (!c->reading)
        event_del(&c->closed); /* still takes its answer, perhaps */
    settle(c);
}

void hone_connection_open(hone_loop *loop, int fd) {
    hone_connection *c = hone_calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        atomic_fetch_sub(&loop->connections, 1);
        return;
    }
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->loop = loop;
    c->fd = fd;
    hone_http1_init(&c->parser, &loop->config->limits);
    event_assign(&c->readable, loop->base, fd, EV_READ | EV_PERSIST, on_readable, c);
    event_assign(&c->writable, loop->base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
    event_assign(&c->closed, loop->base, fd, EV_CLOSED | EV_PERSIST, on_closed, c);
    event_add(&c->closed, NULL);
    enter_list(c, HONE_PHASE_IDLE);
    hone_stats_connection(loop->config->stats, 1);
    read_input(c); /* the request is often there already */
    settle(c);
}

void hone_connection_close(hone_connection *c) {
    hone_loop *loop = c->loop;
    hone_request *r = c->request;
    leave_list(c);
    event_del(&c->readable);
    event_del(&c->writable);
    event_del(&c->closed);
    close(c->fd);
    if (r) {
        if (c->running) {
            hone_stats_in_flight(loop->config->stats, -1);
            hone_stats_failed(loop->config->stats, HONE_REASON_CANCELLED);
        }
        r->stream = NULL;
        hone_request_cancel(r);
        hone_request_release(r);
    }
    hone_http1_free(&c->parser);
    hone_buffer_free(&c->pending);
    hone_buffer_free(&c->out);
    hone_free(c);
    hone_stats_connection(loop->config->stats, -1);
    atomic_fetch_sub(&loop->connections, 1);
}

void hone_connection_expire(hone_connection *c) {
    switch (c->phase) {
    case HONE_PHASE_HEAD:
    case HONE_PHASE_BODY:
        c->feeding = true;
        refuse(c, 408, "The request did not come in time");
        send_corked(c, NULL, 0);
        c->feeding = false;
        settle(c);
        break;
    case HONE_PHASE_IDLE:
        read_input(c); /* a request that came this very moment is still answered */
        if (c->phase == HONE_PHASE_IDLE && !c->broken && !c->fresh && c->parser.state == HONE_HTTP1_IDLE)
            c->close_after = true;
        settle(c);
        break;
    default:
        if (c->phase == HONE_PHASE_WRITE) hone_stats_failed(c->loop->config->stats, HONE_REASON_TIMEOUT);
        hone_connection_close(c);
    }
}
