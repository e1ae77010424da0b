#include "serve/http/http2_stream.h"

#include "base/clock.h"

#include <stdio.h>

enum {
    ANSWER_FIELDS = 32,     /* status, date, type, length, and a handler's own */
    HIGH_WATER = 512 << 10, /* unsent bytes at which a producer has to wait */
    LOW_WATER = HIGH_WATER / 4
};

static hone_http2 *session_of(const hone_http2_stream *s) {
    return s->h;
}

static void announce(hone_http2 *h) {
    if (!h->busy) h->events->output(h->user);
}

static void check(hone_http2 *h, int code) {
    if (code != 0) h->broken = true;
}

static nghttp2_nv field(const char *name, const char *value) {
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

static size_t add_fields(nghttp2_nv *fields, size_t count, const hone_buffer *from) {
    const char *name, *value;
    for (size_t at = 0; count < ANSWER_FIELDS && hone_request_next_field(from, &at, &name, &value);)
        fields[count++] = field(name, value);
    return count;
}

static void sink_begin(hone_request *r, int status, const char *content_type, int64_t length) {
    hone_http2_stream *s = r->stream;
    hone_http2 *h = session_of(s);
    nghttp2_nv fields[ANSWER_FIELDS];
    size_t count = 0;
    char code[16], size[24];
    bool head = hone_slice_equal(r->head.method, "HEAD");
    nghttp2_data_provider body = {.source = {.ptr = s}, .read_callback = hone_http2_read_answer};
    s->bodiless = head || length == 0;
    snprintf(code, sizeof code, "%d", status);
    fields[count++] = field(":status", code);
    fields[count++] = field("date", hone_date_now(&h->host->date));
    if (content_type) fields[count++] = field("content-type", content_type);
    if (length > 0) {
        snprintf(size, sizeof size, "%lld", (long long)length);
        fields[count++] = field("content-length", size);
    }
    if (r->fields.failed) h->broken = true;
    count = add_fields(fields, count, &r->fields);
    check(h, nghttp2_submit_response(h->session, s->id, fields, count, s->bodiless ? NULL : &body));
    announce(h);
}

static void data_is_here(hone_http2_stream *s) {
    if (!s->deferred) return;
    s->deferred = false;
    check(session_of(s), nghttp2_session_resume_data(session_of(s)->session, s->id));
}

/* There is more to be sent than `before`: true if the client keeps up. */
static bool has_grown(hone_http2_stream *s, size_t before) {
    hone_http2 *h = session_of(s);
    if (before == 0) s->since = s->waiting = h->busy ? h->now : hone_now();
    hone_http2_count_held(s);
    if (s->out.failed) h->broken = true;
    data_is_here(s);
    announce(h);
    if (hone_http2_unsent(s) <= HIGH_WATER) return true;
    h->waiting = true;
    return false;
}

static bool sink_part(hone_request *r, const void *data, size_t size) {
    hone_http2_stream *s = r->stream;
    size_t before = hone_http2_unsent(s);
    if (size == 0 || s->bodiless) return true;
    hone_buffer_put(&s->out, data, size);
    return has_grown(s, before);
}

static bool sink_take(hone_request *r, hone_buffer *data) {
    hone_http2_stream *s = r->stream;
    if (s->bodiless) return true;
    if (hone_http2_unsent(s) > 0) return sink_part(r, data->data, data->size);
    hone_buffer_free(&s->out);
    s->out = *data;
    s->sent = 0;
    *data = (hone_buffer){0};
    return has_grown(s, 0);
}

static void sink_end(hone_request *r) {
    hone_http2_stream *s = r->stream;
    hone_http2 *h = session_of(s);
    hone_buffer trailers = r->trailers;
    r->trailers = s->trailers;
    s->trailers = trailers;
    if (trailers.failed) h->broken = true;
    s->ended = true;
    s->running = false;
    data_is_here(s);
    h->events->answered(h->user, r);
    s->request = NULL;
    r->stream = NULL;
    hone_request_release(r);
    announce(h);
}

static bool sink_gone(hone_request *r) {
    hone_http2 *h = session_of(r->stream);
    return h->events->gone(h->user);
}

const hone_sink hone_http2_sink = {
    .begin = sink_begin, .part = sink_part, .take = sink_take, .end = sink_end, .gone = sink_gone};

bool hone_http2_resume(hone_http2_stream *s) {
    hone_request *r = s->request;
    if (!r || !r->resume || hone_http2_unsent(s) > LOW_WATER) return false;
    void (*resume)(hone_request *, void *) = r->resume;
    r->resume = NULL;
    hone_request_retain(r);
    resume(r, r->producer);
    hone_request_release(r);
    return true;
}

/* --- what nghttp2 asks for --- */

static int submit_trailers(hone_http2_stream *s) {
    nghttp2_nv fields[ANSWER_FIELDS];
    size_t count = add_fields(fields, 0, &s->trailers);
    return nghttp2_submit_trailer(session_of(s)->session, s->id, fields, count);
}

ssize_t hone_http2_read_answer(nghttp2_session *session, int32_t id, uint8_t *data, size_t length,
                               uint32_t *flags, nghttp2_data_source *source, void *user) {
    hone_http2_stream *s = source->ptr;
    size_t n = hone_http2_unsent(s);
    (void)session, (void)id, (void)data, (void)user;
    if (n == 0 && !s->ended) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n > length) n = length;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (s->ended && n == hone_http2_unsent(s)) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->trailers.size > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(s) != 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)n;
}

int hone_http2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                         nghttp2_data_source *source, void *user) {
    hone_http2_stream *s = source->ptr;
    hone_http2 *h = user;
    (void)session, (void)frame; /* nothing is padded here */
    hone_buffer_put(h->out, head, 9);
    hone_buffer_put(h->out, s->out.data + s->sent, length);
    if (h->out->failed) return NGHTTP2_ERR_CALLBACK_FAILURE;
    s->sent += length;
    s->since = h->now;
    if (s->sent == s->out.size) {
        hone_buffer_clear(&s->out, HIGH_WATER);
        hone_http2_count_held(s);
        s->sent = 0;
    }
    return h->out->size >= h->most ? NGHTTP2_ERR_PAUSE : 0;
}
