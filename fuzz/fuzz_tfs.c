/* Bodies of TensorFlow Serving's predict method, and paths, sent to the front end with a small model behind
 * it: every one gets one answer, which is JSON. The first line is the path if it starts with a slash. */
#include "../tests/serve/models.h"
#include "serve/tfs/tfs_rest.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct answer {
    int status, ends;
    int64_t length;
    hone_buffer body;
} answer;

static void begin(hone_request *r, int status, const char *content_type, int64_t length) {
    answer *a = r->stream;
    a->status = status;
    a->length = length;
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

static hone_front *front_end(void) {
    static hone_front *front;
    hone_stats *stats;
    hone_core *core;
    if (front) return front;
    hone_graph *pair = pair_model(), *integer = integer_model();
    if (hone_stats_new(&stats, NULL) != HONE_OK || hone_core_new(1, 1, stats, &core, NULL) != HONE_OK ||
        hone_core_add(core, "p", 1, pair, NULL) != HONE_OK ||
        hone_core_add(core, "i", 1, integer, NULL) != HONE_OK ||
        hone_front_new(&(hone_front_options){.core = core, .stats = stats}, &front, NULL) != HONE_OK)
        abort();
    hone_graph_free(pair);
    hone_graph_free(integer);
    return front;
}

static void send(const char *method, hone_slice path, const uint8_t *data, size_t size) {
    answer a = {0};
    hone_request *r = hone_request_new(NULL);
    if (!r) abort();
    hone_head head = {
        .method = {method, strlen(method)}, .path = path, .query = {"", 0}, .content_length = -1};
    if (hone_request_set_head(r, &head) != HONE_OK) abort();
    hone_buffer_put(&r->body, data, size);
    if (hone_request_end_body(r) != HONE_OK) abort();
    r->sink = &sink;
    r->stream = &a;
    hone_tfs_handle(front_end(), r);
    hone_request_release(r);
    if (a.ends != 1 || a.length != (int64_t)a.body.size || a.status < 200 || a.status >= 500 + 5) abort();
    hone_buffer_put(&a.body, (const char[HONE_JSON_PAD]){0}, HONE_JSON_PAD);
    hone_json j;
    hone_json_init(&j, a.body.data, a.body.size - HONE_JSON_PAD);
    if (hone_json_skip(&j, NULL) != HONE_OK) abort();
    hone_json_peek(&j);
    if (j.cursor != j.end) abort();
    hone_buffer_free(&a.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 14) return 0;
    const uint8_t *line = size && data[0] == '/' ? memchr(data, '\n', size) : NULL;
    if (line) {
        hone_slice path = {(const char *)data, (size_t)(line - data)};
        send("POST", path, line + 1, size - path.size - 1);
        send("GET", path, NULL, 0);
    } else {
        send("POST", (hone_slice){"/v1/models/p:predict", 20}, data, size);
        send("POST", (hone_slice){"/v1/models/i:predict", 20}, data, size);
    }
    return 0;
}
