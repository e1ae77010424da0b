/* What the fuzz targets of the front ends share: a front end with small models behind it, "p" and "i", and requests
 * that are answered into memory, each once. */
#include "../tests/serve/models.h"
#include "serve/api/front.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct answer {
    int status, ends;
    int64_t length;
    hone_buffer fields, body;
} answer;

static void begin(hone_request *r, int status, const char *content_type, int64_t length) {
    answer *a = r->stream;
    a->status = status;
    a->length = length;
    hone_buffer_put(&a->fields, r->fields.data, r->fields.size);
    if (!content_type) abort();
}

static bool part(hone_request *r, const void *data, size_t size) {
    hone_buffer_put(&((answer *)r->stream)->body, data, size);
    return true;
}

static void end(hone_request *r) {
    ((answer *)r->stream)->ends++;
}
static bool gone(hone_request *r) {
    (void)r;
    return false;
}

static const hone_sink sink = {begin, part, end, gone};

static hone_core *core;

/* The only one, made at its first use. */
static hone_front *front_end(void) {
    static hone_front *front;
    hone_stats *stats;
    if (front) return front;
    hone_graph *pair = pair_model(), *integer = integer_model();
    if (hone_stats_new(&stats, NULL) != HONE_OK || hone_core_new(1, 1, stats, &core, NULL) != HONE_OK ||
        hone_core_add(core, "p", 1, pair, NULL) != HONE_OK ||
        hone_core_add(core, "i", 1, integer, NULL) != HONE_OK)
        abort();
    hone_front_options o = {.core = core, .stats = stats, .body_limit = 1 << 20};
    if (hone_front_new(&o, &front, NULL) != HONE_OK) abort();
    hone_graph_free(pair);
    hone_graph_free(integer);
    return front;
}

static hone_slice slice(const char *text) {
    return (hone_slice){text, strlen(text)};
}

/* Sends a request (with a field, unless that is NULL) and waits for its answer; answer_free() it. */
static answer ask(void (*handle)(hone_front *f, hone_request *r), const char *method, hone_slice path,
                  const hone_field *field, const hone_buffer *body) {
    answer a = {0};
    hone_front *front = front_end();
    hone_request *r = hone_request_new(NULL);
    if (!r) abort();
    hone_head head = {.method = slice(method), .path = path, .query = slice(""), .content_length = -1};
    if (field) head.fields[head.field_count++] = *field;
    if (hone_request_set_head(r, &head) != HONE_OK) abort();
    hone_buffer_put(&r->body, body->data, body->size);
    if (hone_request_end_body(r) != HONE_OK) abort();
    r->sink = &sink;
    r->stream = &a;
    handle(front, r);
    for (int i = 0; i < 1000 && a.ends == 0; i++) hone_core_turn(core, 0);
    hone_request_release(r);
    if (a.ends != 1) abort();
    return a;
}

static void answer_free(answer *a) {
    hone_buffer_free(&a->fields);
    hone_buffer_free(&a->body);
}
