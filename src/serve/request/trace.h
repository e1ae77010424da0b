/* W3C Trace Context (level 1): which trace a request is part of. A caller says so in `traceparent`, as an
 * HTTP field or as gRPC metadata; the answer says it with our own span, and gives `tracestate` back as it
 * came. */
#ifndef HONE_SERVE_REQUEST_TRACE_H
#define HONE_SERVE_REQUEST_TRACE_H

#include "serve/request/head.h"

/* In lower-case hexadecimal, terminated; all empty: the request is part of no trace. */
typedef struct hone_trace {
    char id[33];
    char parent[17]; /* the caller's span */
    char span[17];   /* ours */
    bool sampled;    /* the caller records the trace */
} hone_trace;

/* "VERSION-TRACE-SPAN-FLAGS"; false if it is malformed. Fills all but `span`. */
bool hone_trace_parse(hone_slice text, hone_trace *out);
/* The trace that a head names, with a new span. False, and `out` empty, if it names none, a malformed one or
 * several: then there is no trace. */
bool hone_trace_of(const hone_head *head, hone_trace *out);

enum { HONE_TRACEPARENT_SIZE = 56, HONE_TRACESTATE_MOST = 512 };
/* `traceparent` of the answer. */
void hone_trace_write(const hone_trace *t, char out[HONE_TRACEPARENT_SIZE]);
/* The fields `tracestate` of a head, joined by commas and terminated. False if there are none, or if they
 * have more than HONE_TRACESTATE_MOST bytes: then they are not passed on. */
bool hone_trace_state(const hone_head *head, char out[HONE_TRACESTATE_MOST + 1]);

#endif
