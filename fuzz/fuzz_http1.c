/* The HTTP/1.1 parser: any bytes, cut anywhere, give the same events (of two reasons to refuse, either may come
 * first); what they borrow lies where it should. */
#include "serve/http/http1.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const hone_http1_limits limits = {.head_bytes = 512, .body_bytes = 256};

/* A running digest of events and of the bytes they brought. */
typedef struct digest {
    uint64_t hash;
    int status, ends;
} digest;

static void mix(digest *d, const void *data, size_t size) {
    const unsigned char *p = data;
    for (size_t i = 0; i < size; i++) d->hash = (d->hash ^ p[i]) * 0x100000001b3u;
}

static void mix_head(digest *d, const hone_head *head) {
    mix(d, head->method.data, head->method.size);
    mix(d, head->path.data, head->path.size);
    mix(d, head->query.data, head->query.size);
    mix(d, &head->content_length, sizeof head->content_length);
    mix(d, &head->keep_alive, 1);
    if (head->method.size == 0 || head->field_count > HONE_MAX_FIELDS) abort();
    for (size_t i = 0; i < head->field_count; i++) {
        const hone_field *f = &head->fields[i];
        if (f->name.size == 0 || memchr(f->value.data, '\r', f->value.size) ||
            memchr(f->value.data, 0, f->value.size))
            abort();
        mix(d, f->name.data, f->name.size);
        mix(d, f->value.data, f->value.size);
    }
}

static digest parse(const uint8_t *data, size_t size, size_t step) {
    digest d = {.hash = 0xcbf29ce484222325u};
    hone_http1 p;
    hone_head head;
    hone_http1_init(&p, &limits);
    uint64_t body_bytes = 0;
    for (size_t at = 0; at < size && !d.status; at += step) {
        size_t left = size - at < step ? size - at : step;
        char *piece = malloc(left);
        if (!piece) abort();
        memcpy(piece, data + at, left);
        const char *from = piece, *end = piece + left;
        for (;;) {
            hone_slice body;
            hone_http1_event event = hone_http1_next(&p, &from, &left, &head, &body);
            if (from > end || from + left != end) abort();
            if (event == HONE_HTTP1_MORE) {
                if (left != 0) abort();
                break;
            }
            if (event == HONE_HTTP1_ERROR) {
                d.status = p.status;
                if (p.status < 400 || p.status > 599 || !p.reason) abort();
                break;
            }
            if (event == HONE_HTTP1_HEAD) mix_head(&d, &head), body_bytes = 0;
            if (event == HONE_HTTP1_END) d.ends++;
            if (event != HONE_HTTP1_BODY) continue;
            if (body.size == 0 || body.data < piece || body.data + body.size > end) abort();
            if ((body_bytes += body.size) > limits.body_bytes) abort();
            mix(&d, body.data, body.size);
        }
        free(piece);
    }
    hone_http1_free(&p);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    digest whole = parse(data, size, size ? size : 1);
    static const size_t steps[] = {1, 3, 17};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        digest pieces = parse(data, size, steps[i]);
        if (pieces.hash != whole.hash || pieces.ends != whole.ends || !pieces.status != !whole.status)
            abort();
    }
    return 0;
}
