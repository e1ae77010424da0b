/* What the parts of HTTP/2 share: http2.c is the connection, http2_input.c takes what the client sends, http2_answer.c
 * makes output, http2_host.c has what connections share. */
#ifndef HONE_SERVE_HTTP_HTTP2_STREAM_H
#define HONE_SERVE_HTTP_HTTP2_STREAM_H

#include "serve/format/date.h"
#include "serve/http/http2.h"

#include <nghttp2/nghttp2.h>

typedef struct hone_http2_stream hone_http2_stream;

struct hone_http2_host {
    hone_http2_host_options options;
    hone_slab slab;
    nghttp2_mem memory;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    hone_date date;
    void *reserve;            /* a block for when memory is out; see http2_host.c */
    hone_http2_stream *spare; /* streams that wait for their next use */
    int spare_count;
};

typedef struct hone_http2_bucket {
    uint32_t left;
    uint64_t filled; /* when */
} hone_http2_bucket;

struct hone_http2 {
    hone_http2_host *host;
    const hone_http2_events *events;
    void *user;
    nghttp2_session *session;
    hone_http2_stream *first, *last; /* open streams */
    size_t count;
    size_t held;   /* bytes of the buffers of their answers */
    size_t coming; /* and of requests that have not come whole, as far as they are free of the budget */
    hone_http2_stream *ready_first, *ready_last;
    hone_http2_bucket resets, control;
    uint64_t now;     /* when take or give began */
    hone_buffer *out; /* while giving */
    size_t most;
    bool busy;    /* within take, run or give: no output event */
    bool broken;  /* memory is out, or nghttp2 is confused */
    bool refused; /* the client overdid something */
    bool waiting; /* some producer waits for room */
    bool starved; /* some stream waits for the budget */
    bool greeted, drained, finished;
    bool ended; /* the client sends no more */
};

struct hone_http2_stream {
    hone_http2 *h;
    hone_http2_stream *previous, *next;             /* in h's open ones; next also in the host's spare ones */
    hone_http2_stream *ready_previous, *ready_next; /* while queued */
    hone_request *request;                          /* NULL once answered */
    int32_t id;
    uint64_t since;   /* of the last progress that the client made */
    uint64_t waiting; /* since when there has always been something of the answer to be sent */
    size_t head_bytes, body_bytes;
    size_t unread;  /* bytes of the body whose window is not given back yet */
    size_t granted; /* bytes of the body that the client was told it can send, beyond the first window */
    hone_buffer out, trailers;
    size_t sent;         /* of out */
    size_t held, coming; /* its part in those of h */
    int unwanted; /* the answer is sent and the request is not all there: looks since then, counted from 1 */
    bool head_complete; /* all fields are there */
    bool too_many;      /* of them */
    bool streaming;     /* the handler reads the body as it comes */
    bool widened;       /* the stream's window is the large one */
    bool starved;       /* waits for the budget */
    bool queued;        /* in the ready list */
    bool running;       /* the handler has the request */
    bool refused;       /* answered before it was read to its end: what else comes is dropped */
    bool bodiless;      /* the answer: to HEAD, or empty */
    bool deferred;      /* nghttp2 waits for data */
    bool ended;         /* the answer is complete */
};

static inline size_t hone_http2_unsent(const hone_http2_stream *s) {
    return s->out.size - s->sent;
}

/* Its answer's buffer has grown or is gone. */
static inline void hone_http2_count_held(hone_http2_stream *s) {
    s->h->held += s->out.capacity - s->held;
    s->held = s->out.capacity;
}

/* http2_input.c */
enum {
    HONE_HTTP2_FIRST_WINDOW =
        HONE_BUDGET_FREE /* of a stream: as much as its body may hold without the budget */
};
void hone_http2_set_callbacks(nghttp2_session_callbacks *c);
void hone_http2_free_stream(hone_http2_host *host, hone_http2_stream *s);
/* Takes the stream out of the connection, and its request with it. */
void hone_http2_close_stream(hone_http2_stream *s);
/* Takes it out of the ready list, if it is there. */
void hone_http2_dequeue(hone_http2_stream *s);
/* What its request takes before anybody works on it has changed. */
void hone_http2_count_coming(hone_http2_stream *s);
/* Lets the client send more of the body, as soon as that is worth a frame and the budget covers it. */
void hone_http2_grant(hone_http2_stream *s);
/* Answers before the handler could. What else comes is dropped. */
void hone_http2_refuse(hone_http2_stream *s, int status, const char *message);
/* Ends the connection, as the client overdoes something. */
void hone_http2_calm(hone_http2 *h);
/* http2_host.c: sees to it that there is a block in reserve; false when memory is out. */
bool hone_http2_keep_reserve(hone_http2_host *host);
/* http2_answer.c */
extern const hone_sink hone_http2_sink;
ssize_t hone_http2_read_answer(nghttp2_session *session, int32_t id, uint8_t *data, size_t length,
                               uint32_t *flags, nghttp2_data_source *source, void *user);
int hone_http2_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t length,
                         nghttp2_data_source *source, void *user);
/* Resumes the producer if it waits and there is room. */
bool hone_http2_resume(hone_http2_stream *s);

#endif
