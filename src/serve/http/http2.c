#include "serve/http/http2.h"

#include "base/clock.h"
#include "serve/http/http2_stream.h"

enum {
    CONNECTION_WINDOW = 4 << 20,
    COMING_FREE = 128 << 10 /* of the requests of a connection that have not come whole */
};

static int greet(hone_http2 *h) {
    const hone_http2_limits *l = &h->host->options.limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HONE_HTTP2_FIRST_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
         l->head_bytes < UINT32_MAX ? (uint32_t)l->head_bytes : UINT32_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}};
    int code =
        nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings);
    if (code != 0) return code;
    return nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
}

hone_http2 *hone_http2_new(hone_http2_host *host, const hone_http2_events *events, void *user) {
    hone_http2 *h = hone_slab_alloc(&host->slab, sizeof *h);
    if (!h) return NULL;
    *h = (hone_http2){.host = host, .events = events, .user = user};
    if (nghttp2_session_server_new3(&h->session, host->callbacks, h, host->option, &host->memory) != 0) {
        hone_slab_free(&host->slab, h);
        return NULL;
    }
    if (greet(h) == 0) return h;
    hone_http2_free(h);
    return NULL;
}

void hone_http2_free(hone_http2 *h) {
    if (!h) return;
    h->busy = true;
    while (h->first) hone_http2_close_stream(h->first);
    nghttp2_session_del(h->session);
    hone_slab_free(&h->host->slab, h);
}

bool hone_http2_take(hone_http2 *h, const void *data, size_t size) {
    if (h->broken) return false;
    if (!hone_http2_keep_reserve(h->host)) {
        h->broken = true;
        return false;
    }
    h->busy = true;
    h->now = hone_now();
    ssize_t n = nghttp2_session_mem_recv(h->session, data, size);
    h->busy = false;
    if (n < 0 && n != NGHTTP2_ERR_NOMEM) h->refused = true;
    if (n != (ssize_t)size) h->broken = true;
    return !h->broken;
}

/* Gives back the window of what the handler of a stream has read. */
static void widen(hone_http2_stream *s, const hone_request *r) {
    if (!s->streaming || s->unread <= r->body.size) return;
    if (nghttp2_session_consume(s->h->session, s->id, s->unread - r->body.size) != 0) s->h->broken = true;
    s->unread = r->body.size;
}

/* The handler's turn. */
static void serve(hone_http2_stream *s) {
    hone_http2 *h = s->h;
    hone_request *r = hone_request_retain(s->request);
    if (!s->running) {
        s->running = true;
        hone_http2_count_coming(s);
        h->events->request(h->user, r);
    } else if (r->more) {
        r->more(r);
    }
    widen(s, r);
    hone_request_release(r);
}

/* The producer's turn, if it waits and there is room. */
static bool resume(hone_http2_stream *s) {
    hone_request *r = s->request;
    if (!r || !r->resume) return false;
    hone_request_retain(r);
    bool did = hone_http2_resume(s);
    widen(s, r);
    if (r->resume) s->h->waiting = true;
    hone_request_release(r);
    return did;
}

bool hone_http2_run(hone_http2 *h) {
    bool busy = h->busy, did = false;
    h->busy = true;
    while (h->ready_first && !h->broken && !h->refused) {
        hone_http2_stream *s = h->ready_first;
        hone_http2_dequeue(s);
        serve(s);
        did = true;
    }
    if (h->starved) {
        h->starved = false;
        h->now = hone_now();
        for (hone_http2_stream *s = h->first; s; s = s->next)
            if (s->starved) hone_http2_grant(s);
    }
    if (h->waiting) {
        h->waiting = false;
        for (hone_http2_stream *s = h->first, *next; s; s = next) {
            next = s->next;
            if (resume(s)) did = true;
        }
    }
    h->busy = busy;
    return did;
}

bool hone_http2_give(hone_http2 *h, hone_buffer *out, size_t most) {
    const uint8_t *data;
    ssize_t n = 1;
    bool busy = h->busy;
    h->busy = true;
    h->now = hone_now();
    h->out = out;
    h->most = most;
    if (!hone_http2_keep_reserve(h->host)) h->broken = true;
    while (!h->broken && out->size < most && n > 0) {
        n = nghttp2_session_mem_send(h->session, &data);
        if (n > 0) hone_buffer_put(out, data, (size_t)n);
    }
    if (n < 0 || out->failed) h->broken = true;
    h->out = NULL;
    h->busy = busy;
    return !h->broken;
}

bool hone_http2_is_done(const hone_http2 *h) {
    return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

size_t hone_http2_stream_count(const hone_http2 *h) {
    return h->count;
}

size_t hone_http2_held(const hone_http2 *h) {
    return h->held + (h->coming > COMING_FREE ? h->coming - COMING_FREE : 0);
}

static size_t size_of(const hone_http2_stream *s) {
    return s->held > s->coming ? s->held : s->coming;
}

void hone_http2_give_up(hone_http2 *h) {
    hone_http2_stream *largest = h->first;
    for (hone_http2_stream *s = h->first; s; s = s->next)
        if (size_of(s) > size_of(largest)) largest = s;
    if (!largest) return;
    if (largest->coming > largest->held) {
        hone_http2_refuse(largest, 503, "There is no room for the request at this time (--body-budget)");
        return;
    }
    if (nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, largest->id, NGHTTP2_ENHANCE_YOUR_CALM) != 0)
        h->broken = true;
    largest->sent = 0;
    hone_buffer_free(&largest->out);
    hone_http2_count_held(largest);
}

bool hone_http2_is_starved(const hone_http2 *h) {
    return h->starved;
}

bool hone_http2_is_greeted(const hone_http2 *h) {
    return h->greeted;
}

bool hone_http2_is_refused(const hone_http2 *h) {
    return h->refused;
}

void hone_http2_ping(hone_http2 *h) {
    if (nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL) != 0) h->broken = true;
}

void hone_http2_end_input(hone_http2 *h) {
    if (h->ended) return;
    h->ended = true;
    for (hone_http2_stream *s = h->first; s; s = s->next)
        if (s->request && !s->request->whole &&
            nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL) != 0)
            h->broken = true;
}

void hone_http2_drain(hone_http2 *h) {
    if (h->drained || h->finished) return;
    h->drained = true;
    if (nghttp2_submit_shutdown_notice(h->session) != 0) h->broken = true;
}

void hone_http2_finish(hone_http2 *h) {
    if (h->finished) return;
    h->finished = true;
    if (nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR, NULL,
                              0) != 0)
        h->broken = true;
}

static void expire(hone_http2_stream *s, const hone_http2_ages *ages) {
    hone_http2 *h = s->h;
    bool slow = s->since < ages->progress;
    bool late = s->held > HONE_BUDGET_FREE && s->waiting < ages->answer;
    bool stuck = hone_http2_unsent(s) > 0 && (slow || late);
    bool silent = s->streaming && s->request && s->since < ages->quiet;
    bool incoming = s->request && !s->running && !s->queued && !s->refused && !s->starved;
    if (s->unwanted > 0 && s->unwanted++ == 2) {
        if (nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR) != 0)
            h->broken = true;
    } else if (!s->head_complete && slow)
        hone_http2_calm(h);
    else if (incoming && (slow || (s->head_complete && hone_request_began_before(s->request, ages->body))))
        hone_http2_refuse(s, 408, "The request did not come in time");
    else if ((stuck || silent) &&
             nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL) != 0)
        h->broken = true;
}

void hone_http2_expire(hone_http2 *h, const hone_http2_ages *ages) {
    bool busy = h->busy;
    h->busy = true;
    for (hone_http2_stream *s = h->first, *next; s; s = next) {
        next = s->next;
        expire(s, ages);
    }
    h->busy = busy;
}
