/* HTTP/1.1 requests: bytes in, events out. Touches no socket.
 *
 *       bytes ──► gate ──► llhttp ──► HEAD, BODY…, END      one message after the other
 *
 * The gate takes the lines of a message (head, chunk sizes, trailers) whole and refuses what proxies and
 * servers are known to read differently, before llhttp sees it: a CR without LF, a bare LF, NUL and other
 * control characters, lines that start with a space, a space before a colon, anything but exactly one Host in
 * HTTP/1.1, Content-Length twice, not all digits, or beside Transfer-Encoding, a Transfer-Encoding that is
 * not "chunked". Every error ends the connection.
 *
 * A parser between two messages owns no memory. */
#ifndef HONE_SERVE_HTTP_HTTP1_H
#define HONE_SERVE_HTTP_HTTP1_H

#include "serve/format/buffer.h"
#include "serve/request/head.h"

typedef struct hone_http1_limits {
    size_t head_bytes; /* of a header block, and of a trailer block; more: 431 */
    size_t body_bytes; /* more: 413 */
} hone_http1_limits;

typedef enum hone_http1_event {
    HONE_HTTP1_MORE,  /* all bytes are taken; the message goes on */
    HONE_HTTP1_HEAD,  /* `head` is filled; it borrows from the parser and the input, until the next call */
    HONE_HTTP1_BODY,  /* `body` is the next piece of the body, in the input */
    HONE_HTTP1_END,   /* the message is complete */
    HONE_HTTP1_ERROR, /* answer `status` and close; the parser gives nothing else from now on */
} hone_http1_event;

typedef enum hone_http1_state {
    HONE_HTTP1_IDLE,
    HONE_HTTP1_IN_HEAD,
    HONE_HTTP1_IN_BODY,
    HONE_HTTP1_CHUNK_SIZE,
    HONE_HTTP1_CHUNK_DATA,
    HONE_HTTP1_CHUNK_END,
    HONE_HTTP1_TRAILER,
    HONE_HTTP1_COMPLETE,
    HONE_HTTP1_FAILED
} hone_http1_state;

typedef struct hone_http1 {
    const hone_http1_limits *limits; /* borrowed */
    hone_http1_state state;
    uint64_t machine[16]; /* llhttp_t, which only http1.c knows */
    hone_head *head;      /* while llhttp works on a head */
    hone_buffer held;     /* the part of a line or block that came in earlier input */
    size_t line, looked;  /* in the unit being gathered: start of its last line, where to look on */
    uint64_t left;        /* bytes left of the body or chunk */
    uint64_t body_bytes;  /* so far, of a chunked body */
    size_t body_most;     /* of this message: the limit, or what the owner sets below it after HEAD */
    bool blank_skipped;   /* the one empty line that may stand before a request */
    bool complete, too_many;
    int status;         /* of an error */
    const char *reason; /* of an error: a sentence */
} hone_http1;

void hone_http1_init(hone_http1 *p, const hone_http1_limits *limits);
void hone_http1_free(hone_http1 *p);
/* Takes bytes from *data, moving it on, and says what they brought. Call it until HONE_HTTP1_MORE. */
hone_http1_event hone_http1_next(hone_http1 *p, const char **data, size_t *size, hone_head *head,
                                 hone_slice *body);

/* --- answers --- */

#define HONE_HTTP1_VERSION "HTTP/1.1 " /* every answer begins like that */

typedef struct hone_http1_answer {
    int status;
    const char *content_type; /* NULL: no body */
    int64_t length;           /* -1: chunked, or until the connection closes */
    bool chunked, close;
    bool keep_alive;           /* say so: HTTP/1.0 */
    const char *date;          /* NULL: none */
    bool version_sent;         /* HONE_HTTP1_VERSION is out already */
    const hone_buffer *fields; /* further ones, as hone_request has them; NULL: none */
} hone_http1_answer;

void hone_http1_write_head(hone_buffer *out, const hone_http1_answer *answer);
/* Lines for fields, each with its end. */
void hone_http1_write_fields(hone_buffer *out, const hone_buffer *fields);
/* "Not Found". Never NULL. */
const char *hone_http_reason(int status);

#endif
