/* What a connection of HTTP/2 takes in: streams, heads, bodies, frames. */
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "serve/http/http2_stream.h"
#include "serve/request/grpc_status.h"

enum {
    SPARE_STREAMS = 256,
    KEEP_OUT = 4 << 10,
    FIELD_OVERHEAD = 32, /* of each field, as SETTINGS_MAX_HEADER_LIST_SIZE counts */
    FIRST_TEXT = 512,
    STREAM_WINDOW = 1 << 20, /* of a stream whose body has turned out to be a large one */
    HEAD_TOO_LONG = 8        /* times the limit: not worth reading to the end */
};

/* --- limits --- */

/* Takes one from the bucket; false if it is empty. */
static bool spend(hone_http2_bucket *b, hone_http2_rate rate, uint64_t now) {
    uint64_t gained = (now - b->filled) / HONE_MILLISECOND * rate.per_second / 1000;
    if (b->filled == 0 || gained >= rate.burst - b->left) {
        b->left = rate.burst;
        b->filled = now;
    } else if (gained > 0) {
        b->left += (uint32_t)gained;
        b->filled = now;
    }
    if (b->left == 0) return false;
    b->left--;
    return true;
}

void hone_http2_calm(hone_http2 *h) {
    if (h->refused) return;
    h->refused = true;
    if (nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM) != 0) h->broken = true;
}

static void count_reset(hone_http2 *h) {
    if (!spend(&h->resets, h->host->options.limits.resets, h->now)) hone_http2_calm(h);
}

static void count_control(hone_http2 *h) {
    if (!spend(&h->control, h->host->options.limits.control, h->now)) hone_http2_calm(h);
}

/* --- streams --- */

static hone_http2_stream *open_stream(hone_http2 *h, int32_t id) {
    hone_http2_host *host = h->host;
    hone_http2_stream *s = host->spare;
    if (s) {
        host->spare = s->next;
        host->spare_count--;
    } else if (!(s = hone_slab_alloc(&host->slab, sizeof *s))) {
        return NULL;
    } else {
        s->out = s->trailers = (hone_buffer){0};
    }
    *s = (hone_http2_stream){.h = h, .id = id, .since = h->now, .out = s->out, .trailers = s->trailers};
    s->previous = h->last;
    *(h->last ? &h->last->next : &h->first) = s;
    h->last = s;
    h->count++;
    return s;
}

static void enqueue(hone_http2_stream *s) {
    hone_http2 *h = s->h;
    if (s->queued) return;
    s->queued = true;
    s->ready_previous = h->ready_last;
    s->ready_next = NULL;
    *(h->ready_last ? &h->ready_last->ready_next : &h->ready_first) = s;
    h->ready_last = s;
}

void hone_http2_dequeue(hone_http2_stream *s) {
    hone_http2 *h = s->h;
    if (!s->queued) return;
    s->queued = false;
    *(s->ready_previous ? &s->ready_previous->ready_next : &h->ready_first) = s->ready_next;
    *(s->ready_next ? &s->ready_next->ready_previous : &h->ready_last) = s->ready_previous;
}

void hone_http2_free_stream(hone_http2_host *host, hone_http2_stream *s) {
    hone_buffer_free(&s->out);
    hone_buffer_free(&s->trailers);
    hone_slab_free(&host->slab, s);
}

/* What its request takes before anybody works on it. What of a body is not free is covered in another way. */
void hone_http2_count_coming(hone_http2_stream *s) {
    const hone_request *r = s->request;
    size_t bytes = 0;
    if (r && !s->running && !s->refused)
        bytes = sizeof *r + r->text.capacity +
                (r->body.capacity < HONE_BUDGET_FREE ? r->body.capacity : HONE_BUDGET_FREE);
    s->h->coming += bytes - s->coming;
    s->coming = bytes;
}

/* Takes the stream out of the connection, and its request with it. */
void hone_http2_close_stream(hone_http2_stream *s) {
    hone_http2 *h = s->h;
    hone_http2_host *host = h->host;
    hone_request *r = s->request;
    hone_http2_dequeue(s);
    if (s->streaming && s->unread > 0 && nghttp2_session_consume_connection(h->session, s->unread) != 0)
        h->broken = true;
    *(s->previous ? &s->previous->next : &h->first) = s->next;
    *(s->next ? &s->next->previous : &h->last) = s->previous;
    h->count--;
    h->held -= s->held;
    h->coming -= s->coming;
    if (r) {
        r->stream = NULL;
        hone_request_abandon(r);
        if (s->running) h->events->dropped(h->user, r);
        hone_request_release(r);
    }
    if (host->spare_count == SPARE_STREAMS) {
        hone_http2_free_stream(host, s);
        return;
    }
    hone_buffer_clear(&s->out, KEEP_OUT);
    hone_buffer_clear(&s->trailers, KEEP_OUT);
    s->next = host->spare;
    host->spare = s;
    host->spare_count++;
}

/* Answers before the handler could. What else comes is dropped. */
void hone_http2_refuse(hone_http2_stream *s, int status, const char *message) {
    hone_request *r = s->request;
    hone_http2_dequeue(s);
    s->refused = true;
    hone_http2_count_coming(s);
    hone_request_refuse(r, status, message);
}

/* --- the head --- */

static void move(hone_slice *s, const char *from, const char *to) {
    s->data = to + ((uintptr_t)s->data - (uintptr_t)from);
}

/* Room for `more` bytes of text, with what borrows from it going along. */
static bool reserve_text(hone_request *r, size_t more) {
    const char *before = r->text.data;
    if (!hone_buffer_reserve(&r->text, more)) return false;
    if (!before || before == r->text.data) return true;
    if (r->head.method.size) move(&r->head.method, before, r->text.data);
    if (r->head.path.size) move(&r->head.path, before, r->text.data);
    for (size_t i = 0; i < r->head.field_count; i++) {
        move(&r->head.fields[i].name, before, r->text.data);
        move(&r->head.fields[i].value, before, r->text.data);
    }
    return true;
}

static hone_slice keep_text(hone_request *r, const void *data, size_t size) {
    hone_slice kept = {r->text.data + r->text.size, size};
    hone_buffer_put(&r->text, data, size);
    return kept;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    hone_http2 *h = user;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    hone_http2_stream *s = open_stream(h, frame->hd.stream_id);
    hone_request *r = s ? hone_request_new(h->host->options.requests) : NULL;
    if (!r || !reserve_text(r, FIRST_TEXT)) {
        hone_request_release(r);
        if (s) hone_http2_close_stream(s);
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM) == 0
                   ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
                   : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    r->head.method = r->head.path = r->head.query = (hone_slice){"", 0};
    r->head.content_length = -1;
    r->head.keep_alive = r->head.chunked_answer = true;
    r->head.expects_continue = false;
    r->head.field_count = 0;
    r->sink = &hone_http2_sink;
    r->stream = s;
    r->started = s->since;
    s->request = r;
    nghttp2_session_set_stream_user_data(session, s->id, s);
    return 0;
}

static bool name_is(const uint8_t *name, size_t size, const char *word) {
    return size == strlen(word) && memcmp(name, word, size) == 0;
}

static void take_field(hone_http2_stream *s, const uint8_t *name, size_t name_size, const uint8_t *value,
                       size_t value_size) {
    hone_request *r = s->request;
    bool host = name_is(name, name_size, ":authority");
    if (!reserve_text(r, name_size + value_size)) return;
    if (name_is(name, name_size, ":method")) {
        r->head.method = keep_text(r, value, value_size);
    } else if (name_is(name, name_size, ":path")) {
        r->head.path = keep_text(r, value, value_size);
    } else if ((host || name[0] != ':') && r->head.field_count == HONE_MAX_FIELDS) {
        s->too_many = true;
    } else if (host || name[0] != ':') {
        hone_field *f = &r->head.fields[r->head.field_count++];
        f->name = host ? keep_text(r, "host", 4) : keep_text(r, name, name_size);
        f->value = keep_text(r, value, value_size);
    }
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags, void *user) {
    hone_http2 *h = user;
    hone_http2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    size_t limit = h->host->options.limits.head_bytes;
    (void)flags;
    if (!s) return 0;
    s->head_bytes += name_size + value_size + FIELD_OVERHEAD;
    if (s->head_bytes > HEAD_TOO_LONG * limit) hone_http2_calm(h);
    if (s->head_complete || s->head_bytes > limit) return 0;
    take_field(s, name, name_size, value, value_size);
    return 0;
}

/* What is no number is more than any limit. */
static int64_t length_of(hone_slice text) {
    uint64_t n;
    if (text.size == 0) return -1;
    return hone_slice_number(text, INT64_MAX, &n) ? (int64_t)n : INT64_MAX;
}

static void split_path(hone_head *head) {
    const char *mark = memchr(head->path.data, '?', head->path.size);
    if (!mark) return;
    size_t n = (size_t)(mark - head->path.data);
    head->query = (hone_slice){mark + 1, head->path.size - n - 1};
    head->path.size = n;
}

static void say_continue(hone_http2_stream *s) {
    nghttp2_nv status = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "100", 7, 3,
                         NGHTTP2_NV_FLAG_NONE};
    if (nghttp2_submit_headers(s->h->session, NGHTTP2_FLAG_NONE, s->id, NULL, &status, 1, NULL) < 0)
        s->h->broken = true;
}

static void end_head(hone_http2_stream *s, bool more) {
    const hone_http2_host_options *o = &s->h->host->options;
    hone_request *r = s->request;
    s->head_complete = true;
    hone_http2_count_coming(s);
    split_path(&r->head);
    r->head.content_length = length_of(hone_head_field(&r->head, "content-length"));
    r->head.expects_continue = hone_slice_equal_nocase(hone_head_field(&r->head, "expect"), "100-continue");
    if (r->text.failed) {
        hone_http2_refuse(s, 503, "Out of memory");
    } else if (s->head_bytes > o->limits.head_bytes) {
        hone_http2_refuse(s, 431, "The header is too large");
    } else if (s->too_many) {
        hone_http2_refuse(s, 431, "There are too many header fields");
    } else if (r->head.content_length > 0 && (uint64_t)r->head.content_length > o->limits.body_bytes) {
        hone_http2_refuse(s, 413, "The body is too large");
    } else if (s->h->events->admit && !s->h->events->admit(s->h->user, r)) {
        s->refused = true;
    } else if (more) {
        if (r->head.expects_continue) say_continue(s);
        s->streaming = o->streams && o->streams(o->user, r);
        if (s->streaming) enqueue(s);
    }
}

/* --- the body --- */

static size_t body_most(const hone_http2_stream *s) {
    size_t most = s->h->host->options.limits.body_bytes;
    return s->request->body_most < most ? s->request->body_most : most;
}

/* Lets the client send as much again as it has sent, as soon as that is worth a frame and the budget covers
 * it. So what a stream can make the server keep is covered before it is sent. */
void hone_http2_grant(hone_http2_stream *s) {
    hone_http2 *h = s->h;
    hone_request *r = s->request;
    const hone_http2_host_options *o = &h->host->options;
    size_t more = s->unread;
    if (!r || s->refused || s->unread < HONE_HTTP2_FIRST_WINDOW / 2) return;
    size_t most = body_most(s);
    if (r->head.content_length >= 0 && (uint64_t)r->head.content_length < most)
        most = (size_t)r->head.content_length;
    if (!s->widened) more += STREAM_WINDOW - HONE_HTTP2_FIRST_WINDOW;
    size_t total = HONE_HTTP2_FIRST_WINDOW + s->granted + more;
    total = hone_budget_of_body(total < most ? total : most);
    s->starved = o->seat && !hone_budget_cover(o->seat, &r->share, total);
    if (s->starved) {
        h->starved = true;
        return;
    }
    s->since = h->now;
    s->granted += more;
    if (nghttp2_session_consume_stream(h->session, s->id, s->unread) != 0 ||
        (!s->widened &&
         nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, s->id, STREAM_WINDOW) != 0))
        h->broken = true;
    s->widened = true;
    s->unread = 0;
}

static void end_body(hone_http2_stream *s) {
    hone_request *r = s->request;
    if (!r || s->refused) return;
    s->starved = false;
    hone_budget_reduce(&r->share, hone_budget_of_body(r->body.size));
    if (r->body.failed || hone_request_end_body(r) != HONE_OK)
        hone_http2_refuse(s, 503, "Out of memory");
    else
        enqueue(s);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size,
                   void *user) {
    hone_http2 *h = user;
    hone_http2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    hone_request *r = s ? s->request : NULL;
    (void)flags;
    if (!r || s->refused) return nghttp2_session_consume_connection(session, size);
    s->since = h->now;
    s->body_bytes += size;
    if ((s->streaming ? r->body.size + size : s->body_bytes) > body_most(s)) {
        int code = nghttp2_session_consume_connection(session, s->streaming ? size + s->unread : size);
        s->unread = 0;
        hone_http2_refuse(s, 413, "The body is too large");
        return code;
    }
    hone_request_take(r, data, size);
    hone_http2_count_coming(s);
    s->unread += size;
    if (!s->streaming) {
        hone_http2_grant(s);
        return nghttp2_session_consume_connection(session, size);
    }
    enqueue(s);
    return 0;
}

/* --- frames --- */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user) {
    hone_http2 *h = user;
    bool end = hd->flags & NGHTTP2_FLAG_END_STREAM;
    (void)session;
    switch (hd->type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_WINDOW_UPDATE: break;
    case NGHTTP2_DATA:
        if (hd->length == 0 && !end) count_control(h);
        break;
    case NGHTTP2_RST_STREAM: count_reset(h); break;
    default: count_control(h);
    }
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_SETTINGS) ((hone_http2 *)user)->greeted = true;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    hone_http2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s || !s->request) return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !s->head_complete) end_head(s, !end);
    if (end) end_body(s);
    return 0;
}

/* An answer that ends before its request has: the rest of the request is not wanted. Clients lose an answer
 * that comes together with the reset (curl 7.88 does), so they are given time to stop by themselves. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    int32_t id = frame->hd.stream_id;
    hone_http2 *h = user;
    if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
        count_reset(h);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        nghttp2_session_get_stream_remote_close(session, id) != 0)
        return 0;
    hone_http2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s) s->unwanted = 1;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user) {
    hone_http2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)code, (void)user;
    if (s) hone_http2_close_stream(s);
    return 0;
}

void hone_http2_set_callbacks(nghttp2_session_callbacks *c) {
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(c, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(c, hone_http2_send_data);
}
