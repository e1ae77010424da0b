/* The Open Inference Protocol over REST: the first line is the path, with "N " before it if N bytes of the
 * rest are the JSON header. Every request gets one answer, which is JSON up to its raw tensors. */
#include "../tests/serve/models.h"
#include "serve/oip/oip_rest.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct answer {
    int status, ends;
    int64_t length;
    size_t header; /* of JSON; SIZE_MAX: all */
    hone_buffer body;
} answer;

static void begin(hone_request *r, int status, const char *content_type, int64_t length) {
    answer *a = r->stream;
    const char *name, *value;
    a->status = status;
    a->length = length;
    a->header = SIZE_MAX;
    for (size_t at = 0; hone_request_next_field(&r->fields, &at, &name, &value);)
        if (strcmp(name, "inference-header-content-length") == 0) a->header = strtoul(value, NULL, 10);
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

static hone_front *front_end(void) {
    static hone_front *front;
    hone_stats *stats;
    if (front) return front;
    hone_graph *pair = pair_model(), *integer = integer_model();
    if (hone_stats_new(&stats, NULL) != HONE_OK || hone_core_new(1, 1, stats, &core, NULL) != HONE_OK ||
        hone_core_add(core, "p", 1, pair, NULL) != HONE_OK ||
        hone_core_add(core, "i", 1, integer, NULL) != HONE_OK)
        abort();
    hone_front_options o = {.core = core, .stats = stats, .body_limit = 1 << 20, .gzip_from = 0};
    if (hone_front_new(&o, &front, NULL) != HONE_OK) abort();
    hone_graph_free(pair);
    hone_graph_free(integer);
    return front;
}

static void check(const answer *a) {
    if (a->ends != 1 || a->length != (int64_t)a->body.size || a->status < 200 || a->status >= 505) abort();
    size_t size = a->header < a->body.size ? a->header : a->body.size;
    if (a->header != SIZE_MAX && a->header > a->body.size) abort();
    if (size == 0) return;
    char *text = calloc(1, size + HONE_JSON_PAD);
    if (!text) abort();
    memcpy(text, a->body.data, size);
    hone_json j;
    hone_json_init(&j, text, size);
    if (hone_json_skip(&j, NULL) != HONE_OK) abort();
    hone_json_peek(&j);
    if (j.cursor != j.end) abort();
    free(text);
}

static void send(const char *method, hone_slice path, const char *header, const uint8_t *data, size_t size) {
    answer a = {0};
    hone_front *front = front_end();
    hone_request *r = hone_request_new(NULL);
    if (!r) abort();
    hone_head head = {
        .method = {method, strlen(method)}, .path = path, .query = {"", 0}, .content_length = -1};
    if (header)
        head.fields[head.field_count++] =
            (hone_field){{"Inference-Header-Content-Length", 31}, {header, strlen(header)}};
    if (hone_request_set_head(r, &head) != HONE_OK) abort();
    hone_buffer_put(&r->body, data, size);
    if (hone_request_end_body(r) != HONE_OK) abort();
    r->sink = &sink;
    r->stream = &a;
    hone_oip_handle(front, r);
    for (int i = 0; i < 1000 && a.ends == 0; i++) hone_core_turn(core, 0);
    hone_request_release(r);
    check(&a);
    hone_buffer_free(&a.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 14) return 0;
    const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
    if (!line) {
        send("POST", (hone_slice){"/v2/models/p/infer", 18}, NULL, data, size);
        send("POST", (hone_slice){"/v2/models/i/infer", 18}, "0", data, size);
        return 0;
    }
    char number[8] = "";
    hone_slice path = {(const char *)data, (size_t)(line - data)};
    size_t digits = 0;
    while (digits < path.size && digits < 6 && path.data[digits] >= '0' && path.data[digits] <= '9') digits++;
    memcpy(number, path.data, digits);
    size_t skip = digits < path.size && path.data[digits] == ' ' ? digits + 1 : digits;
    path = (hone_slice){path.data + skip, path.size - skip};
    if (!hone_oip_takes(path)) return 0;
    size_t rest = size - (size_t)(line - data) - 1;
    send("POST", path, digits ? number : NULL, line + 1, rest);
    send("GET", path, NULL, NULL, 0);
    return 0;
}
