/* Deadlines are kept wherever a request can wait: every place × every API and protocol. What keeps the requests waiting
 * does not end while a test looks, so an answer that comes is one that did not wait for it. */
#include "serve/caller.h"
#include "serve/messages.h"
#include "serve/process.h"
#include "serve/repo.h"
#include "serve/servers.h"

enum { ROW = 256, LARGE = 120 << 10 /* more than is decoded at once, and than is free of the budget */ };

/* y = x xᵀ (x xᵀ) of x [n, 1]: one step of n³ multiplications, which nothing interrupts. */
static hone_graph *one_step_model(int64_t n) {
    hone_graph *g = hone_graph_new("step");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {n ? n : hone_graph_symbol(g, "batch"), 1}};
    hone_value *x = hone_graph_add_input(g, "x", &type);
    x = HONE_EMIT(g, "", "MatMul", x, HONE_EMIT(g, "", "Transpose", x));
    x = HONE_EMIT(g, "", "MatMul", x, x);
    hone_graph_rename(g, x, "y");
    hone_graph_add_output(g, x);
    assert_int_equal(hone_graph_infer(g, NULL), HONE_OK);
    return g;
}
enum {
    LOAD_ROWS = 3000,
    STEP_ROWS = 4500,
    STEP_ROWS_MOST = 9000
}; /* twice the rows take eight times as long */

/* --- requests --- */

typedef enum api { TFS_REST, OIP_JSON, OIP_BINARY, TFS_GRPC, OIP_GRPC, APIS } api;
static const char *const api_names[] = {"TFS REST", "OIP JSON", "OIP binary", "TFS gRPC", "OIP gRPC"};

typedef struct ask {
    char path[128], length[32]; /* of the JSON before raw bytes; "": there are none */
    bool grpc;
    hone_buffer body;
} ask;

static void put_zeros(hone_buffer *b, size_t count) {
    for (size_t i = 0; i < count; i++) hone_buffer_text(b, i ? ",0" : "0");
}

static void begin_grpc(hone_buffer *b) {
    hone_buffer_put(b, "\0\0\0\0", 5);
}

static void end_grpc(hone_buffer *b, size_t padding) {
    static char zeros[LARGE];
    size_t n = b->size - 5;
    if (padding > n) { /* an unknown field of bytes */
        hone_wire_put_bytes(b, 99, zeros, padding - n);
        n = b->size - 5;
    }
    for (int i = 0; i < 4; i++) b->data[1 + i] = (char)(n >> (24 - 8 * i));
}

/* x of zeros, [rows, width], in a body of `least` bytes. */
static ask make_ask(api a, const char *model, int64_t rows, int64_t width, size_t least) {
    ask k = {.grpc = a >= TFS_GRPC};
    size_t count = (size_t)(rows * width), json;
    float *x = calloc(count, sizeof *x);
    assert_non_null(x);
    switch (a) {
    case TFS_REST:
        snprintf(k.path, sizeof k.path, "/v1/models/%s:predict", model);
        hone_buffer_text(&k.body, "{\"inputs\": [");
        for (int64_t i = 0; i < rows; i++) {
            hone_buffer_text(&k.body, i ? ",[" : "[");
            put_zeros(&k.body, (size_t)width);
            hone_buffer_text(&k.body, "]");
        }
        hone_buffer_text(&k.body, "]}");
        while (k.body.size < least) hone_buffer_byte(&k.body, ' ');
        break;
    case OIP_JSON:
    case OIP_BINARY:
        snprintf(k.path, sizeof k.path, "/v2/models/%s/infer", model);
        hone_buffer_printf(&k.body,
                           "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[%lld,%lld],",
                           (long long)rows, (long long)width);
        if (a == OIP_JSON) {
            hone_buffer_text(&k.body, "\"data\":[");
            put_zeros(&k.body, count);
            hone_buffer_text(&k.body, "]}]}");
            while (k.body.size < least) hone_buffer_byte(&k.body, ' ');
            break;
        }
        hone_buffer_printf(&k.body, "\"parameters\":{\"binary_data_size\":%zu}}]}", count * sizeof *x);
        while (k.body.size + count * sizeof *x < least) hone_buffer_byte(&k.body, ' ');
        json = k.body.size;
        snprintf(k.length, sizeof k.length, "%zu", json);
        hone_buffer_put(&k.body, x, count * sizeof *x);
        break;
    case TFS_GRPC:
        snprintf(k.path, sizeof k.path, "/tensorflow.serving.PredictionService/Predict");
        begin_grpc(&k.body);
        put_predict(&k.body, model, x, rows, width);
        end_grpc(&k.body, least);
        break;
    default:
        snprintf(k.path, sizeof k.path, "/inference.GRPCInferenceService/ModelInfer");
        begin_grpc(&k.body);
        put_infer(&k.body, model, x, rows, width);
        end_grpc(&k.body, least);
    }
    free(x);
    return k;
}

static void check_code(const char *what, int status, const char *fields, bool grpc) {
    const char *code = strcasestr(fields, "grpc-status: ");
    bool good = grpc ? status == 200 && code && atoi(code + 13) == 4 : status == 504;
    if (!good) fail_msg("%s: %d %s", what, status, fields);
}

/* Asks with a deadline and waits for the answer, which says that it has passed. */
static void check_late(const char *what, int port, const ask *k, bool http2) {
    const char *fields[12];
    size_t n = 0;
    fields[n++] = k->grpc ? "grpc-timeout" : "x-request-timeout-ms";
    fields[n++] = k->grpc ? "100m" : "100";
    fields[n++] = "content-type";
    fields[n++] = k->grpc ? "application/grpc" : "application/json";
    if (k->length[0]) {
        fields[n++] = "inference-header-content-length";
        fields[n++] = k->length;
    }
    fields[n] = NULL;
    if (http2) {
        caller c;
        caller_open(&c, port);
        answer *a = peer_ask(&c.p, "POST", k->path, k->body.data ? k->body.data : "", k->body.size, fields);
        if (!caller_wait(&c, a, false)) fail_msg("%s: no answer", what);
        check_code(what, a->status, a->fields, k->grpc);
        caller_close(&c);
        return;
    }
    client c = client_open(port);
    hone_buffer head = {0};
    hone_buffer_printf(&head, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n", k->path,
                       k->body.size);
    for (size_t i = 0; i < n; i += 2) hone_buffer_printf(&head, "%s: %s\r\n", fields[i], fields[i + 1]);
    hone_buffer_text(&head, "\r\n");
    client_send(&c, head.data, head.size);
    client_send(&c, k->body.data, k->body.size);
    reply r = client_reply(&c, false);
    check_code(what, r.status, r.head, k->grpc);
    free(r.body);
    client_close(&c);
    hone_buffer_free(&head);
}

/* Both protocols; a front end can't tell from which one a call comes. */
static void check_all_late(const char *place, int port, const char *model, int64_t rows, int64_t width,
                           size_t least) {
    for (int a = 0; a < APIS; a++) {
        ask k = make_ask((api)a, model, rows, width, least);
        for (int http2 = 0; http2 < 2; http2++) {
            char what[100];
            snprintf(what, sizeof what, "%s, %s, HTTP/%d", place, api_names[a], http2 ? 2 : 1);
            check_late(what, port, &k, http2);
        }
        hone_buffer_free(&k.body);
    }
}

/* --- places --- */

static hone_server_options one_thread(void) {
    hone_server_options o = small_options();
    o.compute_threads = 1;
    o.request_timeout_ms = o.header_timeout_ms = 600000;
    return o;
}

/* Has the only compute thread work until the client goes. */
static client keep_busy(fixture *f) {
    client c = client_open(f->port);
    char *body = rows_body(ENDLESS_ROWS);
    assert_true(send_post(&c, ENDLESS, body));
    wait_for(f->port, "hone_requests_in_flight", 2);
    wait_for(f->port, "hone_queue_depth{model=\"endless\"}", 0);
    free(body);
    return c;
}

static void keeps_deadlines_in_the_queue(void **state) {
    fixture f;
    hone_server_options o = one_thread();
    (void)state;
    start(&f, &o);
    add_model(f.server, "endless", endless_model());
    client busy = keep_busy(&f);
    check_all_late("queue", f.port, "endless", 1, 1, 0);
    wait_for(f.port, "hone_queue_depth{model=\"endless\"}", 0);
    assert_true(metric(f.port, "hone_queue_dropped_total{model=\"endless\",reason=\"deadline\"}") ==
                2 * APIS);
    check_all_late("thread to decode", f.port, "matrix", 1, 3, LARGE);
    check_all_late("thread to decode", f.port, "endless", 1, 1, LARGE);
    wait_for(f.port, "hone_requests_in_flight", 2);
    assert_true(metric(f.port, "hone_queue_dropped_total{model=\"matrix\",reason=\"deadline\"}") == 2 * APIS);
    assert_true(metric(f.port, "hone_queue_dropped_total{model=\"endless\",reason=\"deadline\"}") ==
                4 * APIS);
    assert_true(metric(f.port, "hone_queue_depth{model=\"matrix\"}") == 0);
    client_close(&busy);
    stop(&f);
}

static void keeps_deadlines_while_a_batch_fills(void **state) {
    fixture f;
    hone_server_options o = one_thread();
    (void)state;
    repo_make();
    repo_put("filling", 1, repo_graph(1, ROW, 4 << 20, "x"));
    repo_text(repo_path("filling/config.json"),
              "{\"batching\": {\"max_delay_us\": 60000000, \"preferred_batch_sizes\": [4]}}");
    o.repository = repo_root;
    start(&f, &o);
    check_all_late("batch", f.port, "filling", 1, ROW, 0);
    wait_for(f.port, "hone_queue_depth{model=\"filling\"}", 0);
    stop(&f);
    repo_remove();
}

/* A model's own limit of time counts, too. */
static void keeps_the_time_of_a_model(void **state) {
    fixture f;
    hone_server_options o = one_thread();
    (void)state;
    repo_make();
    repo_put("filling", 1, repo_graph(1, ROW, 4 << 20, "x"));
    repo_text(repo_path("filling/config.json"),
              "{\"batching\": {\"max_delay_us\": 60000000, \"preferred_batch_sizes\": [4]}, \"limits\": "
              "{\"timeout_ms\": 50}}");
    o.repository = repo_root;
    start(&f, &o);
    ask k = make_ask(TFS_REST, "filling", 1, ROW, 0);
    hone_buffer_byte(&k.body, 0);
    client c = client_open(f.port);
    check_has(client_ask(&c, "POST", k.path, k.body.data), 504, "took longer");
    client_close(&c);
    hone_buffer_free(&k.body);
    stop(&f);
    repo_remove();
}

/* Somebody holds all of the budget. */
static void keeps_deadlines_of_bodies_that_wait(void **state) {
    fixture f;
    char *body = calloc(1, LARGE);
    hone_server_options o = one_thread();
    (void)state;
    assert_non_null(body);
    o.body_budget_bytes = 1;
    start(&f, &o);
    client holder = client_open(f.port);
    assert_true(client_text(&holder, "POST " MATRIX " HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
                                     "Expect: 100-continue\r\n\r\n"));
    check(client_reply(&holder, false), 100, NULL);
    assert_true(client_send(&holder, body, LARGE));
    /* One that is asked behind it on the same loop comes when it has been read. */
    for (int i = 0; i < 100; i++) {
        client c = client_open(f.port);
        check(client_ask(&c, "GET", "/healthz", NULL), 200, "ok\n");
        client_close(&c);
    }
    check_all_late("budget", f.port, "matrix", 1, 3, LARGE);
    client_close(&holder);
    wait_for(f.port, "hone_requests_in_flight", 1);
    stop(&f);
    free(body);
}

static void keeps_deadlines_of_what_runs(void **state) {
    fixture f;
    hone_server_options o = one_thread();
    (void)state;
    start(&f, &o);
    add_model(f.server, "endless", endless_model());
    check_all_late("run", f.port, "endless", ENDLESS_ROWS, 1, 0);
    /* in the middle of a step, one that still runs after the answer however late we look */
    add_model(f.server, "step", one_step_model(0));
    bool still_runs = false;
    double runs = 0;
    for (int64_t rows = STEP_ROWS; !still_runs && rows <= STEP_ROWS_MOST; rows *= 2) {
        ask k = make_ask(TFS_REST, "step", rows, 1, 0);
        check_late("step", f.port, &k, false);
        double now = metric(f.port, "hone_batch_rows_count{model=\"step\"}");
        still_runs = now <= runs;
        runs = now;
        hone_buffer_free(&k.body);
    }
    assert_true(still_runs);
    stop(&f);
}

static ask make_errand(const char *path, const char *message, size_t size) {
    ask k = {.grpc = path[1] != 'v'};
    snprintf(k.path, sizeof k.path, "%s", path);
    if (k.grpc) begin_grpc(&k.body);
    hone_buffer_put(&k.body, message, size);
    if (k.grpc) end_grpc(&k.body, 0);
    return k;
}

/* The load goes on: it is known by then, and not there yet. */
static void keeps_deadlines_of_loads(void **state) {
    enum { ERRANDS = 3 };
    fixture f;
    hone_server_options o = one_thread();
    (void)state;
    repo_make();
    o.repository = repo_root;
    o.file_poll_ms = 0;
    start(&f, &o);
    repo_put("slow", 1, one_step_model(LOAD_ROWS));
    for (int i = 0; i < ERRANDS; i++) {
        ask load = i == 0 ? make_errand("/v2/repository/models/slow/load", "{}", 2)
                   : i == 1
                       ? make_errand("/inference.GRPCInferenceService/RepositoryModelLoad", "\x12\4slow", 6)
                       : make_errand("/inference.GRPCInferenceService/RepositoryModelLoad", "\x12\4slow", 6);
        check_late(api_names[i], f.port, &load, i > 0);
        client c = client_open(f.port);
        check(client_ask(&c, "GET", "/v2/models/slow/ready", NULL), 400, NULL);
        ask reload = make_errand("/tensorflow.serving.ModelService/HandleReloadConfigRequest", "\n\2\n\0", 4);
        check_late("behind a load", f.port, &reload, true);
        check(client_ask(&c, "GET", "/v2/models/slow/ready", NULL), 400, NULL);
        hone_buffer_free(&reload.body);
        hone_buffer_free(&load.body);
        check(client_ask(&c, "POST", "/v2/repository/models/slow/unload", "{}"), 200, NULL);
        client_close(&c);
    }
    stop(&f);
    repo_remove();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_deadlines_in_the_queue), cmocka_unit_test(keeps_deadlines_while_a_batch_fills),
        cmocka_unit_test(keeps_the_time_of_a_model),    cmocka_unit_test(keeps_deadlines_of_bodies_that_wait),
        cmocka_unit_test(keeps_deadlines_of_what_runs), cmocka_unit_test(keeps_deadlines_of_loads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
