/* The head of a request message, whatever protocol it came in: method, target and fields. All text is
 * borrowed, not terminated, and lives as long as whoever filled the head says. */
#ifndef HONE_SERVE_REQUEST_HEAD_H
#define HONE_SERVE_REQUEST_HEAD_H

#include "serve/format/slice.h"

#define HONE_MAX_FIELDS 64

typedef struct hone_field {
    hone_slice name, value;
} hone_field;

typedef struct hone_head {
    hone_slice method;      /* "POST" */
    hone_slice path, query; /* "/v1/models/m:predict", as sent; the query without its '?' */
    int64_t content_length; /* -1: not said */
    bool keep_alive;
    bool expects_continue; /* the client waits for "100 Continue" before it sends the body */
    bool chunked_answer; /* the client understands answers of unsaid length on a connection that stays open */
    size_t field_count;
    hone_field fields[HONE_MAX_FIELDS];
} hone_head;

/* The value of the first field of that name (case does not matter); data NULL if there is none. */
hone_slice hone_head_field(const hone_head *head, const char *name);

#endif
