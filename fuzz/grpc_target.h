/* What the fuzz targets of the gRPC front ends share. They define `methods` and add_services() before. */
typedef struct answer {
    int ends;
    hone_buffer body;
} answer;

static void begin(hone_request *r, int status, const char *content_type, int64_t length) {
    (void)r, (void)length;
    if (status != 200 || !content_type) abort();
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

typedef struct server {
    hone_core *core;
    hone_front *front;
    hone_grpc_table table;
} server;

static server *the_server(void) {
    static server s;
    hone_stats *stats;
    if (s.front) return &s;
    hone_graph *pair = pair_model(), *integer = integer_model();
    if (hone_stats_new(&stats, NULL) != HONE_OK || hone_core_new(1, 1, stats, &s.core, NULL) != HONE_OK ||
        hone_core_add(s.core, "p", 1, pair, NULL) != HONE_OK ||
        hone_core_add(s.core, "i", 1, integer, NULL) != HONE_OK)
        abort();
    hone_front_options o = {.core = s.core, .stats = stats, .body_limit = 1 << 20};
    if (hone_front_new(&o, &s.front, NULL) != HONE_OK || !add_services(&s.table, &s.front)) abort();
    hone_graph_free(pair);
    hone_graph_free(integer);
    return &s;
}

static void check_message(const answer *a) {
    if (a->body.size == 0) return;
    hone_wire w = hone_wire_of(a->body.data + 5, a->body.size - 5);
    hone_wire_field f;
    while (hone_wire_next(&w, &f)) {
    }
    if (w.why) abort();
}

static void send(const char *path, const uint8_t *data, size_t size) {
    server *s = the_server();
    answer a = {0};
    const uint8_t prefix[5] = {0, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                               (uint8_t)size};
    hone_request *r = hone_request_new(NULL);
    if (!r) abort();
    hone_head head = {
        .method = {"POST", 4}, .path = {path, strlen(path)}, .query = {"", 0}, .content_length = -1};
    if (hone_request_set_head(r, &head) != HONE_OK) abort();
    hone_buffer_put(&r->body, prefix, sizeof prefix);
    hone_buffer_put(&r->body, data, size);
    if (hone_request_end_body(r) != HONE_OK) abort();
    r->sink = &sink;
    r->stream = &a;
    hone_grpc_dispatch(&s->table, 0, &s->front->packer, r);
    for (int i = 0; i < 1000 && a.ends == 0; i++) hone_core_turn(s->core, 0);
    hone_request_release(r);
    if (a.ends != 1) abort();
    check_message(&a);
    hone_buffer_free(&a.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 14) return 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) send(methods[i], data, size);
    return 0;
}
